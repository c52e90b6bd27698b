//! Staged samples as columns, so that they are gathered as chunks are.

use std::collections::BTreeMap;

use nodeglass_chunk::row::{Figure, RowError, Scanner};
use nodeglass_model::UnixMillis;
use nodeglass_model::catalogue::{Metric, MetricId};
use nodeglass_model::history::{DeviceColumn, Fold};
use nodeglass_store::StagedSample;

/// The figures of staged samples that an answer needs.
#[derive(Default)]
pub(super) struct Staged {
    scanner: Option<Scanner>,
    times: Vec<UnixMillis>,
    columns: BTreeMap<MetricId, Vec<Column>>,
}

/// One device's values of one metric, those after its last left out.
struct Column {
    metric: &'static Metric,
    label: String,
    is_part: bool,
    values: Vec<Option<f64>>,
}

impl Staged {
    /// Adds what an answer needs of a sample.
    pub(super) fn add(&mut self, staged: &StagedSample, fold: &Fold<'_>) -> Result<(), RowError> {
        let point = self.times.len();
        self.times.push(staged.timestamp);
        let columns = &mut self.columns;
        let scanner = self.scanner.get_or_insert_with(Scanner::new);
        let is_wanted = |dimension| fold.wants_any(dimension);
        scanner.scan(&staged.payload, is_wanted, |figure| {
            let Figure { metric, label, .. } = figure;
            if !fold.wants(metric, label) {
                return;
            }
            let of_metric = columns.entry(metric.id).or_default();
            let place = of_metric.iter().position(|column| column.label == label);
            let place = place.unwrap_or_else(|| {
                of_metric.push(Column {
                    metric,
                    label: label.to_owned(),
                    is_part: figure.is_part(),
                    values: Vec::new(),
                });
                of_metric.len() - 1
            });
            let values = &mut of_metric[place].values;
            values.resize(point, None);
            values.push(Some(figure.steps as f64));
        })
    }

    /// Adds everything to an answer.
    pub(super) fn fold(&self, fold: &mut Fold<'_>) {
        let columns = self.columns.values().flatten().map(|column| {
            let device = DeviceColumn {
                label: &column.label,
                is_part: column.is_part,
                values: &column.values,
            };
            (column.metric, device)
        });
        fold_columns(fold, &self.times, columns);
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Staged")
            .field("points", &self.times.len())
            .finish_non_exhaustive()
    }
}

/// Adds columns of any metrics to an answer, those of one metric together.
pub(super) fn fold_columns<'a>(
    fold: &mut Fold<'_>,
    times: &[UnixMillis],
    columns: impl Iterator<Item = (&'static Metric, DeviceColumn<'a>)>,
) {
    let mut by_metric: BTreeMap<MetricId, (&'static Metric, Vec<DeviceColumn<'a>>)> = BTreeMap::new();
    for (metric, device) in columns {
        let (_, devices) = by_metric.entry(metric.id).or_insert((metric, Vec::new()));
        devices.push(device);
    }
    for (metric, devices) in by_metric.values() {
        fold.columns(metric, times, devices);
    }
}
