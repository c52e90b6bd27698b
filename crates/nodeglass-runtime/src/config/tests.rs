//! What a configuration's writer sees: values, and every problem at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn reader(yaml: &str) -> ConfigReader {
    ConfigReader::parse("config/test.yaml", yaml, Env::empty())
}

fn problems(reader: ConfigReader) -> Vec<String> {
    reader.finish().unwrap_err().problems().to_vec()
}

#[test]
fn an_empty_document_gives_every_default() {
    for yaml in [
        "",
        "# nothing\n",
        "metrics:\n",
        "metrics:\n  collection_interval:\n",
    ] {
        let mut reader = reader(yaml);
        assert_eq!(
            reader.duration("metrics.collection_interval", 5 * SECOND, SECOND..=HOUR),
            5 * SECOND
        );
        assert_eq!(reader.text("metrics.name"), None);
        assert_eq!(reader.list("metrics.collected", &["cpu"]), ["cpu"]);
        assert_eq!(reader.finish(), Ok(()), "{yaml:?}");
    }
}

#[test]
fn every_type_is_read() {
    let mut reader = reader(
        "server:\n  listen: 127.0.0.1:8443\n  workers: 4\n  port: 80\n  queue: 64 MiB\n  buffer: 1024\n  \
         name: 'web'\n  empty: ''\n  token: s3cret\n  tls: off\n  compress: true\n  groups: [cpu, disk]\n  \
         nothing: []\nretention: 7d\n",
    );
    assert_eq!(
        reader.parsed("server.listen"),
        Some(SocketAddr::from(([127, 0, 0, 1], 8443)))
    );
    assert_eq!(reader.parsed("server.port"), Some(80_u16));
    assert_eq!(reader.integer("server.workers", 1, 1..=16), 4);
    assert_eq!(reader.bytes("server.queue", 0, 0..=u64::MAX), 64 << 20);
    assert_eq!(reader.bytes("server.buffer", 0, 0..=u64::MAX), 1024);
    assert_eq!(reader.text("server.name").as_deref(), Some("web"));
    assert_eq!(reader.text("server.empty"), None);
    assert_eq!(reader.secret("server.token").unwrap().expose(), "s3cret");
    assert_eq!(reader.choice("server.tls", 1, &[("on", 1), ("off", 2)]), 2);
    assert!(reader.flag("server.compress", false));
    assert_eq!(reader.list("server.groups", &[]), ["cpu", "disk"]);
    assert!(reader.list("server.nothing", &["cpu"]).is_empty());
    assert_eq!(reader.duration("retention", DAY, SECOND..=Duration::MAX), 7 * DAY);
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn all_problems_are_named_at_once() {
    let mut reader = ConfigReader::parse(
        "config/agent.yaml",
        "metrics:\n  collection_interval: 5 parsecs\n  workers: 99\n  enable: true\n",
        Env::empty(),
    );
    let interval = reader.duration("metrics.collection_interval", 5 * SECOND, SECOND..=HOUR);
    assert_eq!(interval, 5 * SECOND);
    assert_eq!(reader.integer("metrics.workers", 2, 1..=16), 2);
    assert!(reader.flag("metrics.enabled", true));
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "config/agent.yaml has 3 problems:\n  \
         metrics.collection_interval: \"5 parsecs\" is not a duration; write a number and a unit such as 5s, \
         allowed are 1s to 1h\n  \
         metrics.workers: 99 is out of range, allowed are 1 to 16\n  \
         metrics.enable: unknown key; did you mean metrics.enabled?"
    );
}

