//! What Nodeglass is about, without any I/O: samples, ids, times, units, the metric catalogue, and the maths that
//! turns raw readings into rates, windows and history buckets.
//!
//! Everything here is pure and synchronous, so it can be tested without a host, a network or a clock. Reading a host
//! is left to `nodeglass-collect`, the wire to `nodeglass-proto`, bytes on disk to `nodeglass-chunk`.

pub mod catalogue;
pub mod filter;
pub mod history;
mod id;
pub mod label;
pub mod rates;
pub mod sample;
pub mod selector;
pub mod system;
pub mod time;
pub mod window;

pub use id::{AgentId, IdError, SampleId, SeqRange, TaskId, contiguous};
pub use sample::Sample;
pub use time::{Clock, SystemClock, TimeRange, UnixMillis};
