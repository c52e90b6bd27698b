//! What readers of many agents cost: processor time and bytes for each second of a stream of a thousand agents, each with a sample a
//! second. `cargo run --release -p nodeglass-server --example feed_cost`

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use nodeglass_model::sample::{CoreMetrics, DiskMetrics, NetworkMetrics};
use nodeglass_model::{Sample, SampleId, UnixMillis};
use nodeglass_server::live::{Live, LiveAgent};
use nodeglass_server::stream::{Choice, FeedWish, Places, Shape, View, feed};
use nodeglass_store::{AgentKey, AgentRecord};
use tokio_util::sync::CancellationToken;

const AGENTS: i32 = 1_000;
const SECONDS: u64 = 10;

struct Everybody;

impl Choice for Everybody {
    fn means(&self, _: &LiveAgent) -> bool {
        true
    }
}

/// A sample of about 200 series.
fn sample(second: u64, number: u64) -> Sample {
    let mut sample = Sample {
        timestamp: UnixMillis((1_700_000_000 + second as i64) * 1000),
        ..Default::default()
    };
    let figure = ((second * 37 + number * 11) % 1000) as f64 / 10.0;
    sample.cpu.usage_percent = Some(figure);
    sample.memory.usage_percent = Some(figure);
    sample.load.load1 = Some(figure);
    sample.cpu.cores = (0..16)
        .map(|core| CoreMetrics {
            core,
            usage_percent: Some(figure),
            user_percent: Some(figure),
            system_percent: Some(figure),
            ..Default::default()
        })
        .collect();
    sample.disks = (0..8)
        .map(|disk| DiskMetrics {
            device: format!("/dev/sd{disk}"),
            mount_point: format!("/data/{disk}"),
            usage_percent: Some(figure),
            total_bytes: Some(1 << 40),
            used_bytes: Some(second * 4096),
            read_bytes_per_sec: Some(second * 512),
            write_bytes_per_sec: Some(second * 512),
            ..Default::default()
        })
        .collect();
    sample.network_interfaces = (0..8)
        .map(|card| NetworkMetrics {
            interface: format!("eth{card}"),
            bytes_sent_per_sec: Some(second * 1000),
            bytes_recv_per_sec: Some(second * 1000),
            ..Default::default()
        })
        .collect();
    sample
}

fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Milliseconds of processor time and bytes in a second with so many readers.
async fn measure(readers: usize, shape: Shape) -> (f64, f64, f64) {
    let live = Arc::new(Live::default());
    let agents: Vec<_> = (0..AGENTS)
        .map(|number| {
            let agent = live.admit(&AgentRecord {
                key: AgentKey(number),
                id: format!("host-{number:04}").parse().expect("a name"),
                system_info: None,
            });
            agent.hear(Duration::from_hours(1));
            agent
        })
        .collect();
    let (bytes, events) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (stop, places) = (CancellationToken::new(), Places::new(readers.max(1)));
    let mut tasks = Vec::new();
    for _ in 0..readers {
        let view = match shape {
            Shape::Samples => View::samples(&[]),
            Shape::Overview => View::figures(&[]),
        };
        let view = view.expect("a view");
        let wish = FeedWish {
            choice: Box::new(Everybody),
            view: view.clone(),
            shape,
            interval: Duration::from_secs(1),
            seen: None,
            sign_of_life: Duration::from_secs(15),
        };
        let place = places.take(None).expect("a place");
        let mut stream = Box::pin(feed(live.clone(), wish, stop.clone(), place));
        let (bytes, events) = (bytes.clone(), events.clone());
        tasks.push(tokio::spawn(async move {
            while let Some(batch) = stream.next().await {
                events.fetch_add(batch.len() as u64, Ordering::Relaxed);
                let length: usize = batch.iter().map(|event| event.data(&view).len()).sum();
                bytes.fetch_add(length as u64, Ordering::Relaxed);
            }
        }));
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    let began = cpu();
    for second in 0..SECONDS {
        for (number, agent) in agents.iter().enumerate() {
            let id = SampleId {
                epoch: 1,
                seq: second + 1,
            };
            agent.show(id, sample(second, number as u64));
        }
        ticks.tick().await;
    }
    let took = cpu().saturating_sub(began);
    stop.cancel();
    for task in tasks {
        task.await.expect("a reader");
    }
    let per_second = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / SECONDS as f64;
    (
        took.as_secs_f64() * 1000.0 / SECONDS as f64,
        per_second(&bytes),
        per_second(&events),
    )
}

#[tokio::main]
async fn main() {
    println!("{AGENTS} agents, a sample a second each");
    let (idle, ..) = measure(0, Shape::Overview).await;
    println!("nobody reads: {idle:.1} ms of processor time a second");
    for shape in [Shape::Overview, Shape::Samples] {
        for readers in [1, 10] {
            let (cpu, bytes, events) = measure(readers, shape).await;
            let each = readers as f64;
            println!(
                "{shape:?}, {readers} readers: {:.1} ms a second more, {:.2} ms each; {:.0} KB and {:.0} events a second each",
                cpu - idle,
                (cpu - idle) / each,
                bytes / each / 1000.0,
                events / each
            );
        }
    }
}
