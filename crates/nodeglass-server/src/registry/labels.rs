//! The labels of one agent: its own and the server's, of which the server's hold.

use std::collections::BTreeMap;

use nodeglass_model::label::{self, LabelError, MAX_LABELS};
use serde::{Serialize, Serializer};

/// Labels by their names, as an agent says them.
pub type OwnLabels = BTreeMap<String, String>;
/// Labels by their names, as they were said on the server; `None` takes away one of the agent's own.
pub type SaidLabels = BTreeMap<String, Option<String>>;

/// Who said a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The agent's configuration or its enrolment string.
    Agent,
    /// Somebody on the server.
    Server,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: Box<str>,
    /// Its value.
    pub value: Box<str>,
    /// Who said it.
    pub origin: Origin,
}

/// Labels in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<[Label]>);

impl Labels {
    /// What holds of what both sides said.
    pub fn merge(own: &OwnLabels, said: &SaidLabels) -> Self {
        let mut all: BTreeMap<&str, (&str, Origin)> = own
            .iter()
            .map(|(name, value)| (name.as_str(), (value.as_str(), Origin::Agent)))
            .collect();
        for (name, value) in said {
            match value {
                Some(value) => all.insert(name, (value, Origin::Server)),
                None => all.remove(name.as_str()),
            };
        }
        let labels = all.into_iter().map(|(name, (value, origin))| Label {
            name: name.into(),
            value: value.into(),
            origin,
        });
        Self(labels.collect())
    }

    /// The value of a label.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|label| (*label.name).cmp(name));
        found.ok().map(|at| &*self.0[at].value)
    }

    /// Values by their names.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        let pair = |label: &Label| (label.name.to_string(), label.value.to_string());
        self.iter().map(pair).collect()
    }

    /// Every label.
    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|label| (&label.name, &label.value)))
    }
}

/// Checks labels of the server.
///
/// # Errors
/// One of them can't be, or there are too many.
pub fn check(said: &SaidLabels) -> Result<(), LabelError> {
    for (name, value) in said {
        label::check(name, value.as_deref().unwrap_or_default())?;
    }
    match said.len() {
        ..=MAX_LABELS => Ok(()),
        many => Err(LabelError::TooMany(many)),
    }
}

/// The labels of an agent that may be, as many as there may be: a session does not end for a label.
pub fn usable(own: impl IntoIterator<Item = (String, String)>) -> OwnLabels {
    let usable = own
        .into_iter()
        .filter(|(name, value)| label::check(name, value).is_ok());
    let sorted: OwnLabels = usable.collect();
    sorted.into_iter().take(MAX_LABELS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_holds() {
        let own = usable(
            [("env", "dev"), ("rack", "7"), ("site", "eu"), ("1", "bad")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let said = SaidLabels::from([
            ("env".to_owned(), Some("prod".to_owned())),
            ("rack".to_owned(), None),
            ("tier".to_owned(), Some("1".to_owned())),
        ]);
        let labels = Labels::merge(&own, &said);
        let shown: Vec<_> = labels
            .iter()
            .map(|label| (&*label.name, &*label.value, label.origin))
            .collect();
        assert_eq!(
            shown,
            [
                ("env", "prod", Origin::Server),
                ("site", "eu", Origin::Agent),
                ("tier", "1", Origin::Server)
            ]
        );
        assert_eq!((labels.value("env"), labels.value("rack")), (Some("prod"), None));
    }

    #[test]
    fn labels_of_the_server_are_checked() {
        let one = |name: &str, value: &str| SaidLabels::from([(name.to_owned(), Some(value.to_owned()))]);
        assert!(check(&one("env", "prod")).is_ok());
        assert!(check(&one("", "prod")).is_err() && check(&one("env", "a,b")).is_err());
        let many = (0..=MAX_LABELS).map(|number| (format!("l{number}"), None));
        assert_eq!(check(&many.collect()), Err(LabelError::TooMany(MAX_LABELS + 1)));
    }
}
