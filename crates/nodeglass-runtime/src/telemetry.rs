//! Logs: where they go, how they look, and errors in one line.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as lines, registry};

/// Overrides what is logged: `debug`, `info,nodeglass_store=debug`.
const FILTER_VARIABLE: &str = "NODEGLASS_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Sends logs to standard error. `NODEGLASS_LOG` overrides `default_filter`; if it is wrong, that is logged and the
/// default stays. Once logs are set up, by this or otherwise, nothing changes.
pub fn init(format: LogFormat, default_filter: &str) {
    let wanted = std::env::var(FILTER_VARIABLE).unwrap_or_default();
    let (filter, problem) = filter(&wanted, default_filter);
    let lines = lines::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
    };
    let installed = registry().with(filter).with(lines).try_init();
    if let (Ok(()), Some(problem)) = (installed, problem) {
        tracing::warn!("{FILTER_VARIABLE} is not used: {problem}");
    }
}

/// The filter to use, and what is wrong with the wanted one. It goes by targets alone, so that spans cost what they say and no
/// more.
fn filter(wanted: &str, default: &str) -> (Targets, Option<String>) {
    let fallback = || default.parse::<Targets>().expect("a default of our own");
    if wanted.is_empty() {
        return (fallback(), None);
    }
    match targets(wanted) {
        Ok(filter) => (filter, None),
        Err(problem) => (fallback(), Some(problem)),
    }
}

/// What is wanted, part by part. A target that is none is said to be one, rather than looked for in vain.
fn targets(wanted: &str) -> Result<Targets, String> {
    let parts: Vec<&str> = wanted
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let is_of_targets = |letter: char| letter.is_alphanumeric() || "_:-=".contains(letter);
    if let Some(part) = parts.iter().find(|part| !part.chars().all(is_of_targets)) {
        return Err(format!(
            "{part:?} is neither a level nor a target with its level, such as nodeglass_store=debug"
        ));
    }
    parts
        .join(",")
        .parse::<Targets>()
        .map_err(|error| error.to_string())
}

/// An error with its chain of causes in one line, for logs: `a: b: c`. A cause that its error's own text ends with is
/// not repeated.
pub fn chain(error: &dyn Error) -> impl Display {
    Chain(error)
}

struct Chain<'a>(&'a dyn Error);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = one_line(self.0);
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = one_line(error);
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
                last = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

fn one_line(error: &dyn Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Stratum {
        text: &'static str,
        source: Option<Box<Stratum>>,
    }

    fn layers(texts: &[&'static str]) -> Stratum {
        Stratum {
            text: texts[0],
            source: (texts.len() > 1).then(|| Box::new(layers(&texts[1..]))),
        }
    }

    #[test]
    fn an_error_and_its_causes_are_one_line() {
        for (texts, line) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a", "b: c", "c", "d"], "a: b: c: d"),
            (&["x has 2 problems:\n  y\n  z", "c"], "x has 2 problems: y z: c"),
        ] {
            assert_eq!(chain(&layers(texts)).to_string(), line);
        }
        let boxed: Box<dyn Error + Send + Sync> = Box::new(layers(&["a", "b"]));
        assert_eq!(chain(boxed.as_ref()).to_string(), "a: b");
    }

    #[test]
    fn a_wrong_filter_leaves_the_default() {
        let shown = |wanted: &str| {
            let (filter, problem) = filter(wanted, "info");
            (filter.to_string(), problem.is_some())
        };
        assert_eq!(shown(""), ("info".to_owned(), false));
        assert_eq!(
            shown("warn,nodeglass=debug"),
            ("nodeglass=debug,warn".to_owned(), false)
        );
        assert_eq!(shown("warn, nodeglass=debug,"), shown("warn,nodeglass=debug"));
        for wrong in ["nodeglass=loud", "[call]=debug", "a b=info", "warn,x{y=1}=debug"] {
            assert_eq!(shown(wrong), ("info".to_owned(), true), "{wrong}");
        }
    }

    #[test]
    fn setting_up_twice_is_harmless() {
        init(LogFormat::Json, "info");
        init(LogFormat::Text, "debug");
    }
}
