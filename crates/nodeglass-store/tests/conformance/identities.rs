//! Who may call: tokens, users, sessions, and the audit log.

use std::collections::HashMap;

use nodeglass_model::UnixMillis;
use nodeglass_store::identities::{
    AuditFilter, AuditRecord, Change, Outcome, SESSIONS_OF_ONE, SessionKind, SessionRecord, TokenRecord,
    UserRecord,
};
use nodeglass_store::{Role, TokenHash, open};

on_every_database!(
    keeps_tokens_with_what_they_allow,
    keeps_users_with_their_codes,
    ends_sessions_with_what_they_began_with,
    counts_changes_and_not_uses,
    keeps_a_log_that_is_read_by_pages,
);

const AT: UnixMillis = UnixMillis(1_700_000_000_000);

fn hash(number: u8) -> TokenHash {
    TokenHash([number; 32])
}

fn token(name: &str, number: u8) -> TokenRecord {
    TokenRecord {
        name: name.to_owned(),
        role: Role::Operator,
        agents: Some(vec!["web-*".to_owned(), "env=prod".to_owned()]),
        token: hash(number),
        created_at: AT,
        expires_at: Some(UnixMillis(AT.0 + 5)),
        last_used_at: None,
    }
}

fn user(name: &str) -> UserRecord {
    UserRecord {
        name: name.to_owned(),
        role: Role::Viewer,
        agents: None,
        password_hash: "$argon2id$first".to_owned(),
        created_at: AT,
        password_changed_at: AT,
        totp_secret: None,
    }
}

fn session(kind: SessionKind, name: &str, number: u8) -> SessionRecord {
    SessionRecord {
        token: hash(number),
        id: format!("id-{number}"),
        kind,
        name: name.to_owned(),
        role: (kind == SessionKind::Oidc).then_some(Role::Admin),
        agents: (kind == SessionKind::Oidc).then(|| vec!["db-1".to_owned()]),
        provider: (kind == SessionKind::Oidc).then(|| "settings".to_owned()),
        created_at: UnixMillis(AT.0 + i64::from(number)),
        last_seen_at: AT,
        expires_at: UnixMillis(AT.0 + 1_000),
        address: "192.0.2.1".to_owned(),
    }
}

async fn keeps_tokens_with_what_they_allow(url: &str) {
    let store = open(url).await.unwrap();
    let (first, again) = (token("ci", 1), token("ci", 2));
    assert!(store.add_token(&first, false).await.unwrap());
    assert!(
        !store.add_token(&again, false).await.unwrap(),
        "its name is taken"
    );
    assert_eq!(store.everybody().await.unwrap().tokens, [first]);
    assert!(store.add_token(&again, true).await.unwrap());
    assert_eq!(
        store.everybody().await.unwrap().tokens,
        std::slice::from_ref(&again)
    );

    let used = UnixMillis(AT.0 + 60_000);
    store
        .touch_tokens(&HashMap::from([(hash(2), used), (hash(9), used)]))
        .await
        .unwrap();
    let role = Change {
        role: Some(Role::Admin),
        ..Change::default()
    };
    assert!(store.change_token("ci", &role).await.unwrap());
    assert!(!store.change_token("nobody", &role).await.unwrap());
    let changed = TokenRecord {
        role: Role::Admin,
        last_used_at: Some(used),
        ..again
    };
    assert_eq!(
        store.everybody().await.unwrap().tokens,
        std::slice::from_ref(&changed)
    );
    let rest = Change {
        role: None,
        agents: Some(None),
        expires_at: Some(None),
    };
    assert!(store.change_token("ci", &rest).await.unwrap());
    let changed = TokenRecord {
        agents: None,
        expires_at: None,
        ..changed
    };
    assert_eq!(store.everybody().await.unwrap().tokens, [changed]);
    assert!(store.remove_token("ci").await.unwrap());
    assert!(!store.remove_token("ci").await.unwrap());
    assert_eq!(store.everybody().await.unwrap().tokens, []);
    store.close().await;
}

