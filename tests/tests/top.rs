//! `nodeglass top` on a pseudo-terminal, before a real server with a real agent.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::process::{Process, command, command_after};
use nodeglass_tests::server::{Server, TOKEN};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const ROWS: NonZeroU16 = NonZeroU16::new(32).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(110).unwrap();

/// A program on a terminal of the test's.
struct Terminal {
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
    process: Process,
}

impl Terminal {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let terminal = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let end = |end: &OwnedFd| Stdio::from(end.as_fd().try_clone_to_owned().unwrap());
        // In a session of its own, whose terminal it is, as a shell would start it.
        let mut command = command_after(&["setsid", "--ctty", "--wait"].map(str::to_owned), "nodeglass");
        command
            .arg("top")
            .args(arguments)
            .env("NODEGLASS_SERVER", &server.url)
            .env("NODEGLASS_TOKEN", TOKEN)
            .env("TERM", "xterm-256color")
            .stdin(end(&terminal))
            .stdout(end(&terminal))
            .stderr(end(&terminal));
        let process = Process::start(&mut command);
        drop(terminal);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let keys = File::from(controller);
        let (mut output, shown) = (keys.try_clone().unwrap(), screen.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The last who has the terminal open closes it, which reads as an error here.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self {
            keys,
            screen,
            process,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// The screen, once it is as the test wants it.
    async fn when(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        eventually(what, async || {
            let text = self.text();
            holds(&text).then_some(text)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_shows_the_fleet_and_a_host_and_obeys_its_keys() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    for other in ["db-1", "web-2"] {
        server.add_agent(other).await;
    }
    let _agent = Agent::start(&server, "web-1").await;
    let mut top = Terminal::start(&server, &[]);
    let place = |text: &str, name: &str| text.lines().position(|line| line.starts_with(name));
    let fleet = top
        .when("the fleet with figures, the busiest first", |text| {
            text.contains("1 of 3 connected")
                && place(text, "web-1") < place(text, "db-1")
                && text
                    .lines()
                    .any(|line| line.contains("web-1") && line.contains('%'))
        })
        .await;
    assert!(fleet.contains("never"), "{fleet}");
    top.press("N");
    top.when("agents by name", |text| {
        place(text, "db-1") < place(text, "web-1")
    })
    .await;
    top.press("/web\r");
    top.when("the filter", |text| {
        text.contains("with \"web\"") && place(text, "db-1").is_none()
    })
    .await;
    top.press("\r");
    let host = top
        .when("the host with its processes", |text| {
            text.contains("COMMAND") && text.contains("Mem [") && text.contains("nodeglass-agent")
        })
        .await;
    assert!(
        host.contains("CPU, the last hour") && host.contains("load "),
        "{host}"
    );
    top.press("?");
    top.when("help", |text| text.contains("Keys")).await;
    top.press("x\x1b");
    top.when("the fleet again", |text| text.contains("1 of 3 connected"))
        .await;
    top.press("q");
    eventually("top to end", async || top.process.has_ended().then_some(())).await;
    assert!(!top.screen.lock().unwrap().screen().alternate_screen());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_says_what_it_needs() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let top = Terminal::start(&server, &["nobody"]);
    top.when("there is no such agent", |text| {
        text.contains("there is no agent \"nobody\"")
    })
    .await;
    let mut piped = command("nodeglass");
    piped
        .arg("top")
        .env("NODEGLASS_SERVER", &server.url)
        .env("NODEGLASS_TOKEN", TOKEN);
    let output = nodeglass_tests::process::run(&mut piped).await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("top needs a terminal"), "{said}");
}
