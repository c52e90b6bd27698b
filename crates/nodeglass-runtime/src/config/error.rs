//! The error of a configuration: everything that is wrong with it.

/// A configuration with problems; shown with one line for each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{document} has {}:\n  {}", count(problems), problems.join("\n  "))]
pub struct ConfigError {
    document: String,
    problems: Vec<String>,
}

impl ConfigError {
    /// `Ok` if there are no problems.
    pub(super) fn unless_empty(document: String, problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { document, problems })
        }
    }

    /// What is wrong: each with its key and what would be right. At least one.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn count(problems: &[String]) -> String {
    match problems.len() {
        1 => "1 problem".to_owned(),
        several => format!("{several} problems"),
    }
}
