//! What a push says, and the sample that it stands for.
//!
//! Percentages, milliseconds and rates go to the catalogue's metrics as they are. Counters since the host's start, as Python's
//! `psutil.net_io_counters()` gives them, become rates with the push before.

use std::collections::BTreeMap;

use nodeglass_model::rates;
use nodeglass_model::sample::{AppMetrics, CustomMetrics, DiskMetrics, NetworkMetrics};
use nodeglass_model::{Sample, UnixMillis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Custom metrics in one push; a program that has more pushes as several.
pub const MAX_CUSTOM: usize = 64;
/// Bytes of a custom metric's name.
const MAX_NAME_BYTES: usize = 64;
/// Mounts in one push; hosts with more have an agent.
const MAX_MOUNTS: usize = 32;
/// What the network of a host is called that does not say of which interface its figures are.
pub const ALL_INTERFACES: &str = "all";
/// Numbers from this on are milliseconds, below it seconds, as everywhere in the API.
const FIRST_MILLIS: f64 = 1e11;
/// The file system that one number for all disks is of.
const ROOT: &str = "/";

/// The body of a push. Everything may be left out, or `null`; what is not known is not zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// When it was measured: Unix seconds or milliseconds, or ISO 8601, which is UTC if it does not say otherwise. Without it,
    /// when it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Moment>,
    /// Percent of all cores.
    #[schema(minimum = 0, maximum = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_usage: Option<f64>,
    /// Percent.
    #[schema(minimum = 0, maximum = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_usage: Option<f64>,
    /// Percent of `/`, or of each mount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_usage: Option<DiskUsage>,
    /// Bytes per second both ways, or more in detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_io: Option<NetworkIo>,
    /// Milliseconds.
    #[schema(minimum = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_time: Option<f64>,
    /// Requests in a minute.
    #[schema(minimum = 0)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<f64>,
    /// Percent.
    #[schema(minimum = 0, maximum = 100)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// Figures of one's own by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_metrics: Option<BTreeMap<String, Option<f64>>>,
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "a time: Unix seconds or milliseconds, or text such as 2026-01-31T12:00:00Z"
)]
pub enum Moment {
    /// Unix seconds or milliseconds.
    Number(f64),
    /// ISO 8601.
    Text(String),
}

/// How full disks are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "disk_usage: a percentage, or an object of percentages by mount point"
)]
pub enum DiskUsage {
    /// Percent of `/`.
    Root(f64),
    /// Percent by mount point.
    Mounts(BTreeMap<String, f64>),
}

/// What goes over the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "network_io: bytes per second, or an object with bytes_sent_per_sec and bytes_recv_per_sec, or with the counters \
                 of psutil.net_io_counters()"
)]
pub enum NetworkIo {
    /// Bytes per second, both ways together.
    Both(f64),
    /// Bytes per second, each way.
    Rates(NetworkRates),
    /// Counters since the host started.
    Counters(NetworkCounters),
}

/// Bytes per second, each way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRates {
    /// Sent.
    pub bytes_sent_per_sec: Option<f64>,
    /// Received.
    pub bytes_recv_per_sec: Option<f64>,
}

/// Counters since the host started, by psutil's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkCounters {
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_recv: u64,
    /// Packets sent.
    pub packets_sent: Option<u64>,
    /// Packets received.
    pub packets_recv: Option<u64>,
    /// Errors on the way in.
    pub errin: Option<u64>,
    /// Errors on the way out.
    pub errout: Option<u64>,
    /// Packets dropped on the way in.
    pub dropin: Option<u64>,
    /// Packets dropped on the way out.
    pub dropout: Option<u64>,
}

/// Counters as they were at some moment.
pub(super) type Before = (UnixMillis, NetworkCounters);

/// What is wrong with a push: in which field, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidPush {
    /// The field.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub problem: String,
}

fn wrong(field: &'static str, problem: impl Into<String>) -> InvalidPush {
    InvalidPush {
        field,
        problem: problem.into(),
    }
}

impl Push {
    /// When it was measured, if it says so.
    ///
    /// # Errors
    /// What it says is no time.
    pub fn moment(&self) -> Result<Option<UnixMillis>, InvalidPush> {
        let no_time = |text: String| {
            wrong(
                "timestamp",
                format!("{text:?} is no time: give Unix seconds or milliseconds, or 2026-01-31T12:00:00Z"),
            )
        };
        match &self.timestamp {
            None => Ok(None),
            Some(Moment::Number(number)) => {
                let millis = if number.abs() < FIRST_MILLIS {
                    number * 1000.0
                } else {
                    *number
                };
                let at = UnixMillis(millis.round() as i64);
                (at.0 > 0)
                    .then_some(at)
                    .ok_or_else(|| no_time(number.to_string()))
                    .map(Some)
            }
            Some(Moment::Text(text)) => {
                let at = parse_iso(text);
                at.ok_or_else(|| no_time(text.chars().take(40).collect()))
                    .map(Some)
            }
        }
    }

    /// The names of the custom metrics that have a value.
    pub fn custom(&self) -> impl Iterator<Item = (&str, f64)> {
        let custom = self.custom_metrics.iter().flatten();
        custom.filter_map(|(name, value)| value.map(|value| (name.as_str(), value)))
    }

    /// The counters that it has.
    pub fn counters(&self) -> Option<&NetworkCounters> {
        match &self.network_io {
            Some(NetworkIo::Counters(counters)) => Some(counters),
            _ => None,
        }
    }

