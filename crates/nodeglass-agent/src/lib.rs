//! The agent: samples this host and streams the samples to a server.
//!
//! [`sampling`] takes samples, [`outbox`] puts them into the journal, [`uplink`] sends what the server is owed and takes its
//! words and requests over the connection that [`dialer`] makes, [`requests`] answers the latter, and [`settings`] does as it
//! asks. [`enrol`] makes this host an agent with an [`identity`] of its own. [`local`] serves this host's figures to whoever
//! is on it, and
//! [`tasks`] hears there of programs to follow. [`agent`] puts it together.

pub mod agent;
pub mod cli;
pub mod config;
pub mod dialer;
pub mod enrol;
pub mod identity;
pub mod local;
pub mod outbox;
pub mod privacy;
pub mod requests;
pub mod sampling;
pub mod settings;
#[cfg(unix)]
pub mod tasks;
pub mod uplink;
