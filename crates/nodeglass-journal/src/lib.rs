//! The agent's journal: every sample that the server is owed, until it is stored, and the local history.
//!
//! Samples are appended to segments on disk, each with a checksum. What the server has stored is noted behind them, so
//! after a crash the journal knows again what is owed: a segment begins with the books as they stood, and its records
//! tell the rest. Closed segments are packed into chunks. The oldest segments go when age or room asks for it, and what
//! was owed in them is counted with reason and time. A disk that takes nothing makes the journal go on in memory; a
//! damaged file is put aside, and what was readable in it is kept. Nothing here ever stops sampling.
//!
//! The journal calls nobody: when samples are taken and how they are sent is left to the agent.

mod books;
mod frame;
mod ids;
mod journal;
mod keeper;
mod pack;
mod record;
mod recovery;
mod segment;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

pub use books::{Books, Gap, Reason};
pub use journal::{Journal, Standing};
pub use record::Role;
pub use recovery::Recovery;

/// Where a journal lies, and how much it keeps.
#[derive(Debug, Clone)]
pub struct JournalConfig {
    /// The directory; `None` keeps everything in memory.
    pub directory: Option<PathBuf>,
    /// Bytes on disk, all segments together.
    pub max_bytes: u64,
    /// Bytes in memory while the disk takes nothing.
    pub max_memory_bytes: u64,
    /// The age at which samples go, stored or not.
    pub max_age: Duration,
    /// When what was written is pushed down to the disk.
    pub sync: Sync,
}

/// When what was written is pushed down to the disk, where a power failure can't reach it. A crash of the agent alone
/// loses nothing that was written, pushed down or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// This long after a sample at the latest.
    Within(Duration),
    /// Before a sample counts as taken.
    Always,
    /// When the system sees fit.
    Never,
}

#[cfg(test)]
mod tests;
