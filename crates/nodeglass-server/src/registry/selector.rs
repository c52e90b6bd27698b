//! Which agents are meant: names, patterns of names, labels and groups, as `agents=` takes them everywhere.

use nodeglass_model::{AgentId, label};

use crate::glob;
use crate::live::LiveAgent;

/// One entry of a list of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The agent of that name: `web-01`.
    Name(String),
    /// Those whose names fit: `web-*`.
    Pattern(String),
    /// Those with a label: `label:env`, `label:env=prod`, `label:env=p*`, `label:env!=prod` (those without it, too).
    Label {
        /// The label's name.
        name: String,
        /// What its value is to be; `None` for any.
        value: Option<String>,
        /// Whether those are meant that this does not hold of.
        is_not: bool,
    },
    /// Those of a group: `group:web`.
    Group(String),
}

impl Choice {
    /// Reads an entry.
    ///
    /// # Errors
    /// It can't be one; says why.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > glob::LONGEST + label::MAX_LABELS {
            return Err(format!("it is longer than {} characters", glob::LONGEST));
        }
        if let Some(group) = text.strip_prefix("group:") {
            return super::groups::check_name(group).map(|()| Self::Group(group.to_owned()));
        }
        if let Some(label) = text.strip_prefix("label:") {
            let (is_not, name, value) = match (label.split_once("!="), label.split_once('=')) {
                (Some((name, value)), _) if !name.contains('=') => (true, name, Some(value)),
                (_, Some((name, value))) => (false, name, Some(value)),
                _ => (false, label, None),
            };
            label::check(name, value.unwrap_or_default()).map_err(|error| error.to_string())?;
            return Ok(Self::Label {
                name: name.to_owned(),
                value: value.map(str::to_owned),
                is_not,
            });
        }
        if glob::is_pattern(text) {
            return Ok(Self::Pattern(text.to_owned()));
        }
        // A name that can't be one is looked for in vain, and its neighbours are named then.
        Ok(Self::Name(text.to_owned()))
    }

    /// Whether an agent is meant.
    pub fn means(&self, agent: &LiveAgent) -> bool {
        match self {
            Self::Name(name) => agent.id.as_str() == name,
            Self::Pattern(pattern) => glob::fits(pattern, agent.id.as_str()),
            Self::Label { name, value, is_not } => {
                let labels = agent.labels();
                let holds = match (labels.value(name), value) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(has), Some(wanted)) => glob::fits(wanted, has),
                };
                holds != *is_not
            }
            Self::Group(group) => agent.profile().is_in(group),
        }
    }
}

impl std::fmt::Display for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(text) | Self::Pattern(text) => f.write_str(text),
            Self::Label { name, value, is_not } => {
                write!(f, "label:{name}")?;
                match value {
                    Some(value) => write!(f, "{}{value}", if *is_not { "!=" } else { "=" }),
                    None => Ok(()),
                }
            }
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

/// Agents that any of its entries means; all of them without an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices(pub Vec<Choice>);

impl Choices {
    /// Reads entries.
    ///
    /// # Errors
    /// One of them can't be read; says which and why.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let parse = |entry: &'a str| {
            Choice::parse(entry).map_err(|problem| {
                let entry: String = entry.chars().take(80).collect();
                format!("{entry:?}: {problem}")
            })
        };
        entries.into_iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an agent is meant.
    pub fn means(&self, agent: &LiveAgent) -> bool {
        self.0.is_empty() || self.0.iter().any(|choice| choice.means(agent))
    }

    /// Whether it means this agent by its whole name, whatever its labels are.
    pub fn names(&self, id: &AgentId) -> bool {
        let name = id.as_str();
        self.0
            .iter()
            .any(|choice| matches!(choice, Choice::Name(named) if named == name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nodeglass_store::{AgentKey, AgentRecord};

    use super::*;
    use crate::live::Live;
    use crate::registry::labels::SaidLabels;

    fn agent(name: &str, labels: &[(&str, &str)]) -> Arc<LiveAgent> {
        let agent = Live::default().admit(&AgentRecord {
            key: AgentKey(1),
            id: name.parse().unwrap(),
            system_info: None,
        });
        let said: SaidLabels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
            .collect();
        agent.change_profile(|profile| {
            profile.said = said.clone();
            profile.groups = [Arc::from("web")].into();
        });
        agent
    }

    #[test]
    fn entries_mean_agents_by_names_patterns_labels_and_groups() {
        let agent = agent("web-01", &[("env", "prod"), ("rack", "7")]);
        for (entry, expected) in [
            ("web-01", true),
            ("web-1", false),
            ("web-*", true),
            ("label:env", true),
            ("label:env=prod", true),
            ("label:env=p*", true),
            ("label:env=dev", false),
            ("label:env!=dev", true),
            ("label:env!=prod", false),
            ("label:tier", false),
            ("label:tier!=1", true),
            ("group:web", true),
            ("group:db", false),
        ] {
            let choice = Choice::parse(entry).unwrap();
            assert_eq!(choice.means(&agent), expected, "{entry}");
            assert_eq!(choice.to_string(), entry);
        }
        for bad in [
            "label:",
            "label:=x",
            "label:a b=c",
            "group:",
            "group:a,b",
            &"x".repeat(400),
        ] {
            assert!(Choice::parse(bad).is_err(), "{bad}");
        }
        let choices = Choices::parse(["db-*", "label:rack=7"]).unwrap();
        assert!(choices.means(&agent) && Choices::default().means(&agent));
        assert!(!Choices::parse(["db-*"]).unwrap().means(&agent));
    }
}
