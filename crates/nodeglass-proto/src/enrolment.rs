//! The one string that makes a host an agent: where the server is and by which CA it is known, the agent's name, and its
//! token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_model::AgentId;
use prost::Message;

use crate::v1;

const PREFIX: &str = "ng1.";

/// What an enrolment string holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The server's address: `https://host:port`, or `http://host:port` where it speaks no TLS.
    pub server: String,
    /// The CA that the server's certificate comes from, as SHA-256 of its `SubjectPublicKeyInfo`; `None` without TLS, and
    /// where the certificate comes from a CA that systems know.
    pub ca_pin: Option<[u8; 32]>,
    /// The agent's name.
    pub agent: AgentId,
    /// The agent's token; a secret.
    pub token: String,
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Enrolment")
            .field("server", &self.server)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// A string that enrols nobody. It does not repeat the string, which may hold a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not an enrolment string: paste the whole of what `nodeglass-server agent add NAME` printed, from \"{PREFIX}\" on"
)]
pub struct EnrolmentError;

impl Enrolment {
    /// The string.
    pub fn encode(&self) -> String {
        let head = v1::Enrolment {
            server: self.server.clone(),
            agent_id: self.agent.to_string(),
            token: String::new(),
            ca_pin: self.ca_pin.map(Vec::from),
        };
        // Messages one behind the other are one. The token, without which nothing is an enrolment, comes last: so a string
        // that was cut is none.
        let tail = v1::Enrolment {
            token: self.token.clone(),
            ..Default::default()
        };
        let mut bytes = head.encode_to_vec();
        bytes.extend(tail.encode_to_vec());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the string; white space around it is no matter.
    ///
    /// # Errors
    /// Anything else than the whole of an enrolment string.
    pub fn decode(text: &str) -> Result<Self, EnrolmentError> {
        let coded = text.trim().strip_prefix(PREFIX).ok_or(EnrolmentError)?;
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| EnrolmentError)?;
        let message = v1::Enrolment::decode(&bytes[..]).map_err(|_| EnrolmentError)?;
        let agent = message.agent_id.parse().map_err(|_| EnrolmentError)?;
        if message.server.is_empty() || message.token.is_empty() {
            return Err(EnrolmentError);
        }
        let ca_pin = message.ca_pin.map(TryInto::try_into).transpose();
        Ok(Self {
            server: message.server,
            ca_pin: ca_pin.map_err(|_| EnrolmentError)?,
            agent,
            token: message.token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_whole_or_not_at_all() {
        for ca_pin in [None, Some([7; 32])] {
            let enrolment = Enrolment {
                server: "https://127.0.0.1:7080".into(),
                ca_pin,
                agent: "web-01".parse().unwrap(),
                token: "nga_secret".into(),
            };
            let text = enrolment.encode();
            assert_eq!(Enrolment::decode(&format!(" {text}\n")), Ok(enrolment.clone()));
            for cut in 0..text.len() {
                assert_eq!(Enrolment::decode(&text[..cut]), Err(EnrolmentError), "{cut}");
            }
            assert!(!format!("{enrolment:?}").contains("secret"));
        }
    }

    #[test]
    fn a_pin_of_another_length_is_none() {
        let message = v1::Enrolment {
            server: "https://h:1".into(),
            agent_id: "a".into(),
            token: "t".into(),
            ca_pin: Some(vec![7; 31]),
        };
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(message.encode_to_vec()));
        assert_eq!(Enrolment::decode(&text), Err(EnrolmentError));
    }
}