#[test]
fn each_wrong_value_says_what_would_be_right() {
    type Read = fn(&mut ConfigReader);
    let duration: Read = |reader| {
        reader.duration("k", DAY, SECOND..=HOUR);
    };
    let integer: Read = |reader| {
        reader.integer("k", 1, 1..=u64::MAX);
    };
    let bytes: Read = |reader| {
        reader.bytes("k", 1024, 1024..=8 << 20);
    };
    let flag: Read = |reader| {
        reader.flag("k", true);
    };
    let text: Read = |reader| drop(reader.text("k"));
    let list: Read = |reader| drop(reader.list("k", &[]));
    let address: Read = |reader| {
        reader.parsed::<SocketAddr>("k");
    };
    let choice: Read = |reader| {
        reader.choice("k", 1, &[("a", 1), ("b", 2)]);
    };
    for (yaml, read, expected) in [
        ("k: 5", duration, "k: 5 has no unit; write 5s"),
        ("k: '5'", duration, "k: 5 has no unit; write 5s"),
        (
            "k: 2h",
            duration,
            "k: \"2h\" is out of range, allowed are 1s to 1h",
        ),
        ("k: [5s]", duration, "k: a list is not a duration"),
        ("k: -1", integer, "k: -1 is out of range, allowed is 1 or more"),
        (
            "k: 1.5",
            integer,
            "k: 1.5 is not a whole number, allowed is 1 or more",
        ),
        ("k: 8 miles", bytes, "such as 8 MiB, allowed are 1 KiB to 8 MiB"),
        ("k: true", bytes, "k: true is not a size"),
        (
            "k: 9 MiB",
            bytes,
            "k: \"9 MiB\" is out of range, allowed are 1 KiB to 8 MiB",
        ),
        ("k: yes", flag, "k: \"yes\" is not a flag; write true or false"),
        ("k: 12", text, "k: 12 is not a text; put it in quotes"),
        (
            "k: {a: b}",
            text,
            "k: a mapping is not a text; write a single value",
        ),
        (
            "k: cpu",
            list,
            "k: \"cpu\" is not a list of texts; write [first, second]",
        ),
        (
            "k: [cpu, 7]",
            list,
            "k: 7 in the list is not a text; put it in quotes",
        ),
        (
            "k: localhost",
            address,
            "k: \"localhost\" is refused: invalid socket address",
        ),
        ("k: 0123", address, "k: 123 can't be read; put it in quotes"),
        ("k: c", choice, "k: \"c\" is not one of a, b"),
    ] {
        let mut reader = reader(yaml);
        read(&mut reader);
        let found = problems(reader);
        assert_eq!(found.len(), 1, "{yaml}: {found:?}");
        assert!(found[0].contains(expected), "{yaml}: {found:?}");
    }
}

#[test]
fn a_parse_error_that_quotes_its_text_is_not_quoted_again() {
    let mut reader = reader("id: a b");
    assert_eq!(reader.parsed::<nodeglass_model::AgentId>("id"), None);
    let found = problems(reader);
    assert!(
        found[0].starts_with("id: \"a b\" is not a valid agent id"),
        "{found:?}"
    );
}

#[test]
fn unknown_keys_are_found_with_their_nearest() {
    let mut reader = reader(
        "metrics:\n  storge:\n    retention: 7d\n    more: 1\n  storage:\n    retention_perod: 7d\n    \
         zzz: 1\n  api: 5\nretention_period: 7d\nmetrics.storage.retention_period: 7d\n",
    );
    reader.duration("metrics.storage.retention_period", DAY, DAY..=7 * DAY);
    reader.flag("metrics.storage.compression", true);
    reader.flag("metrics.api.sse", true);
    assert_eq!(
        problems(reader),
        [
            "metrics.storge: unknown key; did you mean metrics.storage?",
            "metrics.storage.retention_perod: unknown key; did you mean metrics.storage.retention_period?",
            "metrics.storage.zzz: unknown key; known here are compression, retention_period",
            "metrics.api: a number is not a mapping; keys under it are sse",
            "retention_period: unknown key; did you mean metrics.storage.retention_period?",
            "metrics.storage.retention_period: keys don't hold dots; write each part on its own line, \
             indented under the one before",
        ]
    );
}

