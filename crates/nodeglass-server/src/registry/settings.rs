//! What is asked of agents: intervals, metrics, devices, processes. What is asked of all stands below what is asked of a
//! group, and that below what is asked of one agent.

use std::collections::BTreeMap;
use std::time::Duration;

use nodeglass_model::filter::MetricFilter;
use nodeglass_proto::v1;
use serde::{Deserialize, Serialize};

/// The intervals that an agent may be asked for, in seconds: those of its own configuration.
pub(crate) const INTERVALS: std::ops::RangeInclusive<u32> = 1..=3_600;
/// Processes of each kind that a sample has room for.
const MAX_TOP: u32 = 100;
/// Patterns in one list.
const MAX_PATTERNS: usize = 200;
/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 256;

macro_rules! settings {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)+) => {
        /// What is asked of an agent. What is absent is left to whoever stands below: the group, all, the agent's own
        /// configuration.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct AgentSettings {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $key: Option<$type>,)+
        }

        impl AgentSettings {
            /// Takes over what another asks for, and notes for each key who that was.
            fn overlay(&mut self, other: &Self, name: &str, origins: &mut BTreeMap<&'static str, String>) {
                $(if other.$key.is_some() {
                    self.$key.clone_from(&other.$key);
                    origins.insert(stringify!($key), name.to_owned());
                })+
            }
        }
    };
}

settings! {
    /// Whether to sample at all.
    enabled: bool,
    /// The time from one sample for the server to the next, 1 to 3600.
    collection_interval_seconds: u32,
    /// The time from one sample for the local history to the next, 1 to 3600.
    local_interval_seconds: u32,
    /// What is collected: metrics, or beginnings of their names (`cpu`, `disk.used`). Empty is everything.
    collected_metrics: Vec<String>,
    /// What is left out of that.
    exclude_metrics: Vec<String>,
    /// Network interfaces that are left out, as patterns.
    exclude_interfaces: Vec<String>,
    /// Block devices that are left out.
    exclude_disks: Vec<String>,
    /// Types of file systems that are left out.
    exclude_filesystems: Vec<String>,
    /// Mount points that are left out.
    exclude_mounts: Vec<String>,
    /// How many processes are shown for each of processor time, memory, disk I/O and GPU memory, 0 to 100.
    top_processes: u32,
}

impl AgentSettings {
    /// Checks what is asked for.
    ///
    /// # Errors
    /// Something can't be; says which and what could.
    pub fn check(&self) -> Result<(), String> {
        for (key, interval) in [
            ("collection_interval_seconds", self.collection_interval_seconds),
            ("local_interval_seconds", self.local_interval_seconds),
        ] {
            if interval.is_some_and(|seconds| !INTERVALS.contains(&seconds)) {
                return Err(format!(
                    "{key}: it is within {} to {}",
                    INTERVALS.start(),
                    INTERVALS.end()
                ));
            }
        }
        if self.top_processes.is_some_and(|count| count > MAX_TOP) {
            return Err(format!("top_processes: it is within 0 to {MAX_TOP}"));
        }
        let lists = [
            ("collected_metrics", &self.collected_metrics),
            ("exclude_metrics", &self.exclude_metrics),
            ("exclude_interfaces", &self.exclude_interfaces),
            ("exclude_disks", &self.exclude_disks),
            ("exclude_filesystems", &self.exclude_filesystems),
            ("exclude_mounts", &self.exclude_mounts),
        ];
        for (key, list) in lists {
            let Some(list) = list else { continue };
            if list.len() > MAX_PATTERNS {
                return Err(format!("{key}: at most {MAX_PATTERNS} entries"));
            }
            if list
                .iter()
                .any(|entry| entry.is_empty() || entry.len() > MAX_PATTERN_BYTES || entry.contains('\0'))
            {
                return Err(format!("{key}: an entry has 1 to {MAX_PATTERN_BYTES} bytes"));
            }
        }
        let metrics = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        for (key, list) in [
            ("collected_metrics", metrics(&self.collected_metrics)),
            ("exclude_metrics", metrics(&self.exclude_metrics)),
        ] {
            MetricFilter::new(&[], &list).map_err(|unknown| {
                let unknown: Vec<_> = unknown.iter().map(ToString::to_string).collect();
                format!("{key}: {}", unknown.join("; "))
            })?;
        }
        Ok(())
    }