async fn keeps_users_with_their_codes(url: &str) {
    let store = open(url).await.unwrap();
    assert!(store.add_user(&user("ann")).await.unwrap());
    assert!(!store.add_user(&user("ann")).await.unwrap());
    let change = Change {
        role: Some(Role::Admin),
        agents: Some(Some(vec!["db-1".to_owned()])),
        expires_at: None,
    };
    assert!(store.change_user("ann", &change).await.unwrap());
    let later = UnixMillis(AT.0 + 1);
    assert!(
        store
            .set_password("ann", "$argon2id$second", later, None)
            .await
            .unwrap()
    );
    assert!(!store.set_password("bob", "x", later, None).await.unwrap());
    assert!(!store.set_totp("bob", Some(b"sealed"), &[]).await.unwrap());
    assert!(
        store
            .set_totp("ann", Some(b"sealed"), &[hash(1), hash(2)])
            .await
            .unwrap()
    );
    let expected = UserRecord {
        role: Role::Admin,
        agents: Some(vec!["db-1".to_owned()]),
        password_hash: "$argon2id$second".to_owned(),
        password_changed_at: later,
        totp_secret: Some(b"sealed".to_vec()),
        ..user("ann")
    };
    assert_eq!(store.everybody().await.unwrap().users, [expected]);
    // A code is taken once, and none of before.
    for (step, taken) in [(7, true), (7, false), (6, false), (8, true)] {
        assert_eq!(store.use_totp_step("ann", step).await.unwrap(), taken, "{step}");
    }
    assert!(store.use_recovery_code("ann", hash(1)).await.unwrap());
    assert!(!store.use_recovery_code("ann", hash(1)).await.unwrap());
    assert!(!store.use_recovery_code("bob", hash(2)).await.unwrap());
    assert!(store.set_totp("ann", None, &[]).await.unwrap());
    assert!(!store.use_recovery_code("ann", hash(2)).await.unwrap());
    assert_eq!(store.everybody().await.unwrap().users[0].totp_secret, None);
    assert!(store.remove_user("ann").await.unwrap());
    assert!(!store.remove_user("ann").await.unwrap());
    store.close().await;
}

async fn ends_sessions_with_what_they_began_with(url: &str) {
    let store = open(url).await.unwrap();
    let open_now = async || -> Vec<u8> {
        let sessions = store.everybody().await.unwrap().sessions;
        sessions.iter().map(|session| session.token.0[0]).collect()
    };
    store.add_token(&token("ann", 1), false).await.unwrap();
    store.add_user(&user("ann")).await.unwrap();
    let all = [
        session(SessionKind::Token, "ann", 1),
        session(SessionKind::User, "ann", 2),
        session(SessionKind::User, "ann", 3),
        session(SessionKind::Oidc, "ann", 4),
        session(SessionKind::User, "bob", 5),
    ];
    for session in &all {
        store.add_session(session).await.unwrap();
    }
    assert_eq!(store.everybody().await.unwrap().sessions, all);
    let seen = UnixMillis(AT.0 + 70);
    store
        .touch_sessions(&HashMap::from([(hash(4), seen)]))
        .await
        .unwrap();
    assert_eq!(store.everybody().await.unwrap().sessions[3].last_seen_at, seen);
    store
        .set_password("ann", "another", AT, Some(hash(3)))
        .await
        .unwrap();
    assert_eq!(open_now().await, [1, 3, 4, 5]);
    store.remove_token("ann").await.unwrap();
    assert_eq!(open_now().await, [3, 4, 5]);
    store.remove_user("ann").await.unwrap();
    assert_eq!(open_now().await, [4, 5]);
    assert_eq!(store.remove_sessions(&[hash(4), hash(9)]).await.unwrap(), 1);
    for number in 100..=100 + SESSIONS_OF_ONE as u8 {
        store
            .add_session(&session(SessionKind::User, "eve", number))
            .await
            .unwrap();
    }
    let open = open_now().await;
    assert_eq!(open.len(), 1 + SESSIONS_OF_ONE as usize);
    assert!(!open.contains(&100), "the oldest of that name went");
    store.close().await;
}

