//! `nodeglass-callers`: programs that ask a server at a fixed rate, whatever it takes to answer, as many independent users do.
//!
//! Each call has its time; one that finds no free connection waits, and its wait counts. Prints one JSON object.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;
use tokio::time::Instant;

/// Programs that ask a server at a fixed rate.
#[derive(Debug, Parser)]
struct Callers {
    /// The server's address
    #[arg(long)]
    server: String,
    /// A token of the server's
    #[arg(long)]
    token: String,
    /// How many agents there are, fleet-0 and so on
    #[arg(long)]
    agents: u32,
    /// Calls in a second
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    /// Connections that they come on
    #[arg(long, default_value_t = 128)]
    connections: u32,
    /// For how long, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// A call that is due.
struct Due {
    at: Instant,
    kind: &'static str,
    path: String,
}

/// What is asked, and how many of a hundred calls ask it: what a dashboard of a fleet, its pages of single hosts, and scripts
/// do.
const MIX: [(&str, u32); 6] = [
    ("snapshot", 60),
    ("overview", 15),
    ("history", 15),
    ("top", 4),
    ("hours", 3),
    ("ledger", 3),
];

fn path(kind: &str, agent: u32) -> String {
    match kind {
        "snapshot" => format!("/api/v1/agents/fleet-{agent}/metrics"),
        "overview" => format!("/api/v1/metrics/agents?limit=50&q=fleet-{}", agent % 100),
        "history" => {
            format!(
                "/api/v1/agents/fleet-{agent}/metrics/history?metrics=cpu.usage_percent,memory.usage_percent&start=-15m"
            )
        }
        "top" => "/api/v1/metrics/top?metric=cpu.usage_percent&k=10".to_owned(),
        "hours" => format!("/api/v1/agents/fleet-{agent}/metrics?hours=1"),
        _ => format!("/api/v1/agents/fleet-{agent}/ledger"),
    }
}

/// The kind of the call with this number: each in its share, spread evenly.
fn kind(number: u64) -> &'static str {
    // 37 and 100 have no factor in common: all of a hundred come, in an order that is not theirs.
    let mut place = (number * 37 % 100) as u32;
    for (kind, share) in MIX {
        if place < share {
            return kind;
        }
        place -= share;
    }
    MIX[0].0
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let callers = Callers::parse();
    ensure!(
        callers.agents > 0 && callers.rate > 0,
        "somebody has to be asked, at some rate"
    );
    let address = callers.server.trim_start_matches("http://").to_owned();
    // Whoever is free takes the next call that is due.
    let (due, next) = mpsc::unbounded_channel();
    let next = Rc::new(Mutex::new(next));
    let local = LocalSet::new();
    let mut connections = Vec::new();
    for _ in 0..callers.connections {
        let stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        let answered = answer(BufReader::new(stream), callers.token.clone(), next.clone());
        connections.push(local.spawn_local(answered));
    }
    let report = local.run_until(async {
        let began = Instant::now();
        for number in 0..u64::from(callers.rate) * callers.seconds {
            let at = began + Duration::from_nanos(number * 1_000_000_000 / u64::from(callers.rate));
            tokio::time::sleep_until(at).await;
            let kind = kind(number);
            let agent = (number * 7_919 % u64::from(callers.agents)) as u32;
            let path = path(kind, agent);
            due.send(Due { at, kind, path })?;
        }
        drop(due);
        let mut delays = BTreeMap::<&str, Vec<f64>>::new();
        for connection in connections {
            for (kind, delay) in connection.await?? {
                delays.entry(kind).or_default().push(delay);
            }
        }
        let all: Vec<f64> = delays.values().flatten().copied().collect();
        let rate = all.len() as f64 / began.elapsed().as_secs_f64();
        let mut report = json!({ "calls": all.len(), "rate": rate, "all": figures(all) });
        for (kind, delays) in delays {
            report[kind] = figures(delays);
        }
        anyhow::Ok(report)
    });
    println!("{}", report.await?);
    Ok(())
}

/// Makes calls on one connection until there are none; gives how long after its time each was answered, in milliseconds.
async fn answer(
    mut stream: BufReader<TcpStream>,
    token: String,
    next: Rc<Mutex<mpsc::UnboundedReceiver<Due>>>,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let (mut delays, mut body) = (Vec::new(), Vec::new());
    loop {
        let due = next.lock().await.recv().await;
        let Some(Due { at, kind, path }) = due else {
            return Ok(delays);
        };
        let call = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.get_mut().write_all(call.as_bytes()).await?;
        let length = head(&mut stream).await.with_context(|| path.clone())?;
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        delays.push((kind, at.elapsed().as_secs_f64() * 1_000.0));
    }
}

/// Reads an answer's head; gives the length of its body.
async fn head(stream: &mut BufReader<TcpStream>) -> anyhow::Result<usize> {
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
            return length.context("an answer without a length");
        }
    }
}

/// What half, and 99 of 100, of the delays are at most, and the longest.
fn figures(mut delays: Vec<f64>) -> Value {
    delays.sort_by(f64::total_cmp);
    let at = |share: f64| delays.get((delays.len().saturating_sub(1) as f64 * share) as usize);
    json!({ "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0) })
}
