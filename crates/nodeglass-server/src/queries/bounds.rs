//! How much one question may be about, whichever way it is asked, and what a task's record comes to.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_store::TaskRecord;

use crate::error::ApiError;

/// Agents in a list of those with most unless the caller says otherwise, and at most.
pub const FIRST: (u32, u32) = (10, 1_000);
/// Tasks in one answer unless the caller says otherwise, and at most.
pub const TASKS: (u32, u32) = (100, 1_000);
/// A task that runs is in every sample; one that was not seen for this long is on an agent that is away, or died with it.
const UNSEEN: Duration = Duration::from_mins(5);

/// A number that a caller gave, or the usual one, if it is within 1 to the most.
///
/// # Errors
/// It is not.
pub fn within<T: Copy + PartialOrd + From<u8> + Display>(
    name: &'static str,
    given: Option<T>,
    (usual, most): (T, T),
) -> Result<T, ApiError> {
    inside(name, given.unwrap_or(usual), T::from(1)..=most)
}

/// A number that a caller gave, if it is within these bounds.
///
/// # Errors
/// It is not.
pub fn inside<T: PartialOrd + Display>(
    name: &'static str,
    number: T,
    bounds: RangeInclusive<T>,
) -> Result<T, ApiError> {
    if bounds.contains(&number) {
        return Ok(number);
    }
    let problem = format!("{number} is not within {} to {}", bounds.start(), bounds.end());
    Err(ApiError::Parameter { name, problem })
}

/// When a task that runs must have been seen last, of an agent of which one sample is stored in `interval`.
pub fn unseen_since(now: UnixMillis, interval: Option<Duration>) -> UnixMillis {
    now.minus(UNSEEN.max(interval.unwrap_or_default() * 3))
}

/// `running`, `ended`, or `lost`: not seen since then, so its end is not known.
pub fn task_state(task: &TaskRecord, unseen_since: UnixMillis) -> &'static str {
    match task.ended_at {
        Some(_) => "ended",
        None if task.last_seen_at < unseen_since => "lost",
        None => "running",
    }
}
