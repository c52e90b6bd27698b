//! A cluster lives as its owner says, and dies with it.

use std::io::{BufRead, BufReader};

use super::*;

fn start() -> Cluster {
    Cluster::start(&Binaries::find().unwrap(), Options { fsync: false }).unwrap()
}

fn lives(pid: u32) -> bool {
    // A process that ended and that nobody has collected yet has no command line any more.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn starts_dies_starts_again_and_leaves_nothing() {
    let mut cluster = start();
    cluster.create_database("kept").unwrap();
    let directory = cluster.directory.path().to_owned();
    cluster.stop_immediate().unwrap();
    assert!(cluster.create_database("refused").is_err());
    cluster.start_again().unwrap();
    let error = cluster.create_database("kept").unwrap_err();
    assert!(error.to_string().contains("already exists"), "{error}");
    let pids = cluster.pids();
    assert!(pids.len() > 3, "the server and its helpers: {pids:?}");
    assert!(cluster.start_again().is_err(), "it runs already");
    drop(cluster);
    assert!(!directory.exists());
    assert!(!lives(pids[0]));
}

#[test]
fn a_server_that_ended_by_itself_is_stopped_and_can_start_again() {
    let mut cluster = start();
    let pid = cluster.pids()[0].to_string();
    assert!(
        Command::new("kill")
            .args(["-QUIT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let until = Instant::now() + PATIENCE;
    while cluster.runs() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    cluster.stop_immediate().unwrap();
    cluster.start_again().unwrap();
    cluster.create_database("after").unwrap();
}

#[test]
fn programs_of_others_can_use_its_url() {
    let cluster = start();
    let output = Command::new(cluster.binaries.directory().join("psql"))
        .args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--command",
            "select 1 + 1",
        ])
        .arg(cluster.url("postgres"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2\n", "{output:?}");
}

#[test]
fn paths_are_encoded_as_hosts() {
    let path = Path::new("/tmp/a b%c/x-1_Z.d");
    assert_eq!(percent_encoded(path), "%2Ftmp%2Fa%20b%25c%2Fx-1_Z.d");
}

/// Tells this test that it is the process to be killed.
const HOLDER: &str = "NODEGLASS_TEST_HOLDS_A_CLUSTER";

#[cfg(target_os = "linux")]
#[test]
fn a_server_does_not_outlive_a_killed_owner() {
    if std::env::var_os(HOLDER).is_some() {
        let cluster = start();
        println!(
            "\npid {} in {}",
            cluster.pids()[0],
            cluster.directory.path().display()
        );
        thread::sleep(PATIENCE);
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("postgres::tests::a_server_does_not_outlive_a_killed_owner")
        .env(HOLDER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("pid "))
        .expect("the owner's cluster");
    let (pid, directory) = line["pid ".len()..].split_once(" in ").unwrap();
    let pid = pid.parse().unwrap();
    assert!(lives(pid));

    owner.kill().unwrap();
    owner.wait().unwrap();
    let until = Instant::now() + PATIENCE;
    while lives(pid) {
        assert!(Instant::now() < until, "PostgreSQL outlives its owner");
        thread::sleep(Duration::from_millis(20));
    }
    fs::remove_dir_all(directory).unwrap();
}
