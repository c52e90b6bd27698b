//! The agent's configuration: YAML, then environment, then command line, all checked before anything starts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
mod devices;

use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeglass_collect::privacy::{Privacy, PrivacyRules, Treatment};
use nodeglass_collect::{Backend, CollectConfig, CommandLines};
use nodeglass_journal::{JournalConfig, Sync};
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::label;
use nodeglass_runtime::config::{ConfigError, ConfigReader, Env};
use nodeglass_runtime::telemetry::LogFormat;
use nodeglass_runtime::tls::client::Trust;

use crate::local::LocalConfig;
use crate::sampling::SamplingPlan;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const MIB: u64 = 1 << 20;
/// A sample has room for this many processes by each of four measures.
const MAX_TOP: u64 = 100;

/// Where an agent that is installed as a service keeps its enrolment.
const DEFAULT_DATA_DIR: &str = "/var/lib/nodeglass-agent";
/// Where Prometheus expects a host's exporter, for programs on the host alone.
const DEFAULT_LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9100);
/// The socket in the data directory at which an agent is told of tasks.
const SOCKET: &str = "agent.sock";
/// The interval from one sample to the next unless told otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Where the enrolment lies.
    pub data_dir: PathBuf,
    /// The server's address, if it is no longer the one of the enrolment.
    pub server: Option<String>,
    /// Whom to trust, if not the CA of the enrolment, or without one whom the system trusts.
    pub trust: Option<Trust>,
    /// What its owner says of this host, for those who look for it among many.
    pub labels: BTreeMap<String, String>,
    /// How to read this host.
    pub collect: CollectConfig,
    /// What to sample, and how often.
    pub plan: SamplingPlan,
    /// The journal's directory, if it is not in the data directory.
    pub journal_directory: Option<PathBuf>,
    /// How much to keep.
    pub keep: Keep,
    /// Whether and where the host's figures are served to programs on it.
    pub local: LocalConfig,
    /// Whether tasks are followed.
    pub track_tasks: bool,
    /// Where this agent is told of tasks, if not in its data directory.
    pub tasks_socket: Option<PathBuf>,
    /// How to log.
    pub log_format: LogFormat,
}

/// How much the journal keeps, and how sure it makes of it.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Bytes on disk.
    pub max_bytes: u64,
    /// Bytes in memory while the disk takes nothing.
    pub max_memory_bytes: u64,
    /// The age at which samples go.
    pub max_age: Duration,
    /// When what was written is pushed down to the disk.
    pub sync: Sync,
}

impl AgentConfig {
    /// The journal that this configuration asks for.
    pub fn journal(&self) -> JournalConfig {
        let directory = self.journal_directory.clone();
        JournalConfig {
            directory: Some(directory.unwrap_or_else(|| self.data_dir.join("journal"))),
            max_bytes: self.keep.max_bytes,
            max_memory_bytes: self.keep.max_memory_bytes,
            max_age: self.keep.max_age,
            sync: self.keep.sync,
        }
    }

    /// Where this agent is told of tasks.
    pub fn tasks_socket(&self) -> PathBuf {
        self.tasks_socket
            .clone()
            .unwrap_or_else(|| self.data_dir.join(SOCKET))
    }

