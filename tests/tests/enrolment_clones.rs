//! Two hosts with one identity are noticed, and their data are never mixed; an agent that comes back is no copy of itself.

use std::fs;
use std::path::Path;

use nodeglass_tests::agent::{Agent, EACH_SECOND};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;
use tonic::{Code, Status};

on_every_database!(
    a_machine_that_was_copied_is_refused_and_shown,
    a_copy_of_a_running_machine_is_refused_and_shown,
    an_agent_that_comes_back_is_no_copy,
);

const CONFIG: &str = "agents: {heartbeat_interval: 1s}";

fn code(status: &Status) -> &str {
    let code = status.metadata().get("nodeglass-code");
    code.and_then(|code| code.to_str().ok()).unwrap_or("none")
}

/// A copy of a directory, as that of a machine has it; sockets and locks are left out.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy(&path, &target);
        } else if kind.is_file() {
            fs::copy(&path, &target).unwrap();
        }
    }
}

async fn cloned(server: &Server, agent: &str) -> Option<Value> {
    let entry = server.overview(agent).await?;
    entry.get("cloned").cloned()
}

async fn a_machine_that_was_copied_is_refused_and_shown(database: Database) {
    let server = Server::start_logged(&database, CONFIG).await;
    let mut agent = Agent::start(&server, "host").await;
    let some = async |count: usize| {
        let stored = database.stored().await.ok()?;
        (stored.len() >= count).then_some(stored)
    };
    eventually("samples of the host", async || some(3).await).await;

    // With its key, its certificate and its journal.
    let other = server.add_agent("copy").await;
    let mut twin = Agent::prepared(&other, EACH_SECOND).await;
    fs::remove_dir_all(twin.data_dir()).unwrap();
    copy(agent.data_dir(), twin.data_dir());
    twin.keep_log();
    twin.start_again();
    let said = async || (twin.logged("this host is a copy") > 0).then_some(());
    eventually("the copy to be told so", said).await;
    let shown = eventually("the agent to be shown as cloned", async || {
        cloned(&server, "host").await
    })
    .await;
    assert!(
        shown["kept_address"].is_string() && shown["refused_address"].is_string(),
        "{shown}"
    );
    assert_ne!(shown["kept_address"], shown["refused_address"]);
    assert_eq!(server.logged("two hosts report as one agent"), 1);

    // The host goes on, and what is stored is of it alone: one epoch, and each number once.
    let before = database.stored().await.unwrap().len();
    let stored = eventually("more samples of the host", async || some(before + 3).await).await;
    let epochs: std::collections::BTreeSet<_> = stored.iter().map(|(_, epoch, _)| *epoch).collect();
    assert_eq!(epochs.len(), 1, "{stored:?}");
    assert_eq!(server.overview("host").await.unwrap()["status"], "connected");

    // Enrolled under a name of its own, the copy sends nothing of what it took with it.
    assert_eq!(twin.terminate().await, Some(0));
    let mut enroll = nodeglass_tests::process::command("nodeglass-agent");
    let string = server
        .command(&["agent", "add", "copy", "--json", "--replace"])
        .await;
    let string = nodeglass_tests::server::commands::enrolment_in(&string);
    let output = nodeglass_tests::process::run(
        enroll
            .args(["enroll", &string, "--data-dir"])
            .arg(twin.data_dir()),
    )
    .await;
    assert!(output.status.success(), "{output:?}");
    assert!(twin.data_dir().join("journal-of-host").exists());
    twin.start_again();
    let of_copy = eventually("samples of the copy", async || {
        let stored = database.stored().await.ok()?;
        let of_copy: Vec<_> = stored.into_iter().filter(|(agent, ..)| agent == "copy").collect();
        (!of_copy.is_empty()).then_some(of_copy)
    })
    .await;
    assert!(
        of_copy.iter().all(|(_, epoch, _)| !epochs.contains(epoch)),
        "{of_copy:?}"
    );
    assert_eq!(twin.terminate().await, Some(0));
    assert_eq!(agent.terminate().await, Some(0));
}

async fn a_copy_of_a_running_machine_is_refused_and_shown(database: Database) {
    let server = Server::start_with(&database, Some(CONFIG)).await;
    // Copied with its memory, it has the same run of the program, too.
    let identity = server.enrolment("host").await;
    let mut agent = FakeAgent::open(&identity, 1).await.unwrap();
    let listening = tokio::spawn(async move {
        for seq in 1..=3 {
            agent.send([(seq, sample(now(), 1.0))]).await;
            agent.settled(1).await.unwrap();
        }
        let end = loop {
            if let Err(end) = agent.next().await {
                break end;
            }
        };
        (agent, end)
    });
    let refused = FakeAgent::open_as(&identity, "host", 1).await.unwrap_err();
    assert_eq!(
        (refused.code(), code(&refused)),
        (Code::PermissionDenied, "cloned"),
        "{refused}"
    );
    assert!(cloned(&server, "host").await.is_some());
    assert_eq!(server.overview("host").await.unwrap()["status"], "connected");
    assert!(!listening.is_finished(), "the one that was there stays");
    eventually("all samples of the one that was there", async || {
        let stored = database.stored().await.ok()?;
        (stored.len() == 3).then_some(())
    })
    .await;
    listening.abort();
}

async fn an_agent_that_comes_back_is_no_copy(database: Database) {
    // Signs of life seldom enough that the one who is gone is not missed before another comes.
    let server = Server::start_logged(&database, "{}").await;
    // Killed, it starts again; the old connection may not be quite gone.
    let mut agent = Agent::start(&server, "host").await;
    let stored = async |count: usize| {
        let stored = database.stored().await.ok()?;
        (stored.len() >= count).then_some(())
    };
    for round in 1..=3 {
        let before = database.stored().await.unwrap().len();
        eventually("samples", async || stored(before + 1).await).await;
        agent.kill().await;
        agent.start_again();
        println!("round {round}");
    }
    let before = database.stored().await.unwrap().len();
    eventually("samples after the last start", async || stored(before + 1).await).await;
    assert_eq!(agent.terminate().await, Some(0));
    assert_eq!(cloned(&server, "host").await, None);

    // Its host has lost its power: the old session is open, and nobody is at its other end. It starts again elsewhere.
    let identity = server.enrolment("frozen").await;
    let mut gone = FakeAgent::open(&identity, 1).await.unwrap();
    let mut again = identity.clone();
    again.instance = identity.instance.wrapping_add(1);
    let mut back = FakeAgent::open(&again, 2).await.unwrap();
    back.send([(1, sample(now(), 1.0))]).await;
    back.settled(1).await.unwrap();
    let end = loop {
        if let Err(end) = gone.next().await {
            break end;
        }
    };
    assert_eq!(end.code(), Code::Aborted, "{end}");
    assert_eq!(cloned(&server, "frozen").await, None);
    assert_eq!(server.logged("two hosts report as one agent"), 0);
}
