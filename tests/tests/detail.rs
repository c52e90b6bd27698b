//! What the server gets from an agent beyond the samples that it sends by itself: each second while somebody looks on, and
//! the seconds between its samples, also those of an outage.

use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::server::Server;
use nodeglass_tests::{PATIENCE, at_once_on_every_database, eventually};
use serde_json::Value;
use tokio::time::timeout;

at_once_on_every_database!(what_an_agent_has_beyond_its_samples:
    who_looks_on_gets_each_second,
    finer_history_comes_from_the_agent,
    an_outage_is_filled_and_a_stop_is_named,
);

const QUICK: &str = "agents: {heartbeat_interval: 1s}";
/// An agent of the default intervals: a sample each second, and one for the server every five.
const DEFAULT: &str = "local_endpoint: {enabled: false}";

/// The samples of a stream, by their time.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(server: &Server, path: &str) -> Self {
        let response = server.request(path).send().await.expect("a stream");
        assert!(response.status().is_success(), "{response:?}");
        Self {
            response,
            text: String::new(),
        }
    }

    async fn next(&mut self) -> UnixMillis {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let sample = data.map(|data| serde_json::from_str::<Value>(data).expect("JSON"));
                if let Some(sample) = sample {
                    return UnixMillis(sample["timestamp"].as_i64().expect("a time"));
                }
                continue;
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk
                .expect("an event in time")
                .expect("a connection")
                .expect("a stream");
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
    }

    /// Reads until the last samples are all so far apart.
    async fn until(&mut self, what: &str, samples: usize, apart: impl Fn(Duration) -> bool) {
        let reading = async {
            let mut times = vec![self.next().await];
            loop {
                times.push(self.next().await);
                let last = &times[times.len().saturating_sub(samples)..];
                if last.len() == samples && last.windows(2).all(|pair| apart(pair[1].since(pair[0]))) {
                    return;
                }
            }
        };
        timeout(PATIENCE, reading)
            .await
            .unwrap_or_else(|_| panic!("no {what}"));
    }
}

fn each_second(apart: Duration) -> bool {
    (Duration::from_millis(500)..Duration::from_millis(1_800)).contains(&apart)
}

fn every_five(apart: Duration) -> bool {
    (Duration::from_millis(4_200)..Duration::from_millis(6_500)).contains(&apart)
}

async fn who_looks_on_gets_each_second(database: Database) {
    let server = Server::start_with(&database, Some(QUICK)).await;
    let mut agent = Agent::start_with(&server, "host", DEFAULT).await;
    // Connected, and past its first samples, which follow each other sooner.
    let path = "/api/v1/agents/host/metrics/stream";
    let mut slow = Events::open(&server, &format!("{path}?interval=10")).await;
    slow.next().await;
    let mut passive = Events::open(&server, &format!("{path}?interval=5")).await;
    passive.until("samples of its own pace", 2, every_five).await;

    let mut watching = Events::open(&server, &format!("{path}?interval=1")).await;
    watching.next().await;
    watching.until("sample each second", 5, each_second).await;
    drop(watching);
    // What it sends by itself again shows in the store, which has all that it sent.
    let stopped = now();
    eventually("the agent to go back to its own pace", async || {
        let times = database.times("host").await.ok()?;
        let after: Vec<UnixMillis> = times.into_iter().filter(|at| *at > stopped).collect();
        let last = after.windows(2).last()?;
        every_five(last[1].since(last[0])).then_some(())
    })
    .await;
    assert_eq!(agent.terminate().await, Some(0));
}

/// History of seconds between two moments.
async fn seconds(server: &Server, from: UnixMillis, to: UnixMillis, interval: u64) -> Value {
    let path = format!(
        "/api/v1/agents/host/metrics/history?metrics=memory.used_bytes&interval={interval}&start={}&end={}",
        from.seconds(),
        // A range has a second at least.
        to.seconds().max(from.seconds() + 1)
    );
    server.ok(&path).await
}

/// The times of an answer's points, in seconds.
fn times(history: &Value) -> Vec<i64> {
    let points = history["data"].as_array().expect("points").iter();
    points
        .map(|point| point["timestamp"].as_i64().expect("a time"))
        .collect()
}

