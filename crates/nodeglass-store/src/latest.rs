//! The numbers of the series in agents' newest samples, remembered from one to the next.
//!
//! A host has the same series from one minute to the next, and a series keeps its number for good: looking up two hundred
//! of them again costs far more than all else that saving a sample does. Forgotten, they are looked up.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};

use crate::AgentKey;
use crate::tiers::SeriesName;

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

impl LatestSeries {
    fn hash(&self, values: &[(SeriesName, f64)]) -> u64 {
        let names: Vec<&SeriesName> = values.iter().map(|(name, _)| name).collect();
        self.hasher.hash_one(names)
    }

    /// The numbers of these series, if they are those of the agent's sample before.
    pub(crate) fn find(&self, agent: AgentKey, values: &[(SeriesName, f64)]) -> Option<Arc<Numbered>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let numbered = known.get(&agent)?.clone();
        drop(known);
        (numbered.ids.len() == values.len() && numbered.names == self.hash(values)).then_some(numbered)
    }

    /// Puts series and their numbers together.
    pub(crate) fn numbered(&self, values: &[(SeriesName, f64)], ids: Vec<i32>) -> Arc<Numbered> {
        let names = self.hash(values);
        Arc::new(Numbered { names, ids })
    }

    /// Remembers what is in the database for good.
    pub(crate) fn keep(&self, numbered: impl IntoIterator<Item = (AgentKey, Arc<Numbered>)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(numbered);
    }
}
