//! Which agents somebody may see: all of them, or those that one of some entries fits.
//!
//! An entry is an agent's name, a pattern of names (`web-*`) or a label (`env=prod`, or `label:env=prod` as lists of agents have it;
//! its value may be a pattern, too, and has neither commas nor spaces: `?` stands for one).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nodeglass_model::AgentId;

use crate::glob;

/// Entries of one selector: each is tried for each agent of a list.
pub const MAX_ENTRIES: usize = 64;
/// What an entry looks like, for the API's document.
pub const ENTRY_PATTERN: &str =
    r"^([A-Za-z0-9._*?-]{1,256}|(label:)?[A-Za-z][A-Za-z0-9_./-]{0,62}=[!-+.-~]{1,128})$";
/// The longest name of a label, and the longest pattern of its values, in bytes.
const LABEL_BYTES: (usize, usize) = (63, 128);

/// A set of agents. The default is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector(Option<Arc<[Entry]>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// A name, or a pattern of names.
    Name(String),
    /// A label's key and its value, or a pattern of values.
    Label(String, String),
}

/// A text that selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// An entry that is neither.
    #[error(
        "{0:?} selects no agents: use an agent's name, a pattern such as web-* or a label such as env=prod"
    )]
    Entry(String),
    /// Too many.
    #[error("a selector has at most {MAX_ENTRIES} entries: use patterns or labels")]
    TooMany,
    /// None at all, which nobody means.
    #[error("a selector without entries fits no agent: name some, or leave it out for all agents")]
    Empty,
}

impl Selector {
    /// Every agent, those to come included.
    pub fn all() -> Self {
        Self(None)
    }

    /// The agents that one of these entries fits.
    ///
    /// # Errors
    /// An entry that is no name, pattern or label; none at all, or too many.
    pub fn of<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, SelectorError> {
        let entries = entries.into_iter().map(|entry| Entry::parse(entry.as_ref()));
        let entries = entries.take(MAX_ENTRIES + 1).collect::<Result<Arc<[_]>, _>>()?;
        match entries.len() {
            0 => Err(SelectorError::Empty),
            1..=MAX_ENTRIES => Ok(Self(Some(entries))),
            _ => Err(SelectorError::TooMany),
        }
    }

    /// Whether it is every agent.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether it has an agent of this name with these labels.
    pub fn has(&self, id: &AgentId, labels: &BTreeMap<String, String>) -> bool {
        let fits = |entry: &Entry| match entry {
            Entry::Name(pattern) => glob::fits(pattern, id.as_str()),
            Entry::Label(key, pattern) => labels.get(key).is_some_and(|value| glob::fits(pattern, value)),
        };
        self.0.as_ref().is_none_or(|entries| entries.iter().any(fits))
    }

    /// Its entries as they are written; `None` for every agent.
    pub fn entries(&self) -> Option<Vec<String>> {
        let entries = self.0.as_ref()?;
        Some(entries.iter().map(ToString::to_string).collect())
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, SelectorError> {
        let wrong = || SelectorError::Entry(text.chars().take(80).collect());
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_name = |text: &str| {
            (1..=glob::LONGEST).contains(&text.len())
                && text.chars().all(|c| is_letter(c) || matches!(c, '*' | '?'))
        };
        let is_key = |key: &str| {
            (1..=LABEL_BYTES.0).contains(&key.len())
                && key.starts_with(|c: char| c.is_ascii_alphabetic())
                && key.chars().all(|c| is_letter(c) || c == '/')
        };
        // What a list of labels can have in it.
        let is_value = |value: &str| {
            (1..=LABEL_BYTES.1).contains(&value.len())
                && value.chars().all(|c| c.is_ascii_graphic() && c != ',')
        };
        let label = text.strip_prefix("label:").unwrap_or(text);
        match label.split_once('=') {
            Some((key, value)) if is_key(key) && is_value(value) => {
                Ok(Self::Label(key.to_owned(), value.to_owned()))
            }
            None if is_name(text) => Ok(Self::Name(text.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => f.write_str(pattern),
            Self::Label(key, value) => write!(f, "{key}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(selector: &Selector, id: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        selector.has(&id.parse().unwrap(), &labels.collect())
    }

    #[test]
    fn names_patterns_and_labels_select_agents() {
        assert!(has(&Selector::all(), "anything", &[]));
        let selector = Selector::of(["db-1", "web-*", "env=prod", "zone=eu-?"]).unwrap();
        for (id, labels, expected) in [
            ("db-1", &[][..], true),
            ("db-11", &[], false),
            ("DB-1", &[], false),
            ("web-", &[], true),
            ("my-web-1", &[], false),
            ("x", &[("env", "prod")], true),
            ("x", &[("env", "production")], false),
            ("x", &[("ENV", "prod")], false),
            ("x", &[("zone", "eu-1")], true),
            ("x", &[("zone", "us-1"), ("env", "test")], false),
            ("prod", &[], false),
        ] {
            assert_eq!(has(&selector, id, labels), expected, "{id} {labels:?}");
        }
        assert!(has(&Selector::of(["*"]).unwrap(), "anything", &[]));
        let as_lists_have_it = Selector::of(["label:env=prod"]).unwrap();
        assert!(has(&as_lists_have_it, "x", &[("env", "prod")]));
        assert_eq!(as_lists_have_it, Selector::of(["env=prod"]).unwrap());
    }

    #[test]
    fn what_is_written_is_read_again_and_nonsense_is_refused() {
        let written = ["db-1", "env=a=b", "web-*"];
        let selector = Selector::of(written).unwrap();
        assert_eq!(selector.entries().unwrap(), written);
        assert_eq!(Selector::of(selector.entries().unwrap()), Ok(selector));
        assert_eq!(Selector::all().entries(), None);
        for wrong in [
            "", " ", "=x", "x=", "a b", "a/b", "ü", "a=\n", "a=b,c", "1=a", " a",
        ] {
            assert!(
                matches!(Selector::of([wrong]), Err(SelectorError::Entry(_))),
                "{wrong:?}"
            );
        }
        assert_eq!(Selector::of([""; 0]), Err(SelectorError::Empty));
        assert_eq!(
            Selector::of(vec!["a"; MAX_ENTRIES + 1]),
            Err(SelectorError::TooMany)
        );
    }
}
