//! The socket over a real registry of this host.

use std::io::{BufRead, BufReader, Write};

use nodeglass_collect::{CollectConfig, Sampler};
use nodeglass_model::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

struct Open {
    directory: TempDir,
    tasks: TaskGroup,
    // Its registry lives as long as somebody could sample it.
    _sampler: Sampler,
}

impl Open {
    async fn with<T: Send + 'static>(speak: impl FnOnce(PathBuf) -> T + Send + 'static) -> T {
        let directory = tempfile::tempdir().unwrap();
        let sampler = Sampler::new(CollectConfig::default()).unwrap();
        let tasks = TaskGroup::new();
        let path = directory.path().join("agent.sock");
        let socket = TaskSocket::open(&path, sampler.tasks(), Arc::new(SystemClock)).unwrap();
        let stop = tasks.shutdown_token();
        let group = tasks.clone();
        tasks.spawn("socket", async move {
            socket.run(group, stop).await;
            Ok(())
        });
        let open = Self {
            directory,
            tasks,
            _sampler: sampler,
        };
        let spoken = tokio::task::spawn_blocking(move || speak(path)).await.unwrap();
        open.tasks.shutdown_token().cancel();
        open.tasks.run(std::future::ready(()), PATIENCE).await.unwrap();
        let left = fs::read_dir(open.directory.path()).unwrap().count();
        assert_eq!(left, 0, "the socket goes with the agent");
        spoken
    }
}

fn connect(path: &Path) -> BufReader<BlockingStream> {
    let stream = BlockingStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    BufReader::new(stream)
}

fn say(stream: &mut BufReader<BlockingStream>, line: &[u8]) -> Value {
    stream.get_mut().write_all(line).unwrap();
    stream.get_mut().write_all(b"\n").unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_task_is_followed_listed_and_ended_over_one_connection() {
    Open::with(|path| {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut stream = connect(&path);
        let own = json!({"follow": {"task_id": "own", "pid": std::process::id(), "command": ["x", "--token", "s"]}});
        assert_eq!(say(&mut stream, own.to_string().as_bytes()), json!({"ok": {}}));
        assert_eq!(code(&say(&mut stream, own.to_string().as_bytes())), "task_exists");
        let list = say(&mut stream, b"{\"list\": {}}");
        let task = &list["ok"]["tasks"][0];
        assert_eq!((&task["task_id"], &task["ended"]), (&json!("own"), &json!(false)));
        assert_eq!(task["command"], "x --token ***");
        assert!(task["started_at_ms"].as_i64() > Some(1_500_000_000_000));
        let ended = br#"{"ended": {"task_id": "own", "exit_code": 0, "cpu_time_ms": 1}}"#;
        assert_eq!(say(&mut stream, ended), json!({"ok": {}}));
        let unknown = br#"{"ended": {"task_id": "other"}}"#;
        assert_eq!(code(&say(&mut stream, unknown)), "not_found");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_what_is_wrong() {
    Open::with(|path| {
        let mut stream = connect(&path);
        for (line, wrong) in [
            ("", "bad_request"),
            ("garbage \u{1b}", "bad_request"),
            ("{\"folow\": {}}", "bad_request"),
            ("{\"follow\": {\"task_id\": \"a\"}}", "bad_request"),
            ("{\"follow\": {\"task_id\": \"a b\", \"pid\": 1}}", "bad_request"),
            ("{\"follow\": {\"task_id\": \"a\", \"pid\": -1}}", "bad_request"),
            (
                "{\"follow\": {\"task_id\": \"a\", \"pid\": 1, \"unit\": \"x.service\"}}",
                "bad_request",
            ),
            (
                "{\"follow\": {\"task_id\": \"a\", \"pid\": 1, \"shell\": \"rm\"}}",
                "bad_request",
            ),
            (
                "{\"follow\": {\"task_id\": \"a\", \"pid\": 4194305}}",
                "not_found",
            ),
            (
                "{\"follow\": {\"task_id\": \"a\", \"cgroup\": \"../..\"}}",
                "invalid_target",
            ),
            (
                "{\"follow\": {\"task_id\": \"a\", \"unit\": \"no-such-unit-here.service\"}}",
                "not_found",
            ),
        ] {
            let answer = say(&mut stream, line.as_bytes());
            assert_eq!(code(&answer), wrong, "{line}: {answer}");
            assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
        }
        let bytes = say(&mut stream, b"\xff\xfe{\"list\":{}}");
        assert_eq!(code(&bytes), "bad_request");
    })
    .await;
}

#[tokio::test]
async fn a_line_without_an_end_is_not_kept() {
    Open::with(|path| {
        let mut stream = connect(&path);
        // The agent may close before all of it is written.
        drop(stream.get_mut().write_all(&vec![b'x'; MAX_LINE_BYTES]));
        let mut answer = String::new();
        stream.read_line(&mut answer).unwrap();
        assert_eq!(code(&serde_json::from_str(&answer).unwrap()), "too_long");
        let mut rest = String::new();
        assert_eq!(
            stream.read_line(&mut rest).unwrap_or(0),
            0,
            "and the connection is closed"
        );
    })
    .await;
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "as a killed agent leaves it");
    let sampler = Sampler::new(CollectConfig::default()).unwrap();
    let open = || TaskSocket::open(&path, sampler.tasks(), Arc::new(SystemClock));
    let socket = open().unwrap();
    assert_eq!(open().err().unwrap().kind(), io::ErrorKind::AddrInUse);
    drop(socket);
    assert!(!path.exists());
    fs::write(&path, "somebody's file").unwrap();
    assert!(open().is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's file");
}
