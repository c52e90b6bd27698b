//! A cluster that is reached by TCP, with TLS or without: it serves only a socket otherwise.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::user::User;
use super::{Binaries, Cluster, Options};

/// How a cluster serves TCP.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    /// Its certificate, if it is to serve TLS, and nothing without.
    pub tls: Option<Tls<'a>>,
    /// How clients prove who they are, a word of `pg_hba.conf`: trust, cert, scram-sha-256.
    pub method: &'a str,
}

/// What TLS needs, in PEM.
#[derive(Debug, Clone, Copy)]
pub struct Tls<'a> {
    /// The server's certificate.
    pub certificate: &'a str,
    /// Its key.
    pub key: &'a str,
    /// The CA of clients' certificates.
    pub client_ca: &'a str,
}

impl Cluster {
    /// Makes one and starts it on a free port of the loopback address, beside its socket.
    ///
    /// # Errors
    /// Those of [`Cluster::start`].
    pub fn start_on_tcp(binaries: &Binaries, options: Options, tcp: Tcp<'_>) -> anyhow::Result<Self> {
        /// Another program may take the port between its choice and its use.
        const ATTEMPTS: usize = 5;
        let mut cluster = Self::make(binaries, options)?;
        let mut settings = vec!["listen_addresses=127.0.0.1".to_owned()];
        let mut kind = "host";
        if let Some(tls) = tcp.tls {
            kind = "hostssl";
            let files = [
                ("ssl_cert_file", "server.crt", tls.certificate),
                ("ssl_key_file", "server.key", tls.key),
                ("ssl_ca_file", "clients.crt", tls.client_ca),
            ];
            settings.push("ssl=on".to_owned());
            for (setting, file, content) in files {
                write(&cluster.data().join(file), content, cluster.user)?;
                settings.push(format!("{setting}={file}"));
            }
        }
        let access = format!(
            "local all all trust\n{kind} all all 127.0.0.1/32 {}\n",
            tcp.method
        );
        write(&cluster.data().join("pg_hba.conf"), &access, cluster.user)?;
        let mut attempt = 0;
        loop {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            cluster.tcp = Some((port, settings.clone()));
            attempt += 1;
            match cluster.start_again() {
                Err(_) if attempt < ATTEMPTS => cluster.stop_immediate()?,
                started => return started.map(|()| cluster),
            }
        }
    }

    /// The port on 127.0.0.1; `None` if it serves only its socket.
    pub fn port(&self) -> Option<u16> {
        self.tcp.as_ref().map(|(port, _)| *port)
    }
}

/// Writes a file that the server may read, and nobody else.
fn write(path: &Path, content: &str, user: User) -> anyhow::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    if let User::Other { uid, gid } = user {
        chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}
