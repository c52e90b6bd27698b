//! What a host measures of itself: temperatures, fans, power, batteries.
//!
//! A sensor behind a slow bus can take long, and a broken one for ever, so a thread of its own reads them all, in full
//! samples; light ones show the readings again. Hosts without sensors, and sensors that are asleep, are no failure.

mod battery;
mod hwmon;
mod rapl;

use std::time::{Duration, Instant};

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{BatteryMetrics, FanMetrics, PowerMetrics, Sample, TemperatureMetrics};

use super::collector::{Collector, Kept, Moment, fail, leave_out, mark_stale};
use super::host_root::HostRoot;
use super::proc_file::ReadError;
use crate::gpu::GpuUses;
use crate::worker::{NoAnswer, Worker};
use battery::read_batteries;
use hwmon::{Hwmon, hottest_cpu};
use rapl::Rapl;

/// Sensors come and go with modules and drives; to look for them costs many small reads.
const LIST_AGE: Duration = Duration::from_mins(1);

/// What is wanted.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    /// Temperatures, fans and power meters of hwmon, which stand in the same directories.
    hwmon: bool,
    rapl: bool,
    batteries: bool,
}

/// What the thread reads.
#[derive(Debug, Default, Clone, PartialEq)]
struct Readings {
    temperatures: Vec<TemperatureMetrics>,
    fans: Vec<FanMetrics>,
    power_meters: Vec<PowerMetrics>,
    batteries: Vec<BatteryMetrics>,
    left_out: usize,
    /// There is nothing to read on this host, for now.
    is_bare: bool,
}

/// The thread's part: the files of all sensors, looked for anew every minute.
struct Reader {
    root: HostRoot,
    most: usize,
    hwmon: Hwmon,
    rapl: Rapl,
    listed_at: Option<Instant>,
}

impl Reader {
    fn new(root: &HostRoot, most: usize) -> Self {
        Self {
            root: root.clone(),
            most,
            hwmon: Hwmon::default(),
            rapl: Rapl::default(),
            listed_at: None,
        }
    }

    fn read(&mut self, now: Instant, wanted: Wanted) -> Readings {
        if self
            .listed_at
            .is_none_or(|at| now.saturating_duration_since(at) >= LIST_AGE)
        {
            self.hwmon = Hwmon::find(&self.root, self.most);
            self.rapl.find(&self.root);
            self.listed_at = Some(now);
        }
        let mut readings = Readings::default();
        // Energy first: it becomes a rate over the time to `now`.
        if wanted.rapl {
            readings.power_meters = self.rapl.read(now);
        }
        if wanted.hwmon {
            self.hwmon.read(&mut readings);
        }
        if wanted.batteries {
            readings.batteries = read_batteries(&self.root);
        }
        for left_out in [
            readings.power_meters.len().saturating_sub(self.most),
            readings.batteries.len().saturating_sub(self.most),
            self.hwmon.left_out(),
        ] {
            readings.left_out += left_out;
        }
        readings.power_meters.truncate(self.most);
        readings.batteries.truncate(self.most);
        readings.is_bare = self.hwmon.is_empty() && self.rapl.is_empty() && readings.batteries.is_empty();
        readings
    }
}

/// Reads all sensors.
pub(super) struct SensorCollector {
    worker: Worker<(Instant, Wanted), Readings>,
    deadline: Duration,
    wanted: Wanted,
    is_asked: bool,
    kept: Kept<Readings>,
    /// When the host was found to have nothing to read.
    bare_since: Option<Instant>,
    /// Why there is nothing new since the last full sample.
    trouble: Option<String>,
}

impl SensorCollector {
    pub(super) fn new(root: &HostRoot, most: usize, deadline: Duration) -> Self {
        let root = root.clone();
        Self {
            worker: Worker::new("collect-sensors", move || {
                let mut reader = Reader::new(&root, most);
                move |(now, wanted)| reader.read(now, wanted)
            }),
            deadline,
            wanted: Wanted::default(),
            is_asked: false,
            kept: Kept::default(),
            bare_since: None,
            trouble: None,
        }
    }

    fn explain(&self, error: NoAnswer) -> String {
        match error {
            NoAnswer::Late => format!(
                "no answer within {} ms; sensors are left out until they answer",
                self.deadline.as_millis()
            ),
            NoAnswer::Ended => "the thread that reads sensors ended; it is started anew".to_owned(),
        }
    }
}

impl Collector for SensorCollector {
    fn read(&mut self, _: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        let is_bare = self
            .bare_since
            .is_some_and(|at| moment.now.saturating_duration_since(at) < LIST_AGE);
        self.is_asked = false;
        if moment.is_full() && !is_bare {
            match self.worker.start((moment.now, self.wanted)) {
                Ok(()) => self.is_asked = true,
                Err(error) => self.trouble = Some(self.explain(error)),
            }
        }
        Ok(())
    }

    fn finish(&mut self, sample: &mut Sample, moment: &Moment, _gpu: &GpuUses) {
        if self.is_asked {
            match self.worker.finish(moment.until) {
                Ok(readings) => {
                    self.trouble = None;
                    self.bare_since = readings.is_bare.then_some(moment.now);
                    self.kept.set(moment.now, readings);
                }
                Err(error) => self.trouble = Some(self.explain(error)),
            }
        }
        if let Some(trouble) = &self.trouble {
            fail(sample, "sensor", trouble.clone());
            if let Some(age) = self.kept.age(moment.now) {
                mark_stale(sample, "sensor", age);
            }
        }
        let Some((readings, _)) = self.kept.young(moment.now) else {
            return;
        };
        sample.cpu.temperature_celsius = hottest_cpu(&readings.temperatures);
        sample.temperatures.clone_from(&readings.temperatures);
        sample.fans.clone_from(&readings.fans);
        sample.power_meters.clone_from(&readings.power_meters);
        sample.batteries.clone_from(&readings.batteries);
        leave_out(sample, "sensor", readings.left_out);
    }

    fn set_filter(&mut self, filter: &MetricFilter) {
        let any = |metrics: &[&str]| metrics.iter().any(|metric| filter.keeps_any(metric));
        self.wanted = Wanted {
            hwmon: any(&["sensor", "cpu.temperature_celsius", "fan", "power"]),
            rapl: any(&["power"]),
            batteries: any(&["battery"]),
        };
        // What was not wanted before was not looked at.
        self.bare_since = None;
    }
}

#[cfg(test)]
mod tests;
