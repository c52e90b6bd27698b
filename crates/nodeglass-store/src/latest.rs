//! The figures of agents' newest samples, and the numbers of their series, remembered from one to the next.
//!
//! A host has the same series from one minute to the next, and a series keeps its number for good: looking up two hundred
//! of them again costs far more than all else that saving a sample does. Forgotten, they are looked up.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use nodeglass_chunk::row::{Figure, RowError, Scanner};
use nodeglass_model::catalogue::Dimension;
use tracing::error;

use crate::AgentKey;
use crate::tiers::{LatestSample, SeriesName};

/// The numbers by agent: four bytes for each series.
#[derive(Debug, Default)]
pub(crate) struct LatestSeries {
    hasher: RandomState,
    known: Mutex<HashMap<AgentKey, Arc<Numbered>>>,
}

/// The series of one agent's newest sample.
#[derive(Debug)]
pub(crate) struct Numbered {
    /// A hash of their names, in their order.
    names: u64,
    /// Their numbers.
    pub(crate) ids: Vec<i32>,
}

/// What a sample says, for those who read the database with SQL.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// A hash of their series' names, in their order.
    names: u64,
    pub(crate) values: Vec<f64>,
}

impl LatestSeries {
    /// The figures of a sample.
    pub(crate) fn figures(&self, scanner: &mut Scanner, sample: &LatestSample) -> Figures {
        let mut names = self.hasher.build_hasher();
        let mut values = Vec::new();
        let read = scan(scanner, sample, |figure| {
            (figure.metric.id, figure.label).hash(&mut names);
            values.push(figure.metric.unit.of_steps(figure.steps));
        });
        if let Err(error) = read {
            error!(agent = sample.agent.0, %error, "the newest sample of an agent is not to be read");
            return Figures::default();
        }
        Figures {
            names: names.finish(),
            values,
        }
    }

    /// The numbers of the figures' series, if they are those of the agent's sample before.
    pub(crate) fn find(&self, agent: AgentKey, figures: &Figures) -> Option<Arc<Numbered>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = known.get(&agent)?;
        (numbered.ids.len() == figures.values.len() && numbered.names == figures.names)
            .then(|| numbered.clone())
    }

    /// Remembers what is in the database for good.
    pub(crate) fn keep(&self, numbered: impl IntoIterator<Item = (AgentKey, Arc<Numbered>)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(numbered);
    }
}

impl Figures {
    /// Puts the figures' series and their numbers together.
    pub(crate) fn numbered(&self, ids: Vec<i32>) -> Arc<Numbered> {
        let names = self.names;
        Arc::new(Numbered { names, ids })
    }
}

/// The names of a sample's series, in the order of its figures.
pub(crate) fn names(scanner: &mut Scanner, sample: &LatestSample) -> Vec<SeriesName> {
    let mut names = Vec::new();
    let read = scan(scanner, sample, |figure| {
        let is_of_host = figure.metric.dimension() == Dimension::Host;
        names.push(SeriesName {
            metric: figure.metric.id,
            device: (!is_of_host).then(|| figure.label.to_owned()),
        });
    });
    read.expect("a row whose figures were read");
    names
}

/// Shows what a sample says but for processes: they come and go, and each would get a number of its own for good.
fn scan(scanner: &mut Scanner, sample: &LatestSample, found: impl FnMut(Figure<'_>)) -> Result<(), RowError> {
    let is_lasting = |dimension| dimension != Dimension::Process;
    scanner.scan(&sample.payload, is_lasting, found)
}
