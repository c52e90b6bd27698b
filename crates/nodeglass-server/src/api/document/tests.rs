use std::collections::BTreeSet;

use super::*;

/// Every operation with its path and method.
fn calls(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let calls = item.as_object().unwrap();
        calls
            .iter()
            .map(move |(method, call)| (format!("{method} {path}"), call))
    })
}

#[test]
fn the_checked_in_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let found = std::fs::read_to_string(path).unwrap();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert!(
        found == openapi(),
        "docs/openapi.json is out of date: run `cargo xtask generate`"
    );
}

#[test]
fn every_call_is_named_described_and_says_who_may_make_it() {
    let document = openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (call, operation) in calls(&document) {
        let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(
            !name.is_empty() && names.insert(name),
            "{call} has no operation_id of its own"
        );
        assert!(operation["summary"].is_string(), "{call} has no summary");
        let scope = operation["x-scope"].as_str().unwrap();
        assert_eq!(scope == "open", operation["x-role"].is_null(), "{call}");
        let path = call.split_once(' ').unwrap().1;
        assert_eq!(
            scope == "agent",
            path.contains("/agents/{id}"),
            "{call} names an agent in its path, or its scope is not agent"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{call}: {parameter}");
        }
    }
}

#[test]
fn whatever_is_referred_to_is_there() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = openapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50, "{found:?}");
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
