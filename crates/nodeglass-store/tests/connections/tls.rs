//! TLS with a real server: certificates of a CA of the test's own, on both sides.

use nodeglass_store::{StoreError, open};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use xtask::postgres::{Cluster, Tcp, Tls};

use crate::{binaries, sample};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn ca(name: &str) -> Ca {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, in PEM.
fn certificate(ca: &Ca, name: &str) -> (String, String) {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, ca).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A server that takes certificates only, and the files that clients have.
struct Site {
    cluster: Cluster,
    files: TempDir,
}

impl Site {
    fn new() -> Self {
        let (ours, others, clients) = (ca("ours"), ca("others"), ca("clients"));
        let (certificate_pem, key) = certificate(&ours, "localhost");
        let client_ca = clients.pem();
        let tls = Tls {
            certificate: &certificate_pem,
            key: &key,
            client_ca: &client_ca,
        };
        let options = xtask::postgres::Options { fsync: false };
        let tcp = Tcp {
            tls: Some(tls),
            method: "cert",
        };
        let cluster = Cluster::start_on_tcp(&binaries(), options, tcp).expect("a PostgreSQL with TLS");
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| std::fs::write(files.path().join(name), content).unwrap();
        let (client, client_key) = certificate(&clients, "postgres");
        write("ca.pem", &ours.pem());
        write("others.pem", &others.pem());
        write("client.pem", &client);
        write("client.key", &client_key);
        Self { cluster, files }
    }

    /// The URL with `parameters`, in which `@` is the directory of the files.
    fn url(&self, host: &str, parameters: &str) -> String {
        let directory = self.files.path().display().to_string();
        let port = self.cluster.port().unwrap();
        let parameters = parameters.replace('@', &directory);
        format!("postgres://postgres@{host}:{port}/postgres?{parameters}")
    }
}

const CLIENT: &str = "sslcert=@/client.pem&sslkey=@/client.key";

#[tokio::test]
async fn a_connection_with_certificates_on_both_sides() {
    let site = Site::new();
    for parameters in ["sslmode=verify-full&sslrootcert=@/ca.pem", "sslrootcert=@/ca.pem"] {
        let url = site.url("localhost", &format!("{parameters}&{CLIENT}"));
        let store = open(&url).await.expect(parameters);
        store.append(&[sample(1)]).await.unwrap();
        store.close().await;
    }
    // The address is not the name in the certificate; whoever says so may pass over that, and no more.
    for parameters in [
        "sslmode=verify-ca&sslrootcert=@/ca.pem",
        "sslmode=require&sslrootcert=@/ca.pem",
    ] {
        let url = site.url("127.0.0.1", &format!("{parameters}&{CLIENT}"));
        open(&url).await.expect(parameters).close().await;
    }
}

#[tokio::test]
async fn what_is_not_to_be_trusted_is_refused_with_a_way_out() {
    let site = Site::new();
    let cases = [
        (
            "another CA",
            "localhost",
            "sslmode=verify-full&sslrootcert=@/others.pem",
        ),
        (
            "another CA, asked for by require",
            "localhost",
            "sslmode=require&sslrootcert=@/others.pem",
        ),
        ("no CA of this host's", "localhost", "sslmode=verify-full"),
        (
            "another name",
            "127.0.0.1",
            "sslmode=verify-full&sslrootcert=@/ca.pem",
        ),
    ];
    for (what, host, parameters) in cases {
        let error = open(&site.url(host, &format!("{parameters}&{CLIENT}")))
            .await
            .expect_err(what);
        assert!(matches!(error, StoreError::Tls(_)), "{what}: {error:?}");
        assert!(!error.is_unreachable(), "{what}: trying again does not help");
        let message = error.to_string();
        assert!(
            message.contains("sslrootcert") && message.contains("host"),
            "{message}"
        );
    }
    // A file that is not there, a client without a certificate, and one without TLS.
    for parameters in [
        "sslrootcert=@/nowhere.pem&sslcert=@/client.pem&sslkey=@/client.key",
        "sslrootcert=@/ca.pem",
        "sslmode=disable",
    ] {
        let error = open(&site.url("localhost", parameters))
            .await
            .expect_err(parameters);
        assert!(!error.is_unreachable(), "{parameters}: {error:?}");
    }
}

#[tokio::test]
async fn tls_that_the_server_does_not_have_is_not_done_without() {
    let options = xtask::postgres::Options { fsync: false };
    let tcp = Tcp {
        tls: None,
        method: "trust",
    };
    let cluster = Cluster::start_on_tcp(&binaries(), options, tcp).unwrap();
    let port = cluster.port().unwrap();
    let url = format!("postgres://postgres@localhost:{port}/postgres?sslmode=require");
    let error = open(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Tls(_)), "{error:?}");
    assert!(error.to_string().contains("ssl = on"), "{error}");
}
