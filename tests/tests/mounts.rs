//! File systems that fail under the agent: one that hangs, and a journal's disk that is full or can't be written to. Each
//! is mounted where only that agent sees it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::fuse::HungMount;
use nodeglass_tests::namespace::{Own, in_own, within};
use nodeglass_tests::server::{Server, settled_since};
use serde_json::Value;
use tokio::task::JoinHandle;

const QUICK: &str = "agents: {heartbeat_interval: 1s}";

/// The names of an agent's threads that read what may hang.
fn reading_threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a running agent");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("collect-"))
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

/// The latest sample's entry of a mount, and the failures that name it.
fn of_mount(sample: &Value, mount_point: &str) -> (Option<Value>, Vec<String>) {
    let all = |name: &str| sample[name].as_array().cloned().unwrap_or_default();
    let disk = all("disks")
        .into_iter()
        .find(|disk| disk["mount_point"] == mount_point);
    let failures = all("failures").iter().map(Value::to_string).collect::<Vec<_>>();
    let naming = failures
        .into_iter()
        .filter(|failure| failure.contains(mount_point));
    (disk, naming.collect())
}

async fn latest(server: &Server) -> Option<Value> {
    let (status, sample) = server.get("/api/v1/agents/host/metrics").await;
    status.is_success().then_some(sample)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mount_that_hangs_costs_its_own_figures() {
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some(QUICK)).await;
    let place = tempfile::tempdir().unwrap();
    let mount_point = place.path().join("hung").display().to_string();
    let config =
        "metrics: {collection_interval: 1s, collector_deadline: 200ms}\nlocal_endpoint: {enabled: false}";
    let mut agent = Agent::prepared(&server.add_agent("host").await, config).await;
    agent.start_behind(in_own(Own::Mounts, "true").await);
    agent.start_again();
    let before = eventually("space of the local disks", async || {
        let sample = latest(&server).await?;
        let disks = sample["disks"].as_array()?;
        disks
            .iter()
            .any(|disk| disk["total_bytes"].is_u64())
            .then_some(())?;
        Some(reading_threads(agent.pid()))
    })
    .await;

    let mut hung = HungMount::mount(agent.pid(), &mount_point).await;
    let sample = eventually("a sample that names the mount as failing", async || {
        let sample = latest(&server).await?;
        (!of_mount(&sample, &mount_point).1.is_empty()).then_some(sample)
    })
    .await;
    let (disk, _) = of_mount(&sample, &mount_point);
    if let Some(disk) = disk {
        assert!(
            disk["total_bytes"].is_null() && disk["used_bytes"].is_null(),
            "{disk}"
        );
    }
    let since = now();
    eventually("ten more samples", async || {
        let times = database.times("host").await.ok()?;
        (times.iter().filter(|at| **at > since).count() >= 10).then_some(())
    })
    .await;
    let times: Vec<UnixMillis> = database.times("host").await.unwrap();
    let after: Vec<&UnixMillis> = times.iter().filter(|at| **at > since).collect();
    let late: Vec<_> = after
        .windows(2)
        .filter(|pair| pair[1].since(*pair[0]) > Duration::from_millis(1_800))
        .collect();
    assert!(
        late.len() <= 1,
        "samples keep coming on time (one may be late on a busy machine): {late:?}"
    );
    let sample = latest(&server).await.unwrap();
    let others = sample["disks"].as_array().unwrap();
    assert!(
        others.iter().any(|disk| disk["total_bytes"].is_u64()),
        "the others answer: {sample:#}"
    );
    assert!(sample["cpu"]["usage_percent"].is_number(), "{sample:#}");
    assert_eq!(hung.asked(), 1, "nobody walks into it again");
    let during = reading_threads(agent.pid());
    assert!(
        during.len() <= before.len() + 1,
        "one thread is stuck: {before:?}, then {during:?}"
    );
    assert!(during.len() > before.len(), "and it is seen: {during:?}");

    hung.abort().await;
    eventually("the stuck thread to end", async || {
        (reading_threads(agent.pid()).len() <= before.len()).then_some(())
    })
    .await;
    eventually("samples without failures", async || {
        let sample = latest(&server).await?;
        let (disk, failures) = of_mount(&sample, &mount_point);
        (disk.is_none() && failures.is_empty()).then_some(())
    })
    .await;
    assert_eq!(agent.terminate().await, Some(0));
}

/// Cores of the host that fills a journal soon: some 30 kB a sample.
const CORES: usize = 1_500;

/// A host whose cores do something else each moment, so that no two samples are alike.
struct BusyHost {
    root: tempfile::TempDir,
    writing: JoinHandle<()>,
}

impl BusyHost {
    fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        let file = File::create(root.path().join("proc/stat")).unwrap();
        let mut chance = Chance::seeded(7);
        let mut counters = vec![[1_000_000_000_u64; 7]; CORES];
        let mut write = move || {
            let mut text = String::new();
            let all = [CORES as u64 * 1_000_000_000; 7];
            line(&mut text, "cpu ", &all);
            for (core, counters) in counters.iter_mut().enumerate() {
                for counter in &mut *counters {
                    *counter += chance.below(100);
                }
                line(&mut text, &format!("cpu{core}"), counters);
            }
            // Always as long as before, so that a reader finds whole lines.
            file.write_all_at(text.as_bytes(), 0).unwrap();
        };
        write();
        let writing = tokio::task::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(250));
            loop {
                ticks.tick().await;
                write();
            }
        });
        Self { root, writing }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }
}

impl Drop for BusyHost {
    fn drop(&mut self) {
        self.writing.abort();
    }
}

