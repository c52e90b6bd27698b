//! Whether connections speak TLS, and with whose certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

use nodeglass_runtime::config::ConfigReader;
use nodeglass_runtime::tls::authority::server_name;

/// How the server's port is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// Plain HTTP: on this host alone, or because the configuration says `insecure: true`.
    Plain,
    /// TLS with a certificate from a CA of the server's own.
    Made,
    /// TLS with a certificate that somebody brought.
    Own(OwnCertificate),
}

/// The files of a certificate that somebody brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCertificate {
    /// The certificate, and behind it those between it and its CA.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Its CA, if systems don't know it: agents are told its pin.
    pub ca: Option<PathBuf>,
}

impl Transport {
    /// The beginning of the server's address.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Made | Self::Own(_) => "https",
        }
    }

    /// Reads what the configuration says for a server that listens at `listen`.
    pub(super) fn read(reader: &mut ConfigReader, listen: SocketAddr) -> Self {
        let always = reader.flag("tls.always", false);
        let insecure = reader.flag("insecure", false);
        let certificate = reader.text("tls.certificate").map(PathBuf::from);
        let key = reader.text("tls.key").map(PathBuf::from);
        let ca = reader.text("tls.ca").map(PathBuf::from);
        if insecure && (always || certificate.is_some() || key.is_some()) {
            reader.problem(
                "insecure",
                "asks for plain HTTP, and the keys under tls ask for TLS: leave out one or the other",
            );
        }
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                return Self::Own(OwnCertificate { certificate, key, ca });
            }
            (Some(_), None) => reader.problem(
                "tls.key",
                "is needed with tls.certificate: name the file of its key",
            ),
            (None, Some(_)) => reader.problem(
                "tls.certificate",
                "is needed with tls.key: name the certificate's file",
            ),
            (None, None) if ca.is_some() => reader.problem(
                "tls.ca",
                "is the CA of tls.certificate, which is not set: the server makes a CA of its own then",
            ),
            (None, None) => {}
        }
        let is_local = listen.ip().to_canonical().is_loopback();
        if always || !(is_local || insecure) {
            Self::Made
        } else {
            Self::Plain
        }
    }

    /// Reads the address that agents are told.
    pub(super) fn read_public_url(&self, reader: &mut ConfigReader) -> Option<String> {
        let url = reader.text("public_url")?;
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let has_host = host_of(&url).is_some_and(|host| server_name(host).is_some());
        if !matches!(scheme, "http" | "https") || !has_host || rest.contains('/') {
            reader.problem(
                "public_url",
                format!("{url:?} must be https://host:port or http://host:port"),
            );
        } else if scheme == "http" && *self != Self::Plain {
            // Plain ones may stand behind a proxy that speaks TLS.
            reader.problem(
                "public_url",
                format!("{url:?} must begin with https://, as this server speaks TLS"),
            );
        }
        Some(url)
    }
}

/// The host of `scheme://host:port`, without the brackets of an address.
pub fn host_of(url: &str) -> Option<&str> {
    let (_, authority) = url.split_once("://")?;
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use nodeglass_runtime::config::Env;

    use super::*;

    fn read(yaml: &str, listen: &str) -> Result<(Transport, Option<String>), String> {
        let mut reader = ConfigReader::parse("test.yaml", yaml, Env::empty());
        let transport = Transport::read(&mut reader, listen.parse().unwrap());
        let url = transport.read_public_url(&mut reader);
        reader.finish().map_err(|error| error.to_string())?;
        Ok((transport, url))
    }

    #[test]
    fn beyond_this_host_tls_is_spoken_unless_somebody_says_otherwise_in_so_many_words() {
        let own = "{certificate: /c, key: /k}";
        for (yaml, listen, scheme) in [
            ("", "127.0.0.1:1", "http"),
            ("", "127.9.9.9:1", "http"),
            ("", "[::1]:1", "http"),
            ("", "[::ffff:127.0.0.1]:1", "http"),
            ("", "0.0.0.0:1", "https"),
            ("", "[::]:1", "https"),
            ("", "192.0.2.1:1", "https"),
            ("tls: {always: true}", "127.0.0.1:1", "https"),
            (&format!("tls: {own}"), "127.0.0.1:1", "https"),
            ("insecure: true", "0.0.0.0:1", "http"),
            ("insecure: false", "0.0.0.0:1", "https"),
        ] {
            let (transport, _) = read(yaml, listen).unwrap();
            assert_eq!(transport.scheme(), scheme, "{yaml} {listen}");
        }
        let (transport, _) = read("tls: {certificate: /c, key: /k, ca: /a}", "0.0.0.0:1").unwrap();
        let ca = Some("/a".into());
        let (certificate, key) = ("/c".into(), "/k".into());
        assert_eq!(transport, Transport::Own(OwnCertificate { certificate, key, ca }));
    }

    #[test]
    fn what_does_not_go_together_is_named() {
        for (yaml, listen, said) in [
            ("tls: {certificate: /c}", "127.0.0.1:1", "tls.key"),
            ("tls: {key: /k}", "127.0.0.1:1", "tls.certificate"),
            ("tls: {ca: /a}", "0.0.0.0:1", "tls.ca"),
            ("{insecure: true, tls: {always: true}}", "0.0.0.0:1", "insecure"),
            ("{insecure: yes please}", "0.0.0.0:1", "insecure"),
            ("public_url: http://h:1", "0.0.0.0:1", "must begin with https://"),
            ("public_url: 'h:1'", "127.0.0.1:1", "public_url"),
            ("public_url: 'https://:1'", "127.0.0.1:1", "public_url"),
            ("public_url: 'https://h:1/path'", "127.0.0.1:1", "public_url"),
        ] {
            let problems = read(yaml, listen).unwrap_err();
            assert!(problems.contains(said), "{said} in {problems}");
        }
        // A proxy before a plain server may speak TLS for it.
        for url in ["http://h:1", "https://h:1", "https://[::1]:1", "https://h"] {
            assert_eq!(
                read(&format!("public_url: '{url}'"), "127.0.0.1:1")
                    .unwrap()
                    .1
                    .as_deref(),
                Some(url)
            );
        }
    }

    #[test]
    fn hosts_are_found_in_addresses() {
        for (url, host) in [
            ("https://h:1", Some("h")),
            ("https://[::1]:1", Some("::1")),
            ("http://h", Some("h")),
            ("h:1", None),
            ("https://", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
