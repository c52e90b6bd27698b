//! The programs as people start them: the whole system in one, the commands, wrong configurations, clean ends.

use std::path::Path;
use std::process::Stdio;

use nodeglass_tests::database::Database;
use nodeglass_tests::process::{Process, command, run};
use nodeglass_tests::server::TOKEN;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

on_every_database!(one_command_is_a_whole_system);

/// Reads what `up` prints until it has said everything.
async fn greeting(process: &mut Process) -> String {
    let mut lines = BufReader::new(process.take_stdout().expect("its output")).lines();
    let mut text = String::new();
    while let Some(line) = lines.next_line().await.expect("a line") {
        text.push_str(&line);
        text.push('\n');
        if line.contains("Ctrl-C") {
            break;
        }
    }
    text
}

fn word_after<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(label))
        .expect("the labelled line");
    line.split_whitespace().nth(1).expect("a word after the label")
}

/// What a command prints; it must succeed.
async fn printed(url: &str, token: &str, arguments: &[&str]) -> String {
    let mut command = command("nodeglass");
    let output = run(command
        .args(arguments)
        .env("NODEGLASS_SERVER", url)
        .env("NODEGLASS_TOKEN", token))
    .await;
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

async fn one_command_is_a_whole_system(database: Database) {
    let data_dir = tempfile::tempdir().unwrap();
    let up = || {
        let mut command = command("nodeglass");
        command.args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--database",
            database.url(),
            "--data-dir",
        ]);
        command
            .arg(data_dir.path())
            .env("METRICS_INTERVAL_LIVE", "1")
            .stdout(Stdio::piped());
        Process::start(&mut command)
    };
    let mut process = up();
    let text = greeting(&mut process).await;
    let (url, token, agent) = (
        word_after(&text, "address"),
        word_after(&text, "token"),
        word_after(&text, "agent"),
    );
    assert_eq!(text.matches(token).count(), 1, "the token is shown once:\n{text}");

    let listed = eventually("this host to be listed with figures", async || {
        let listed = printed(url, token, &["agents"]).await;
        (listed.contains("connected") && listed.contains('%')).then_some(listed)
    })
    .await;
    assert!(listed.contains(agent), "{listed}");
    let watched = printed(url, token, &["watch", agent, "--count", "2", "--json"]).await;
    assert_eq!(watched.lines().count(), 2);
    let queried = eventually("history", async || {
        let queried = printed(
            url,
            token,
            &["query", agent, "memory.usage_percent", "--since", "5m", "--json"],
        )
        .await;
        let queried: Value = serde_json::from_str(&queried).unwrap();
        (!queried["data"].as_array()?.is_empty()).then_some(queried)
    })
    .await;
    assert!(queried["data"][0]["memory.usage_percent"].is_number());
    let table = printed(
        url,
        token,
        &[
            "query",
            agent,
            "memory.usage_percent",
            "cpu.usage_percent",
            "--since",
            "1h",
        ],
    )
    .await;
    assert!(table.starts_with("TIME") && table.contains('%'), "{table}");

    // A second host, added beside the running server.
    let mut add = command("nodeglass-server");
    let added = run(add
        .args(["agent", "add", "second", "--json", "--data-dir"])
        .arg(data_dir.path()))
    .await;
    let added: Value = serde_json::from_slice(&added.stdout).expect("JSON");
    let host = tempfile::tempdir().unwrap();
    let mut enroll = command("nodeglass-agent");
    let output = run(enroll
        .args(["enroll", added["enrolment"].as_str().unwrap(), "--data-dir"])
        .arg(host.path()))
    .await;
    assert!(output.status.success());
    let second = Process::start(
        command("nodeglass-agent")
            .args(["run", "--data-dir"])
            .arg(host.path()),
    );
    eventually("the second host to be connected", async || {
        let listed: Value = serde_json::from_str(&printed(url, token, &["agents", "--json"]).await).ok()?;
        let second = listed["agents"]
            .as_array()?
            .iter()
            .find(|entry| entry["agent_id"] == "second")
            .cloned()?;
        (second["status"] == "connected" && !second["metrics"].is_null()).then_some(())
    })
    .await;
    assert_eq!(second.terminate().await.code(), Some(0));

    let token = token.to_owned();
    assert_eq!(process.terminate().await.code(), Some(0));
    let before = database.stored().await.unwrap();
    let mut process = up();
    let text = greeting(&mut process).await;
    assert!(!text.contains(&token), "never again:\n{text}");
    let url = word_after(&text, "address");
    eventually("the same host to go on under its name and token", async || {
        let stored = database.stored().await.ok()?;
        (stored.len() > before.len()).then_some(())
    })
    .await;
    assert!(printed(url, &token, &["agents"]).await.contains("second"));
    assert_eq!(process.terminate().await.code(), Some(0));
    let (stored, hosts) = (database.stored().await.unwrap(), ["second", agent]);
    assert!(stored.iter().all(|(agent, ..)| hosts.contains(&agent.as_str())));
}

