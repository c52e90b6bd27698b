//! `nodeglass top` on a pseudo-terminal, before a real server with a real agent: what it shows, and its keys. [`trouble`] has
//! what becomes of it when a server or an agent is away, [`sizes`] what fits.

#[path = "top/sizes.rs"]
mod sizes;
#[path = "top/trouble.rs"]
mod trouble;

use std::time::Duration;

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::eventually;
use nodeglass_tests::process::command;
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::terminal::{Terminal, command_on_a_terminal};
use vt100::Color;

/// Rows and columns, unless a test is about them.
const SIZE: (u16, u16) = (32, 110);
/// A key is obeyed by then: on a busy machine, and before a question that hangs is given up.
const AT_ONCE: Duration = Duration::from_secs(6);
/// What sparklines are made of.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A command that follows a server with its admin's token.
fn top(url: &str, arguments: &[&str]) -> tokio::process::Command {
    let mut command = command_on_a_terminal("nodeglass");
    command
        .arg("top")
        .args(arguments)
        .env("NODEGLASS_SERVER", url)
        .env("NODEGLASS_TOKEN", TOKEN);
    command
}

/// The names of agents in the rows, from above.
fn agents(text: &str) -> Vec<&str> {
    text.lines()
        .skip_while(|line| !line.starts_with("AGENT"))
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| word.contains('-'))
        .collect()
}

