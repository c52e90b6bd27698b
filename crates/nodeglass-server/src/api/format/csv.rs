//! Figures as CSV (RFC 4180).

use std::io::Write;

use bytes::Bytes;
use nodeglass_model::UnixMillis;

use super::{Cells, Sheet};

/// Writes sheets one below the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    has_names: bool,
}

impl Writer {
    /// Writes the rows of a sheet, the first one below the names of its columns.
    pub(super) fn add(&mut self, sheet: &Sheet) -> Bytes {
        let mut out = Vec::with_capacity(sheet.rows() * sheet.columns.len() * 16);
        if !self.has_names {
            self.has_names = true;
            for (at, (name, _)) in sheet.columns.iter().enumerate() {
                separate(&mut out, at);
                text(&mut out, name);
            }
            out.extend_from_slice(b"\r\n");
        }
        for row in 0..sheet.rows() {
            for (at, (_, cells)) in sheet.columns.iter().enumerate() {
                separate(&mut out, at);
                match cells {
                    Cells::Texts(texts) => text(&mut out, &texts[row]),
                    Cells::Times(times) => moment(&mut out, times[row]),
                    Cells::Values(values) => number(&mut out, values[row]),
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Bytes::from(out)
    }
}

fn separate(out: &mut Vec<u8>, column: usize) {
    if column > 0 {
        out.push(b',');
    }
}

/// A text, in quotes where its letters would be taken for the table's.
fn text(out: &mut Vec<u8>, text: &str) {
    if text.contains(['"', ',', '\r', '\n']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// A moment as RFC 3339, with milliseconds where it has some.
fn moment(out: &mut Vec<u8>, at: UnixMillis) {
    let seconds = at.to_string();
    out.extend_from_slice(seconds.trim_end_matches('Z').as_bytes());
    let millis = at.0.rem_euclid(1000);
    if millis > 0 {
        // Writing to memory does not fail.
        let _ = write!(out, ".{millis:03}");
    }
    out.push(b'Z');
}

/// A value, nothing where there is none.
fn number(out: &mut Vec<u8>, value: Option<f64>) {
    if let Some(value) = value {
        let _ = write!(out, "{value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_once_then_rows_with_quotes_where_needed() {
        let sheet = || Sheet {
            columns: vec![
                (
                    "timestamp".to_owned(),
                    Cells::Times(vec![UnixMillis(1_690_538_400_000), UnixMillis(1_690_538_400_250)]),
                ),
                (
                    "disk.usage_percent@/a,\"b\"".to_owned(),
                    Cells::Values(vec![Some(1.5), None]),
                ),
                (
                    "agent_id".to_owned(),
                    Cells::Texts(vec!["a".to_owned(), "b\nc".to_owned()]),
                ),
            ],
        };
        let mut writer = Writer::default();
        let names = "timestamp,\"disk.usage_percent@/a,\"\"b\"\"\",agent_id\r\n";
        let rows = "2023-07-28T10:00:00Z,1.5,a\r\n2023-07-28T10:00:00.250Z,,\"b\nc\"\r\n";
        assert_eq!(writer.add(&sheet()), format!("{names}{rows}"));
        assert_eq!(writer.add(&sheet()), rows);
    }
}
