//! What the server asks of this agent, put together with what its own configuration says. What this host's owner left out
//! stays out, whoever asks for it; the report says so.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodeglass_collect::DeviceFilters;
use nodeglass_model::filter::MetricFilter;
use nodeglass_proto::v1;

use crate::sampling::SamplingPlan;

/// The intervals that may be asked for. Less than a second only the server's own configuration can ask for.
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(1);
/// Processes of each kind that a sample has room for.
const MAX_TOP: u32 = 100;

/// What was last asked for, so that it is done once: what somebody else changes meanwhile is not undone.
#[derive(Debug, Default)]
pub struct Asked(Mutex<Option<Last>>);

#[derive(Debug, Clone, PartialEq)]
struct Last {
    asked: v1::AgentSettings,
    problems: Vec<v1::SettingsProblem>,
}

impl Asked {
    /// The plan that follows, if something else is asked for than before, and the report of what is in force then. A server
    /// that knows of no settings of single agents gets none: it would not understand.
    pub fn take(
        &self,
        settings: &v1::Settings,
        configured: &SamplingPlan,
        current: &SamplingPlan,
    ) -> (Option<SamplingPlan>, Option<v1::SettingsReport>) {
        let mut asked = settings.agent.clone().unwrap_or_default();
        // Older servers ask for this alone.
        asked.collection_interval_ms = asked
            .collection_interval_ms
            .or(settings.collection_interval_ms)
            .filter(|millis| *millis > 0);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = match last.as_ref() {
            Some(last) => last.asked != asked,
            // Where nothing is asked for nothing changes.
            None => {
                asked
                    != v1::AgentSettings {
                        revision: asked.revision,
                        ..Default::default()
                    }
            }
        };
        let (plan, problems) = if is_new {
            let (plan, problems) = plan(configured, &asked);
            (Some(plan), problems)
        } else {
            let problems = last.as_ref().map(|last| last.problems.clone());
            (None, problems.unwrap_or_default())
        };
        let revision = asked.revision;
        *last = Some(Last {
            asked,
            problems: problems.clone(),
        });
        let report = settings.agent.is_some().then(|| v1::SettingsReport {
            revision,
            in_force: Some(in_force(plan.as_ref().unwrap_or(current))),
            problems,
        });
        (plan, report)
    }
}

/// The plan that follows from the configuration and what is asked for, and what could not be done.
fn plan(configured: &SamplingPlan, asked: &v1::AgentSettings) -> (SamplingPlan, Vec<v1::SettingsProblem>) {
    let mut problems = Problems(Vec::new());
    let mut plan = configured.clone();
    if let Some(enabled) = asked.enabled {
        plan.running = enabled;
    }
    for (key, asked, interval) in [
        (
            "collection_interval_seconds",
            asked.collection_interval_ms,
            &mut plan.interval,
        ),
        (
            "local_interval_seconds",
            asked.local_interval_ms,
            &mut plan.local_interval,
        ),
    ] {
        match asked.map(|millis| Duration::from_millis(millis.into())) {
            Some(asked) if INTERVALS.contains(&asked) => *interval = asked,
            Some(_) => problems.add(key, "it is not within an hour; the configuration's holds"),
            None => {}
        }
    }
    plan.filter = filter(&configured.filter, asked, &mut problems);
    if let Some(count) = asked.top_processes {
        if configured.top_processes == 0 && count > 0 {
            problems.add("top_processes", "this host's configuration shows no processes");
        } else {
            plan.top_processes = count.min(MAX_TOP) as usize;
        }
        if count > 0 && !plan.filter.keeps_any("process") {
            problems.add(
                "top_processes",
                "processes are left out, by exclude_metrics or by process_tracking",
            );
        }
    }
    let usual = DeviceFilters::default();
    let mut devices = configured.devices.clone();
    for (asked, own, usual) in [
        (
            &asked.exclude_interfaces,
            &mut devices.exclude_interfaces,
            usual.exclude_interfaces,
        ),
        (
            &asked.exclude_disks,
            &mut devices.exclude_disks,
            usual.exclude_disks,
        ),
        (
            &asked.exclude_filesystems,
            &mut devices.exclude_filesystems,
            usual.exclude_filesystems,
        ),
        (
            &asked.exclude_mounts,
            &mut devices.exclude_mounts,
            usual.exclude_mounts,
        ),
    ] {
        let Some(asked) = asked else { continue };
        // What the owner wrote stays; what is left out as a default gives way.
        if *own == usual {
            own.clear();
        }
        for pattern in &asked.values {
            if !own.contains(pattern) {
                own.push(pattern.clone());
            }
        }
    }
    plan.devices = devices;
    (plan, problems.0)
}

/// What is collected: what the configuration lets through, less what is asked to be left out.
fn filter(configured: &MetricFilter, asked: &v1::AgentSettings, problems: &mut Problems) -> MetricFilter {
    let mut known = |key: &str, list: &Option<v1::TextList>| {
        let list = list
            .as_ref()
            .map(|list| list.values.as_slice())
            .unwrap_or_default();
        let mut known = Vec::new();
        for pattern in list {
            match MetricFilter::new(std::slice::from_ref(pattern), &[]) {
                Ok(_) => known.push(pattern.clone()),
                Err(unknown) => {
                    let unknown: Vec<_> = unknown.iter().map(ToString::to_string).collect();
                    problems.add(key, &format!("{}; this agent may be too old", unknown.join("; ")));
                }
            }
        }
        known
    };
    let include = known("collected_metrics", &asked.collected_metrics);
    let exclude = known("exclude_metrics", &asked.exclude_metrics);
    for pattern in include.iter().filter(|pattern| !configured.keeps_any(pattern)) {
        problems.add(
            "collected_metrics",
            &format!("{pattern} is left out by this host's configuration"),
        );
    }
    let asks_for_some = asked
        .collected_metrics
        .as_ref()
        .is_some_and(|list| !list.values.is_empty());
    if asks_for_some && include.is_empty() {
        problems.add(
            "collected_metrics",
            "none of them is known here, so what the configuration says is collected",
        );
    }
    configured
        .within(&include, &exclude)
        .unwrap_or_else(|_| configured.clone())
}

