//! Buckets as JSON: `{"timestamp": 1690537800, "cpu.usage_percent": 25.4}`, one after the other.

use std::ops::Range;

use nodeglass_model::history::History;
use serde::Serialize;

/// Appends something as JSON.
pub(in crate::api) fn write(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts and numbers can be written to memory");
}

/// Writes the buckets of an answer.
#[derive(Debug)]
pub(in crate::api) struct Rows {
    history: History,
    /// Each series' name as it stands before a value: `,"cpu.usage_percent":`.
    names: Vec<Vec<u8>>,
}

impl Rows {
    /// Gets ready to write the buckets of `history`.
    pub(in crate::api) fn new(history: History) -> Self {
        let name = |name: &String| {
            let mut text = vec![b','];
            write(&mut text, name);
            text.push(b':');
            text
        };
        Self {
            names: history.series.iter().map(|series| name(&series.name)).collect(),
            history,
        }
    }

    /// How many buckets there are.
    pub(in crate::api) fn len(&self) -> usize {
        self.history.times.len()
    }

    /// Appends some of them, with commas between them and before all but the first of all.
    pub(in crate::api) fn write(&self, rows: Range<usize>, out: &mut Vec<u8>) {
        out.reserve(rows.len() * (28 + self.names.iter().map(|name| name.len() + 8).sum::<usize>()));
        for row in rows {
            out.extend_from_slice(if row > 0 {
                b",{\"timestamp\":"
            } else {
                b"{\"timestamp\":"
            });
            write(out, &self.history.times[row].seconds());
            for (name, series) in self.names.iter().zip(&self.history.series) {
                if let Some(value) = series.values[row] {
                    out.extend_from_slice(name);
                    write(out, &value);
                }
            }
            out.push(b'}');
        }
    }
}
