//! Rows become records again.

use std::collections::HashMap;

use nodeglass_model::catalogue::Dimension;
use nodeglass_server::record::{
    DeviceRecord, FailureRecord, Figures, Kind, Record, Texts, metric_named, text_named,
};

use super::{Entry, Place, Said};

/// Puts the rows of one sample after the other together; those of a sample stand together.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    open: Option<(Place, Record)>,
    /// Where the open record has which device.
    devices: HashMap<(Dimension, String), usize>,
}

impl Assembler {
    /// Adds a row; gives the record before it if it is the first row of another.
    ///
    /// # Errors
    /// It says something of a metric twice.
    pub(crate) fn add(&mut self, place: Place, entry: Entry) -> Result<Option<(Place, Record)>, String> {
        let Entry {
            agent,
            timestamp,
            id,
            said,
        } = entry;
        let is_same = self.open.as_ref().is_some_and(|(_, open)| {
            open.agent_id == agent && open.timestamp == timestamp && open.epoch.zip(open.seq) == id
        });
        let mut before = None;
        if !is_same {
            self.devices.clear();
            let new = Record {
                agent_id: agent,
                epoch: id.map(|(epoch, _)| epoch),
                seq: id.map(|(_, seq)| seq),
                timestamp,
                ..Record::default()
            };
            before = self.open.replace((place, new));
        }
        self.say(said)?;
        Ok(before)
    }

    /// The last record.
    pub(crate) fn finish(self) -> Option<(Place, Record)> {
        self.open
    }

    fn say(&mut self, said: Said) -> Result<(), String> {
        match said {
            Said::Nothing => {}
            Said::Failure { collector, reason } => {
                if let Some((_, open)) = &mut self.open {
                    open.failures.push(FailureRecord { collector, reason });
                }
            }
            Said::Text {
                kind,
                what,
                device,
                text,
            } => {
                let attribute = text_named(what)?;
                if let Some(device) = self.device(kind, device) {
                    device.texts.0.push((attribute, text));
                }
            }
            Said::Figure {
                metric,
                device: label,
                value,
            } => {
                let metric = metric_named(&metric)?;
                if let Some(device) = self.device(metric.dimension(), label) {
                    if device.values.0.iter().any(|(known, _)| known.id == metric.id) {
                        let (path, label) = (metric.path, &device.label);
                        let of = if label.is_empty() {
                            String::new()
                        } else {
                            format!(" of {label}")
                        };
                        return Err(format!(
                            "the sample has {path}{of} already: take one of the two rows out"
                        ));
                    }
                    device.values.0.push((metric, value));
                }
            }
        }
        Ok(())
    }

    fn device(&mut self, kind: Dimension, label: String) -> Option<&mut DeviceRecord> {
        let (_, open) = self.open.as_mut()?;
        let index = *self
            .devices
            .entry((kind, label))
            .or_insert_with_key(|(kind, label)| {
                open.devices.push(DeviceRecord {
                    kind: Kind(*kind),
                    label: label.clone(),
                    texts: Texts::default(),
                    values: Figures::default(),
                });
                open.devices.len() - 1
            });
        open.devices.get_mut(index)
    }
}
