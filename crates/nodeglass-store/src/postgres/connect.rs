//! Connecting: which way leads to the server, and what each session there is told.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Error, Executor, Row};
use tokio::time::timeout;

use super::pool::{Pool, Route};
use super::url;
use crate::error::STATEMENT_TIMEOUT;
use crate::{Options, StoreError};

/// A setting that only we make. Where a session does not know it, somebody between us and the server has dropped it.
const MARK: &str = "nodeglass.direct";
/// How long the server keeps a transaction that we began and of which it hears nothing more. Compaction computes between
/// its statements, for less than that.
const IDLE_IN_TRANSACTION: Duration = Duration::from_mins(2);

/// The pools of a database.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) reader: Pool,
    pub(crate) writer: Pool,
    pub(crate) worker: Pool,
}

/// Finds the way to a server, and makes the pools for it.
pub(crate) async fn connect(database: &str, options: &Options) -> Result<Pools, StoreError> {
    let plain = url::options(database)?
        .application_name("nodeglass")
        // Servers have shown floating-point numbers in full since version 12, and poolers refuse to be told.
        .extra_float_digits(None);
    let told = session(plain.clone());
    let (connection, options_of_session, route) = match attempt(&told, options.silence).await {
        Ok(mut connection) => {
            let route = route(&mut connection, options.silence)
                .await
                .map_err(StoreError::Connect)?;
            let chosen = if route == Route::Direct { told } else { plain };
            (connection, chosen, route)
        }
        // Poolers refuse settings that they would have to keep apart by client.
        Err(Error::Database(error)) if !is_final(error.code().as_deref()) => {
            let connection = attempt(&plain, options.silence)
                .await
                .map_err(|error| failed(error, &plain))?;
            (connection, plain, Route::Pooler)
        }
        Err(error) => return Err(failed(error, &plain)),
    };
    let _ = timeout(options.silence, connection.close()).await;
    tracing::debug!(?route, "connected to PostgreSQL");
    let pool = |size| Pool::new(options_of_session.clone(), route, size, options.silence);
    let of_reader = match route {
        Route::Direct => reading(options_of_session.clone()),
        Route::Pooler => options_of_session.clone(),
    };
    Ok(Pools {
        reader: Pool::new(of_reader, route, options.readers, options.silence),
        writer: pool(options.writers),
        worker: pool(options.workers),
    })
}

/// What a session is told at its start, where it lasts as long as the connection: limits that hold when nobody is left on
/// our side to keep them, and how soon a client that vanished is noticed, so that its locks go.
fn session(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("statement_timeout", STATEMENT_TIMEOUT.as_millis().to_string()),
        (
            "idle_in_transaction_session_timeout",
            IDLE_IN_TRANSACTION.as_millis().to_string(),
        ),
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", "20000".to_owned()),
        (MARK, "on".to_owned()),
    ])
}

/// What a session for readers is told besides. Planning costs more than most of their statements, all the more with many
/// partitions, so each is planned once. Tables that are empty then may be large later, so a plan must not count on their
/// size; every statement has an index to go by. Those few that pass over a whole table are not worth compiling.
fn reading(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("jit", "off"),
    ])
}

async fn attempt(options: &PgConnectOptions, limit: Duration) -> Result<PgConnection, Error> {
    timeout(limit, options.connect())
        .await
        .unwrap_or(Err(Error::PoolTimedOut))
}

/// Whether the server, and nobody before it, has said no: for a password or right (28), a database that is not there
/// (3D000), or because it starts, stops (57P0x) or is full (53300).
fn is_final(code: Option<&str>) -> bool {
    code.is_some_and(|code| {
        code.starts_with("28") || code.starts_with("57P0") || code == "3D000" || code == "53300"
    })
}

fn failed(error: Error, options: &PgConnectOptions) -> StoreError {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    match &error {
        // Without a socket there is no file but those of certificates.
        Error::Io(io)
            if options.get_socket().is_none() && matches!(io.kind(), NotFound | PermissionDenied) =>
        {
            StoreError::Tls(error)
        }
        _ => StoreError::connect(error),
    }
}

async fn route(connection: &mut PgConnection, limit: Duration) -> Result<Route, Error> {
    const QUESTION: &str = "select coalesce(current_setting('nodeglass.direct', true), '')";
    let row = timeout(limit, connection.fetch_one(QUESTION))
        .await
        .unwrap_or(Err(Error::PoolTimedOut))?;
    let is_marked = row.get::<String, _>(0) == "on";
    Ok(if is_marked { Route::Direct } else { Route::Pooler })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_of_ours_shows_the_password() {
        let options = session(url::options("postgres://u:secret@h/d").unwrap());
        let pool = Pool::new(options, Route::Direct, 2, Duration::from_secs(1));
        assert_eq!(format!("{pool:?}"), "Pool { route: Direct, room: 2, .. }");
    }
}