    /// Reads a file, or only defaults and environment if there is none.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn load(path: Option<&Path>, env: Env) -> Result<Self, ConfigError> {
        Self::read(ConfigReader::load(path, env))
    }

    /// Reads everything that `reader` has.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn read(mut reader: ConfigReader) -> Result<Self, ConfigError> {
        let intervals = SECOND..=HOUR;
        let interval = reader.duration("metrics.collection_interval", DEFAULT_INTERVAL, intervals.clone());
        let interval = reader.env_seconds("METRICS_INTERVAL_LIVE", interval, intervals);
        let track_tasks = reader.flag("metrics.process_tracking.track_task_processes", true);
        let filter = filter(&mut reader, track_tasks);
        let server = reader.text("server");
        if let Some(url) = &server
            && !url.starts_with("http://")
            && !url.starts_with("https://")
        {
            reader.problem(
                "server",
                format!("{url:?} must be https://host:port or http://host:port"),
            );
        }
        let trust = reader.text("ca").map(|ca| match ca.as_str() {
            "system" => Trust::System,
            file => Trust::File(file.into()),
        });
        let backends = [
            ("auto", Backend::Auto),
            ("linux", Backend::Linux),
            ("portable", Backend::Portable),
        ];
        let mut collect = CollectConfig::default();
        devices::read(&mut reader, &mut collect);
        let devices = collect.devices.clone();
        let top_processes =
            reader.integer("metrics.process_tracking.top_processes", 10, 0..=MAX_TOP) as usize;
        let config = Self {
            data_dir: reader
                .text("data_dir")
                .map_or_else(|| DEFAULT_DATA_DIR.into(), PathBuf::from),
            server,
            trust,
            collect: CollectConfig {
                host_root: reader.text("host_root").map_or_else(|| "/".into(), PathBuf::from),
                backend: reader.choice("backend", Backend::Auto, &backends),
                filter: filter.clone(),
                deadline: reader.duration(
                    "metrics.collector_deadline",
                    SECOND / 2,
                    SECOND / 100..=SECOND * 60,
                ),
                top_processes,
                process_commands: reader.choice(
                    "metrics.process_tracking.command_lines",
                    CommandLines::default(),
                    &[
                        ("full", CommandLines::Full),
                        ("redacted", CommandLines::Redacted),
                        ("program", CommandLines::Program),
                        ("none", CommandLines::None),
                    ],
                ),
                redact: reader.list("metrics.process_tracking.redact", &[]),
                privacy: privacy(&mut reader),
                ..collect
            },
            labels: labels(&mut reader),
            plan: SamplingPlan {
                running: reader.flag("metrics.enabled", true),
                interval,
                local_interval: reader.duration("metrics.local_interval", SECOND, SECOND..=HOUR),
                watched: None,
                filter,
                devices,
                top_processes,
            },
            journal_directory: reader.text("journal.directory").map(PathBuf::from),
            keep: Keep {
                max_bytes: reader.bytes("journal.max_bytes", 64 * MIB, MIB..=65_536 * MIB),
                max_memory_bytes: reader.bytes("journal.max_memory_bytes", 8 * MIB, MIB / 4..=4096 * MIB),
                max_age: reader.duration(
                    "metrics.retention_period",
                    HOUR * 24,
                    SECOND * 60..=HOUR * 24 * 366,
                ),
                sync: sync(&mut reader),
            },
            local: LocalConfig {
                enabled: reader.flag("local_endpoint.enabled", true),
                listen: reader.parsed("local_endpoint.listen").unwrap_or(DEFAULT_LOCAL),
            },
            track_tasks,
            tasks_socket: reader.text("tasks_socket").map(PathBuf::from),
            log_format: reader.choice(
                "log.format",
                LogFormat::Text,
                &[("text", LogFormat::Text), ("json", LogFormat::Json)],
            ),
        };
        reader.finish()?;
        Ok(config)
    }
}

/// What the file says of this host: a list of NAME=VALUE.
fn labels(reader: &mut ConfigReader) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for text in reader.list("labels", &[]) {
        match label::parse(&text) {
            Ok((name, value)) => {
                if labels.insert(name.clone(), value).is_some() {
                    reader.problem("labels", format!("{name:?} is given twice"));
                }
            }
            Err(error) => reader.problem("labels", error.to_string()),
        }
    }
    if let Err(error) = label::check_all(&labels) {
        reader.problem("labels", error.to_string());
    }
    labels
}

