//! Puts the agent together.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use futures_util::{FutureExt, TryFutureExt};
use nodeglass_collect::Sampler;
use nodeglass_journal::Journal;
use nodeglass_model::{Clock, SystemClock};
use nodeglass_runtime::tasks::TaskGroup;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use crate::config::AgentConfig;
use crate::dialer::Dialer;
use crate::identity::Identity;
use crate::local::{self, Answers};
use crate::outbox::Outbox;
use crate::privacy::PrivacyKey;
use crate::requests::Requests;
use crate::sampling;
#[cfg(unix)]
use crate::tasks::socket::TaskSocket;
use crate::uplink::Uplink;

/// Starts sampling and sending in `tasks`; it goes on until they are told to stop.
///
/// # Errors
/// This host can't be read, or another agent runs on the same data.
pub fn start(config: AgentConfig, mut identity: Identity, tasks: &TaskGroup) -> anyhow::Result<()> {
    let lock = lock(&config.data_dir)?;
    if let Some(server) = &config.server {
        identity.server.clone_from(server);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = config.journal();
    #[cfg(unix)]
    let tasks_socket = config.track_tasks.then(|| config.tasks_socket());
    let dialer = Dialer::new(&identity, config.trust);
    let privacy = PrivacyKey::load(&config.data_dir, &config.collect.privacy);
    let AgentConfig {
        collect,
        plan,
        local,
        labels,
        ..
    } = config;
    let sampler = Sampler::new(collect.clone()).context("reading this host")?;
    let (journal, _) = Journal::open(journal, clock.now(), Instant::now());
    let outbox = Arc::new(Outbox::new(journal));
    let (plans, current) = watch::channel(plan.clone());
    info!(agent = %identity.agent, server = %identity.server, interval_s = plan.interval.as_secs_f64(), "sampling");

    let answers = Answers::new(outbox.latest(), current.clone(), &collect, clock.clone());
    if local.enabled {
        match local::bind(local.listen) {
            Ok(listener) => serve_locally(listener, answers, tasks)?,
            // Samples on their way to the server matter more than this.
            Err(error) => warn!(
                address = %local.listen,
                %error,
                "there is no local endpoint: set local_endpoint.listen to a free address, or local_endpoint.enabled to \
                 false"
            ),
        }
    }

    let requests = Requests {
        outbox: outbox.clone(),
        collect,
        plan: plans,
        configured: plan,
        asked: Arc::default(),
        labels,
        clock: clock.clone(),
        reading: Arc::new(Semaphore::new(1)),
    };
    let uplink = Uplink {
        identity,
        dialer,
        outbox: outbox.clone(),
        requests: Arc::new(requests),
        privacy,
        clock: clock.clone(),
        tasks: tasks.clone(),
    };
    let stop = tasks.shutdown_token();
    #[cfg(unix)]
    if let Some(path) = tasks_socket {
        match TaskSocket::open(&path, sampler.tasks(), clock.clone()) {
            Ok(socket) => tasks.spawn("task socket", socket.run(tasks.clone(), stop.clone()).map(Ok)),
            // Everything else is worth going on for.
            Err(error) => warn!(path = %path.display(), %error, "tasks can't be told of: no socket"),
        }
    }
    let sampling = sampling::run(sampler, outbox, current, clock, stop.clone());
    tasks.spawn("sampling", sampling.map_err(Into::into));
    let sending = async move {
        Box::pin(uplink.run(stop)).await;
        drop(lock);
        Ok(())
    };
    tasks.spawn("uplink", sending);
    Ok(())
}

/// Starts sampling and the local endpoint in `tasks`, without a server, a journal or a data directory.
///
/// # Errors
/// This host can't be read, or the local endpoint is switched off or its address taken.
pub fn start_local_only(config: AgentConfig, tasks: &TaskGroup) -> anyhow::Result<()> {
    PrivacyKey::load(&config.data_dir, &config.collect.privacy);
    let AgentConfig {
        collect, plan, local, ..
    } = config;
    ensure!(
        local.enabled,
        "there is nothing to serve: set local_endpoint.enabled to true, or start without --local-only"
    );
    let listener = local::bind(local.listen).with_context(|| {
        format!(
            "can't listen on {}: set local_endpoint.listen to a free address",
            local.listen
        )
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sampler = Sampler::new(collect.clone()).context("reading this host")?;
    let newest = watch::Sender::new(None);
    let (_, unchanging) = watch::channel(plan.clone());
    let answers = Answers::new(newest.subscribe(), unchanging, &collect, clock.clone());
    serve_locally(listener, answers, tasks)?;
    let sampling = sampling::run_alone(sampler, newest, plan, clock, tasks.shutdown_token());
    tasks.spawn("sampling", sampling.map_err(Into::into));
    Ok(())
}

fn serve_locally(listener: TcpListener, answers: Answers, tasks: &TaskGroup) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    info!(%address, "serving the local endpoint");
    let serving = local::serve(listener, answers, tasks.clone(), tasks.shutdown_token());
    tasks.spawn("local endpoint", serving.map(Ok));
    Ok(())
}

/// Makes sure that no other agent works on the same data. Held until it is dropped; a directory that can't be written to
/// is not fought over.
pub(crate) fn lock(data_dir: &Path) -> anyhow::Result<Option<File>> {
    let path = data_dir.join("agent.lock");
    let made = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    // Not held open for writing, which would keep the disk from being made read-only.
    let file = match made.and_then(|_| File::open(&path)) {
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
