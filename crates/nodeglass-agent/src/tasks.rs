//! Tasks from the outside: a local socket at which programs say what is to be followed, and the commands `exec` and
//! `track` that speak to it. What a task comes to is measured by the sampler.

pub mod client;
pub mod exec;
pub mod protocol;
pub mod socket;