#[test]
fn the_environment_wins_over_the_file() {
    let env = Env::from_pairs(&[
        ("METRICS_INTERVAL_LIVE", "2"),
        ("METRICS_RETENTION_DAYS", "3"),
        ("POSTGRES_HOST", "db"),
        ("POSTGRES_USER", ""),
    ]);
    let mut reader = ConfigReader::parse("config/test.yaml", "interval: 5s", env);
    let interval = reader.duration("interval", SECOND, SECOND..=HOUR);
    assert_eq!(
        reader.env_seconds("METRICS_INTERVAL_LIVE", interval, SECOND..=HOUR),
        2 * SECOND
    );
    assert_eq!(
        reader.env_seconds("METRICS_INTERVAL_PERSIST", interval, SECOND..=HOUR),
        5 * SECOND
    );
    assert_eq!(
        reader.env_days("METRICS_RETENTION_DAYS", DAY, DAY..=7 * DAY),
        3 * DAY
    );
    assert_eq!(reader.env_text("POSTGRES_HOST").as_deref(), Some("db"));
    assert_eq!(reader.env_text("POSTGRES_USER"), None);
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn wrong_environment_values_are_problems_too() {
    let env = Env::from_pairs(&[
        ("METRICS_INTERVAL_LIVE", "often"),
        ("METRICS_INTERVAL_PERSIST", "7200"),
        ("METRICS_RETENTION_DAYS", "999999999999999999"),
    ]);
    let mut reader = ConfigReader::load(None, env);
    assert_eq!(
        reader.env_seconds("METRICS_INTERVAL_LIVE", SECOND, SECOND..=HOUR),
        SECOND
    );
    assert_eq!(
        reader.env_seconds("METRICS_INTERVAL_PERSIST", SECOND, SECOND..=HOUR),
        SECOND
    );
    assert_eq!(
        reader.env_days("METRICS_RETENTION_DAYS", DAY, DAY..=Duration::MAX),
        DAY
    );
    assert_eq!(
        reader.finish().unwrap_err().to_string(),
        "the configuration has 3 problems:\n  \
         METRICS_INTERVAL_LIVE: \"often\" is not a whole number of seconds, allowed are 1s to 1h\n  \
         METRICS_INTERVAL_PERSIST: 7200 seconds is out of range, allowed are 1s to 1h\n  \
         METRICS_RETENTION_DAYS: 999999999999999999 days is out of range, allowed is 1d or more"
    );
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_a_problem() {
    use std::os::unix::ffi::OsStringExt;
    let mut reader = ConfigReader::parse(
        "x",
        "",
        Env::from_os("HOST", std::ffi::OsString::from_vec(vec![0xff])),
    );
    assert_eq!(reader.env_text("HOST"), None);
    assert_eq!(problems(reader), ["HOST: this environment variable is not UTF-8"]);
}

#[test]
fn a_text_that_is_not_a_configuration_is_one_problem_with_its_line() {
    for (yaml, expected) in [
        ("a: 1\nb: [1,\n", "not valid YAML"),
        ("a: 1\na: 2\n", "not valid YAML"),
        ("- a\n- b\n", "must be a mapping of keys to values, not a list"),
    ] {
        let mut reader = reader(yaml);
        assert_eq!(reader.integer("a", 7, 0..=9), 7);
        let found = problems(reader);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
    let found = problems(reader("a: 1\na: 2\n"));
    assert!(found[0].contains("line 2"), "{found:?}");
}

#[test]
fn files_are_read_and_missing_ones_are_problems() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.yaml");
    let found = problems(ConfigReader::load(Some(&path), Env::empty()));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("can't be read: "), "{found:?}");

    std::fs::write(&path, "workers: 3\nx: 1\n").unwrap();
    let mut reader = ConfigReader::load(Some(&path), Env::empty());
    assert_eq!(reader.integer("workers", 1, 1..=9), 3);
    let shown = reader.finish().unwrap_err().to_string();
    assert!(
        shown.starts_with(&format!("{} has 1 problem:\n  x: ", path.display())),
        "{shown}"
    );
}

#[test]
fn problems_of_the_caller_are_kept_with_the_others() {
    let mut reader = reader("x: 1");
    reader.problem("server.cert", "needs server.key too");
    assert_eq!(problems(reader)[0], "server.cert: needs server.key too");
}

#[test]
fn secrets_are_never_shown() {
    let secret = Secret::from("hunter2".to_owned());
    assert_eq!(
        format!("{secret} {secret:?} {:?}", Some(secret.clone())),
        "<secret> <secret> Some(<secret>)"
    );
    assert!(secret == Secret::from("hunter2".to_owned()) && secret != Secret::from("hunter".to_owned()));

    // Wrong types and broken documents don't show them either.
    for yaml in [
        "token: 777123",
        "token: [777123]",
        "token: *777123",
        "token: '777123\nx: : :",
        "token: {a: 777123",
    ] {
        let mut reader = reader(yaml);
        assert_eq!(reader.secret("token"), None, "{yaml}");
        let error = reader.finish().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("777123"), "{error}");
    }
    let env = Env::from_pairs(&[("PASSWORD", "777123")]);
    assert!(!format!("{env:?}").contains("777123"));
}
