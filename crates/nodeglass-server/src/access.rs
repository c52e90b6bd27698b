//! Who may call: whoever has a valid token, and not too often.

mod allowance;
mod caller;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use nodeglass_store::TokenHash;

use crate::auth::Auth;
use crate::error::ApiError;
use allowance::{Allowances, household};

pub use allowance::{Spent, Standing, Told, WINDOW};
pub use caller::Caller;

/// How often callers may call, in a minute each; 0 for any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// With one token.
    pub per_token: u64,
    /// From one address, with whatever tokens or none.
    pub per_address: u64,
}

impl Default for RateLimits {
    /// A dashboard asks a few times in a second, and a script's loop some dozen times: both have room in what a token
    /// may, and several people behind one address in what an address may. Somebody who floods has not.
    fn default() -> Self {
        Self {
            per_token: 6_000,
            per_address: 12_000,
        }
    }
}

/// Decides on every call of people and programs.
#[derive(Debug)]
pub struct Access {
    auth: Arc<Auth>,
    tokens: Allowances<TokenHash>,
    addresses: Allowances<IpAddr>,
}

impl Access {
    /// Lets callers in whose tokens `auth` knows.
    pub fn new(auth: Arc<Auth>, limits: RateLimits) -> Self {
        Self {
            auth,
            tokens: Allowances::new(limits.per_token),
            addresses: Allowances::new(limits.per_address),
        }
    }

    /// Takes a call off what its address may make, before anything else is done for it.
    ///
    /// # Errors
    /// Too many calls.
    pub fn knock(&self, address: IpAddr) -> Result<Option<Standing>, ApiError> {
        let spent = self.addresses.spend(household(address));
        spent.map_err(|spent| ApiError::RateLimited { by: "address", spent })
    }

    /// Lets a caller in, and says who it is.
    ///
    /// # Errors
    /// No token, a wrong one, or too many calls.
    pub async fn admit(&self, headers: &HeaderMap) -> Result<(Caller, Option<Standing>), ApiError> {
        let (role, token) = self.auth.role(headers).await?;
        // Only valid tokens get here, so there are few.
        let spent = self.tokens.spend(token);
        let standing = spent.map_err(|spent| ApiError::RateLimited { by: "token", spent })?;
        Ok((Caller::of_role("token", role), standing))
    }
}
