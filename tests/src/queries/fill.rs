//! History: samples go to the store in the order in which they were taken, slots are closed, packed and merged meanwhile, all
//! by the samples' own time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use nodeglass_chunk::row::{self, Compressor};
use nodeglass_model::{AgentId, Clock, SampleId, SystemClock, UnixMillis};
use nodeglass_server::ledger::AgentSide;
use nodeglass_store::tiers::SlotLimits;
use nodeglass_store::{AgentKey, Compactor, StagedSample, Store, StoreError};
use nodeglass_tests::engine::Engine;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::trace::Trace;
use serde_json::json;

const HOUR: Duration = Duration::from_hours(1);
/// How long a slot is open where all agents send, as with a server.
const SLOT: Duration = Duration::from_mins(5);
/// Later than all that waits to be merged.
const LATER: Duration = Duration::from_hours(24);
/// A slot is closed whenever it is said so.
const AT_ONCE: SlotLimits = SlotLimits {
    age: Duration::ZERO,
    bytes: 0,
};

/// Fill a database with history.
#[derive(Debug, Args)]
pub(crate) struct Fill {
    /// The database
    #[arg(long)]
    database: String,
    /// The trace that the values are from
    #[arg(long)]
    trace: PathBuf,
    /// Values in a sample
    #[arg(long, default_value_t = 200)]
    series: usize,
    /// Seconds between two samples
    #[arg(long, default_value_t = 5)]
    interval: u64,
    /// How many agents
    #[arg(long, default_value_t = 40)]
    agents: u32,
    /// How many hours of each, up to the last full hour
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// How many days of one agent more, `hist-long`; none without it
    #[arg(long, default_value_t = 0)]
    long_days: u32,
}

impl Fill {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        ensure!(
            self.agents > 0 && (1..=3_600).contains(&self.interval),
            "there is an agent at least, and an interval of 1 to 3600 seconds"
        );
        let store = nodeglass_store::open(&self.database).await?;
        let trace = Trace::read(&self.trace, self.series, self.interval)?;
        let names = trace.names();
        let mut agents = Vec::new();
        for number in 0..self.agents {
            agents.push(self.enrol(store.as_ref(), &format!("hist-{number}")).await?);
        }
        let end = now().floor(HOUR);
        let start = end.minus(HOUR * self.hours);
        let mut filling = Filling {
            store: store.clone(),
            trace,
            interval: Duration::from_secs(self.interval),
            compressor: Compressor::new(),
            compactor: Compactor::default(),
            stored: 0,
        };
        let mut longest = start;
        if self.long_days > 0 {
            let long = self.enrol(store.as_ref(), "hist-long").await?;
            longest = end.minus(HOUR * 24 * self.long_days).min(start);
            let alone = [long];
            let mut at = longest;
            while at < start {
                filling.slot(&alone, longest, at, HOUR).await?;
                at = at.plus(HOUR);
            }
            agents.push(long);
        }
        let mut at = start;
        while at < end {
            filling.slot(&agents, longest, at, SLOT).await?;
            at = at.plus(SLOT);
        }
        filling.merge(end.plus(LATER)).await?;
        store.drop_slots(end.plus(LATER)).await?;

        let engine = Engine::open(&self.database).await?;
        let postmaster = engine.process().await?.and_then(parent);
        let before = engine.tiers().await?;
        engine.vacuum().await?;
        let report = json!({
            "agents": self.agents, "series": names, "start": start.0, "longest": longest.0, "end": end.0,
            "samples": filling.stored,
            "tiers": before, "vacuumed": engine.tiers().await?,
            "postmaster": postmaster,
        });
        println!("{report}");
        store.close().await;
        Ok(())
    }

    async fn enrol(&self, store: &dyn Store, name: &str) -> anyhow::Result<AgentKey> {
        let id: AgentId = name.parse()?;
        match store.enrol_agent(&id, SystemClock.now()).await {
            Err(StoreError::AgentExists(_)) => {}
            done => drop(done?),
        }
        let agents = store.agents().await?;
        let found = agents.iter().find(|agent| agent.id == id);
        let key = found.map(|agent| agent.key);
        let key = key.with_context(|| format!("{name} is not there"))?;
        // Every agent that ever sent something has said how it stands.
        let side = serde_json::to_string(&AgentSide::default())?;
        store.save_agent_sides(&[(key, side)]).await?;
        Ok(key)
    }
}

/// The process that started another on this host.
fn parent(process: i32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

struct Filling {
    store: Arc<dyn Store>,
    trace: Trace,
    interval: Duration,
    compressor: Compressor,
    compactor: Compactor,
    stored: u64,
}

impl Filling {
    /// Stores the samples of some agents that were taken in one slot, closes it, and does all that is to be done then.
    /// Samples are counted from `first`.
    async fn slot(
        &mut self,
        agents: &[AgentKey],
        first: UnixMillis,
        start: UnixMillis,
        length: Duration,
    ) -> anyhow::Result<()> {
        let end = start.plus(length);
        let mut rows = Vec::new();
        let mut at = start;
        while at < end {
            let step = at.since(first).as_secs() / self.interval.as_secs();
            for agent in agents {
                let payload = self.trace.with(agent.0.unsigned_abs(), step, at, |sample| {
                    self.compressor.compress(&row::encode(sample))
                })?;
                let id = SampleId {
                    epoch: 1,
                    seq: step + 1,
                };
                rows.push(StagedSample {
                    agent: *agent,
                    id,
                    timestamp: at,
                    payload,
                    weight: 1,
                });
            }
            at = at.plus(self.interval);
        }
        let appended = self.store.append(&rows).await?;
        ensure!(
            appended.duplicate == 0,
            "the database has history of these agents already: use an empty one"
        );
        self.stored += appended.stored;
        ensure!(
            self.store.close_slot(end, AT_ONCE).await?,
            "a slot can't be closed"
        );
        while self
            .compactor
            .pack_slot(self.store.as_ref(), end)
            .await?
            .is_some()
        {}
        self.merge(end).await?;
        while self.store.drop_slots(end.plus(SLOT)).await? {}
        Ok(())
    }

    async fn merge(&mut self, now: UnixMillis) -> anyhow::Result<()> {
        while let Some(done) = self.compactor.merge(self.store.as_ref(), now).await? {
            ensure!(done.troubled_agents == 0, "an agent's chunks can't be merged");
        }
        Ok(())
    }
}
