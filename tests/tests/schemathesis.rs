//! What schemathesis makes of the API's document, tried on a server with a real agent: no answer that the document does not
//! describe, none that fails, nothing taken that should be refused.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::server::{Server, TOKEN};
use tokio::process::Command;
use xtask::tools::python;

/// How long it may take on a busy two-core machine.
const PATIENCE: Duration = Duration::from_mins(12);

/// It asks as fast as it can.
const UNLIMITED: &str =
    "metrics: {api: {rate_limiting: {requests_per_minute: 0, requests_per_minute_per_address: 0}}}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing() {
    let database = Database::sqlite();
    let server = Server::start_with(&database, Some(UNLIMITED)).await;
    server.add_agent("spare").await;
    let _agent = Agent::start(&server, "host").await;
    eventually("a sample", async || {
        let (status, _) = server.get("/api/v1/agents/host/metrics").await;
        status.is_success().then_some(())
    })
    .await;
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis");
    let python = python::environment("schemathesis", &files.join("requirements.txt")).unwrap();
    let reports = tempfile::tempdir().unwrap();
    let mut schemathesis = Command::new(python);
    schemathesis
        .args(["-c", "from schemathesis.cli import schemathesis; schemathesis()"])
        .arg("--config-file")
        .arg(files.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/api/v1/openapi.json", server.url))
        .args(["--report", "ndjson", "--report-dir"])
        .arg(reports.path())
        .env("TOKEN", TOKEN)
        .current_dir(reports.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, schemathesis.output()).await;
    let output = output.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    // What can't run is no failure to it.
    for phase in ["Examples", "Coverage", "Fuzzing"] {
        assert!(said.contains(&format!("✅ {phase}")), "{said}");
    }
}
