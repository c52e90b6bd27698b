//! One thing that a sample says, by itself: the row of CSV and Parquet files.

use nodeglass_model::catalogue::Dimension;
use nodeglass_server::record::{Record, kind_named, metric_named, text_name, text_named};

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Whose sample.
    pub(crate) agent: String,
    /// When it was taken, in Unix milliseconds.
    pub(crate) timestamp: i64,
    /// Which sample; absent where only a part of it is given.
    pub(crate) id: Option<(u64, u64)>,
    /// What it says.
    pub(crate) said: Said,
}

/// What a row says of a sample.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// That it is there: of one that says nothing else.
    Nothing,
    /// A figure of a device.
    Figure {
        /// The metric's path.
        metric: String,
        /// The device's label; empty for the host.
        device: String,
        /// In the metric's unit.
        value: f64,
    },
    /// A text that describes a device. Those of a device come before its figures.
    Text {
        /// What kind of device.
        kind: Dimension,
        /// What is said: `parent`, `command`.
        what: &'static str,
        /// The device's label.
        device: String,
        /// The text.
        text: String,
    },
    /// A collector's failure.
    Failure {
        /// Which.
        collector: String,
        /// Why.
        reason: String,
    },
}

/// How the names of texts begin, where metrics stand otherwise.
const ABOUT: &str = "about:";
/// Stands where metrics stand otherwise.
const FAILURE: &str = "failure";

/// What stands in the columns of a row after its sample's.
#[derive(Debug, PartialEq)]
pub(crate) struct Columns<'a> {
    pub(crate) metric: std::borrow::Cow<'a, str>,
    pub(crate) device: &'a str,
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) text: &'a str,
}

impl Said {
    /// As columns.
    pub(crate) fn columns(&self) -> Columns<'_> {
        let none = Columns {
            metric: "".into(),
            device: "",
            value: None,
            unit: "",
            text: "",
        };
        match self {
            Self::Nothing => none,
            Self::Figure {
                metric,
                device,
                value,
            } => Columns {
                metric: metric.as_str().into(),
                device,
                value: Some(*value),
                unit: metric_named(metric).map_or("", |metric| metric.unit.name()),
                ..none
            },
            Self::Text {
                kind,
                what,
                device,
                text,
            } => Columns {
                metric: format!("{ABOUT}{}:{what}", kind.name()).into(),
                device,
                text,
                ..none
            },
            Self::Failure { collector, reason } => Columns {
                metric: FAILURE.into(),
                device: collector,
                text: reason,
                ..none
            },
        }
    }

    /// From columns.
    ///
    /// # Errors
    /// They say nothing that an export says.
    pub(crate) fn of(metric: &str, device: &str, value: Option<f64>, text: &str) -> Result<Self, String> {
        if metric.is_empty() {
            return Ok(Self::Nothing);
        }
        let (device, text) = (device.to_owned(), text.to_owned());
        if metric == FAILURE {
            return Ok(Self::Failure {
                collector: device,
                reason: text,
            });
        }
        if let Some(about) = metric.strip_prefix(ABOUT) {
            let (kind, what) = about.split_once(':').unwrap_or((about, ""));
            return Ok(Self::Text {
                kind: kind_named(kind)?,
                what: text_name(text_named(what)?),
                device,
                text,
            });
        }
        let metric = metric_named(metric)?.path.to_owned();
        let value =
            value.ok_or_else(|| format!("{metric} has no value: give it one, or take the row out"))?;
        Ok(Self::Figure {
            metric,
            device,
            value,
        })
    }
}

/// A record row by row; one that says nothing is one row all the same.
pub(crate) fn entries(
    record: &Record,
    mut found: impl FnMut(&Entry) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut entry = Entry {
        agent: record.agent_id.clone(),
        timestamp: record.timestamp,
        id: record.epoch.zip(record.seq),
        said: Said::Nothing,
    };
    if record.devices.is_empty() && record.failures.is_empty() {
        return found(&entry);
    }
    for device in &record.devices {
        for (attribute, text) in &device.texts.0 {
            entry.said = Said::Text {
                kind: device.kind.0,
                what: text_name(*attribute),
                device: device.label.clone(),
                text: text.clone(),
            };
            found(&entry)?;
        }
        for (metric, value) in &device.values.0 {
            entry.said = Said::Figure {
                metric: metric.path.to_owned(),
                device: device.label.clone(),
                value: *value,
            };
            found(&entry)?;
        }
    }
    for failure in &record.failures {
        entry.said = Said::Failure {
            collector: failure.collector.clone(),
            reason: failure.reason.clone(),
        };
        found(&entry)?;
    }
    Ok(())
}
