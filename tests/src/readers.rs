//! `nodeglass-readers`: many readers for a server to serve, and the agents that they read.
//!
//! First clients follow live streams and every event is timed, from the moment that the agent sends its sample until the
//! reader has the whole event; then clients take one agent's latest sample as fast as they can, unless another program is
//! to do that. Prints a JSON object for each part, and leaves the agents' last samples in the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use nodeglass_agent::identity::Identity;
use nodeglass_model::sample::{CoreMetrics, NetworkMetrics};
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_runtime::tls::Pin;
use nodeglass_runtime::tls::client::{self, Trust};
use nodeglass_tests::enrolled::one_by_database;
use nodeglass_tests::fake_agent::{FakeAgent, now};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

/// Many readers for a server to serve.
#[derive(Debug, Parser)]
struct Readers {
    /// The server's address
    #[arg(long)]
    server: String,
    /// The CA of its certificate, if it speaks TLS
    #[arg(long)]
    ca: Option<PathBuf>,
    /// The server's database, in which the agents are enrolled
    #[arg(long)]
    database: String,
    /// A token of the server's
    #[arg(long)]
    token: String,
    /// How many agents, each with a sample a second
    #[arg(long, default_value_t = 100)]
    agents: u32,
    /// How many streams, spread over the agents
    #[arg(long, default_value_t = 2_000)]
    streams: u32,
    /// How many connections take the latest sample; none if it is left to another program
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// How long each part takes
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// How long all streams are open before anything is measured.
const SETTLING: Duration = Duration::from_secs(2);

/// When the samples of an agent were sent, in microseconds from the start, by their number.
type Sent = Arc<Vec<AtomicU64>>;

/// What one reader saw.
#[derive(Default)]
struct Seen {
    events: u64,
    dropped: u64,
    delays_ms: Vec<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let readers = Readers::parse();
    let way = Way::to(&readers)?;
    let ca_pin = readers.ca.as_deref().map(Pin::read).transpose()?.map(|pin| pin.0);
    let (began, over) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    // Agents go on until the last reader has seen one event more.
    let all_have_read = Arc::new(AtomicBool::new(false));
    let store = nodeglass_store::open(&readers.database).await?;
    let (mut sent, mut agents) = (Vec::new(), Vec::new());
    // Room for the samples of the whole run, with the time that it takes to begin.
    let samples = readers.seconds * 2 + 300;
    for number in 0..readers.agents {
        let agent = format!("read-{number}").parse()?;
        let identity = one_by_database(store.as_ref(), &readers.server, ca_pin, agent).await?;
        let times: Sent = Arc::new((0..=samples).map(|_| AtomicU64::new(0)).collect());
        let offset = Duration::from_secs(1) * number / readers.agents;
        agents.push(tokio::spawn(play(
            identity,
            offset,
            times.clone(),
            began,
            all_have_read.clone(),
        )));
        sent.push(times);
    }
    store.close().await;

    let counting = Arc::new(AtomicBool::new(false));
    let mut streams = Vec::new();
    for number in 0..readers.streams {
        let agent = number % readers.agents;
        let stream = open(&way, agent, &readers.token).await?;
        let times = sent[agent as usize].clone();
        streams.push(tokio::spawn(follow(
            stream,
            times,
            began,
            counting.clone(),
            over.clone(),
        )));
    }
    // What opening two thousand of them cost is over then.
    tokio::time::sleep(SETTLING).await;
    counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(readers.seconds)).await;
    over.store(true, Ordering::Relaxed);
    let mut all = Seen::default();
    for stream in streams {
        let seen = stream.await??;
        all.events += seen.events;
        all.dropped += seen.dropped;
        all.delays_ms.extend(seen.delays_ms);
    }
    all_have_read.store(true, Ordering::Relaxed);
    for agent in agents {
        agent.await??;
    }
    all.delays_ms.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (all.delays_ms.len().saturating_sub(1)) as f64 * share;
        all.delays_ms.get(place as usize).copied()
    };

    let report = json!({
        "events": all.events, "dropped": all.dropped, "sse_p50_ms": at(0.5), "sse_p99_ms": at(0.99), "sse_max_ms": at(1.0),
    });
    println!("{report}");
    if readers.connections > 0 {
        let (rate, bytes) = snapshots(&way, &readers).await?;
        println!(
            "{}",
            json!({ "snapshots_per_second": rate, "snapshot_bytes": bytes })
        );
    }
    Ok(())
}

/// A connection, with TLS or without.
type Stream = BufReader<Either<TcpStream, TlsStream<TcpStream>>>;

/// How the server is reached.
#[derive(Clone)]
struct Way {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

impl Way {
    fn to(readers: &Readers) -> anyhow::Result<Self> {
        let (_, address) = readers.server.split_once("://").context("the server's address")?;
        let config = readers
            .ca
            .clone()
            .map(|ca| client::config(&Trust::File(ca)))
            .transpose()?;
        Ok(Self {
            address: address.parse()?,
            tls: config.map(|config| TlsConnector::from(Arc::new(config))),
        })
    }

    async fn connect(&self) -> anyhow::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(match &self.tls {
            Some(tls) => Either::Right(tls.connect(self.address.ip().into(), stream).await?),
            None => Either::Left(stream),
        }))
    }
}

