//! What everybody changes of their own: the password, and one-time codes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodeglass_runtime::config::Secret;
use nodeglass_store::identities::UserRecord;
use tokio::time::Instant;

use super::accounts::checked_password;
use super::{Identity, totp};
use crate::access::{Caller, CallerKind};
use crate::config::host_of;
use crate::error::ApiError;
use crate::identity::IdentityError;
use crate::tokens;

/// How long somebody may take to set an authenticator up.
const SETTING_UP: Duration = Duration::from_mins(10);
/// Users who set one up at once: more than there are.
const AT_ONCE: usize = 1_000;

/// Secrets of one-time codes that are shown, and not yet confirmed by a code.
#[derive(Debug, Default)]
pub(super) struct Enrolments(Mutex<HashMap<String, (Secret, Instant)>>);

/// Codes for whoever loses the device; shown this once.
#[derive(Debug)]
pub struct Recovery(pub Vec<String>);

impl Identity {
    /// The user that a caller is.
    ///
    /// # Errors
    /// It is none: tokens and those of a provider have no passwords here.
    fn user_of(&self, caller: &Caller) -> Result<std::sync::Arc<UserRecord>, ApiError> {
        let user = self.directory.user(&caller.name);
        let user = user.filter(|_| caller.kind == CallerKind::User);
        Ok(user.ok_or(IdentityError::UsersOnly)?)
    }

    /// Checks that it is the user who sits there, and not somebody who found the page open.
    async fn confirm(
        &self,
        caller: &Caller,
        password: &Secret,
    ) -> Result<std::sync::Arc<UserRecord>, ApiError> {
        let user = self.user_of(caller)?;
        self.throttle
            .take(&user.name, caller.address())
            .map_err(IdentityError::TooManyTries)?;
        if self.passwords.verify(password, Some(&user.password_hash)).await? {
            self.throttle.succeeded(&user.name, caller.address());
            return Ok(user);
        }
        self.audit
            .denied(caller, "user.confirm", &user.name, "invalid_credentials");
        Err(IdentityError::WrongCredentials.into())
    }

    /// Changes the caller's own password; its other sessions end.
    ///
    /// # Errors
    /// A wrong old password, a new one that is not taken, or a caller without one.
    pub async fn change_password(&self, caller: &Caller, old: &Secret, new: &Secret) -> Result<(), ApiError> {
        let user = self.user_of(caller)?;
        checked_password(&user.name, new)?;
        self.confirm(caller, old).await?;
        let hash = self.passwords.hash(new).await?;
        let now = self.clock.now();
        self.store
            .set_password(&user.name, &hash, now, caller.session)
            .await?;
        self.directory.refresh().await;
        self.audit.note(caller, "user.password", &user.name, "");
        Ok(())
    }

    /// Begins to set up one-time codes; gives the secret, as text and as an `otpauth` URL.
    ///
    /// # Errors
    /// A wrong password, or a caller without one.
    pub async fn begin_totp(&self, caller: &Caller, password: &Secret) -> Result<(Secret, Secret), ApiError> {
        let user = self.confirm(caller, password).await?;
        let mut secret = [0; totp::SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|error| ApiError::Internal(error.to_string().into()))?;
        let server = host_of(&self.url).unwrap_or("nodeglass");
        let url = totp::otpauth_url(&format!("Nodeglass {server}"), &user.name, &secret);
        let text = Secret::from(totp::base32(&secret));
        // Bytes as text, so that nothing shows them.
        let kept = Secret::from(secret.iter().map(|byte| char::from(*byte)).collect::<String>());
        let mut open = self.enrolments.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        open.retain(|_, (_, until)| *until > now);
        if open.len() >= AT_ONCE {
            return Err(ApiError::Overloaded);
        }
        open.insert(user.name.clone(), (kept, now + SETTING_UP));
        Ok((text, url))
    }

    /// Ends the setting up with a code that proves it works; from then on signing in takes one. Gives recovery codes.
    ///
    /// # Errors
    /// A wrong code, or nothing was begun.
    pub async fn confirm_totp(&self, caller: &Caller, code: &Secret) -> Result<Recovery, ApiError> {
        let user = self.user_of(caller)?;
        self.throttle
            .take(&user.name, caller.address())
            .map_err(IdentityError::TooManyTries)?;
        let begun = {
            let open = self.enrolments.0.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = open.get(&user.name).filter(|(_, until)| *until > Instant::now());
            begun.map(|(secret, _)| secret.clone())
        };
        let begun = begun.ok_or(IdentityError::NothingBegun)?;
        let secret: Vec<u8> = begun.expose().chars().map(|c| c as u8).collect();
        let now = self.clock.now();
        let step = totp::step_of(&secret, code.expose(), now).ok_or(IdentityError::WrongCredentials)?;
        let codes = totp::recovery_codes();
        let kept: Vec<_> = codes
            .iter()
            .map(|code| tokens::hash(&totp::plain_recovery_code(code)))
            .collect();
        let sealed = self.seal.seal(&user.name, &secret);
        self.store.set_totp(&user.name, Some(&sealed), &kept).await?;
        // That code is used.
        self.store.use_totp_step(&user.name, step).await?;
        self.enrolments
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&user.name);
        self.throttle.succeeded(&user.name, caller.address());
        self.directory.refresh().await;
        self.audit.note(caller, "user.totp_on", &user.name, "");
        Ok(Recovery(codes))
    }

    /// Has the caller sign in without codes from now on.
    ///
    /// # Errors
    /// A wrong password or code, or a caller without them.
    pub async fn end_totp(&self, caller: &Caller, password: &Secret, code: &Secret) -> Result<(), ApiError> {
        let user = self.confirm(caller, password).await?;
        self.check_code(&user, Some(code)).await?;
        self.store.set_totp(&user.name, None, &[]).await?;
        self.directory.refresh().await;
        self.audit.note(caller, "user.totp_off", &user.name, "");
        Ok(())
    }
}
