//! One stored sample as a line of JSON: what an export is made of, and what an import takes.
//!
//! It is the flat form of the catalogue: devices with their texts and their figures by path. So it says all that a row says,
//! and programs that don't know our samples can still read it.

use std::borrow::Cow;
use std::fmt;

use nodeglass_model::catalogue::{self, Attribute, Dimension, Metric};
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::selector::Selector;
use nodeglass_model::{Sample, SampleId};
use nodeglass_proto::limits::{MAX_DEVICES, MAX_FAILURES, MAX_LABEL_BYTES};
use nodeglass_proto::{InvalidSample, check_sample, check_timestamp};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The epoch of samples that came without an identity; agents begin with 1.
pub const NO_EPOCH: u64 = 0;

/// One sample, or a part of one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Whose it is.
    pub agent_id: String,
    /// Of which life of the agent's journal it is; absent where this is a part of a sample, or not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Its number in that life; absent with `epoch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// When it was taken, in Unix milliseconds.
    pub timestamp: i64,
    /// The host and its devices, as far as they have figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceRecord>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureRecord>,
}

/// One device of a sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRecord {
    /// `host`, `disk`, `mount point`, ...
    pub kind: Kind,
    /// Its label; empty for the host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// What describes it beyond its label.
    #[serde(default, skip_serializing_if = "Texts::is_empty")]
    pub texts: Texts,
    /// Its figures, by the metric's path, in the metric's unit.
    pub values: Figures,
}

/// Something that could not be read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureRecord {
    /// By which collector.
    pub collector: String,
    /// Why.
    pub reason: String,
}

/// A kind of device, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub Dimension);

/// Texts of a device, by the name of what they say.
#[derive(Debug, Clone, Default)]
pub struct Texts(pub Vec<(Attribute, String)>);

/// Figures of a device.
#[derive(Debug, Clone, Default)]
pub struct Figures(pub Vec<(&'static Metric, f64)>);

/// Why a record is no sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidRecord {
    /// What no sample from an agent may be either.
    #[error(transparent)]
    Sample(#[from] InvalidSample),
    /// A figure outside its unit's range.
    #[error("{path} is {value}, outside {lowest} to {highest}: correct the value, or leave it out")]
    Value {
        /// Of which metric.
        path: &'static str,
        /// What it says.
        value: f64,
        /// The lowest that can be.
        lowest: f64,
        /// The highest that can be.
        highest: f64,
    },
    /// A metric of another kind of device.
    #[error(
        "{path} is a metric of a {expected}, and here of a {found}: correct the metric or the kind of device"
    )]
    Kind {
        /// Of which metric.
        path: &'static str,
        /// What kind of device it is of.
        expected: &'static str,
        /// The kind that the record says.
        found: &'static str,
    },
    /// A label that no device of the kind has.
    #[error("{label:?} is no label of a {kind}: correct it")]
    Label {
        /// What it says.
        label: String,
        /// Of which kind of device.
        kind: &'static str,
    },
    /// An identity that no agent gives.
    #[error("epoch and seq are given both or not at all, seq from 1 on, both below 2^63")]
    Id,
    /// More failures than there are collectors.
    #[error("the sample has {0} failures; at most {MAX_FAILURES}")]
    TooManyFailures(usize),
}

impl Record {
    /// A whole sample.
    pub fn of(agent_id: &str, id: SampleId, sample: &Sample) -> Self {
        Self {
            epoch: Some(id.epoch).filter(|epoch| *epoch != NO_EPOCH),
            seq: Some(id.seq).filter(|_| id.epoch != NO_EPOCH),
            failures: sample.failures.iter().map(FailureRecord::of).collect(),
            ..Self::select(agent_id, sample, |_, _| true)
        }
    }

    /// The part of a sample that is selected: it has no identity, since it is not that sample. `None` if there is none.
    pub fn part_of(agent_id: &str, sample: &Sample, selectors: &[Selector]) -> Option<Self> {
        let covers =
            |metric: &Metric, label: &str| selectors.iter().any(|selector| selector.covers(metric, label));
        let part = Self::select(agent_id, sample, covers);
        (!part.devices.is_empty()).then_some(part)
    }

    fn select(agent_id: &str, sample: &Sample, wanted: impl Fn(&Metric, &str) -> bool) -> Self {
        let devices = catalogue::devices(sample).filter_map(|device| {
            let values: Vec<_> = device
                .values(sample)
                .filter(|(metric, _)| wanted(metric, &device.label))
                .collect();
            let texts = device.attributes(sample).into_iter();
            (!values.is_empty()).then(|| DeviceRecord {
                kind: Kind(device.dimension),
                label: device.label.to_string(),
                texts: Texts(texts.map(|(text, said)| (text, said.to_owned())).collect()),
                values: Figures(values),
            })
        });
        Self {
            agent_id: agent_id.to_owned(),
            timestamp: sample.timestamp.0,
            devices: devices.collect(),
            ..Self::default()
        }
    }

    /// Its identity: the agent's or, where it has none, one that its time makes, the same each time.
    ///
    /// # Errors
    /// One that no agent gives.
    pub fn id(&self) -> Result<SampleId, InvalidRecord> {
        let (epoch, seq) = match (self.epoch, self.seq) {
            (Some(epoch), Some(seq)) if epoch != NO_EPOCH => (epoch, seq),
            (None, None) => (NO_EPOCH, self.timestamp.unsigned_abs()),
            _ => return Err(InvalidRecord::Id),
        };
        let is_one = seq > 0 && i64::try_from(epoch).is_ok() && i64::try_from(seq).is_ok();
        is_one.then_some(SampleId { epoch, seq }).ok_or(InvalidRecord::Id)
    }

