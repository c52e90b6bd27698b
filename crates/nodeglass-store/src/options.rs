//! How a database is used: how many connections, and how long it may be silent.

use std::time::Duration;

/// What the owner of a server may want otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Connections for queries, at most.
    pub readers: u32,
    /// Connections for storing and for changes, at most; apart from the others, so that slow queries never hold up storing.
    /// `SQLite` has one in any case.
    pub writers: u32,
    /// Connections for compaction and retention, at most; apart from both, so that these hold up neither.
    pub workers: u32,
    /// How long `PostgreSQL` may take to take up a connection, or to show a sign of life while it works on a statement.
    /// A statement may take longer, as long as the database answers beside it.
    pub silence: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 6,
            writers: 2,
            workers: 2,
            silence: Duration::from_secs(5),
        }
    }
}
