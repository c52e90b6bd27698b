//! Between the wire and the model. Each message is named field by field once, for both directions.

mod history;
pub(crate) mod sample;
mod system;

use nodeglass_model::SeqRange;
use nodeglass_model::catalogue::InvalidValue;

use crate::limits::{MAX_DEVICES, MAX_LABEL_BYTES};
use crate::v1;

/// Why a sample from the wire is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidSample {
    /// A value that can't be right.
    #[error(transparent)]
    Value(#[from] InvalidValue),
    /// More devices than any host has.
    #[error("the sample has {0} devices; at most {MAX_DEVICES}: filter some out on the agent")]
    TooManyDevices(usize),
    /// A label that is no name.
    #[error("a device's label has {0} bytes; at most {MAX_LABEL_BYTES}")]
    LabelTooLong(usize),
    /// No time.
    #[error("the sample has no timestamp, or one outside 1970 to 9999: send Unix milliseconds")]
    NoTimestamp,
}

/// Fields of the same name and type, both ways; a field that one side has alone does not compile.
macro_rules! same_fields {
    ($model:ty, $wire:ty { $($field:ident),* $(,)? }) => {
        impl From<&$model> for $wire {
            fn from(from: &$model) -> Self {
                Self { $($field: from.$field.clone().into()),* }
            }
        }
        impl From<$wire> for $model {
            fn from(from: $wire) -> Self {
                Self { $($field: from.$field.into()),* }
            }
        }
    };
}
use same_fields;

/// A run of samples, to the wire.
pub fn seq_range_to_wire(range: SeqRange) -> v1::SeqRange {
    v1::SeqRange {
        epoch: range.epoch,
        first: range.first,
        last: range.last,
    }
}

/// A run of samples, from the wire.
pub fn seq_range_from_wire(range: v1::SeqRange) -> SeqRange {
    SeqRange {
        epoch: range.epoch,
        first: range.first,
        last: range.last,
    }
}
