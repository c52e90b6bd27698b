//! What goes wrong when somebody signs in, or when tokens and users are changed.

use std::time::Duration;

use super::oidc::OidcError;
use super::passwords::Unfit;
use crate::error::codes::{self, Code};

/// Why. `Display` is the message that the caller gets; it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A session that is over.
    #[error("you are not signed in any more: sign in again")]
    SignedOut,
    /// A call that needs a session and came without.
    #[error("this call is about the session that it comes with, and it came without one")]
    NoSession,
    /// A ticket that was used, or is too old.
    #[error(
        "the ticket is not valid: each is good once, for half a minute; take another from POST /api/v1/tickets"
    )]
    WrongTicket,
    /// A wrong name, password or code.
    #[error("the name, the password or the code is wrong")]
    WrongCredentials,
    /// A code is asked for.
    #[error("this user signs in with one-time codes: send the present one, or a recovery code, as \"code\"")]
    CodeNeeded,
    /// Too many tries.
    #[error("too many tries: wait before the next one")]
    TooManyTries(Duration),
    /// A call with a cookie from another site's page.
    #[error(
        "this call comes from another site's page: calls with a cookie are taken from this server's own pages alone; if browsers \
         reach it by another address than the one it knows, set public_url to that"
    )]
    CrossSite,
    /// A call with a cookie and without what goes with it.
    #[error(
        "a call with a cookie that changes something needs the header x-csrf-token; GET /api/v1/session says it"
    )]
    NoCsrfToken,
    /// There is no provider.
    #[error("this server knows no provider of identities: access.oidc in its configuration names one")]
    NoProvider,
    /// Somebody could not sign in at the provider.
    #[error("signing in failed: {0}")]
    Oidc(OidcError),
    /// Something that has no name of that kind.
    #[error("there is no {what} {name:?}")]
    UnknownName {
        /// `token`, `user`, `session`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name that is given already.
    #[error("there is a {what} {name:?} already: choose another name")]
    NameTaken {
        /// `token`, `user`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A password that would be guessed.
    #[error("the password is not taken: {0}")]
    WeakPassword(Unfit),
    /// Tokens have no passwords.
    #[error("only users have passwords and one-time codes, and only they themselves set codes up")]
    UsersOnly,
    /// Nothing is being set up.
    #[error(
        "no one-time codes are being set up, or it was too long ago: begin again with POST /api/v1/session/totp"
    )]
    NothingBegun,
    /// Somebody who may not see every agent.
    #[error("this is for admins who may see all agents")]
    WholeFleet,
}

impl IdentityError {
    /// No such thing.
    pub fn unknown(what: &'static str, name: &str) -> Self {
        let name = name.chars().take(80).collect();
        Self::UnknownName { what, name }
    }

    /// There is one.
    pub fn taken(what: &'static str, name: &str) -> Self {
        let name = name.to_owned();
        Self::NameTaken { what, name }
    }

    /// The code that programs may rely on.
    pub fn code(&self) -> Code {
        match self {
            Self::SignedOut => codes::SIGNED_OUT,
            Self::NoSession => codes::NO_SESSION,
            Self::WrongTicket => codes::INVALID_TICKET,
            Self::WrongCredentials => codes::INVALID_CREDENTIALS,
            Self::CodeNeeded => codes::CODE_REQUIRED,
            Self::TooManyTries(_) => codes::TOO_MANY_TRIES,
            Self::CrossSite => codes::CROSS_SITE,
            Self::NoCsrfToken => codes::MISSING_CSRF_TOKEN,
            Self::NoProvider => codes::NO_PROVIDER,
            Self::Oidc(OidcError::Provider(_)) => codes::PROVIDER_UNAVAILABLE,
            Self::Oidc(_) => codes::SIGN_IN_FAILED,
            Self::UnknownName { .. } => codes::UNKNOWN_NAME,
            Self::NameTaken { .. } => codes::NAME_TAKEN,
            Self::WeakPassword(_) => codes::WEAK_PASSWORD,
            Self::UsersOnly => codes::USERS_ONLY,
            Self::NothingBegun => codes::NOTHING_BEGUN,
            Self::WholeFleet => codes::FORBIDDEN,
        }
    }
}