/// What could not be done.
struct Problems(Vec<v1::SettingsProblem>);

impl Problems {
    fn add(&mut self, key: &str, reason: &str) {
        self.0.push(v1::SettingsProblem {
            key: key.to_owned(),
            reason: reason.to_owned(),
        });
    }
}

/// A plan as a report says it.
fn in_force(plan: &SamplingPlan) -> v1::AgentSettings {
    let millis = |interval: Duration| u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    let list = |values: &[String]| {
        Some(v1::TextList {
            values: values.to_vec(),
        })
    };
    let DeviceFilters {
        exclude_interfaces,
        exclude_disks,
        exclude_filesystems,
        exclude_mounts,
        ..
    } = &plan.devices;
    v1::AgentSettings {
        revision: 0,
        enabled: Some(plan.running),
        collection_interval_ms: Some(millis(plan.interval)),
        local_interval_ms: Some(millis(plan.local_interval)),
        collected_metrics: list(plan.filter.narrowest()),
        exclude_metrics: list(plan.filter.excluded()),
        exclude_interfaces: list(exclude_interfaces),
        exclude_disks: list(exclude_disks),
        exclude_filesystems: list(exclude_filesystems),
        exclude_mounts: list(exclude_mounts),
        top_processes: Some(plan.top_processes as u32),
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::catalogue;

    use super::*;

    fn configured() -> SamplingPlan {
        let exclude = ["gpu".to_owned()];
        SamplingPlan {
            running: true,
            interval: Duration::from_secs(5),
            local_interval: Duration::from_secs(1),
            watched: None,
            filter: MetricFilter::new(&[], &exclude).unwrap(),
            devices: DeviceFilters {
                exclude_mounts: vec!["/secret".to_owned()],
                ..DeviceFilters::default()
            },
            top_processes: 10,
        }
    }

    fn list(values: &[&str]) -> v1::TextList {
        v1::TextList {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn settings(agent: v1::AgentSettings) -> v1::Settings {
        v1::Settings {
            agent: Some(agent),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_asked_for_is_done_and_what_the_owner_left_out_stays_out() {
        let asked = v1::AgentSettings {
            revision: 7,
            enabled: Some(false),
            collection_interval_ms: Some(9_000),
            local_interval_ms: Some(3_000),
            collected_metrics: Some(list(&["cpu", "gpu", "nonsense"])),
            exclude_metrics: Some(list(&["cpu.temperature"])),
            exclude_disks: Some(list(&["sda"])),
            exclude_mounts: Some(list(&["/mnt"])),
            top_processes: Some(3),
            ..Default::default()
        };
        let (asks, configured) = (Asked::default(), configured());
        let (plan, report) = asks.take(&settings(asked.clone()), &configured, &configured);
        let (plan, report) = (plan.unwrap(), report.unwrap());
        assert_eq!(
            (
                plan.running,
                plan.interval,
                plan.local_interval,
                plan.top_processes
            ),
            (false, Duration::from_secs(9), Duration::from_secs(3), 3)
        );
        let keeps = |path| plan.filter.keeps(catalogue::by_path(path).unwrap());
        assert!(keeps("cpu.usage_percent") && !keeps("cpu.temperature_celsius"));
        assert!(!keeps("gpu.utilization_percent") && !keeps("memory.used_bytes"));
        assert_eq!(plan.devices.exclude_disks, ["sda"], "the default gave way");
        assert_eq!(
            plan.devices.exclude_mounts,
            ["/secret", "/mnt"],
            "the owner's stays"
        );
        let in_force = report.in_force.unwrap();
        assert_eq!(
            (report.revision, in_force.collection_interval_ms),
            (7, Some(9_000))
        );
        let mut keys: Vec<_> = report
            .problems
            .iter()
            .map(|problem| problem.key.as_str())
            .collect();
        keys.dedup();
        assert_eq!(keys, ["collected_metrics", "top_processes"]);

        // The same again changes nothing, whatever somebody did meanwhile; the report says what is in force.
        let (again, report) = asks.take(&settings(asked), &configured, &configured);
        assert_eq!(again, None);
        assert_eq!(
            report.unwrap().in_force.unwrap().collection_interval_ms,
            Some(5_000)
        );
        // Nothing asked for any more is the configuration.
        let (back, _) = asks.take(&settings(v1::AgentSettings::default()), &configured, &plan);
        assert_eq!(back, Some(configured.clone()));
    }

    #[test]
    fn older_servers_ask_for_an_interval_and_get_no_report() {
        let configured = configured();
        let old = v1::Settings {
            collection_interval_ms: Some(2_000),
            ..Default::default()
        };
        let (plan, report) = Asked::default().take(&old, &configured, &configured);
        assert_eq!(plan.unwrap().interval, Duration::from_secs(2));
        assert_eq!(report, None);
        let (plan, report) = Asked::default().take(&v1::Settings::default(), &configured, &configured);
        assert_eq!((plan, report), (None, None));
    }
}
