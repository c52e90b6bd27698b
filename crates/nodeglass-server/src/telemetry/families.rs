//! What the server says of itself: each figure's name, kind and meaning, once. What is served at `/metrics` and
//! `docs/server-metrics.md` is made from it.

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Counts up while the server runs.
    Counter,
    /// Durations in buckets.
    Histogram,
}

impl Kind {
    /// Its name in the format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// A figure, or several that differ in their labels.
#[derive(Debug)]
pub struct Family {
    /// Its name; a counter's ends in `_total`.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

/// Declares the figures, each a constant, and [`FAMILIES`], all of them.
macro_rules! families {
    ($($constant:ident $kind:ident $name:literal [$($label:literal),*] $help:literal)+) => {
        $(#[doc = $help] pub static $constant: Family = Family {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)+

        /// All of them, in the order in which they are served.
        pub static FAMILIES: &[&Family] = &[$(&$constant),+];
    };
}

families! {
    BUILD Gauge "nodeglass_server_build_info" ["version"] "Which version runs; always 1."
    RECEIVED Counter "nodeglass_server_samples_received_total" [] "Samples that came from agents and pushers, repeated ones included."
    REJECTED Counter "nodeglass_server_samples_rejected_total" [] "Samples refused for good."
    STORED Counter "nodeglass_server_samples_stored_total" [] "Samples stored that were new."
    DUPLICATE Counter "nodeglass_server_samples_duplicate_total" [] "Samples that were stored before."
    TURNED_AWAY Counter "nodeglass_server_samples_turned_away_total" []
        "Samples for which the writer's queue had no room; their agents send them again."
    COMMIT Histogram "nodeglass_server_commit_seconds" [] "How long it took to store a group of samples."
    COMMIT_FAILED Counter "nodeglass_server_commits_failed_total" [] "Groups of samples that could not be stored at a try."
    COMMIT_FAILING Gauge "nodeglass_server_commit_failing" [] "1 if the last group could not be stored, else 0."
    QUEUE Gauge "nodeglass_server_queue_bytes" [] "Memory of the samples that wait to be stored."
    QUEUE_LIMIT Gauge "nodeglass_server_queue_limit_bytes" [] "The most that it may be."
    AGENTS Gauge "nodeglass_server_agents" ["state"] "Agents by whether they are connected."
    SESSIONS Gauge "nodeglass_server_sessions" [] "Sessions of agents that are open."
    SESSIONS_OPENED Counter "nodeglass_server_sessions_opened_total" [] "Sessions of agents that were opened."
    STREAMS Gauge "nodeglass_server_streams" [] "Live streams that are open: SSE, WebSocket and gRPC together."
    STREAMS_LIMIT Gauge "nodeglass_server_streams_limit" [] "The most that there may be."
    STREAMS_OPENED Counter "nodeglass_server_streams_opened_total" [] "Live streams that were opened."
    STREAMS_REFUSED Counter "nodeglass_server_streams_refused_total" [] "Live streams for which there was no place."
    READERS_CUT Counter "nodeglass_server_stream_readers_cut_total" [] "Readers of live streams that were cut off because they did not read."
    REQUESTS Histogram "nodeglass_server_request_seconds" ["route", "method", "status"]
        "How long it took until an answer began, by route, method and class of the status."
    REQUESTS_IN_FLIGHT Gauge "nodeglass_server_requests_in_flight" [] "Calls whose answer has not begun."
    STORE Gauge "nodeglass_server_store_bytes" ["tier"]
        "What each tier of the store takes on disk; looked up now and then, and only while it is asked for."
    SLOTS_BEHIND Gauge "nodeglass_server_compaction_slots_behind" [] "Closed slots of staging that are not in chunks yet."
    COMPACTED Counter "nodeglass_server_compaction_samples_total" [] "Samples moved from staging into chunks."
    COMPACTION_MERGES Counter "nodeglass_server_compaction_merges_total" [] "Full chunks made of small ones."
    COMPACTION_FAILURES Counter "nodeglass_server_compaction_failures_total" [] "Rounds of compaction that failed."
    COMPACTION_UNREADABLE Counter "nodeglass_server_compaction_unreadable_total" [] "Stored samples that could not be read, and were left out."
    EVENTS_DROPPED Counter "nodeglass_server_events_dropped_total" []
        "Events that were not kept: there was no room, or there were too many of one agent."
    AUDIT_DROPPED Counter "nodeglass_server_audit_entries_dropped_total" [] "Entries of the audit log that found no room."
    LEDGER Gauge "nodeglass_server_ledger_samples" ["state"]
        "What agents say became of their samples, added up over all agents: sampled, and of those acknowledged, buffered, rejected and evicted."
    CPU Counter "process_cpu_seconds_total" [] "Processor time, user and system."
    RESIDENT Gauge "process_resident_memory_bytes" [] "Resident memory."
    VIRTUAL Gauge "process_virtual_memory_bytes" [] "Address space."
    THREADS Gauge "process_threads" [] "Threads."
    FILES Gauge "process_open_fds" [] "Open files, connections included."
    FILES_LIMIT Gauge "process_max_fds" [] "The most that there may be."
    STARTED Gauge "process_start_time_seconds" [] "When the process started, in Unix seconds."
}

/// The document of all of them.
pub fn document() -> String {
    use std::fmt::Write as _;
    let mut text = String::from(
        "# The server's own metrics\n\n\
         Made from `crates/nodeglass-server/src/telemetry/families.rs` by `NODEGLASS_WRITE=1 cargo test -p nodeglass-server --lib \
         families`; don't edit it here.\n\n\
         `GET /metrics` serves them in Prometheus' text format, or as OpenMetrics to those who accept\n\
         `application/openmetrics-text`. It needs a token, of the role viewer or more, like every other call:\n\n\
         ```yaml\n\
         scrape_configs:\n  \
           - job_name: nodeglass\n    \
             scheme: https\n    \
             authorization: {credentials_file: /etc/prometheus/nodeglass.token}\n    \
             tls_config: {ca_file: /etc/prometheus/nodeglass-ca.pem}\n    \
             static_configs: [{targets: [\"monitor.example.org:7080\"]}]\n\
         ```\n\n\
         Figures are of this process since it started. None of them names an agent or a caller.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            family.name,
            family.kind.name(),
            labels.join(", "),
            family.help
        )
        .expect("text can be written to");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/server-metrics.md");
        if std::env::var_os("NODEGLASS_WRITE").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            document(),
            "docs/server-metrics.md is out of date: its beginning says how it is made"
        );
    }

    #[test]
    fn names_keep_to_the_customs() {
        let names: std::collections::HashSet<_> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        for family in FAMILIES {
            assert_eq!(
                family.name.ends_with("_total"),
                family.kind == Kind::Counter,
                "{}",
                family.name
            );
            assert_eq!(document().matches(&format!("| `{}` |", family.name)).count(), 1);
        }
    }
}
