//! A day without the server: a day of samples lies in the journal, within its bound, and follows behind live samples when
//! the server is back, so that the live view is never more than two intervals behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeglass_journal::{Journal, JournalConfig, Role, Sync};
use nodeglass_model::sample::{CoreMetrics, NetworkMetrics, ProcessEntry};
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::inner_agent::InnerAgent;
use nodeglass_tests::server::{Server, assert_all_stored, settled_since};

const SECOND: Duration = Duration::from_secs(1);
const DAY_S: u64 = 86_400;
/// A sample for the server stands for so many seconds.
const OWED_EVERY: u64 = 5;
const JOURNAL_BYTES: u64 = 64 << 20;

/// A host that does some work: about 200 figures, most of which change each second.
struct Host {
    chance: Chance,
    sample: Sample,
}

impl Host {
    fn new() -> Self {
        let cores = (0..10).map(|core| CoreMetrics {
            core,
            ..Default::default()
        });
        let interfaces = (0..4).map(|number| NetworkMetrics {
            interface: format!("eth{number}"),
            ..Default::default()
        });
        let mut sample = Sample::default();
        sample.cpu.cores = cores.collect();
        sample.network_interfaces = interfaces.collect();
        sample.memory.total_bytes = Some(16 << 30);
        Self {
            chance: Chance::seeded(24),
            sample,
        }
    }

    fn percent(&mut self, usual: u64) -> f64 {
        (usual + self.chance.below(300)) as f64 / 100.0
    }

    /// The next second. Processes are read for the server's samples only.
    fn next(&mut self, at: UnixMillis, with_processes: bool) -> Sample {
        self.sample.timestamp = at;
        self.sample.cpu.usage_percent = Some(self.percent(2_000));
        self.sample.cpu.user_percent = Some(self.percent(1_500));
        self.sample.cpu.system_percent = Some(self.percent(400));
        self.sample.load.load1 = Some(self.percent(100));
        self.sample.memory.used_bytes = Some((8 << 30) + self.chance.below(1 << 14) * 4_096);
        for core in 0..self.sample.cpu.cores.len() {
            let usual = 100 * core as u64;
            let figures = [0, 10, 20, 30, 40].map(|more| Some(self.percent(usual + more)));
            let core = &mut self.sample.cpu.cores[core];
            [
                core.usage_percent,
                core.user_percent,
                core.system_percent,
                core.idle_percent,
                core.softirq_percent,
            ] = figures;
            (core.iowait_percent, core.irq_percent, core.steal_percent) = (Some(0.0), Some(0.0), Some(0.0));
        }
        for interface in &mut self.sample.network_interfaces {
            let mut rate = |usual: u64| Some(usual + self.chance.below(usual / 10));
            interface.bytes_sent_per_sec = rate(1_000_000);
            interface.bytes_recv_per_sec = rate(200_000);
            interface.packets_sent_per_sec = rate(1_000);
            interface.packets_recv_per_sec = rate(500);
            (interface.errors_in, interface.errors_out) = (Some(0), Some(0));
            (interface.drops_in, interface.drops_out) = (Some(3), Some(0));
        }
        let mut sample = self.sample.clone();
        if with_processes {
            let top = (0..20_u32).map(|place| ProcessEntry {
                pid: 1_000 + place * 7 + self.chance.below(2) as u32,
                name: format!("worker-{}", place % 6),
                cpu_percent: Some(self.chance.below(2_000) as f64 / 100.0),
                memory_bytes: Some(self.chance.below(1 << 16) * 4_096),
                ..Default::default()
            });
            sample.processes.top = top.collect();
        }
        sample
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_s_backlog_follows_behind_live_samples() {
    let directory = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        directory: Some(directory.path().join("journal")),
        max_bytes: JOURNAL_BYTES,
        max_memory_bytes: 8 << 20,
        max_age: Duration::from_secs(DAY_S),
        sync: Sync::Never,
    };
    let (start, began) = (now().minus(Duration::from_secs(DAY_S)), Instant::now());
    let (journal, _) = Journal::open(config, start, began);
    let mut host = Host::new();
    for second in 1..=DAY_S {
        let (time, at) = (Duration::from_secs(second), began + Duration::from_secs(second));
        let is_owed = second % OWED_EVERY == 0;
        let sample = host.next(start.plus(time), false);
        journal.append(&Arc::new(sample), Role::Local, at);
        if is_owed {
            let sample = host.next(start.plus(time), true);
            journal.append(&Arc::new(sample), Role::Owed, at);
        }
    }
    let standing = journal.standing();
    println!(
        "a day in {:.1} s: {} samples in {:.1} MiB, {} of them owed",
        began.elapsed().as_secs_f64(),
        standing.books.local + standing.buffered,
        standing.disk_bytes as f64 / f64::from(1 << 20),
        standing.buffered,
    );
    assert_eq!(
        (standing.books.local, standing.buffered),
        (DAY_S, DAY_S / OWED_EVERY),
        "a day fits: {:?}",
        standing.books
    );
    assert!(standing.disk_bytes <= JOURNAL_BYTES, "{}", standing.disk_bytes);

    let database = Database::sqlite();
    let server = Server::start_with(&database, Some("agents: {heartbeat_interval: 1s}")).await;
    let replay = Instant::now();
    let agent = InnerAgent::start(&server, "host", journal, SECOND).await;
    let mut looks = Vec::new();
    let mut seen_live = false;
    let until = Instant::now() + nodeglass_tests::PATIENCE;
    loop {
        let standing = agent.outbox.journal.standing();
        let overview = server.overview("host").await.unwrap();
        let update = overview["last_metrics_update"].as_i64().map(UnixMillis);
        if let Some(update) = update {
            let behind = now().since(update);
            seen_live = seen_live || behind < SECOND * 2;
            looks.extend(seen_live.then_some(behind));
        }
        if standing.buffered <= 1 {
            break;
        }
        assert!(Instant::now() < until, "{} samples still wait", standing.buffered);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(seen_live, "live samples go first");
    looks.sort_unstable();
    // The rest is what a busy machine takes the processor away for.
    let mostly = looks[(looks.len() - 1) * 95 / 100];
    println!(
        "replayed in {:.1} s; the live view was {:.1} s behind at 95 of 100 looks, {:.1} s at most",
        replay.elapsed().as_secs_f64(),
        mostly.as_secs_f64(),
        looks[looks.len() - 1].as_secs_f64()
    );
    assert!(mostly <= SECOND * 2, "{mostly:?} behind while the backlog came");

    agent.rest();
    let ledger = server.ledger_when("host", settled_since(now())).await;
    assert_all_stored(&ledger);
    let sampled = agent.outbox.journal.standing().books.sampled;
    assert!(
        sampled > DAY_S / OWED_EVERY,
        "live samples came meanwhile: {sampled}"
    );
    assert_eq!(
        database.stored().await.unwrap().len() as u64,
        sampled,
        "each of them, once"
    );
    agent.stop().await;
}