#[tokio::test]
async fn a_command_without_token_or_server_says_what_to_do() {
    let without = run(command("nodeglass").arg("agents")).await;
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stderr).contains("NODEGLASS_TOKEN"));
    // A port that was free a moment ago, and on which nobody listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let alone =
        run(command("nodeglass").args(["agents", "--server", &format!("http://{free}"), "--token", TOKEN]))
            .await;
    assert!(String::from_utf8_lossy(&alone.stderr).contains("is it running there?"));
}

#[tokio::test]
async fn a_host_that_is_not_enrolled_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(command("nodeglass-agent")
        .args(["run", "--data-dir"])
        .arg(directory.path()))
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nodeglass-server agent add"));
    let output = run(command("nodeglass-agent")
        .args(["enroll", "nonsense", "--data-dir"])
        .arg(directory.path()))
    .await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("agent add"));
    assert!(!directory.path().join("identity.json").exists());
}

#[tokio::test]
async fn wrong_configurations_end_with_64_and_name_every_problem() {
    let directory = tempfile::tempdir().unwrap();
    for (program, config, named) in [
        (
            "nodeglass-server",
            "listen: here\nmetrics:\n  storage:\n    retention_period: 5 parsecs\n    retension: 1d\n",
            [
                "listen",
                "metrics.storage.retention_period",
                "metrics.storage.retension",
            ],
        ),
        (
            "nodeglass-agent",
            "metrics:\n  collection_interval: 0s\n  colected_metrics: [cpu]\n  exclude_metrics: [nonsense]\n",
            [
                "metrics.collection_interval",
                "metrics.colected_metrics",
                "nonsense",
            ],
        ),
    ] {
        let path = directory.path().join("wrong.yaml");
        std::fs::write(&path, config).unwrap();
        for check in [true, false] {
            let mut command = command(program);
            if check {
                command.arg("check-config");
            }
            let output = run(command
                .arg("--config")
                .arg(&path)
                .arg("--data-dir")
                .arg(directory.path()))
            .await;
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(64), "{errors}");
            for name in named {
                assert!(errors.contains(name), "{name} in {errors}");
            }
        }
        let output = run(command(program).arg("--no-such-option")).await;
        assert_eq!(output.status.code(), Some(64));
    }
    for (program, arguments) in [
        ("nodeglass-server", &["check-config"][..]),
        ("nodeglass", &["up"]),
    ] {
        let mut command = command(program);
        command
            .args(arguments)
            .args(["--database", "postgres://me:secret@host:noport/db", "--data-dir"]);
        let output = run(command.arg(directory.path())).await;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{errors}");
        assert!(
            errors.contains("database") && !errors.contains("secret"),
            "{errors}"
        );
    }
    let bad = run(command("nodeglass-server")
        .arg("check-config")
        .env("METRICS_RETENTION_DAYS", "soon"))
    .await;
    assert_eq!(bad.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("METRICS_RETENTION_DAYS"));
}

#[tokio::test]
async fn the_default_configurations_are_good() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    for name in ["server", "agent"] {
        let path = config.join(format!("{name}.yaml"));
        let output = run(command(&format!("nodeglass-{name}"))
            .args(["check-config", "--config"])
            .arg(&path))
        .await;
        assert!(
            output.status.success(),
            "{}: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        // The lines that are commented out are examples of the keys: they must be right too.
        let text = std::fs::read_to_string(&path).unwrap();
        let examples: String = text
            .lines()
            .map(|line| line.strip_prefix("#: ").map_or(line, |example| example))
            .flat_map(|line| [line, "\n"])
            .collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("all.yaml");
        std::fs::write(&path, &examples).unwrap();
        let output = run(command(&format!("nodeglass-{name}"))
            .args(["check-config", "--config"])
            .arg(&path))
        .await;
        assert!(
            output.status.success(),
            "{examples}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[tokio::test]
async fn an_export_that_breaks_off_says_so_and_leaves_no_file() {
    // A server that sends one sample and is gone, amid its answer.
    let line = "{\"agent_id\":\"host\",\"epoch\":7,\"seq\":1,\"timestamp\":1763712000000}\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{line}\r\n",
        line.len()
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                question.push(connection.read_u8().await.unwrap());
            }
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let files = tempfile::tempdir().unwrap();
    for format in ["csv", "parquet", "openmetrics"] {
        let mut command = command("nodeglass");
        command.args([
            "export", "--server", &server, "--token", TOKEN, "--format", format,
        ]);
        let output = run(command.arg("--output").arg(files.path().join("file"))).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("broke off after 1 samples"), "{said}");
        assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 0, "{format}");
    }
}
