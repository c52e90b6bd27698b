//! Tasks.

use std::time::Duration;

use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::{TaskRecord, open};

use crate::{A, B};

on_every_database!(keeps_tasks_from_start_to_end);

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
