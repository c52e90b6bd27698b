//! Who may call: tokens, users and their sessions, and the log of what they changed and were denied.
//!
//! All of them are read at once and kept by the server, which looks at [`Identities::identity_version`] for changes; so a
//! call needs no database. What a role allows, and what a selector means, is the server's business.

pub(crate) mod sql;

use std::collections::HashMap;
use std::fmt;

use async_trait::async_trait;
use nodeglass_model::UnixMillis;

use crate::{Role, StoreError, TokenHash};

/// Sessions that one name may have at once; the oldest ends when there is another.
pub const SESSIONS_OF_ONE: u32 = 100;

/// The token of a person or program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The entries of its selector; `None` for all agents.
    pub agents: Option<Vec<String>>,
    /// What is kept of it.
    pub token: TokenHash,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it is worth nothing any more; `None` for never.
    pub expires_at: Option<UnixMillis>,
    /// When it was last used, to some minutes; `None` if it never was.
    pub last_used_at: Option<UnixMillis>,
}

/// Somebody who signs in with a password.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRecord {
    /// The name that it signs in with.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The entries of its selector; `None` for all agents.
    pub agents: Option<Vec<String>>,
    /// What is kept of its password: a PHC string.
    pub password_hash: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When its password was last changed.
    pub password_changed_at: UnixMillis,
    /// The sealed secret of its one-time codes; `None` if it signs in without.
    pub totp_secret: Option<Vec<u8>>,
}

impl fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("agents", &self.agents)
            .finish_non_exhaustive()
    }
}

/// What somebody signed in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// A token.
    Token,
    /// A name and a password.
    User,
    /// A provider of identities.
    Oidc,
}

impl SessionKind {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
            Self::Oidc => "oidc",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Token, Self::User, Self::Oidc]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// What is kept of its cookie.
    pub token: TokenHash,
    /// Its name for those who end it, which opens nothing.
    pub id: String,
    /// What it was begun with.
    pub kind: SessionKind,
    /// Whose it is: the name of the token or the user, or what the provider calls it.
    pub name: String,
    /// What a provider's claims allow; `None` where the token or the user says it.
    pub role: Option<Role>,
    /// With it, the entries of its selector; `None` for all agents.
    pub agents: Option<Vec<String>>,
    /// The provider, and by which settings its claims were read.
    pub provider: Option<String>,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it was last used, to a minute or so.
    pub last_seen_at: UnixMillis,
    /// When it ends in any case.
    pub expires_at: UnixMillis,
    /// From where it was begun.
    pub address: String,
}

/// All who may call, as they were at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Everybody {
    /// The version that this is, at least.
    pub version: i64,
    /// All tokens, by name.
    pub tokens: Vec<TokenRecord>,
    /// All users, by name.
    pub users: Vec<UserRecord>,
    /// All sessions, those that ran out perhaps included.
    pub sessions: Vec<SessionRecord>,
}

/// How something that is in the log went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed.
    Denied,
    /// It was allowed and did not work.
    Failed,
}

impl Outcome {
    /// Its name in the database and in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    /// The outcome with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Done, Self::Denied, Self::Failed]
            .into_iter()
            .find(|outcome| outcome.name() == name)
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number; 0 before it is stored.
    pub id: i64,
    /// When it happened; of several alike, the first.
    pub at: UnixMillis,
    /// What kind of caller: `token`, `user`, `oidc`, `command` or `nobody`.
    pub kind: String,
    /// Who.
    pub name: String,
    /// From where; empty if it is not known.
    pub address: String,
    /// What was done: `token.add`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// How it went.
    pub outcome: Outcome,
    /// More of it, for people.
    pub detail: String,
    /// The call's number; empty if it has none.
    pub request_id: String,
    /// How many alike it stands for.
    pub count: u64,
}

