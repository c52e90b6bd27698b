//! Many samples of one agent as compressed columns, so that few of them can be read without the rest.
//!
//! ```text
//! chunk     = magic (1 byte) version (1 byte: 2) length of the directory, directory, payload
//! directory = magic (1 byte) version (1 byte: 2) the rest (`directory.rs` has what is in it)
//! payload   = pieces, one after the other; the directory says how long each is (`piece.rs` has what is in them)
//! ```
//!
//! A chunk is one buffer ([`Chunk`]), or two where they are kept apart ([`Parts`]): who wants one series reads the
//! directory ([`Head`]), and then the few bytes of the payload that it names ([`Span`]).
//!
//! The directory holds what every reader needs: how many points there are, their identities and times, the devices with
//! their attributes and the points at which each was there, and for each series its metric and its piece. A piece is the
//! values of one series, without gaps. Devices that were there for a short time only (processes come and go) share
//! pieces: one for each metric of such devices of one kind, device after device, so that a device costs a few bytes
//! and not a directory entry for each of its series.
//!
//! Values are whole steps of their metric's unit, as in [`row`](crate::row), so a quantised sample comes back bit for
//! bit; so do absent values, failures and attributes. A series in which a value is no whole number of steps is kept as
//! floats, to the last bit; a zero has no sign, and what is not finite counts as absent. Not kept are, as in rows, devices
//! without any value. Within a sample, devices of a kind come in the order in which the chunk first saw them, those that
//! were there shortly last, and of several with one label the last value counts.
//!
//! Readers pass over dimensions, attributes and metrics that they don't know. Version 1 is still read: `directory/version_1.rs`
//! has what it was, and fixtures show it. There is no checksum: whoever keeps the bytes has one. Bytes that are no chunk
//! are an error, never a panic, and never cost more memory than the limits below allow.

mod directory;
mod encode;
mod fold;
mod gather;
mod head;
mod lists;
mod merge;
mod piece;
mod presence;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod zip;

pub use encode::{Effort, EncodeError, Encoder, Parts};
pub use fold::{Folded, Partial};
pub use head::{Column, Head, Series, Span, Values};
pub use merge::{Merge, MergeError};
pub use read::Chunk;
pub use rows::Rows;

use crate::varint::Broken;

/// Begins every chunk; no row begins so.
const MAGIC: u8 = 0xc5;
const VERSION: u8 = 2;

/// The most samples in a chunk: most of a day of seconds. About 720 is usual.
pub const MAX_POINTS: u32 = 1 << 16;

/// The most figures in a chunk, counting absent ones of devices that were there: 720 points of 10,000 series, or
/// 40,000 points of 200. Reading all of them takes 16 bytes for each.
pub const MAX_FIGURES: u64 = 1 << 23;

/// The most that labels, attributes and failures of a chunk take, each written out at every point at which it stands: 40,000
/// points of 200 devices with 30 letters each.
pub const MAX_TEXT_BYTES: u64 = 1 << 28;

/// The most devices in a chunk. A busy build host shows ten new processes every five seconds: 7,200 in an hour.
pub const MAX_DEVICES: u32 = 1 << 16;

/// The most pieces in a chunk: 200 is usual, and a host of 1,000 cores has 10,000.
pub const MAX_PIECES: u32 = 1 << 16;

/// The largest part of a directory: room for 7,200 processes with command lines of 500 bytes. What opening a chunk takes
/// is mostly some ten kilobytes, and at the very worst some thirty times this.
pub const MAX_DIRECTORY_BYTES: usize = 4 << 20;

/// Why bytes are not a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// They begin unlike any chunk.
    #[error("this is not a chunk")]
    NotAChunk,
    /// They end too early.
    #[error("the chunk is cut off")]
    Cut,
    /// A version that this program doesn't know.
    #[error("the chunk has version {0}; this program reads version {VERSION}: use a newer one")]
    Version(u8),
    /// Something else that no writer makes.
    #[error("the chunk holds {0}")]
    Malformed(&'static str),
    /// A part that can't be decompressed.
    #[error("a part of the chunk can't be decompressed")]
    Compression,
}

impl From<Broken> for ChunkError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Cut => Self::Cut,
            Broken::Malformed(what) => Self::Malformed(what),
        }
    }
}