async fn counts_changes_and_not_uses(url: &str) {
    let store = open(url).await.unwrap();
    let version = async || store.identity_version().await.unwrap();
    let mut before = version().await;
    let mut is_new = async || {
        let now = version().await;
        std::mem::replace(&mut before, now) != now
    };
    store.add_token(&token("ci", 1), false).await.unwrap();
    assert!(is_new().await);
    store.add_user(&user("ann")).await.unwrap();
    assert!(is_new().await);
    store
        .add_session(&session(SessionKind::User, "ann", 2))
        .await
        .unwrap();
    assert!(is_new().await);
    store.touch_tokens(&HashMap::from([(hash(1), AT)])).await.unwrap();
    store
        .touch_sessions(&HashMap::from([(hash(2), AT)]))
        .await
        .unwrap();
    store.use_totp_step("ann", 7).await.unwrap();
    store.remove_sessions(&[hash(9)]).await.unwrap();
    assert!(!is_new().await);
    store.set_password("ann", "another", AT, None).await.unwrap();
    assert!(is_new().await);
    store.remove_user("ann").await.unwrap();
    assert!(is_new().await);
    store.close().await;
}

async fn keeps_a_log_that_is_read_by_pages(url: &str) {
    let store = open(url).await.unwrap();
    let entry = |number: i64| AuditRecord {
        id: 0,
        at: UnixMillis(AT.0 + number),
        kind: "token".to_owned(),
        name: if number % 2 == 0 { "ann" } else { "bob" }.to_owned(),
        address: "192.0.2.1".to_owned(),
        action: if number < 5 { "token.add" } else { "token_x.add" }.to_owned(),
        subject: format!("ci-{number}"),
        outcome: if number == 9 {
            Outcome::Denied
        } else {
            Outcome::Done
        },
        detail: "viewer".to_owned(),
        request_id: "r-1".to_owned(),
        count: 1,
    };
    let entries: Vec<_> = (0..10).map(entry).collect();
    store.append_audit(&entries).await.unwrap();
    store.append_audit(&[]).await.unwrap();
    let read = async |filter: AuditFilter, limit| store.audit(&filter, limit).await.unwrap();
    let numbers =
        |entries: &[AuditRecord]| -> Vec<i64> { entries.iter().map(|entry| entry.at.0 - AT.0).collect() };
    let first = read(AuditFilter::default(), 4).await;
    assert_eq!(numbers(&first), [9, 8, 7, 6]);
    assert_eq!(
        first[0],
        AuditRecord {
            id: first[0].id,
            ..entry(9)
        }
    );
    let before = first.last().map(|entry| entry.id);
    let next = read(
        AuditFilter {
            before,
            ..Default::default()
        },
        100,
    )
    .await;
    assert_eq!(numbers(&next), [5, 4, 3, 2, 1, 0]);
    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (
            AuditFilter {
                name: text("ann"),
                ..Default::default()
            },
            vec![8, 6, 4, 2, 0],
        ),
        (
            AuditFilter {
                action: text("token.*"),
                ..Default::default()
            },
            vec![4, 3, 2, 1, 0],
        ),
        (
            AuditFilter {
                action: text("token_*"),
                ..Default::default()
            },
            vec![9, 8, 7, 6, 5],
        ),
        (
            AuditFilter {
                action: text("token"),
                ..Default::default()
            },
            vec![],
        ),
        (
            AuditFilter {
                subject: text("ci-3"),
                ..Default::default()
            },
            vec![3],
        ),
        (
            AuditFilter {
                outcome: Some(Outcome::Denied),
                ..Default::default()
            },
            vec![9],
        ),
        (
            AuditFilter {
                start: Some(UnixMillis(AT.0 + 2)),
                end: Some(UnixMillis(AT.0 + 4)),
                ..Default::default()
            },
            vec![3, 2],
        ),
    ] {
        assert_eq!(numbers(&read(filter.clone(), 100).await), expected, "{filter:?}");
    }
    assert_eq!(store.prune_audit(UnixMillis(AT.0 + 2), 1_000).await.unwrap(), 2);
    assert_eq!(store.prune_audit(UnixMillis(0), 3).await.unwrap(), 5);
    assert_eq!(numbers(&read(AuditFilter::default(), 100).await), [9, 8, 7]);
    store.close().await;
}
