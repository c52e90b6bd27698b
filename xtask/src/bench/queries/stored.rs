//! Databases with history in them, and in how many bytes it lies there.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::bench::programs::program;
use crate::bench::table::Row;

/// Keys and bars of what is stored at one interval.
pub(super) struct StoredAs {
    name: String,
    /// For samples before vacuum, for the indexes of that, for rollups, for samples after vacuum, and for rollups as a share of
    /// that.
    keys: [&'static str; 5],
    bar: Option<f64>,
}

/// Under keys with the interval, beside those of another one.
const KEYS_1S: [&str; 5] = [
    "stored_1s_unvacuumed_bytes_per_value",
    "stored_1s_index_bytes_per_value",
    "stored_1s_rollup_bytes_per_value",
    "stored_1s_bytes_per_value",
    "stored_1s_rollup_percent",
];
const KEYS_5S: [&str; 5] = [
    "stored_5s_unvacuumed_bytes_per_value",
    "stored_5s_index_bytes_per_value",
    "stored_5s_rollup_bytes_per_value",
    "stored_5s_bytes_per_value",
    "stored_5s_rollup_percent",
];
/// Of the one interval that is measured.
const KEYS: [&str; 5] = [
    "stored_unvacuumed_bytes_per_value",
    "stored_index_bytes_per_value",
    "stored_rollup_bytes_per_value",
    "stored_bytes_per_value",
    "stored_rollup_percent",
];

impl StoredAs {
    pub(super) fn one_second() -> Self {
        Self::at(1, KEYS_1S)
    }

    pub(super) fn five_seconds() -> Self {
        Self::at(5, KEYS_5S)
    }

    /// What is stored at an interval that somebody chose.
    pub(super) fn only(interval: u64) -> Self {
        Self::at(interval, KEYS)
    }

    fn at(interval: u64, keys: [&'static str; 5]) -> Self {
        Self {
            name: format!("{interval} s"),
            keys,
            bar: match interval {
                1 => Some(0.38),
                5 => Some(0.60),
                _ => None,
            },
        }
    }
}
/// Rollups are at most so many hundredths of what they sum up.
const ROLLUP_PERCENT: f64 = 10.0;

/// A database with history in it.
pub(super) struct Filled {
    /// What `nodeglass-queries fill` says of it.
    pub(super) said: Value,
}

impl Filled {
    /// Fills one as the arguments `what` say.
    ///
    /// # Errors
    /// It can't be filled; the program has said why.
    pub(super) fn fill(
        database: &str,
        trace: &Path,
        series: u32,
        what: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut fill = program("nodeglass-queries");
        fill.args(["fill", "--database", database, "--trace"]).arg(trace);
        fill.args(["--series", &series.to_string()]);
        for (name, value) in what {
            fill.args([name, value]);
        }
        let output = fill.stdout(Stdio::piped()).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the database can't be filled");
        let said = serde_json::from_slice(&output.stdout).context("what it is filled with")?;
        Ok(Self { said })
    }

    /// A number that is said.
    pub(super) fn number(&self, key: &str) -> anyhow::Result<i64> {
        let number = self.said[key].as_i64();
        number.with_context(|| format!("{key} of what it is filled with"))
    }

    /// The series of every agent, percent-encoded.
    pub(super) fn series(&self) -> Vec<String> {
        let names = self.said["series"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(encoded).collect()
    }

    /// Bytes for a value.
    pub(super) fn rows(&self, stored: &StoredAs) -> anyhow::Result<Vec<Row>> {
        let series = self.said["series"].as_array().map_or(0, Vec::len);
        let values = self.number("samples")? as f64 * series as f64;
        let bytes = |when: &str, tier: &str, part: &str| self.said[when][tier][part].as_f64().unwrap_or(0.0);
        let whole = |when: &str, tier: &str| bytes(when, tier, "table") + bytes(when, tier, "index");
        let tiers = |when: &str| whole(when, "staging") + whole(when, "chunk");
        let (name, [all, index, rollup, vacuumed, percent]) = (&stored.name, stored.keys);
        let row =
            |key, name: String, bytes: f64| Row::new(key, format!("{name}, per value"), bytes / values, "B");
        Ok(vec![
            row(
                all,
                format!("at {name}: chunks and staging with indexes, before autovacuum came by"),
                tiers("tiers"),
            ),
            row(
                index,
                format!("at {name}: indexes of it"),
                bytes("tiers", "chunk", "index"),
            ),
            Row {
                bar: stored.bar,
                ..row(
                    vacuumed,
                    format!("at {name}: chunks and staging with indexes, vacuumed"),
                    tiers("vacuumed"),
                )
            },
            row(
                rollup,
                format!("at {name}: rollups with indexes"),
                whole("vacuumed", "rollup"),
            ),
            Row::new(
                percent,
                format!("at {name}: rollups, of the rest"),
                100.0 * whole("vacuumed", "rollup") / tiers("vacuumed"),
                "%",
            )
            .at_most(ROLLUP_PERCENT),
        ])
    }
}

/// A part of a query in a URL.
fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'@' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(letter).collect()
}