/// What becomes of what says who and where.
fn privacy(reader: &mut ConfigReader) -> Privacy {
    let mut treatment = |key| {
        let choices = [
            ("keep", Treatment::Keep),
            ("hash", Treatment::Hash),
            ("omit", Treatment::Omit),
        ];
        reader.choice(key, Treatment::Keep, &choices)
    };
    Privacy::new(PrivacyRules {
        addresses: treatment("privacy.addresses"),
        host_names: treatment("privacy.hostnames"),
        mac_addresses: treatment("privacy.mac_addresses"),
        user_names: treatment("privacy.user_names"),
        command_lines: treatment("privacy.command_lines"),
    })
}

/// When the journal is pushed down to the disk: `always`, `never`, or within a time.
fn sync(reader: &mut ConfigReader) -> Sync {
    match reader.text("journal.sync").as_deref() {
        None => Sync::Within(SECOND),
        Some("always") => Sync::Always,
        Some("never") => Sync::Never,
        Some(text) => match humantime::parse_duration(text) {
            Ok(period) if (SECOND / 10..=HOUR).contains(&period) => Sync::Within(period),
            _ => {
                let problem = format!("{text:?} must be always, never, or a time of 100ms to 1h");
                reader.problem("journal.sync", problem);
                Sync::Within(SECOND)
            }
        },
    }
}

/// What is collected: the lists of the file, less processes and tasks if they are switched off.
fn filter(reader: &mut ConfigReader, track_tasks: bool) -> MetricFilter {
    let include = reader.list("metrics.collected_metrics", &[]);
    let mut exclude = reader.list("metrics.exclude_metrics", &[]);
    if !reader.flag("metrics.process_tracking.enabled", true) {
        exclude.extend(["process", "processes"].map(str::to_owned));
    }
    if !track_tasks {
        exclude.push("task".to_owned());
    }
    MetricFilter::new(&include, &exclude).unwrap_or_else(|unknown| {
        for pattern in unknown {
            reader.problem(
                "metrics.collected_metrics and exclude_metrics",
                pattern.to_string(),
            );
        }
        MetricFilter::default()
    })
}

#[cfg(test)]
mod tests {
    use nodeglass_model::catalogue;

    use super::*;

    fn read(yaml: &str, env: &[(&str, &str)]) -> Result<AgentConfig, ConfigError> {
        AgentConfig::read(ConfigReader::parse("test.yaml", yaml, Env::from_pairs(env)))
    }

    #[test]
    fn the_specification_s_section_is_understood() {
        let yaml = "metrics:\n  enabled: true\n  collection_interval: 10s\n  retention_period: 12h\n  \
                    collected_metrics:\n    - cpu\n    - memory\n    - disk\n    - network\n    - load\n  \
                    exclude_metrics:\n    - cpu.temperature  # May not be available on all systems\n  \
                    process_tracking:\n    enabled: true\n    track_task_processes: true\n";
        let config = read(yaml, &[("METRICS_INTERVAL_LIVE", "2")]).unwrap();
        assert_eq!(config.plan.interval, SECOND * 2, "the environment wins");
        assert_eq!(config.keep.max_age, HOUR * 12);
        let keeps = |path| config.plan.filter.keeps(catalogue::by_path(path).unwrap());
        assert!(keeps("cpu.usage_percent") && keeps("load.load1"));
        assert!(!keeps("cpu.temperature_celsius") && !keeps("processes.total_processes"));
    }

