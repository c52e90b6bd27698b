//! What keys do, how old a picture is, and why.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn agent(id: &str, cpu: Option<f64>, memory: Option<f64>) -> Agent {
    Agent {
        id: id.to_owned(),
        is_connected: true,
        cpu,
        memory,
        ..Agent::default()
    }
}

fn state() -> State {
    let mut state = State::new(None, SECOND);
    state.take(Ok(Answer::Fleet(vec![
        agent("db-1", Some(10.0), Some(90.0)),
        agent("web-1", Some(80.0), Some(20.0)),
        agent("web-2", None, Some(30.0)),
    ])));
    state
}

/// A host that was sampled then.
fn host(taken_ms: i64, is_connected: bool) -> Answer {
    Answer::Host(Host {
        is_connected,
        interval_seconds: Some(5.0),
        taken_ms: Some(taken_ms),
        sample: json!({"timestamp": taken_ms}),
        processes: Vec::new(),
    })
}

fn names(state: &State) -> Vec<&str> {
    state
        .shown_agents()
        .iter()
        .map(|agent| agent.id.as_str())
        .collect()
}

fn press(state: &mut State, keys: &str) {
    for letter in keys.chars() {
        let code = match letter {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            letter => KeyCode::Char(letter),
        };
        state.press(KeyEvent::new(code, KeyModifiers::NONE));
    }
}

fn age_and_reason(state: &State) -> Option<(Option<u64>, String)> {
    let old = state.stale()?;
    Some((old.age.map(|age| age.as_secs()), old.why))
}

async fn wait(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[test]
fn rows_are_sorted_as_keys_say_and_what_is_not_known_is_last() {
    let mut state = state();
    assert_eq!(names(&state), ["web-1", "db-1", "web-2"]);
    press(&mut state, "I");
    assert_eq!(names(&state), ["db-1", "web-1", "web-2"]);
    press(&mut state, "IM");
    assert_eq!(names(&state), ["db-1", "web-2", "web-1"]);
    press(&mut state, "I");
    assert_eq!(names(&state), ["web-1", "web-2", "db-1"]);
    press(&mut state, "N");
    assert_eq!(names(&state), ["web-2", "web-1", "db-1"]);
    press(&mut state, "I<>>");
    assert_eq!(state.sort, Sort::Cpu);
    // What it did when it was last seen is not what it does.
    state.agents[1].is_connected = false;
    assert_eq!(names(&state), ["db-1", "web-1", "web-2"]);
}

#[test]
fn a_filter_is_typed_and_let_go() {
    let mut state = state();
    press(&mut state, "/WEB\n");
    assert_eq!(names(&state), ["web-1", "web-2"]);
    press(&mut state, "\u{1b}");
    assert_eq!(names(&state).len(), 3);
    press(&mut state, "q");
    assert_eq!(state.mode, Mode::Over);
}

#[test]
fn a_host_is_opened_and_left() {
    let mut state = state();
    press(&mut state, "j\n");
    assert_eq!(state.view, View::Host("db-1".to_owned()));
    press(&mut state, "\u{1b}");
    assert_eq!((&state.view, state.selected), (&View::Fleet, 1));
    let mut alone = State::new(Some("db-1".to_owned()), SECOND);
    press(&mut alone, "\u{1b}");
    assert_eq!(alone.mode, Mode::Over);
}

#[test]
fn selection_stays_within_the_rows_and_follows_one_if_it_is_told_to() {
    let mut state = state();
    press(&mut state, "jjjjjj");
    assert_eq!(state.selected, 2);
    press(&mut state, "kkkkkk");
    assert_eq!(state.selected, 0);
    press(&mut state, "F");
    state.take(Ok(Answer::Fleet(vec![
        agent("db-1", Some(90.0), None),
        agent("web-1", Some(1.0), None),
    ])));
    assert_eq!((state.settle(), state.selected), (2, 1));
    press(&mut state, "k");
    assert_eq!((state.followed.as_deref(), state.selected), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_picture_is_old_without_an_answer_and_never_while_it_is_held() {
    let mut state = state();
    assert_eq!(age_and_reason(&state), None);
    wait(5).await;
    assert_eq!(age_and_reason(&state), Some((Some(5), WAITING.to_owned())));
    press(&mut state, "Z");
    assert_eq!((age_and_reason(&state), state.age()), (None, Some(5 * SECOND)));
    press(&mut state, "Z");
    state.take(Ok(Answer::Fleet(Vec::new())));
    assert_eq!((age_and_reason(&state), state.agents.len()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_known_stays_while_there_is_no_answer() {
    let mut state = state();
    let refused = anyhow::anyhow!("connection refused").context("can't talk to it");
    state.take(Err(refused));
    assert_eq!(names(&state).len(), 3);
    assert_eq!(
        age_and_reason(&state),
        Some((Some(0), "can't talk to it (connection refused)".to_owned()))
    );
    // Nothing of a host is known then, and nothing of one of another is shown.
    press(&mut state, "\n");
    wait(5).await;
    assert_eq!(age_and_reason(&state), Some((None, WAITING.to_owned())));
    state.take(Ok(host(1_000, true)));
    assert_eq!(age_and_reason(&state), None);
    // The agents are as old as they are when one comes back to them.
    wait(60).await;
    press(&mut state, "\u{1b}");
    assert_eq!(age_and_reason(&state), Some((Some(65), WAITING.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_host_is_as_old_as_its_sample_whatever_the_server_answers() {
    let mut state = State::new(Some("db-1".to_owned()), SECOND);
    state.take(Ok(host(1_000, true)));
    wait(14).await;
    state.take(Ok(host(1_000, true)));
    assert_eq!(age_and_reason(&state), None);
    wait(1).await;
    state.take(Ok(host(1_000, true)));
    let silent = "db-1 is connected and sends nothing".to_owned();
    assert_eq!(age_and_reason(&state), Some((Some(15), silent)));
    state.take(Ok(host(2_000, true)));
    assert_eq!(age_and_reason(&state), None);
    wait(3).await;
    state.take(Ok(host(2_000, false)));
    assert_eq!(
        age_and_reason(&state),
        Some((Some(3), "db-1 is not connected".to_owned()))
    );
}

#[test]
fn a_host_that_is_long_gone_is_as_old_as_the_clocks_say() {
    let mut state = State::new(Some("db-1".to_owned()), SECOND);
    state.take(Ok(host(SystemClock.now().0 - 5_000, false)));
    let age = state.age();
    assert!(age >= Some(5 * SECOND) && age < Some(60 * SECOND), "{age:?}");
}

#[tokio::test(start_paused = true)]
async fn a_history_that_does_not_come_costs_nothing_that_is_known() {
    let mut state = State::new(Some("db-1".to_owned()), SECOND);
    state.take(Ok(host(1_000, true)));
    assert!(state.wants_history());
    let history = History {
        cpu: vec![Some(1.0)],
        memory: vec![None],
    };
    state.take_history(Ok(history.clone()));
    assert!(!state.wants_history());
    wait(15).await;
    assert!(state.wants_history());
    state.take_history(Err(anyhow::anyhow!("the database is away")));
    assert!(!state.wants_history());
    assert_eq!(
        (&state.history, age_and_reason(&state).is_none()),
        (&history, false)
    );
    state.take(Ok(host(2_000, true)));
    assert_eq!(age_and_reason(&state), None);
    assert_eq!(state.history_problem.as_deref(), Some("the database is away"));
}