/// The rows of the table of processes, each in words, with its titles first.
fn processes(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().skip_while(|line| !line.contains("COMMAND"));
    lines
        .take_while(|line| !line.starts_with("F1"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| !words.is_empty())
        .collect()
}

/// The numbers in a column of it; what is not known is left out.
fn column(text: &str, title: &str) -> Vec<f64> {
    let rows = processes(text);
    let place = rows
        .first()
        .and_then(|titles| titles.iter().position(|one| *one == title));
    let Some(place) = place else { return Vec::new() };
    rows[1..]
        .iter()
        .filter_map(|row| row.get(place)?.parse().ok())
        .collect()
}

fn falls(values: &[f64]) -> bool {
    values.len() > 1 && values.is_sorted_by(|one, next| one >= next)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_shows_the_fleet_and_a_host_and_obeys_its_keys() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    for other in ["db-1", "web-2"] {
        server.add_agent(other).await;
    }
    let _agent = Agent::start(&server, "web-1").await;
    let mut top = Terminal::start(top(&server.url, &[]), SIZE);
    let fleet = top
        .when("the fleet with figures, the busiest first", |text| {
            text.contains("1 of 3 connected")
                && agents(text) == ["web-1", "db-1", "web-2"]
                && text
                    .lines()
                    .any(|line| line.contains("web-1") && line.contains('%'))
        })
        .await;
    assert!(fleet.contains("never"), "{fleet}");
    top.press("N");
    top.when("agents by name", |text| {
        agents(text) == ["db-1", "web-1", "web-2"]
    })
    .await;
    top.press("/WEB\r");
    top.when("the filter", |text| {
        text.contains("with \"WEB\"") && agents(text) == ["web-1", "web-2"]
    })
    .await;
    top.press("\r");
    let host = top
        .when("the host with its processes", |text| {
            text.contains("Mem [") && text.contains("load ") && column(text, "PID").len() > 1
        })
        .await;
    assert!(host.contains("CPU, the last hour"), "{host}");
    top.press("?");
    top.when("help", |text| {
        text.contains("Keys") && text.contains("hold still")
    })
    .await;
    top.press("x");
    top.when("no help", |text| !text.contains("Keys")).await;
    top.press("\x1b");
    top.when("the fleet again", |text| text.contains("1 of 3 connected"))
        .await;
    top.press("Z");
    top.when("a picture that is held, with its age", |text| {
        text.contains("HELD 2s")
            && text
                .lines()
                .any(|line| line.starts_with("web-1 ") && line.ends_with(" 2s"))
    })
    .await;
    top.press("Z");
    top.when("a new one", |text| !text.contains("HELD") && text.contains("now"))
        .await;
    // What something else wrote over it is gone with Ctrl-L.
    top.on_screen(|screen| screen.process(b"\x1b[20;1Hmail has come"));
    top.press("\x0c");
    top.when("the whole picture again", |text| {
        !text.contains("mail has come") && text.contains("1 of 3 connected")
    })
    .await;
    assert!(top.on_screen(|screen| screen.screen().alternate_screen()));
    top.press("q");
    top.ended().await;
    assert!(!top.on_screen(|screen| screen.screen().alternate_screen()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_sorts_and_filters_processes() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let agent = Agent::start(&server, "web-1").await;
    let mut top = Terminal::start(top(&server.url, &["web-1"]), SIZE);
    top.when("the busiest first", |text| {
        text.contains("by CPU") && falls(&column(text, "CPU%"))
    })
    .await;
    top.press("N");
    top.when("by number", |text| {
        let mut pids = column(text, "PID");
        pids.reverse();
        text.contains("by PID") && falls(&pids)
    })
    .await;
    top.press("I");
    top.when("the other way round", |text| {
        text.contains("by PID, turned") && falls(&column(text, "PID"))
    })
    .await;
    top.press("IM");
    top.when("by memory", |text| text.contains("by memory")).await;
    top.press(">");
    top.when("by the next", |text| text.contains("by disk I/O")).await;
    top.press("P/no such process\r");
    top.when("that there is none", |text| {
        text.contains("nothing fits the filter")
    })
    .await;
    top.press("\x1b");
    top.when("all again", |text| column(text, "PID").len() > 1).await;
    top.press("p");
    top.when("where a program lies", |text| {
        processes(text)[1..]
            .iter()
            .any(|row| row.iter().any(|word| word.starts_with('/')))
    })
    .await;
    top.press("p");
    // Of all that runs here the test knows this one.
    top.press("/Nodeglass-agent run\r");
    let filtered = top
        .when("those that fit", |text| {
            text.contains("with \"Nodeglass-agent run\"")
                && column(text, "PID").contains(&f64::from(agent.pid()))
        })
        .await;
    assert!(
        processes(&filtered)[1..]
            .iter()
            .all(|row| row.contains(&"nodeglass-agent")),
        "{filtered}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_looked_at_is_sampled_as_often_as_it_is_shown() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let _agent = Agent::start_with(&server, "web-1", "metrics: {collection_interval: 1h}").await;
    let sampled = async || server.overview("web-1").await?["last_metrics_update"].as_i64();
    let first = eventually("a sample", sampled).await;
    let mut top = Terminal::start(top(&server.url, &[]), SIZE);
    top.when("the fleet", |text| agents(text) == ["web-1"]).await;
    top.press("\r");
    eventually("some more samples within the hour", async || {
        sampled().await.filter(|at| *at >= first + 3_000)
    })
    .await;
    top.press("q");
    top.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_does_without_colours_if_nobody_wants_any() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    server.add_agent("db-1").await;
    let colours = |terminal: &Terminal| {
        terminal.on_screen(|screen| {
            let screen = screen.screen();
            let (rows, columns) = screen.size();
            let cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
            cells
                .filter_map(|(row, column)| screen.cell(row, column))
                .filter(|cell| (cell.fgcolor(), cell.bgcolor()) != (Color::Default, Color::Default))
                .count()
        })
    };
    let coloured = Terminal::start(top(&server.url, &[]), SIZE);
    coloured.when("the fleet", |text| agents(text) == ["db-1"]).await;
    assert!(colours(&coloured) > 0);
    let mut command = top(&server.url, &[]);
    command.env("NO_COLOR", "1");
    let plain = Terminal::start(command, SIZE);
    plain.when("the fleet", |text| agents(text) == ["db-1"]).await;
    assert_eq!(colours(&plain), 0);
    let is_inverse = |row| plain.on_screen(|screen| screen.screen().cell(row, 0).map(vt100::Cell::inverse));
    assert_eq!(
        [1, 2, 3].map(is_inverse),
        [Some(true), Some(true), Some(false)],
        "titles, the selected row, and the next"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_says_what_it_needs() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let mut nobody = Terminal::start(top(&server.url, &["nobody"]), SIZE);
    nobody
        .when("there is no such agent", |text| {
            text.contains("there is no agent \"nobody\"")
        })
        .await;
    nobody.ended().await;
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
