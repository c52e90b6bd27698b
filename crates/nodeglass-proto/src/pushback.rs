//! When to come back: what a server that has no room says to whom it turns away, beside the reason.

use std::time::Duration;

use tonic::Status;
use tonic::metadata::MetadataValue;

/// The name that gRPC has for it, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The longest that anybody is put off, and puts itself off.
pub const LONGEST: Duration = Duration::from_mins(5);

/// Adds to a status that its receiver is to come back after `delay`, and not before.
pub fn push_back(mut status: Status, delay: Duration) -> Status {
    let millis = u64::try_from(delay.min(LONGEST).as_millis()).unwrap_or(u64::MAX);
    status
        .metadata_mut()
        .insert(PUSHBACK, MetadataValue::from(millis));
    status
}

/// When the receiver of a status is to come back; `None` if that was not said, or not so that it can be read.
pub fn pushed_back(status: &Status) -> Option<Duration> {
    let millis = status.metadata().get(PUSHBACK)?.to_str().ok()?;
    // gRPC: below zero stands for never, which is not for us to obey.
    let millis = millis.parse::<u64>().ok()?;
    Some(Duration::from_millis(millis).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let status = || Status::unavailable("full");
        let said = push_back(status(), Duration::from_millis(1_250));
        assert_eq!(pushed_back(&said), Some(Duration::from_millis(1_250)));
        assert_eq!(pushed_back(&push_back(status(), Duration::MAX)), Some(LONGEST));
        assert_eq!(pushed_back(&status()), None);
        for (text, understood) in [("-1", None), ("soon", None), ("99999999999", Some(LONGEST))] {
            let mut status = status();
            status.metadata_mut().insert(PUSHBACK, text.parse().unwrap());
            assert_eq!(pushed_back(&status), understood, "{text}");
        }
    }
}
