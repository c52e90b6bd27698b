//! The calls of an OpenAPI document, and how to make each with what the document gives as examples.

use nodeglass_tests::server::Server;
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// One call of the document.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) method: Method,
    /// With its parameters in braces.
    pub(crate) path: String,
    /// The least role that may make it; `None` where it takes no token.
    pub(crate) role: Option<String>,
    pub(crate) scope: String,
    /// Query parameters that have to be given, with an example of each.
    query: Vec<(String, String)>,
    /// Parameters of the path besides the agent.
    others: Vec<(String, String)>,
    /// A body, with its form.
    body: Option<(String, String)>,
}

/// Every call that the document has; those that remove something last.
pub(crate) fn calls(document: &Value) -> Vec<Call> {
    let paths = document["paths"].as_object().expect("paths");
    let mut calls: Vec<Call> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("calls of a path");
            methods.iter().map(move |(method, call)| read(path, method, call))
        })
        .collect();
    calls.sort_by_key(|call| call.method == Method::DELETE);
    calls
}

fn read(path: &str, method: &str, call: &Value) -> Call {
    let text = |name: &str| call[name].as_str().map(str::to_owned);
    let parameters = call["parameters"].as_array().into_iter().flatten();
    let required = parameters.filter(|parameter| parameter["required"] == true);
    let given = |place: &str| {
        required
            .clone()
            .filter(|parameter| parameter["in"] == place && parameter["name"] != "id")
            .map(|parameter| {
                (
                    parameter["name"].as_str().expect("a name").to_owned(),
                    example(parameter),
                )
            })
            .collect()
    };
    let bodies = call.pointer("/requestBody/content").and_then(Value::as_object);
    let body = bodies
        .and_then(|bodies| bodies.iter().next())
        .map(|(form, body)| {
            let example = match &body["example"] {
                Value::Null if form.contains("json") && !form.contains("ndjson") => "{}".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                json => json.to_string(),
            };
            (form.clone(), example)
        });
    Call {
        id: text("operationId").expect("an id").replace('_', "-"),
        method: method.to_uppercase().parse().expect("a method"),
        path: path.to_owned(),
        role: text("x-role"),
        scope: text("x-scope").expect("a scope"),
        query: given("query"),
        others: given("path"),
        body,
    }
}

fn example(parameter: &Value) -> String {
    let examples = [
        &parameter["example"],
        &parameter["schema"]["example"],
        &parameter["schema"]["enum"][0],
    ];
    match examples.into_iter().find(|example| !example.is_null()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "1".to_owned(),
    }
}

impl Call {
    /// Whether it changes anything.
    pub(crate) fn changes(&self) -> bool {
        self.method != Method::GET
    }

    /// Makes it about an agent: status, and the problem if it is one. Of an answer that never ends only the head is read.
    pub(crate) async fn make(
        &self,
        server: &Server,
        token: Option<&str>,
        agent: &str,
    ) -> (StatusCode, Value) {
        let mut path = self.path.replace("{id}", agent);
        for (name, value) in &self.others {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        // Examples are of letters that need no escape.
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let mut request = server.anonymous_call(self.method.clone(), &path);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((form, body)) = &self.body {
            request = request.header("content-type", form).body(body.clone());
        }
        let response = request.send().await.expect("an answer");
        let status = response.status();
        if !status.is_client_error() && !status.is_server_error() {
            return (status, Value::Null);
        }
        let form = response.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_eq!(
            form, "application/problem+json",
            "{} {path}: {status}",
            self.method
        );
        let problem: Value = response.json().await.expect("a problem");
        assert_eq!(problem["status"], status.as_u16(), "{problem}");
        (status, problem)
    }
}
