//! Who may call: whoever has a valid token, and not too often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderMap;
use nodeglass_store::{Role, TokenHash};
use tokio::time::Instant;

use crate::auth::Auth;
use crate::error::ApiError;

/// Decides on every call of people and programs.
#[derive(Debug)]
pub struct Access {
    auth: Arc<Auth>,
    /// Calls that a token may make in a minute; 0 for any number.
    per_minute: u64,
    allowances: Mutex<HashMap<TokenHash, Allowance>>,
}

/// What a token may still spend: it fills up evenly, to a minute's worth.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    calls: f64,
    at: Instant,
}

impl Access {
    /// Lets callers in whose tokens `auth` knows, `per_minute` times each; 0 for any number.
    pub fn new(auth: Arc<Auth>, per_minute: u64) -> Self {
        Self {
            auth,
            per_minute,
            allowances: Mutex::default(),
        }
    }

    /// Lets a caller in, and says what it may do.
    ///
    /// # Errors
    /// No token, a wrong one, or too many calls.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<Role, ApiError> {
        let (role, token) = self.auth.role(headers).await?;
        self.spend(token)?;
        Ok(role)
    }

    /// Takes one call off a token's allowance. Only valid tokens get here, so there are few.
    fn spend(&self, token: TokenHash) -> Result<(), ApiError> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let (most, now) = (self.per_minute as f64, Instant::now());
        let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
        let left = allowances
            .entry(token)
            .or_insert(Allowance { calls: most, at: now });
        left.calls = (left.calls + now.duration_since(left.at).as_secs_f64() * most / 60.0).min(most);
        left.at = now;
        if left.calls < 1.0 {
            return Err(ApiError::RateLimited(self.per_minute));
        }
        left.calls -= 1.0;
        Ok(())
    }
}
