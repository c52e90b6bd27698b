//! What whole-system tests stand on: a database of the test's own, the real server and the real agent as processes on
//! port 0, an agent and a server that speak the wire and do as the test tells them, and what breaks things: chance, a
//! proxy that spoils connections, mounts and interfaces that no other process sees. And what benchmarks play and ask.
//!
//! Everything cleans up after itself when it is dropped, and waits for conditions, never for time to pass.

pub mod agent;
pub mod attack;
pub mod chance;
pub mod database;
pub mod engine;
pub mod enrolled;
pub mod fake_agent;
pub mod fake_server;
pub mod fuse;
pub mod host_tree;
pub mod inner_agent;
pub mod line;
pub mod namespace;
pub mod own_ca;
pub mod people;
pub mod process;
pub mod proxy;
pub mod python;
pub mod server;
pub mod terminal;
pub mod trace;

use std::time::Duration;

use tokio::time::Instant;

/// How long any condition may take on a busy two-core machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Asks again and again until there is an answer.
///
/// # Panics
/// There is none within [`PATIENCE`]; says what was waited for.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < until,
            "waited {} s in vain for: {what}",
            PATIENCE.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes each function a test on SQLite and on PostgreSQL; it is given a [`database::Database`].
#[macro_export]
macro_rules! on_every_database {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::database::Database::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::database::Database::postgres().await).await;
            })+
        }
    };
}

/// Makes one test of several functions, each of which is given a [`database::Database`] of its own, on SQLite and on
/// PostgreSQL: for those that wait more than they work. They run at once, however few tests the machine runs beside each
/// other.
#[macro_export]
macro_rules! at_once_on_every_database {
    ($name:ident: $($test:ident),+ $(,)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            tokio::join!($(
                async {
                    $test($crate::database::Database::sqlite()).await;
                    eprintln!("{} on SQLite: ok", stringify!($test));
                },
                async {
                    $test($crate::database::Database::postgres().await).await;
                    eprintln!("{} on PostgreSQL: ok", stringify!($test));
                }
            ),+);
        }
    };
}
