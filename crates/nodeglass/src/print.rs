//! Figures and tables as people read them.

use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::{self, Unit};

/// A value with its unit: `25.4 %`, `1.5 GiB`, `3.2 MiB/s`; a dash where there is none.
pub(crate) fn value(path: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let path = path.split('@').next().unwrap_or(path);
    match catalogue::by_path(path).map(|metric| metric.unit) {
        Some(Unit::Percent) => format!("{value:.1} %"),
        Some(Unit::Bytes) => bytes(value),
        Some(Unit::BytesPerSec) => format!("{}/s", bytes(value)),
        Some(Unit::PercentOfCore) => format!("{value:.1} % of a core"),
        Some(Unit::PerSec) => format!("{value:.0} /s"),
        Some(Unit::EventsPerSec) => format!("{value:.2} /s"),
        Some(Unit::Celsius) => format!("{value:.1} °C"),
        Some(Unit::Watts) => format!("{value:.1} W"),
        Some(Unit::Load | Unit::Average | Unit::Cores) => format!("{value:.2}"),
        Some(Unit::Milliseconds) => format!("{value} ms"),
        Some(Unit::Seconds) => format!("{value} s"),
        Some(Unit::Megahertz) => format!("{value:.0} MHz"),
        Some(Unit::Rpm) => format!("{value:.0} rpm"),
        Some(Unit::PerMinute) => format!("{value:.0} /min"),
        Some(Unit::Count | Unit::Custom) | None => format!("{value}"),
    }
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = value;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{scaled:.0} B")
    } else {
        format!("{scaled:.1} {}", UNITS[unit])
    }
}

/// A moment, or a dash.
pub(crate) fn moment(millis: Option<u64>) -> String {
    millis.map_or_else(|| "-".to_owned(), |millis| UnixMillis(millis as i64).to_string())
}

/// Prints rows in columns as wide as they need to be.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_units() {
        assert_eq!(value("cpu.usage_percent", Some(25.44)), "25.4 %");
        assert_eq!(value("memory.used_bytes", Some(1_610_612_736.0)), "1.5 GiB");
        assert_eq!(value("network.bytes_sent_per_sec@eth0", Some(900.0)), "900 B/s");
        assert_eq!(value("cpu.usage_percent", None), "-");
    }
}
