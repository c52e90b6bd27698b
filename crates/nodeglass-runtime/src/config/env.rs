//! The environment variables that a configuration is read with: the process's own, or a test's.

use std::collections::HashMap;
use std::ffi::OsString;

/// Environment variables, taken at one moment.
#[derive(Clone, Default)]
pub struct Env(HashMap<OsString, OsString>);

impl Env {
    /// The variables of this process.
    pub fn process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// No variables.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Just these variables.
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    #[cfg(all(test, unix))]
    pub(super) fn from_os(name: &str, value: OsString) -> Self {
        Self(HashMap::from([(name.into(), value)]))
    }

    /// The value of a variable; `None` if it is unset or empty.
    ///
    /// # Errors
    /// A value that is no text; the message is ready for the problem.
    pub(super) fn text(&self, variable: &str) -> Result<Option<&str>, &'static str> {
        match self.0.get(std::ffi::OsStr::new(variable)) {
            None => Ok(None),
            Some(value) => match value.to_str() {
                Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                None => Err("this environment variable is not UTF-8"),
            },
        }
    }
}

impl std::fmt::Debug for Env {
    /// Only the names: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
