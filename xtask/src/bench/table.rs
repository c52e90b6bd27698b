//! The table of the agent's figures: what was measured, the bar for it, whether it is met, and what others cost.

use serde_json::{Value, json};

/// One line.
pub(super) struct Row {
    /// The figure's name in JSON.
    pub(super) key: &'static str,
    /// Its name for people, with what it was measured on.
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) measured: f64,
    /// The most that it may be; `None` for what is shown only.
    pub(super) bar: Option<f64>,
    /// Whether the bar is the least that it must be instead.
    pub(super) is_floor: bool,
    /// The same figure of others.
    pub(super) peers: Vec<Peer>,
}

/// What another program costs in the same unit.
pub(super) struct Peer {
    pub(super) name: &'static str,
    pub(super) measured: f64,
}

impl Row {
    /// A line without a bar and without others.
    pub(super) fn new(key: &'static str, name: impl Into<String>, measured: f64, unit: &'static str) -> Self {
        Self {
            key,
            name: name.into(),
            unit,
            measured,
            bar: None,
            is_floor: false,
            peers: Vec::new(),
        }
    }

    /// The same with a bar.
    pub(super) fn at_most(self, bar: f64) -> Self {
        Self {
            bar: Some(bar),
            ..self
        }
    }

    /// The same with the least that it must be.
    pub(super) fn at_least(self, bar: f64) -> Self {
        Self {
            bar: Some(bar),
            is_floor: true,
            ..self
        }
    }

    /// The same with one of others, if it was measured.
    pub(super) fn beside(mut self, name: &'static str, measured: Option<f64>) -> Self {
        self.peers
            .extend(measured.map(|measured| Peer { name, measured }));
        self
    }

    fn is_met(&self) -> Option<bool> {
        let met = |bar| {
            if self.is_floor {
                self.measured >= bar
            } else {
                self.measured <= bar
            }
        };
        self.bar.map(met)
    }

    fn cells(&self) -> [String; 5] {
        let met = self.is_met().map(|met| if met { "yes" } else { "NO" });
        let sign = if self.is_floor { "≥" } else { "≤" };
        let peers = self.peers.iter().map(|peer| {
            let share = self.measured / peer.measured;
            format!(
                "{} {} (ours is {share:.2} of it)",
                peer.name,
                number(peer.measured)
            )
        });
        [
            self.name.clone(),
            format!("{} {}", number(self.measured), self.unit),
            self.bar
                .map_or_else(String::new, |bar| format!("{sign} {bar} {}", self.unit)),
            met.unwrap_or_default().to_owned(),
            peers.collect::<Vec<_>>().join(", "),
        ]
    }

    /// The figure as JSON, under its key.
    pub(super) fn json(&self) -> (String, Value) {
        let peers = self.peers.iter().map(|peer| {
            let share = self.measured / peer.measured;
            (
                peer.name.to_owned(),
                json!({ "measured": peer.measured, "share": share }),
            )
        });
        let value = json!({
            "measured": self.measured,
            "unit": self.unit,
            "bar": self.bar,
            "met": self.is_met(),
            "peers": Value::Object(peers.collect()),
        });
        (self.key.to_owned(), value)
    }
}

/// Prints lines in columns, which are those of a table in Markdown.
pub(super) fn print(rows: &[Row]) {
    let head = ["figure", "measured", "bar", "met", "others, in the same unit"].map(str::to_owned);
    let body: Vec<_> = rows.iter().map(Row::cells).collect();
    let mut widths = [3; 5];
    for cells in body.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[String; 5]| {
        let padded = cells.iter().zip(widths);
        let padded = padded.map(|(cell, width)| format!(" {cell:<width$} "));
        println!("|{}|", padded.collect::<Vec<_>>().join("|"));
    };
    line(&head);
    line(&widths.map(|width| "-".repeat(width)));
    body.iter().for_each(line);
}

/// Three digits that count, or whole numbers with their thousands.
fn number(value: f64) -> String {
    if value.abs() >= 1000.0 {
        let digits = format!("{value:.0}");
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return grouped;
    }
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_readable() {
        let shown = [0.1834, 1.0, 12.34, 187.6, 1000.4, 86_400.0, 1_234_567.0].map(number);
        assert_eq!(
            shown,
            ["0.183", "1.00", "12.3", "188", "1,000", "86,400", "1,234,567"]
        );
    }

    #[test]
    fn a_bar_is_met_up_to_itself() {
        let row = |measured| Row::new("cpu", "CPU", measured, "ms").at_most(0.8);
        assert_eq!(
            [0.8, 0.81].map(|measured| row(measured).is_met()),
            [Some(true), Some(false)]
        );
        assert_eq!(Row::new("cpu", "CPU", 0.8, "ms").is_met(), None);
    }

    #[test]
    fn a_line_tells_its_share_of_others() {
        let row = Row::new("cpu", "CPU", 0.5, "ms")
            .beside("sadc", Some(2.0))
            .beside("absent", None);
        assert_eq!(row.cells()[4], "sadc 2.00 (ours is 0.25 of it)");
        assert_eq!(row.json().1["peers"]["sadc"]["share"], 0.25);
    }
}
