//! Signing in and out: a token, a name and a password with a one-time code, or what a provider says becomes a session.

use nodeglass_runtime::config::Secret;
use nodeglass_store::identities::{SessionKind, SessionRecord, UserRecord};
use nodeglass_store::{Role, TokenHash};
use tracing::warn;

use super::Identity;
use super::cookies;
use super::oidc::{Answer, Known, OidcError};
use super::totp;
use crate::access::{Caller, CallerKind};
use crate::error::ApiError;
use crate::identity::IdentityError;
use crate::tokens;

/// What somebody signs in with.
#[derive(Debug)]
pub enum Credentials {
    /// A token.
    Token(Secret),
    /// A name and a password, and, where it is asked for, a one-time code or one for whoever lost the device.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
        /// The code.
        code: Option<Secret>,
    },
}

/// A session that has begun.
#[derive(Debug)]
pub struct SignedIn {
    /// What the cookie holds.
    pub secret: Secret,
    /// Who it is.
    pub caller: Caller,
    /// What is kept of the session.
    pub record: SessionRecord,
}

impl Identity {
    /// Begins a session. `from` is nobody yet, with the address that the call came from.
    ///
    /// # Errors
    /// Wrong credentials, a code that is missing, too many tries, or a database that does not answer.
    pub async fn sign_in(&self, from: &Caller, credentials: Credentials) -> Result<SignedIn, ApiError> {
        match credentials {
            Credentials::Token(token) => {
                // Tokens are not found by trying; whoever tries takes the server's time.
                let who = format!("token from {}", from.address_text());
                self.throttle
                    .take(&who, from.address())
                    .map_err(IdentityError::TooManyTries)?;
                let caller = self.directory.by_token(tokens::hash(token.expose())).await;
                let caller = caller.map_err(|error| match error {
                    ApiError::WrongToken => IdentityError::WrongCredentials.into(),
                    other => other,
                });
                let caller = caller.inspect_err(|error| self.refused(from, "", error))?;
                self.throttle.succeeded(&who, from.address());
                self.begin(from, SessionKind::Token, &caller.name, None).await
            }
            Credentials::Password { user, password, code } => {
                // Nobody has a longer one.
                let user: String = user.chars().take(super::MAX_NAME).collect();
                let taken = self.throttle.take(&user, from.address());
                let taken = taken.map_err(|wait| ApiError::from(IdentityError::TooManyTries(wait)));
                taken.inspect_err(|error| self.refused(from, &user, error))?;
                let checked = self.check(&user, &password, code.as_ref()).await;
                checked.inspect_err(|error| self.refused(from, &user, error))?;
                self.throttle.succeeded(&user, from.address());
                self.begin(from, SessionKind::User, &user, None).await
            }
        }
    }

    fn refused(&self, from: &Caller, user: &str, error: &ApiError) {
        // Whoever typed the password right is asked for more, and not denied.
        if !matches!(
            error,
            ApiError::Identity(IdentityError::CodeNeeded) | ApiError::Database(_) | ApiError::Overloaded
        ) {
            self.audit.denied(from, "session.begin", user, error.code().name);
        }
    }

    /// Whether a password and a code are those of a user. Wrong names, passwords and codes take as long, and look alike.
    async fn check(&self, name: &str, password: &Secret, code: Option<&Secret>) -> Result<(), ApiError> {
        // A command may have just made or changed it. Whether there is one or not: the time must not tell.
        self.directory.refresh().await;
        let user = self.directory.user(name);
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let is_right = self.passwords.verify(password, hash).await?;
        let user = user.filter(|_| is_right).ok_or(IdentityError::WrongCredentials)?;
        self.check_code(&user, code).await
    }

    /// Whether a code is one of a user's, and was not used before; nothing is asked of users without codes.
    ///
    /// # Errors
    /// [`IdentityError::CodeNeeded`] without one, [`IdentityError::WrongCredentials`] for a wrong one.
    pub(super) async fn check_code(&self, user: &UserRecord, code: Option<&Secret>) -> Result<(), ApiError> {
        let Some(sealed) = &user.totp_secret else {
            return Ok(());
        };
        let code = code.ok_or(IdentityError::CodeNeeded)?.expose();
        let secret = self.seal.unseal(&user.name, sealed).map_err(|error| {
            warn!(user = user.name, %error, "the secret of a user's one-time codes can't be read; an admin can take it off");
            IdentityError::WrongCredentials
        })?;
        let is_taken = if let Some(step) = totp::step_of(&secret, code, self.clock.now()) {
            self.store.use_totp_step(&user.name, step).await?
        } else {
            let code = tokens::hash(&totp::plain_recovery_code(code));
            self.store.use_recovery_code(&user.name, code).await?
        };
        if is_taken {
            Ok(())
        } else {
            Err(IdentityError::WrongCredentials.into())
        }
    }

