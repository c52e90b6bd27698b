//! Everybody who may call, in memory: tokens, users and sessions, and whose open streams end when what they may do changes.
//!
//! One task looks whether the database has another version of them, each second and whenever a token is missed, so that
//! what a command beside the server changes holds soon. Between these looks calls need no database; while it is away, what
//! was good stays good for a day.

mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use nodeglass_model::{Clock, UnixMillis};
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::identities::{Everybody, TokenRecord, UserRecord};
use nodeglass_store::{Store, StoreError, TokenHash};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use self::state::State;
pub use self::state::{Live, Session};
use crate::access::Caller;
use crate::error::ApiError;
use crate::identity::IdentityError;

/// How often the version is looked at: with the reading of what is new, so soon a revoked token's streams end.
const LOOK: Duration = Duration::from_secs(2);
/// How often everything is read though the version is the same: changes that were made by hand are found, too.
const LOOK_CLOSELY: Duration = Duration::from_secs(15);
/// The least time between two looks, however many tokens are missed.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the database may take for one.
const ANSWER: Duration = Duration::from_secs(5);
/// How long who misses something waits for a look.
const WAIT: Duration = Duration::from_secs(2);
/// Who may wait for one at once: those with unknown tokens must not fill the server.
const WAITING: usize = 256;
/// How long what was good stays good while the database can't be asked.
const STALE: Duration = Duration::from_hours(24);
/// How often it is written down when tokens and sessions were used.
const NOTE_USES: Duration = Duration::from_mins(1);
/// How often sessions that ran out are removed.
const PRUNE: Duration = Duration::from_mins(10);

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without a call.
    pub idle: Duration,
    /// In any case.
    pub absolute: Duration,
}

/// Everybody who may call.
#[derive(Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    limits: SessionLimits,
    /// By which settings the claims of the provider are read; sessions by others count no more.
    provider: Option<String>,
    state: ArcSwap<State>,
    wanted: Notify,
    looked: watch::Sender<Looked>,
    waiting: Semaphore,
    uses: Mutex<Uses>,
}

/// How the last look went.
#[derive(Debug, Clone, Copy)]
struct Looked {
    /// When it began.
    began: Instant,
    /// Whether the database answered.
    answered: bool,
    /// When it last did.
    confirmed: Instant,
}

/// Uses that are not written down yet.
#[derive(Debug, Default)]
struct Uses {
    tokens: HashMap<TokenHash, UnixMillis>,
    sessions: HashMap<TokenHash, UnixMillis>,
}

