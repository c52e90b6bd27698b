//! What says who and where, as each host's owner wants it: kept, hashed under the server's key, or left out. Looked for in
//! what goes over the wire, in the journal, in the database, in the server's answers and in the agent's own.

use std::collections::BTreeSet;

use nodeglass_collect::privacy::{Personal, Privacy, PrivacyRules, Treatment};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::chance::Chance;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::host_tree::{HostTree, PID, contents, holds};
use nodeglass_tests::process::{command, run};
use nodeglass_tests::proxy::Proxy;
use nodeglass_tests::server::{Server, plain_http, settled_since};
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;

on_every_database!(
    each_treatment_holds_wherever_one_looks,
    what_was_kept_is_treated_when_it_is_sent
);

const HOST: HostTree<'static> = HostTree {
    host_name: "canary-host",
    mac_address: "02:ca:4a:12:34:56",
    address: "10.66.77.88",
    user: "canary-user",
    argument: "canary-argument",
    file_server: "canary-nas",
};

/// All that must not be found where it is not kept.
const CANARIES: [&str; 6] = [
    HOST.host_name,
    HOST.mac_address,
    HOST.address,
    HOST.user,
    HOST.argument,
    HOST.file_server,
];

/// Where canaries are looked for, once an agent has told all it has to tell.
struct Found {
    wire: Vec<u8>,
    journal: Vec<u8>,
    answers: String,
    local: String,
    system: Value,
}

