//! What this host says to Prometheus: the text formats, a sample in them, and on Linux the series of `node_exporter`.
//!
//! [`Exposition`] is the text of one answer; [`write_sample`] and [`NodeReader::write`] write into it. Serving it is left
//! to the agent.

#[cfg(target_os = "linux")]
mod node;
mod sample;
mod text;

#[cfg(target_os = "linux")]
pub use node::NodeReader;
pub use sample::write_sample;
pub use text::{Exposition, Family, FamilyKind, Format};
