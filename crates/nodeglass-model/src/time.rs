//! Wall time: one type for a moment, one for a span, one trait through which everybody reads the clock.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnixMillis(pub i64);

/// The last moment that we accept anywhere: 9999-12-31T23:59:59Z. Later ones are mistakes.
pub const END_OF_TIME: UnixMillis = UnixMillis(253_402_300_799_000);

/// Numbers from this on are milliseconds, below it seconds: as seconds it would be the year 5138, as milliseconds
/// it is 1973.
const FIRST_MILLIS: i64 = 100_000_000_000;

impl UnixMillis {
    /// The moment `seconds` after the Unix epoch.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment moved by `by`, saturating.
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This moment moved back by `by`, saturating.
    pub fn minus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The latest multiple of `step` that is not after this moment.
    pub fn floor(self, step: Duration) -> Self {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        Self(self.0.div_euclid(step).saturating_mul(step))
    }

    /// Reads what people write for a moment: Unix seconds, Unix milliseconds (from 100,000,000,000 on), RFC 3339,
    /// `now`, or relative to `now` as in `-1h`.
    ///
    /// # Errors
    /// A text that is none of these, or lies outside 1970 to 9999; the message lists the forms.
    pub fn parse(text: &str, now: Self) -> Result<Self, TimeError> {
        let wrong = || TimeError(text.chars().take(40).collect());
        let moment = if text == "now" {
            now
        } else if let Some(ago) = text.strip_prefix('-') {
            now.minus(humantime::parse_duration(ago).map_err(|_| wrong())?)
        } else if let Ok(number) = text.parse::<i64>() {
            if number < FIRST_MILLIS {
                Self::from_seconds(number)
            } else {
                Self(number)
            }
        } else {
            let at = humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?;
            Self::from(at)
        };
        if (Self(0)..=END_OF_TIME).contains(&moment) {
            Ok(moment)
        } else {
            Err(wrong())
        }
    }
}

impl From<SystemTime> for UnixMillis {
    fn from(at: SystemTime) -> Self {
        match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self(0).plus(since),
            Err(before) => Self(0).minus(before.duration()),
        }
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC, to the second: `2026-11-21T04:37:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.0.clamp(0, END_OF_TIME.0);
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(inside.unsigned_abs());
        write!(f, "{}", humantime::format_rfc3339_seconds(at))
    }
}

/// A text that is not a moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time: use Unix seconds or milliseconds, RFC 3339 (2026-01-31T12:00:00Z), now, or an age such as -1h"
)]
pub struct TimeError(String);

/// A span of time: `start` belongs to it, `end` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment.
    pub start: UnixMillis,
    /// The first moment after the span.
    pub end: UnixMillis,
}

impl TimeRange {
    /// Whether the span holds `at`.
    pub fn contains(&self, at: UnixMillis) -> bool {
        (self.start..self.end).contains(&at)
    }

    /// How long the span is.
    pub fn length(&self) -> Duration {
        self.end.since(self.start)
    }
}

/// Where the wall time comes from, so that tests can set it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall time now.
    fn now(&self) -> UnixMillis;
}

/// The host's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::from(SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_690_538_400_000);

    #[test]
    fn reads_every_form_of_a_moment() {
        for (text, millis) in [
            ("1690537800", 1_690_537_800_000),
            ("1690537800123", 1_690_537_800_123),
            ("now", NOW.0),
            ("-1h", NOW.0 - 3_600_000),
            ("-1h 30m", NOW.0 - 5_400_000),
            ("2023-07-28T10:00:00Z", NOW.0),
            ("0", 0),
        ] {
            assert_eq!(UnixMillis::parse(text, NOW), Ok(UnixMillis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_moment() {
        for text in [
            "",
            "yesterday",
            "NaN",
            "-",
            "-5",
            "1e9",
            "-99999y",
            "99999999999999999",
            "1.5",
        ] {
            assert!(UnixMillis::parse(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn floors_to_multiples_of_the_step() {
        assert_eq!(UnixMillis(1_999).floor(Duration::from_secs(1)), UnixMillis(1_000));
        assert_eq!(UnixMillis(-1).floor(Duration::from_secs(1)), UnixMillis(-1_000));
    }
}