    #[test]
    fn the_file_that_shows_every_key_shows_the_defaults() {
        let shown = read(include_str!("../../../config/agent.yaml"), &[]).unwrap();
        let defaults = read("", &[]).unwrap();
        assert_eq!(format!("{shown:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn a_server_is_trusted_as_the_file_says() {
        let trust = |yaml| read(yaml, &[]).unwrap().trust;
        assert_eq!(trust("server: https://h:1"), None);
        assert_eq!(trust("ca: system"), Some(Trust::System));
        assert_eq!(trust("ca: /etc/ca.pem"), Some(Trust::File("/etc/ca.pem".into())));
    }

    #[test]
    fn a_host_has_labels_of_its_own() {
        let config = read("labels: [env=prod, 'site=eu 1']", &[]).unwrap();
        let labels: Vec<_> = config
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(labels, [("env", "prod"), ("site", "eu 1")]);
        let problems = read("labels: [env, 'a b=c', x=1, x=2]", &[]).unwrap_err();
        assert_eq!(problems.problems().len(), 3, "{problems}");
    }

    #[test]
    fn the_local_endpoint_can_be_moved_and_switched_off() {
        let yaml = "local_endpoint: {enabled: false, listen: '[::]:9101'}";
        let local = read(yaml, &[]).unwrap().local;
        assert_eq!(
            (local.enabled, local.listen.to_string().as_str()),
            (false, "[::]:9101")
        );
        let problems = read("local_endpoint: {listen: 9100}", &[])
            .unwrap_err()
            .to_string();
        assert!(problems.contains("local_endpoint.listen"), "{problems}");
    }

    #[test]
    fn processes_and_tasks_have_their_own_switches() {
        let yaml = "data_dir: /d\nmetrics: {process_tracking: {top_processes: 3, command_lines: program, redact: [p], \
                    track_task_processes: false}}";
        let config = read(yaml, &[]).unwrap();
        assert_eq!(config.collect.top_processes, 3);
        assert_eq!(config.collect.process_commands, CommandLines::Program);
        assert_eq!(config.collect.redact, ["p"]);
        assert!(!config.track_tasks);
        assert_eq!(config.tasks_socket(), Path::new("/d/agent.sock"));
        assert!(config.plan.filter.keeps_any("process") && !config.plan.filter.keeps_any("task"));

        let config = read(
            "{tasks_socket: /s, metrics: {process_tracking: {enabled: false}}}",
            &[],
        )
        .unwrap();
        assert_eq!(config.tasks_socket(), Path::new("/s"));
        let keeps = |prefix| config.plan.filter.keeps_any(prefix);
        assert!(!keeps("processes") && !keeps("process") && keeps("task"));
        let wrong = "metrics: {process_tracking: {top_processes: 101, command_lines: some}}";
        assert_eq!(read(wrong, &[]).unwrap_err().problems().len(), 2);
    }

    #[test]
    fn each_kind_of_what_is_personal_has_its_treatment() {
        let yaml = "privacy: {addresses: omit, hostnames: hash, mac_addresses: keep, user_names: hash, command_lines: omit}";
        let shown = format!("{:?}", read(yaml, &[]).unwrap().collect.privacy);
        let wanted = PrivacyRules {
            addresses: Treatment::Omit,
            host_names: Treatment::Hash,
            mac_addresses: Treatment::Keep,
            user_names: Treatment::Hash,
            command_lines: Treatment::Omit,
        };
        assert_eq!(shown, format!("{wanted:?}"));
        let wrong = read("privacy: {addresses: hide, host: omit}", &[]).unwrap_err();
        assert_eq!(wrong.problems().len(), 2, "{wrong}");
        assert!(wrong.to_string().contains("privacy.addresses"), "{wrong}");
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let yaml = "server: example.org\nbackend: dos\nmetrics: {collection_interval: 5, colected_metrics: [cpu]}\n\
                    journal: {max_bytes: 1, sync: 2d}\n";
        let env = [("METRICS_INTERVAL_LIVE", "-1")];
        let problems = read(yaml, &env).unwrap_err().problems().join("\n");
        for named in [
            "server",
            "backend",
            "metrics.collection_interval",
            "metrics.colected_metrics",
            "journal.max_bytes",
            "journal.sync",
            "METRICS_INTERVAL_LIVE",
        ] {
            assert!(problems.contains(named), "{named} in\n{problems}");
        }
    }

    #[test]
    fn a_metric_that_nobody_has_is_a_problem_with_its_neighbours() {
        let problems = read("metrics: {exclude_metrics: [cpu.usage_percnt]}", &[]).unwrap_err();
        assert!(problems.to_string().contains("cpu.usage_percent"), "{problems}");
    }
}
