//! The one string that makes a host an agent: where the server is and by which CA it is known, the agent's name, and a
//! token that is good once, or for a fleet. And what a host signs with its key when it uses it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nodeglass_model::AgentId;
use prost::Message;

use crate::v1;

const PREFIX: &str = "ng1.";
/// What is signed begins with this, so that it is never taken for anything else that is signed with the same key.
const CONTEXT: &[u8] = b"nodeglass agent enrolment v1\0";

/// What an enrolment string holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The server's address: `https://host:port`, or `http://host:port` where it speaks no TLS.
    pub server: String,
    /// The CA that the server's certificate comes from, as SHA-256 of its `SubjectPublicKeyInfo`; `None` without TLS, and
    /// where the certificate comes from a CA that systems know.
    pub ca_pin: Option<[u8; 32]>,
    /// The agent's name; `None` where the host chooses.
    pub agent: Option<AgentId>,
    /// The token; a secret.
    pub token: String,
}

/// What a host signs with its key to show that it has it: the token that it enrols with, and the name that it asks for.
pub fn message(token: &str, name: &str) -> Vec<u8> {
    let mut message = CONTEXT.to_vec();
    for part in [token, name] {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part.as_bytes());
    }
    message
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
    "this is not an enrolment string: paste the whole of what `nodeglass-server agent add NAME` or `fleet-token add` printed, \
     from \"{PREFIX}\" on"
)]
pub struct EnrolmentError;

impl Enrolment {
    /// The string.
    pub fn encode(&self) -> String {
        let head = v1::Enrolment {
            server: self.server.clone(),
            agent_id: self.agent.as_ref().map(AgentId::to_string).unwrap_or_default(),
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
        let agent = Some(message.agent_id)
            .filter(|name| !name.is_empty())
            .map(|name| name.parse())
            .transpose()
            .map_err(|_| EnrolmentError)?;
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
        for (ca_pin, agent) in [(None, None), (Some([7; 32]), Some("web-01".parse().unwrap()))] {
            let enrolment = Enrolment {
                server: "https://127.0.0.1:7080".into(),
                ca_pin,
                agent,
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
    fn what_is_signed_says_which_part_is_which() {
        assert_ne!(message("ab", "c"), message("a", "bc"));
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
