//! What may be a label: a name and a value that say something about a host, such as `env` and `prod`.

use std::collections::BTreeMap;

/// Labels of one agent at most.
pub const MAX_LABELS: usize = 64;
/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 256;

/// Why something is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Not a name.
    #[error(
        "{0:?} can't be a label's name: use 1 to {MAX_NAME_BYTES} letters, digits, '_', '-', '.' and '/', starting with a letter"
    )]
    Name(String),
    /// Not a value.
    #[error(
        "the value of the label {0:?} can't be used: at most {MAX_VALUE_BYTES} bytes, without commas, control characters, \
         and spaces at its ends"
    )]
    Value(String),
    /// Not a name and a value.
    #[error("{0:?} is no label: write NAME=VALUE")]
    Form(String),
    /// More than an agent may have.
    #[error("{0} labels are too many; at most {MAX_LABELS}")]
    TooMany(usize),
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Checks a label's name.
///
/// # Errors
/// It can't be one; says what could.
pub fn check_name(name: &str) -> Result<(), LabelError> {
    let is_good = name.len() <= MAX_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/'));
    is_good.then_some(()).ok_or_else(|| LabelError::Name(short(name)))
}

/// Checks a label. A comma would end it in lists of labels.
///
/// # Errors
/// It can't be one; says what could.
pub fn check(name: &str, value: &str) -> Result<(), LabelError> {
    check_name(name)?;
    let is_good = value.len() <= MAX_VALUE_BYTES
        && value.trim() == value
        && !value.contains(|letter: char| letter == ',' || letter.is_control());
    is_good
        .then_some(())
        .ok_or_else(|| LabelError::Value(short(name)))
}

/// Checks the labels that an agent is to have.
///
/// # Errors
/// One of them can't be one, or there are too many.
pub fn check_all(labels: &BTreeMap<String, String>) -> Result<(), LabelError> {
    for (name, value) in labels {
        check(name, value)?;
    }
    if labels.len() > MAX_LABELS {
        return Err(LabelError::TooMany(labels.len()));
    }
    Ok(())
}

/// Reads `NAME=VALUE`.
///
/// # Errors
/// It is no label; says what would be.
pub fn parse(text: &str) -> Result<(String, String), LabelError> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| LabelError::Form(short(text)))?;
    check(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_names_and_short_texts() {
        for good in ["env=prod", "app.kubernetes.io/name=web 1", "a=", "Rack_2=ü=*"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        let long = format!("a={}", "x".repeat(257));
        for bad in ["env", "=prod", "1a=b", "a b=c", "a=b,c", "a= b", "a=\n", &long] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
    }
}
