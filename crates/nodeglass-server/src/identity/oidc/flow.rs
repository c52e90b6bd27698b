//! Sign-ins under way: what ties the provider's answer to the question, and both to one browser.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_store::TokenHash;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::super::keyed::Keyed;
use crate::tokens;

/// How long somebody may take at the provider.
pub(super) const UNDER_WAY: Duration = Duration::from_mins(10);
/// Sign-ins under way at once. Anybody can begin one, so it is bounded; each is some hundred bytes.
const AT_ONCE: usize = 10_000;
/// The longest path that somebody may want to go to afterwards.
const LONGEST_PATH: usize = 1_024;

/// A sign-in that begins.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser is to go.
    pub location: String,
    /// What it is to come back with, as a cookie.
    pub cookie: String,
}

/// What the provider is told of a sign-in, and the browser.
pub(super) struct Beginning {
    pub(super) state: String,
    pub(super) nonce: String,
    /// What only whoever knows the verifier could have sent (RFC 7636).
    pub(super) challenge: String,
    pub(super) cookie: String,
}

/// What is kept of it.
#[derive(Debug)]
pub(super) struct Flow {
    until: Instant,
    cookie: TokenHash,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) redirect: String,
    pub(super) return_to: String,
}

/// All that are under way.
#[derive(Debug, Default)]
pub(super) struct Flows(Mutex<Keyed<Flow>>);

impl Flows {
    /// Begins one; `None` if there are too many.
    pub(super) fn begin(&self, redirect: &str, return_to: &str) -> Option<Beginning> {
        let [state, nonce, verifier, cookie] = [(); 4].map(|()| tokens::generate("").expose().to_owned());
        let flow = Flow {
            until: Instant::now() + UNDER_WAY,
            cookie: tokens::hash(&cookie),
            nonce: nonce.clone(),
            verifier: verifier.clone(),
            redirect: redirect.to_owned(),
            return_to: local_path(return_to).to_owned(),
        };
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flows.len() >= AT_ONCE {
            let now = Instant::now();
            flows.retain(|flow| flow.until > now);
        }
        if flows.len() >= AT_ONCE {
            return None;
        }
        flows.insert(tokens::hash(&state), flow);
        Some(Beginning {
            challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())),
            state,
            nonce,
            cookie,
        })
    }

    /// Ends one, for the browser that began it. It can't be ended twice, whoever tries.
    pub(super) fn end(&self, state: &str, cookie: Option<&str>) -> Option<Flow> {
        let mut flows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let flow = flows.remove(&tokens::hash(state))?;
        let given = tokens::hash(cookie?);
        let is_same: bool = flow.cookie.0.ct_eq(&given.0).into();
        (is_same && flow.until > Instant::now()).then_some(flow)
    }
}

/// A path of this server that somebody may be sent to; `/` for anything else.
pub fn local_path(path: &str) -> &str {
    let is_local = path.starts_with('/')
        // Browsers take these for another host.
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.len() <= LONGEST_PATH
        && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_belongs_to_one_question_of_one_browser() {
        let flows = Flows::default();
        let begin = || flows.begin("https://here/callback", "/agents").unwrap();
        let one = begin();
        assert!(flows.end("another", Some(&one.cookie)).is_none());
        let flow = flows.end(&one.state, Some(&one.cookie)).unwrap();
        assert_eq!(
            (flow.nonce == one.nonce, flow.return_to.as_str()),
            (true, "/agents")
        );
        assert!(flows.end(&one.state, Some(&one.cookie)).is_none(), "ended");
        let (one, other) = (begin(), begin());
        assert!(
            flows.end(&one.state, Some(&other.cookie)).is_none(),
            "another browser"
        );
        assert!(flows.end(&other.state, None).is_none());
        let late = begin();
        tokio::time::advance(UNDER_WAY).await;
        assert!(flows.end(&late.state, Some(&late.cookie)).is_none(), "too late");
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_under_way_at_once() {
        let flows = Flows::default();
        for _ in 0..AT_ONCE {
            flows.begin("", "/").unwrap();
        }
        assert!(flows.begin("", "/").is_none());
        tokio::time::advance(UNDER_WAY).await;
        assert!(flows.begin("", "/").is_some());
    }

    #[test]
    fn the_verifier_is_proved_as_rfc_7636_wants_it() {
        // Appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(local_path("/agents?q=a%20b#x"), "/agents?q=a%20b#x");
        for elsewhere in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/a b",
            "/a\r\nb",
        ] {
            assert_eq!(local_path(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
