//! The agent: samples this host and streams the samples to a server.
//!
//! [`sampling`] takes samples, [`buffer`] keeps them until the server has stored them, [`uplink`] sends them and takes
//! acknowledgements and requests, [`requests`] answers the latter. [`agent`] puts it together.

pub mod agent;
pub mod buffer;
pub mod cli;
pub mod config;
pub mod identity;
pub mod requests;
pub mod sampling;
pub mod uplink;
