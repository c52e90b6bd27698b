//! What every Nodeglass process needs in order to run: configuration that names all its mistakes at once, a group of
//! named tasks that ends as a whole, signals, logs, back-off, exit codes, and TLS.
//!
//! What the keys of a configuration mean, and what the tasks do, is left to the agent and the server.

pub mod accept;
pub mod backoff;
pub mod config;
pub mod exit;
pub mod private;
pub mod signals;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use config::Secret;
