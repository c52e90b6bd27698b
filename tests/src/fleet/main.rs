//! `nodeglass-fleet`: many agents for a server to bear, over real gRPC, each sending what a recorded host did at its pace.
//!
//! It prints a line of JSON at each turn of the run, so that whoever measures the server knows what it is doing: `connected`,
//! `measuring`, `measured`, and `done` with what the store has of all that was sent. All of it runs on one thread.

mod database;
mod player;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use nodeglass_agent::identity::Identity;
use nodeglass_model::{AgentId, SampleId};
use nodeglass_runtime::tls::Pin;
use nodeglass_store::Store;
use nodeglass_tests::PATIENCE;
use nodeglass_tests::engine::Engine;
use nodeglass_tests::enrolled::by_database;
use nodeglass_tests::fake_agent::FakeAgent;
use nodeglass_tests::trace::{self, Trace};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tonic::{Code, Status};

use database::Found;
use player::{EPOCH, Phase, Player, Tally, World};

/// Sessions that are opened at once.
const OPENING: usize = 64;
/// The pause before a server that has its hands full is asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long the server is left alone once everybody is connected, so that what connecting cost is over.
const CALM: Duration = Duration::from_secs(2);
/// How often a commit is timed while it is measured: what it costs the database is in what is measured.
const PROBE: Duration = Duration::from_secs(2);
/// Of so many agents the samples themselves are compared with what was sent, and not only their identities.
const COMPARED: usize = 20;

/// Many agents for a server to bear.
#[derive(Debug, Parser)]
struct Fleet {
    /// The server's address
    #[arg(long)]
    server: String,
    /// The CA of a server that speaks TLS
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The server's database, in which the agents are enrolled
    #[arg(long)]
    database: String,
    /// The trace that the agents' values are from: CSV with a column for the time and one for each series, a row a second
    #[arg(long)]
    trace: PathBuf,
    /// How many agents
    #[arg(long, default_value_t = 200)]
    agents: u32,
    /// Values in a sample
    #[arg(long, default_value_t = 200)]
    series: usize,
    /// Seconds between two samples of an agent
    #[arg(long, default_value_t = 5)]
    interval: u64,
    /// How long it is measured, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How long they send before it is measured, in seconds: two intervals at the least
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// Replay a backlog as fast as it is acknowledged, rather than a sample each interval
    #[arg(long)]
    back_to_back: bool,
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    nodeglass_server::listener::raise_open_files();
    LocalSet::new().block_on(&runtime, Fleet::parse().run())
}

fn say(event: &str, mut line: Value) {
    line["event"] = event.into();
    println!("{line}");
}

impl Fleet {
    async fn run(self) -> anyhow::Result<()> {
        ensure!(
            self.agents > 0 && self.interval > 0,
            "a fleet has agents, and an interval"
        );
        let store = nodeglass_store::open(&self.database).await?;
        let engine = Engine::open(&self.database).await?;
        let identities = self.enrol(&store).await?;
        let trace = Trace::read(&self.trace, self.series, self.interval)?;
        let series = trace.series();
        let process = engine.process().await?;
        say(
            "enrolled",
            json!({ "series": series, "database_process": process, "tiers": engine.tiers().await? }),
        );

        let (phase, follow) = watch::channel(Phase::Connecting);
        let world = Rc::new(World {
            trace: RefCell::new(trace),
            tally: RefCell::default(),
            interval: Duration::from_secs(self.interval),
            agents: self.agents,
            phase: follow,
        });
        let mut players = self.connect(&world, identities).await?;
        tokio::time::sleep(CALM).await;
        say("connected", json!({}));

        phase.send_replace(Phase::Sending);
        // A first sample says which devices there are; what those after it cost is what counts.
        let warm = if self.back_to_back {
            CALM
        } else {
            (world.interval * 2).max(Duration::from_secs(self.warm_up))
        };
        until_then(&mut players, warm).await?;
        phase.send_replace(Phase::Measuring);
        say("measuring", self.standing(&world, &engine).await?);
        let commits = self.measure(&mut players, &engine).await?;
        say("measured", self.standing(&world, &engine).await?);
        let waits = std::mem::take(&mut world.tally.borrow_mut().waits_ms);
        phase.send_replace(Phase::Ending);

        let mut sent = HashMap::new();
        while let Some(ended) = players.join_next().await {
            let (agent, count) = ended??;
            sent.insert(agent, count);
        }
        let found = self.check(&store, &world, &sent).await?;
        let Tally {
            sent,
            acknowledged,
            rejected,
            ..
        } = *world.tally.borrow();
        let report = json!({
            "sent": sent, "acknowledged": acknowledged, "rejected": rejected,
            "stored": found.stored, "lost": found.lost, "duplicate": found.duplicate, "repeated": found.repeated,
            "ack_p50_ms": share(waits.clone(), 0.5), "ack_p99_ms": share(waits, 0.99),
            "commit_p50_ms": share(commits.clone(), 0.5), "commit_p99_ms": share(commits, 0.99),
            "tiers": engine.tiers().await?,
        });
        say("done", report);
        store.close().await;
        Ok(())
    }

