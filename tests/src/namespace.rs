//! Mounts and interfaces that no other process sees: a program started in namespaces of its own, and commands run in
//! there.

use std::os::fd::AsFd;
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::process::run;

/// What a program gets for itself alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// A list of mounts.
    Mounts,
    /// Mounts and network interfaces.
    MountsAndNetwork,
}

/// The programs that start another one in namespaces of its own, after a line of shell has run in there.
///
/// # Panics
/// The system does not let us make namespaces: not root, and no user namespaces.
pub async fn in_own(own: Own, first: &str) -> Vec<String> {
    let mut prefix = vec!["unshare".to_owned()];
    if !rustix::process::geteuid().is_root() {
        prefix.push("--map-root-user".to_owned());
    }
    prefix.extend(["--mount", "--propagation", "private"].map(str::to_owned));
    if own == Own::MountsAndNetwork {
        prefix.push("--net".to_owned());
    }
    let mut attempt = Command::new(&prefix[0]);
    let output = run(attempt.args(&prefix[1..]).arg("true")).await;
    assert!(
        output.status.success(),
        "this test needs root, or user namespaces, to make a {own:?} namespace: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let script = format!("set -e; {first}\nexec \"$0\" \"$@\"");
    prefix.extend(["sh".to_owned(), "-c".to_owned(), script]);
    prefix
}

/// Runs a line of shell in the namespaces of a process.
///
/// # Panics
/// It fails; says what it said.
pub async fn within(pid: u32, script: &str) -> String {
    let output = try_within(pid, script, Stdio::null()).await;
    assert!(
        output.status.success(),
        "{script:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The same with something to read, for what may fail.
pub async fn try_within(pid: u32, script: &str, stdin: Stdio) -> Output {
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid.to_string(), "--mount", "--net"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--preserve-credentials"]);
    }
    command.args(["sh", "-c", script]).stdin(stdin).kill_on_drop(true);
    run(&mut command).await
}

/// Names the test that runs in mounts of its own.
const INNER: &str = "NODEGLASS_INNER_TEST";

/// Runs the test of this name again in mounts of its own, where it may mount what it likes for itself and all that it
/// starts; `false` to that second run, which is to do the test's work.
///
/// # Panics
/// The second run fails, or the system does not let us make namespaces.
pub async fn ran_in_own_mounts(test: &str) -> bool {
    if std::env::var(INNER).is_ok_and(|inner| inner == test) {
        return false;
    }
    let mut prefix = in_own(Own::Mounts, "true").await;
    let program = std::env::current_exe().expect("the test's own path");
    let mut command = Command::new(prefix.remove(0));
    command
        .args(prefix)
        .arg(program)
        .args(["--exact", test, "--nocapture"]);
    // Of tests that ran, standard output tells; this one is counted once.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    let status = command
        .env(INNER, test)
        .stdin(Stdio::null())
        .stdout(stderr.expect("standard error"))
        .kill_on_drop(true)
        .status();
    let status = tokio::time::timeout(3 * crate::PATIENCE, status).await;
    let status = status.expect("the test ends").expect("the test starts");
    assert!(
        status.success(),
        "{test} failed in mounts of its own; what it said stands above"
    );
    true
}

/// Mounts a small file system in memory, to be called in mounts of one's own.
///
/// # Panics
/// It can't be mounted.
pub async fn mount_small(directory: &std::path::Path, mebibytes: u32) {
    let mut mount = Command::new("mount");
    mount.args([
        "-t",
        "tmpfs",
        "-o",
        &format!("size={mebibytes}m,mode=1777"),
        "small",
    ]);
    let output = run(mount.arg(directory)).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