fn line(text: &mut String, name: &str, counters: &[u64; 7]) {
    text.push_str(name);
    for counter in counters {
        let _ = write!(text, " {counter}");
    }
    text.push_str(" 0 0 0\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_without_room_drops_the_oldest_and_counts_it() {
    let database = Database::sqlite();
    let mut server = Server::start_to_be_killed(&database, QUICK).await;
    let enrolment = server.add_agent("host").await;

    let (host, place) = (BusyHost::start(), tempfile::tempdir().unwrap());
    let disk = place.path().display();
    let config = format!(
        "host_root: {}\nmetrics: {{collection_interval: 1s}}\nlocal_endpoint: {{enabled: false}}\n\
         journal: {{directory: {disk}/journal, max_bytes: 1 MiB, max_memory_bytes: 256 KiB}}",
        host.root().display()
    );
    let mut agent = Agent::prepared(&enrolment, &config).await;
    server.kill().await;
    agent.keep_log();
    // Most of the 1 MiB is somebody else's.
    let mount = format!(
        "mount -t tmpfs -o size=1m journal {disk}; mkdir {disk}/journal; head -c 850000 /dev/zero > {disk}/other"
    );
    agent.start_behind(in_own(Own::Mounts, &mount).await);
    agent.start_again();
    eventually("the disk to be full", async || {
        (agent.logged("the journal's disk takes nothing") > 0).then_some(())
    })
    .await;
    eventually("samples to go", async || {
        (agent.logged("samples went before the server had stored them") > 0).then_some(())
    })
    .await;

    server.spawn_again();
    server.ready().await;
    let since = now();
    // What had been sent when it went is counted as lost until its word comes after all.
    let (ledger, missing) = eventually("what is counted as lost to be missing, and no more", async || {
        let ledger = server.ledger_when("host", nearly_settled(since)).await;
        let seqs = stored(&database).await;
        let newest = *seqs.last()?;
        let missing: Vec<u64> = (1..=newest).filter(|seq| !seqs.contains(seq)).collect();
        (ledger["agent"]["evicted"]["full"] == missing.len() as u64).then_some((ledger, missing))
    })
    .await;
    let lost = missing.len() as u64;
    assert!(lost > 0, "{ledger:#}");
    assert_eq!(
        (&ledger["balance"]["lost"], &ledger["balance"]["unaccounted"]),
        (&lost.into(), &0.into()),
        "{ledger:#}"
    );
    assert_eq!(ledger["balance"]["balanced"], true, "{ledger:#}");
    let gaps = ledger["agent"]["gaps"].as_array().unwrap();
    let in_gaps: u64 = gaps
        .iter()
        .filter(|gap| gap["reason"] == "full")
        .filter_map(|gap| gap["samples"].as_u64())
        .sum();
    assert_eq!(in_gaps, lost, "each with its time: {gaps:#?}");
    assert_eq!(
        missing,
        (1..=lost).collect::<Vec<_>>(),
        "the oldest went, and no other"
    );

    // The kernel makes no file system read-only on which a file is open for writing, so another one, which is, comes over
    // the journal's directory.
    let pid = agent.pid();
    within(
        pid,
        &format!("mount -t tmpfs -o ro,size=64k shadow {disk}/journal"),
    )
    .await;
    let journal = |ledger: &Value, name: &str| ledger["agent"]["journal"][name].clone();
    let read_only = |ledger: &Value| journal(ledger, "error").to_string().contains("Read-only");
    let ledger = server.ledger_when("host", read_only).await;
    let sampled = count(&ledger, "sampled");
    let ledger = server
        .ledger_when("host", |ledger| count(ledger, "sampled") >= sampled + 3)
        .await;
    assert!(
        read_only(&ledger) && journal(&ledger, "memory_bytes") != 0,
        "{ledger:#}"
    );

    within(pid, &format!("umount {disk}/journal && rm {disk}/other")).await;
    let on_disk = |ledger: &Value| journal(ledger, "error").is_null() && journal(ledger, "memory_bytes") == 0;
    let ledger = server.ledger_when("host", on_disk).await;
    let journalled = ledger["agent"]["journalled"].as_u64().unwrap();
    let goes_on =
        |ledger: &Value| on_disk(ledger) && ledger["agent"]["journalled"].as_u64() >= Some(journalled + 3);
    server.ledger_when("host", goes_on).await;

    let ended = now();
    assert_eq!(agent.terminate().await, Some(0));
    let ledger = server.ledger_when("host", settled_since(ended)).await;
    assert_eq!(
        count(&ledger, "sampled"),
        count(&ledger, "stored") + lost,
        "nothing more went: {ledger:#}"
    );
    assert_eq!(stored(&database).await.len() as u64, count(&ledger, "stored"));
}

/// Whether the newest sample at most waits for its word.
fn nearly_settled(since: UnixMillis) -> impl Fn(&Value) -> bool {
    move |ledger| count(ledger, "buffered") <= 1 && ledger["agent"]["as_of"].as_i64() > Some(since.0)
}

fn count(ledger: &Value, name: &str) -> u64 {
    ledger["balance"][name].as_u64().unwrap_or(u64::MAX)
}

/// The numbers of the stored samples of one life.
async fn stored(database: &Database) -> BTreeSet<u64> {
    let stored = database.stored().await.unwrap();
    let seqs: BTreeSet<u64> = stored.iter().map(|(_, _, seq)| seq.unsigned_abs()).collect();
    assert_eq!(seqs.len(), stored.len(), "none is there twice");
    seqs
}
