//! A server under attack from all sides at once, beside agents that mean well: every sample of these is stored, callers get
//! their answers, and the server is as large afterwards as it was before.
//!
//! It goes on for a minute, or for `NODEGLASS_ATTACK_SECONDS`; the figures are printed, and `cargo xtask bench attack` is this test
//! built for release.

use std::time::Duration;

use nodeglass_agent::identity::Identity;
use nodeglass_runtime::tls::client::Trust;
use nodeglass_tests::attack::{Attack, Field, agents, http1, http2};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::{Server, https, plain_http};
use nodeglass_tests::{PATIENCE, eventually};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Agents that mean well.
const HONEST: usize = 20;
/// What the server may have more in memory when all is over.
const MORE_BYTES: u64 = 50 << 20;
/// How long one call may take amid the attack, on two cores that the attackers share: as long as the server gives any call.
const ANSWER: Duration = Duration::from_secs(30);
/// Connections that are held open and say nothing; there is room for fewer of one address.
const IDLE: usize = 1_200;

fn lasts() -> Duration {
    let seconds = std::env::var("NODEGLASS_ATTACK_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(60);
    Duration::from_secs(seconds)
}

/// Sends a sample each second, and what got no word once more, over another session if need be, as agents do; gives how many
/// it sent, which were all stored.
async fn report(identity: &Identity, until: Instant) -> u64 {
    let epoch = now().0.unsigned_abs();
    let mut agent: Option<FakeAgent> = None;
    let mut sent = 0;
    while Instant::now() < until {
        sent += 1;
        let taken = sample(now(), 42.0);
        loop {
            assert!(Instant::now() < until + PATIENCE, "{} is heard", identity.agent);
            if agent.is_none() {
                agent = FakeAgent::open(identity, epoch).await.ok();
            }
            let Some(session) = &mut agent else {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            };
            session.send([(sent, taken.clone())]).await;
            if let Ok((stored, rejected)) = session.settled(1).await {
                assert_eq!((stored, rejected.len()), (vec![sent], 0), "{}", identity.agent);
                break;
            }
            agent = None;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    sent
}

/// Asks again and again; gives how long each answer took.
async fn ask(server: &Server, until: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    while Instant::now() < until {
        for path in [
            "/api/v1/metrics/agents",
            "/api/v1/agents/honest-0/metrics",
            "/health",
        ] {
            let began = Instant::now();
            server.ok(path).await;
            took.push(began.elapsed());
            assert!(began.elapsed() < ANSWER, "{path} took {:?}", began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    took.sort_unstable();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attack_from_all_sides_costs_nobody_else_anything() {
    raise_open_files();
    let database = Database::sqlite();
    let server = Server::start_logged(&database, "").await;
    let reader = server.add_token("reader", "viewer").await;
    let mut evil = Vec::new();
    for number in 0..agents::MANY {
        evil.push(server.enrolment(&format!("evil-{number}")).await);
    }
    let mut good = Vec::new();
    for number in 0..HONEST {
        good.push(server.enrolment(&format!("honest-{number}")).await);
    }
    // Warm: what the first samples and calls need is not the attack's.
    let warm = Instant::now() + Duration::from_secs(3);
    let warmed = futures_util::future::join_all(good.iter().map(|enrolment| report(enrolment, warm))).await;
    ask(&server, Instant::now() + Duration::from_secs(1)).await;
    let before = server.resident_bytes();

    let field = Field::default();
    let evil = field.handle().spawn(agents::open(evil));
    let evil = evil.await.expect("their sessions");
    let writer = server.add_token("writer", "operator").await;
    let registration = serde_json::json!({ "agent_id": "pusher" });
    let (status, registered) = server
        .change("POST", "/api/v1/agents/register", Some(registration))
        .await;
    assert!(status.is_success(), "{registered}");
    let attack = Attack::new(&server.url, reader, writer, lasts());
    let mut attackers = JoinSet::new();
    {
        let _on_the_field = field.handle().enter();
        agents::start(&attack, &mut attackers, evil);
        http1::start(&attack, &mut attackers, IDLE);
        http2::start(&attack, &mut attackers);
    }
    let honest = good.iter().map(|enrolment| report(enrolment, attack.until));
    let mut most = 0;
    let watching = async {
        while !attack.is_over() {
            most = most.max(server.resident_bytes());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let asking = ask(&server, attack.until);
    let (sent, took, ()) = tokio::join!(futures_util::future::join_all(honest), asking, watching);
    attackers.shutdown().await;

    let stored = database.stored().await.expect("the stored samples");
    for ((number, sent), warmed) in sent.iter().enumerate().zip(warmed) {
        let name = format!("honest-{number}");
        let own = stored.iter().filter(|(agent, ..)| *agent == name).count() as u64;
        assert_eq!(own, *sent + warmed, "{name}: all that it sent is stored, once");
        assert!(*sent >= lasts().as_secs() / 10, "{name} sent {sent}");
    }
    let taken = stored.iter().filter(|(agent, ..)| *agent == "pusher").count();
    println!("pushes taken: {taken}");
    assert!(taken > 0, "some of the pushes were taken");
    let allowed = before + MORE_BYTES;
    let after = eventually("the server to be as large as before", async || {
        let after = server.resident_bytes();
        if after > allowed {
            eprintln!("{} MB, allowed are {} MB", after >> 20, allowed >> 20);
        }
        (after <= allowed).then_some(after)
    })
    .await;
    for (what, counts) in attack.done() {
        println!(
            "{what:>34}: {:>8} tried, {:>6} ended by the server",
            counts.tried, counts.ended
        );
        assert!(counts.tried > 0, "{what}");
    }
    let rejected = server.ledger_when("evil-5", |_| true).await;
    println!("an agent with ever new devices: {}", rejected["server"]);
    let percentile = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{} s, {} honest samples, all stored; {} calls answered, p50 {:?}, p99 {:?}, longest {:?}; server {} MB before, {} MB at \
         most, {} MB after",
        lasts().as_secs(),
        sent.iter().sum::<u64>(),
        took.len(),
        percentile(50),
        percentile(99),
        percentile(100),
        before >> 20,
        most >> 20,
        after >> 20
    );
    assert_eq!(server.logged("panicked"), 0);
}

/// A server with TLS, beside connections that never end their handshake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_never_end_hold_nobody_up() {
    raise_open_files();
    let database = Database::sqlite();
    let server = Server::start_with_tls(&database).await;
    let address = server.url.trim_start_matches("https://").to_owned();
    let mut stalled = Vec::new();
    for number in 0..300 {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        // Nothing, half a record, and a record of garbage.
        let beginning: &[u8] = [
            &[][..],
            &[22, 3, 1, 0x3f, 0xff, 1, 0],
            &[22, 3, 1, 0, 4, 9, 9, 9, 9],
        ][number % 3];
        stream.write_all(beginning).await.expect("it is taken");
        stalled.push(stream);
    }
    let name = server.enrolment("host").await;
    let mut agent = FakeAgent::open(&name, 1).await.expect("a session");
    agent.send([(1, sample(now(), 1.0))]).await;
    assert_eq!(agent.settled(1).await.expect("its word").0, [1]);
    let client = https(&Trust::File(server.ca().expect("a CA")));
    let answer = client
        .get(format!("{}/health", server.url))
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success());
    for mut stream in stalled {
        let mut rest = Vec::new();
        // An alert, or nothing; and then the end, within the ten seconds that a handshake may take.
        let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the server lets go of it");
    }
}

/// From one address so many strangers are let in; who shows a token is no stranger any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_counted_by_address() {
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some("connections: {strangers_per_address: 5}")).await;
    // The calls that the test makes itself come from one address, too, and with a token: those are no strangers.
    server.ok("/api/v1/metrics/agents").await;
    let attack = Attack::new(&server.url, String::new(), String::new(), Duration::from_mins(1));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(http2::half_open(&attack, 9).await.expect("there is room"));
    }
    eventually("one too many to be closed", async || {
        let mut one_more = http2::half_open(&attack, 9).await.ok()?;
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(1), one_more.read(&mut byte)).await;
        matches!(read, Ok(Ok(0) | Err(_))).then_some(())
    })
    .await;
    assert!(http2::half_open(&attack, 10).await.is_ok(), "another address");
    server.ok("/api/v1/metrics/agents").await;
    drop(held);
    eventually("room again", async || {
        let mut stream = attack.connect(9).await.ok()?;
        stream
            .write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        (&answer == b"HTTP/1.1 200").then_some(())
    })
    .await;
    drop(plain_http());
}

/// Lets this process have as many connections as the system allows.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
}
