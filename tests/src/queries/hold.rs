//! Agents that are connected: each sends one sample, and stays until the program is ended.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::Args;
use nodeglass_agent::identity::Identity;
use nodeglass_model::{AgentId, SampleId};
use nodeglass_proto::packed::LivePacker;
use nodeglass_proto::pushback::pushed_back;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_runtime::tls::Pin;
use nodeglass_tests::PATIENCE;
use nodeglass_tests::enrolled::one_by_database;
use nodeglass_tests::fake_agent::{FakeAgent, now};
use nodeglass_tests::trace::Trace;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Sessions that are opened at once.
const OPENING: usize = 8;

/// Connect agents and keep them connected.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// The server's address
    #[arg(long)]
    server: String,
    /// The CA of a server that speaks TLS
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The server's database, in which the agents are enrolled
    #[arg(long)]
    database: String,
    /// The trace that the agents' values are from
    #[arg(long)]
    trace: PathBuf,
    /// Values in a sample
    #[arg(long, default_value_t = 200)]
    series: usize,
    /// The number of the first agent
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// How many agents
    #[arg(long)]
    agents: u32,
}

impl Hold {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let store = nodeglass_store::open(&self.database).await?;
        let ca_pin = self.ca.as_deref().map(Pin::read).transpose()?.map(|pin| pin.0);
        let trace = Rc::new(RefCell::new(Trace::read(&self.trace, self.series, 5)?));
        let door = Arc::new(Semaphore::new(OPENING));
        let mut opening = JoinSet::new();
        for number in self.first..self.first + self.agents {
            let agent: AgentId = format!("live-{number}").parse()?;
            let identity = one_by_database(store.as_ref(), &self.server, ca_pin, agent).await?;
            let (trace, door) = (trace.clone(), door.clone());
            opening.spawn_local(async move {
                let turn = door.acquire_owned().await?;
                let agent = open(&identity).await?;
                drop(turn);
                first_sample(agent, number, &trace).await
            });
        }
        store.close().await;
        let mut sessions = Vec::new();
        while let Some(opened) = opening.join_next().await {
            sessions.push(opened??);
        }
        println!("connected");
        std::future::pending().await
    }
}

/// Opens a session; a server that has its hands full is asked again when it says so.
async fn open(identity: &Identity) -> anyhow::Result<FakeAgent> {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = match FakeAgent::open_uncompressed(identity, 1).await {
            Ok(agent) => return Ok(agent),
            Err(status) => status,
        };
        let pause = pushed_back(&status).filter(|_| Instant::now() < until);
        tokio::time::sleep(pause.ok_or(status)?).await;
    }
}

/// Sends a sample and waits until it is stored.
async fn first_sample(
    mut agent: FakeAgent,
    number: u32,
    trace: &RefCell<Trace>,
) -> anyhow::Result<FakeAgent> {
    let id = SampleId { epoch: 1, seq: 1 };
    let batch = trace
        .borrow_mut()
        .with(number, 0, now(), |sample| LivePacker::default().pack(id, sample));
    agent.send_message(Up::Samples(batch)).await;
    let (stored, _) = agent.settled(1).await.context("an acknowledgement")?;
    ensure!(stored == [1], "the server refused a sample");
    Ok(agent)
}
