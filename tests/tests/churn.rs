//! Thousands of short lives beside the agent: processes and interfaces that come and go leave it with as many descriptors
//! and as much memory as before.

use std::time::{Duration, Instant};

use nodeglass_journal::Journal;
use nodeglass_model::TimeRange;
use nodeglass_model::history::HistoryQuery;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::fake_server::FakeServer;
use nodeglass_tests::namespace::{Own, in_own, within};

/// Interfaces, and processes, of one round.
const INTERFACES: u32 = 40;
const PROCESSES: u32 = 800;
/// Rounds before the first measurement, when everything has its usual size, and between the two.
const ROUNDS: (u32, u32) = (2, 4);
/// Memory that the agent may have more of after the second: pages that its allocator has not given back.
const MORE_KIB: u64 = 3_072;

/// Descriptors and resident memory in KiB of a process. Files of processes that still run don't count: the agent holds
/// those of the busiest open, and how many there are is up to whatever else runs here.
fn holdings(pid: u32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("a running agent");
    let descriptors = descriptors.filter(|entry| {
        let target = entry
            .as_ref()
            .ok()
            .and_then(|entry| std::fs::read_link(entry.path()).ok());
        let target = target.unwrap_or_default().display().to_string();
        let of_process = target
            .strip_prefix("/proc/")
            .and_then(|rest| rest.split('/').next()?.parse::<u32>().ok());
        of_process.is_none_or(|other| !std::path::Path::new(&format!("/proc/{other}")).exists())
    });
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running agent");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    (descriptors.count(), resident.expect("its memory"))
}

/// One round: interfaces come while processes fork, and go again.
async fn round(pid: u32, kind: &str, number: u32) {
    let script = format!(
        "set -e; i=0; while [ $i -lt {INTERFACES} ]; do ip link add churn{number}x$i type {kind}; i=$((i+1)); done\n\
         i=0; while [ $i -lt {PROCESSES} ]; do /bin/true; i=$((i+1)); done\n\
         i=0; while [ $i -lt {INTERFACES} ]; do ip link del churn{number}x$i; i=$((i+1)); done"
    );
    within(pid, &script).await;
}

/// Waits until samples were taken in which nothing came or went.
async fn quiet() {
    let last = now();
    eventually("three seconds without any", async || {
        (now().since(last) > Duration::from_secs(3)).then_some(())
    })
    .await;
}

/// A kind of interface that this kernel can make out of nothing.
async fn some_kind(pid: u32) -> &'static str {
    for kind in ["dummy", "bridge", "ifb"] {
        let script =
            format!("ip link add probe type {kind} 2>/dev/null && ip link del probe && echo yes || echo no");
        if within(pid, &script).await.trim() == "yes" {
            return kind;
        }
    }
    panic!("this test needs `ip`, and a kernel that can make dummy, bridge or ifb interfaces");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_lives_beside_it_leave_nothing_with_the_agent() {
    // Nobody is reached from a network namespace of one's own: the agent works for its journal.
    let server = FakeServer::start().await;
    let config = "metrics: {collection_interval: 1s}\nlocal_endpoint: {enabled: false}";
    let mut agent = Agent::prepared(&server.enrolment("host"), config).await;
    agent.keep_log();
    // An agent reads the interfaces of process 1, wherever it is itself; here that is to be the agent.
    let own_interfaces = "mount --bind /proc/$$ /proc/1";
    agent.start_behind(in_own(Own::MountsAndNetwork, own_interfaces).await);
    agent.start_again();
    let pid = agent.pid();
    eventually("the agent to sample", async || {
        (agent.logged("sampling") > 0).then_some(())
    })
    .await;
    let kind = some_kind(pid).await;
    let began = now();
    for number in 0..ROUNDS.0 {
        round(pid, kind, number).await;
    }
    // Two samples later those that ended before are gone from what it holds.
    quiet().await;
    let before = holdings(pid);
    for number in ROUNDS.0..ROUNDS.0 + ROUNDS.1 {
        round(pid, kind, number).await;
    }
    quiet().await;
    // Whatever else runs here ends, too, and its files are closed at the next scan; what leaks stays.
    let after = eventually("descriptors to be as many as before", async || {
        let after = holdings(pid);
        println!("descriptors and KiB before: {before:?}, after: {after:?}");
        (after.0 <= before.0 + 2).then_some(after)
    })
    .await;
    assert!(
        after.1 <= before.1 + MORE_KIB,
        "memory: {before:?}, then {after:?}"
    );

    // It looked on all the while, and saw them.
    agent.kill().await;
    let (journal, _) = Journal::open(agent.journal(), now(), Instant::now());
    let range = TimeRange {
        start: began,
        end: now(),
    };
    let query = HistoryQuery::new(&["network.errors_in@*"], range, Some(1), None).unwrap();
    let history = journal.history(&query);
    let saw = history
        .rows()
        .filter_map(|(_, mut row)| row.find(|(name, _)| name.contains("churn")));
    assert!(
        saw.count() >= 2,
        "interfaces that came and went are in its samples: {history:?}"
    );
}