/// An agent with a sample each second.
async fn play(
    identity: Identity,
    offset: Duration,
    times: Sent,
    began: Instant,
    over: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    tokio::time::sleep(offset).await;
    let mut agent = FakeAgent::open(&identity, 1).await.context("a session")?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seq = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Not waited for: agents that were acknowledged together would send together from then on.
            said = agent.next() => {
                said.context("a session")?;
                continue;
            }
        }
        seq += 1;
        let Some(time) = times.get(seq).filter(|_| !over.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        time.store(began.elapsed().as_micros() as u64, Ordering::Relaxed);
        agent.send([(seq as u64, sample(seq as u64))]).await;
    }
}

/// Calls for something of an agent and reads the answer's head; gives the length of its body, if it has one.
async fn call(stream: &mut Stream, agent: u32, path: &str, token: &str) -> anyhow::Result<Option<usize>> {
    let call = format!(
        "GET /api/v1/agents/read-{agent}/metrics{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.get_mut().write_all(call.as_bytes()).await?;
    stream.get_mut().flush().await?;
    let (mut line, mut length, mut is_first) = (String::new(), None, true);
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line).await? > 0, "the connection ended");
        if std::mem::replace(&mut is_first, false) && !line.starts_with("HTTP/1.1 200") {
            bail!("the server answers {}", line.trim());
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = Some(value.trim().parse()?);
        }
        if line.trim().is_empty() {
            return Ok(length);
        }
    }
}

/// Opens a stream; an agent that has not sent anything yet is waited for.
async fn open(way: &Way, agent: u32, token: &str) -> anyhow::Result<Stream> {
    let mut stream = way.connect().await?;
    call(&mut stream, agent, "/stream?interval=1", token).await?;
    Ok(stream)
}

/// Reads a stream to the end of the part, or one event further.
async fn follow(
    mut stream: Stream,
    times: Sent,
    began: Instant,
    counting: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let (mut last, mut number) = (None::<usize>, None::<usize>);
    let mut line = Vec::new();
    while !over.load(Ordering::Relaxed) {
        line.clear();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_until(b'\n', &mut line)).await;
        ensure!(
            read.context("an event in time")?? > 0,
            "the server ended a stream"
        );
        if let Some(id) = line.strip_prefix(b"id: 1-") {
            number = Some(std::str::from_utf8(id)?.trim().parse()?);
        } else if line == b"\n"
            && let Some(seq) = number.take()
        {
            let delay = began.elapsed().as_micros() as u64 - times[seq].load(Ordering::Relaxed);
            let is_live = last.is_some() && counting.load(Ordering::Relaxed);
            if let Some(last) = last.filter(|_| is_live) {
                seen.events += 1;
                seen.dropped += (seq.saturating_sub(last + 1)) as u64;
                seen.delays_ms.push(delay as f64 / 1000.0);
            }
            last = Some(seq);
        }
    }
    Ok(seen)
}

/// Takes the first agent's latest sample for a while; gives how often in a second, and how large it is.
async fn snapshots(way: &Way, readers: &Readers) -> anyhow::Result<(f64, usize)> {
    let end = Instant::now() + Duration::from_secs(readers.seconds);
    let mut clients = Vec::new();
    for _ in 0..readers.connections {
        let mut stream = way.connect().await?;
        let token = readers.token.clone();
        clients.push(tokio::spawn(async move {
            let (mut body, mut count) = (Vec::new(), 0_u64);
            while Instant::now() < end {
                let length = call(&mut stream, 0, "", &token).await?.context("a length")?;
                body.resize(length, 0);
                stream.read_exact(&mut body).await?;
                count += 1;
            }
            anyhow::Ok((count, body.len()))
        }));
    }
    let (mut count, mut bytes) = (0, 0);
    for client in clients {
        let (taken, length) = client.await??;
        count += taken;
        bytes = length;
    }
    Ok((count as f64 / readers.seconds as f64, bytes))
}

/// A sample of 200 series: 14 cores of 8, 10 interfaces of 8, and 8 of the host.
fn sample(step: u64) -> Sample {
    let percent = |number: u64| Some((step * 37 + number * 611) as f64 % 10_000.0 / 100.0);
    let mut sample = Sample {
        timestamp: UnixMillis(now().0),
        ..Default::default()
    };
    sample.cpu.usage_percent = percent(0);
    sample.cpu.user_percent = percent(1);
    sample.cpu.system_percent = percent(2);
    sample.cpu.cores = (0..14)
        .map(|core| CoreMetrics {
            core,
            usage_percent: percent(core.into()),
            user_percent: percent(3),
            system_percent: percent(4),
            idle_percent: percent(5),
            iowait_percent: Some(0.0),
            irq_percent: Some(0.0),
            softirq_percent: percent(6),
            steal_percent: Some(0.0),
            frequency_mhz: None,
        })
        .collect();
    sample.memory.total_bytes = Some(16 << 30);
    sample.memory.used_bytes = Some((step << 12) % (16 << 30));
    sample.load.load1 = percent(7);
    sample.load.load5 = percent(8);
    sample.load.load15 = percent(9);
    sample.network_interfaces = (0..10)
        .map(|interface| NetworkMetrics {
            interface: format!("eth{interface}"),
            bytes_sent_per_sec: Some(step * 1_000 + interface),
            bytes_recv_per_sec: Some(step * 3_000 + interface),
            packets_sent_per_sec: Some(step * 10),
            packets_recv_per_sec: Some(step * 30),
            errors_in: Some(0),
            errors_out: Some(0),
            drops_in: Some(step),
            drops_out: Some(0),
        })
        .collect();
    sample
}
