//! Whose streams go on over a change, and whose end.

use std::time::Duration;

use nodeglass_store::TokenHash;

use super::*;

const LIMITS: SessionLimits = SessionLimits {
    idle: Duration::from_mins(1),
    absolute: Duration::from_hours(1),
};

fn token(name: &str, number: u8) -> TokenRecord {
    TokenRecord {
        name: name.to_owned(),
        role: Role::Viewer,
        agents: None,
        token: TokenHash([number; 32]),
        created_at: UnixMillis(0),
        expires_at: None,
        last_used_at: None,
    }
}

fn user(name: &str) -> UserRecord {
    UserRecord {
        name: name.to_owned(),
        role: Role::Operator,
        agents: Some(vec!["web-*".to_owned()]),
        password_hash: String::new(),
        created_at: UnixMillis(0),
        password_changed_at: UnixMillis(0),
        totp_secret: None,
    }
}

fn session(kind: SessionKind, name: &str, number: u8) -> SessionRecord {
    SessionRecord {
        token: TokenHash([number; 32]),
        id: number.to_string(),
        kind,
        name: name.to_owned(),
        role: (kind == SessionKind::Oidc).then_some(Role::Viewer),
        agents: None,
        provider: (kind == SessionKind::Oidc).then(|| "settings".to_owned()),
        created_at: UnixMillis(10),
        last_seen_at: UnixMillis(10),
        expires_at: UnixMillis(3_600_000),
        address: String::new(),
    }
}

fn everybody() -> Everybody {
    Everybody {
        version: 1,
        tokens: vec![token("a", 1), token("b", 2)],
        users: vec![user("ann"), user("bob")],
        sessions: vec![
            session(SessionKind::Token, "a", 3),
            session(SessionKind::User, "ann", 4),
            session(SessionKind::User, "bob", 5),
            session(SessionKind::Oidc, "eve", 6),
        ],
    }
}

fn next(state: &State, everybody: Everybody) -> State {
    state.next(everybody, Some("settings"), &CancellationToken::new())
}

/// The numbers of those whose streams end when `change` is made.
fn ended(change: impl FnOnce(&mut Everybody)) -> Vec<u8> {
    let before = next(&State::default(), everybody());
    let mut changed = everybody();
    change(&mut changed);
    let after = next(&before, changed);
    let count = before.end_what_is_gone(&after);
    let tokens = before
        .tokens
        .values()
        .map(|live| (live.record.token, &live.caller));
    let sessions = before
        .sessions
        .values()
        .map(|session| (session.record.token, &session.caller));
    let gone = tokens
        .chain(sessions)
        .filter(|(_, caller)| caller.ended().is_cancelled());
    let mut gone: Vec<u8> = gone.map(|(hash, _)| hash.0[0]).collect();
    gone.sort_unstable();
    assert_eq!(gone.len(), count);
    gone
}

#[test]
fn who_may_do_what_they_could_goes_on() {
    assert_eq!(ended(|_| {}), [0_u8; 0]);
    assert_eq!(
        ended(|all| {
            all.tokens[0].expires_at = Some(UnixMillis(50));
            all.tokens[1].last_used_at = Some(UnixMillis(50));
            all.users[0].password_hash = "another".to_owned();
            all.sessions[0].last_seen_at = UnixMillis(20);
        }),
        [0_u8; 0]
    );
}

#[test]
fn who_may_do_something_else_or_nothing_ends_with_all_sessions() {
    assert_eq!(ended(|all| drop(all.tokens.remove(0))), [1, 3]);
    assert_eq!(ended(|all| all.tokens[0].role = Role::Admin), [1, 3]);
    assert_eq!(
        ended(|all| all.tokens[0].agents = Some(vec!["db".to_owned()])),
        [1, 3]
    );
    assert_eq!(ended(|all| drop(all.users.remove(0))), [4]);
    assert_eq!(ended(|all| all.users[1].role = Role::Viewer), [5]);
    assert_eq!(ended(|all| all.users[1].agents = None), [5]);
    assert_eq!(ended(|all| drop(all.sessions.remove(3))), [6]);
    // A name that was given anew is somebody else's.
    assert_eq!(ended(|all| all.users[0].created_at = UnixMillis(11)), [4]);
    // What the provider's claims mean has changed.
    assert_eq!(
        ended(|all| all.sessions[3].provider = Some("others".to_owned())),
        [6]
    );
    // A selector that nobody can read is no selector of all.
    assert_eq!(ended(|all| all.tokens[1].agents = Some(vec![])), [2]);
}

#[test]
fn what_runs_out_ends_in_time() {
    let mut all = everybody();
    all.tokens[0].expires_at = Some(UnixMillis(5_000));
    let state = next(&State::default(), all);
    let token = |number| {
        state
            .tokens
            .get(&TokenHash([number; 32]))
            .unwrap()
            .caller
            .ended()
            .is_cancelled()
    };
    let session = |number| {
        state
            .sessions
            .get(&TokenHash([number; 32]))
            .unwrap()
            .caller
            .ended()
            .is_cancelled()
    };
    state.end_what_ran_out(UnixMillis(4_999), LIMITS);
    assert!(!token(1) && !session(3));
    state.end_what_ran_out(UnixMillis(5_000), LIMITS);
    assert!(token(1) && session(3) && !token(2) && !session(4));
    assert!(
        state
            .sessions
            .get(&TokenHash([4; 32]))
            .unwrap()
            .see(UnixMillis(59_000))
    );
    state.end_what_ran_out(UnixMillis(60_010), LIMITS);
    assert!(!session(4) && session(5), "one was used, the other was not");
    state.end_what_ran_out(UnixMillis(3_600_000), LIMITS);
    assert!(session(4));
}
