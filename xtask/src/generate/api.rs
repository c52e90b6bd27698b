//! The API's document, as the server prints it, and the tables in `docs/api.md` that are made from it.

use std::fmt::Write as _;
use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::cargo;

const END: &str = "<!-- end -->\n";

/// The document that the server prints.
///
/// # Errors
/// The server does not build, or prints none.
pub(super) fn document() -> anyhow::Result<String> {
    let mut server = cargo();
    server.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "nodeglass-server",
        "--",
        "openapi",
    ]);
    let output = server.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the server prints no document");
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str::<Value>(&text).context("the server's document")?;
    Ok(text)
}

/// `docs/api.md` with its tables of calls and codes made anew from the document.
///
/// # Errors
/// There is no place for them, or nothing to put there.
pub(super) fn with_tables(text: &str, document: &str) -> anyhow::Result<String> {
    let document: Value = serde_json::from_str(document).context("docs/openapi.json")?;
    let text = with(text, "calls", &calls(&document)?)?;
    with(&text, "codes", &codes(&document)?)
}

/// A text with one table of it replaced.
fn with(text: &str, name: &str, table: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- {name}: made from the code by `cargo xtask generate` -->\n");
    let (before, rest) = text
        .split_once(&begin)
        .with_context(|| format!("no place for the {name}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("the {name} have no end"))?;
    Ok(format!("{before}{begin}\n{table}\n{END}{after}"))
}

fn calls(document: &Value) -> anyhow::Result<String> {
    let mut table = "| call | least role | about | what it does |\n|---|---|---|---|\n".to_owned();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, call) in item.as_object().context("calls of a path")? {
            let role = call["x-role"].as_str().unwrap_or("–");
            let scope = call["x-scope"].as_str().unwrap_or("–");
            let summary = call["summary"].as_str().unwrap_or_default();
            let method = method.to_uppercase();
            writeln!(table, "| `{method} {path}` | {role} | {scope} | {summary} |")?;
        }
    }
    Ok(table)
}

fn codes(document: &Value) -> anyhow::Result<String> {
    let codes = document.pointer("/components/schemas/Problem/x-codes");
    let mut table = "| code | HTTP | gRPC | meaning |\n|---|---|---|---|\n".to_owned();
    for code in codes.and_then(Value::as_array).context("codes of problems")? {
        let text = |name: &str| code[name].as_str().unwrap_or_default();
        writeln!(
            table,
            "| `{}` | {} | {} | {} |",
            text("code"),
            code["status"],
            text("grpc"),
            text("title")
        )?;
    }
    Ok(table)
}