    async fn enrol(&self, store: &Arc<dyn Store>) -> anyhow::Result<Vec<Identity>> {
        let ca_pin = self.ca.as_deref().map(Pin::read).transpose()?.map(|pin| pin.0);
        let names = (0..self.agents).map(|number| format!("fleet-{number}").parse::<AgentId>());
        let names = names.collect::<Result<Vec<_>, _>>()?;
        by_database(store.as_ref(), &self.server, ca_pin, names).await
    }

    /// Opens every session, a few at a time; each agent waits in its task for the run to begin.
    async fn connect(
        &self,
        world: &Rc<World>,
        identities: Vec<Identity>,
    ) -> anyhow::Result<JoinSet<anyhow::Result<(AgentId, u64)>>> {
        let (connected, mut opened) = mpsc::unbounded_channel();
        let door = Arc::new(Semaphore::new(OPENING));
        let mut players = JoinSet::new();
        for (number, identity) in (0_u32..).zip(identities) {
            let (world, door, connected) = (world.clone(), door.clone(), connected.clone());
            let back_to_back = self.back_to_back;
            players.spawn_local(async move {
                let turn = door.acquire_owned().await?;
                let session = open(&identity).await.context("a session")?;
                drop(turn);
                let player = Player::new(world, number, session);
                connected.send(())?;
                drop(connected);
                let sent = if back_to_back {
                    player.back_to_back().await
                } else {
                    player.live().await
                };
                Ok((identity.agent, sent?))
            });
        }
        drop(connected);
        for _ in 0..self.agents {
            tokio::select! {
                Some(()) = opened.recv() => {}
                Some(ended) = players.join_next() => drop(ended??),
            }
        }
        Ok(players)
    }

    /// Waits while it is measured, and times a commit now and then; gives how long they took.
    async fn measure(
        &self,
        players: &mut JoinSet<anyhow::Result<(AgentId, u64)>>,
        engine: &Engine,
    ) -> anyhow::Result<Vec<f32>> {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut commits = Vec::new();
        while Instant::now() < end {
            let began = Instant::now();
            if engine.commit().await? {
                commits.push(began.elapsed().as_secs_f32() * 1000.0);
            }
            until_then(players, PROBE.min(end.saturating_duration_since(Instant::now()))).await?;
        }
        Ok(commits)
    }

    async fn standing(&self, world: &World, engine: &Engine) -> anyhow::Result<Value> {
        let wal = engine.wal_bytes().await?;
        let tally = world.tally.borrow();
        Ok(json!({ "sent": tally.sent, "acknowledged": tally.acknowledged, "wal_bytes": wal }))
    }

    /// Looks for every sample that was sent in the store, and compares those of some agents with what was sent.
    async fn check(
        &self,
        store: &Arc<dyn Store>,
        world: &World,
        sent: &HashMap<AgentId, u64>,
    ) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let mut compared = 0;
        for (agent, key) in database::keys(store.as_ref()).await? {
            let Some(count) = sent.get(&agent) else { continue };
            let number: u32 = agent.as_str().trim_start_matches("fleet-").parse()?;
            let compare = compared < COMPARED;
            compared += 1;
            let check = |id: SampleId, stored: nodeglass_model::Sample| {
                let is_same = !compare
                    || world
                        .trace
                        .borrow_mut()
                        .with(number, id.seq - 1, stored.timestamp, |sample| {
                            trace::values(sample) == trace::values(&stored)
                        });
                ensure!(is_same, "{agent}'s sample {id:?} is not stored as it was sent");
                Ok(())
            };
            found.add(store.as_ref(), key, *count, check).await?;
        }
        Ok(found)
    }
}

/// Opens a session; a server that has its hands full is asked again, as an agent does.
async fn open(identity: &Identity) -> Result<FakeAgent, Status> {
    let until = Instant::now() + PATIENCE;
    loop {
        match FakeAgent::open_uncompressed(identity, *EPOCH).await {
            Err(status) if status.code() == Code::Unavailable && Instant::now() < until => {
                tokio::time::sleep(AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Lets the agents play for a while.
///
/// # Errors
/// One of them ended.
async fn until_then(
    players: &mut JoinSet<anyhow::Result<(AgentId, u64)>>,
    time: Duration,
) -> anyhow::Result<()> {
    match tokio::time::timeout(time, players.join_next()).await {
        Err(_) => Ok(()),
        Ok(ended) => {
            ended.context("an agent")???;
            anyhow::bail!("an agent ended before the run")
        }
    }
}

/// The value that this share of all is at most; `None` of none.
fn share(mut values: Vec<f32>, share: f64) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values
        .get(((values.len() as f64 - 1.0) * share).max(0.0) as usize)
        .copied()
}
