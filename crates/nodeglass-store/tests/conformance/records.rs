//! Who there is, and what else is known of them: agents and tasks.

use std::time::Duration;

use nodeglass_model::{AgentId, TimeRange, UnixMillis};
use nodeglass_store::{StoreError, TaskRecord, TokenHash, open};

use crate::{A, B};

on_every_database!(
    enrols_agents_and_knows_their_tokens,
    keeps_tasks_from_start_to_end,
);

async fn enrols_agents_and_knows_their_tokens(url: &str) {
    let store = open(url).await.unwrap();
    let id: AgentId = "web-01".parse().unwrap();
    let (old, new) = (TokenHash([1; 32]), TokenHash([2; 32]));
    let key = store.enrol_agent(&id, old, UnixMillis(7)).await.unwrap();
    assert!(matches!(
        store.enrol_agent(&id, new, UnixMillis(7)).await,
        Err(StoreError::AgentExists(exists)) if exists == id
    ));
    assert_eq!(store.agent_by_token(new).await.unwrap(), None);
    assert!(store.replace_agent_token(&id, new).await.unwrap());
    assert!(
        !store
            .replace_agent_token(&"nobody".parse().unwrap(), TokenHash([3; 32]))
            .await
            .unwrap()
    );
    assert_eq!(store.agent_by_token(old).await.unwrap(), None);

    store.save_system_info(key, r#"{"timestamp": 5}"#).await.unwrap();
    let known = store.agent_by_token(new).await.unwrap().unwrap();
    assert_eq!((known.key, &known.id, known.token), (key, &id, new));
    assert!(known.system_info.as_deref().unwrap().contains("timestamp"));
    assert_eq!(store.agents().await.unwrap(), [known]);
    store.close().await;
}

async fn keeps_tasks_from_start_to_end(url: &str) {
    let store = open(url).await.unwrap();
    let task = |id: &str, started: i64, seen: i64| TaskRecord {
        agent: A,
        task_id: id.to_owned(),
        started_at: UnixMillis(started),
        last_seen_at: UnixMillis(seen),
        ended_at: None,
        exit_code: None,
        command: "make".to_owned(),
        cpu_time_ms: Some(seen as u64),
        peak_memory_bytes: None,
    };
    let ended = TaskRecord {
        ended_at: Some(UnixMillis(150)),
        exit_code: Some(137),
        peak_memory_bytes: Some(1 << 40),
        ..task("build", 100, 160)
    };
    store
        .save_tasks(&[task("build", 100, 110), task("old", 10, 20)])
        .await
        .unwrap();
    store.save_tasks(std::slice::from_ref(&ended)).await.unwrap();
    // A sample that was taken earlier arrives later.
    store
        .save_tasks(&[task("build", 100, 120), task("build", 300, 310)])
        .await
        .unwrap();
    let range = |start, end| TimeRange {
        start: UnixMillis(start),
        end: UnixMillis(end),
    };
    let found = store.tasks(A, range(0, 1_000), 10).await.unwrap();
    assert_eq!(
        found,
        [task("build", 300, 310), ended.clone(), task("old", 10, 20)]
    );
    assert_eq!(store.tasks(A, range(130, 140), 10).await.unwrap(), [ended]);
    assert_eq!(store.tasks(A, range(0, 1_000), 1).await.unwrap().len(), 1);
    assert_eq!(store.tasks(B, range(0, 1_000), 10).await.unwrap(), []);
    assert_eq!(
        store
            .prune_tasks(Duration::from_millis(40), UnixMillis(200))
            .await
            .unwrap(),
        1,
        "the one last seen at 20"
    );
    assert_eq!(store.tasks(A, range(0, 1_000), 10).await.unwrap().len(), 2);
    store.close().await;
}
