//! Samples one after another, each as what changed since the one before: what the journal appends and the stream sends.
//!
//! An [`Encoder`] and a [`Decoder`] go through the same samples in the same order and remember the last. A record stands
//! only behind those before it, so the readers of a file or a stream begin where its writer began.
//!
//! ```text
//! record   = flags (1 byte) [version schema] time [layout] [failures] values
//! schema   = in the first record: count, then each kind of device: its number, its holder's, count, metric numbers (rising,
//!            each less the one before)
//! time     = milliseconds since the record before (signed)
//! layout   = if the devices changed: kind (1 byte), count, then each: 0 model label attributes, or 1 + twice its place in
//!            the record before, or 2 + twice its place among those that departed; kind 0 ends it
//! model    = 0, or 1 + the number of a device that this one is like: those before it in this record, those of the record
//!            before, those that departed. Each text is then bytes shared with the model's at the beginning, at the end,
//!            and the text between
//! failures = if they changed: count, then each: collector, reason
//! values   = count, then each: values passed over since the last, then 0 for "absent now" or 1 + the difference in steps
//! ```
//!
//! Values stand in the order of kinds, devices and metric numbers. The schema lets a reader that knows other metrics than
//! the writer find its own. A sample that was quantised comes back bit for bit.

mod decode;
mod departed;
mod encode;
mod flat;
mod like;
mod schema;

pub use decode::{Decoder, LayoutNumber};
pub use encode::Encoder;
pub use flat::FlatRow;

/// In version 1 a device that had departed was described again, and places stood as they are; in version 2 each description
/// stood for itself.
const VERSION: u8 = 3;

/// The record begins anew: nothing came before it.
const FIRST: u8 = 1;
/// The devices are not those of the record before.
const LAYOUT: u8 = 2;
/// The failures are not those of the record before.
const FAILURES: u8 = 4;

/// Stands for an absent value.
const ABSENT: i64 = i64::MIN;

/// More values than any sample has; a writer that claims more wants our memory.
const MAX_VALUES: usize = 1 << 18;
/// More text than the devices of one kind have; a writer that gives them more wants our memory.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// More failures than a sample of ours has, and more text in them.
const MAX_FAILURES: u64 = 1024;
const MAX_FAILURE_BYTES: usize = 1 << 20;
/// More metrics of one kind of device than any version has.
const MAX_METRICS: u64 = 4096;

#[cfg(test)]
mod tests;