/// Which entries of the log are wanted; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By whom.
    pub name: Option<String>,
    /// What: the whole action, or all that begin with `token.` for `token.*`.
    pub action: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// How it went.
    pub outcome: Option<Outcome>,
    /// From this moment on.
    pub start: Option<UnixMillis>,
    /// Before this moment.
    pub end: Option<UnixMillis>,
    /// Those with smaller numbers than this: what comes after a page.
    pub before: Option<i64>,
}

/// What of a token or a user is changed; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// What it may do.
    pub role: Option<Role>,
    /// The entries of its selector; `Some(None)` for all agents.
    pub agents: Option<Option<Vec<String>>>,
    /// When it ends; of tokens alone. `Some(None)` for never.
    pub expires_at: Option<Option<UnixMillis>>,
}

/// Where those who may call are kept.
#[async_trait]
pub trait Identities: Send + Sync + fmt::Debug {
    /// A number that is another one after every change of who may call and what. Uses of tokens and sessions are none.
    async fn identity_version(&self) -> Result<i64, StoreError>;

    /// All who may call.
    async fn everybody(&self) -> Result<Everybody, StoreError>;

    /// Keeps a new token. With `replace` it takes the place of one of that name, whose sessions end; else `false` says that
    /// there is one.
    async fn add_token(&self, token: &TokenRecord, replace: bool) -> Result<bool, StoreError>;

    /// Changes a token; `false` if there is none of that name.
    async fn change_token(&self, name: &str, change: &Change) -> Result<bool, StoreError>;

    /// Removes a token and the sessions that were begun with it; `false` if there is none of that name.
    async fn remove_token(&self, name: &str) -> Result<bool, StoreError>;

    /// Notes when tokens were last used.
    async fn touch_tokens(&self, used: &HashMap<TokenHash, UnixMillis>) -> Result<(), StoreError>;

    /// Keeps a new user; `false` if there is one of that name.
    async fn add_user(&self, user: &UserRecord) -> Result<bool, StoreError>;

    /// Changes a user's role and selector; `false` if there is none of that name.
    async fn change_user(&self, name: &str, change: &Change) -> Result<bool, StoreError>;

    /// Gives a user another password and ends its sessions, all but `keep`; `false` if there is none of that name.
    async fn set_password(
        &self,
        name: &str,
        password_hash: &str,
        at: UnixMillis,
        keep: Option<TokenHash>,
    ) -> Result<bool, StoreError>;

    /// Has a user sign in with one-time codes of a sealed secret, or, with `None`, without; `recovery` are the codes for
    /// whoever has lost the device. `false` if there is none of that name.
    async fn set_totp(
        &self,
        name: &str,
        sealed: Option<&[u8]>,
        recovery: &[TokenHash],
    ) -> Result<bool, StoreError>;

    /// Takes the code of a time step; `false` if that one, or a later one, was taken before.
    async fn use_totp_step(&self, name: &str, step: i64) -> Result<bool, StoreError>;

    /// Takes a recovery code; `false` if there is none such.
    async fn use_recovery_code(&self, name: &str, code: TokenHash) -> Result<bool, StoreError>;

    /// Removes a user and its sessions; `false` if there is none of that name.
    async fn remove_user(&self, name: &str) -> Result<bool, StoreError>;

    /// Keeps a new session. Beyond [`SESSIONS_OF_ONE`] the oldest of the same name ends.
    async fn add_session(&self, session: &SessionRecord) -> Result<(), StoreError>;

    /// Notes when sessions were last used.
    async fn touch_sessions(&self, used: &HashMap<TokenHash, UnixMillis>) -> Result<(), StoreError>;

    /// Ends sessions; says how many there were.
    async fn remove_sessions(&self, sessions: &[TokenHash]) -> Result<u64, StoreError>;

    /// Adds to the log.
    async fn append_audit(&self, entries: &[AuditRecord]) -> Result<(), StoreError>;

    /// At most `limit` entries of the log, the newest first.
    async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;

    /// Removes entries from before a moment, and the oldest of more than `most`; says how many it were.
    async fn prune_audit(&self, before: UnixMillis, most: u64) -> Result<u64, StoreError>;
}
