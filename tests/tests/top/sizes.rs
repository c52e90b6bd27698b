//! What fits a terminal, and an hour that is one whatever its width.

use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::server::Server;
use nodeglass_tests::terminal::Terminal;
use reqwest::StatusCode;
use serde_json::json;

use crate::{AT_ONCE, BARS, SIZE, agents, column, top};

/// The line of titles, whole: it is drawn to the edge.
fn titles(text: &str) -> String {
    let line = text.lines().find(|line| line.starts_with("AGENT"));
    line.unwrap_or_default().trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn top_fits_the_terminal_that_it_is_given() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    server.add_agent("db-1").await;
    let _agent = Agent::start(&server, "web-1").await;
    let mut top = Terminal::start(top(&server.url, &[]), SIZE);
    let wide = top
        .when("every column, with bars", |text| {
            titles(text).ends_with("SEEN") && text.contains("[|") && agents(text).len() == 2
        })
        .await;
    for title in ["CPU", "MEMORY", "DISK", "RECEIVED", "SENT", "LOAD"] {
        assert!(titles(&wide).contains(title), "{wide}");
    }
    for (size, shown) in [
        ((24, 80), "AGENT CPU MEMORY DISK RECEIVED SENT LOAD SEEN"),
        ((24, 70), "AGENT CPU MEMORY DISK RECEIVED LOAD SEEN"),
        ((24, 50), "AGENT CPU MEMORY DISK LOAD SEEN"),
        ((12, 40), "AGENT CPU MEMORY SEEN"),
        ((24, 20), "AGENT CPU"),
        ((24, 10), "AGENT"),
        ((50, 200), "AGENT CPU MEMORY DISK RECEIVED SENT LOAD SEEN"),
    ] {
        top.resize(size);
        let text = top
            .when("the columns that fit, and no other", |text| {
                let titles = titles(text);
                titles.split_whitespace().collect::<Vec<_>>().join(" ") == shown && agents(text).len() == 2
            })
            .await;
        assert_eq!(text.contains('['), size.1 >= 100, "{size:?}\n{text}");
    }
    // The smallest there are cost no more than the picture.
    for size in [(1, 1), (2, 5), (4, 12), (9, 30)] {
        top.resize(size);
        top.when("how many are connected", |text| {
            text.starts_with("1 of 2"[..usize::from(size.1).min(6)].trim_end())
        })
        .await;
    }
    top.resize((9, 60));
    top.press("/web\r");
    top.when("one of them", |text| agents(text) == ["web-1"]).await;
    top.press("\r");
    top.when("a host, whose processes have room", |text| {
        column(text, "PID").len() >= 3
    })
    .await;
    for size in [(1, 1), (3, 8), (5, 20)] {
        top.resize(size);
        top.when("which it is", |text| {
            text.starts_with(&"web-1"[..usize::from(size.1).min(5)])
        })
        .await;
    }
    top.resize((12, 40));
    top.press("?");
    top.when("all of the help", |text| {
        text.contains("Keys") && text.contains("by CPU, memory, name, I/O") && text.contains("quit")
    })
    .await;
    top.press("x");
    top.resize((40, 110));
    top.when("the history", |text| text.contains("CPU, the last hour"))
        .await;
    top.press("q");
    top.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_waits_for_the_next_that_is_pressed_while_the_size_changes() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    server.add_agent("db-1").await;
    let mut top = Terminal::start(top(&server.url, &[]), SIZE);
    top.when("the fleet", |text| agents(text) == ["db-1"]).await;
    for number in 0..100 {
        top.resize((20 + number % 2, 90));
        top.press("?");
        top.within(AT_ONCE, "help", |text| text.contains("Keys")).await;
        top.press("x");
        top.resize((22, 90));
        top.within(AT_ONCE, "no help", |text| {
            !text.contains("Keys") && agents(text) == ["db-1"]
        })
        .await;
    }
}

/// The columns of the lowest line of the history's left half, `true` where something is drawn.
fn bars(text: &str) -> Vec<bool> {
    let lines: Vec<&str> = text.lines().collect();
    let Some(title) = lines.iter().position(|line| line.contains("CPU, the last hour")) else {
        return Vec::new();
    };
    let wide = lines[title].chars().take_while(|letter| *letter != 'm').count();
    let lowest = lines.get(title + 4).copied().unwrap_or_default();
    let mut drawn: Vec<bool> = lowest.chars().map(|letter| BARS.contains(&letter)).collect();
    drawn.resize(wide.max(drawn.len()), false);
    drawn.truncate(wide - 1);
    drawn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_hour_is_an_hour_whatever_the_width_and_its_gaps_are_gaps() {
    let database = Database::sqlite();
    let server = Server::start(&database).await;
    let body = json!({"agent_id": "web-1", "metrics_interval": 60});
    let (status, _) = server.change("POST", "/api/v1/agents/register", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    // A sample a minute, of an idle host, but for a quarter of an hour in the middle, and one a quarter before.
    let at = now().seconds();
    let was_away = |minutes: i64| (15..30).contains(&minutes) || minutes > 45;
    for minutes in (0..60).rev().filter(|minutes| !was_away(*minutes)) {
        let cpu = if minutes < 15 { 90.0 } else { 0.0 };
        let body = json!({"cpu_usage": cpu, "memory_usage": 50, "timestamp": at - minutes * 60});
        server.changed("POST", "/api/v1/agents/web-1/metrics", body).await;
    }
    let top = Terminal::start(top(&server.url, &["web-1"]), SIZE);
    for size in [(32, 110), (24, 80), (50, 200), (24, 40), (40, 300)] {
        top.resize(size);
        let text = top
            .when("a history to the right edge", |text| {
                bars(text).last() == Some(&true)
            })
            .await;
        let drawn = bars(&text);
        // Both halves of it are as wide, but for one column.
        assert!(drawn.len().abs_diff(usize::from(size.1) / 2) <= 1, "{text}");
        // Where in the hour a column stands, less the width of a column on either side and two minutes.
        let part = |from: f64, to: f64| {
            let (first, last) = (from / 60.0 * drawn.len() as f64, to / 60.0 * drawn.len() as f64);
            &drawn[first.ceil() as usize + 1..last.floor() as usize - 1]
        };
        assert!(part(0.0, 13.0).iter().all(|drawn| !drawn), "{text}");
        assert!(
            part(17.0, 29.0).iter().all(|drawn| *drawn),
            "an idle host is no gap: {text}"
        );
        assert!(part(33.0, 43.0).iter().all(|drawn| !drawn), "{text}");
        assert!(part(47.0, 60.0).iter().all(|drawn| *drawn), "{text}");
    }
}
