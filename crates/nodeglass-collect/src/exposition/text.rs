//! Prometheus' text format and OpenMetrics: families of series, written into one text.
//!
//! A family is written once, with all of its series behind it, as both formats demand. What can't be said in them (a
//! name with a space in it, a value that is not finite) is left out rather than written wrongly.

use std::fmt::{self, Display, Write};

/// A whole answer has 50 to 100 KB on most hosts.
const USUAL_SIZE: usize = 96 << 10;

/// What OpenMetrics demands of counters' series, and forbids their families.
const TOTAL: &str = "_total";

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type with its parameters, for `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How the values of a family behave over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FamilyKind {
    /// They only grow, until their source starts anew.
    Counter,
    /// They go up and down.
    Gauge,
    /// Nobody said.
    Untyped,
}

/// The text of one answer while it is written.
#[derive(Debug)]
pub struct Exposition {
    text: String,
    format: Format,
}

impl Exposition {
    /// An empty one.
    pub fn new(format: Format) -> Self {
        Self {
            text: String::with_capacity(USUAL_SIZE),
            format,
        }
    }

    /// Begins a family; nothing is written of it until it has a series. A counter's name ends in `_total`.
    ///
    /// Names may come from the kernel: a family whose name is none in these formats is left out.
    pub fn family<'a, H: Display>(&'a mut self, name: &'a str, kind: FamilyKind, help: H) -> Family<'a, H> {
        Family {
            head: (!is_name(name)).then_some(Head::Refused),
            out: self,
            name,
            kind,
            help,
        }
    }

    /// A family of one series without labels.
    pub fn single(&mut self, name: &str, kind: FamilyKind, help: impl Display, value: f64) {
        self.family(name, kind, help).series(&[], value);
    }

    /// The whole text.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn write_head(&mut self, name: &str, kind: FamilyKind, help: &dyn Display) {
        let (family, word) = match (self.format, kind) {
            (Format::Text, FamilyKind::Untyped) => (name, "untyped"),
            (_, FamilyKind::Gauge) => (name, "gauge"),
            (Format::Text, FamilyKind::Counter) => (name, "counter"),
            (Format::OpenMetrics, FamilyKind::Untyped) => (name, "unknown"),
            // A counter under another name would have to change the name of its series, which dashboards go by.
            (Format::OpenMetrics, FamilyKind::Counter) => match name.strip_suffix(TOTAL) {
                Some(family) => (family, "counter"),
                None => (name, "unknown"),
            },
        };
        let quotes = self.format == Format::OpenMetrics;
        let text = &mut self.text;
        write_all(text, format_args!("# HELP {family} "));
        write_all(&mut Escaped { text, quotes }, format_args!("{help}"));
        write_all(text, format_args!("\n# TYPE {family} {word}\n"));
    }
}

/// Why a family's head is not to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Written,
    Refused,
}

/// A family that is being written.
pub struct Family<'a, H> {
    out: &'a mut Exposition,
    name: &'a str,
    kind: FamilyKind,
    help: H,
    head: Option<Head>,
}

impl<H: Display> Family<'_, H> {
    /// Adds a series. A value that is not finite is left out.
    pub fn series(&mut self, labels: &[(&str, &str)], value: f64) {
        if self.begin(value) {
            write_labels(&mut self.out.text, labels);
            write_all(&mut self.out.text, format_args!(" {value}\n"));
        }
    }

    /// Adds a series if there is a value.
    pub fn series_if(&mut self, labels: &[(&str, &str)], value: Option<f64>) {
        if let Some(value) = value {
            self.series(labels, value);
        }
    }

    /// Adds a series whose labels [`render_labels`] made.
    pub fn rendered(&mut self, labels: &str, value: f64) {
        if self.begin(value) {
            write_all(&mut self.out.text, format_args!("{labels} {value}\n"));
        }
    }

    /// Writes what stands before the labels, if the value can be written.
    fn begin(&mut self, value: f64) -> bool {
        if !value.is_finite() || self.head == Some(Head::Refused) {
            return false;
        }
        if self.head.is_none() {
            self.out.write_head(self.name, self.kind, &self.help);
            self.head = Some(Head::Written);
        }
        self.out.text.push_str(self.name);
        true
    }
}

/// Labels as they stand behind a name: `{cpu="0",mode="idle"}`; nothing without labels.
pub(super) fn render_labels(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    write_labels(&mut text, labels);
    text
}

fn write_labels(text: &mut String, labels: &[(&str, &str)]) {
    for (place, (name, value)) in labels.iter().enumerate() {
        text.push(if place == 0 { '{' } else { ',' });
        text.push_str(name);
        text.push_str("=\"");
        let mut escaped = Escaped { text, quotes: true };
        write_all(&mut escaped, format_args!("{value}"));
        text.push('"');
    }
    if !labels.is_empty() {
        text.push('}');
    }
}

/// Writes into a text, which can't fail.
fn write_all(out: &mut impl Write, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a text takes all that is written");
}

/// Escapes what would end a label's value or a line.
struct Escaped<'a> {
    text: &'a mut String,
    quotes: bool,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        for character in written.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '"' if self.quotes => self.text.push_str("\\\""),
                other => self.text.push(other),
            }
        }
        Ok(())
    }
}

/// Whether this can be the name of a family: letters, digits, `_` and `:`, no digit first.
fn is_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(format: Format) -> String {
        let mut out = Exposition::new(format);
        let mut cpu = out.family(
            "cpu_seconds_total",
            FamilyKind::Counter,
            "Time in \"modes\",\nby \\ core.",
        );
        cpu.series(&[("cpu", "0"), ("mode", "a\"b\\c\nd")], 1.25);
        cpu.series(&[("cpu", "1"), ("mode", "idle")], f64::NAN);
        out.family("odd_counter", FamilyKind::Counter, "Odd.")
            .series(&[], 3.0);
        out.single("old", FamilyKind::Untyped, "Old.", 18_446_744_073_709_551_615.0);
        out.single("not a name", FamilyKind::Gauge, "Refused.", 1.0);
        out.single("infinite", FamilyKind::Gauge, "Refused.", f64::INFINITY);
        out.family("empty", FamilyKind::Gauge, "Nothing.")
            .series_if(&[], None);
        out.single("level", FamilyKind::Gauge, "Level.", -0.5);
        out.finish()
    }

    #[test]
    fn prometheus_text() {
        assert_eq!(
            written(Format::Text),
            "# HELP cpu_seconds_total Time in \"modes\",\\nby \\\\ core.\n\
             # TYPE cpu_seconds_total counter\n\
             cpu_seconds_total{cpu=\"0\",mode=\"a\\\"b\\\\c\\nd\"} 1.25\n\
             # HELP odd_counter Odd.\n# TYPE odd_counter counter\nodd_counter 3\n\
             # HELP old Old.\n# TYPE old untyped\nold 18446744073709552000\n\
             # HELP level Level.\n# TYPE level gauge\nlevel -0.5\n"
        );
    }

    #[test]
    fn open_metrics() {
        assert_eq!(
            written(Format::OpenMetrics),
            "# HELP cpu_seconds Time in \\\"modes\\\",\\nby \\\\ core.\n\
             # TYPE cpu_seconds counter\n\
             cpu_seconds_total{cpu=\"0\",mode=\"a\\\"b\\\\c\\nd\"} 1.25\n\
             # HELP odd_counter Odd.\n# TYPE odd_counter unknown\nodd_counter 3\n\
             # HELP old Old.\n# TYPE old unknown\nold 18446744073709552000\n\
             # HELP level Level.\n# TYPE level gauge\nlevel -0.5\n# EOF\n"
        );
    }

    proptest! {
        #[test]
        fn any_label_stays_on_its_line_and_within_its_quotes(value: String) {
            let labels = render_labels(&[("l", &value)]);
            let inner = labels.strip_prefix("{l=\"").and_then(|rest| rest.strip_suffix("\"}")).unwrap();
            prop_assert!(!inner.contains('\n'));
            let mut characters = inner.chars();
            let mut read = String::new();
            while let Some(character) = characters.next() {
                prop_assert_ne!(character, '"');
                read.push(match character {
                    '\\' => match characters.next() {
                        Some('n') => '\n',
                        Some(escaped) => escaped,
                        None => return Err(TestCaseError::fail("a lone backslash")),
                    },
                    other => other,
                });
            }
            prop_assert_eq!(read, value);
        }
    }
}
