//! Hosts become agents with keys of their own, by strings for one and for many, prove them, and lose them.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nodeglass_agent::enrol::{EnrolError, Name, enrol};
use nodeglass_agent::identity::Identity;
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::proof::told_time;
use nodeglass_runtime::tls::key::PrivateKey;
use nodeglass_tests::agent::{Agent, EACH_SECOND};
use nodeglass_tests::database::Database;
use nodeglass_tests::enrolled::by_string;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::process::{command, run};
use nodeglass_tests::server::Server;
use nodeglass_tests::server::commands::enrolment_in;
use nodeglass_tests::{eventually, on_every_database};
use tempfile::TempDir;
use tokio::time::Instant;
use tonic::{Code, Status};

on_every_database!(
    a_string_makes_one_host_an_agent,
    labels_are_given_with_the_string,
    words_that_prove_a_key_count_once_in_their_time_and_for_one_server,
    who_is_revoked_is_gone_and_stays_away,
    a_host_that_takes_an_agent_s_place_ends_its_session,
    a_fleet_token_makes_many_hosts_agents,
);

/// How soon a revoked agent's session must have ended.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What `nodeglass-agent enroll` prints, and whether it succeeded.
async fn enroll(host: &TempDir, arguments: &[&str]) -> (bool, String) {
    let mut command = command("nodeglass-agent");
    command
        .arg("enroll")
        .args(arguments)
        .arg("--data-dir")
        .arg(host.path());
    let output = run(&mut command).await;
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn host() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn code(status: &Status) -> &str {
    let code = status.metadata().get("nodeglass-code");
    code.and_then(|code| code.to_str().ok()).unwrap_or("none")
}

async fn stores_a_sample(agent: &mut FakeAgent, seq: u64) {
    agent.send([(seq, sample(now(), 1.0))]).await;
    agent.settled(1).await.expect("an open session");
}

async fn a_string_makes_one_host_an_agent(database: Database) {
    let server = Server::start(&database).await;
    let began = Instant::now();
    let string = server.add_agent("host").await;
    let mut agent = Agent::enrolled(&string, EACH_SECOND).await;
    eventually("the first sample in the store", async || {
        let stored = database.stored().await.ok()?;
        (!stored.is_empty()).then_some(())
    })
    .await;
    println!(
        "from nothing to the first sample in the store: {:.2} s",
        began.elapsed().as_secs_f64()
    );

    let identity = agent.data_dir().join("identity.json");
    let mode = std::fs::metadata(&identity).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (done, said) = enroll(&host(), &[&string]).await;
    assert!(
        !done && said.contains("was used already") && said.contains("--replace"),
        "{said}"
    );
    assert_eq!(agent.terminate().await, Some(0));

    // The answer was lost: the same key asks again, and again.
    let enrolment = Enrolment::decode(&server.add_agent("other").await).unwrap();
    let key = PrivateKey::generate().unwrap();
    let again = || PrivateKey::from_pkcs8(key.pkcs8()).unwrap();
    let first = enrol(&enrolment, again(), None, None).await.unwrap();
    let second = enrol(&enrolment, again(), None, None).await.unwrap();
    assert_eq!(first.public_key(), second.public_key());
    stores_a_sample(&mut FakeAgent::open(&second, 1).await.unwrap(), 1).await;

    let unknown = Enrolment {
        token: "nga_nobody_made_this".to_owned(),
        ..enrolment
    };
    match enrol(&unknown, again(), None, None).await.unwrap_err() {
        EnrolError::Refused(status) => assert_eq!(code(&status), "unknown_token", "{status}"),
        other => panic!("{other}"),
    }
    let elsewhere = Some(Name::Said("elsewhere".parse().unwrap()));
    let string = Enrolment::decode(&server.add_agent("fourth").await).unwrap();
    let refused = enrol(&string, again(), elsewhere, None).await.unwrap_err();
    assert!(refused.to_string().contains("for the agent fourth"), "{refused}");
}

async fn labels_are_given_with_the_string(database: Database) {
    let server = Server::start(&database).await;
    let labelled = [
        "agent", "add", "web-1", "--label", "env=prod", "--label", "rack=7",
    ];
    server.command(&labelled).await;
    server.add_agent("db-1").await;
    let labels = eventually("the server to know the agent", async || {
        let (status, answer) = server.get("/api/v1/agents/web-1/labels").await;
        status.is_success().then_some(answer)
    })
    .await;
    assert_eq!(
        labels["labels"],
        serde_json::json!({
            "env": { "value": "prod", "origin": "server" },
            "rack": { "value": "7", "origin": "server" },
        }),
        "{labels}"
    );
    let listed = server.ok("/api/v1/agents?agents=label:env=prod").await;
    let listed: Vec<_> = listed["agents"].as_array().unwrap().iter().collect();
    assert!(
        listed.len() == 1 && listed[0]["agent_id"] == "web-1",
        "{listed:?}"
    );
    for (wrong, said) in [
        (&["--label", "env"][..], "NAME=VALUE"),
        (&["--label", "1=x"], "starting with a letter"),
        (&["--label", "a=b", "--replace"], "cannot be used with"),
    ] {
        let arguments = [&["agent", "add", "web-2"], wrong].concat();
        let complaint = server.failing_command(&arguments).await;
        assert!(complaint.contains(said), "{complaint}");
    }
}

async fn words_that_prove_a_key_count_once_in_their_time_and_for_one_server(database: Database) {
    let mut server = Server::start_to_be_killed(&database, "{}").await;
    let identity = server.enrolment("host").await;
    let words = identity.proof(now()).unwrap();
    let mut agent = FakeAgent::open_with(&identity, 1, &words).await.unwrap();
    stores_a_sample(&mut agent, 1).await;
    let refused = FakeAgent::open_with(&identity, 1, &words).await.unwrap_err();
    assert_eq!(
        (refused.code(), code(&refused)),
        (Code::Unauthenticated, "repeated_proof")
    );
    stores_a_sample(&mut agent, 2).await;
    drop(agent);

    for (off, from) in [(-3_600_000, "an hour ago"), (3_600_000, "in an hour")] {
        let at = now();
        let words = identity.proof(nodeglass_model::UnixMillis(at.0 + off)).unwrap();
        let refused = FakeAgent::open_with(&identity, 1, &words).await.unwrap_err();
        assert_eq!(code(&refused), "other_time", "{from}: {refused}");
        let told = told_time(&refused).expect("the server's time");
        assert!((told.0 - at.0).abs() < 60_000, "{from}: {told}");
    }
    // What was signed for another server is worth nothing here, and so is another key.
    let beside = Database::sqlite();
    let elsewhere = Server::start(&beside).await;
    let other = elsewhere.enrolment("host").await;
    let words = other.proof(now()).unwrap();
    let refused = FakeAgent::open_with(&identity, 1, &words).await.unwrap_err();
    assert_eq!(code(&refused), "wrong_proof", "{refused}");
    for words in ["Bearer nga_something", "Nodeglass-Key AAAA", "Nodeglass-Key"] {
        let refused = FakeAgent::open_with(&identity, 1, words).await.unwrap_err();
        assert_eq!(
            (refused.code(), code(&refused)),
            (Code::Unauthenticated, "missing_key"),
            "{words}"
        );
    }
    // The same server after another start knows the agent, and nothing of what was signed before.
    let words = identity.proof(now()).unwrap();
    server.terminate().await;
    server.start_again().await;
    let refused = FakeAgent::open_with(&identity, 1, &words).await.unwrap_err();
    assert_eq!(code(&refused), "other_time", "{refused}");
    stores_a_sample(&mut FakeAgent::open(&identity, 1).await.unwrap(), 3).await;
}

async fn ends(agent: &mut FakeAgent) -> Status {
    loop {
        if let Err(end) = agent.next().await {
            return end;
        }
    }
}

async fn who_is_revoked_is_gone_and_stays_away(database: Database) {
    let server = Server::start(&database).await;
    let string = server.add_agent("host").await;
    let identity = by_string(&string).await;
    let mut agent = FakeAgent::open(&identity, 1).await.unwrap();
    stores_a_sample(&mut agent, 1).await;
    let mut bystander = FakeAgent::open(&server.enrolment("other").await, 1)
        .await
        .unwrap();
    let spare = server
        .command(&["agent", "add", "host", "--json", "--replace"])
        .await;

    let said = server.command(&["agent", "revoke", "host"]).await;
    assert!(said.contains("host is revoked"), "{said}");
    let began = Instant::now();
    let end = ends(&mut agent).await;
    println!(
        "a revoked agent's session ended after {:.2} s",
        began.elapsed().as_secs_f64()
    );
    assert!(began.elapsed() < ENDS_WITHIN, "{:?}", began.elapsed());
    assert_eq!(
        (end.code(), code(&end)),
        (Code::PermissionDenied, "revoked"),
        "{end}"
    );

    let refused = FakeAgent::open(&identity, 1).await.unwrap_err();
    assert_eq!(code(&refused), "revoked", "by its key: {refused}");
    for (string, what) in [
        (string, "the string that it used"),
        (enrolment_in(&spare), "one that it did not use"),
    ] {
        let enrolment = Enrolment::decode(&string).unwrap();
        match enrol(&enrolment, PrivateKey::generate().unwrap(), None, None).await {
            Err(EnrolError::Refused(status)) => {
                assert_eq!(code(&status), "unknown_token", "{what}: {status}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let nobody = server.command(&["agent", "revoke", "host"]).await;
    assert!(nobody.contains("neither a key nor a string"), "{nobody}");

    let back = server.replaced_enrolment("host").await;
    let mut agent = FakeAgent::open(&back, 2).await.unwrap();
    stores_a_sample(&mut agent, 1).await;
    stores_a_sample(&mut bystander, 1).await;
    let samples = database.stored().await.unwrap();
    assert_eq!(
        samples.iter().filter(|(agent, ..)| agent == "host").count(),
        2,
        "one agent, one history"
    );
}

async fn a_host_that_takes_an_agent_s_place_ends_its_session(database: Database) {
    let server = Server::start(&database).await;
    let identity = server.enrolment("host").await;
    let mut agent = FakeAgent::open(&identity, 1).await.unwrap();
    let string = server
        .command(&["agent", "add", "host", "--json", "--replace"])
        .await;
    stores_a_sample(&mut agent, 1).await;
    let other = by_string(&enrolment_in(&string)).await;
    let end = ends(&mut agent).await;
    assert_eq!(code(&end), "revoked", "{end}");
    assert_eq!(code(&FakeAgent::open(&identity, 1).await.unwrap_err()), "revoked");
    stores_a_sample(&mut FakeAgent::open(&other, 2).await.unwrap(), 1).await;
}

async fn a_fleet_token_makes_many_hosts_agents(database: Database) {
    let server = Server::start(&database).await;
    let arguments = [
        "fleet-token",
        "add",
        "web",
        "--uses",
        "3",
        "--names",
        "web-*",
        "--json",
        "--label",
        "zone=a",
    ];
    let string = enrolment_in(&server.command(&arguments).await);
    let (first, second) = (host(), host());
    let (done, said) = enroll(&first, &[&string, "--name", "web-1"]).await;
    assert!(done && said.contains("the agent web-1"), "{said}");
    let (done, said) = enroll(&second, &[&string, "--name", "web-1"]).await;
    assert!(
        !done && said.contains("there is an agent web-1 already"),
        "{said}"
    );
    let (done, said) = enroll(&second, &[&string, "--name", "db-1"]).await;
    assert!(!done && said.contains("\"web-*\""), "{said}");

    // The hosts of an image are all called the same.
    let name = || Some(Name::Proposed("web-image".parse().unwrap()));
    let enrolment = Enrolment::decode(&string).unwrap();
    let mut made = Vec::new();
    for _ in 0..2 {
        let key = PrivateKey::generate().unwrap();
        made.push(enrol(&enrolment, key, name(), None).await.unwrap());
    }
    let names: Vec<String> = made.iter().map(|identity| identity.agent.to_string()).collect();
    assert_eq!(names, ["web-image", "web-image-2"]);
    for identity in &made {
        stores_a_sample(&mut FakeAgent::open(identity, 1).await.unwrap(), 1).await;
    }
    let (done, said) = enroll(&second, &[&string, "--name", "web-4"]).await;
    assert!(!done && said.contains("as often as it may be"), "{said}");
    let listed = server.command(&["fleet-token", "list"]).await;
    assert!(
        listed.contains("3 of 3") && listed.contains("web-*") && listed.contains("zone=a"),
        "{listed}"
    );
    assert!(!listed.contains("ngf_"), "{listed}");

    let of_zone = server.ok("/api/v1/agents?agents=label:zone=a").await;
    let names: Vec<_> = of_zone["agents"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 3, "{of_zone}");

    let any = enrolment_in(&server.command(&["fleet-token", "add", "any", "--json"]).await);
    server.command(&["fleet-token", "revoke", "any"]).await;
    let (done, said) = enroll(&second, &[&any, "--name", "web-4"]).await;
    assert!(!done && said.contains("was revoked"), "{said}");
    let of_host = Identity::load(first.path()).unwrap();
    stores_a_sample(&mut FakeAgent::open(&of_host, 1).await.unwrap(), 1).await;
}