    /// These settings with some changed, as a JSON merge patch says: what is null goes back to whoever stands below.
    ///
    /// # Errors
    /// What comes of it can't be; says why.
    pub fn patched(&self, patch: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let mut all = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let Some(keys) = all.as_object_mut() else {
            return Err("settings are an object".to_owned());
        };
        for (key, value) in patch {
            keys.insert(key.clone(), value.clone());
        }
        let patched: Self = serde_json::from_value(all).map_err(|error| error.to_string())?;
        patched.check()?;
        Ok(patched)
    }

    /// These settings with samples of what is named; nothing named is everything.
    #[must_use]
    pub fn started(&self, interval_seconds: u32, metrics: Vec<String>) -> Self {
        Self {
            enabled: Some(true),
            collected_metrics: (!metrics.is_empty()).then_some(metrics),
            ..self.with_interval(interval_seconds)
        }
    }

    /// These settings without samples.
    #[must_use]
    pub fn stopped(&self) -> Self {
        Self {
            enabled: Some(false),
            ..self.clone()
        }
    }

    /// These settings with another interval; 0 leaves it to whoever stands below.
    #[must_use]
    pub fn with_interval(&self, interval_seconds: u32) -> Self {
        Self {
            collection_interval_seconds: (interval_seconds > 0).then_some(interval_seconds),
            ..self.clone()
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn to_wire(&self, revision: u64) -> v1::AgentSettings {
        let list = |list: &Option<Vec<String>>| list.clone().map(|values| v1::TextList { values });
        let millis = |seconds: Option<u32>| seconds.map(|seconds| seconds.saturating_mul(1_000));
        v1::AgentSettings {
            revision,
            enabled: self.enabled,
            collection_interval_ms: millis(self.collection_interval_seconds),
            local_interval_ms: millis(self.local_interval_seconds),
            collected_metrics: list(&self.collected_metrics),
            exclude_metrics: list(&self.exclude_metrics),
            exclude_interfaces: list(&self.exclude_interfaces),
            exclude_disks: list(&self.exclude_disks),
            exclude_filesystems: list(&self.exclude_filesystems),
            exclude_mounts: list(&self.exclude_mounts),
            top_processes: self.top_processes,
        }
    }

    /// What an agent says is in force. Texts and lists are cut: an agent that says more is none of ours.
    fn of_wire(wire: v1::AgentSettings) -> Self {
        let list = |list: Option<v1::TextList>| {
            let entries = list?.values.into_iter().take(MAX_PATTERNS);
            Some(entries.map(|entry| short(&entry, MAX_PATTERN_BYTES)).collect())
        };
        let seconds = |millis: Option<u32>| millis.map(|millis| millis.div_ceil(1_000));
        Self {
            enabled: wire.enabled,
            collection_interval_seconds: seconds(wire.collection_interval_ms),
            local_interval_seconds: seconds(wire.local_interval_ms),
            collected_metrics: list(wire.collected_metrics),
            exclude_metrics: list(wire.exclude_metrics),
            exclude_interfaces: list(wire.exclude_interfaces),
            exclude_disks: list(wire.exclude_disks),
            exclude_filesystems: list(wire.exclude_filesystems),
            exclude_mounts: list(wire.exclude_mounts),
            top_processes: wire.top_processes,
        }
    }
}

fn short(text: &str, most: usize) -> String {
    text.chars().take(most).filter(|letter| *letter != '\0').collect()
}

/// What is asked of an agent, all together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What.
    pub settings: AgentSettings,
    /// By whom, for each key: `server` for the server's configuration, `group:NAME`, `agent`.
    pub origins: BTreeMap<&'static str, String>,
}

impl Wanted {
    /// Starts with what the server's configuration asks of all.
    pub fn of_server(collection_interval: Option<Duration>) -> Self {
        let mut wanted = Self::default();
        let seconds =
            collection_interval.map(|interval| u32::try_from(interval.as_secs()).unwrap_or(u32::MAX));
        wanted.and(
            &AgentSettings {
                collection_interval_seconds: seconds,
                ..AgentSettings::default()
            },
            "server",
        );
        wanted
    }

    /// Puts what another asks for above that.
    pub fn and(&mut self, settings: &AgentSettings, name: &str) {
        self.settings.overlay(settings, name, &mut self.origins);
    }

    /// Whether it is the server's configuration that asks for this.
    pub fn is_by_server(&self, key: &str) -> bool {
        self.origins.get(key).is_some_and(|who| who == "server")
    }

    /// A number that stands for these very settings, the same after a restart.
    pub fn revision(&self) -> u64 {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let json = serde_json::to_vec(&self.settings).expect("texts and numbers can be written");
        // FNV-1a; 0 would stand for no revision.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        json.iter().fold(BASIS, hash) | 1
    }

