//! The books balance whatever is killed: agent and server end at random moments, a hundred times on each database, and
//! every sample that was taken is stored once.

use std::collections::BTreeMap;
use std::time::Instant;

use nodeglass_journal::Journal;
use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::{Server, assert_all_stored, settled_since};

on_every_database!(
    a_hundred_kills_lose_nothing_and_store_nothing_twice,
    what_comes_twice_is_stored_once_and_counted,
);

/// Kills on each database; two databases make two hundred.
const KILLS: u32 = 100;
/// How long both are left alone between two kills at most: mostly so shortly that a start is cut short, once in a while
/// until more than the first samples were sent.
const SPANS_MS: [u64; 8] = [20, 100, 100, 200, 300, 400, 600, 2_500];

async fn a_hundred_kills_lose_nothing_and_store_nothing_twice(database: Database) {
    let mut chance = Chance::new("kills");
    let mut server = Server::start_to_be_killed(&database, "agents: {heartbeat_interval: 1s}").await;
    // Each life begins with a sample. Further ones come between the signs of life, which would else find the newest under
    // way each time.
    let config = "metrics: {collection_interval: 2s}\nlocal_endpoint: {enabled: false}";
    let mut agent = Agent::prepared(&server.add_agent("host").await, config).await;
    agent.keep_log();
    agent.start_again();
    let (mut of_agent, mut of_server) = (0, 0);
    while of_agent + of_server < KILLS {
        // A random moment is what is tested, so this is no wait for anything. Short lives and long ones alike.
        let most = SPANS_MS[chance.below(SPANS_MS.len() as u64) as usize];
        tokio::time::sleep(chance.millis(most)).await;
        let which = chance.below(3);
        if which != 1 {
            agent.kill().await;
            of_agent += 1;
        }
        if which != 0 {
            server.kill().await;
            of_server += 1;
        }
        // Whether one waits for the other is chance, too.
        if which != 0 && chance.below(2) == 0 {
            server.spawn_again();
        } else if which != 0 {
            server.start_again().await;
        }
        if which != 1 {
            agent.start_again();
        }
    }

    server.ready().await;
    let ledger = server.ledger_when("host", settled_since(now())).await;
    assert_all_stored(&ledger);

    // With both at rest, the agent's last word, its journal and the rows of the database say the same.
    let ended = now();
    assert_eq!(agent.terminate().await, Some(0));
    let ledger = server.ledger_when("host", settled_since(ended)).await;
    assert_all_stored(&ledger);
    let stored = database.stored().await.unwrap();
    let mut lives: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (_, epoch, seq) in &stored {
        lives.entry(*epoch).or_default().push(*seq);
    }
    for (epoch, seqs) in &lives {
        let expected: Vec<i64> = (1..=seqs.len() as i64).collect();
        assert_eq!(seqs, &expected, "the life {epoch} has each sample once");
    }
    assert_eq!(
        ledger["server"]["stored"],
        stored.len(),
        "what the server counted is there"
    );
    assert_eq!(ledger["balance"]["sampled"], stored.len());
    let books = books(&agent);
    assert_eq!(
        (books.sampled, books.acknowledged),
        (stored.len() as u64, stored.len() as u64),
        "{books:?}"
    );
    println!(
        "{of_agent} kills of the agent, {of_server} of the server: {} samples of {} lives stored, {} came twice",
        stored.len(),
        lives.len(),
        ledger["server"]["duplicate"]
    );
    assert!(
        lives.len() > of_agent as usize / 4,
        "the agent sampled between the kills: {lives:?}"
    );
}

/// The books of an agent that has ended, from its journal.
fn books(agent: &Agent) -> nodeglass_journal::Books {
    let (journal, recovery) = Journal::open(agent.journal(), now(), Instant::now());
    let standing = journal.standing();
    assert_eq!(standing.buffered, 0, "all is settled: {standing:?} {recovery:?}");
    standing.books
}

async fn what_comes_twice_is_stored_once_and_counted(database: Database) {
    let server = Server::start(&database).await;
    let enrolment = server.enrolment("host").await;
    let first = now().minus(std::time::Duration::from_hours(1));
    let numbered = |seq: u64| (seq, sample(UnixMillis(first.0 + seq as i64 * 100), 1.0));
    let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    for batch in 0..10_u64 {
        // At once behind each other, so that some meet in the writer's queue and some find what is stored.
        let numbers = batch * 20 + 1..=batch * 20 + 20;
        for _ in 0..2 {
            agent.send(numbers.clone().map(numbered)).await;
        }
        if batch % 2 == 0 {
            acknowledged(&mut agent, *numbers.end()).await;
        }
    }
    // The rest of what came twice is counted before the session ends, so that nothing of it is lost on its way.
    let has = |duplicates: u64| move |ledger: &serde_json::Value| ledger["server"]["duplicate"] == duplicates;
    server.ledger_when("host", has(200)).await;
    drop(agent);
    // A whole session again, as after a server that lost its connection before its last word.
    let mut agent = FakeAgent::open(&enrolment, 1).await.unwrap();
    agent.send((1..=200).map(numbered)).await;
    acknowledged(&mut agent, 200).await;

    let ledger = server.ledger_when("host", has(400)).await;
    assert_eq!(ledger["server"]["stored"], 200, "{ledger:#}");
    assert_eq!(database.stored().await.unwrap().len(), 200);
}

/// Waits until a session has heard of a sample; what was sent before it was stored before it.
async fn acknowledged(agent: &mut FakeAgent, seq: u64) {
    loop {
        let (stored, rejected) = agent.settled(1).await.expect("the session lives on");
        assert_eq!(rejected, []);
        if stored.contains(&seq) {
            return;
        }
    }
}
