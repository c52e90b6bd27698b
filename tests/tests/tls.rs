//! TLS as others see it: what is spoken where, whom agents and callers trust, and certificates that change under open
//! streams.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeglass_agent::dialer::Dialer;
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_runtime::telemetry::chain;
use nodeglass_runtime::tls::Pin;
use nodeglass_runtime::tls::authority::Names;
use nodeglass_runtime::tls::client::Trust;
use nodeglass_tests::agent::{Agent, EACH_SECOND};
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::own_ca::OwnCa;
use nodeglass_tests::process::{command, run};
use nodeglass_tests::server::{Server, TOKEN, https, plain_http};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::Command;

fn port(url: &str) -> &str {
    url.rsplit_once(':').expect("a port").1
}

/// Runs a program that is not ours; says so and gives `None` if this machine does not have it.
async fn foreign(program: &str, arguments: &[&str], input: &str) -> Option<(String, String)> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED: {program} is not installed on this machine");
        return None;
    };
    let mut stdin = child.stdin.take().expect("its input");
    tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes())
        .await
        .expect("its input");
    drop(stdin);
    let output = tokio::time::timeout(nodeglass_tests::PATIENCE, child.wait_with_output());
    let output = output.await.expect("it ends").expect("its output");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

/// The certificate that a new connection is shown.
async fn shown(server: &Server) -> Vec<u8> {
    let client = https(&Trust::File(server.ca().expect("a CA")));
    let answer = client.get(format!("{}/health", server.url)).send().await;
    let answer = answer.expect("an answer over TLS");
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>().expect("TLS");
    info.peer_certificate().expect("a certificate").to_vec()
}

/// Waits until new connections are shown another certificate.
async fn other_than(server: &Server, before: &[u8]) -> Vec<u8> {
    let changed = async || Some(shown(server).await).filter(|now| now != before);
    eventually("another certificate", changed).await
}

