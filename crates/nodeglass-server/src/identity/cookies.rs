//! Cookies of sessions, and what keeps other sites from using them: a token that only our own pages know, and a look at where
//! a call comes from.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use nodeglass_runtime::config::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header with the token that goes with a cookie, on every call that changes something.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// The prefix of a session's secret.
pub const SESSION: &str = "ngs_";

/// How cookies are written here.
#[derive(Debug, Clone)]
pub struct Cookies {
    /// Whether browsers reach this server by TLS alone.
    secure: bool,
    /// Where they reach it: `https://monitor.example.org`.
    own_origins: Vec<String>,
}

/// Why a call with a cookie is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It comes from another site's page.
    Origin,
    /// It has no token of ours, or a wrong one.
    Csrf,
}

impl Cookies {
    /// For a server that is reached by TLS or not, and from pages of these origins besides its own.
    pub fn new(secure: bool, own_origins: Vec<String>) -> Self {
        Self { secure, own_origins }
    }

    /// The session cookie's name. With `__Host-` browsers take it over TLS alone, for this host alone.
    pub fn session_name(&self) -> &'static str {
        if self.secure {
            "__Host-nodeglass"
        } else {
            "nodeglass"
        }
    }

    /// The name of the cookie that ties a sign-in at a provider to the browser that began it.
    pub fn sign_in_name(&self) -> &'static str {
        if self.secure {
            "__Host-nodeglass-oidc"
        } else {
            "nodeglass-oidc"
        }
    }

    /// A header that sets the session cookie. Pages of other sites can't have it sent at all.
    pub fn set_session(&self, secret: &Secret, seconds: u64) -> HeaderValue {
        self.set(self.session_name(), secret.expose(), seconds, "Strict")
    }

    /// A header that sets the cookie of a sign-in: the provider's page leads back here, so it is sent then.
    pub fn set_sign_in(&self, secret: &str, seconds: u64) -> HeaderValue {
        self.set(self.sign_in_name(), secret, seconds, "Lax")
    }

    /// A header that removes a cookie.
    pub fn remove(&self, name: &str) -> HeaderValue {
        self.set(name, "", 0, "Strict")
    }

    fn set(&self, name: &str, value: &str, seconds: u64, same_site: &str) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let text =
            format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}; Max-Age={seconds}{secure}");
        let mut value = HeaderValue::from_str(&text).expect("letters, digits and signs");
        value.set_sensitive(true);
        value
    }

    /// The session's secret, if there is one.
    pub fn session<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, self.session_name()).filter(|secret| secret.starts_with(SESSION))
    }

    /// Whether a call comes from a page of ours, or from a program, as far as its browser says. `host` is whom it is for.
    pub fn is_own(&self, headers: &HeaderMap, host: Option<&str>) -> bool {
        let text = |name| {
            headers
                .get(name)
                .map(|value: &HeaderValue| value.to_str().unwrap_or("?"))
        };
        if let Some(origin) = text("origin") {
            return self.owns(origin, host);
        }
        // Browsers that say no origin say this.
        matches!(text("sec-fetch-site"), None | Some("same-origin" | "none"))
    }

    fn owns(&self, origin: &str, host: Option<&str>) -> bool {
        let is_listed = self
            .own_origins
            .iter()
            .any(|own| own.eq_ignore_ascii_case(origin));
        let scheme = if self.secure { "https://" } else { "http://" };
        let own_host = |host: &str| {
            origin
                .strip_prefix(scheme)
                .is_some_and(|of| of.eq_ignore_ascii_case(host))
        };
        is_listed || host.is_some_and(own_host)
    }

    /// Lets a call past that changes something and has no more to show than a cookie.
    ///
    /// # Errors
    /// It may be another site's doing.
    pub fn check(&self, secret: &str, headers: &HeaderMap, host: Option<&str>) -> Result<(), Foreign> {
        if !self.is_own(headers, host) {
            return Err(Foreign::Origin);
        }
        let given = headers
            .get(CSRF_HEADER)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let expected = csrf_token(secret);
        if given.ct_eq(expected.as_bytes()).into() {
            Ok(())
        } else {
            Err(Foreign::Csrf)
        }
    }
}

/// The token that goes with a session: whoever has it can't find the session's secret.
pub fn csrf_token(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"nodeglass csrf\0");
    hash.update(secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// A cookie of that name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn cookies_are_for_this_host_and_not_for_scripts() {
        let secret = Secret::from("ngs_abc".to_owned());
        let kept = Cookies::new(true, vec![]).set_session(&secret, 60);
        assert_eq!(
            kept.to_str().unwrap(),
            "__Host-nodeglass=ngs_abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert!(!format!("{kept:?}").contains("abc"));
        let plain = Cookies::new(false, vec![]);
        assert!(
            !plain
                .set_session(&secret, 60)
                .to_str()
                .unwrap()
                .contains("Secure")
        );
        let shown = headers(&[
            ("cookie", "a=b; nodeglass=ngs_abc;x"),
            ("cookie", "nodeglass-oidc=1"),
        ]);
        assert_eq!(plain.session(&shown), Some("ngs_abc"));
        assert_eq!(cookie(&shown, "nodeglass-oidc"), Some("1"));
        assert_eq!(Cookies::new(true, vec![]).session(&shown), None);
        assert_eq!(plain.session(&headers(&[("cookie", "nodeglass=ngt_abc")])), None);
    }

    #[test]
    fn other_sites_change_nothing() {
        let cookies = Cookies::new(true, vec!["https://dash.example.org".to_owned()]);
        let token = csrf_token("ngs_abc");
        let check = |pairs: &[(&'static str, &str)]| {
            cookies.check("ngs_abc", &headers(pairs), Some("monitor.example.org:7080"))
        };
        let own = "https://monitor.example.org:7080";
        assert_eq!(check(&[("x-csrf-token", &token)]), Ok(()));
        assert_eq!(check(&[("x-csrf-token", &token), ("origin", own)]), Ok(()));
        let listed = "https://dash.example.org";
        assert_eq!(check(&[("x-csrf-token", &token), ("origin", listed)]), Ok(()));
        assert_eq!(
            check(&[("x-csrf-token", &token), ("sec-fetch-site", "same-origin")]),
            Ok(())
        );
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://monitor.example.org:7080"),
            ("origin", "https://monitor.example.org"),
            ("origin", "https://monitor.example.org:7080.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(
                check(&[("x-csrf-token", &token), foreign]),
                Err(Foreign::Origin),
                "{foreign:?}"
            );
        }
        assert_eq!(check(&[("origin", own)]), Err(Foreign::Csrf));
        let another = csrf_token("ngs_abd");
        assert_eq!(check(&[("x-csrf-token", &another)]), Err(Foreign::Csrf));
        assert!(!token.contains("abc"));
    }
}