/// Whether points follow each other as samples of each second do: a second may fall between two of them.
fn has_each_second(times: &[i64], from: i64, to: i64) -> bool {
    let near = |at: &i64, end: i64| (at - end).abs() <= 2;
    times.first().is_some_and(|first| near(first, from))
        && times.last().is_some_and(|last| near(last, to))
        && times.windows(2).all(|pair| pair[1] - pair[0] <= 2)
        && times.len() as i64 * 10 >= (to - from) * 8
}

async fn finer_history_comes_from_the_agent(database: Database) {
    let server = Server::start_with(&database, Some(QUICK)).await;
    let began = now();
    let mut agent = Agent::start_with(&server, "host", DEFAULT).await;
    let (fine, end) = eventually("each of twelve seconds", async || {
        let end = now();
        let history = seconds(&server, began, end, 1).await;
        let enough = end.since(began) > Duration::from_secs(12);
        (enough && has_each_second(&times(&history), began.seconds(), end.seconds()))
            .then_some((history, end))
    })
    .await;
    assert_eq!(fine["source"], "store+agent", "{fine:#}");
    let stored = database.times("host").await.unwrap();
    assert!(
        stored.len() < times(&fine).len() / 2,
        "the store has every fifth: {stored:?}"
    );

    // At the store's own resolution nobody is asked.
    eventually("an answer of the store alone", async || {
        let history = seconds(&server, began, end, 5).await;
        (history["source"] == "store" && !times(&history).is_empty()).then_some(())
    })
    .await;

    // Without the agent the store answers, and the answer says that the agent is away.
    agent.kill().await;
    let coarse = eventually("an answer without the agent", async || {
        let history = seconds(&server, began, now(), 1).await;
        let gaps = history["gaps"].as_array()?;
        gaps.iter().any(|gap| gap["reason"] == "away").then_some(history)
    })
    .await;
    assert_eq!(coarse["source"], "store");
    assert_eq!(times(&coarse).len(), database.times("host").await.unwrap().len());
}

async fn an_outage_is_filled_and_a_stop_is_named(database: Database) {
    let mut server = Server::start_to_be_killed(&database, QUICK).await;
    let began = now();
    let mut agent = Agent::start_with(&server, "host", DEFAULT).await;
    eventually("first samples", async || {
        (database.times("host").await.ok()?.len() >= 2).then_some(())
    })
    .await;
    server.kill().await;
    let outage = now();
    eventually("eight seconds of outage", async || {
        (now().since(outage) > Duration::from_secs(8)).then_some(())
    })
    .await;
    let back = now();
    server.start_again().await;
    let filled = eventually("the seconds of the outage", async || {
        let history = seconds(&server, outage, back, 1).await;
        has_each_second(&times(&history), outage.seconds(), back.seconds()).then_some(history)
    })
    .await;
    assert_ne!(filled["source"], "store", "{filled:#}");
    let missing = |history: &Value, reason: &str| {
        let gaps = history["gaps"].as_array().expect("gaps").clone();
        gaps.into_iter().find(|gap| gap["reason"] == reason)
    };
    assert_eq!(
        missing(&filled, "not_running"),
        None,
        "an outage of the server is none of the agent: {filled:#}"
    );

    agent.kill().await;
    let killed = now();
    eventually("three seconds without an agent", async || {
        (now().since(killed) > Duration::from_secs(3)).then_some(())
    })
    .await;
    agent.start_again();
    let gap = eventually("the gap to be named", async || {
        let history = seconds(&server, began, now().plus(Duration::from_secs(1)), 1).await;
        missing(&history, "not_running")
    })
    .await;
    let (from, to) = (
        UnixMillis(gap["from"].as_i64().unwrap()),
        UnixMillis(gap["to"].as_i64().unwrap()),
    );
    assert!(
        to.since(from) >= Duration::from_secs(3)
            && from <= killed
            && to >= killed.plus(Duration::from_secs(3)),
        "from its last sample to its next start: {gap:#}, killed at {killed:?}"
    );
    // Before and after it stands what was sampled, at each second.
    let after = eventually("seconds after the gap", async || {
        let end = now();
        let history = seconds(&server, to, end, 1).await;
        (end.since(to) > Duration::from_secs(4)).then_some((history, end))
    })
    .await;
    assert!(
        has_each_second(&times(&after.0), to.seconds(), after.1.seconds()),
        "{:#}",
        after.0
    );
    assert_eq!(agent.terminate().await, Some(0));
}
