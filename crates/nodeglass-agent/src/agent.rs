//! Puts the agent together.

use std::sync::Arc;

use anyhow::Context;
use futures_util::{FutureExt, TryFutureExt};
use nodeglass_collect::Sampler;
use nodeglass_model::{Clock, SystemClock};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_runtime::tasks::TaskGroup;
use tokio::sync::watch;
use tracing::info;

use crate::buffer::SampleBuffer;
use crate::config::AgentConfig;
use crate::requests::Requests;
use crate::sampling;
use crate::uplink::Uplink;

/// Starts sampling and sending in `tasks`; it goes on until they are told to stop.
///
/// # Errors
/// This host can't be read.
pub fn start(config: AgentConfig, mut enrolment: Enrolment, tasks: &TaskGroup) -> anyhow::Result<()> {
    let AgentConfig {
        server,
        collect,
        plan,
        buffer,
        ..
    } = config;
    if let Some(server) = server {
        enrolment.server = server;
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sampler = Sampler::new(collect.clone()).context("reading this host")?;
    let buffer = Arc::new(SampleBuffer::new(buffer, clock.now()));
    let (plans, current) = watch::channel(plan.clone());
    info!(agent = %enrolment.agent, server = %enrolment.server, interval_s = plan.interval.as_secs_f64(), "sampling");

    let requests = Requests {
        buffer: buffer.clone(),
        collect,
        plan: plans,
        configured: plan,
        clock: clock.clone(),
    };
    let uplink = Uplink {
        enrolment,
        buffer: buffer.clone(),
        requests: Arc::new(requests),
        clock: clock.clone(),
        tasks: tasks.clone(),
    };
    let stop = tasks.shutdown_token();
    let sampling = sampling::run(sampler, buffer, current, clock, stop.clone());
    tasks.spawn("sampling", sampling.map_err(Into::into));
    tasks.spawn("uplink", uplink.run(stop).map(Ok));
    Ok(())
}
