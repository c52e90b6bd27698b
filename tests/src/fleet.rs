//! `nodeglass-fleet`: many agents for a server to bear, over real gRPC, each sending samples of 200 series at its pace.
//!
//! Values walk up and down from sample to sample as a host's do, so that nothing compresses better than in life. It
//! prints one JSON object: what was sent, what was acknowledged, and after how long.

use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use nodeglass_model::sample::{CoreMetrics, NetworkMetrics};
use nodeglass_model::{Sample, UnixMillis, catalogue};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_server::enrol;
use nodeglass_tests::fake_agent::{FakeAgent, now};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};

/// Many agents for a server to bear.
#[derive(Debug, Parser)]
struct Fleet {
    /// The server's address
    #[arg(long)]
    server: String,
    /// The server's database, in which the agents are enrolled
    #[arg(long)]
    database: String,
    /// How many agents
    #[arg(long, default_value_t = 200)]
    agents: u32,
    /// Seconds between two samples of an agent
    #[arg(long, default_value_t = 5)]
    interval: u64,
    /// How long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// What one agent saw.
struct Report {
    sent: u64,
    acknowledged: u64,
    waits_ms: Vec<f64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let fleet = Fleet::parse();
    let store = nodeglass_store::open(&fleet.database).await?;
    let mut enrolments = Vec::new();
    for number in 0..fleet.agents {
        let agent = format!("fleet-{number}").parse()?;
        let token = enrol::agent(store.as_ref(), &agent, true)
            .await?
            .expose()
            .to_owned();
        enrolments.push(Enrolment {
            server: fleet.server.clone(),
            ca_pin: None,
            agent,
            token,
        });
    }
    store.close().await;

    let interval = Duration::from_secs(fleet.interval);
    let end = Instant::now() + Duration::from_secs(fleet.seconds);
    let agents: Vec<_> = (0_u32..)
        .zip(enrolments)
        // Spread over the interval, as agents that were started at different times are.
        .map(|(number, enrolment)| {
            tokio::spawn(play(
                enrolment,
                number,
                interval * number / fleet.agents,
                interval,
                end,
            ))
        })
        .collect();
    let (mut sent, mut acknowledged, mut waits) = (0, 0, Vec::new());
    for agent in agents {
        let report = agent.await??;
        sent += report.sent;
        acknowledged += report.acknowledged;
        waits.extend(report.waits_ms);
    }
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits.get(((waits.len() as f64 - 1.0) * share) as usize).copied();
    let series: usize = catalogue::devices(&sample(0, 0))
        .map(|device| device.values(&sample(0, 0)).count())
        .sum();
    let report = json!({
        "sent": sent, "acknowledged": acknowledged, "series": series, "ack_p50_ms": at(0.5), "ack_p99_ms": at(0.99),
    });
    println!("{report}");
    Ok(())
}

async fn play(
    enrolment: Enrolment,
    number: u32,
    offset: Duration,
    interval: Duration,
    end: Instant,
) -> anyhow::Result<Report> {
    tokio::time::sleep(offset).await;
    let mut agent = FakeAgent::open(&enrolment, 1).await.context("a session")?;
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut report = Report {
        sent: 0,
        acknowledged: 0,
        waits_ms: Vec::new(),
    };
    loop {
        ticks.tick().await;
        if Instant::now() >= end {
            return Ok(report);
        }
        report.sent += 1;
        let began = Instant::now();
        agent.send([(report.sent, sample(number, report.sent))]).await;
        let (stored, _) = agent.settled(1).await.context("an acknowledgement")?;
        report.acknowledged += stored.len() as u64;
        report.waits_ms.push(began.elapsed().as_secs_f64() * 1000.0);
    }
}

/// A sample of 200 series that walk: 14 cores of 8, 10 interfaces of 8, and 8 of the host.
fn sample(number: u32, step: u64) -> Sample {
    let mut seed = (u64::from(number) << 32) ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut walk = |most: u64| {
        // xorshift: even values at no cost.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % most
    };
    let mut percent = || Some(walk(10_000) as f64 / 100.0);
    let cores = (0..14)
        .map(|core| CoreMetrics {
            core,
            usage_percent: percent(),
            user_percent: percent(),
            system_percent: percent(),
            idle_percent: percent(),
            iowait_percent: Some(0.0),
            irq_percent: Some(0.0),
            softirq_percent: percent(),
            steal_percent: Some(0.0),
            frequency_mhz: Some(2_400),
        })
        .collect();
    let mut sample = Sample {
        timestamp: UnixMillis(now().0),
        ..Default::default()
    };
    sample.cpu.usage_percent = percent();
    sample.cpu.user_percent = percent();
    sample.cpu.system_percent = percent();
    sample.cpu.cores = cores;
    sample.memory.total_bytes = Some(16 << 30);
    sample.memory.used_bytes = Some(walk(16 << 30) & !4095);
    sample.load.load1 = Some(walk(800) as f64 / 100.0);
    sample.load.load5 = Some(walk(800) as f64 / 100.0);
    sample.load.load15 = Some(walk(800) as f64 / 100.0);
    sample.network_interfaces = (0..10)
        .map(|interface| NetworkMetrics {
            interface: format!("eth{interface}"),
            bytes_sent_per_sec: Some(walk(100_000_000)),
            bytes_recv_per_sec: Some(walk(100_000_000)),
            packets_sent_per_sec: Some(walk(100_000)),
            packets_recv_per_sec: Some(walk(100_000)),
            errors_in: Some(0),
            errors_out: Some(0),
            drops_in: Some(step),
            drops_out: Some(0),
        })
        .collect();
    sample
}
