//! The agent within the test, for what can't be done to a process: a clock of its own, a past that never was.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nodeglass_agent::dialer::Dialer;
use nodeglass_agent::outbox::Outbox;
use nodeglass_agent::privacy::PrivacyKey;
use nodeglass_agent::requests::Requests;
use nodeglass_agent::sampling::{self, SamplingPlan};
use nodeglass_agent::uplink::Uplink;
use nodeglass_collect::privacy::Privacy;
use nodeglass_collect::{CollectConfig, DeviceFilters, Sampler};
use nodeglass_journal::Journal;
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::{Clock, SystemClock, UnixMillis};
use nodeglass_runtime::tasks::TaskGroup;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// The system's clock, set ahead or back by the test.
#[derive(Debug, Default)]
pub struct SteppedClock {
    ahead_ms: AtomicI64,
}

impl Clock for SteppedClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(SystemClock.now().0 + self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// The parts of an agent, put together as its program does it.
#[derive(Debug)]
pub struct InnerAgent {
    clock: Arc<SteppedClock>,
    /// Its journal, and the way there.
    pub outbox: Arc<Outbox>,
    /// What it samples, and how often.
    pub plan: watch::Sender<SamplingPlan>,
    stop: CancellationToken,
    sending: JoinHandle<()>,
    sampling: JoinHandle<()>,
}

impl InnerAgent {
    /// Enrols a host of that name, whose agent goes on with a journal and samples processors and memory.
    ///
    /// # Panics
    /// This host can't be read.
    pub async fn start(server: &Server, name: &str, journal: Journal, interval: Duration) -> Self {
        let clock = Arc::new(SteppedClock::default());
        let outbox = Arc::new(Outbox::new(journal));
        let filter =
            MetricFilter::new(&["cpu".to_owned(), "memory".to_owned()], &[]).expect("metrics that there are");
        let configured = SamplingPlan {
            running: true,
            interval,
            local_interval: interval,
            watched: None,
            filter: filter.clone(),
            devices: DeviceFilters::default(),
            top_processes: 10,
        };
        let (plan, current) = watch::channel(configured.clone());
        let collect = CollectConfig {
            filter,
            ..CollectConfig::default()
        };
        let sampler = Sampler::new(collect.clone()).expect("a host that can be read");
        let requests = Requests {
            outbox: outbox.clone(),
            collect,
            plan: plan.clone(),
            configured,
            labels: BTreeMap::new(),
            asked: Arc::default(),
            clock: clock.clone(),
            reading: Arc::new(Semaphore::new(1)),
        };
        let stop = CancellationToken::new();
        let identity = server.enrolment(name).await;
        let uplink = Uplink {
            dialer: Dialer::new(&identity, None),
            identity,
            outbox: outbox.clone(),
            requests: Arc::new(requests),
            privacy: PrivacyKey::load(Path::new(""), &Privacy::default()),
            clock: clock.clone(),
            tasks: TaskGroup::new(),
        };
        let sampling = sampling::run(sampler, outbox.clone(), current, clock.clone(), stop.clone());
        Self {
            sending: tokio::spawn(uplink.run(stop.clone())),
            sampling: tokio::spawn(async { sampling.await.expect("sampling goes on") }),
            clock,
            outbox,
            plan,
            stop,
        }
    }

    /// Sets the clock so far ahead of everybody else's, or back.
    pub fn set_ahead(&self, millis: i64) {
        self.clock.ahead_ms.store(millis, Ordering::Relaxed);
    }

    /// Has it sample no more; what it sampled is still sent.
    pub fn rest(&self) {
        self.plan.send_modify(|plan| plan.running = false);
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Panics
    /// A part of it panicked.
    pub async fn stop(self) {
        self.stop.cancel();
        self.sending.await.expect("sending ended");
        self.sampling.await.expect("sampling ended");
    }
}
