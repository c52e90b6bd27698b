//! Certificates as they are made, kept, renewed and refused, and handshakes over loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::{HandshakeKind, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::either::Either;
use tower_service::Service;

use super::authority::{Authority, Names, server_name};
use super::client::{Connection, Connector, Trust};
use super::identity::Identity;
use super::*;
use crate::telemetry::chain;

const DAY: Duration = Duration::from_hours(24);

fn made(directory: &TempDir, names: &Names) -> (Authority, Identity) {
    let authority = Authority::open(directory.path()).unwrap();
    let identity = authority.identity(names, SystemTime::now()).unwrap();
    (authority, identity)
}

/// Serves any number of connections with a configuration: each says one byte and waits for the other end to close.
async fn serve(config: ServerConfig) -> (u16, JoinHandle<()>) {
    serve_on("127.0.0.1", config).await
}

async fn serve_on(address: &str, config: ServerConfig) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"!").await;
                let _ = stream.read_u8().await;
            }
        }
    });
    (port, serving)
}

async fn connect(connector: &Connector, url: String) -> Result<Connection, String> {
    let uri = url.parse().unwrap();
    connector
        .clone()
        .call(uri)
        .await
        .map_err(|error| chain(error.as_ref()).to_string())
}

/// How the handshake went, once a byte, and with it a ticket, has come.
async fn kind(connection: Connection) -> HandshakeKind {
    let Either::Right(mut stream) = connection.into_inner() else {
        panic!("no TLS")
    };
    assert_eq!(stream.read_u8().await.unwrap(), b'!');
    stream.get_ref().1.handshake_kind().unwrap()
}

#[test]
fn an_authority_is_made_once_and_its_key_is_private() {
    let directory = tempfile::tempdir().unwrap();
    let (first, identity) = made(&directory, &Names::local());
    let (again, same) = made(&directory, &Names::local());
    assert_eq!(first.pin(), again.pin());
    assert_eq!(identity.chain(), same.chain(), "a good certificate stays");
    assert_eq!(
        Pin::of(&identity.chain()[1]),
        Some(first.pin()),
        "the CA is shown"
    );
    #[cfg(unix)]
    for key in ["ca.key", "server.key"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(directory.path().join(key))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let files = fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(files, 4, "nothing is left lying about");

    // The CA's certificate follows from its key.
    fs::remove_file(Authority::certificate_path(directory.path())).unwrap();
    let (again, same) = made(&directory, &Names::local());
    assert_eq!(
        (first.pin(), identity.chain()[0].clone()),
        (again.pin(), same.chain()[0].clone())
    );
}

#[test]
fn a_certificate_is_renewed_before_its_end_and_for_new_names() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, first) = made(&directory, &Names::local());
    let now = SystemTime::now();
    let certificate = |names: &Names, now| authority.identity(names, now).unwrap();
    let in_time = certificate(&Names::local(), now + DAY * 59);
    assert_eq!(in_time.chain(), first.chain());
    let renewed = certificate(&Names::local(), now + DAY * 61);
    assert_ne!(renewed.chain()[0], first.chain()[0]);
    assert!(renewed.end() > first.end() + DAY * 50);

    let mut names = Names::local();
    for name in ["Monitor.Example.org", "192.0.2.7", "[2001:db8::7]"] {
        assert!(!renewed.covers(&server_name(name).unwrap()), "{name}");
        names.add(name).unwrap();
    }
    let wider = certificate(&names, now + DAY * 61);
    for name in [
        "monitor.example.org",
        "192.0.2.7",
        "2001:db8::7",
        "localhost",
        "::1",
    ] {
        assert!(wider.covers(&server_name(name).unwrap()), "{name}");
    }
    // A name less is no reason.
    let kept = certificate(&Names::local(), now + DAY * 61);
    assert_eq!(kept.chain(), wider.chain());
    assert!(Names::local().add("no name").is_err());

    // A clock that was wrong at first: the certificate of the future is made anew.
    assert_ne!(certificate(&Names::local(), now).chain()[0], wider.chain()[0]);
    // Another CA in the directory.
    for file in ["ca.key", "ca.pem"] {
        fs::remove_file(directory.path().join(file)).unwrap();
    }
    let (other, identity) = made(&directory, &Names::local());
    assert_ne!(other.pin(), authority.pin());
    assert_eq!(Pin::of(&identity.chain()[1]), Some(other.pin()));
}

#[test]
fn files_that_do_not_fit_say_what_to_do() {
    let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (authority, identity) = made(&ours, &Names::local());
    let (foreign, _) = made(&other, &Names::local());
    let [certificate, key] = authority.identity_files();
    let [_, foreign_key] = foreign.identity_files();
    let (ca, foreign_ca) = (ours.path().join("ca.pem"), other.path().join("ca.pem"));
    let now = SystemTime::now();
    let load = |certificate: &Path, key: &Path, ca: Option<&PathBuf>, now| {
        let loaded = Identity::load(certificate, key, ca.map(PathBuf::as_path), now);
        loaded.map(drop).map_err(|error| chain(&error).to_string())
    };
    assert_eq!(load(&certificate, &key, None, now), Ok(()));
    assert_eq!(load(&certificate, &key, Some(&ca), now), Ok(()));

    let missing = ours.path().join("missing.pem");
    let empty = ours.path().join("empty.pem");
    fs::write(&empty, "no certificate").unwrap();
    let torn = ours.path().join("torn.pem");
    fs::write(&torn, &fs::read(&certificate).unwrap()[..300]).unwrap();
    let end = identity.end();
    for (result, said) in [
        (load(&missing, &key, None, now), "see to it that it is there"),
        (load(&empty, &key, None, now), "BEGIN CERTIFICATE"),
        (load(&torn, &key, None, now), "BEGIN CERTIFICATE"),
        (load(&certificate, &empty, None, now), "BEGIN PRIVATE KEY"),
        (load(&certificate, &certificate, None, now), "BEGIN PRIVATE KEY"),
        (load(&certificate, &foreign_key, None, now), "does not belong to"),
        (
            load(&certificate, &key, Some(&foreign_ca), now),
            "does not come from the CA",
        ),
        (load(&certificate, &key, None, end + DAY), "renew it"),
        (
            load(&certificate, &key, None, now - DAY * 2),
            "set this host's clock",
        ),
    ] {
        let error = result.expect_err(said);
        assert!(error.contains(said), "{said} in {error}");
    }
    // Keys that don't belong to a CA's certificate are no CA.
    fs::copy(other.path().join("ca.key"), ours.path().join("ca.key")).unwrap();
    assert!(matches!(
        Authority::open(ours.path()),
        Err(TlsError::KeyMismatch { .. })
    ));
}

