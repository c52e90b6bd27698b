//! `nodeglass-exporter`: the hosts of the fleet as Prometheus' exporters, for those who scrape: what they are asked for is what the
//! fleet's agents send.
//!
//! Host 7 answers under `/host/7`. `/scrapes` says how often all of them were asked. The address is the first line that it prints.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use clap::Parser;
use nodeglass_model::UnixMillis;
use nodeglass_tests::trace::{Trace, exposed, values};
use tokio::time::Instant;

/// Hosts for those who scrape.
#[derive(Debug, Parser)]
struct Exporter {
    /// The trace that the hosts' values are from: CSV with a column for the time and one for each series, a row a second
    #[arg(long)]
    trace: PathBuf,
    /// How many hosts
    #[arg(long)]
    hosts: u32,
    /// Values of a host
    #[arg(long)]
    series: usize,
    /// Seconds between two samples of a host
    #[arg(long)]
    interval: u64,
}

struct Hosts {
    trace: Mutex<Trace>,
    began: Instant,
    interval: Duration,
    count: u32,
    scrapes: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let given = Exporter::parse();
    let hosts = Hosts {
        trace: Mutex::new(Trace::read(&given.trace, given.series, given.interval)?),
        began: Instant::now(),
        interval: Duration::from_secs(given.interval),
        count: given.hosts,
        scrapes: AtomicU64::new(0),
    };
    let app = Router::new()
        .route("/host/{number}", get(host))
        .route("/scrapes", get(scrapes))
        .with_state(Arc::new(hosts));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn scrapes(State(hosts): State<Arc<Hosts>>) -> String {
    hosts.scrapes.load(Ordering::Relaxed).to_string()
}

async fn host(State(hosts): State<Arc<Hosts>>, Path(number): Path<u32>) -> Result<String, StatusCode> {
    if number >= hosts.count {
        return Err(StatusCode::NOT_FOUND);
    }
    hosts.scrapes.fetch_add(1, Ordering::Relaxed);
    let step = hosts.began.elapsed().as_secs() / hosts.interval.as_secs().max(1);
    let mut trace = hosts.trace.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(trace.with(number, step, UnixMillis(0), |sample| {
        let mut text = String::with_capacity(16 << 10);
        for ((metric, device), bits) in values(sample) {
            text.push_str(&exposed(metric));
            if !device.is_empty() {
                let _ = write!(text, "{{device={device:?}}}");
            }
            let _ = writeln!(text, " {}", f64::from_bits(bits));
        }
        text
    }))
}
