//! Puts the agent together.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use futures_util::TryFutureExt;
use nodeglass_collect::Sampler;
use nodeglass_journal::Journal;
use nodeglass_model::{Clock, SystemClock};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_runtime::tasks::TaskGroup;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::AgentConfig;
use crate::outbox::Outbox;
use crate::requests::Requests;
use crate::sampling;
use crate::uplink::Uplink;

/// Starts sampling and sending in `tasks`; it goes on until they are told to stop.
///
/// # Errors
/// This host can't be read, or another agent runs on the same data.
pub fn start(config: AgentConfig, mut enrolment: Enrolment, tasks: &TaskGroup) -> anyhow::Result<()> {
    let lock = lock(&config.data_dir)?;
    if let Some(server) = &config.server {
        enrolment.server.clone_from(server);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = config.journal();
    let AgentConfig { collect, plan, .. } = config;
    let sampler = Sampler::new(collect.clone()).context("reading this host")?;
    let (journal, _) = Journal::open(journal, clock.now(), Instant::now());
    let outbox = Arc::new(Outbox::new(journal));
    let (plans, current) = watch::channel(plan.clone());
    info!(agent = %enrolment.agent, server = %enrolment.server, interval_s = plan.interval.as_secs_f64(), "sampling");

    let requests = Requests {
        outbox: outbox.clone(),
        collect,
        plan: plans,
        configured: plan,
        clock: clock.clone(),
    };
    let uplink = Uplink {
        enrolment,
        outbox: outbox.clone(),
        requests: Arc::new(requests),
        clock: clock.clone(),
        tasks: tasks.clone(),
    };
    let stop = tasks.shutdown_token();
    let sampling = sampling::run(sampler, outbox, current, clock, stop.clone());
    tasks.spawn("sampling", sampling.map_err(Into::into));
    let sending = async move {
        uplink.run(stop).await;
        drop(lock);
        Ok(())
    };
    tasks.spawn("uplink", sending);
    Ok(())
}

/// Makes sure that no other agent works on the same data. Held until it is dropped; a directory that can't be written to
/// is not fought over.
fn lock(data_dir: &Path) -> anyhow::Result<Option<File>> {
    let path = data_dir.join("agent.lock");
    let file = match File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
    {
        Ok(file) => file,
        Err(error) => {
            warn!(path = %path.display(), %error, "can't be locked; see to it that one agent runs on this data only");
            return Ok(None);
        }
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another agent runs on {}: stop it, or give this one another --data-dir",
            data_dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            warn!(path = %path.display(), %error, "can't be locked; see to it that one agent runs on this data only");
            Ok(None)
        }
    }
}
