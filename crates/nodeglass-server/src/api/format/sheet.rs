//! Figures as columns of equal length: what CSV and Arrow are written from.

use std::collections::BTreeSet;
use std::ops::Range;

use nodeglass_model::UnixMillis;
use nodeglass_model::history::{History, HistoryQuery};
use nodeglass_model::selector::DeviceChoice;

/// Some rows of a table.
#[derive(Debug)]
pub(in crate::api) struct Sheet {
    /// Name and cells of each column.
    pub(in crate::api) columns: Vec<(String, Cells)>,
}

/// The cells of one column.
#[derive(Debug)]
pub(in crate::api) enum Cells {
    Texts(Vec<String>),
    Times(Vec<UnixMillis>),
    Values(Vec<Option<f64>>),
}

impl Sheet {
    /// How many rows there are.
    pub(in crate::api) fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, cells)| match cells {
            Cells::Texts(texts) => texts.len(),
            Cells::Times(times) => times.len(),
            Cells::Values(values) => values.len(),
        })
    }

    /// A column for each series, those that were asked for by name among them even if they have no values.
    pub(in crate::api) fn wide(query: &HistoryQuery, history: &History, rows: Range<usize>) -> Self {
        let selectors = query
            .selectors
            .iter()
            .filter(|selector| *selector.device() != DeviceChoice::Every);
        let mut names: BTreeSet<String> = selectors.map(ToString::to_string).collect();
        names.extend(history.series.iter().map(|series| series.name.clone()));
        let times = history.times[rows.clone()].to_vec();
        let mut columns = vec![("timestamp".to_owned(), Cells::Times(times))];
        columns.extend(names.into_iter().map(|name| {
            let values = history.values(&name);
            let values =
                values.map_or_else(|| vec![None; rows.len()], |values| values[rows.clone()].to_vec());
            (name, Cells::Values(values))
        }));
        Self { columns }
    }

    /// A row for each value: agent, time, series, value.
    pub(in crate::api) fn long(values: impl IntoIterator<Item = (String, UnixMillis, String, f64)>) -> Self {
        let (mut agents, mut times) = (Vec::new(), Vec::new());
        let (mut series, mut figures) = (Vec::new(), Vec::new());
        for (agent, time, name, value) in values {
            agents.push(agent);
            times.push(time);
            series.push(name);
            figures.push(Some(value));
        }
        let columns = [
            ("agent_id", Cells::Texts(agents)),
            ("timestamp", Cells::Times(times)),
            ("series", Cells::Texts(series)),
            ("value", Cells::Values(figures)),
        ];
        Self {
            columns: columns.map(|(name, cells)| (name.to_owned(), cells)).into(),
        }
    }
}
