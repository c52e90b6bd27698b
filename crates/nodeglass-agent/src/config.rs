//! The agent's configuration: YAML, then environment, then command line, all checked before anything starts.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeglass_collect::{Backend, CollectConfig};
use nodeglass_model::filter::MetricFilter;
use nodeglass_runtime::config::{ConfigError, ConfigReader, Env};
use nodeglass_runtime::telemetry::LogFormat;

use crate::buffer::BufferLimits;
use crate::sampling::SamplingPlan;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const MIB: u64 = 1 << 20;

/// Where an agent that is installed as a service keeps its enrolment.
const DEFAULT_DATA_DIR: &str = "/var/lib/nodeglass-agent";
/// The interval from one sample to the next unless told otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Where the enrolment lies.
    pub data_dir: PathBuf,
    /// The server's address, if it is no longer the one of the enrolment.
    pub server: Option<String>,
    /// How to read this host.
    pub collect: CollectConfig,
    /// What to sample, and how often.
    pub plan: SamplingPlan,
    /// How much to keep.
    pub buffer: BufferLimits,
    /// How to log.
    pub log_format: LogFormat,
}

impl AgentConfig {
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
        let filter = filter(&mut reader);
        let server = reader.text("server");
        if let Some(url) = &server
            && !url.starts_with("http://")
        {
            reader.problem("server", format!("{url:?} must be http://host:port"));
        }
        let backends = [
            ("auto", Backend::Auto),
            ("linux", Backend::Linux),
            ("portable", Backend::Portable),
        ];
        let config = Self {
            data_dir: reader
                .text("data_dir")
                .map_or_else(|| DEFAULT_DATA_DIR.into(), PathBuf::from),
            server,
            collect: CollectConfig {
                host_root: reader.text("host_root").map_or_else(|| "/".into(), PathBuf::from),
                backend: reader.choice("backend", Backend::Auto, &backends),
                filter: filter.clone(),
                deadline: reader.duration(
                    "metrics.collector_deadline",
                    SECOND / 2,
                    SECOND / 100..=SECOND * 60,
                ),
                ..CollectConfig::default()
            },
            plan: SamplingPlan {
                running: reader.flag("metrics.enabled", true),
                interval,
                filter,
            },
            buffer: BufferLimits {
                max_bytes: reader.bytes("buffer.max_bytes", 16 * MIB, MIB..=4096 * MIB) as usize,
                max_age: reader.duration(
                    "metrics.retention_period",
                    HOUR * 24,
                    SECOND * 60..=HOUR * 24 * 366,
                ),
            },
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

/// What is collected: the lists of the file, less processes if they are switched off.
fn filter(reader: &mut ConfigReader) -> MetricFilter {
    let include = reader.list("metrics.collected_metrics", &[]);
    let mut exclude = reader.list("metrics.exclude_metrics", &[]);
    if !reader.flag("metrics.process_tracking.enabled", true) {
        exclude.push("processes".to_owned());
    }
    // Tasks are tracked where something starts them; there is nothing to switch on without them.
    reader.flag("metrics.process_tracking.track_task_processes", true);
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
        assert_eq!(config.buffer.max_age, HOUR * 12);
        let keeps = |path| config.plan.filter.keeps(catalogue::by_path(path).unwrap());
        assert!(keeps("cpu.usage_percent") && keeps("load.load1"));
        assert!(!keeps("cpu.temperature_celsius") && !keeps("processes.total_processes"));
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let yaml = "server: example.org\nbackend: dos\nmetrics: {collection_interval: 5, colected_metrics: [cpu]}\n\
                    buffer: {max_bytes: 1}\n";
        let env = [("METRICS_INTERVAL_LIVE", "-1")];
        let problems = read(yaml, &env).unwrap_err().problems().join("\n");
        for named in [
            "server",
            "backend",
            "metrics.collection_interval",
            "metrics.colected_metrics",
            "buffer.max_bytes",
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