    /// The sample, checked and rounded as one from an agent.
    ///
    /// # Errors
    /// It can't be right; the message says what is wrong.
    pub fn sample(&self) -> Result<Sample, InvalidRecord> {
        let timestamp = check_timestamp(Some(self.timestamp))?;
        if self.devices.len() > MAX_DEVICES {
            return Err(InvalidSample::TooManyDevices(self.devices.len()).into());
        }
        if self.failures.len() > MAX_FAILURES {
            return Err(InvalidRecord::TooManyFailures(self.failures.len()));
        }
        let mut sample = Sample {
            timestamp,
            failures: self.failures.iter().map(FailureRecord::failure).collect(),
            ..Sample::default()
        };
        for device in &self.devices {
            device.add_to(&mut sample)?;
        }
        check_sample(&mut sample)?;
        Ok(sample)
    }
}

impl DeviceRecord {
    fn add_to(&self, sample: &mut Sample) -> Result<(), InvalidRecord> {
        let Kind(dimension) = self.kind;
        if self.label.len() > MAX_LABEL_BYTES {
            return Err(InvalidSample::LabelTooLong(self.label.len()).into());
        }
        let index = dimension.find_or_add(sample, &self.label);
        if dimension.label(sample, index) != self.label {
            return Err(InvalidRecord::Label {
                label: self.label.clone(),
                kind: dimension.name(),
            });
        }
        for (attribute, text) in &self.texts.0 {
            dimension.describe(sample, index, *attribute, text);
        }
        for (metric, value) in &self.values.0 {
            if metric.dimension() != dimension {
                return Err(InvalidRecord::Kind {
                    path: metric.path,
                    expected: metric.dimension().name(),
                    found: dimension.name(),
                });
            }
            let range = metric.unit.range();
            if !range.contains(value) {
                return Err(InvalidRecord::Value {
                    path: metric.path,
                    value: *value,
                    lowest: *range.start(),
                    highest: *range.end(),
                });
            }
            metric.set(sample, index, *value);
        }
        Ok(())
    }
}

impl FailureRecord {
    fn of(failure: &CollectFailure) -> Self {
        let CollectFailure { collector, reason } = failure.clone();
        Self { collector, reason }
    }

    fn failure(&self) -> CollectFailure {
        let Self { collector, reason } = self.clone();
        CollectFailure { collector, reason }
    }
}

impl Texts {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The words for what texts say.
const TEXTS: [(Attribute, &str); 12] = [
    (Attribute::Device, "device"),
    (Attribute::Parent, "parent"),
    (Attribute::Name, "name"),
    (Attribute::Uuid, "uuid"),
    (Attribute::Command, "command"),
    (Attribute::User, "user"),
    (Attribute::Unit, "unit"),
    (Attribute::Container, "container"),
    (Attribute::Cgroup, "cgroup"),
    (Attribute::Id, "id"),
    (Attribute::Image, "image"),
    (Attribute::Runtime, "runtime"),
];

/// The word for what a text says.
pub fn text_name(attribute: Attribute) -> &'static str {
    TEXTS[attribute as usize - 1].1
}

/// What a text says, by the word for it.
///
/// # Errors
/// There is no such word; the message lists those that there are.
pub fn text_named(name: &str) -> Result<Attribute, String> {
    let found = TEXTS.iter().find(|(_, word)| *word == name);
    found.map(|(attribute, _)| *attribute).ok_or_else(|| {
        let words = TEXTS.map(|(_, word)| word).join(", ");
        format!("{name:?} is nothing that is said of devices; there are: {words}")
    })
}

/// A kind of device, by its name.
///
/// # Errors
/// There is none; the message lists those that there are.
pub fn kind_named(name: &str) -> Result<Dimension, String> {
    let found = Dimension::ALL.into_iter().find(|kind| kind.name() == name);
    found.ok_or_else(|| {
        let kinds = Dimension::ALL.map(Dimension::name).join(", ");
        format!("{name:?} is no kind of device; there are: {kinds}")
    })
}

/// A metric by its path.
///
/// # Errors
/// There is none; the message has the nearest.
pub fn metric_named(path: &str) -> Result<&'static Metric, String> {
    Selector::parse(path)
        .map(|selector| selector.metric())
        .map_err(|unknown| unknown.to_string())
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        kind_named(&name).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (attribute, text) in &self.0 {
            map.serialize_entry(text_name(*attribute), text)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer, text_named).map(Self)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (metric, value) in &self.0 {
            // Readers of JSON take fractions for nearly what they are, and whole numbers for exactly that.
            if value.fract() == 0.0 {
                map.serialize_entry(metric.path, &(*value as i64))?;
            } else {
                map.serialize_entry(metric.path, value)?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pairs(deserializer, metric_named).map(Self)
    }
}

/// A map as pairs, its keys read by `key`.
fn pairs<'de, D: Deserializer<'de>, K, V: Deserialize<'de>>(
    deserializer: D,
    key: fn(&str) -> Result<K, String>,
) -> Result<Vec<(K, V)>, D::Error> {
    struct Pairs<K, V>(fn(&str) -> Result<K, String>, std::marker::PhantomData<V>);
    impl<'de, K, V: Deserialize<'de>> Visitor<'de> for Pairs<K, V> {
        type Value = Vec<(K, V)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                let name = (self.0)(&name).map_err(de::Error::custom)?;
                all.push((name, map.next_value()?));
            }
            Ok(all)
        }
    }
    deserializer.deserialize_map(Pairs(key, std::marker::PhantomData))
}

#[cfg(test)]
mod tests;