#[tokio::test]
async fn a_pinned_server_is_connected_to_and_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, identity) = made(&directory, &Names::local());
    let (port, serving) = serve(identity.server_config().unwrap()).await;
    let by_pin = Connector::new(Trust::Pin(authority.pin())).unwrap();
    let url = format!("https://localhost:{port}/");
    let first = connect(&by_pin, url.clone()).await.unwrap();
    assert_eq!(kind(first).await, HandshakeKind::Full);
    let second = connect(&by_pin, url).await.unwrap();
    assert_eq!(kind(second).await, HandshakeKind::Resumed);
    let by_file = Connector::new(Trust::File(directory.path().join("ca.pem"))).unwrap();
    let url = format!("https://127.0.0.1:{port}/");
    assert_eq!(
        kind(connect(&by_file, url).await.unwrap()).await,
        HandshakeKind::Full
    );
    serving.abort();
}

#[tokio::test]
async fn servers_that_are_others_are_refused_with_the_reason() {
    let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (authority, identity) = made(&ours, &Names::local());
    let (foreign, _) = made(&other, &Names::local());
    let pin = |authority: &Authority| Trust::Pin(authority.pin());
    for (trust, host, said) in [
        (pin(&foreign), "127.0.0.1", "enrol this host again"),
        (
            Trust::File(other.path().join("ca.pem")),
            "127.0.0.1",
            "not from a CA that is trusted here",
        ),
        (pin(&authority), "127.0.0.2", "is not for that name"),
    ] {
        let (port, serving) = serve_on(host, identity.server_config().unwrap()).await;
        let connector = Connector::new(trust).unwrap();
        let error = connect(&connector, format!("https://{host}:{port}/")).await;
        let error = error.map(drop).unwrap_err();
        assert!(error.contains(said), "{said} in {error}");
        serving.abort();
    }
    assert!(Connector::new(Trust::File("/nowhere".into())).is_err());
}

/// A server whose certificate is over: one that was made long ago, and that nobody renewed.
#[tokio::test]
async fn a_certificate_whose_time_is_over_or_to_come_is_refused() {
    for (made_at, said) in [
        (SystemTime::now() - DAY * 200, "has expired"),
        (SystemTime::now() + DAY * 200, "does not hold yet"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path()).unwrap();
        let identity = authority.identity(&Names::local(), made_at).unwrap();
        let (port, serving) = serve(identity.server_config().unwrap()).await;
        for trust in [
            Trust::Pin(authority.pin()),
            Trust::File(directory.path().join("ca.pem")),
        ] {
            let connector = Connector::new(trust).unwrap();
            let error = connect(&connector, format!("https://localhost:{port}")).await;
            let error = error.map(drop).unwrap_err();
            assert!(error.contains(said), "{said} in {error}");
        }
        serving.abort();
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            // Closed in order, as the other end has to read the answer.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let connector = Connector::new(Trust::Pin(Pin([0; 32]))).unwrap();
    let error = connect(&connector, format!("https://localhost:{port}")).await;
    assert!(error.map(drop).unwrap_err().contains("does not speak TLS"));
    let plain = connect(&connector, format!("http://localhost:{port}"))
        .await
        .unwrap();
    assert!(matches!(plain.into_inner(), Either::Left(_)));
    serving.abort();
}

#[test]
fn an_agent_s_certificate_is_good_for_its_key_in_its_time_and_for_nothing_else() {
    let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (authority, identity) = made(&ours, &Names::local());
    let (foreign, _) = made(&other, &Names::local());
    let agents = peer::AgentCertificates::of(authority.certificate()).unwrap();
    let (key, now) = (key::PrivateKey::generate().unwrap().public(), SystemTime::now());
    let made = authority.agent_certificate("web-01", &key, DAY * 7, now).unwrap();
    let shown = [made.clone()];
    assert_eq!(agents.key(&shown, now), Ok(key));
    assert_eq!(agents.key(&shown, now + DAY * 6), Ok(key));
    assert!(agents.key(&shown, now + DAY * 8).is_err(), "its time is over");
    assert!(agents.key(&shown, now - DAY).is_err(), "its time has not come");
    assert!(agents.key(&[], now).is_err());
    let forged = foreign.agent_certificate("web-01", &key, DAY * 7, now).unwrap();
    assert!(agents.key(&[forged], now).is_err(), "another CA's");
    assert!(
        agents.key(identity.chain(), now).is_err(),
        "the server's own is no agent's"
    );
    assert!(
        identity::check_signed(&shown, authority.certificate(), now).is_err(),
        "and an agent's is no server's"
    );
    let (begin, end) = identity::times_of(&made).unwrap();
    assert!(begin < now && now + DAY * 6 < end);
}
