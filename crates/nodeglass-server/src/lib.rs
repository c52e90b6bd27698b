//! The server: takes samples from agents, keeps them, and answers for them.
//!
//! [`ingest`] takes samples, [`live`] shows the latest, [`writer`] stores them and has them acknowledged, [`queries`]
//! answers, [`import`] takes back what was exported, by way of [`api`] (REST and SSE) and [`service`] (gRPC). [`server`] puts it together.

pub mod access;
pub mod api;
pub mod audit;
pub mod cli;
pub mod compaction;
pub mod config;
pub mod enrol;
pub mod error;
pub mod events;
#[doc(hidden)]
pub mod fuzzing;
mod glob;
pub mod identity;
pub mod import;
pub mod ingest;
pub mod latest;
pub mod ledger;
pub mod listener;
pub mod live;
pub mod page;
pub mod policy;
pub mod privacy;
pub mod push;
pub mod queries;
pub mod record;
pub mod registry;
pub mod retention;
pub mod server;
pub mod service;
mod sides;
pub mod state;
pub mod stream;
pub mod telemetry;
pub mod tls;
pub mod tokens;
pub mod writer;
