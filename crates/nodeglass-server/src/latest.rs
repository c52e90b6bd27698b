//! Writes the newest sample of each agent down, about once a minute and at the end: for the live view of the next server,
//! and with its values for those who read the database by SQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_runtime::telemetry::chain;
use nodeglass_store::tiers::LatestSample;
use nodeglass_store::{AgentKey, Store, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::live::{Live, LiveAgent};

/// How often.
const EVERY: Duration = Duration::from_mins(1);
/// Agents in one statement; what they have is made ready in a few milliseconds.
const GROUP: usize = 100;
/// A round is spread over this part of the time until the next.
const SPREAD: u32 = 2;
/// How long the last round may take: the database may be away.
const LAST: Duration = Duration::from_secs(5);

/// Writes them down until `stop`, and once more then.
pub async fn run(store: Arc<dyn Store>, live: Arc<Live>, stop: CancellationToken) {
    let mut keeper = Keeper {
        store,
        live,
        kept: HashMap::new(),
    };
    let mut is_failing = false;
    while !stop.is_cancelled() {
        let next = Instant::now() + EVERY;
        let round = tokio::select! {
            round = keeper.round(EVERY / SPREAD) => round,
            () = stop.cancelled() => break,
        };
        match &round {
            Ok(()) if is_failing => info!("the newest samples are written down again"),
            Err(error) if !is_failing => {
                warn!(error = %chain(error), "the newest samples are not written down; trying again each minute");
            }
            _ => {}
        }
        is_failing = round.is_err();
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = stop.cancelled() => {}
        }
    }
    match tokio::time::timeout(LAST, keeper.round(Duration::ZERO)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(error = %chain(&error), "the newest samples are not written down"),
        Err(_) => warn!("the newest samples are not all written down, since the database takes too long"),
    }
}

struct Keeper {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    /// The number of each agent's sample that was written down last.
    kept: HashMap<AgentKey, u64>,
}

impl Keeper {
    /// Writes down what has changed since the last round, within `spread` unless the database takes longer.
    async fn round(&mut self, spread: Duration) -> Result<(), StoreError> {
        let agents = self.live.all();
        let groups = agents.len().div_ceil(GROUP).max(1);
        let pause = spread / u32::try_from(groups).unwrap_or(u32::MAX);
        for group in agents.chunks(GROUP) {
            let (samples, numbers): (Vec<_>, Vec<_>) =
                group.iter().filter_map(|agent| self.changed(agent)).unzip();
            if !samples.is_empty() {
                self.store.save_latest(&samples).await?;
                self.kept.extend(numbers);
            }
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// An agent's sample and its number, unless it was written down before or read when the server started.
    fn changed(&self, agent: &LiveAgent) -> Option<(LatestSample, (AgentKey, u64))> {
        let live = agent.latest().sample?;
        if self.kept.get(&agent.key) == Some(&live.number) {
            return None;
        }
        let latest = LatestSample {
            agent: agent.key,
            id: live.id?,
            timestamp: live.timestamp,
            payload: live.row(),
        };
        Some((latest, (agent.key, live.number)))
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_chunk::row;
    use nodeglass_model::{Sample, SampleId, UnixMillis};
    use nodeglass_store::AgentRecord;

    use super::*;

    #[tokio::test]
    async fn what_changed_is_written_down_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", directory.path().display());
        let store = nodeglass_store::open(&url).await.unwrap();
        let live = Arc::new(Live::default());
        let mut agents = Vec::new();
        for number in 0..250_u8 {
            let id = format!("host-{number}").parse().unwrap();
            let key = store.enrol_agent(&id, UnixMillis(0)).await.unwrap();
            agents.push(live.admit(&AgentRecord {
                key,
                id,
                system_info: None,
            }));
        }
        let mut keeper = Keeper {
            store: store.clone(),
            live,
            kept: HashMap::new(),
        };
        let show = |agent: &LiveAgent, second: i64| {
            let mut sample = Sample {
                timestamp: UnixMillis::from_seconds(second),
                ..Default::default()
            };
            sample.cpu.usage_percent = Some(1.5);
            let seq = second.unsigned_abs();
            agent.show(SampleId { epoch: 1, seq }, sample);
        };
        let written = async |keeper: &mut Keeper| {
            keeper.round(Duration::ZERO).await.unwrap();
            let latest = store.latest().await.unwrap();
            let seconds = latest.iter().map(|latest| latest.timestamp.seconds());
            (latest.len(), seconds.sum::<i64>())
        };
        assert_eq!(written(&mut keeper).await, (0, 0));
        for agent in &agents[10..] {
            show(agent, 1);
        }
        // What was read from the store is there already.
        agents[0].restore(UnixMillis::from_seconds(1), Some(Sample::default()));
        assert_eq!(written(&mut keeper).await, (240, 240));
        show(&agents[30], 5);
        let changed = agents.iter().filter_map(|agent| keeper.changed(agent));
        let changed: Vec<_> = changed.collect();
        assert_eq!(changed.len(), 1, "the one that was shown since");
        assert_eq!(changed[0].0.agent, agents[30].key);
        let said = row::decode(&changed[0].0.payload, changed[0].0.timestamp).unwrap();
        assert_eq!(said.cpu.usage_percent, Some(1.5));
        assert_eq!(written(&mut keeper).await, (240, 244));
        store.close().await;
    }
}
