//! Whether JSON is as a schema says, to the letter: no field that the schema does not name, none missing, every type right.

use serde_json::Value;

/// The schemas of an OpenAPI document.
pub(crate) struct Schemas(pub(crate) Value);

impl Schemas {
    /// What is not as the schema of that name says.
    pub(crate) fn problems(&self, value: &Value, name: &str) -> Vec<String> {
        let mut problems = Vec::new();
        self.check(value, self.named(name), "", &mut problems);
        problems
    }

    fn named(&self, name: &str) -> &Value {
        let found = &self.0["components"]["schemas"][name];
        assert!(!found.is_null(), "no schema {name}");
        found
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.resolve(self.named(reference.rsplit('/').next().expect("a name"))),
            None => schema,
        }
    }

    fn check(&self, value: &Value, schema: &Value, path: &str, problems: &mut Vec<String>) {
        let schema = self.resolve(schema);
        for choice in ["oneOf", "anyOf"] {
            if let Some(schemas) = schema[choice].as_array() {
                let each = schemas.iter().map(|schema| {
                    let mut problems = Vec::new();
                    self.check(value, schema, path, &mut problems);
                    problems
                });
                // Of several wrong ones the nearest tells most.
                problems.extend(each.min_by_key(Vec::len).unwrap_or_default());
                return;
            }
        }
        if !fits(value, &schema["type"]) {
            problems.push(format!("{path}: {value} is not {}", schema["type"]));
            return;
        }
        match value {
            Value::Object(object) => {
                let mut parts = Vec::new();
                self.parts(schema, &mut parts);
                for part in &parts {
                    let required = part["required"].as_array().into_iter().flatten();
                    for name in required.filter_map(Value::as_str) {
                        if !object.contains_key(name) {
                            problems.push(format!("{path}.{name} is missing"));
                        }
                    }
                }
                for (name, value) in object {
                    let path = format!("{path}.{name}");
                    let field = parts.iter().find_map(|part| part["properties"].get(name));
                    let other = || parts.iter().find_map(|part| part.get("additionalProperties"));
                    match field.or_else(other) {
                        Some(field) => self.check(value, field, &path, problems),
                        None => problems.push(format!("{path} is not in the schema")),
                    }
                }
            }
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.check(item, &schema["items"], &format!("{path}.{number}"), problems);
                }
            }
            _ => {}
        }
    }

    /// The schemas that together describe an object.
    fn parts<'a>(&'a self, schema: &'a Value, parts: &mut Vec<&'a Value>) {
        let schema = self.resolve(schema);
        match schema["allOf"].as_array() {
            Some(all) => all.iter().for_each(|part| self.parts(part, parts)),
            None => parts.push(schema),
        }
    }
}

fn fits(value: &Value, kind: &Value) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match kind {
        Value::Null => true,
        Value::String(kind) => is(kind),
        kinds => kinds
            .as_array()
            .expect("types")
            .iter()
            .filter_map(Value::as_str)
            .any(is),
    }
}

/// Paths that are in `example` and not in `value`, or of another type there. Of lists any entry may have what the example's
/// have, for not every disk has all that a disk can have.
pub(crate) fn missing(example: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(example, &[value], "", &mut found);
    found
}

fn compare(example: &Value, values: &[&Value], path: &str, missing: &mut Vec<String>) {
    let alike: Vec<&Value> = values
        .iter()
        .copied()
        .filter(|value| is_alike(example, value))
        .collect();
    if alike.is_empty() {
        missing.push(path.to_owned());
        return;
    }
    match example {
        Value::Object(object) => {
            for (name, example) in object {
                let values: Vec<&Value> = alike.iter().filter_map(|value| value.get(name)).collect();
                compare(example, &values, &format!("{path}.{name}"), missing);
            }
        }
        Value::Array(items) => {
            let values: Vec<&Value> = alike
                .iter()
                .filter_map(|value| value.as_array())
                .flatten()
                .collect();
            if let Some(example) = items.first() {
                compare(example, &values, &format!("{path}.0"), missing);
            }
        }
        _ => {}
    }
}

fn is_alike(example: &Value, value: &Value) -> bool {
    match example {
        Value::Null => true,
        Value::Bool(_) => value.is_boolean(),
        Value::Number(_) => value.is_number(),
        Value::String(_) => value.is_string(),
        Value::Array(_) => value.is_array(),
        Value::Object(_) => value.is_object(),
    }
}
