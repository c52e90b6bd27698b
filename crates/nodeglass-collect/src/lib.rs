//! Reads this host into a [`nodeglass_model::Sample`], and what it is into a [`nodeglass_model::system::SystemInfo`].
//!
//! On Linux everything comes from `/proc` and `/sys` under a host root, so that a container can read its host and a
//! test a captured tree. Elsewhere, and where [`Backend::Portable`] asks for it, `sysinfo` reads the host. Calls block,
//! for no longer than about [`CollectConfig::deadline`]; what could hang (file systems, sensors, D-Bus, GPU drivers)
//! runs on threads of its own. When to sample and where samples go is left to the agent.

#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only the Linux back end reads command lines")
)]
mod command_line;
mod config;
pub mod exposition;
mod filters;
mod gpu;
#[cfg(target_os = "linux")]
mod linux;
mod portable;
pub mod privacy;
mod sampler;
mod system_info;
mod tasks;
mod worker;

pub use command_line::CommandLines;
pub use config::{Backend, CollectConfig, CollectError};
pub use filters::DeviceFilters;
pub use sampler::{Depth, Sampler};
pub use system_info::{read_host_name, read_system_info};
pub use tasks::{Follow, FollowError, MAX_TASKS, Target, TaskEnd, TaskRegistry, TaskSummary, UnknownTask};