impl Directory {
    /// Reads everybody.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        limits: SessionLimits,
        provider: Option<String>,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        let now = Instant::now();
        let everybody = store.everybody().await?;
        let looked = Looked {
            began: now,
            answered: true,
            confirmed: now,
        };
        let directory = Self {
            store,
            clock,
            stop,
            limits,
            provider,
            state: ArcSwap::default(),
            wanted: Notify::new(),
            looked: watch::Sender::new(looked),
            waiting: Semaphore::new(WAITING),
            uses: Mutex::default(),
        };
        directory.install(everybody);
        Ok(directory)
    }

    /// Who calls with this token.
    ///
    /// # Errors
    /// Nobody, or a database that can't tell.
    pub async fn by_token(&self, token: TokenHash) -> Result<Caller, ApiError> {
        let now = self.clock.now();
        let find = || {
            let state = self.state.load();
            let found = state.tokens.get(&token).filter(|live| !live.has_ended(now));
            found.map(|live| live.caller.clone())
        };
        let caller = self.find(find).await?.ok_or(ApiError::WrongToken)?;
        self.uses().tokens.insert(token, now);
        Ok(caller)
    }

    /// Who is signed in with this cookie, and how.
    ///
    /// # Errors
    /// Nobody any more, or a database that can't tell.
    pub async fn by_session(&self, secret: TokenHash) -> Result<Arc<Session>, ApiError> {
        let now = self.clock.now();
        let find = || {
            let state = self.state.load();
            let found = state.sessions.get(&secret);
            found
                .filter(|session| !session.has_ended(now, self.limits))
                .cloned()
        };
        let session = self.find(find).await?.ok_or(IdentityError::SignedOut)?;
        if session.see(now) {
            self.uses().sessions.insert(secret, now);
        }
        Ok(session)
    }

    /// What is found at once, or else after a look.
    async fn find<T>(&self, find: impl Fn() -> Option<T>) -> Result<Option<T>, ApiError> {
        let unanswered = || {
            ApiError::Database(StoreError::Timeout {
                operation: "look up a token",
            })
        };
        if self.looked.borrow().confirmed.elapsed() > STALE {
            return Err(unanswered());
        }
        if let Some(found) = find() {
            return Ok(Some(found));
        }
        let _room = self.waiting.try_acquire().map_err(|_| ApiError::Overloaded)?;
        if self.refresh().await {
            Ok(find())
        } else {
            Err(unanswered())
        }
    }

    /// Waits for a look that begins now or later; `false` if the database gives no answer.
    pub async fn refresh(&self) -> bool {
        let now = Instant::now();
        let mut looked = self.looked.subscribe();
        self.wanted.notify_one();
        let look = looked.wait_for(|looked| looked.began >= now);
        let done = tokio::time::timeout(WAIT, look).await;
        matches!(done, Ok(Ok(looked)) if looked.answered)
    }

    /// The user of that name.
    pub fn user(&self, name: &str) -> Option<Arc<UserRecord>> {
        self.state.load().users.get(name).cloned()
    }

    /// All users, by name.
    pub fn users(&self) -> Vec<Arc<UserRecord>> {
        self.state.load().users.values().cloned().collect()
    }

    /// All tokens, by name, with the last uses that are known.
    pub fn tokens(&self) -> Vec<TokenRecord> {
        let state = self.state.load();
        let uses = self.uses();
        let mut tokens: Vec<TokenRecord> = state.tokens.values().map(|live| live.record.clone()).collect();
        for token in &mut tokens {
            token.last_used_at = token.last_used_at.max(uses.tokens.get(&token.token).copied());
        }
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        tokens
    }

    /// All sessions that have not ended, the latest first.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let (state, now) = (self.state.load(), self.clock.now());
        let open = state.sessions.values();
        let open = open.filter(|session| !session.has_ended(now, self.limits));
        let mut sessions: Vec<_> = open.cloned().collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.record.created_at));
        sessions
    }

    /// How long sessions last.
    pub fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// Looks for changes, ends what ran out, and writes down uses, until the server stops.
    pub async fn run(self: Arc<Self>) {
        let looking = async {
            let mut closely = Instant::now() + LOOK_CLOSELY;
            loop {
                // After this time in any case; the next that is wanted after a pause.
                let _ = tokio::time::timeout(LOOK, self.wanted.notified()).await;
                let began = Instant::now();
                let is_due = began >= closely;
                if is_due {
                    closely = began + LOOK_CLOSELY;
                }
                let look = tokio::time::timeout(ANSWER, self.look(is_due)).await;
                let answered = look.unwrap_or(false);
                self.looked.send_modify(|looked| {
                    looked.began = began;
                    looked.answered = answered;
                    if answered {
                        looked.confirmed = began;
                    }
                });
                tokio::time::sleep(PAUSE).await;
            }
        };
        let ending = async {
            loop {
                tokio::time::sleep(LOOK).await;
                self.state.load().end_what_ran_out(self.clock.now(), self.limits);
            }
        };
        let noting = async {
            let mut prune = Instant::now();
            loop {
                tokio::time::sleep(NOTE_USES).await;
                self.note_uses().await;
                if prune.elapsed() >= PRUNE {
                    prune = Instant::now();
                    self.prune().await;
                }
            }
        };
        tokio::select! {
            () = looking => {}
            () = ending => {}
            () = noting => {}
            () = self.stop.cancelled() => self.note_uses().await,
        }
    }

    /// Reads what is new; `false` if the database does not answer.
    async fn look(&self, closely: bool) -> bool {
        let version = self.state.load().version;
        let read = async {
            if !closely && self.store.identity_version().await? == version {
                return Ok(None);
            }
            self.store.everybody().await.map(Some)
        };
        let read: Result<_, StoreError> = read.await;
        match read {
            Ok(everybody) => {
                if let Some(everybody) = everybody {
                    self.install(everybody);
                }
                true
            }
            Err(error) => {
                debug!(error = %chain(&error), "changes of tokens and users may be missed");
                false
            }
        }
    }

    fn install(&self, everybody: Everybody) {
        let before = self.state.load_full();
        let state = before.next(everybody, self.provider.as_deref(), &self.stop);
        let state = Arc::new(state);
        self.state.store(state.clone());
        // After the change: who comes back finds what holds now.
        let ended = before.end_what_is_gone(&state);
        if ended > 0 {
            info!(
                ended,
                "what tokens or sessions may do has changed; their streams end"
            );
        }
    }

    async fn note_uses(&self) {
        let Uses { tokens, sessions } = std::mem::take(&mut *self.uses());
        let note = async {
            if !tokens.is_empty() {
                self.store.touch_tokens(&tokens).await?;
            }
            if !sessions.is_empty() {
                self.store.touch_sessions(&sessions).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(ANSWER, note).await {
            debug!(error = %chain(&error), "uses of tokens and sessions are not written down");
        }
    }

    async fn prune(&self) {
        let (state, now) = (self.state.load_full(), self.clock.now());
        let over = state
            .sessions
            .values()
            .filter(|session| session.has_ended(now, self.limits));
        let over: Vec<TokenHash> = over.map(|session| session.record.token).collect();
        if !over.is_empty()
            && let Err(error) = self.store.remove_sessions(&over).await
        {
            debug!(error = %chain(&error), "sessions that ran out stay for now");
        }
    }

    fn uses(&self) -> std::sync::MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
