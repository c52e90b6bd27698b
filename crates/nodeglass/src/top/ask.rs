//! What `top` asks the server.

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use super::state::{Agent, Process, State, View};
use crate::rest::Rest;

/// The figures of the fleet's rows.
const FIGURES: &str = "cpu.usage_percent,memory.usage_percent,disk.usage_percent,network.bytes_recv_per_sec,\
                       network.bytes_sent_per_sec,load.load1";
/// The span of the history above a host's processes, and the most columns that are asked for.
const HISTORY: (&str, &str) = ("-1h", "240");

/// Brings the view up to date.
pub(super) async fn look(rest: &Rest, state: &mut State, with_history: bool) -> anyhow::Result<()> {
    match state.view.clone() {
        View::Fleet => {
            let answer = rest
                .get("metrics/agents", &[("metrics", FIGURES.to_owned())])
                .await?;
            let answer: Agents = answer.json().await.context("the answer can't be read")?;
            state.agents = answer.agents.into_iter().map(Agent::from).collect();
        }
        View::Host(id) => {
            let path = format!("agents/{id}/metrics");
            let answer = rest.get(&path, &[]).await?;
            let sample: Value = answer.json().await.context("the answer can't be read")?;
            state.processes = serde_json::from_value(sample["processes"]["top"].clone()).unwrap_or_default();
            state.sample = sample;
            if with_history {
                let parameters = [
                    ("metrics", "cpu.usage_percent,memory.usage_percent".to_owned()),
                    ("start", HISTORY.0.to_owned()),
                    ("max_points", HISTORY.1.to_owned()),
                ];
                let answer = rest.get(&format!("{path}/history"), &parameters).await?;
                let history: Value = answer.json().await.context("the answer can't be read")?;
                let buckets = history["data"].as_array().map_or(&[][..], Vec::as_slice);
                state.cpu_history = series(buckets, "cpu.usage_percent");
                state.memory_history = series(buckets, "memory.usage_percent");
            }
        }
    }
    Ok(())
}

/// A series' values in percent, the oldest first.
fn series(buckets: &[Value], name: &str) -> Vec<Option<u64>> {
    buckets
        .iter()
        .map(|bucket| bucket[name].as_f64().map(|value| value.round() as u64))
        .collect()
}

#[derive(Deserialize)]
struct Agents {
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

impl Process {
    /// Bytes read and written per second, if either is known.
    pub(super) fn io(&self) -> Option<f64> {
        match (self.read_bytes_per_sec, self.write_bytes_per_sec) {
            (None, None) => None,
            (read, written) => Some(read.unwrap_or(0.0) + written.unwrap_or(0.0)),
        }
    }
}
