//! Several samples of one host made into one: means of rates, the last of levels and counters.

use std::collections::HashMap;

use crate::catalogue::{self, Dimension, Kind, MetricId};
use crate::sample::Sample;

/// Gathers samples of one span of time. Averages, never picks: every sample counts.
#[derive(Debug, Default)]
pub struct Window {
    /// The rates of the devices that the last sample has, where they stand in it: by kind, device and metric.
    rates: [Vec<Mean>; Dimension::ALL.len()],
    /// Those of the devices of earlier samples, from before the devices changed.
    earlier: HashMap<(MetricId, String), Mean>,
    last: Option<Sample>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, other: Self) {
        self.sum += other.sum;
        self.count += other.count;
    }
}

impl Window {
    /// Whether there was no sample yet.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// Adds the next sample.
    pub fn add(&mut self, sample: Sample) {
        for kind in Dimension::ALL {
            let same = self
                .last
                .as_ref()
                .is_some_and(|last| has_same(kind, last, &sample));
            if !same {
                self.put_aside(kind);
                let places = kind.len(&sample) * kind.metrics().len();
                self.rates[kind as usize] = vec![Mean::default(); places];
            }
            for_each_rate(kind, &mut self.rates[kind as usize], |metric, index, mean| {
                if let Some(value) = metric.value(&sample, index) {
                    mean.add(Mean { sum: value, count: 1 });
                }
            });
        }
        self.last = Some(sample);
    }

    /// Remembers the rates of a kind by name, because other devices come.
    fn put_aside(&mut self, kind: Dimension) {
        let Some(last) = &self.last else { return };
        let earlier = &mut self.earlier;
        for_each_rate(kind, &mut self.rates[kind as usize], |metric, index, mean| {
            if mean.count > 0 {
                let label = kind.label(last, index).into_owned();
                earlier.entry((metric.id, label)).or_default().add(*mean);
            }
        });
    }

    /// The one sample that stands for all, at the time of the last; `None` if there was none.
    pub fn finish(mut self) -> Option<Sample> {
        if !self.earlier.is_empty() {
            for kind in Dimension::ALL {
                self.put_aside(kind);
                self.rates[kind as usize].clear();
            }
        }
        let mut sample = self.last?;
        for kind in Dimension::ALL {
            for_each_rate(kind, &mut self.rates[kind as usize], |metric, index, mean| {
                if mean.count > 0 {
                    metric.set(&mut sample, index, mean.sum / f64::from(mean.count));
                }
            });
        }
        for ((id, label), mean) in self.earlier {
            if let Some(metric) = catalogue::by_id(id) {
                let mean = mean.sum / f64::from(mean.count);
                catalogue::set(&mut sample, metric, &label, Some(mean));
            }
        }
        catalogue::quantise(&mut sample);
        Some(sample)
    }
}

/// Whether two samples have the same devices of a kind in the same places.
fn has_same(kind: Dimension, one: &Sample, other: &Sample) -> bool {
    let count = kind.len(one);
    count == kind.len(other) && (0..count).all(|index| kind.is_same((one, index), (other, index)))
}

fn for_each_rate(
    kind: Dimension,
    rates: &mut [Mean],
    mut each: impl FnMut(&'static catalogue::Metric, usize, &mut Mean),
) {
    let metrics = kind.metrics();
    for (index, means) in rates.chunks_exact_mut(metrics.len().max(1)).enumerate() {
        for (metric, mean) in metrics.iter().zip(means) {
            if metric.kind == Kind::Rate {
                each(metric, index, mean);
            }
        }
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