    /// Ends a sign-in at the provider, and begins a session.
    ///
    /// # Errors
    /// The provider does not know the browser, or grants it nothing.
    pub async fn finish_at_provider(
        &self,
        from: &Caller,
        answer: &Answer<'_>,
        cookie: Option<&str>,
    ) -> Result<(SignedIn, String), ApiError> {
        let oidc = self.oidc.as_ref().ok_or(IdentityError::NoProvider)?;
        let done = oidc.finish(answer, cookie, self.clock.now()).await;
        let known = done.map_err(|error| {
            let name = match &error {
                OidcError::NothingGranted { name } => name.as_str(),
                _ => "",
            };
            self.audit.denied(from, "session.begin", name, "oidc");
            ApiError::from(IdentityError::Oidc(error))
        })?;
        let return_to = known.return_to.clone();
        let name = known.name.clone();
        let signed_in = self.begin(from, SessionKind::Oidc, &name, Some(known)).await?;
        Ok((signed_in, return_to))
    }

    async fn begin(
        &self,
        from: &Caller,
        kind: SessionKind,
        name: &str,
        known: Option<Known>,
    ) -> Result<SignedIn, ApiError> {
        let secret = tokens::generate(cookies::SESSION);
        let token = tokens::hash(secret.expose());
        let now = self.clock.now();
        let rights: Option<(Role, _)> = known.map(|known| (known.role, known.agents.entries()));
        let (role, agents) = rights.map_or((None, None), |(role, agents)| (Some(role), agents));
        let record = SessionRecord {
            token,
            id: public_id(&token),
            kind,
            name: name.to_owned(),
            role,
            agents,
            provider: self
                .oidc
                .as_ref()
                .filter(|_| kind == SessionKind::Oidc)
                .map(|oidc| oidc.settings().tag()),
            created_at: now,
            last_seen_at: now,
            expires_at: now.plus(self.directory.limits().absolute),
            address: from.address_text(),
        };
        self.store.add_session(&record).await?;
        self.directory.refresh().await;
        // It is there, unless its token or user went meanwhile.
        let session = self.directory.by_session(token).await?;
        let caller = session
            .caller
            .clone()
            .in_call(from.address(), from.request_id().cloned());
        self.audit.note(&caller, "session.begin", &record.id, kind.name());
        Ok(SignedIn {
            secret,
            caller,
            record,
        })
    }

    /// Ends a caller's own session, with its streams.
    ///
    /// # Errors
    /// It has none, or the database does not answer.
    pub async fn sign_out(&self, caller: &Caller) -> Result<(), ApiError> {
        let session = caller.session.ok_or(IdentityError::NoSession)?;
        self.store.remove_sessions(&[session]).await?;
        caller.ended().cancel();
        self.directory.refresh().await;
        self.audit.note(caller, "session.end", &public_id(&session), "");
        Ok(())
    }

    /// Ends a session by its public name: an admin any, others their own.
    ///
    /// # Errors
    /// There is none, as far as the caller may know.
    pub async fn end_session(&self, caller: &Caller, id: &str, is_admin: bool) -> Result<(), ApiError> {
        let sessions = self.directory.sessions();
        let may_end = |record: &SessionRecord| {
            is_admin || (record.name == *caller.name && caller.kind == CallerKind::of_session(record.kind))
        };
        let session = sessions
            .iter()
            .find(|session| session.record.id == id && may_end(&session.record));
        let session = session.ok_or_else(|| IdentityError::unknown("session", id))?;
        self.store.remove_sessions(&[session.record.token]).await?;
        self.directory.refresh().await;
        self.audit.note(caller, "session.end", id, &session.record.name);
        Ok(())
    }
}

/// A session's name for people, from which its secret's hash can't be told.
fn public_id(token: &TokenHash) -> String {
    let hash = tokens::hash(&format!("session {:?}", token.0));
    let mut id = String::with_capacity(16);
    for byte in &hash.0[..8] {
        use std::fmt::Write as _;
        // Texts take everything.
        let _ = write!(id, "{byte:02x}");
    }
    id
}
