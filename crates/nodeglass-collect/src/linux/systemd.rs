//! Units of systemd: `ListUnits` over D-Bus.
//!
//! The answer is made by process 1 and can be long, so it is asked every ten seconds at most, in full samples, on a
//! thread of its own. Light samples show the counts again; the names of failed units are in full samples only. A host
//! that was not started by systemd, or whose bus may not be used, has no figures.

mod bus;
mod wire;

use std::time::{Duration, Instant};

use nodeglass_model::sample::{Sample, SystemdMetrics, UnitMetrics};

use super::collector::{Collector, Kept, Moment, fail, leave_out, mark_stale};
use super::host_root::HostRoot;
use super::proc_file::ReadError;
use crate::gpu::GpuUses;
use crate::worker::{NoAnswer, Worker};
use bus::{Bus, BusError};

/// Units change rarely, and the list costs process 1 a millisecond or more.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// How long an answer is shown: until the next one is due in any case, with a full sample's distance to spare.
const SHOWN_FOR: Duration = Duration::from_secs(20);

/// The units of a host.
#[derive(Debug, Default, Clone, PartialEq)]
struct Units {
    counts: SystemdMetrics,
    /// By name.
    failed: Vec<String>,
}

/// The thread's part: a connection that is kept open between questions, so that the bus need not tell everybody that
/// somebody came and went.
struct Asker {
    root: HostRoot,
    deadline: Duration,
    bus: Option<Bus>,
}

impl Asker {
    /// The units now; `None` where there is nobody to ask.
    fn ask(&mut self) -> Result<Option<Units>, BusError> {
        // What systemd's own libraries go by.
        if !self.root.exists("run/systemd/system") {
            return Ok(None);
        }
        let until = Instant::now() + self.deadline;
        let mut bus = match self.bus.take() {
            Some(bus) => bus,
            None => match Bus::connect(&self.root, until)? {
                Some(bus) => bus,
                None => return Ok(None),
            },
        };
        let units = bus.list_units(until)?;
        // After an error the connection is not used again: an answer could still be on its way.
        self.bus = Some(bus);
        Ok(Some(units))
    }
}

/// Reads units.
pub(super) struct SystemdCollector {
    worker: Worker<(), Result<Option<Units>, BusError>>,
    deadline: Duration,
    most: usize,
    asked_at: Option<Instant>,
    is_asked: bool,
    kept: Kept<Units>,
    trouble: Option<String>,
}

impl SystemdCollector {
    pub(super) fn new(root: &HostRoot, most: usize, deadline: Duration) -> Self {
        let root = root.clone();
        Self {
            worker: Worker::new("collect-units", move || {
                let mut asker = Asker {
                    root: root.clone(),
                    deadline,
                    bus: None,
                };
                move |()| asker.ask()
            }),
            deadline,
            most,
            asked_at: None,
            is_asked: false,
            kept: Kept::default(),
            trouble: None,
        }
    }

    fn explain(&self, error: NoAnswer) -> String {
        match error {
            NoAnswer::Late => format!("systemd: no answer within {} ms", self.deadline.as_millis()),
            NoAnswer::Ended => "the thread that asks systemd ended; it is started anew".to_owned(),
        }
    }
}

impl Collector for SystemdCollector {
    fn read(&mut self, _: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let is_recent = self
            .asked_at
            .is_some_and(|at| moment.now.saturating_duration_since(at) < ASKED_EVERY);
        self.is_asked = false;
        if moment.is_full() && !is_recent {
            self.asked_at = Some(moment.now);
            match self.worker.start(()) {
                Ok(()) => self.is_asked = true,
                Err(error) => self.trouble = Some(self.explain(error)),
            }
        }
        Ok(())
    }

    fn finish(&mut self, sample: &mut Sample, moment: &Moment, _gpu: &GpuUses) {
        if self.is_asked {
            self.trouble = match self.worker.finish(moment.until) {
                Ok(Ok(Some(units))) => {
                    self.kept.set(moment.now, units);
                    None
                }
                Ok(Ok(None)) => {
                    self.kept = Kept::default();
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(error) => Some(self.explain(error)),
            };
        }
        if let Some(trouble) = &self.trouble {
            fail(sample, "systemd", trouble.clone());
            if let Some(age) = self.kept.age(moment.now) {
                mark_stale(sample, "systemd", age);
            }
        }
        let Some((units, _)) = self.kept.within(moment.now, SHOWN_FOR) else {
            return;
        };
        sample.systemd = units.counts.clone();
        if moment.is_full() {
            let failed = units.failed.iter().take(self.most);
            sample.units = failed
                .map(|unit| UnitMetrics {
                    unit: unit.clone(),
                    failed: Some(1),
                })
                .collect();
            leave_out(sample, "systemd", units.failed.len().saturating_sub(self.most));
        }
    }
}

#[cfg(test)]
mod tests;
