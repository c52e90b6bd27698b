//! Who is calling: looks tokens up by their hash, and remembers the answers, so that live data needs no database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, header};
use nodeglass_store::{AgentRecord, Role, Store, StoreError, TokenHash};
use tokio::time::Instant;

use crate::error::ApiError;
use crate::tokens;

/// How long an answer is taken for true without asking again; a revoked token lives this much longer.
const FRESH: Duration = Duration::from_secs(5);
/// How long a good answer is taken for true while the database can't be asked.
const STALE: Duration = Duration::from_hours(24);
/// Answers remembered; far more than there are tokens, so that only an attack reaches it.
const REMEMBERED: usize = 50_000;

/// Looks up tokens.
#[derive(Debug)]
pub struct Auth {
    store: Arc<dyn Store>,
    roles: Remembered<Role>,
    agents: Remembered<AgentRecord>,
}

impl Auth {
    /// Looks tokens up in `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            roles: Remembered::default(),
            agents: Remembered::default(),
        }
    }

    /// Asks for all tokens at once, so that those who never called yet may call while the database is away.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(&self) -> Result<(), StoreError> {
        for (token, role) in self.store.api_tokens().await? {
            self.roles.remember(token, Some(role));
        }
        for agent in self.store.agents().await? {
            self.agents.remember(agent.token, Some(agent));
        }
        Ok(())
    }

    /// What the bearer of the token in these headers may do, and the token's hash.
    ///
    /// # Errors
    /// No token, a wrong one, or a database that can't tell.
    pub async fn role(&self, headers: &HeaderMap) -> Result<(Role, TokenHash), ApiError> {
        let token = tokens::hash(bearer(headers)?);
        let role = self.roles.find(token, self.store.role_of_token(token)).await?;
        Ok((role, token))
    }

    /// The agent that the token in these headers was made for.
    ///
    /// # Errors
    /// No token, a wrong one, or a database that can't tell.
    pub async fn agent(&self, headers: &HeaderMap) -> Result<AgentRecord, ApiError> {
        let token = tokens::hash(bearer(headers)?);
        self.agents.find(token, self.store.agent_by_token(token)).await
    }
}

/// The token in the headers.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(ApiError::NoToken)?;
    let text = value.to_str().map_err(|_| ApiError::WrongToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(ApiError::WrongToken)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(ApiError::NoToken)
    }
}

/// Answers of the database by token.
#[derive(Debug)]
struct Remembered<T>(Mutex<HashMap<TokenHash, (Option<T>, Instant)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    async fn find(
        &self,
        token: TokenHash,
        ask: impl Future<Output = Result<Option<T>, StoreError>>,
    ) -> Result<T, ApiError> {
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&token)
            .cloned();
        let answer = match known {
            Some((answer, asked)) if asked.elapsed() < FRESH => answer,
            known => match ask.await {
                Ok(answer) => {
                    self.remember(token, answer.clone());
                    answer
                }
                Err(error) => match known {
                    Some((answer @ Some(_), asked)) if asked.elapsed() < STALE => answer,
                    _ => return Err(error.into()),
                },
            },
        };
        answer.ok_or(ApiError::WrongToken)
    }

    fn remember(&self, token: TokenHash, answer: Option<T>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (answer, asked)| answer.is_some() && asked.elapsed() < STALE);
        }
        if known.len() < REMEMBERED {
            known.insert(token, (answer, Instant::now()));
        }
    }
}
