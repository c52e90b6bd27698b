//! Which agent is calling: looks tokens of agents up by their hash, and remembers the answers, so that live data needs no
//! database. Those of people and programs are [`crate::identity`]'s.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, header};
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_store::{AgentRecord, Store, StoreError, TokenHash};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::error::ApiError;
use crate::tokens;

/// How long an answer is taken for true without asking again: so long a revoked token still opens calls and sessions.
/// What it has opened stays open.
const FRESH: Duration = Duration::from_secs(5);
/// How long a good answer is taken for true while the database can't be asked.
const STALE: Duration = Duration::from_hours(24);
/// How long a call waits for the confirmation of an answer that was good before. A database that takes longer is not
/// waited for, but what it says in the end holds.
const CONFIRM: Duration = Duration::from_millis(50);
/// Questions about unknown tokens at once.
const QUESTIONS: usize = 8;
/// How long the answer to one may take.
const QUESTION: Duration = Duration::from_secs(2);
/// How long the confirmation of an answer may take.
const CONFIRMATION: Duration = Duration::from_secs(15);
/// Answers remembered; far more than there are tokens, so that only an attack reaches it.
const REMEMBERED: usize = 50_000;

/// Looks up tokens of agents.
#[derive(Debug)]
pub struct Auth {
    store: Arc<dyn Store>,
    agents: Arc<Remembered<AgentRecord>>,
}

impl Auth {
    /// Looks tokens up in `store`; what takes longer goes on in `tasks`.
    pub fn new(store: Arc<dyn Store>, tasks: &TaskGroup) -> Self {
        Self {
            store,
            agents: Arc::new(Remembered::new(tasks.clone())),
        }
    }

    /// Asks for all tokens at once, so that those who never called yet may call while the database is away.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(&self) -> Result<(), StoreError> {
        for agent in self.store.agents().await? {
            self.agents.remember(agent.token, Some(agent));
        }
        Ok(())
    }

    /// The agent that the token in these headers was made for.
    ///
    /// # Errors
    /// No token, a wrong one, or a database that can't tell.
    pub async fn agent(&self, headers: &HeaderMap) -> Result<AgentRecord, ApiError> {
        let token = tokens::hash(bearer(headers)?);
        let store = self.store.clone();
        let ask = || async move { store.agent_by_token(token).await };
        self.agents.find(token, ask).await
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
struct Remembered<T> {
    answers: Mutex<HashMap<TokenHash, Answer<T>>>,
    /// Room for questions about tokens that nobody knows: an attacker must not keep the database busy.
    questions: Semaphore,
    tasks: TaskGroup,
}

#[derive(Debug, Clone)]
struct Answer<T> {
    value: Option<T>,
    /// When the database said so.
    confirmed: Instant,
    /// When it was last asked, whether or not it answered.
    asked: Instant,
}

impl<T: Clone + Send + Sync + 'static> Remembered<T> {
    fn new(tasks: TaskGroup) -> Self {
        Self {
            answers: Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
            tasks,
        }
    }

    async fn find<Asking>(
        self: &Arc<Self>,
        token: TokenHash,
        ask: impl FnOnce() -> Asking,
    ) -> Result<T, ApiError>
    where
        Asking: Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    {
        let known = self.lock().get(&token).cloned();
        let value = match known {
            Some(known) if known.asked.elapsed() < FRESH => known.value,
            // A good answer is only confirmed: a database that is away must not hold up live reads.
            Some(known) if known.value.is_some() && known.confirmed.elapsed() < STALE => {
                self.confirm(token, known, ask()).await
            }
            _ => {
                let _room = self.questions.try_acquire().map_err(|_| ApiError::Overloaded)?;
                let unanswered = |_| StoreError::Timeout {
                    operation: "look up a token",
                };
                let value = tokio::time::timeout(QUESTION, ask())
                    .await
                    .map_err(unanswered)??;
                self.remember(token, value)
            }
        };
        value.ok_or(ApiError::WrongToken)
    }

    /// Has an answer confirmed, and waits a moment for it. The answer counts whenever it comes: a token that is revoked
    /// in a slow database is worth nothing soon, too.
    async fn confirm(
        self: &Arc<Self>,
        token: TokenHash,
        known: Answer<T>,
        asking: impl Future<Output = Result<Option<T>, StoreError>> + Send + 'static,
    ) -> Option<T> {
        self.lock()
            .entry(token)
            .and_modify(|answer| answer.asked = Instant::now());
        let (said, says) = oneshot::channel();
        let remembered = self.clone();
        self.tasks.spawn_transient("token", async move {
            if let Ok(Ok(value)) = tokio::time::timeout(CONFIRMATION, asking).await {
                // Whoever asked may have gone on meanwhile.
                let _ = said.send(remembered.remember(token, value));
            }
        });
        match tokio::time::timeout(CONFIRM, says).await {
            Ok(Ok(value)) => value,
            Ok(Err(_)) | Err(_) => known.value,
        }
    }

    fn remember(&self, token: TokenHash, value: Option<T>) -> Option<T> {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, answer| answer.value.is_some() && answer.confirmed.elapsed() < STALE);
        }
        if known.len() < REMEMBERED {
            let now = Instant::now();
            known.insert(
                token,
                Answer {
                    value: value.clone(),
                    confirmed: now,
                    asked: now,
                },
            );
        }
        value
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TokenHash, Answer<T>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: TokenHash = TokenHash([1; 32]);

    fn remembered() -> Arc<Remembered<u8>> {
        Arc::new(Remembered::new(TaskGroup::new()))
    }

    fn away() -> Result<Option<u8>, StoreError> {
        Err(StoreError::Timeout { operation: "answer" })
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_seen_before_is_good_while_the_database_is_away() {
        let remembered = remembered();
        assert!(matches!(
            remembered.find(TOKEN, || async { away() }).await,
            Err(ApiError::Database(_))
        ));
        assert_eq!(remembered.find(TOKEN, || async { Ok(Some(7)) }).await.unwrap(), 7);
        tokio::time::advance(FRESH * 2).await;
        assert_eq!(remembered.find(TOKEN, || async { away() }).await.unwrap(), 7);
        tokio::time::advance(FRESH * 2).await;
        let began = Instant::now();
        assert_eq!(remembered.find(TOKEN, std::future::pending).await.unwrap(), 7);
        assert!(
            began.elapsed() <= CONFIRM,
            "a database that hangs holds nobody up"
        );
        assert_eq!(
            remembered
                .find(TOKEN, || async { panic!("not asked again so soon") })
                .await
                .unwrap(),
            7
        );
        tokio::time::advance(STALE).await;
        assert!(matches!(
            remembered.find(TOKEN, || async { away() }).await,
            Err(ApiError::Database(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_token_is_worth_nothing_within_seconds() {
        let remembered = remembered();
        remembered.find(TOKEN, || async { Ok(Some(7)) }).await.unwrap();
        tokio::time::advance(FRESH).await;
        assert!(matches!(
            remembered.find(TOKEN, || async { Ok(None) }).await,
            Err(ApiError::WrongToken)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_database_s_word_holds_in_the_end() {
        let remembered = remembered();
        remembered.find(TOKEN, || async { Ok(Some(7)) }).await.unwrap();
        tokio::time::advance(FRESH).await;
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(None)
        };
        assert_eq!(
            remembered.find(TOKEN, slow).await.unwrap(),
            7,
            "nobody waits for it"
        );
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(matches!(
            remembered
                .find(TOKEN, || async { panic!("not asked again so soon") })
                .await,
            Err(ApiError::WrongToken)
        ));
    }
}
