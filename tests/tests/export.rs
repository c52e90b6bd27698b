//! Export and import: what one server has stored, another takes, once.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use nodeglass_model::sample::{DiskMetrics, NetworkMetrics, ProcessEntry};
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::process::{command, run};
use nodeglass_tests::server::{Server, TOKEN};
use serde_json::{Value, json};
use xtask::tools::PROMTOOL;

on_every_database!(
    what_is_exported_can_be_imported_once,
    a_part_can_be_imported_beside_the_whole,
    old_samples_are_taken_as_far_as_they_are_kept,
    bad_files_and_callers_are_told_what_to_do,
);

const MONTHS: &str = "{metrics: {storage: {retention_period: 365d, compaction_interval: 1s}}}";

/// Runs `nodeglass` against a server.
async fn nodeglass(server: &Server, arguments: &[&str]) -> Output {
    let mut command = command("nodeglass");
    command
        .args(arguments)
        .env("NODEGLASS_SERVER", &server.url)
        .env("NODEGLASS_TOKEN", TOKEN);
    run(&mut command).await
}

/// What it prints; it must succeed.
async fn printed(server: &Server, arguments: &[&str]) -> String {
    let output = nodeglass(server, arguments).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// What it says when it fails, as it must.
async fn complaint(server: &Server, arguments: &[&str]) -> String {
    let output = nodeglass(server, arguments).await;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    said
}

/// A sample of a second with devices, texts that are hard to quote, and a command line.
fn rich(at: UnixMillis, number: u64) -> Sample {
    let mut sample = sample(at, (number % 100) as f64 + 0.25);
    sample.clock.offset_ms = Some(-0.25);
    sample.disks.push(DiskMetrics {
        device: "/dev/sda1".into(),
        mount_point: "/a \"b\", c".into(),
        parent: "sda".into(),
        used_bytes: Some(number),
        read_bytes_per_sec: Some(number * 3),
        ..Default::default()
    });
    sample.network_interfaces.push(NetworkMetrics {
        interface: "eth0".into(),
        errors_in: Some(number),
        ..Default::default()
    });
    sample.processes.top.push(ProcessEntry {
        pid: 42,
        start_time: 9,
        name: "db".into(),
        command: "db --name \"x,\ny\"".into(),
        user: "postgres".into(),
        cpu_percent: Some(1.5),
        ..Default::default()
    });
    sample
}

/// Has an agent store samples, a second apart; gives the time of the first.
async fn store(server: &Server, name: &str, count: u64, begin: UnixMillis) {
    let mut agent = FakeAgent::open(&server.enrolment(name).await, 7).await.unwrap();
    for numbers in (1..=count).collect::<Vec<_>>().chunks(400) {
        let at = |number: u64| UnixMillis(begin.0 + number as i64 * 1_000 + 7);
        agent
            .send(numbers.iter().map(|number| (*number, rich(at(*number), *number))))
            .await;
        let (stored, rejected) = agent.settled(numbers.len()).await.unwrap();
        assert_eq!((stored.len(), rejected.len()), (numbers.len(), 0));
    }
}

/// Every sample that a server has, as it says it.
async fn exported(server: &Server) -> Vec<Value> {
    let answer = server.request("/api/v1/export").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn path(directory: &Path, name: &str) -> (PathBuf, String) {
    let path = directory.join(name);
    let text = path.to_str().unwrap().to_owned();
    (path, text)
}

async fn what_is_exported_can_be_imported_once(database: Database) {
    let files = tempfile::tempdir().unwrap();
    let begin = UnixMillis(now().0 - 3_600_000);
    let config = "{metrics: {storage: {compaction_interval: 1s}}}";
    let server = Server::start_with(&database, Some(config)).await;
    store(&server, "web-1", 1_200, begin).await;
    store(&server, "db", 30, begin).await;
    let all = exported(&server).await;
    assert_eq!(all.len(), 1_230);
    assert_eq!(
        (&all[0]["agent_id"], &all[30]["agent_id"]),
        (&json!("db"), &json!("web-1"))
    );
    assert_eq!((&all[0]["epoch"], &all[0]["seq"]), (&json!(7), &json!(1)));

    for format in ["csv", "parquet", "openmetrics"] {
        let (file, name) = path(files.path(), format);
        printed(
            &server,
            &["export", "--since", "2h", "--format", format, "--output", &name],
        )
        .await;
        assert!(file.exists());
        let empty = Database::like(&database).await;
        let mut other = Server::start_with(&empty, Some(config)).await;
        let refused = complaint(&other, &["import", &name]).await;
        assert!(refused.contains("--create-agents"), "{refused}");
        assert_eq!(exported(&other).await, Vec::<Value>::new());
        let done = printed(&other, &["import", "--create-agents", &name]).await;
        assert!(
            done.contains("1230 samples stored, 0 were there already, 0 refused"),
            "{done}"
        );
        let found = exported(&other).await;
        if format == "openmetrics" {
            let figures = |samples: &[Value]| -> Vec<_> {
                (samples.iter())
                    .map(|sample| {
                        (
                            sample["timestamp"].clone(),
                            sample["devices"][0]["values"].clone(),
                        )
                    })
                    .collect()
            };
            assert_eq!(figures(&found), figures(&all));
        } else {
            assert_eq!(found, all);
        }
        // Whatever tier they have reached by now, they are known.
        for _ in 0..2 {
            let again = printed(&other, &["import", &name]).await;
            assert!(
                again.contains(": 0 samples stored, 1230 were there already, 0 refused"),
                "{again}"
            );
            assert_eq!(other.terminate().await, Some(0));
            other.start_again().await;
        }
        assert_eq!(exported(&other).await.len(), 1_230);
        for agent in ["web-1", "db"] {
            for metric in [
                "cpu.usage_percent",
                "disk.read_bytes_per_sec@sda1",
                "network.errors_in@*",
            ] {
                let query = format!(
                    "/api/v1/agents/{agent}/metrics/history?metrics={metric}&start={}&end={}&interval=60",
                    begin.0,
                    now().0 / 1_000 + 1
                );
                assert_eq!(
                    other.ok(&query).await["data"],
                    server.ok(&query).await["data"],
                    "{query}"
                );
            }
            let overview = other.overview(agent).await.unwrap();
            assert_eq!(overview["status"], "disconnected", "{overview}");
            assert!(overview["metrics"].is_null(), "{overview}");
        }
        // The agent that they are of goes on, and what it says adds up.
        let enrolment = other.replaced_enrolment("db").await;
        let mut agent = FakeAgent::open(&enrolment, 7).await.unwrap();
        agent
            .send((30..=31).map(|seq| (seq, rich(UnixMillis(begin.0 + seq as i64 * 1_000 + 7), seq))))
            .await;
        agent.settled(2).await.unwrap();
        let (stored, duplicate) = if format == "openmetrics" { (2, 0) } else { (31, 1) };
        // What came again is known as such once it is to become part of a chunk.
        let counted = |ledger: &Value| {
            ledger["server"]["stored"] == stored && ledger["server"]["duplicate"] == duplicate
        };
        other.ledger_when("db", counted).await;
    }

    let (_, name) = path(files.path(), "openmetrics");
    let blocks = files.path().join("blocks");
    let promtool = PROMTOOL.find_or_unpack().expect("promtool");
    let made = tokio::process::Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "openmetrics", &name])
        .arg(&blocks)
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(std::fs::read_dir(&blocks).unwrap().count() > 0);
}

