//! The sampler: chooses a back end, and finishes each of its samples: filter first, then privacy and
//! rounding.

use std::time::Instant;

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::{Sample, UnixMillis, catalogue};

use crate::config::{Backend, CollectConfig, CollectError, is_own_root};
use crate::filters::DeviceFilters;
use crate::gpu::{self, GpuCollector};
use crate::portable::PortableHost;
use crate::tasks::TaskRegistry;

/// How much of a host is read. What costs much, and says little from one second to the next, is read less often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What is cheap and changes quickly. Levels that a full sample read within the last ten seconds are shown again:
    /// space, sensors, frequencies, file handles, users, counts of units. Processes, tasks, containers, the names of
    /// units, and what is costly to ask of GPUs, are absent.
    Light,
    /// Everything.
    Full,
}

/// Reads one host again and again. It remembers the last reading, so that counters become rates.
pub struct Sampler {
    host: Host,
    gpu: Option<GpuCollector>,
    tasks: TaskRegistry,
    config: CollectConfig,
}

enum Host {
    #[cfg(target_os = "linux")]
    Linux(Box<crate::linux::LinuxHost>),
    Portable(Box<PortableHost>),
}

impl Sampler {
    /// Makes ready to read a host; nothing is measured yet.
    ///
    /// # Errors
    /// The back end can't run here or the host root is none; the message says what to set.
    pub fn new(config: CollectConfig) -> Result<Self, CollectError> {
        let host = match config.backend.resolve() {
            Backend::Portable => {
                if !is_own_root(&config.host_root) {
                    return Err(CollectError::PortableRoot {
                        host_root: config.host_root,
                    });
                }
                Host::Portable(Box::new(PortableHost::new(&config)?))
            }
            #[cfg(target_os = "linux")]
            _ => Host::Linux(Box::new(crate::linux::LinuxHost::new(&config)?)),
            #[cfg(not(target_os = "linux"))]
            _ => return Err(CollectError::NotLinux),
        };
        let filter = config.filter.clone();
        let tasks = match &host {
            #[cfg(target_os = "linux")]
            Host::Linux(host) => host.tasks().clone(),
            Host::Portable(_) => TaskRegistry::unsupported(&config),
        };
        let mut sampler = Self {
            host,
            gpu: None,
            tasks,
            config,
        };
        sampler.set_filter(filter);
        Ok(sampler)
    }

    /// Changes which metrics are wanted. Collectors without any stop; those that start anew have no rates in their
    /// first sample.
    pub fn set_filter(&mut self, filter: MetricFilter) {
        match gpu::Wanted::by(&filter) {
            None => self.gpu = None,
            Some(wanted) => self
                .gpu
                .get_or_insert_with(|| GpuCollector::new(&self.config))
                .set_wanted(wanted),
        }
        match &mut self.host {
            #[cfg(target_os = "linux")]
            Host::Linux(host) => host.set_filter(&filter),
            Host::Portable(host) => host.set_filter(&filter),
        }
        self.config.filter = filter;
    }

    /// Changes which devices are left out, and how many processes are shown. Those collectors start anew. The portable back
    /// end shows all that it knows.
    pub fn set_shown(&mut self, devices: DeviceFilters, top_processes: usize) {
        self.config.devices = devices;
        self.config.top_processes = top_processes;
        let filter = self.config.filter.clone();
        match &mut self.host {
            #[cfg(target_os = "linux")]
            Host::Linux(host) => host.set_shown(&self.config, &filter),
            Host::Portable(_) => {}
        }
    }

    /// Reads the host now. It never fails: what can't be read is in [`Sample::failures`].
    ///
    /// `at` becomes the sample's time; rates are worked out over the monotonic time between two calls.
    pub fn sample(&mut self, at: UnixMillis, depth: Depth) -> Sample {
        self.sample_at(at, depth, Instant::now())
    }

    /// The tasks that are measured in each full sample. The portable back end can't follow any.
    pub fn tasks(&self) -> TaskRegistry {
        self.tasks.clone()
    }

    /// The back end in use, never [`Backend::Auto`].
    pub fn backend(&self) -> Backend {
        match self.host {
            #[cfg(target_os = "linux")]
            Host::Linux(_) => Backend::Linux,
            Host::Portable(_) => Backend::Portable,
        }
    }

    /// As [`Sampler::sample`], with the moment that rates are worked out to.
    pub(crate) fn sample_at(&mut self, at: UnixMillis, depth: Depth, now: Instant) -> Sample {
        let mut sample = Sample {
            timestamp: at,
            ..Sample::default()
        };
        let until = Instant::now() + self.config.deadline;
        if let Some(gpu) = &mut self.gpu {
            gpu.start(now, until, depth);
        }
        #[cfg(target_os = "linux")]
        let moment = crate::linux::Moment { now, until, depth };
        match &mut self.host {
            #[cfg(target_os = "linux")]
            Host::Linux(host) => host.read(&mut sample, &moment),
            Host::Portable(host) => host.read(&mut sample, depth, now),
        }
        let gpu = &mut self.gpu;
        let uses = gpu.as_mut().map(|gpu| gpu.finish(&mut sample, now, until));
        let uses = uses.unwrap_or_default();
        #[cfg(target_os = "linux")]
        if let Host::Linux(host) = &mut self.host {
            host.finish(&mut sample, &moment, &uses);
        }
        gpu::fill_processes(&mut sample.processes.top, &uses);
        self.config.filter.apply(&mut sample);
        self.config.privacy.treat(&mut sample);
        catalogue::quantise(&mut sample);
        // A sensor that reads minus infinity must not cost the sample, which a server would refuse as a whole.
        for wrong in catalogue::clear_invalid(&mut sample) {
            sample.failures.push(CollectFailure {
                collector: "range".to_owned(),
                reason: wrong.to_string(),
            });
        }
        sample
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
