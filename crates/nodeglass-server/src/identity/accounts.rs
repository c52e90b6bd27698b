//! What admins change: tokens and users.

use nodeglass_model::UnixMillis;
use nodeglass_runtime::config::Secret;
use nodeglass_store::Role;
use nodeglass_store::identities::{Change, TokenRecord, UserRecord};

use super::{Identity, MAX_NAME, passwords};
use crate::access::{Caller, Selector};
use crate::error::ApiError;
use crate::identity::IdentityError;
use crate::tokens;

/// A token to make.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The agents that it may see.
    pub agents: Selector,
    /// When it ends.
    pub expires_at: Option<UnixMillis>,
}

/// A user to make.
#[derive(Debug)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The agents that it may see.
    pub agents: Selector,
    /// The first password.
    pub password: Secret,
}

/// Whether a token or a user may have this name.
///
/// # Errors
/// It may not; says what names are.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    let count = name.chars().count();
    if (1..=MAX_NAME).contains(&count) && name.chars().all(fits) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(format!(
        "{shown:?} is no name: use 1 to {MAX_NAME} letters, digits, '.', '_', '-', '@' and '+'"
    ))
}

fn checked_name(name: &str) -> Result<(), ApiError> {
    check_name(name).map_err(|problem| ApiError::Parameter {
        name: "name",
        problem,
    })
}

impl NewToken {
    /// What is kept of it, with the token itself, which can't be had again.
    pub fn make(&self, now: UnixMillis) -> (TokenRecord, Secret) {
        let token = tokens::generate(tokens::API);
        let record = TokenRecord {
            name: self.name.clone(),
            role: self.role,
            agents: self.agents.entries(),
            token: tokens::hash(token.expose()),
            created_at: now,
            expires_at: self.expires_at,
            last_used_at: None,
        };
        (record, token)
    }

    /// It in words, for the log.
    pub fn describe(&self) -> String {
        let text = describe(self.role, &self.agents);
        match self.expires_at {
            Some(end) => format!("{text}, until {end}"),
            None => text,
        }
    }
}

/// What somebody may do, in words.
pub(crate) fn describe(role: Role, agents: &Selector) -> String {
    match agents.entries() {
        Some(entries) => format!("{} of {}", role.name(), entries.join(" ")),
        None => role.name().to_owned(),
    }
}

/// A change in words.
pub(crate) fn describe_change(change: &Change) -> String {
    let mut words = Vec::new();
    if let Some(role) = change.role {
        words.push(format!("role {}", role.name()));
    }
    if let Some(agents) = &change.agents {
        let agents = agents
            .as_ref()
            .map_or("all".to_owned(), |agents| agents.join(" "));
        words.push(format!("agents {agents}"));
    }
    if let Some(end) = change.expires_at {
        words.push(end.map_or("no end".to_owned(), |end| format!("until {end}")));
    }
    words.join(", ")
}

