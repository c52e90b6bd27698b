//! Against real servers on Unix sockets under a host root. The bodies have the shape that the daemons give.

use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::super::test_server::{Server, always, daemon, hang};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// As Docker 24 answers, cut to two containers.
const DOCKER: &str = include_str!("../../../../fixtures/container-apis/docker-containers.json");
/// As Podman 4 answers on its compatible interface.
const PODMAN: &str = include_str!("../../../../fixtures/container-apis/podman-containers.json");

const WEB: &str = "4be1c0d7a9b5e4f62818d2c7e6a90b1c4d5e6f708192a3b4c5d6e7f8091a2b3c";
const DATABASE: &str = "9f2d8c11aa0b4c3d5e6f70819aa0b4c3d5e6f7081929f2d8c11aa0b4c3d5e6f7";
const PODMAN_CACHE: &str = "c0ffee00112233445566778899aabbccddeeff00112233445566778899aabbcc";

fn names(root: &TempDir) -> Names {
    let sockets = [
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/user/*/podman/podman.sock",
    ];
    let sockets: Vec<PathBuf> = sockets.iter().map(PathBuf::from).collect();
    Names::new(&HostRoot::new(root.path()), &sockets)
}

/// One round; gives what is reported.
fn ask_about(names: &mut Names, ids: &[&str], now: Instant) -> Vec<String> {
    names.start(ids.iter().copied(), now);
    names.finish(now, Instant::now() + PATIENCE)
}

fn name_of(names: &Names, id: &str) -> Option<String> {
    names.named(id)?.name.clone()
}

#[test]
fn both_daemons_name_their_containers() {
    let root = tempfile::tempdir().unwrap();
    let docker = Server::start_at(
        &root.path().join("run/docker.sock"),
        daemon(|| DOCKER.to_owned(), true),
    );
    let podman = Server::start_at(
        &root.path().join("run/user/1000/podman/podman.sock"),
        daemon(|| PODMAN.to_owned(), false),
    );
    std::fs::create_dir_all(root.path().join("var")).unwrap();
    std::os::unix::fs::symlink("../run", root.path().join("var/run")).unwrap();
    let mut names = names(&root);
    let start = Instant::now();
    assert_eq!(ask_about(&mut names, &[WEB, PODMAN_CACHE], start), [""; 0]);
    let web = Named {
        name: Some("shop-web-1".to_owned()),
        image: Some("nginx:1.25-alpine".to_owned()),
        runtime: "docker",
    };
    assert_eq!(names.named(WEB), Some(&web));
    assert_eq!(
        name_of(&names, DATABASE).as_deref(),
        Some("db"),
        "its own name, not that of a link"
    );
    let cache = names.named(PODMAN_CACHE).unwrap();
    assert_eq!((cache.name.as_deref(), cache.runtime), (Some("cache"), "podman"));
    assert_eq!(cache.image.as_deref(), Some("docker.io/library/redis:7"));
    assert_eq!(
        docker.requests().len(),
        1,
        "a socket with two paths is asked once"
    );

    // Nothing new: nobody is asked. A new container: everybody is, but once, even if nobody knows it.
    ask_about(&mut names, &[WEB, PODMAN_CACHE], start + Duration::from_secs(5));
    assert_eq!((docker.requests().len(), podman.requests().len()), (1, 1));
    ask_about(&mut names, &[WEB, "unknown"], start + Duration::from_secs(10));
    ask_about(&mut names, &[WEB, "unknown"], start + Duration::from_secs(15));
    assert_eq!((docker.requests().len(), podman.requests().len()), (2, 2));
    // A minute after the last answer names are asked for again: containers can be renamed.
    ask_about(&mut names, &[WEB, "unknown"], start + Duration::from_secs(70));
    assert_eq!(docker.requests().len(), 3);
    // Without containers there is nothing to ask.
    ask_about(&mut names, &[], start + Duration::from_secs(200));
    assert_eq!(docker.requests().len(), 3);
}

#[test]
fn a_daemon_that_fails_is_asked_less_and_less_and_its_last_answer_holds() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("run/docker.sock");
    let healthy = Server::start_at(&socket, daemon(|| DOCKER.to_owned(), false));
    let mut names = names(&root);
    let start = Instant::now();
    ask_about(&mut names, &[WEB], start);
    drop(healthy);
    std::fs::remove_file(&socket).unwrap();

    let broken = Server::start_at(
        &socket,
        always(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
    );
    let reasons = ask_about(&mut names, &[WEB], start + Duration::from_mins(1));
    assert!(reasons[0].ends_with("it answered with status 500"), "{reasons:?}");
    assert_eq!(name_of(&names, WEB).as_deref(), Some("shop-web-1"));
    // The next time in 15 s, then 30 s after that; new containers make no difference.
    for (seconds, requests) in [(70, 1), (76, 2), (100, 2), (107, 3), (160, 3), (168, 4)] {
        let new = format!("new at {seconds}");
        ask_about(&mut names, &[WEB, &new], start + Duration::from_secs(seconds));
        assert_eq!(broken.requests().len(), requests, "after {seconds} s");
    }
}

#[test]
fn garbage_is_reported_and_names_nobody() {
    let root = tempfile::tempdir().unwrap();
    let replies = [
        "\u{1}\u{2}garbage",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"a\":[}]}",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    ];
    for reply in replies {
        let socket = root.path().join("run/docker.sock");
        let server = Server::start_at(&socket, always(reply.as_bytes()));
        let mut names = names(&root);
        let reasons = ask_about(&mut names, &[WEB], Instant::now());
        assert_eq!(reasons.len(), 1, "{reply:?}");
        assert!(
            reasons[0].contains("docker.sock are left out: its answer is no HTTP"),
            "{reasons:?}"
        );
        assert_eq!(names.named(WEB), None);
        drop(server);
        std::fs::remove_file(socket).unwrap();
    }
}

#[test]
fn a_daemon_that_hangs_holds_up_nobody_and_a_late_answer_counts() {
    let root = tempfile::tempdir().unwrap();
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let slow = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = gate.recv();
        DOCKER.to_owned()
    };
    let _docker = Server::start_at(&root.path().join("run/docker.sock"), daemon(slow, false));
    let _podman = Server::start_at(
        &root.path().join("run/user/1000/podman/podman.sock"),
        daemon(|| PODMAN.to_owned(), false),
    );
    let mut names = names(&root);
    let start = Instant::now();
    names.start([WEB, PODMAN_CACHE].into_iter(), start);
    // Podman has all the time; Docker's answer is not waited for beyond the moment given.
    let deadline = Instant::now() + PATIENCE;
    while names
        .daemons
        .iter()
        .all(|daemon| daemon.inbox.lock().unwrap().is_none())
    {
        assert!(Instant::now() < deadline, "Podman does not answer");
        std::thread::yield_now();
    }
    let reasons = names.finish(start, Instant::now());
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].ends_with("no answer yet"), "{reasons:?}");
    assert_eq!(name_of(&names, PODMAN_CACHE).as_deref(), Some("cache"));
    assert_eq!(name_of(&names, WEB), None);

    release.send(()).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while names.daemons[0].inbox.lock().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the late answer does not come");
        std::thread::yield_now();
    }
    assert_eq!(
        ask_about(&mut names, &[WEB, PODMAN_CACHE], start + Duration::from_secs(1)),
        [""; 0]
    );
    assert_eq!(name_of(&names, WEB).as_deref(), Some("shop-web-1"));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "it was not asked again for that");
}

#[test]
fn what_never_answers_is_given_up() {
    let root = tempfile::tempdir().unwrap();
    let server = Server::start_at(&root.path().join("run/docker.sock"), hang());
    let mut names = names(&root);
    let start = Instant::now();
    names.start([WEB].into_iter(), start);
    assert_eq!(names.finish(start, Instant::now()).len(), 1);
    // Asked again, while the first question still hangs: no second thread, no wait, no second report.
    let asked = Instant::now();
    assert_eq!(
        ask_about(&mut names, &[WEB], start + Duration::from_secs(16)),
        [""; 0]
    );
    assert!(asked.elapsed() < PATIENCE);
    assert!(server.requests().len() <= 1);
}

#[test]
fn sockets_that_are_not_there_are_no_failure() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(ask_about(&mut names(&root), &[WEB], Instant::now()), [""; 0]);
    // A socket whose daemon has gone refuses; a file that is no socket does too.
    drop(Server::start_at(&root.path().join("run/docker.sock"), hang()));
    assert_eq!(ask_about(&mut names(&root), &[WEB], Instant::now()), [""; 0]);
}

#[test]
fn texts_of_daemons_are_made_labels() {
    let list = |json: &str| parse_list(json.as_bytes(), "docker").unwrap();
    assert_eq!(
        list(r#"[{"Id":"a","Names":["/we\nb "],"Image":""}]"#)["a"]
            .name
            .as_deref(),
        Some("web")
    );
    assert_eq!(
        list(r#"[{"Id":"a","Names":null}]"#)["a"],
        Named {
            runtime: "docker",
            ..Named::default()
        }
    );
    let long = format!(r#"[{{"Id":"a","Names":["/{}"]}}]"#, "ä".repeat(1_000));
    assert_eq!(
        list(&long)["a"].name.as_ref().unwrap().chars().count(),
        LONGEST_TEXT
    );
    assert!(parse_list(br#"{"message":"no"}"#, "docker").is_none());
}
