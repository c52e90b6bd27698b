//! Identities: which agent, which task, which sample.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize, Serializer};

/// The longest id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a valid {what}: use 1 to {MAX_ID_BYTES} letters, digits, '.', '_' and '-', starting with a letter or digit"
)]
pub struct IdError {
    what: &'static str,
    text: String,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// One of at most 24 bytes lies where the id does, not elsewhere in memory.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(CompactString);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// An id is compared as its text is.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_id(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { what: $what, text: text.chars().take(MAX_ID_BYTES).collect() })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// The name of one agent, unique on its server: `web-01`.
    AgentId,
    "agent id"
);
text_id!(
    /// The id that ties a request to its answer.
    TaskId,
    "task id"
);

fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID_BYTES
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Which sample of one agent: the identity under which it is stored exactly once.
///
/// An epoch is one life of an agent's sample buffer; `seq` counts from 1 within it. A sample that is sent again
/// after a broken connection keeps its id, so the store can tell that it already has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleId {
    /// The buffer's life: Unix milliseconds at which it began.
    pub epoch: u64,
    /// The sample's number in that life, from 1.
    pub seq: u64,
}

/// A run of samples of one epoch, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// The epoch that the samples belong to.
    pub epoch: u64,
    /// The first sample's number.
    pub first: u64,
    /// The last sample's number.
    pub last: u64,
}

impl SeqRange {
    /// Whether `id` is one of the run.
    pub fn contains(&self, id: SampleId) -> bool {
        id.epoch == self.epoch && (self.first..=self.last).contains(&id.seq)
    }
}

/// Joins sample ids into as few runs as possible; the ids may come in any order and more than once.
pub fn contiguous(mut ids: Vec<SampleId>) -> Vec<SeqRange> {
    ids.sort_unstable();
    let mut runs: Vec<SeqRange> = Vec::new();
    for SampleId { epoch, seq } in ids {
        match runs.last_mut() {
            Some(run) if run.epoch == epoch && seq <= run.last.saturating_add(1) => {
                run.last = run.last.max(seq);
            }
            _ => runs.push(SeqRange {
                epoch,
                first: seq,
                last: seq,
            }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_names_and_nothing_else() {
        for good in ["a", "web-01", "10.0.0.7", "A_b", "0"] {
            assert_eq!(good.parse::<AgentId>().map(String::from).as_deref(), Ok(good));
        }
        for bad in ["", "-a", ".", "a b", "a/b", "ü", "a\n", &"x".repeat(129)] {
            assert!(bad.parse::<AgentId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn runs_join_neighbours_and_duplicates_of_one_epoch() {
        let id = |epoch, seq| SampleId { epoch, seq };
        let runs = contiguous(vec![id(7, 3), id(7, 1), id(7, 2), id(7, 2), id(7, 5), id(8, 6)]);
        let run = |epoch, first, last| SeqRange { epoch, first, last };
        assert_eq!(runs, [run(7, 1, 3), run(7, 5, 5), run(8, 6, 6)]);
    }
}
