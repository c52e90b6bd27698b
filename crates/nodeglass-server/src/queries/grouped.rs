//! Histories of agents put together by what a label says of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use nodeglass_model::history::HistoryQuery;

use super::Queries;
use super::past::StoredHistory;
use crate::error::ApiError;
use crate::live::LiveAgent;

/// Values of a label in one answer: a label that tells every agent from every other puts nothing together.
const MAX_GROUPS: usize = 200;

/// Agents of one value, and what is stored of them made one.
#[derive(Debug)]
pub struct Grouped {
    /// The label's value; `None` for agents without it, who come last.
    pub value: Option<String>,
    /// The agents, by name.
    pub agents: Vec<Arc<LiveAgent>>,
    /// What is stored of them all.
    pub stored: StoredHistory,
}

impl Queries {
    /// What is stored of several agents, put together by the values of a label.
    ///
    /// # Errors
    /// Too many values, a query that needs what is not kept any more, or a database that does not answer.
    pub async fn histories_by_label(
        self: &Arc<Self>,
        agents: Vec<Arc<LiveAgent>>,
        query: &HistoryQuery,
        label: &str,
    ) -> Result<Vec<Grouped>, ApiError> {
        let mut by_value: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut without = Vec::new();
        for agent in agents {
            match agent.labels().value(label) {
                Some(value) => by_value.entry(value.to_owned()).or_default().push(agent.clone()),
                None => without.push(agent.clone()),
            }
        }
        if by_value.len() > MAX_GROUPS {
            return Err(ApiError::Parameter {
                name: "group_by",
                problem: format!(
                    "the label {label} has {} values among these agents; at most {MAX_GROUPS} can be shown: name fewer agents",
                    by_value.len()
                ),
            });
        }
        let without = (!without.is_empty()).then_some((None, without));
        let all = by_value.into_iter().map(|(value, agents)| (Some(value), agents));
        let mut groups = Vec::new();
        for (value, agents) in all.chain(without) {
            let stored = self.history_together(agents.clone(), query).await?;
            groups.push(Grouped {
                value,
                agents,
                stored,
            });
        }
        Ok(groups)
    }
}
