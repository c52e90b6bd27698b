//! Databases with history in them, and in how many bytes it lies there.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::bench::programs::program;
use crate::bench::table::Row;

/// Keys and bars of what is stored at one interval.
pub(super) struct StoredAs {
    name: &'static str,
    /// For all tiers, and for its part in chunks and in rollups; after vacuum; rollups as a share of the rest.
    keys: [&'static str; 5],
    bar: f64,
}

pub(super) const ONE_SECOND: StoredAs = StoredAs {
    name: "1 s",
    keys: [
        "stored_1s_bytes_per_value",
        "stored_1s_chunk_index_bytes_per_value",
        "stored_1s_rollup_bytes_per_value",
        "stored_1s_vacuumed_bytes_per_value",
        "stored_1s_rollup_percent",
    ],
    bar: 0.38,
};
pub(super) const FIVE_SECONDS: StoredAs = StoredAs {
    name: "5 s",
    keys: [
        "stored_5s_bytes_per_value",
        "stored_5s_chunk_index_bytes_per_value",
        "stored_5s_rollup_bytes_per_value",
        "stored_5s_vacuumed_bytes_per_value",
        "stored_5s_rollup_percent",
    ],
    bar: 0.60,
};
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
        let (name, [all, index, rollup, vacuumed, percent]) = (stored.name, stored.keys);
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
            row(
                vacuumed,
                format!("at {name}: chunks and staging with indexes, vacuumed"),
                tiers("vacuumed"),
            )
            .at_most(stored.bar),
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
