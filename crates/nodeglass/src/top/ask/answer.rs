//! What the server's answers look like, and what is kept of them.

use serde::Deserialize;
use serde_json::Value;

use crate::top::state::{Agent, Host, Process};

/// Buckets that lie further apart than so many of the usual distance have a gap between them.
const GAP: f64 = 2.5;

/// `GET /metrics/agents`.
#[derive(Deserialize)]
pub(super) struct Agents {
    agents: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    agent_id: String,
    status: String,
    last_metrics_update: Option<i64>,
    #[serde(default)]
    metrics: Value,
}

impl From<Agents> for Vec<Agent> {
    fn from(answer: Agents) -> Self {
        answer.agents.into_iter().map(Agent::from).collect()
    }
}

impl From<Entry> for Agent {
    fn from(entry: Entry) -> Self {
        let figure = |section: &str, name: &str| entry.metrics[section][name].as_f64();
        Self {
            is_connected: entry.status == "connected",
            updated_ms: entry.last_metrics_update,
            cpu: figure("cpu", "usage_percent"),
            memory: figure("memory", "usage_percent"),
            disk: figure("disk", "usage_percent"),
            received: figure("network", "bytes_recv_per_sec"),
            sent: figure("network", "bytes_sent_per_sec"),
            load: figure("load", "load1"),
            id: entry.agent_id,
        }
    }
}

/// `GET /agents/{id}`.
#[derive(Deserialize)]
pub(super) struct Description {
    status: String,
    collection_interval_seconds: Option<f64>,
}

impl Description {
    /// The host, with its latest sample.
    pub(super) fn with(self, sample: Option<Value>) -> Host {
        let sample = sample.unwrap_or_default();
        Host {
            is_connected: self.status == "connected",
            interval_seconds: self.collection_interval_seconds,
            taken_ms: sample["timestamp"].as_i64(),
            processes: Vec::<Process>::deserialize(&sample["processes"]["top"]).unwrap_or_default(),
            sample,
        }
    }
}

/// `GET /agents/{id}/metrics/history`.
#[derive(Deserialize)]
pub(super) struct Past {
    query: Query,
    /// Those without any figure are left out.
    data: Vec<Value>,
}

#[derive(Deserialize)]
struct Query {
    start_timestamp: i64,
    end_timestamp: i64,
    interval_seconds: i64,
}

/// The last hour in slots of the same width, in percent, the oldest first; a slot without samples is empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::top) struct History {
    pub(in crate::top) cpu: Vec<Option<f64>>,
    pub(in crate::top) memory: Vec<Option<f64>>,
}

impl From<Past> for History {
    fn from(answer: Past) -> Self {
        let width = answer.query.interval_seconds.max(1);
        // Buckets begin at whole multiples of their width.
        let start = answer.query.start_timestamp.div_euclid(width);
        let end = answer.query.end_timestamp.div_euclid(width);
        let slots = usize::try_from(end - start + 1).unwrap_or(0);
        let series = |name: &str| {
            let known: Vec<(usize, f64)> = answer
                .data
                .iter()
                .filter_map(|bucket| {
                    let slot = bucket["timestamp"].as_i64()?.div_euclid(width) - start;
                    Some((usize::try_from(slot).ok()?, bucket[name].as_f64()?))
                })
                .filter(|(slot, _)| *slot < slots)
                .collect();
            fill(slots, &known)
        };
        Self {
            cpu: series("cpu.usage_percent"),
            memory: series("memory.usage_percent"),
        }
    }
}

/// Slots with what is known in them. What an agent that samples more rarely than slots are wide has last said holds until it
/// says more; where it is silent for longer than it usually is, there is a gap.
fn fill(slots: usize, known: &[(usize, f64)]) -> Vec<Option<f64>> {
    let mut distances: Vec<usize> = known.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    distances.sort_unstable();
    let usual = distances
        .get(distances.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(1);
    let mut filled = vec![None; slots];
    for (number, (slot, value)) in known.iter().enumerate() {
        let next = known.get(number + 1).map(|(next, _)| *next);
        let end = match next {
            Some(next) if (next - slot) as f64 <= usual as f64 * GAP => next,
            // Into a gap it holds no longer than usual.
            _ => (slot + usual).min(slots),
        };
        filled[*slot..end].fill(Some(*value));
    }
    filled
}

impl Process {
    /// Bytes read and written per second, if either is known.
    pub(in crate::top) fn io(&self) -> Option<f64> {
        match (self.read_bytes_per_sec, self.write_bytes_per_sec) {
            (None, None) => None,
            (read, written) => Some(read.unwrap_or(0.0) + written.unwrap_or(0.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn history(width: i64, data: &Value) -> History {
        let query = json!({"start_timestamp": 103, "end_timestamp": 163, "interval_seconds": width});
        serde_json::from_value::<Past>(json!({"query": query, "data": data}))
            .unwrap()
            .into()
    }

    #[test]
    fn slots_are_as_many_as_the_span_has_and_those_without_samples_stay_empty() {
        let history = history(
            15,
            &json!([
                {"timestamp": 75, "cpu.usage_percent": 9.0},
                {"timestamp": 90, "cpu.usage_percent": 10.4},
                {"timestamp": 105, "cpu.usage_percent": 11.0},
                {"timestamp": 150, "cpu.usage_percent": 0.0, "memory.usage_percent": 50.0},
                {"timestamp": 180, "cpu.usage_percent": 7.0},
            ]),
        );
        assert_eq!(history.cpu, [Some(10.4), Some(11.0), None, None, Some(0.0)]);
        assert_eq!(history.memory, [None, None, None, None, Some(50.0)]);
    }

    #[test]
    fn rare_samples_hold_until_the_next_and_a_gap_stays_one() {
        let each_third = [(0, 1.0), (3, 2.0), (6, 3.0), (15, 4.0)];
        let filled = fill(20, &each_third);
        assert_eq!(
            filled[..9],
            [[Some(1.0); 3], [Some(2.0); 3], [Some(3.0); 3]].concat()
        );
        assert_eq!(filled[9..15], [None; 6]);
        assert_eq!(filled[15..], [Some(4.0), Some(4.0), Some(4.0), None, None]);
        assert_eq!(fill(2, &[]), [None; 2]);
    }

    #[test]
    fn a_host_without_a_sample_has_no_figures() {
        let description = Description {
            status: "connected".to_owned(),
            collection_interval_seconds: None,
        };
        let host = description.with(None);
        assert_eq!(
            (host.is_connected, host.taken_ms, host.processes.len()),
            (true, None, 0)
        );
    }
}
