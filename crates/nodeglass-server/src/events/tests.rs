use nodeglass_model::{SystemClock, TimeRange, UnixMillis};
use nodeglass_store::AgentRecord;
use nodeglass_store::registry::EventQuery;
use serde_json::json;

use super::*;
use crate::live::Live;

async fn store(directory: &tempfile::TempDir) -> Arc<dyn Store> {
    let url = format!("sqlite://{}/test.db", directory.path().display());
    nodeglass_store::open(&url).await.unwrap()
}

fn agent(number: i32) -> Arc<LiveAgent> {
    Live::default().admit(&AgentRecord {
        key: AgentKey(number),
        id: format!("host-{number}").parse().unwrap(),
        system_info: None,
    })
}

async fn kept(store: &dyn Store) -> Vec<EventRecord> {
    let query = EventQuery {
        agent: None,
        kinds: Vec::new(),
        range: TimeRange {
            start: UnixMillis(0),
            end: UnixMillis(i64::MAX),
        },
        before: None,
        limit: 20_000,
    };
    store.events(&query).await.unwrap()
}

#[tokio::test]
async fn what_is_noted_is_kept_in_its_order_and_followed_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory).await;
    let (events, keeper) = Events::new(store.clone(), Arc::new(SystemClock), Duration::from_hours(24));
    let mut follower = events.follow();
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keeper.run(stop.clone()));
    events.note_of(None, Kind::ServerStarted, &json!({ "version": "1" }));
    events.note(&agent(7), Kind::Connected, &Value::Null);
    let seen = follower.recv().await.unwrap();
    assert_eq!((seen.kind.as_str(), seen.agent), ("server_started", None));
    stop.cancel();
    keeping.await.unwrap();
    let kept = kept(store.as_ref()).await;
    let shown: Vec<_> = kept
        .iter()
        .map(|event| {
            (
                event.kind.as_str(),
                event.name.as_deref(),
                event.detail.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("connected", Some("host-7"), None),
            ("server_started", None, Some(r#"{"version":"1"}"#))
        ]
    );
    assert!(kept[0].id > kept[1].id && kept[0].id < 1 << 53, "{kept:?}");
    store.close().await;
}

#[tokio::test]
async fn a_storm_is_bounded_and_what_is_let_go_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory).await;
    let (events, keeper) = Events::new(store.clone(), Arc::new(SystemClock), Duration::from_hours(24));
    // One that flaps, and a fleet that comes at once: more than there is room for.
    let flapping = agent(1);
    for _ in 0..500 {
        events.note(&flapping, Kind::Lost, &Value::Null);
    }
    let many = u64::try_from(QUEUE).unwrap() + 1_000;
    for number in 0..many - 500 {
        events.note(
            &agent(2 + i32::try_from(number).unwrap()),
            Kind::Connected,
            &Value::Null,
        );
    }
    assert_eq!(events.dropped(), 1_000, "there was no room for them");
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(keeper.run(stop.clone()));
    while events.dropped() < 1_000 + 500 - u64::from(PER_MINUTE) {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    keeping.await.unwrap();
    let of_one = kept(store.as_ref()).await;
    let of_one = of_one
        .iter()
        .filter(|event| event.agent == Some(AgentKey(1)))
        .count();
    assert_eq!(
        of_one, PER_MINUTE as usize,
        "the rest of what it had to say was the same"
    );
    store.close().await;
}

#[tokio::test]
async fn numbers_rise_within_a_millisecond_and_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory).await;
    let make = || Events::new(store.clone(), Arc::new(SystemClock), Duration::from_hours(24)).0;
    let events = make();
    let now = SystemClock.now().0;
    let numbers: Vec<_> = (0..5_000).map(|_| events.number(now)).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert!(make().number(now + 5) > numbers[4_999]);
    store.close().await;
}
