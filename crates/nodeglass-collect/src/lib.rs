//! Reads this host into a [`nodeglass_model::Sample`], and what it is into a [`nodeglass_model::system::SystemInfo`].
//!
//! On Linux everything comes from `/proc` and `/sys` under a host root, so that a container can read its host and a
//! test a captured tree. Elsewhere, and where [`Backend::Portable`] asks for it, `sysinfo` reads the host. Calls block,
//! for no longer than about [`CollectConfig::deadline`]; what could hang (file systems, sensors, D-Bus, GPU drivers)
//! runs on threads of its own. When to sample and where samples go is left to the agent.

mod config;
pub mod exposition;
mod filters;
mod gpu;
#[cfg(target_os = "linux")]
mod linux;
mod portable;
mod sampler;
mod system_info;
mod worker;

pub use config::{Backend, CollectConfig, CollectError};
pub use filters::DeviceFilters;
pub use sampler::{Depth, Sampler};
pub use system_info::{read_host_name, read_system_info};
