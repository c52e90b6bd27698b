//! How a group ends: well, by a failure, by a panic, late.

use std::future::pending;
use std::sync::atomic::AtomicBool;

use tokio::time::{Instant, sleep};

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

/// Sets its flag when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn until_shutdown(group: &TaskGroup) -> impl Future<Output = Result<(), TaskFailure>> + Send + 'static {
    let token = group.shutdown_token();
    async move {
        token.cancelled().await;
        Ok(())
    }
}

/// The error of a group that ends by itself, or a panic if it lives on.
async fn failure_of(group: TaskGroup) -> TaskError {
    tokio::time::timeout(Duration::from_hours(1), group.run(pending(), DEADLINE))
        .await
        .expect("the group ends by itself")
        .unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_all_tasks_and_waits_for_them() {
    let group = TaskGroup::new();
    group.spawn("a", until_shutdown(&group));
    let finished = Arc::new(AtomicBool::new(false));
    let (token, flag) = (group.shutdown_token(), Arc::clone(&finished));
    group.spawn_transient("session", async move {
        token.cancelled().await;
        sleep(DEADLINE / 2).await;
        flag.store(true, Ordering::SeqCst);
    });
    let began = Instant::now();
    let stop = sleep(Duration::from_hours(1));
    group.run(stop, DEADLINE).await.unwrap();
    assert!(finished.load(Ordering::SeqCst));
    assert_eq!(began.elapsed(), Duration::from_secs(3605));
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_the_group_and_keeps_its_cause() {
    let group = TaskGroup::new();
    group.spawn("writer", async { Err("disk full".into()) });
    group.spawn("a", until_shutdown(&group));
    let error = failure_of(group).await;
    assert_eq!(chain(&error).to_string(), "task writer failed: disk full");
}

#[tokio::test(start_paused = true)]
async fn an_early_end_is_a_failure() {
    let group = TaskGroup::new();
    group.spawn("writer", async { Ok(()) });
    let error = failure_of(group).await;
    assert!(matches!(error, TaskError::Ended { task: "writer" }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_the_group_and_keeps_its_text() {
    let group = TaskGroup::new();
    let number = 7;
    group.spawn("writer", async move { panic!("lost {number}") });
    let token = group.shutdown_token();
    let error = failure_of(group).await;
    assert_eq!(error.to_string(), "task writer panicked: lost 7");
    assert!(token.is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_ending_is_a_failure() {
    let group = TaskGroup::new();
    let token = group.shutdown_token();
    group.spawn("writer", async move {
        token.cancelled().await;
        Err("can't flush".into())
    });
    let error = group.run(async {}, DEADLINE).await.unwrap_err();
    assert!(
        matches!(error, TaskError::Failed { task: "writer", .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_is_the_one_that_is_given() {
    let group = TaskGroup::new();
    group.spawn("first", async { Err("a".into()) });
    let token = group.shutdown_token();
    group.spawn("second", async move {
        token.cancelled().await;
        Err("b".into())
    });
    group.spawn("slow", pending());
    let error = failure_of(group).await;
    assert!(
        matches!(error, TaskError::Failed { task: "first", .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_transient_task_may_end_and_its_panic_is_counted() {
    let group = TaskGroup::new();
    group.spawn_transient("session", async {});
    group.spawn_transient("session", async { panic!("oops") });
    let observer = group.clone();
    let stop = sleep(Duration::from_mins(1));
    group.run(stop, DEADLINE).await.unwrap();
    assert_eq!(observer.transient_panics(), 1);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_overrun_are_named_and_dropped() {
    let group = TaskGroup::new();
    let dropped = Arc::new(AtomicBool::new(false));
    let witness = Dropped(Arc::clone(&dropped));
    group.spawn("stuck", async move {
        let _witness = witness;
        pending().await
    });
    group.spawn_transient("session", pending());
    group.spawn_transient("session", pending());
    group.spawn("good", until_shutdown(&group));
    let began = Instant::now();
    let error = group.run(async {}, DEADLINE).await.unwrap_err();
    let TaskError::Overran { tasks } = error else {
        panic!("{error}");
    };
    assert_eq!(tasks, ["session", "stuck"]);
    assert_eq!(began.elapsed(), DEADLINE);
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_task_spawned_by_another_is_waited_for_too() {
    let group = TaskGroup::new();
    let finished = Arc::new(AtomicBool::new(false));
    let (inner, flag) = (group.clone(), Arc::clone(&finished));
    let token = group.shutdown_token();
    group.spawn("listener", async move {
        token.cancelled().await;
        inner.spawn_transient("last connection", async move {
            sleep(Duration::from_secs(1)).await;
            flag.store(true, Ordering::SeqCst);
        });
        Ok(())
    });
    group.run(async {}, DEADLINE).await.unwrap();
    assert!(finished.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_task_takes_little_more_room_than_what_it_runs() {
    let room = [0_u8; 4096];
    let task = async move {
        std::future::pending::<()>().await;
        std::hint::black_box(&room);
    };
    let own = size_of_val(&task);
    let group = TaskGroup::new();
    let living = Living::new(task, |_: Result<(), Panic>| {}, Entry::new(&group.0, "large"));
    let more = size_of_val(&living) - own;
    assert!(more < 256, "{more} more than {own}");
}
