//! Backup and restore as `docs/backup.md` describes them: made while samples come, restored into another database, and gone
//! on with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nodeglass_model::UnixMillis;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::process::{command, run};
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;
use xtask::postgres::Binaries;

on_every_database!(a_backup_of_a_running_server_is_whole_and_agents_go_on);

const CONFIG: &str = "agents: {heartbeat_interval: 1s}\nmetrics: {storage: {compaction_interval: 1s}}";
/// It sends every second sample, so that its own history has more than the server.
const AGENT: &str = "metrics: {collection_interval: 2s}";

/// Runs a program of PostgreSQL's against a database.
async fn postgres(program: &str, database: &Database, arguments: &[&str]) {
    let binaries = Binaries::find().expect("PostgreSQL's programs");
    let mut command = tokio::process::Command::new(binaries.directory().join(program));
    let output = run(command.arg("--dbname").arg(database.url()).args(arguments)).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
}

/// Backs a server's database up into a directory.
async fn back_up(server: &Server, database: &Database, directory: &Path) -> PathBuf {
    let file = directory.join("backup");
    let name = file.to_str().unwrap();
    if database.is_sqlite() {
        let said = server.command(&["backup", name]).await;
        assert!(said.contains("bytes"), "{said}");
    } else {
        postgres(
            "pg_dump",
            database,
            &["--format=custom", "--no-owner", "--file", name],
        )
        .await;
    }
    file
}

/// A new database with what a backup holds.
async fn restored(like: &Database, backup: &Path) -> Database {
    let database = Database::like(like).await;
    if database.is_sqlite() {
        let path = database.url().strip_prefix("sqlite://").unwrap();
        std::fs::copy(backup, path).unwrap();
    } else {
        let arguments = ["--no-owner", "--exit-on-error", backup.to_str().unwrap()];
        postgres("pg_restore", &database, &arguments).await;
    }
    database
}

/// Every sample that a server has, by agent and number. None is there twice.
async fn exported(server: &Server) -> BTreeMap<(String, u64), Value> {
    let answer = server.request("/api/v1/export").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut samples = BTreeMap::new();
    for line in answer.text().await.unwrap().lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let agent = sample["agent_id"].as_str().unwrap().to_owned();
        let key = (agent, sample["seq"].as_u64().unwrap());
        assert_eq!(samples.insert(key, sample), None, "twice: {line}");
    }
    samples
}

fn numbers(samples: &BTreeMap<(String, u64), Value>, of: &str) -> BTreeSet<u64> {
    let keys = samples.keys().filter(|(agent, _)| agent == of);
    keys.map(|(_, seq)| *seq).collect()
}

async fn history(server: &Server, agent: &str, rest: &str) -> Value {
    let path = format!("/api/v1/agents/{agent}/metrics/history?metrics=cpu.usage_percent&{rest}");
    server.ok(&path).await
}

