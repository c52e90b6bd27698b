//! Who may call: whoever shows a token, a ticket or a session's cookie that is good, and not too often.

mod allowance;
mod caller;
mod credentials;
mod selector;

use std::net::IpAddr;
use std::sync::Arc;

use crate::error::ApiError;
use crate::identity::Identity;
use allowance::{Allowances, household};

pub use allowance::{Spent, Standing, WINDOW, nearer};
pub use caller::{Caller, CallerKind, Who};
pub use credentials::{Call, host, without_ticket};
pub use selector::{ENTRY_PATTERN, MAX_ENTRIES, Selector, SelectorError};

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
    identity: Arc<Identity>,
    /// By what they call with, and its name: all sessions of a user have one.
    callers: Allowances<(CallerKind, Arc<str>)>,
    addresses: Allowances<IpAddr>,
}

impl Access {
    /// Lets callers in whom `identity` knows.
    pub fn new(identity: Arc<Identity>, limits: RateLimits) -> Self {
        Self {
            identity,
            callers: Allowances::new(limits.per_token),
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
    /// Nothing good is shown, or there are too many calls.
    pub async fn admit(&self, call: &Call<'_>) -> Result<(Caller, Option<Standing>), ApiError> {
        let caller = call.caller(&self.identity).await?;
        // Only valid callers get here, so there are few.
        let spent = self.callers.spend((caller.kind, caller.name.clone()));
        let standing = spent.map_err(|spent| ApiError::RateLimited { by: "token", spent })?;
        Ok((caller, standing))
    }
}
