//! What a query asks for: `metric`, `metric@device` or `metric@*`.

use std::fmt;

use crate::catalogue::{self, Metric};
use crate::sample::Sample;

/// One metric, in total, of one device or of every device.
#[derive(Debug, Clone)]
pub struct Selector {
    metric: &'static Metric,
    device: DeviceChoice,
}

/// Of which device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The host, or the total over devices.
    Total,
    /// The device with this label.
    One(String),
    /// Each by itself.
    Every,
}

/// A text that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric {path:?}; the nearest are {}", nearest.join(", "))]
pub struct UnknownMetric {
    /// The path that was asked for.
    pub path: String,
    /// The known paths most like it.
    pub nearest: Vec<&'static str>,
}

impl Selector {
    /// Reads `metric`, `metric@device` or `metric@*`.
    ///
    /// # Errors
    /// A metric that the catalogue doesn't have, with the nearest that it has.
    pub fn parse(text: &str) -> Result<Self, UnknownMetric> {
        let (path, device) = match text.split_once('@') {
            None => (text, DeviceChoice::Total),
            Some((path, "*")) => (path, DeviceChoice::Every),
            Some((path, label)) => (path, DeviceChoice::One(label.to_owned())),
        };
        let Some(metric) = catalogue::by_path(path) else {
            let path: String = path.chars().take(80).collect();
            let nearest = catalogue::nearest(&path);
            return Err(UnknownMetric { path, nearest });
        };
        Ok(Self { metric, device })
    }

    /// The metric that is asked for.
    pub fn metric(&self) -> &'static Metric {
        self.metric
    }

    /// Of which device it is asked for.
    pub fn device(&self) -> &DeviceChoice {
        &self.device
    }

    /// Whether this series has a part in what is asked for.
    pub fn covers(&self, metric: &Metric, device: &str) -> bool {
        metric.id == self.metric.id
            && match &self.device {
                DeviceChoice::One(label) => label == device,
                DeviceChoice::Total | DeviceChoice::Every => true,
            }
    }

    /// Whether it asks for each device by itself, so that there is a value for each.
    pub fn is_of_every_device(&self) -> bool {
        self.device == DeviceChoice::Every
    }

    /// The one value that the sample has of this selection; `None` if it has none, or if each device is asked for.
    pub fn value(&self, sample: &Sample) -> Option<f64> {
        (!self.is_of_every_device()).then(|| self.one(sample))?
    }

    /// Gives `found` the name and the value of each series that the sample has of this selection.
    pub fn each(&self, sample: &Sample, mut found: impl FnMut(String, f64)) {
        if self.device == DeviceChoice::Every {
            let devices =
                catalogue::devices(sample).filter(|device| device.dimension == self.metric.dimension());
            for device in devices {
                if let Some(value) = device.value(sample, self.metric) {
                    found(format!("{}@{}", self.metric.path, device.label), value);
                }
            }
        } else if let Some(value) = self.one(sample) {
            found(self.to_string(), value);
        }
    }

    fn one(&self, sample: &Sample) -> Option<f64> {
        let device = match &self.device {
            DeviceChoice::One(label) => Some(label.as_str()),
            DeviceChoice::Total | DeviceChoice::Every => None,
        };
        catalogue::value(sample, self.metric, device)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.path)?;
        match &self.device {
            DeviceChoice::Total => Ok(()),
            DeviceChoice::One(label) => write!(f, "@{label}"),
            DeviceChoice::Every => f.write_str("@*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::NetworkMetrics;

    fn found(text: &str, sample: &Sample) -> Vec<(String, f64)> {
        let mut all = Vec::new();
        Selector::parse(text)
            .unwrap()
            .each(sample, |name, value| all.push((name, value)));
        all
    }

    #[test]
    fn selects_totals_devices_and_all_devices() {
        let mut sample = Sample::default();
        for (name, sent) in [("eth0.100", 5), ("lo", 7)] {
            sample.network_interfaces.push(NetworkMetrics {
                interface: name.to_owned(),
                bytes_sent_per_sec: Some(sent),
                ..Default::default()
            });
        }
        let path = "network.bytes_sent_per_sec";
        let named = |device: &str, value| (format!("{path}{device}"), value);
        assert_eq!(found(path, &sample), [named("", 12.0)]);
        assert_eq!(
            found(&format!("{path}@eth0.100"), &sample),
            [named("@eth0.100", 5.0)]
        );
        assert_eq!(
            found(&format!("{path}@*"), &sample),
            [named("@eth0.100", 5.0), named("@lo", 7.0)]
        );
        assert_eq!(found(&format!("{path}@eth9"), &sample), []);
    }

    #[test]
    fn an_unknown_metric_is_an_error_with_its_neighbours() {
        let error = Selector::parse("memory.usage").unwrap_err();
        assert_eq!(error.nearest[0], "memory.usage_percent");
    }
}
