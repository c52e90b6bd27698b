//! Writing figures down: Prometheus' text format, and OpenMetrics, which differs in the names of counters and in its end.

use std::fmt::{Display, Write as _};

use super::families::{Family, Kind};
use super::histogram::{BOUNDS_MS, Reading};

/// Which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`
    OpenMetrics,
}

impl Format {
    /// The one that whoever sends this `Accept` header wants.
    pub fn wanted(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// What it is called in `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A page of figures.
#[derive(Debug)]
pub(super) struct Page {
    format: Format,
    text: String,
}

impl Page {
    /// An empty one.
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            text: String::with_capacity(16 << 10),
        }
    }

    /// A figure without labels.
    pub(super) fn one(&mut self, family: &Family, value: impl Display) {
        self.head(family);
        self.line(family.name, &[], value);
    }

    /// Figures with a value for the family's one label.
    pub(super) fn each(&mut self, family: &Family, values: impl IntoIterator<Item = (&'static str, u64)>) {
        self.head(family);
        for (label, value) in values {
            self.line(family.name, &[(family.labels[0], label)], value);
        }
    }

    /// Histograms, each with the values of the family's labels.
    pub(super) fn histograms<'a>(
        &mut self,
        family: &Family,
        histograms: impl IntoIterator<Item = (Vec<&'a str>, Reading)>,
    ) {
        self.head(family);
        for (values, reading) in histograms {
            let labels: Vec<(&str, &str)> = family.labels.iter().copied().zip(values).collect();
            let bucket = format!("{}_bucket", family.name);
            for (bound, count) in BOUNDS_MS.iter().zip(reading.cumulative) {
                let bound = format!("{:?}", *bound as f64 / 1000.0);
                let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
                self.line(&bucket, &labels, count);
            }
            let most: Vec<_> = labels.iter().copied().chain([("le", "+Inf")]).collect();
            self.line(&bucket, &most, reading.count);
            self.line(&format!("{}_sum", family.name), &labels, reading.sum_seconds);
            self.line(&format!("{}_count", family.name), &labels, reading.count);
        }
    }

    fn head(&mut self, family: &Family) {
        let Family { name, kind, help, .. } = family;
        let name = match self.format {
            Format::OpenMetrics if *kind == Kind::Counter => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.name())
            .expect("text can be written to");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            write!(self.text, "{before}{label}=\"{text}\"").expect("text can be written to");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{end} {value}").expect("text can be written to");
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::families::{AGENTS, REQUESTS, STORED};
    use super::super::histogram::Histogram;
    use super::*;

    #[test]
    fn both_formats_keep_to_their_rules() {
        for (format, counter, end) in [
            (
                Format::Prometheus,
                "# TYPE nodeglass_server_samples_stored_total counter",
                "} 2\n",
            ),
            (
                Format::OpenMetrics,
                "# TYPE nodeglass_server_samples_stored counter",
                "# EOF\n",
            ),
        ] {
            let mut page = Page::new(format);
            page.one(&STORED, 7);
            let histogram = Histogram::default();
            histogram.add(Duration::from_millis(3));
            page.histograms(&REQUESTS, [(vec!["/a\"b", "GET", "2xx"], histogram.read())]);
            page.each(&AGENTS, [("connected", 1), ("disconnected", 2)]);
            let text = page.finish();
            assert!(text.contains(counter) && text.ends_with(end), "{text}");
            assert!(
                text.contains("\nnodeglass_server_samples_stored_total 7\n"),
                "{text}"
            );
            let labels = r#"{route="/a\"b",method="GET",status="2xx""#;
            assert!(
                text.contains(&format!("_bucket{labels},le=\"0.002\"}} 0\n")),
                "{text}"
            );
            assert!(
                text.contains(&format!("_bucket{labels},le=\"0.005\"}} 1\n")),
                "{text}"
            );
            assert!(
                text.contains(&format!("_bucket{labels},le=\"1.0\"}} 1\n")),
                "{text}"
            );
            assert!(text.contains(&format!("_sum{labels}}} 0.003\n")), "{text}");
        }
        assert_eq!(
            Format::wanted(Some(
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
            )),
            Format::OpenMetrics
        );
        assert_eq!(Format::wanted(None), Format::Prometheus);
    }
}
