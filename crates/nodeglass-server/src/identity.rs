//! Who may call, and as what: tokens, users, sessions and tickets; signing in; and what admins and everybody themselves
//! change of it.
//!
//! [`directory`] has them all in memory, and ends the streams of those whose rights end. [`crate::access`] asks it for every
//! call; [`crate::api`] and the commands beside the server change what is stored.

mod accounts;
pub mod cookies;
pub mod directory;
mod error;
mod keyed;
pub mod oidc;
mod own;
pub mod passwords;
pub mod seal;
mod sign_in;
pub mod throttle;
pub mod tickets;
pub mod totp;

use std::sync::Arc;

use nodeglass_model::Clock;
use nodeglass_store::Store;

use self::cookies::Cookies;
use self::directory::Directory;
use self::oidc::Oidc;
use self::own::Enrolments;
use self::passwords::Passwords;
use self::seal::Seal;
use self::throttle::Throttle;
use self::tickets::Tickets;
use crate::audit::Audit;

pub use accounts::{NewToken, NewUser, check_name};
pub(crate) use accounts::{describe, describe_change};
pub use error::IdentityError;
pub use own::Recovery;
pub use sign_in::{Credentials, SignedIn};

/// The longest name of a token or a user, in letters.
pub const MAX_NAME: usize = 64;

/// Everything that has to do with who calls.
#[derive(Debug)]
pub struct Identity {
    /// Everybody who may call.
    pub directory: Arc<Directory>,
    /// What browsers open streams with.
    pub tickets: Tickets,
    /// How cookies are written.
    pub cookies: Cookies,
    /// Where changes and denials are noted.
    pub audit: Arc<Audit>,
    /// The provider, if there is one.
    pub oidc: Option<Oidc>,
    /// The server's address, as browsers know it.
    pub url: String,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    passwords: Passwords,
    throttle: Throttle,
    seal: Seal,
    enrolments: Enrolments,
}

/// What [`Identity`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// See [`Identity::directory`].
    pub directory: Arc<Directory>,
    /// See [`Identity::cookies`].
    pub cookies: Cookies,
    /// See [`Identity::audit`].
    pub audit: Arc<Audit>,
    /// See [`Identity::oidc`].
    pub oidc: Option<Oidc>,
    /// See [`Identity::url`].
    pub url: String,
    /// Where all of it is kept.
    pub store: Arc<dyn Store>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// For secrets that the database keeps.
    pub seal: Seal,
}

impl Identity {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            directory,
            cookies,
            audit,
            oidc,
            url,
            store,
            clock,
            seal,
        } = parts;
        Self {
            directory,
            cookies,
            audit,
            oidc,
            url,
            store,
            clock,
            seal,
            tickets: Tickets::default(),
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            enrolments: Enrolments::default(),
        }
    }
}