async fn a_part_can_be_imported_beside_the_whole(database: Database) {
    let files = tempfile::tempdir().unwrap();
    let (_, name) = path(files.path(), "part.csv");
    let begin = UnixMillis(now().0 - 600_000);
    let server = Server::start(&database).await;
    store(&server, "web-1", 20, begin).await;
    store(&server, "db", 20, begin).await;
    let since = (begin.0 + 10_000).to_string();
    let arguments = [
        "export",
        "cpu.usage_percent",
        "network.errors_in@eth0",
        "--agent",
        "web-*",
        "--since",
        &since,
    ];
    let text = printed(&server, &arguments).await;
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 22, "two figures of the seconds 10 to 20: {text}");
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("web-1,") && line.contains("Z,,,")),
        "{text}"
    );
    std::fs::write(&name, &text).unwrap();
    let done = printed(&server, &["import", &name]).await;
    assert!(done.contains("11 samples stored"), "{done}");
    let again = printed(&server, &["import", &name, &name]).await;
    assert_eq!(
        again.matches("0 samples stored, 11 were there already").count(),
        2,
        "{again}"
    );
    // The whole ones are still there.
    assert_eq!(exported(&server).await.len(), 51);
    assert_eq!(
        server.ok("/api/v1/agents/web-1/ledger").await["server"]["stored"],
        20
    );
    let none = complaint(&server, &["export", "--agent", "mail-*"]).await;
    assert!(none.contains("no agent fits"), "{none}");
    let unknown = complaint(&server, &["export", "cpu.usage"]).await;
    assert!(unknown.contains("cpu.usage_percent"), "{unknown}");
}

