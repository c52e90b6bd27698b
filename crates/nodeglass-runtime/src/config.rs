//! Reading a configuration: a typed read for each key of a YAML document, overrides from the environment, and every
//! problem kept until the end.
//!
//! A program reads its keys one by one from a [`ConfigReader`] and ends with [`ConfigReader::finish`]. What was wrong
//! on the way, and every key in the document that nobody asked for, comes back together. The keys themselves, their
//! defaults and their ranges are left to the program.

mod document;
mod env;
mod error;
mod quantity;
mod secret;
#[cfg(test)]
mod tests;
mod unknown;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use document::Value;
pub use env::Env;
pub use error::ConfigError;
pub use quantity::{parse_duration, show_duration};
pub use secret::Secret;

/// A configuration on its way from a document to typed values.
///
/// Keys are dotted paths: `metrics.storage.retention_period`. A key without a value is the same as no key. Where a
/// value is wrong, the read keeps the problem and gives the default back, so that reading goes on.
pub struct ConfigReader {
    /// Names the document in messages.
    source: String,
    document: Value,
    env: Env,
    /// Every key that was asked for.
    known: BTreeSet<String>,
    problems: Vec<String>,
}

impl ConfigReader {
    /// Reads a document; `source` names it in messages. An empty text is an empty configuration.
    ///
    /// A text that is not YAML, or not a mapping, is the first problem; the reads then give defaults.
    pub fn parse(source: &str, yaml: &str, env: Env) -> Self {
        let (document, problem) = match document::parse(yaml) {
            Ok(document) => (document, None),
            Err(problem) => (Value::Null, Some(problem)),
        };
        Self {
            source: source.to_owned(),
            document,
            env,
            known: BTreeSet::new(),
            problems: problem.into_iter().collect(),
        }
    }

    /// Reads a file; without a path, an empty document. A file that can't be read is the first problem.
    pub fn load(path: Option<&Path>, env: Env) -> Self {
        let Some(path) = path else {
            return Self::parse("the configuration", "", env);
        };
        let source = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(yaml) => Self::parse(&source, &yaml, env),
            Err(error) => {
                let mut reader = Self::parse(&source, "", env);
                reader.problems.push(format!("can't be read: {error}"));
                reader
            }
        }
    }

    /// A span of time with its unit: `500ms`, `5s`, `24h`, `7d`. A bare number is refused.
    pub fn duration(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        self.read(key, |value| quantity::duration(value, &range))
            .unwrap_or(default)
    }

    /// A whole number.
    pub fn integer(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.read(key, |value| quantity::integer(value, &range))
            .unwrap_or(default)
    }

    /// An amount of data in bytes: `8388608`, `8 MiB`, `500 KB`.
    pub fn bytes(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.read(key, |value| quantity::bytes(value, &range))
            .unwrap_or(default)
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        self.read(key, |value| match value {
            Value::Flag(flag) => Ok(*flag),
            other => Err(format!("{other} is not a flag; write true or false")),
        })
        .unwrap_or(default)
    }

    /// A text; `None` if it is absent or empty. Numbers are refused, as they may have lost digits (`0123`).
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, |value| match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(format!("{other} is not a text; {}", other.hint_for_text())),
        })
        .filter(|text| !text.is_empty())
    }

    /// A text that no message ever shows; `None` if it is absent or empty.
    pub fn secret(&mut self, key: &str) -> Option<Secret> {
        self.read(key, |value| match value {
            Value::Text(text) => Ok(text.clone()),
            other => Err(format!("this secret is not a text; {}", other.hint_for_text())),
        })
        .filter(|text| !text.is_empty())
        .map(Secret::from)
    }

    /// A list of texts; the default only if the key is absent, as an empty list is a list.
    pub fn list(&mut self, key: &str, default: &[&str]) -> Vec<String> {
        self.read(key, |value| {
            let wrong = |part: &Value| format!("{part} is not a list of texts; write [first, second]");
            let Value::List(items) = value else {
                return Err(wrong(value));
            };
            items
                .iter()
                .map(|item| match item {
                    Value::Text(text) => Ok(text.clone()),
                    other => Err(format!(
                        "{other} in the list is not a text; {}",
                        other.hint_for_text()
                    )),
                })
                .collect()
        })
        .unwrap_or_else(|| default.iter().map(|&text| text.to_owned()).collect())
    }

    /// A value of any type that reads itself from text: addresses, ids, paths. Whole numbers and flags are read as
    /// they are written out; `None` if it is absent or empty.
    pub fn parsed<T: FromStr>(&mut self, key: &str) -> Option<T>
    where
        T::Err: Display,
    {
        self.read(key, |value| {
            let Some(text) = value.scalar() else {
                return Err(format!("{value} can't be read; {}", value.hint_for_text()));
            };
            if text.is_empty() {
                return Ok(None);
            }
            text.parse().map(Some).map_err(|error: T::Err| {
                let message = error.to_string();
                if message.contains(&format!("{text:?}")) {
                    message
                } else {
                    format!("{value} is refused: {message}")
                }
            })
        })
        .flatten()
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        self.read(key, |value| {
            value
                .scalar()
                .and_then(|text| choices.iter().find(|(word, _)| *word == text))
                .map(|(_, choice)| *choice)
                .ok_or_else(|| {
                    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                    format!("{value} is not one of {}", words.join(", "))
                })
        })
        .unwrap_or(default)
    }

    /// What an environment variable says in whole seconds; `current` if it is unset, empty or wrong.
    pub fn env_seconds(
        &mut self,
        variable: &str,
        current: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.env_span(variable, "seconds", 1, current, &range)
    }

    /// What an environment variable says in whole days; `current` if it is unset, empty or wrong.
    pub fn env_days(
        &mut self,
        variable: &str,
        current: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.env_span(variable, "days", 86_400, current, &range)
    }

    /// The text of an environment variable; `None` if it is unset or empty.
    pub fn env_text(&mut self, variable: &str) -> Option<String> {
        match self.env.text(variable) {
            Ok(text) => text.map(str::to_owned),
            Err(message) => {
                self.problem(variable, message);
                None
            }
        }
    }

    /// Keeps a problem that the caller found.
    pub fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(format!("{key}: {}", message.into()));
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Every problem so far and every key of the document that was never read. Show them all to whoever wrote the
    /// document, and don't start.
    pub fn finish(mut self) -> Result<(), ConfigError> {
        unknown::collect(&self.document, &self.known, &mut self.problems);
        ConfigError::unless_empty(self.source, self.problems)
    }

    fn read<T>(&mut self, key: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        self.known.insert(key.to_owned());
        match self.document.at(key).map(read)? {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(key, message);
                None
            }
        }
    }

    fn env_span(
        &mut self,
        variable: &str,
        unit: &str,
        seconds_per_unit: u64,
        current: Duration,
        range: &RangeInclusive<Duration>,
    ) -> Duration {
        let Some(text) = self.env_text(variable) else {
            return current;
        };
        match quantity::whole_units(&text, unit, seconds_per_unit, range) {
            Ok(span) => span,
            Err(message) => {
                self.problem(variable, message);
                current
            }
        }
    }
}
