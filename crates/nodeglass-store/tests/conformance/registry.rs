//! Agents as people manage them: what is said of them, their names, letting go of them, and what happened.

use std::sync::Arc;

use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::registry::{EventQuery, EventRecord, GroupRecord, Seen};
use nodeglass_store::{AgentKey, KeyHash, Store, StoreError, open};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::{ALL, direct, enrol, sample, slots, stored};

on_every_database!(
    keeps_what_is_said_of_agents,
    keeps_groups_in_their_order,
    a_renamed_agent_keeps_its_key,
    a_forgotten_agent_leaves_nothing_behind,
    kept_data_come_back_with_the_name,
    a_key_is_never_given_twice,
    keeps_events_and_lets_old_ones_go,
);

async fn keeps_what_is_said_of_agents(url: &str) {
    let store = open(url).await.unwrap();
    let (one, other) = (enrol(&store, "one").await, enrol(&store, "other").await);
    let fresh = store.registered(Some(one)).await.unwrap();
    assert_eq!((fresh.len(), fresh[0].enrolled_at), (1, UnixMillis(1)));
    assert_eq!((&fresh[0].labels, &fresh[0].seen), (&None, &Seen::default()));

    store.save_labels(one, r#"{"env": "dev"}"#).await.unwrap();
    store.save_labels(one, r#"{"env": "prod"}"#).await.unwrap();
    store.save_settings(one, r#"{"top_processes": 3}"#).await.unwrap();
    store
        .save_report(one, r#"{"revision": 18446744073709551615}"#)
        .await
        .unwrap();
    let seen = Seen {
        own_labels: Some(r#"{"rack": "7"}"#.to_owned()),
        version: Some("1.2.3".to_owned()),
        epoch: Some(9),
        booted_at: Some(UnixMillis(77)),
    };
    store.save_seen(one, &seen).await.unwrap();
    store.save_seen(one, &seen).await.unwrap();
    store.close().await;

    let store = open(url).await.unwrap();
    let all = store.registered(None).await.unwrap();
    assert_eq!(all.len(), 2);
    let known = all.iter().find(|known| known.agent == one).unwrap();
    let plain = |json: &Option<String>| json.as_deref().unwrap_or_default().replace(' ', "");
    assert_eq!(plain(&known.labels), r#"{"env":"prod"}"#);
    assert_eq!(plain(&known.settings), r#"{"top_processes":3}"#);
    assert_eq!(plain(&known.report), r#"{"revision":18446744073709551615}"#);
    assert_eq!(plain(&known.seen.own_labels), r#"{"rack":"7"}"#);
    assert_eq!(
        (&known.seen.version, known.seen.epoch),
        (&seen.version, seen.epoch)
    );
    assert_eq!(known.seen.booted_at, seen.booted_at);
    assert!(
        all.iter()
            .any(|known| known.agent == other && known.labels.is_none())
    );
    store.close().await;
}

async fn keeps_groups_in_their_order(url: &str) {
    let store = open(url).await.unwrap();
    let group = |name: &str, place| GroupRecord {
        name: name.to_owned(),
        place,
        selector: r#"["web-*"]"#.to_owned(),
        settings: "{}".to_owned(),
    };
    for (name, place) in [("b", 5), ("a", 5), ("all", -1), ("c", 1)] {
        store.save_group(&group(name, place)).await.unwrap();
    }
    store.save_group(&group("c", 9)).await.unwrap();
    let names = async || {
        let groups = store.groups().await.unwrap();
        groups
            .iter()
            .map(|group| (group.name.clone(), group.place))
            .collect::<Vec<_>>()
    };
    let expected = [("all", -1), ("a", 5), ("b", 5), ("c", 9)].map(|(name, place)| (name.to_owned(), place));
    assert_eq!(names().await, expected);
    assert!(store.remove_group("a").await.unwrap() && !store.remove_group("a").await.unwrap());
    assert_eq!(names().await.len(), 3);
    store.close().await;
}

async fn a_renamed_agent_keeps_its_key(url: &str) {
    let store = open(url).await.unwrap();
    let (one, other) = (enrol(&store, "one").await, enrol(&store, "other").await);
    let id = |name: &str| name.parse().unwrap();
    let taken = store
        .rename_agent(one, &id("one"), &id("other"), UnixMillis(5))
        .await
        .unwrap_err();
    assert!(matches!(taken, StoreError::AgentExists(_)), "{taken}");
    assert_eq!(store.aliases().await.unwrap(), []);

    store
        .rename_agent(one, &id("one"), &id("two"), UnixMillis(5))
        .await
        .unwrap();
    store
        .rename_agent(one, &id("two"), &id("three"), UnixMillis(6))
        .await
        .unwrap();
    let mut keys = store.keys().await.unwrap();
    keys.sort_unstable();
    assert_eq!(keys, [one, other]);
    let agents = store.agents().await.unwrap();
    let renamed = agents.iter().find(|agent| agent.key == one).unwrap();
    assert_eq!(renamed.id, id("three"));
    let aliases = async || {
        let aliases = store.aliases().await.unwrap();
        aliases
            .iter()
            .map(|alias| (alias.id.to_string(), alias.agent, alias.since.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        aliases().await,
        [("one".to_owned(), one, 5), ("two".to_owned(), one, 6)]
    );
    // Back to a name that it had is no alias of itself.
    store
        .rename_agent(one, &id("three"), &id("one"), UnixMillis(7))
        .await
        .unwrap();
    assert_eq!(
        aliases().await,
        [("two".to_owned(), one, 6), ("three".to_owned(), one, 7)]
    );
    assert_ne!(
        enrol(&store, "two").await,
        one,
        "a name that is free may be taken"
    );
    store.close().await;
}

/// Every table that has rows of an agent, whoever made it.
async fn tables_with(url: &str, agent: AgentKey) -> Vec<String> {
    let mut found = Vec::new();
    macro_rules! look {
        ($connection:expr, $tables:literal) => {
            let tables: Vec<String> = sqlx::query_scalar($tables)
                .fetch_all(&mut $connection)
                .await
                .unwrap();
            for table in tables {
                let count = format!(
                    "select count(*) from \"{table}\" where agent_key = {}",
                    agent.0
                );
                let rows: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                    .fetch_one(&mut $connection)
                    .await
                    .unwrap();
                if rows > 0 && table != "forgotten" && table != "revocation" {
                    found.push(table);
                }
            }
            $connection.close().await.unwrap();
        };
    }
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        look!(
            connection,
            "select m.name from sqlite_master as m, pragma_table_info(m.name) as p \
             where m.type = 'table' and p.name = 'agent_key' order by 1"
        );
    } else {
        let mut connection = direct(url).await;
        look!(
            connection,
            "select relname::text from pg_class join pg_attribute on attrelid = pg_class.oid \
             where relkind in ('r', 'p') and not relispartition and attname = 'agent_key' \
                and relnamespace = 'public'::regnamespace order by 1"
        );
    }
    found
}

async fn erase(store: &Arc<dyn Store>, agent: AgentKey) -> u32 {
    let mut steps = 0;
    while store.erase_data(agent, 7).await.unwrap() > 0 {
        steps += 1;
    }
    steps
}

async fn a_forgotten_agent_leaves_nothing_behind(url: &str) {
    let store = open(url).await.unwrap();
    let (gone, stays) = (enrol(&store, "gone").await, enrol(&store, "stays").await);
    // Some of it in full chunks with rollups, some in small ones, some staged.
    let hours = |agent, from: i64, to: i64| -> Vec<_> {
        (from..to)
            .map(|minute| sample(agent, minute * 60_000, minute.unsigned_abs() + 1))
            .collect()
    };
    for agent in [gone, stays] {
        store.append(&hours(agent, 0, 200)).await.unwrap();
        slots::compact(&store, UnixMillis(1_000_000_000)).await;
        store.append(&hours(agent, 200, 220)).await.unwrap();
        slots::compact(&store, UnixMillis(2_000_000_000)).await;
        store.save_agent_sides(&[(agent, "{}".to_owned())]).await.unwrap();
        store.save_labels(agent, "{}").await.unwrap();
        store
            .add_events(&[event(agent.0.into(), 1, Some(agent), "connected")])
            .await
            .unwrap();
    }
    for agent in [gone, stays] {
        store.append(&hours(agent, 220, 260)).await.unwrap();
    }
    let before = tables_with(url, gone).await;
    for table in ["chunk", "staging", "ledger", "agent_side", "registry", "event"] {
        assert!(before.iter().any(|found| found == table), "{table}: {before:?}");
    }
    store
        .rename_agent(
            gone,
            &"gone".parse().unwrap(),
            &"went".parse().unwrap(),
            UnixMillis(5),
        )
        .await
        .unwrap();
    assert!(store.forget_agent(gone, false, UnixMillis(10)).await.unwrap());
    assert!(!store.forget_agent(gone, false, UnixMillis(10)).await.unwrap());
    assert_eq!(store.agents().await.unwrap().len(), 1);
    let waiting = store.being_forgotten().await.unwrap();
    assert_eq!(
        (waiting.len(), waiting[0].agent, waiting[0].id.as_str()),
        (1, gone, "went")
    );
    assert!(erase(&store, gone).await > 5, "it goes in steps");
    assert_eq!(tables_with(url, gone).await, [""; 0]);
    assert_eq!(stored(&store, stays).await.len(), 260, "nobody else is touched");
    // What was in the writer's hands comes after, and goes as well.
    store.append(&[sample(gone, 400 * 60_000, 401)]).await.unwrap();
    erase(&store, gone).await;
    assert_eq!(tables_with(url, gone).await, [""; 0]);
    store.finish_forgetting(gone, UnixMillis(20)).await.unwrap();
    assert_eq!(store.being_forgotten().await.unwrap(), []);
    store.close().await;
}

async fn kept_data_come_back_with_the_name(url: &str) {
    let store = open(url).await.unwrap();
    let key = enrol(&store, "host").await;
    let proved = KeyHash([7; 32]);
    let named = [("host".parse().unwrap(), proved)];
    store.enrol_keys(&named, UnixMillis(5)).await.unwrap();
    assert!(store.agent_by_key(proved).await.unwrap().is_some());
    store.append(&[sample(key, 10, 1)]).await.unwrap();
    assert!(store.forget_agent(key, true, UnixMillis(10)).await.unwrap());
    assert!(store.agent_by_key(proved).await.unwrap().is_none());
    assert!(
        store.is_revoked(proved).await.unwrap(),
        "its key is worth nothing, for good"
    );
    assert_eq!(store.being_forgotten().await.unwrap(), []);
    assert_ne!(enrol(&store, "other").await, key);
    assert_eq!(enrol(&store, "host").await, key);
    assert_eq!(stored(&store, key).await, [1]);
    assert!(matches!(
        store.enrol_agent(&"host".parse().unwrap(), UnixMillis(1)).await,
        Err(StoreError::AgentExists(_))
    ));
    store.close().await;
}

async fn a_key_is_never_given_twice(url: &str) {
    let store = open(url).await.unwrap();
    let (_, last) = (enrol(&store, "one").await, enrol(&store, "two").await);
    store.forget_agent(last, false, UnixMillis(10)).await.unwrap();
    store.finish_forgetting(last, UnixMillis(20)).await.unwrap();
    let next = enrol(&store, "two").await;
    assert!(next > last, "{next:?} was {last:?}'s");
    store.close().await;
}

fn event(id: i64, at: i64, agent: Option<AgentKey>, kind: &str) -> EventRecord {
    EventRecord {
        id,
        at: UnixMillis(at),
        agent,
        name: agent.map(|agent| format!("host-{}", agent.0)),
        kind: kind.to_owned(),
        detail: Some(r#"{"a": 1}"#.to_owned()),
    }
}

async fn keeps_events_and_lets_old_ones_go(url: &str) {
    let store = open(url).await.unwrap();
    let (one, other) = (AgentKey(1), AgentKey(2));
    let mut events = vec![event(1, 10, None, "server_started")];
    events.extend((2..=9).map(|id| event(id, id * 10, Some(one), "connected")));
    events.push(event(10, 100, Some(other), "clock_stepped"));
    store.add_events(&events).await.unwrap();
    // A group that is tried again is there once.
    store.add_events(&events[..3]).await.unwrap();
    store.add_events(&[]).await.unwrap();
    let find = async |query: EventQuery| {
        let found = store.events(&query).await.unwrap();
        found.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    let all = EventQuery {
        agent: None,
        kinds: Vec::new(),
        range: ALL,
        before: None,
        limit: 100,
    };
    assert_eq!(find(all.clone()).await, (1..=10).rev().collect::<Vec<_>>());
    assert_eq!(
        find(EventQuery {
            agent: Some(one),
            before: Some(8),
            limit: 3,
            ..all.clone()
        })
        .await,
        [7, 6, 5]
    );
    let kinds = vec!["clock_stepped".to_owned(), "server_started".to_owned()];
    assert_eq!(find(EventQuery { kinds, ..all.clone() }).await, [10, 1]);
    let kinds = vec!["connect".to_owned()];
    assert_eq!(
        find(EventQuery { kinds, ..all.clone() }).await,
        [0_i64; 0],
        "a kind is a whole word"
    );
    let range = TimeRange {
        start: UnixMillis(30),
        end: UnixMillis(50),
    };
    assert_eq!(find(EventQuery { range, ..all.clone() }).await, [4, 3]);
    let first = store
        .events(&EventQuery {
            limit: 1,
            ..all.clone()
        })
        .await
        .unwrap();
    assert_eq!(first[0].name.as_deref(), Some("host-2"));
    assert_eq!(first[0].detail.as_deref().unwrap().replace(' ', ""), r#"{"a":1}"#);

    assert_eq!(store.prune_agent_events(one, 3).await.unwrap(), 5);
    assert_eq!(
        find(EventQuery {
            agent: Some(one),
            ..all.clone()
        })
        .await,
        [9, 8, 7]
    );
    assert_eq!(store.prune_events(UnixMillis(80), 1).await.unwrap(), 1);
    assert_eq!(store.prune_events(UnixMillis(80), 100).await.unwrap(), 1);
    assert_eq!(find(all).await, [10, 9, 8]);
    store.close().await;
}
