//! What an agent says of itself, and what follows from how it differs from before.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_model::system::SystemInfo;
use nodeglass_proto::v1;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::registry::Seen;
use serde_json::json;
use tracing::debug;

use super::settings::Report;
use super::{Registry, labels};
use crate::events::Kind;
use crate::live::LiveAgent;

/// How far apart two moments are at which a host started, to be two starts: both are worked out from clocks.
const ANOTHER_START: Duration = Duration::from_mins(2);
/// Different reports that are looked through for one that says the same.
const REPORTS: usize = 64;
/// An agent that nobody saw before and that was enrolled within this time was enrolled just now.
const NEW: Duration = Duration::from_hours(1);

impl Registry {
    /// Takes in an agent's greeting, and notes what happened since its last one.
    pub(crate) async fn greeted(
        &self,
        agent: &Arc<LiveAgent>,
        hello: &v1::Hello,
        system: Option<&SystemInfo>,
        tasks: &TaskGroup,
    ) {
        self.learn(agent).await;
        let now = self.clock.now();
        let before = agent.profile();
        let uptime = system
            .and_then(|system| system.software.as_ref())
            .and_then(|software| software.uptime_seconds);
        let booted_at = uptime
            .map(|seconds| now.minus(Duration::from_secs(seconds)))
            .or(before.booted_at);
        let own = labels::usable(hello.labels.clone());
        let version: String = hello.agent_version.chars().take(64).collect();

        let is_new = before.epoch.is_none();
        let is_restarted = before.epoch.is_some_and(|epoch| epoch != hello.epoch);
        let other_version = before
            .version
            .as_deref()
            .filter(|known| *known != version && !known.is_empty());
        let is_rebooted = match (before.booted_at, booted_at) {
            (Some(before), Some(after)) => after.since(before) >= ANOTHER_START,
            _ => false,
        };
        if is_new
            && before
                .enrolled_at
                .is_some_and(|at| now.since(at) < NEW && at <= now)
        {
            self.events.note(
                agent,
                Kind::Enrolled,
                &json!({ "at": before.enrolled_at.map(|at| at.0) }),
            );
        }
        if is_rebooted {
            let detail = json!({ "booted_at": booted_at.map(|at| at.0) });
            self.events.note(agent, Kind::Rebooted, &detail);
        } else if is_restarted {
            self.events.note(agent, Kind::Restarted, &json!(null));
        }
        if let Some(from) = other_version {
            let detail = json!({ "from": from, "to": version });
            self.events.note(agent, Kind::Upgraded, &detail);
        }
        // Those who only come back to a server that was started anew did nothing.
        if !self.events.is_young() || is_new || is_restarted {
            self.events
                .note(agent, Kind::Connected, &json!({ "version": version }));
        }

        let labels_differ = own != before.own;
        let is_same = !labels_differ
            && before.epoch == Some(hello.epoch)
            && before.version.as_deref() == Some(version.as_str())
            && !is_rebooted
            && before.booted_at.is_some() == booted_at.is_some();
        let booted_at = if is_rebooted {
            booted_at
        } else {
            before.booted_at.or(booted_at)
        };
        if is_same {
            return;
        }
        agent.change_profile(|profile| {
            profile.own.clone_from(&own);
            profile.version = Some(version.as_str().into());
            profile.epoch = Some(hello.epoch);
            profile.booted_at = booted_at;
        });
        if labels_differ {
            self.regroup(agent);
        }
        let seen = Seen {
            own_labels: Some(serde_json::to_string(&own).expect("texts can be written")),
            version: Some(version),
            epoch: Some(hello.epoch),
            booted_at,
        };
        let (store, agent) = (self.store.clone(), agent.clone());
        tasks.spawn_transient("what an agent says of itself", async move {
            // It comes again with the next session, so one try is enough.
            if let Err(error) = store.save_seen(agent.key, &seen).await {
                debug!(agent = %agent.id, error = %chain(&error), "what an agent says of itself is not kept");
            }
        });
    }

    /// Takes in what an agent says is in force.
    pub(crate) fn take_report(&self, agent: &Arc<LiveAgent>, report: v1::SettingsReport, tasks: &TaskGroup) {
        let report = Report::from(report);
        let before = agent.profile().report.clone();
        if before.as_deref() == Some(&report) {
            self.reported.notify_waiters();
            return;
        }
        let report = self.shared(report);
        agent.change_profile(|profile| profile.report = Some(report.clone()));
        self.reported.notify_waiters();
        let known = before.as_deref().map(|before| before.problems.as_slice());
        if !report.problems.is_empty() && known != Some(report.problems.as_slice()) {
            let detail = json!({ "problems": report.problems });
            self.events.note(agent, Kind::SettingsRefused, &detail);
        }
        let json = serde_json::to_string(&*report).expect("texts and numbers can be written");
        let (store, agent) = (self.store.clone(), agent.clone());
        tasks.spawn_transient("what is in force", async move {
            if let Err(error) = store.save_report(agent.key, &json).await {
                debug!(agent = %agent.id, error = %chain(&error), "what is in force at an agent is not kept");
            }
        });
    }

    /// A report that others have as well, if it says the same: most agents of a fleet do.
    fn shared(&self, report: Report) -> Arc<Report> {
        let mut known = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|report| report.strong_count() > 0);
        let same = known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|known| **known == report);
        if let Some(same) = same {
            return same;
        }
        let report = Arc::new(report);
        if known.len() < REPORTS {
            known.push(Arc::downgrade(&report));
        }
        report
    }

    /// Notes that an agent's clock was set.
    pub(crate) fn note_clock_step(&self, agent: &LiveAgent, by_ms: i64, agent_time: UnixMillis) {
        let detail = json!({ "by_ms": by_ms, "agent_time": agent_time.0 });
        self.events.note(agent, Kind::ClockStepped, &detail);
    }

    /// Notes the gaps of a heartbeat that were not known before.
    pub(crate) fn note_gaps(&self, agent: &LiveAgent, gaps: &[v1::Gap]) {
        let known = agent.side().map(|side| side.gaps).unwrap_or_default();
        let is_new = |gap: &&v1::Gap| {
            let is_same = |known: &crate::ledger::Gap| known.reason == gap.reason && known.from == gap.from;
            !known.iter().any(is_same)
        };
        for gap in gaps.iter().filter(is_new) {
            let reason: String = gap.reason.chars().take(64).collect();
            let detail = json!({ "reason": reason, "from": gap.from, "to": gap.to, "samples": gap.samples });
            self.events.note(agent, Kind::Gap, &detail);
        }
    }
}
