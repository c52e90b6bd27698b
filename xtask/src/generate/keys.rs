//! The table of configuration keys in a document, made from the commented default configuration.

use anyhow::{Context, ensure};

const BEGIN: &str = "<!-- made from config/agent.yaml by `cargo xtask generate` -->\n";
const END: &str = "<!-- end -->\n";

/// One key of a configuration.
#[derive(Debug, PartialEq)]
struct Key {
    path: String,
    default: String,
    meaning: String,
}

/// A document with its table of keys made anew from the configuration.
///
/// # Errors
/// The document has no place for it.
pub(super) fn with_keys(document: &str, yaml: &str) -> anyhow::Result<String> {
    let (before, rest) = document
        .split_once(BEGIN)
        .context("no place for the table of keys")?;
    let (_, after) = rest.split_once(END).context("the table of keys has no end")?;
    let keys = keys(yaml);
    ensure!(!keys.is_empty(), "the configuration has no keys");
    let mut table = "\n| key | default | meaning |\n|---|---|---|\n".to_owned();
    for Key {
        path,
        default,
        meaning,
    } in keys
    {
        let default = if default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{default}`")
        };
        let meaning = meaning.replace('|', "\\|");
        table.extend(["| `", &path, "` | ", &default, " | ", &meaning, " |\n"]);
    }
    table.push('\n');
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

/// The keys of a configuration in which a comment stands above each, and examples begin with `#: `.
fn keys(yaml: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut sections: Vec<(usize, String)> = Vec::new();
    let mut comment = String::new();
    for line in yaml.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let (text, is_example) = match text.strip_prefix("#: ") {
            Some(example) => (example, true),
            None => (text, false),
        };
        if text.is_empty() {
            comment.clear();
        } else if let Some(more) = text.strip_prefix("# ") {
            let space = if comment.is_empty() { "" } else { " " };
            comment.extend([space, more]);
        } else if let Some((name, value)) = key(text) {
            sections.retain(|(outer, _)| *outer < indent);
            let outer: String = sections
                .iter()
                .flat_map(|(_, name)| [name.as_str(), "."])
                .collect();
            if value.is_empty() {
                sections.push((indent, name.to_owned()));
                comment.clear();
                continue;
            }
            // What stands above a group of keys is said of the first, and holds for those below it.
            let meaning = std::mem::take(&mut comment);
            keys.push(Key {
                path: format!("{outer}{name}"),
                default: if is_example {
                    String::new()
                } else {
                    value.to_owned()
                },
                meaning,
            });
        } else if let Some(last) = keys.last_mut() {
            // A list that goes on in the next line.
            last.default = format!("{} {text}", last.default);
        }
    }
    keys
}

/// A line's key and value. Lines within a list have none.
fn key(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    is_name.then_some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_comment_and_their_default() {
        let yaml = "# About the file.\n\n# Where.\ndata_dir: /var\n\nouter:\n  # What\n  # it is.\n  first: 1\n  second: [a,\n    b]\n  \
                    inner:\n    # Deep.\n    key: x\n# Not set.\n#: server: http://host\n";
        let found: Vec<_> = keys(yaml)
            .into_iter()
            .map(|key| (key.path, key.default, key.meaning))
            .collect();
        let expected = [
            ("data_dir", "/var", "Where."),
            ("outer.first", "1", "What it is."),
            ("outer.second", "[a, b]", ""),
            ("outer.inner.key", "x", "Deep."),
            ("server", "", "Not set."),
        ];
        let expected = expected
            .map(|(path, default, meaning)| (path.to_owned(), default.to_owned(), meaning.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_document_keeps_everything_around_its_table() {
        let document = format!("before\n{BEGIN}old\n{END}after\n");
        let made = with_keys(&document, "# It.\nkey: 1\n").unwrap();
        assert!(
            made.starts_with("before\n") && made.ends_with("after\n"),
            "{made}"
        );
        assert!(
            made.contains("| `key` | `1` | It. |") && !made.contains("old"),
            "{made}"
        );
        assert!(with_keys("no place", "key: 1").is_err());
    }
}