    /// As it goes to the agent.
    pub fn to_wire(&self) -> v1::AgentSettings {
        self.settings.to_wire(self.revision())
    }
}

/// What an agent says is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The settings that it is about.
    pub revision: u64,
    /// What is in force, of its own configuration and of what it was asked for.
    pub in_force: AgentSettings,
    /// What could not be done: key and reason.
    pub problems: Vec<Problem>,
}

/// What could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SettingsProblem)]
pub struct Problem {
    /// Of which key.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl From<v1::SettingsReport> for Report {
    fn from(wire: v1::SettingsReport) -> Self {
        /// Problems that are kept: more than there are keys.
        const MAX_PROBLEMS: usize = 32;
        let problems = wire.problems.into_iter().take(MAX_PROBLEMS);
        Self {
            revision: wire.revision,
            in_force: AgentSettings::of_wire(wire.in_force.unwrap_or_default()),
            problems: problems
                .map(|problem| Problem {
                    key: short(&problem.key, 64),
                    reason: short(&problem.reason, 400),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> AgentSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn who_stands_above_decides_key_by_key() {
        let mut wanted = Wanted::of_server(Some(Duration::from_secs(30)));
        wanted.and(
            &settings(r#"{"top_processes": 5, "exclude_disks": ["sda"]}"#),
            "group:all",
        );
        wanted.and(&settings(r#"{"collection_interval_seconds": 10}"#), "group:web");
        wanted.and(&settings(r#"{"exclude_disks": []}"#), "agent");
        let expected = r#"{"collection_interval_seconds":10,"exclude_disks":[],"top_processes":5}"#;
        assert_eq!(serde_json::to_string(&wanted.settings).unwrap(), expected);
        let origins: Vec<_> = wanted
            .origins
            .iter()
            .map(|(key, who)| (*key, who.as_str()))
            .collect();
        assert_eq!(
            origins,
            [
                ("collection_interval_seconds", "group:web"),
                ("exclude_disks", "agent"),
                ("top_processes", "group:all")
            ]
        );
        let other = Wanted::of_server(Some(Duration::from_secs(31)));
        assert_ne!(wanted.revision(), other.revision());
        assert_eq!(Wanted::default().revision(), Wanted::of_server(None).revision());
    }

    #[test]
    fn what_can_not_be_is_refused_with_its_key() {
        for (json, key) in [
            (
                r#"{"collection_interval_seconds": 0}"#,
                "collection_interval_seconds",
            ),
            (r#"{"local_interval_seconds": 3601}"#, "local_interval_seconds"),
            (r#"{"top_processes": 101}"#, "top_processes"),
            (r#"{"collected_metrics": ["cpuu"]}"#, "collected_metrics"),
            (r#"{"exclude_metrics": [""]}"#, "exclude_metrics"),
        ] {
            let problem = settings(json).check().unwrap_err();
            assert!(problem.starts_with(key), "{problem}");
        }
        assert!(
            settings(r#"{"collected_metrics": ["cpu.usage_percent", "disk"]}"#)
                .check()
                .is_ok()
        );
        let before = settings(r#"{"top_processes": 5, "exclude_mounts": ["/mnt"]}"#);
        let patch = serde_json::json!({"top_processes": null, "collection_interval_seconds": 7});
        let after = before.patched(patch.as_object().unwrap()).unwrap();
        assert_eq!(
            after,
            settings(r#"{"exclude_mounts": ["/mnt"], "collection_interval_seconds": 7}"#)
        );
        let wrong = serde_json::json!({"interval": 7});
        assert!(
            before
                .patched(wrong.as_object().unwrap())
                .unwrap_err()
                .contains("interval")
        );
    }

    #[test]
    fn the_wire_says_the_same() {
        let all = settings(
            r#"{"enabled": false, "collection_interval_seconds": 10, "local_interval_seconds": 2,
                "collected_metrics": ["cpu"], "exclude_metrics": [], "exclude_interfaces": ["veth*"],
                "exclude_disks": ["sr?"], "exclude_filesystems": ["nfs"], "exclude_mounts": ["/mnt"], "top_processes": 0}"#,
        );
        assert_eq!(AgentSettings::of_wire(all.to_wire(1)), all);
        assert_eq!(
            AgentSettings::of_wire(AgentSettings::default().to_wire(1)),
            AgentSettings::default()
        );
    }
}
