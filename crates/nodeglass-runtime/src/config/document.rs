//! A YAML document as a tree of values, and the way to a value by its dotted key.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How much of a text a message repeats, in characters.
const SHOWN_CHARS: usize = 60;

/// One node of the document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Nothing: the same as no key.
    Null,
    Flag(bool),
    /// Any whole number of 64 bits, signed or not.
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// In the document's order.
    Mapping(Vec<(String, Value)>),
}

/// Reads a document whose root is a mapping; an empty text is [`Value::Null`].
///
/// # Errors
/// What is wrong, with its line. It never repeats a value, which may be a secret.
pub(super) fn parse(yaml: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
    };
    let root: Value = serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let formatter = serde_saphyr::UserMessageFormatter;
        format!("not valid YAML: {}", error.render_with_formatter(&formatter))
    })?;
    match root {
        Value::Null | Value::Mapping(_) => Ok(root),
        other => Err(format!(
            "must be a mapping of keys to values, not {}",
            other.type_name()
        )),
    }
}

impl Value {
    /// The value at a dotted key; `None` where there is none or it is null.
    pub(super) fn at(&self, key: &str) -> Option<&Self> {
        let found = key.split('.').try_fold(self, |value, name| match value {
            Self::Mapping(entries) => entries
                .iter()
                .find(|(entry, _)| entry == name)
                .map(|(_, child)| child),
            _ => None,
        })?;
        (*found != Self::Null).then_some(found)
    }

    /// A single value as it is written; `None` of lists, mappings and numbers with a fraction, whose text is lost.
    pub(super) fn scalar(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            Self::Flag(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
            Self::Null | Self::Float(_) | Self::List(_) | Self::Mapping(_) => None,
        }
    }

    /// What it is, with its article.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "a flag",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }

    /// How to make a text of it.
    pub(super) fn hint_for_text(&self) -> &'static str {
        match self {
            Self::List(_) | Self::Mapping(_) => "write a single value",
            _ => "put it in quotes",
        }
    }
}

impl fmt::Display for Value {
    /// The value as messages repeat it: texts quoted and cut, lists and mappings only named.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Null | Self::List(_) | Self::Mapping(_) => f.write_str(self.type_name()),
        }
    }
}

/// A text as messages repeat it.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", &text[..end]),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut mapping = Vec::new();
        while let Some(entry) = entries.next_entry::<String, Value>()? {
            mapping.push(entry);
        }
        Ok(Value::Mapping(mapping))
    }
}
