//! The records of a segment, as bytes.
//!
//! ```text
//! record  = kind (1 byte) content
//! start   = JSON: where the books stood when the segment began, and what was owed
//! local   = time since the start (ms, signed), difference to the local sample before (`nodeglass_chunk::delta`)
//! owed    = time, number within the epoch, difference to the owed sample before
//! both    = as owed: a sample that is at once the local one
//! words   = count, runs that the server has stored (epoch, first, length), count, refusals (epoch, number, code)
//! chunk   = the kind of its samples (2 to 4), chunk: all samples of that kind, in place of their records
//! ```

use nodeglass_chunk::row::RowError;
use nodeglass_chunk::varint::{Reader, put, put_signed, put_text};
use nodeglass_model::{SampleId, SeqRange};
use serde::{Deserialize, Serialize};

use crate::books::Books;

const START: u8 = 1;
const LOCAL: u8 = 2;
const OWED: u8 = 3;
const BOTH: u8 = 4;
const WORDS: u8 = 5;
const CHUNK: u8 = 6;

/// What a sample is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The local history.
    Local,
    /// The server.
    Owed,
    /// Both.
    Both,
}

/// Where everything stood when a segment began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Start {
    /// When the segment began, in Unix milliseconds.
    pub(crate) time: i64,
    /// The epoch of the segment's samples.
    pub(crate) epoch: u64,
    /// The number of the first sample that is still to come.
    pub(crate) next_seq: u64,
    /// Samples that the server had neither stored nor refused: epoch, first and last number.
    pub(crate) owed: Vec<(u64, u64, u64)>,
    /// The books.
    pub(crate) books: Books,
}

/// What the server said of samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) stored: Vec<SeqRange>,
    pub(crate) refused: Vec<(SampleId, String)>,
}

impl Words {
    pub(crate) fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.refused.is_empty()
    }
}

/// One record.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Start(Box<Start>),
    Sample {
        role: Role,
        /// When it was taken, in milliseconds since the segment began.
        time: i64,
        /// The number of a sample that the server is owed; 0 for others.
        seq: u64,
        difference: &'a [u8],
    },
    Words(Words),
    Chunk {
        role: Role,
        chunk: &'a [u8],
    },
}

impl Role {
    /// Every role, in the order in which chunks stand in a segment.
    pub(crate) const ALL: [Self; 3] = [Self::Local, Self::Owed, Self::Both];

    /// Whether such a sample belongs to the local history.
    pub(crate) fn is_local(self) -> bool {
        self != Self::Owed
    }

    /// Whether the server is owed such a sample.
    pub(crate) fn is_owed(self) -> bool {
        self != Self::Local
    }

    fn kind(self) -> u8 {
        match self {
            Self::Local => LOCAL,
            Self::Owed => OWED,
            Self::Both => BOTH,
        }
    }

    fn from_kind(kind: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.kind() == kind)
    }
}

pub(crate) fn put_start(out: &mut Vec<u8>, start: &Start) {
    out.push(START);
    serde_json::to_writer(out, start).expect("books have only text keys, and a vector takes all bytes");
}

/// Appends the head of a sample's record; the difference follows.
pub(crate) fn put_sample_head(out: &mut Vec<u8>, role: Role, time: i64, seq: u64) {
    out.push(role.kind());
    put_signed(out, time);
    if role.is_owed() {
        put(out, seq);
    }
}

pub(crate) fn put_chunk(out: &mut Vec<u8>, role: Role, chunk: &[u8]) {
    out.extend([CHUNK, role.kind()]);
    out.extend_from_slice(chunk);
}

pub(crate) fn put_words(out: &mut Vec<u8>, words: &Words) {
    out.push(WORDS);
    put(out, words.stored.len() as u64);
    for run in &words.stored {
        put(out, run.epoch);
        put(out, run.first);
        put(out, run.last - run.first);
    }
    put(out, words.refused.len() as u64);
    for (id, code) in &words.refused {
        put(out, id.epoch);
        put(out, id.seq);
        put_text(out, code);
    }
}

/// Reads a record whose checksum was right; `None` for a kind that this version doesn't know.
///
/// # Errors
/// It was written by another program, or damaged in a way that the checksum did not show.
pub(crate) fn read(record: &[u8]) -> Result<Option<Record<'_>>, RowError> {
    let mut reader = Reader::new(record);
    let kind = reader.byte()?;
    let role = match kind {
        START => {
            let start = serde_json::from_slice(reader.rest());
            return start
                .map(|start| Some(Record::Start(Box::new(start))))
                .map_err(|_| RowError::Malformed("a beginning that can't be read"));
        }
        WORDS => return read_words(&mut reader).map(|words| Some(Record::Words(words))),
        CHUNK => {
            let role = Role::from_kind(reader.byte()?);
            let chunk = reader.rest();
            return Ok(role.map(|role| Record::Chunk { role, chunk }));
        }
        kind => match Role::from_kind(kind) {
            Some(role) => role,
            None => return Ok(None),
        },
    };
    let time = reader.signed()?;
    let seq = if role.is_owed() { reader.unsigned()? } else { 0 };
    let difference = reader.rest();
    Ok(Some(Record::Sample {
        role,
        time,
        seq,
        difference,
    }))
}

fn read_words(reader: &mut Reader<'_>) -> Result<Words, RowError> {
    let mut words = Words::default();
    for _ in 0..reader.unsigned()? {
        let (epoch, first) = (reader.unsigned()?, reader.unsigned()?);
        let last = first.checked_add(reader.unsigned()?);
        let last = last.ok_or(RowError::Malformed("a run without an end"))?;
        words.stored.push(SeqRange { epoch, first, last });
    }
    for _ in 0..reader.unsigned()? {
        let (epoch, seq) = (reader.unsigned()?, reader.unsigned()?);
        words
            .refused
            .push((SampleId { epoch, seq }, reader.text()?.to_owned()));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_come_back() {
        let words = Words {
            stored: vec![SeqRange {
                epoch: 7,
                first: 3,
                last: 9,
            }],
            refused: vec![(SampleId { epoch: 7, seq: 2 }, "invalid_value".to_owned())],
        };
        let mut bytes = Vec::new();
        put_words(&mut bytes, &words);
        assert!(matches!(read(&bytes), Ok(Some(Record::Words(read))) if read == words));
    }

    #[test]
    fn what_a_newer_version_writes_is_passed_over() {
        assert!(matches!(read(&[200, 1, 2]), Ok(None)));
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