    /// The sample that it stands for, with rates of its counters since `before`.
    ///
    /// # Errors
    /// Nothing in it, too much of something, or a name that is none.
    pub fn sample(&self, at: UnixMillis, before: Option<&Before>) -> Result<Sample, InvalidPush> {
        let custom: Vec<_> = self.custom().collect();
        if custom.len() > MAX_CUSTOM {
            let problem = format!("{} are too many for one push; at most {MAX_CUSTOM}", custom.len());
            return Err(wrong("custom_metrics", problem));
        }
        let mut sample = Sample {
            timestamp: at,
            ..Default::default()
        };
        sample.cpu.usage_percent = self.cpu_usage;
        sample.memory.usage_percent = self.memory_usage;
        sample.app = AppMetrics {
            response_time_ms: self.response_time,
            requests_per_minute: self.requests_per_minute,
            error_percent: self.error_rate,
            network_bytes_per_sec: None,
        };
        for (name, value) in custom {
            check_name(name)?;
            sample.custom.push(CustomMetrics {
                name: name.to_owned(),
                value: Some(value),
            });
        }
        if let Some(usage) = &self.disk_usage {
            sample.disks = disks(usage)?;
        }
        if let Some(network) = &self.network_io {
            add_network(&mut sample, network, before)?;
        }
        let empty = Sample {
            timestamp: at,
            ..Default::default()
        };
        if sample == empty {
            return Err(wrong(
                "body",
                "there is no figure in it: give at least one of cpu_usage, memory_usage, disk_usage, network_io, response_time, \
                 requests_per_minute, error_rate and custom_metrics",
            ));
        }
        Ok(sample)
    }
}

/// ISO 8601 with or without an offset; without one it is UTC, as Python's `utcnow().isoformat()` means it.
fn parse_iso(text: &str) -> Option<UnixMillis> {
    let is_iso = text.is_ascii() && text.as_bytes().get(4) == Some(&b'-');
    if !is_iso {
        return None;
    }
    let (text, ahead_minutes) = match text.len().checked_sub(6).map(|at| text.split_at(at)) {
        Some((stem, offset))
            if offset.starts_with(['+', '-']) && offset.as_bytes()[3] == b':' && stem.contains(':') =>
        {
            let hours: i64 = offset[1..3].parse().ok()?;
            let minutes: i64 = offset[4..].parse().ok()?;
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            (stem, sign * (hours * 60 + minutes))
        }
        _ => (text, 0),
    };
    let at = UnixMillis::parse(text, UnixMillis(0)).ok()?;
    Some(UnixMillis(at.0 - ahead_minutes * 60_000))
}

/// Names are part of series, of lists of series, and of URLs.
fn check_name(name: &str) -> Result<(), InvalidPush> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-:/".contains(c);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let name: String = name.chars().take(MAX_NAME_BYTES).collect();
    let problem =
        format!("{name:?} is no name: use 1 to {MAX_NAME_BYTES} letters, digits, '.', '_', '-', ':' and '/'");
    Err(wrong("custom_metrics", problem))
}

fn disks(usage: &DiskUsage) -> Result<Vec<DiskMetrics>, InvalidPush> {
    let disk = |mount: &str, percent: f64| DiskMetrics {
        mount_point: mount.to_owned(),
        usage_percent: Some(percent),
        ..Default::default()
    };
    match usage {
        DiskUsage::Root(percent) => Ok(vec![disk(ROOT, *percent)]),
        DiskUsage::Mounts(mounts) if mounts.len() > MAX_MOUNTS => {
            let problem = format!("{} mounts are too many; at most {MAX_MOUNTS}", mounts.len());
            Err(wrong("disk_usage", problem))
        }
        DiskUsage::Mounts(mounts) => {
            if mounts.keys().any(String::is_empty) {
                return Err(wrong("disk_usage", "a mount point is empty: give its path"));
            }
            Ok(mounts
                .iter()
                .map(|(mount, percent)| disk(mount, *percent))
                .collect())
        }
    }
}

/// Bytes per second as samples have them.
fn whole(rate: f64) -> Result<u64, InvalidPush> {
    if rate.is_finite() && rate >= 0.0 {
        return Ok(rate.round() as u64);
    }
    Err(wrong(
        "network_io",
        format!("{rate} is no rate: give bytes per second, 0 or more"),
    ))
}

fn add_network(sample: &mut Sample, network: &NetworkIo, before: Option<&Before>) -> Result<(), InvalidPush> {
    let mut all = NetworkMetrics {
        interface: ALL_INTERFACES.to_owned(),
        ..Default::default()
    };
    match network {
        NetworkIo::Both(rate) => {
            sample.app.network_bytes_per_sec = Some(whole(*rate)?);
            return Ok(());
        }
        NetworkIo::Rates(rates) => {
            all.bytes_sent_per_sec = rates.bytes_sent_per_sec.map(whole).transpose()?;
            all.bytes_recv_per_sec = rates.bytes_recv_per_sec.map(whole).transpose()?;
        }
        NetworkIo::Counters(now) => {
            (all.errors_in, all.errors_out) = (now.errin, now.errout);
            (all.drops_in, all.drops_out) = (now.dropin, now.dropout);
            if let Some((then, old)) = before.filter(|(then, _)| *then < sample.timestamp) {
                let elapsed = sample.timestamp.since(*then);
                let rate = |old: Option<u64>, now: Option<u64>| rates::per_second(old?, now?, elapsed);
                all.bytes_sent_per_sec = rate(Some(old.bytes_sent), Some(now.bytes_sent));
                all.bytes_recv_per_sec = rate(Some(old.bytes_recv), Some(now.bytes_recv));
                all.packets_sent_per_sec = rate(old.packets_sent, now.packets_sent);
                all.packets_recv_per_sec = rate(old.packets_recv, now.packets_recv);
            }
        }
    }
    sample.network_interfaces.push(all);
    Ok(())
}

#[cfg(test)]
mod tests;
