//! NVIDIA GPUs through NVML, on a thread of its own: the driver may hang. What the thread does is in `nvidia/driver.rs`;
//! here is when it is asked, and what is said when it does not answer.

mod device;
mod driver;
mod processes;
mod sleep;

#[cfg(target_os = "linux")]
use std::path::Path;
use std::time::{Duration, Instant};

use self::driver::{Answer, Driver, Job};
use super::retry::Retry;
use super::{Found, Wanted};
use crate::config::CollectConfig;
use crate::sampler::Depth;
use crate::worker::{NoAnswer, Worker};

/// A driver is installed rarely; to look for its library costs a search of the library path.
const RETRY_MISSING: Duration = Duration::from_mins(5);

/// Reads every NVIDIA GPU.
pub(super) struct NvidiaCollector {
    worker: Worker<Job, Answer>,
    deadline: Duration,
    rest: Option<Rest>,
    started: Option<Result<(), NoAnswer>>,
}

/// Why nobody is asked, and until when.
struct Rest {
    /// `None` on a host that has no driver, which is no failure.
    reason: Option<String>,
    retry: Retry,
}

impl NvidiaCollector {
    pub(super) fn new(config: &CollectConfig) -> Self {
        let (library, host_root) = (config.nvml_library.clone(), config.host_root.clone());
        Self {
            worker: Worker::new("collect-gpu", move || {
                let mut driver = Driver::new(library.clone(), host_root.clone());
                move |job| driver.read(job)
            }),
            deadline: config.deadline,
            rest: None,
            started: None,
        }
    }

    /// Asks the driver, so that it works while others are read. Half of the time until `until` may go into PCIe
    /// throughput, so that the rest of the answer is never late because of it.
    pub(super) fn start(&mut self, now: Instant, until: Instant, depth: Depth, wanted: Wanted) {
        let begun = Instant::now();
        let rests = self.rest.as_ref().is_some_and(|rest| !rest.retry.is_due(now));
        self.started = (!rests).then(|| {
            self.worker.start(Job {
                depth,
                wanted,
                now,
                pcie_until: begun + until.saturating_duration_since(begun) / 2,
            })
        });
    }

    /// What the driver answered.
    pub(super) fn finish(&mut self, now: Instant, until: Instant) -> Found {
        let Some(started) = self.started.take() else {
            return Found::failed(self.rest.as_ref().and_then(|rest| rest.reason.clone()));
        };
        match started.and_then(|()| self.worker.finish(until)) {
            Ok(Answer::Found(found)) => {
                self.rest = None;
                found
            }
            Ok(Answer::NoDriver) => {
                self.rest = Some(Rest {
                    reason: None,
                    retry: Retry::once_in(RETRY_MISSING, now),
                });
                Found::default()
            }
            Ok(Answer::Failed(reason)) => {
                let failed_before = self.rest.take().filter(|rest| rest.reason.is_some());
                let before = failed_before.map(|rest| rest.retry);
                self.rest = Some(Rest {
                    reason: Some(reason.clone()),
                    retry: Retry::after(before, now),
                });
                Found::failed(Some(reason))
            }
            Err(NoAnswer::Late) => Found::failed(Some(format!(
                "the NVIDIA driver gave no answer within {} ms; its GPUs are left out until it answers",
                self.deadline.as_millis()
            ))),
            Err(NoAnswer::Ended) => Found::failed(Some(
                "the thread that asks the NVIDIA driver ended; it is started anew".to_owned(),
            )),
        }
    }
}

/// How many GPUs the driver has, whether it answers or not.
#[cfg(target_os = "linux")]
pub(super) fn count_on_bus(host_root: &Path) -> u32 {
    let bus = sleep::read_bus(host_root);
    (bus.awake.len() + bus.asleep.len()) as u32
}