async fn old_samples_are_taken_as_far_as_they_are_kept(database: Database) {
    let files = tempfile::tempdir().unwrap();
    let (_, name) = path(files.path(), "old.csv");
    let day = 86_400_000;
    let mut text = String::from("agent,timestamp,epoch,seq,metric,device,value,unit,text\n");
    for (number, days) in [400, 300, 200, 100].into_iter().enumerate() {
        for second in 0..50 {
            let at = now().0 - days * day + second * 1_000;
            let seq = number as i64 * 50 + second + 1;
            writeln!(text, "host,{at},5,{seq},load.load1,,{days},tasks,").unwrap();
        }
    }
    std::fs::write(&name, &text).unwrap();
    let server = Server::start_with(&database, Some(MONTHS)).await;
    let said = complaint(&server, &["import", "--create-agents", &name]).await;
    assert!(
        said.contains("150 samples stored, 0 were there already, 50 refused"),
        "{said}"
    );
    assert!(
        said.contains("expired") && said.contains("at line 2") && said.contains("retention_period"),
        "{said}"
    );
    let said = complaint(&server, &["import", &name]).await;
    assert!(
        said.contains("0 samples stored, 150 were there already, 50 refused"),
        "{said}"
    );
    let found: Vec<_> = exported(&server)
        .await
        .iter()
        .map(|sample| sample["seq"].as_i64())
        .collect();
    assert_eq!(found, (51..=200).map(Some).collect::<Vec<_>>());
    let query = "/api/v1/agents/host/metrics/history?metrics=load.load1&start=-250d&end=-50d&interval=86400";
    let history = server.ok(query).await;
    let values: Vec<_> = (history["data"].as_array().unwrap().iter())
        .map(|bucket| bucket["load.load1"].as_f64())
        .collect();
    assert_eq!(values, [Some(200.0), Some(100.0)], "{history}");
}

async fn bad_files_and_callers_are_told_what_to_do(database: Database) {
    let files = tempfile::tempdir().unwrap();
    let (file, name) = path(files.path(), "bad.csv");
    let server = Server::start(&database).await;
    let at = now().0 - 60_000;
    let head = "agent,timestamp,epoch,seq,metric,device,value,unit,text\n";
    let good = format!("host,{at},7,1,load.load1,,1.5,tasks,\n");
    let ahead = now().0 + 3_600_000;
    for (line, expected) in [
        (format!("host,{at},7,2,load.load9,,1,,\n"), "line 3"),
        (
            format!("host,{at},7,2,cpu.usage_percent,,101,,\n"),
            "cpu.usage_percent is 101",
        ),
        (format!("host,{at},7,0,load.load1,,1,,\n"), "seq from 1 on"),
        (
            format!("host,{at},7,2,cpu.core_usage,x,1,,\n"),
            "no label of a core",
        ),
    ] {
        std::fs::write(&file, format!("{head}{good}{line}")).unwrap();
        let said = complaint(&server, &["import", "--create-agents", &name]).await;
        assert!(
            said.contains(expected) && said.contains("line 3"),
            "{line}: {said}"
        );
        assert!(said.contains("nothing of it was stored"), "{said}");
    }
    assert!(
        server.overview("host").await.is_none(),
        "not even the agent was made"
    );
    let future = format!("host,{ahead},7,2,load.load1,,1,,\n");
    std::fs::write(&file, format!("{head}{good}{future}")).unwrap();
    let said = complaint(&server, &["import", "--create-agents", &name]).await;
    assert!(
        said.contains("1 samples stored, 0 were there already, 1 refused"),
        "{said}"
    );
    assert!(
        said.contains("future_timestamp") && said.contains("line 3"),
        "{said}"
    );
    let said = complaint(&server, &["import", "/no/such/file"]).await;
    assert!(said.contains("can't be opened"), "{said}");
    let said = complaint(&server, &["export", "--since", "soon"]).await;
    assert!(said.contains("\"soon\" is not a time"), "{said}");
    let said = complaint(&server, &["export", "--output", "/no/such/directory/file"]).await;
    assert!(said.contains("can't write"), "{said}");

    // Callers of the API itself.
    let post = |path: &str, body: String| server.post(path).body(body).send();
    let line = format!("{{\"agent_id\":\"host\",\"timestamp\":{at}}}\n");
    let broken = post("/api/v1/import", format!("{line}{{\"agent\":1}}\n"))
        .await
        .unwrap();
    assert_eq!(broken.status(), 400);
    let said = broken.text().await.unwrap();
    assert!(said.contains("line 2"), "{said}");
    let large = post("/api/v1/import", " ".repeat((8 << 20) + 1)).await.unwrap();
    assert_eq!(large.status(), 413);
    let other = post("/api/v1/import", line.replace("host", "other"))
        .await
        .unwrap();
    assert_eq!(other.status(), 404);
    let token = server.add_token("somebody", "operator").await;
    let admin = post("/api/v1/import", line).await.unwrap();
    assert_eq!(admin.status(), 200);
    let request = server.anonymous_post("/api/v1/import").bearer_auth(token);
    assert_eq!(request.body("").send().await.unwrap().status(), 403);
    let (status, said) = server.get("/api/v1/export?start=now&end=-1h").await;
    assert_eq!(status, 400, "{said}");
    let (status, said) = server.get("/api/v1/import").await;
    assert_eq!(status, 405, "{said}");
}
