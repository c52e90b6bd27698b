//! Keys of the document that nobody asked for, and what their writer may have meant.

use std::collections::BTreeSet;

use super::document::Value;

/// How alike two names must be for one to be taken for a slip of the other; 1 is the same.
const ALIKE: f64 = 0.6;
/// How alike a key is to one of the same name in another section.
const MISPLACED: f64 = 0.9;

/// Adds a problem for each key that is not in `known`; a mapping of which nothing is known counts once.
pub(super) fn collect(document: &Value, known: &BTreeSet<String>, problems: &mut Vec<String>) {
    walk(document, "", known, problems);
}

fn walk(value: &Value, section: &str, known: &BTreeSet<String>, problems: &mut Vec<String>) {
    let Value::Mapping(entries) = value else {
        return;
    };
    for (name, child) in entries {
        let path = join(section, name);
        if name.contains('.') {
            problems.push(format!(
                "{path}: keys don't hold dots; write each part on its own line, indented under the one before"
            ));
        } else if known.contains(&path) {
            // Its read has judged it already.
        } else if !is_section(&path, known) {
            problems.push(format!("{path}: unknown key; {}", hint(&path, child, known)));
        } else if matches!(child, Value::Mapping(_)) {
            walk(child, &path, known, problems);
        } else if *child != Value::Null {
            let names = names_in(&path, known).join(", ");
            // The value may be a secret in the wrong place, so only its type is named.
            problems.push(format!(
                "{path}: {} is not a mapping; keys under it are {names}",
                child.type_name()
            ));
        }
    }
}

fn hint(path: &str, value: &Value, known: &BTreeSet<String>) -> String {
    let candidates: BTreeSet<&str> = match value {
        Value::Mapping(_) => known.iter().flat_map(|key| sections(key)).collect(),
        _ => known.iter().map(String::as_str).collect(),
    };
    let nearest = candidates
        .into_iter()
        .map(|candidate| (likeness(path, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, candidate)) = nearest {
        return format!("did you mean {candidate}?");
    }
    let (section, _) = split(path);
    format!("known here are {}", names_in(section, known).join(", "))
}

fn likeness(path: &str, candidate: &str) -> f64 {
    let (section, name) = split(path);
    let (its_section, its_name) = split(candidate);
    if section == its_section {
        strsim::normalized_damerau_levenshtein(name, its_name)
    } else if name == its_name {
        MISPLACED
    } else {
        0.0
    }
}

fn is_section(path: &str, known: &BTreeSet<String>) -> bool {
    !names_in(path, known).is_empty()
}

/// The names right under a section, `""` being the root.
fn names_in<'a>(section: &str, known: &'a BTreeSet<String>) -> Vec<&'a str> {
    let names: BTreeSet<&str> = known
        .iter()
        .filter_map(|key| match section {
            "" => Some(key.as_str()),
            _ => key.strip_prefix(section)?.strip_prefix('.'),
        })
        .filter_map(|rest| rest.split('.').next())
        .collect();
    names.into_iter().collect()
}

/// The sections that a key lies in: `a` and `a.b` of `a.b.c`.
fn sections(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('.').map(|(dot, _)| &key[..dot])
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}
