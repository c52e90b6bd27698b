//! Several samples of one host made into one: means of rates, the last of levels and counters.

use std::collections::HashMap;

use crate::catalogue::{self, Kind, Metric, MetricId};
use crate::sample::Sample;

/// Gathers samples of one span of time. Averages, never picks: every sample counts.
#[derive(Debug, Default)]
pub struct Window {
    rates: HashMap<(MetricId, String), Mean>,
    last: Option<Sample>,
}

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Window {
    /// Adds the next sample.
    pub fn add(&mut self, sample: Sample) {
        for device in catalogue::devices(&sample) {
            for (metric, value) in device
                .values(&sample)
                .filter(|(metric, _)| metric.kind == Kind::Rate)
            {
                let mean = self
                    .rates
                    .entry((metric.id, device.label.to_string()))
                    .or_default();
                mean.sum += value;
                mean.count += 1;
            }
        }
        self.last = Some(sample);
    }

    /// The one sample that stands for all, at the time of the last; `None` if there was none.
    pub fn finish(self) -> Option<Sample> {
        let mut sample = self.last?;
        for ((id, label), mean) in self.rates {
            let Some(metric): Option<&Metric> = catalogue::by_id(id) else {
                continue;
            };
            catalogue::set(
                &mut sample,
                metric,
                &label,
                Some(mean.sum / f64::from(mean.count)),
            );
        }
        catalogue::quantise(&mut sample);
        Some(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::NetworkMetrics;
    use crate::time::UnixMillis;

    fn sample(at: i64, usage: Option<f64>, used: u64, sent: &[(&str, u64)]) -> Sample {
        let mut sample = Sample {
            timestamp: UnixMillis(at),
            ..Default::default()
        };
        sample.cpu.usage_percent = usage;
        sample.memory.used_bytes = Some(used);
        sample.network_interfaces = sent
            .iter()
            .map(|(name, sent)| NetworkMetrics {
                interface: (*name).to_owned(),
                bytes_sent_per_sec: Some(*sent),
                errors_in: Some(*sent),
                ..Default::default()
            })
            .collect();
        sample
    }

    #[test]
    fn means_of_rates_and_the_last_of_the_rest() {
        let mut window = Window::default();
        window.add(sample(1, None, 5, &[("eth0", 10)]));
        window.add(sample(2, Some(10.0), 6, &[("eth0", 20)]));
        window.add(sample(3, Some(20.0), 7, &[("eth0", 60), ("tun0", 4)]));
        let one = window.finish().unwrap();
        assert_eq!(one.timestamp, UnixMillis(3));
        assert_eq!(one.cpu.usage_percent, Some(15.0));
        assert_eq!(one.memory.used_bytes, Some(7));
        assert_eq!(one.network_interfaces[0].bytes_sent_per_sec, Some(30));
        assert_eq!(one.network_interfaces[0].errors_in, Some(60));
        assert_eq!(one.network_interfaces[1].bytes_sent_per_sec, Some(4));
    }

    #[test]
    fn nothing_makes_nothing() {
        assert_eq!(Window::default().finish(), None);
    }
}
