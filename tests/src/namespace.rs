//! Mounts and interfaces that no other process sees: a program started in namespaces of its own, and commands run in
//! there.

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