impl Identity {
    /// Makes a token, and gives it; it can't be had again.
    ///
    /// # Errors
    /// A name that is taken or is none, an end that is over, or a database that does not answer.
    pub async fn add_token(
        &self,
        caller: &Caller,
        new: &NewToken,
    ) -> Result<(TokenRecord, Secret), ApiError> {
        checked_name(&new.name)?;
        let now = self.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(ApiError::Parameter {
                name: "expires_at",
                problem: "it is over already: name a later moment".to_owned(),
            });
        }
        let (record, token) = new.make(now);
        if !self.store.add_token(&record, false).await? {
            return Err(IdentityError::taken("token", &new.name).into());
        }
        self.directory.refresh().await;
        self.audit.note(caller, "token.add", &new.name, &new.describe());
        Ok((record, token))
    }

    /// Changes what a token allows; its open streams end if it allows something else.
    ///
    /// # Errors
    /// No such token, or a database that does not answer.
    pub async fn change_token(&self, caller: &Caller, name: &str, change: &Change) -> Result<(), ApiError> {
        if !self.store.change_token(name, change).await? {
            return Err(IdentityError::unknown("token", name).into());
        }
        self.directory.refresh().await;
        self.audit
            .note(caller, "token.change", name, &describe_change(change));
        Ok(())
    }

    /// Revokes a token; its streams and sessions end.
    ///
    /// # Errors
    /// No such token, or a database that does not answer.
    pub async fn revoke_token(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        if !self.store.remove_token(name).await? {
            return Err(IdentityError::unknown("token", name).into());
        }
        self.directory.refresh().await;
        self.audit.note(caller, "token.revoke", name, "");
        Ok(())
    }

    /// Makes a user.
    ///
    /// # Errors
    /// A name that is taken or is none, a password that is not taken, or a database that does not answer.
    pub async fn add_user(&self, caller: &Caller, new: &NewUser) -> Result<UserRecord, ApiError> {
        checked_name(&new.name)?;
        checked_password(&new.name, &new.password)?;
        let now = self.clock.now();
        let record = UserRecord {
            name: new.name.clone(),
            role: new.role,
            agents: new.agents.entries(),
            password_hash: self.passwords.hash(&new.password).await?,
            created_at: now,
            password_changed_at: now,
            totp_secret: None,
        };
        if !self.store.add_user(&record).await? {
            return Err(IdentityError::taken("user", &new.name).into());
        }
        self.directory.refresh().await;
        self.audit
            .note(caller, "user.add", &new.name, &describe(new.role, &new.agents));
        Ok(record)
    }

    /// Changes what a user may do; its open streams end if it is something else.
    ///
    /// # Errors
    /// No such user, or a database that does not answer.
    pub async fn change_user(&self, caller: &Caller, name: &str, change: &Change) -> Result<(), ApiError> {
        // Even if nothing is changed: whether there is one.
        if !self.store.change_user(name, change).await? {
            return Err(IdentityError::unknown("user", name).into());
        }
        if *change == Change::default() {
            return Ok(());
        }
        self.directory.refresh().await;
        self.audit
            .note(caller, "user.change", name, &describe_change(change));
        Ok(())
    }

    /// Gives a user another password, and ends its sessions.
    ///
    /// # Errors
    /// No such user, a password that is not taken, or a database that does not answer.
    pub async fn reset_password(
        &self,
        caller: &Caller,
        name: &str,
        password: &Secret,
    ) -> Result<(), ApiError> {
        checked_password(name, password)?;
        if self.directory.user(name).is_none() {
            return Err(IdentityError::unknown("user", name).into());
        }
        let hash = self.passwords.hash(password).await?;
        if !self
            .store
            .set_password(name, &hash, self.clock.now(), None)
            .await?
        {
            return Err(IdentityError::unknown("user", name).into());
        }
        self.directory.refresh().await;
        self.audit.note(caller, "user.password", name, "by an admin");
        Ok(())
    }

    /// Has a user sign in without one-time codes: for one who has lost the device and the recovery codes.
    ///
    /// # Errors
    /// No such user, or a database that does not answer.
    pub async fn reset_totp(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        if !self.store.set_totp(name, None, &[]).await? {
            return Err(IdentityError::unknown("user", name).into());
        }
        self.directory.refresh().await;
        self.audit.note(caller, "user.totp_off", name, "by an admin");
        Ok(())
    }

    /// Removes a user; its streams and sessions end.
    ///
    /// # Errors
    /// No such user, or a database that does not answer.
    pub async fn remove_user(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        if !self.store.remove_user(name).await? {
            return Err(IdentityError::unknown("user", name).into());
        }
        self.directory.refresh().await;
        self.audit.note(caller, "user.remove", name, "");
        Ok(())
    }
}

pub(super) fn checked_password(name: &str, password: &Secret) -> Result<(), ApiError> {
    Ok(passwords::check(name, password).map_err(IdentityError::WeakPassword)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names() {
        for good in ["ann", "ann@example.org", "ci-1", "a"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "Åsa", "a\n", "<b>", &"x".repeat(65)] {
            assert!(check_name(bad).unwrap_err().contains("no name"), "{bad:?}");
        }
    }

    #[test]
    fn changes_are_told_in_words() {
        let change = Change {
            role: Some(Role::Viewer),
            agents: Some(Some(vec!["web-*".to_owned(), "env=prod".to_owned()])),
            expires_at: Some(None),
        };
        assert_eq!(
            describe_change(&change),
            "role viewer, agents web-* env=prod, no end"
        );
        assert_eq!(describe_change(&Change::default()), "");
    }
}