/// Runs `nodeglass` with a file.
async fn nodeglass(server: &Server, arguments: &[&str], file: &Path) {
    let mut command = command("nodeglass");
    command.args(arguments).arg(file);
    command
        .env("NODEGLASS_SERVER", &server.url)
        .env("NODEGLASS_TOKEN", TOKEN);
    let output = run(&mut command).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

async fn a_backup_of_a_running_server_is_whole_and_agents_go_on(database: Database) {
    let files = tempfile::tempdir().unwrap();
    let mut server = Server::start_to_be_killed(&database, CONFIG).await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let enrolment = server.enrolment("host").await;
    let mut real = Agent::start_with(&server, "real", AGENT).await;
    let begin = UnixMillis(now().0 / 60_000 * 60_000 - 7_200_000);
    let numbered = move |seq: u64| {
        let at = UnixMillis(begin.0 + seq as i64 * 500);
        (seq, sample(at, (seq % 100) as f64))
    };
    // An agent that goes on all the time.
    let (acknowledged, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let feeding = tokio::spawn({
        let (acknowledged, enough, enrolment) = (acknowledged.clone(), enough.clone(), enrolment.clone());
        async move {
            let mut agent = FakeAgent::open(&enrolment, 7).await.unwrap();
            let mut sent = 0;
            while !enough.load(Ordering::Relaxed) {
                agent.send((sent + 1..=sent + 50).map(numbered)).await;
                sent += 50;
                agent.settled(50).await.unwrap();
                acknowledged.store(sent, Ordering::Relaxed);
            }
            sent
        }
    });
    let at_least = async |count: u64| {
        eventually("samples to be acknowledged", async || {
            (acknowledged.load(Ordering::Relaxed) >= count).then_some(())
        })
        .await;
    };
    at_least(300).await;
    let real_has = async |server: &Server, count: usize| {
        eventually("samples of the real agent", async || {
            let samples = exported(server).await;
            (numbers(&samples, "real").len() >= count).then_some(samples)
        })
        .await
    };
    real_has(&server, 2).await;

    let before = acknowledged.load(Ordering::Relaxed);
    let backup = back_up(&server, &database, files.path()).await;
    let real_before = numbers(&exported(&server).await, "real").len();
    at_least(acknowledged.load(Ordering::Relaxed) + 200).await;
    enough.store(true, Ordering::Relaxed);
    let sent = feeding.await.unwrap();
    let all = real_has(&server, real_before + 3).await;
    let backed_up = format!(
        "start={}&end={}&interval=60",
        begin.0,
        begin.0 + before as i64 * 500
    );
    let history_before = history(&server, "host", &backed_up).await;
    server.kill().await;

    // Another database and data directory, at the same address.
    let new = restored(&database, &backup).await;
    let other = Server::start_at(&new, &address, CONFIG).await;
    assert_eq!(
        history(&other, "host", &backed_up).await["data"],
        history_before["data"]
    );
    let found = exported(&other).await;
    for (key, sample) in found.iter().filter(|(key, _)| all.contains_key(key)) {
        assert_eq!(Some(sample), all.get(key));
    }
    let of_host = numbers(&found, "host");
    let last = of_host.last().copied().unwrap();
    assert!((before..sent).contains(&last), "{before} <= {last} < {sent}");
    assert_eq!(
        of_host,
        (1..=last).collect(),
        "no sample before the backup is missing"
    );

    // What an agent sends again is known as far as it is in the backup.
    let mut agent = FakeAgent::open(&enrolment, 7).await.unwrap();
    agent.send((last - 9..=last + 20).map(numbered)).await;
    agent.settled(30).await.unwrap();
    assert_eq!(
        numbers(&exported(&other).await, "host"),
        (1..=last + 20).collect()
    );

    // The real one goes on by itself. What was stored after the backup it takes for stored: it is missing, and the ledger
    // says how much.
    let (missing, samples) = eventually("the ledger to say what is missing", async || {
        let samples = exported(&other).await;
        let stored = numbers(&samples, "real");
        let missing: BTreeSet<u64> = (1..=*stored.last()?)
            .filter(|seq| !stored.contains(seq))
            .collect();
        let balance = other.ok("/api/v1/agents/real/ledger").await["balance"].clone();
        let goes_on = stored.last() > numbers(&all, "real").last();
        let is_said = balance["unaccounted"] == missing.len() && balance["balanced"] == false;
        (goes_on && is_said).then_some((missing, samples))
    })
    .await;
    assert!(missing.len() >= 3, "{missing:?}");
    let around = |seq: u64| {
        samples
            .get(&("real".to_owned(), seq))
            .map(|sample| &sample["timestamp"])
    };
    let (first, last) = (missing.first().unwrap(), missing.last().unwrap());
    let since = around(first - 1).and_then(Value::as_i64).unwrap() + 1_000;
    let until = around(last + 1).and_then(Value::as_i64).unwrap();
    let span = format!("start={since}&end={until}");
    let coarse = history(&other, "real", &format!("{span}&interval=2")).await;
    assert_eq!(coarse["source"], "store", "{coarse}");
    // Its own history still has it, and shows it to who asks for more than the server stores.
    let fine = history(&other, "real", &format!("{span}&interval=1")).await;
    let seconds = fine["data"].as_array().unwrap().len();
    assert!(seconds > missing.len(), "{fine}");
    assert!(fine["source"].as_str().unwrap().contains("agent"), "{fine}");

    // Where the old database can still be read, the rest is brought over, and the books balance again.
    let old = Server::start_with(&database, Some(CONFIG)).await;
    let rest = files.path().join("rest.csv");
    nodeglass(&old, &["export", "--since", "3h", "--output"], &rest).await;
    nodeglass(&other, &["import"], &rest).await;
    let balanced =
        |ledger: &Value| ledger["balance"]["unaccounted"] == 0 && ledger["balance"]["balanced"] == true;
    other.ledger_when("real", balanced).await;
    assert_eq!(real.terminate().await, Some(0));
    let samples = exported(&other).await;
    let stored = numbers(&samples, "real");
    assert_eq!(stored, (1..=*stored.last().unwrap()).collect());
    assert_eq!(numbers(&samples, "host"), (1..=sent).collect());
}

#[tokio::test]
async fn a_backup_says_what_it_can_not_do() {
    let files = tempfile::tempdir().unwrap();
    let backup = async |database: &str, file: &str| {
        let mut command = command("nodeglass-server");
        command.args(["backup", file, "--database", database, "--data-dir"]);
        let output = run(command.arg(files.path().join("data"))).await;
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let there = files.path().join("there");
    std::fs::write(&there, "somebody's").unwrap();
    let there = there.to_str().unwrap();
    let new = files.path().join("new");
    let new = new.to_str().unwrap();
    let said = backup("postgres://nobody@localhost/nothing", new).await;
    assert!(said.contains("pg_dump"), "{said}");
    let none = format!("sqlite://{}", files.path().join("none.db").display());
    let said = backup(&none, there).await;
    assert!(said.contains("there already"), "{said}");
    let said = backup(&none, new).await;
    assert!(said.contains("check that the database is there"), "{said}");
    assert_eq!(std::fs::read_to_string(there).unwrap(), "somebody's");
    let left: Vec<_> = std::fs::read_dir(files.path()).unwrap().flatten().collect();
    let names: BTreeSet<_> = left
        .iter()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, ["data", "there"].map(str::to_owned).into());
}
