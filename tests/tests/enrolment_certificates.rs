//! Agents' certificates: who shows one is known by it, who has none or an old one proves its key otherwise and gets another,
//! and nobody else is asked for one.

use std::fs;
use std::time::{Duration, SystemTime};

use nodeglass_agent::identity::Identity;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_runtime::tls::authority::Authority;
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::own_ca::OwnCa;
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use tokio::process::Command;
use tokio::task::JoinSet;
use tonic::Code;

on_every_database!(
    an_agent_is_known_by_its_certificate_or_proves_its_key,
    a_certificate_is_renewed_under_an_open_session,
    a_hundred_sessions_live_on_when_the_server_s_certificate_changes,
);

/// Words that prove nothing: what opens a session with them is the certificate alone.
const NO_PROOF: &str = "Bearer nothing";
const DAY: Duration = Duration::from_hours(24);

async fn stores_a_sample(agent: &mut FakeAgent, seq: u64) {
    agent.send([(seq, sample(now(), 1.0))]).await;
    agent.settled(1).await.expect("an open session");
}

/// Another certificate, as an open session gives it.
async fn another_certificate(agent: &mut FakeAgent) -> Vec<u8> {
    agent
        .send_message(Up::CertificateRequest(v1::CertificateRequest {}))
        .await;
    loop {
        if let Down::Certificate(certificate) = agent.next().await.expect("an open session") {
            return certificate.certificate;
        }
    }
}

/// A certificate of a CA in a directory for an agent's key, as if made at a moment.
fn certificate_of(authority: &Authority, identity: &Identity, holds: Duration, at: SystemTime) -> Vec<u8> {
    let name = identity.agent.as_str();
    let made = authority.agent_certificate(name, &identity.public_key(), holds, at);
    made.expect("a certificate").to_vec()
}

async fn an_agent_is_known_by_its_certificate_or_proves_its_key(database: Database) {
    let server = Server::start_with_tls(&database).await;
    let identity = server.enrolment("host").await;
    assert!(identity.certificate().is_some(), "it comes with the enrolment");
    let mut agent = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap();
    stores_a_sample(&mut agent, 1).await;
    let refused = FakeAgent::open_as(&identity, "victim", 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    drop(agent);

    // Without one, as behind a proxy that speaks TLS for the server, the key is proved by words, and a certificate comes.
    identity.forget_certificate();
    let refused = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut agent = FakeAgent::open(&identity, 1).await.unwrap();
    let certificate = another_certificate(&mut agent).await;
    stores_a_sample(&mut agent, 2).await;
    drop(agent);

    // After months off the certificate is over; the key is not.
    let authority = Authority::open(&server.data_dir().join("tls")).unwrap();
    let old = certificate_of(&authority, &identity, DAY * 7, SystemTime::now() - DAY * 100);
    identity.take_certificate(old).unwrap();
    let refused = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut agent = FakeAgent::open(&identity, 1).await.unwrap();
    identity
        .take_certificate(another_certificate(&mut agent).await)
        .unwrap();
    stores_a_sample(&mut agent, 3).await;
    drop(agent);
    let mut agent = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap();
    stores_a_sample(&mut agent, 4).await;
    drop(agent);

    // Somebody else's CA makes nobody an agent, and the name in a certificate is no matter: the key is.
    let stranger = OwnCa::new();
    let forged = certificate_of(&stranger.authority, &identity, DAY, SystemTime::now());
    identity.take_certificate(forged).unwrap();
    let refused = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    identity.take_certificate(certificate).unwrap();
    let mut agent = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap();

    // Revoked, neither its certificate nor its key opens anything.
    server.command(&["agent", "revoke", "host"]).await;
    let end = loop {
        if let Err(end) = agent.next().await {
            break end;
        }
    };
    assert_eq!(end.code(), Code::PermissionDenied, "{end}");
    for words in [NO_PROOF, &identity.proof(now()).unwrap()] {
        let refused = FakeAgent::open_with(&identity, 1, words).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    }
}

async fn a_certificate_is_renewed_under_an_open_session(database: Database) {
    let config = "{tls: {always: true}, agents: {certificate_lifetime: 10s, heartbeat_interval: 1s}}";
    let server = Server::start_logged(&database, config).await;
    let mut agent = Agent::start(&server, "host").await;
    let path = agent.data_dir().join("certificate.der");
    let first = fs::read(&path).unwrap();
    let mut last = first.clone();
    for _ in 0..2 {
        last = eventually("another certificate", async || {
            let now = fs::read(&path).ok()?;
            (!now.is_empty() && now != last).then_some(now)
        })
        .await;
    }
    assert_ne!(first, last);
    assert_eq!(server.logged("session opened"), 1, "the session is the first");
    let before = database.stored().await.unwrap().len();
    eventually("samples go on", async || {
        let stored = database.stored().await.ok()?;
        (stored.len() > before).then_some(())
    })
    .await;
    // What it was given is good: it comes back by it.
    assert_eq!(agent.terminate().await, Some(0));
    let identity = Identity::load(agent.data_dir()).unwrap();
    let mut again = FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap();
    stores_a_sample(&mut again, 1).await;
}

async fn a_hundred_sessions_live_on_when_the_server_s_certificate_changes(database: Database) {
    // The owner's certificate, and the server's own CA for agents all the same.
    let own = OwnCa::new();
    // These give no sign of life, and need not.
    let config = format!("{}\nagents: {{heartbeat_interval: 5m}}", own.configuration());
    let server = Server::start_logged(&database, &config).await;
    let mut enrolling = JoinSet::new();
    let strings = server.add_agents(100).await;
    for string in strings {
        enrolling.spawn(async move {
            let identity = nodeglass_tests::enrolled::by_string(&string).await;
            FakeAgent::open_with(&identity, 1, NO_PROOF).await.unwrap()
        });
    }
    let mut agents = store_samples(enrolling.join_all().await, 1).await;
    for (round, seq) in [("a signal", 2), ("a change of the files", 3)] {
        let before = server.logged("new connections are shown another certificate");
        own.issue(SystemTime::now());
        if seq == 2 {
            server.hang_up();
        }
        let taken =
            async || (server.logged("new connections are shown another certificate") > before).then_some(());
        eventually("the new certificate", taken).await;
        agents = store_samples(agents, seq).await;
        println!("after {round} all of {} sessions are open", agents.len());
    }
    assert_eq!(server.logged("session ended"), 0);
    assert_eq!(database.stored().await.unwrap().len(), 300);
}

/// Has each of them store a sample, all at once.
async fn store_samples(agents: Vec<FakeAgent>, seq: u64) -> Vec<FakeAgent> {
    let mut storing = JoinSet::new();
    for mut agent in agents {
        storing.spawn(async move {
            stores_a_sample(&mut agent, seq).await;
            agent
        });
    }
    storing.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_but_agents_is_asked_for_a_certificate() {
    let database = Database::sqlite();
    let server = Server::start_with_tls(&database).await;
    let address = server.url.strip_prefix("https://").expect("TLS").to_owned();
    let asked = async |protocols: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, "-alpn", protocols, "-msg"]);
        let output = openssl.stdin(std::process::Stdio::null()).output().await.ok()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("EncryptedExtensions"), "{said}");
        assert!(said.contains("ALPN protocol: h2"), "{said}");
        Some(said.contains("CertificateRequest"))
    };
    let Some(browser) = asked("h2,http/1.1").await else {
        eprintln!("SKIPPED: openssl is not installed on this machine");
        return;
    };
    assert!(!browser, "a browser would ask its user for one");
    assert_eq!(asked("nodeglass-agent,h2").await, Some(true));
}