fn configuration(root: &str, treatment: &str, port: u16) -> String {
    format!(
        "host_root: {root}\nmetrics: {{collection_interval: 1s}}\nlocal_endpoint: {{listen: '127.0.0.1:{port}'}}\n\
         privacy: {{addresses: {treatment}, hostnames: {treatment}, mac_addresses: {treatment}, user_names: {treatment}, \
         command_lines: {treatment}}}\n"
    )
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// The latest sample, once there is one.
async fn latest(server: &Server, agent: &str) -> Option<Value> {
    let (status, shown) = server.get(&format!("/api/v1/agents/{agent}/metrics")).await;
    status.is_success().then_some(shown)
}

/// An enrolment string whose agent goes by way of a proxy.
fn by_way_of(proxy: &Proxy, string: &str) -> String {
    let mut enrolment = Enrolment::decode(string).expect("an enrolment");
    enrolment.server = proxy.redirect(&enrolment.server);
    enrolment.encode()
}

async fn look(server: &Server, treatment: &str) -> Found {
    let root = HOST.write();
    let port = free_port();
    let enrolment = server.add_agent(treatment).await;
    let proxy = Proxy::recording(&server.url, Chance::new("privacy")).await;
    let config = configuration(root.path().to_str().expect("a path"), treatment, port);
    let mut agent = Agent::enrolled(&by_way_of(&proxy, &enrolment), &config).await;
    let socket = agent.data_dir().join("agent.sock");
    eventually("the task socket", async || socket.exists().then_some(())).await;
    let mut track = command("nodeglass-agent");
    track.args([
        "track",
        "--task",
        "followed",
        "--pid",
        &PID.to_string(),
        "--data-dir",
    ]);
    let output = run(track.arg(agent.data_dir())).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let is_told = |user: &Value| match treatment {
        "omit" => user.is_null(),
        "hash" => user.as_str().is_some_and(|user| user.starts_with('#')),
        _ => user == HOST.user,
    };
    eventually("a sample with its task, treated", async || {
        let shown = latest(server, treatment).await?;
        let mut top = shown["processes"]["top"].as_array()?.iter();
        let process = top.find(|process| process["pid"] == PID)?;
        let tasks = shown["processes"]["task_processes"].as_array()?.len();
        (is_told(&process["user"]) && tasks == 1).then_some(())
    })
    .await;
    let system = eventually("what the host is, treated", async || {
        let (_, system) = server.get(&format!("/api/v1/agents/{treatment}/system")).await;
        let name = &system["software"]["hostname"];
        let is_told = match treatment {
            "omit" => name == "",
            "hash" => name.as_str().is_some_and(|name| name.starts_with('#')),
            _ => name == HOST.host_name,
        };
        is_told.then_some(system)
    })
    .await;
    let mut local = String::new();
    for path in ["metrics", "metrics.json", "gpu", "health"] {
        let answer = plain_http()
            .get(format!("http://127.0.0.1:{port}/{path}"))
            .send()
            .await;
        local += &answer.expect("an answer").text().await.expect("a text");
    }
    let mut answers = system.to_string();
    for path in ["metrics", "processes", "tasks"] {
        answers += &server
            .ok(&format!("/api/v1/agents/{treatment}/{path}"))
            .await
            .to_string();
    }
    let journal = contents(&agent.data_dir().join("journal"));
    // Its last word says that all is stored.
    let moment = now();
    agent.terminate().await;
    server.ledger_when(treatment, settled_since(moment)).await;
    Found {
        wire: proxy.recorded(),
        journal,
        answers,
        local,
        system,
    }
}

async fn each_treatment_holds_wherever_one_looks(database: Database) {
    let mut server = Server::start(&database).await;
    let keep = look(&server, "keep").await;
    let own_database = |dump: &[u8]| CANARIES.map(|canary| holds(dump, canary));
    for canary in CANARIES {
        // The test has eyes: what is kept is where it is looked for.
        assert!(holds(&keep.wire, canary), "{canary} on the wire");
        assert!(
            keep.answers.contains(canary) || canary == HOST.file_server,
            "{canary} in answers"
        );
    }
    for canary in [HOST.host_name, HOST.mac_address, HOST.user, HOST.file_server] {
        assert!(keep.local.contains(canary), "{canary} in the agent's own answers");
    }
    assert!(holds(&keep.journal, HOST.user) && holds(&keep.journal, HOST.argument));

    // Another database, so that what is found in it is not what was kept.
    let clean = Database::like(&database).await;
    let other = Server::start(&clean).await;
    let (hashed, omitted) = tokio::join!(look(&other, "hash"), look(&other, "omit"));
    for (name, found) in [("hash", &hashed), ("omit", &omitted)] {
        for canary in CANARIES {
            assert!(!holds(&found.wire, canary), "{name}: {canary} on the wire");
            assert!(!holds(&found.journal, canary), "{name}: {canary} in the journal");
            assert!(
                !found.answers.contains(canary),
                "{name}: {canary} in {}",
                found.answers
            );
            assert!(
                !found.local.contains(canary),
                "{name}: {canary} in the agent's own answers"
            );
        }
    }
    assert_eq!(own_database(&clean.dump().await), [false; 6], "in the database");

    // Hashes are those of the server's key, so they are equal on all of its hosts.
    let key = std::fs::read_to_string(other.data_dir().join("privacy.key")).expect("the server's key");
    let privacy = Privacy::new(PrivacyRules {
        host_names: Treatment::Hash,
        ..PrivacyRules::default()
    });
    privacy.set_key(&key);
    let name = privacy.show(Personal::HostName, HOST.host_name).expect("a key");
    assert_eq!(hashed.system["software"]["hostname"], *name);
    assert!(
        holds(&hashed.wire, &key),
        "it came over the wire, for hosts that ask for it"
    );
    assert!(!holds(&omitted.wire, &key) && !holds(&clean.dump().await, &key));
    server.terminate().await;
}

/// A journal that was written when all was kept, sent under another configuration.
async fn what_was_kept_is_treated_when_it_is_sent(database: Database) {
    let mut server = Server::start(&database).await;
    let root = HOST.write();
    let path = root.path().to_str().expect("a path").to_owned();
    let enrolment = server.add_agent("late").await;
    let proxy = Proxy::recording(&server.url, Chance::new("privacy")).await;
    let mut agent = Agent::prepared(
        &by_way_of(&proxy, &enrolment),
        &configuration(&path, "keep", free_port()),
    )
    .await;
    server.kill().await;
    agent.start_again();
    let mut sizes = BTreeSet::new();
    eventually("some samples in the journal", async || {
        let journal = contents(&agent.data_dir().join("journal"));
        sizes.insert(journal.len());
        (sizes.len() > 5 && holds(&journal, HOST.user)).then_some(())
    })
    .await;
    agent.terminate().await;
    let sent_before = proxy.recorded().len();
    std::fs::write(
        agent.data_dir().join("agent.yaml"),
        configuration(&path, "omit", free_port()),
    )
    .expect("a file");
    server.start_again().await;
    agent.start_again();
    eventually("the new session", async || {
        server.overview("late").await?["last_metrics_update"].as_i64()
    })
    .await;
    let moment = now();
    agent.terminate().await;
    let ledger = server.ledger_when("late", settled_since(moment)).await;
    assert!(ledger["balance"]["stored"].as_u64() > Some(2), "{ledger}");
    let wire = proxy.recorded();
    assert!(wire.len() > sent_before);
    for canary in CANARIES {
        assert!(!holds(&wire, canary), "{canary} on the wire");
        assert!(!holds(&database.dump().await, canary), "{canary} in the database");
    }
}