fn with_pin_of(enrolment: &str, ca: &Path) -> Enrolment {
    Enrolment {
        ca_pin: Some(Pin::read(ca).expect("a CA").0),
        ..Enrolment::decode(enrolment).expect("an enrolment")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_ca_of_its_own_serves_whoever_knows_it() {
    let database = Database::sqlite();
    let server = Server::start_with_tls(&database).await;
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let ca = server.ca().expect("a CA");
    let enrolment = server.add_agent("host").await;
    assert_eq!(
        Enrolment::decode(&enrolment).unwrap().ca_pin,
        Some(Pin::read(&ca).unwrap().0)
    );

    let mut agent = Agent::enrolled(&enrolment, EACH_SECOND).await;
    eventually("the agent's samples", async || {
        server
            .overview("host")
            .await
            .filter(|overview| !overview["metrics"].is_null())
    })
    .await;

    let nodeglass = |arguments: &'static [&str]| {
        let mut command = command("nodeglass");
        command
            .args(arguments)
            .args(["--token", TOKEN, "--server", &server.url]);
        command.env("SSL_CERT_FILE", "/dev/null");
        command
    };
    let known = run(nodeglass(&["agents"]).env("NODEGLASS_CA", &ca)).await;
    assert!(
        String::from_utf8_lossy(&known.stdout).contains("connected"),
        "{known:?}"
    );
    let system = run(nodeglass(&["agents"]).env("SSL_CERT_FILE", &ca)).await;
    assert!(
        String::from_utf8_lossy(&system.stdout).contains("connected"),
        "{system:?}"
    );
    let stranger = OwnCa::new();
    let unknown = run(nodeglass(&["agents"]).env("SSL_CERT_FILE", stranger.ca())).await;
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        !unknown.status.success() && said.contains("NODEGLASS_CA"),
        "{said}"
    );
    // The server of one's own data directory is known without a word.
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(server.data_dir(), home.path().join("nodeglass")).unwrap();
    let mut beside = command("nodeglass");
    let found = run(beside
        .args(["agents", "--token", TOKEN])
        .env("XDG_DATA_HOME", home.path()))
    .await;
    assert!(
        String::from_utf8_lossy(&found.stdout).contains("connected"),
        "{found:?}"
    );
    assert_eq!(agent.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_programs_find_tls_1_2_and_1_3_and_nothing_older() {
    let database = Database::sqlite();
    let server = Server::start_with_tls(&database).await;
    let ca = server.ca().expect("a CA");
    let ca = ca.to_str().expect("text");
    let to = format!("localhost:{}", port(&server.url));
    for (version, agreed) in [
        ("-tls1_1", None),
        ("-tls1_2", Some("TLSv1.2")),
        ("-tls1_3", Some("TLSv1.3")),
    ] {
        // The least security that OpenSSL knows, or it would not even ask for the old version.
        let arguments = [
            "s_client",
            "-connect",
            &to,
            "-CAfile",
            ca,
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
            "-brief",
            "-cipher",
            "ALL:@SECLEVEL=0",
            version,
        ];
        let Some((_, said)) = foreign("openssl", &arguments, "").await else {
            break;
        };
        match agreed {
            Some(name) => assert!(
                said.contains(name) && said.contains("Verification: OK"),
                "{version}: {said}"
            ),
            None => assert!(
                said.contains(":SSL alert number") && !said.contains("CONNECTION ESTABLISHED"),
                "{version}: {said}"
            ),
        }
    }
    for (http, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let url = format!("https://{to}/health");
        let arguments = ["-sS", http, "--cacert", ca, "-w", " %{http_version}", &url];
        let Some((answer, error)) = foreign("curl", &arguments, "").await else {
            break;
        };
        assert_eq!(answer, format!("{{\"status\":\"ok\"}} {version}"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_on_a_tls_port_is_told_where_to_go() {
    let database = Database::sqlite();
    let server = Server::start_with_tls(&database).await;
    let address = format!("127.0.0.1:{}", port(&server.url));
    let answer = plain_http()
        .get(format!("http://{address}/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("use https://"));
    let mut enrolment = server.enrolment("host").await;
    enrolment.server = format!("http://{address}");
    let refused = FakeAgent::open(&enrolment, 1).await.unwrap_err();
    eprintln!("a plain gRPC client reads: {refused}");
    // Who says nothing at all is let go.
    let mut silent = TcpStream::connect(&address).await.unwrap();
    let ended = tokio::time::timeout(nodeglass_tests::PATIENCE, silent.read(&mut [0; 1])).await;
    assert_eq!(ended.expect("the end of the handshake's time").unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_open_streams() {
    let own = OwnCa::new();
    let database = Database::sqlite();
    let server = Server::start_logged(&database, &own.configuration()).await;
    let [certificate, key] = own.authority.identity_files();
    let mut agent = FakeAgent::open(&server.enrolment("host").await, 1).await.unwrap();
    let mut seq = 0;
    // A sample that comes in by the agent's open session, and goes out by the caller's open stream.
    let mut events = None;
    let mut passes = async |what: &str| {
        seq += 1;
        agent.send([(seq, sample(now(), f64::from(seq as u32)))]).await;
        agent
            .settled(1)
            .await
            .unwrap_or_else(|status| panic!("{what}: {status}"));
        let events = match &mut events {
            Some(events) => events,
            none => {
                let path = "/api/v1/agents/host/metrics/stream?interval=1";
                none.insert(server.request(path).send().await.expect("a stream"))
            }
        };
        let wanted = format!("\"usage_percent\":{seq}.0");
        let mut text = String::new();
        let seen = async {
            while !text.contains(&wanted) {
                let chunk = events.chunk().await.expect(what).expect(what);
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        tokio::time::timeout(nodeglass_tests::PATIENCE, seen)
            .await
            .expect(what);
    };
    passes("before").await;
    let first = shown(&server).await;

    own.issue(SystemTime::now());
    server.hang_up();
    let second = other_than(&server, &first).await;
    passes("after a signal").await;

    own.issue(SystemTime::now());
    let third = other_than(&server, &second).await;
    passes("after the files have changed").await;

    let good = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
    let refused = async |times: usize| {
        let logged = async || (server.logged("the one before stays in use") >= times).then_some(());
        eventually("a refusal in the log", logged).await;
        assert_eq!(shown(&server).await, third, "the one before stays");
    };
    fs::write(&certificate, "no certificate").unwrap();
    refused(1).await;
    fs::write(&certificate, &good.0).unwrap();
    fs::write(
        &key,
        fs::read(OwnCa::new().authority.identity_files()[1].clone()).unwrap_or_default(),
    )
    .unwrap();
    server.hang_up();
    refused(2).await;
    fs::write(&key, &good.1).unwrap();
    own.issue(SystemTime::now());
    other_than(&server, &third).await;
    passes("after broken certificates").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_can_t_prove_itself_gets_nothing_and_nothing_is_lost() {
    let database = Database::sqlite();
    let server = Server::start_with_tls(&database).await;
    let right = server.add_agent("host").await;
    let stranger = OwnCa::new();
    let wrong = with_pin_of(&right, &stranger.ca());
    let dial = |enrolment: &Enrolment, trust| Dialer::to(enrolment.server.clone(), enrolment.ca_pin, trust);
    let refused = dial(&wrong, None).connect().await.map(drop).unwrap_err();
    assert!(
        chain(&refused).to_string().contains("enrol this host again"),
        "{refused:?}"
    );
    let unpinned = Enrolment {
        ca_pin: None,
        ..wrong.clone()
    };
    let named = dial(&unpinned, Some(Trust::File(server.ca().unwrap())))
        .connect()
        .await;
    assert!(named.is_ok(), "{:?}", named.map(drop));
    let mut elsewhere = with_pin_of(&right, &server.ca().unwrap());
    elsewhere.server = format!("https://127.0.0.2:{}", port(&server.url));
    // There may be nobody at that address; a name that is not in the certificate is told apart in the handshake's own tests.
    assert!(dial(&elsewhere, None).connect().await.is_err());

    // A string with another pin is given to nobody: its token is still good.
    let host = tempfile::tempdir().unwrap();
    let mut enroll = command("nodeglass-agent");
    let output = run(enroll
        .args(["enroll", &wrong.encode(), "--data-dir"])
        .arg(host.path()))
    .await;
    assert!(!output.status.success());
    let mut agent = Agent::prepared(&right, EACH_SECOND).await;
    let right = fs::read(agent.data_dir().join("identity.json")).unwrap();
    let pin = |enrolment: &Enrolment| BASE64.encode(enrolment.ca_pin.unwrap());
    let known = with_pin_of(&wrong.encode(), &server.ca().unwrap());
    let changed = String::from_utf8(right.clone())
        .unwrap()
        .replace(&pin(&known), &pin(&wrong));
    fs::write(agent.data_dir().join("identity.json"), changed).unwrap();
    agent.keep_log();
    agent.start_again();
    let said = async || (agent.logged("enrol this host again") > 0).then_some(());
    eventually("the reason in the agent's log", said).await;
    assert_eq!(
        server
            .overview("host")
            .await
            .map(|overview| overview["metrics"].is_null()),
        Some(true)
    );
    // Two samples at least, from seconds before the one in which all is put right.
    let begun = now().seconds();
    eventually("time for samples", async || {
        (now().seconds() > begun + 2).then_some(())
    })
    .await;
    assert_eq!(agent.terminate().await, Some(0));
    assert_eq!(agent.logged("kept for the next start"), 1);

    // With the right server, the same journal is sent.
    fs::write(agent.data_dir().join("identity.json"), right).unwrap();
    let enrolled = now();
    agent.start_again();
    let from_before = async || {
        let path = "/api/v1/agents/host/metrics/history?metrics=load.load1&start=-5m&interval=1";
        let history = server.ok(path).await;
        let first = history["data"].as_array()?.first()?["timestamp"].as_i64()?;
        (first < enrolled.seconds()).then_some(())
    };
    eventually("samples from before the right pin", from_before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_this_host_plain_http_needs_plain_words() {
    let database = Database::sqlite();
    for (config, scheme) in [("{}", "https"), ("insecure: true", "http")] {
        let server = Server::start_at(&database, "0.0.0.0:0", config).await;
        assert!(
            server.url.starts_with(&format!("{scheme}://127.0.0.1:")),
            "{}",
            server.url
        );
        assert_eq!(server.ca().is_some(), scheme == "https");
        assert_eq!(server.logged("without TLS"), usize::from(scheme == "http"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_can_t_be_used_end_the_start_with_what_to_do() {
    let (own, other) = (OwnCa::new(), OwnCa::new());
    let [certificate, key] = own.authority.identity_files();
    let [_, other_key] = other.authority.identity_files();
    let day = std::time::Duration::from_hours(24);
    let expired = OwnCa::new();
    expired
        .authority
        .identity_files()
        .iter()
        .for_each(|file| fs::remove_file(file).unwrap());
    let _ = expired
        .authority
        .identity(&Names::local(), SystemTime::now() - day * 200);
    let [old, old_key] = expired.authority.identity_files();
    let empty = own.directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    for (certificate, key, said) in [
        (
            &certificate,
            &own.directory.path().join("missing"),
            "see to it that it is there",
        ),
        (&certificate, &other_key, "does not belong to"),
        (&empty, &key, "BEGIN CERTIFICATE"),
        (&old, &old_key, "renew it"),
    ] {
        let data_dir = tempfile::tempdir().unwrap();
        let path = data_dir.path().join("server.yaml");
        let tls = format!(
            "tls: {{certificate: {}, key: {}}}\n",
            certificate.display(),
            key.display()
        );
        fs::write(&path, tls).unwrap();
        let mut server = command("nodeglass-server");
        server
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir.path());
        let output = run(server.arg("--config").arg(&path)).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(said), "{said} in {error}");
    }
}
