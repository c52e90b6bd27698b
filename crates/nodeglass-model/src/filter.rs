//! Which metrics are wanted: patterns as in the configuration and in stream requests.

use crate::catalogue::{self, METRICS, Metric};
use crate::sample::Sample;

/// Metrics to keep. A pattern is a path (`cpu.usage_percent`) or a beginning of paths that ends before a `.` or `_`
/// (`cpu`, `cpu.temperature`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricFilter {
    /// Lists of which each must name a metric that is kept.
    include: Vec<Vec<String>>,
    exclude: Vec<String>,
}

/// A pattern that fits no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} fits no metric; the nearest are {}", nearest.join(", "))]
pub struct UnknownPattern {
    pattern: String,
    nearest: Vec<&'static str>,
}

impl MetricFilter {
    /// Keeps what `include` names (everything if it is empty) less what `exclude` names.
    ///
    /// # Errors
    /// The patterns that fit no metric, all of them.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, Vec<UnknownPattern>> {
        check(include.iter().chain(exclude))?;
        let mut filter = Self {
            include: Vec::new(),
            exclude: exclude.to_vec(),
        };
        filter
            .include
            .extend((!include.is_empty()).then(|| include.to_vec()));
        Ok(filter)
    }

    /// Keeps what this filter keeps and `include` names besides; all that it keeps if `include` is empty.
    ///
    /// # Errors
    /// The patterns that fit no metric, all of them.
    pub fn narrowed(&self, include: &[String]) -> Result<Self, Vec<UnknownPattern>> {
        check(include.iter())?;
        let mut filter = self.clone();
        filter
            .include
            .extend((!include.is_empty()).then(|| include.to_vec()));
        Ok(filter)
    }

    /// Keeps what this filter keeps and both lists let through, as [`MetricFilter::new`] takes them.
    ///
    /// # Errors
    /// The patterns that fit no metric, all of them.
    pub fn within(&self, include: &[String], exclude: &[String]) -> Result<Self, Vec<UnknownPattern>> {
        check(include.iter().chain(exclude))?;
        let mut filter = self.narrowed(include)?;
        filter.exclude.extend_from_slice(exclude);
        Ok(filter)
    }

    /// Whether this metric is wanted.
    pub fn keeps(&self, metric: &Metric) -> bool {
        let named = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, metric.path));
        self.include.iter().all(|list| named(list)) && !named(&self.exclude)
    }

    /// Whether any metric under this prefix is wanted, so that a collector can be left out: `disk`.
    pub fn keeps_any(&self, prefix: &str) -> bool {
        METRICS
            .iter()
            .any(|metric| fits(prefix, metric.path) && self.keeps(metric))
    }

    /// The last list of what to keep, which is within those before it; empty for everything.
    pub fn narrowest(&self) -> &[String] {
        self.include.last().map(Vec::as_slice).unwrap_or_default()
    }

    /// What is left out.
    pub fn excluded(&self) -> &[String] {
        &self.exclude
    }

    /// Whether everything is wanted.
    pub fn keeps_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Clears what is not wanted from a sample.
    pub fn apply(&self, sample: &mut Sample) {
        if self.keeps_all() {
            return;
        }
        for metric in METRICS.iter().filter(|metric| !self.keeps(metric)) {
            catalogue::clear(sample, metric);
        }
        catalogue::remove_empty_devices(sample);
    }
}

/// Finds the patterns that fit no metric.
fn check<'a>(patterns: impl Iterator<Item = &'a String>) -> Result<(), Vec<UnknownPattern>> {
    let unknown: Vec<UnknownPattern> = patterns
        .filter(|pattern| !METRICS.iter().any(|metric| fits(pattern, metric.path)))
        .map(|pattern| UnknownPattern {
            pattern: pattern.clone(),
            nearest: catalogue::nearest(pattern),
        })
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown) }
}

fn fits(pattern: &str, path: &str) -> bool {
    path.strip_prefix(pattern)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '_']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{CoreMetrics, NetworkMetrics};

    fn filter(include: &[&str], exclude: &[&str]) -> Result<MetricFilter, Vec<UnknownPattern>> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        MetricFilter::new(&owned(include), &owned(exclude))
    }

    #[test]
    fn patterns_end_where_words_end() {
        let filter = filter(&["cpu"], &["cpu.temperature"]).unwrap();
        assert!(filter.keeps(catalogue::by_path("cpu.usage_percent").unwrap()));
        assert!(!filter.keeps(catalogue::by_path("cpu.temperature_celsius").unwrap()));
        assert!(!filter.keeps(catalogue::by_path("memory.used_bytes").unwrap()));
        assert!(filter.keeps_any("cpu") && !filter.keeps_any("disk"));
    }

    #[test]
    fn a_narrowed_filter_keeps_nothing_that_the_wide_one_did_not() {
        let wide = filter(&["cpu", "memory"], &["cpu.nice"]).unwrap();
        let narrow = wide.narrowed(&["cpu".to_owned(), "load".to_owned()]).unwrap();
        let keeps = |path| narrow.keeps(catalogue::by_path(path).unwrap());
        assert!(keeps("cpu.usage_percent"));
        assert!(!keeps("memory.used_bytes") && !keeps("load.load1") && !keeps("cpu.nice_percent"));
        assert_eq!(wide.narrowed(&[]).unwrap(), wide);
    }

    #[test]
    fn names_every_pattern_that_fits_nothing() {
        let unknown = filter(&["cp", "cpu"], &["memory.use"]).unwrap_err();
        let texts: Vec<_> = unknown.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[1].contains("memory.used_bytes"), "{texts:?}");
    }

    #[test]
    fn clears_figures_and_devices_that_are_left_empty() {
        let mut sample = Sample::default();
        sample.cpu.usage_percent = Some(1.0);
        sample.cpu.cores.push(CoreMetrics {
            usage_percent: Some(1.0),
            ..Default::default()
        });
        sample.network_interfaces.push(NetworkMetrics {
            drops_in: Some(1),
            ..Default::default()
        });
        filter(&["cpu.usage_percent"], &[]).unwrap().apply(&mut sample);
        assert_eq!(sample.cpu.usage_percent, Some(1.0));
        assert!(sample.cpu.cores.is_empty() && sample.network_interfaces.is_empty());
    }
}
