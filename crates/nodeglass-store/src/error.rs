//! What can go wrong with a database, and within what time.

use std::future::Future;
use std::time::Duration;

use nodeglass_model::AgentId;

/// How long one statement may take, on both sides of the connection. A black-holed connection would hang without it.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long getting a connection may take.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A failed operation on the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A URL of a kind that we don't know, or with a part that can't be read. It is not repeated: it may hold a password.
    #[error(
        "the database URL can't be read: use postgres://user:password@host/database or sqlite:///path/to/file"
    )]
    Url,
    /// The database could not be opened.
    #[error(
        "can't open the database: check that it runs, and the URL's host, user, password and database or path"
    )]
    Connect(#[source] sqlx::Error),
    /// Its tables could not be brought up to date.
    #[error("can't bring the database's tables up to date")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Its tables are newer than this program.
    #[error(
        "the database was used by a newer Nodeglass (its schema has version {0}, unknown here): run that version, or restore a backup made before it"
    )]
    Schema(i64),
    /// An operation failed.
    #[error("the database could not {operation}")]
    Query {
        /// What was to be done.
        operation: &'static str,
        /// Why it was not.
        #[source]
        source: sqlx::Error,
    },
    /// An operation got no answer.
    #[error("the database did not {operation} within {} s", STATEMENT_TIMEOUT.as_secs())]
    Timeout {
        /// What was to be done.
        operation: &'static str,
    },
    /// There is an agent of that name already.
    #[error("there is an agent {0} already: choose another name, or replace its token with --replace")]
    AgentExists(AgentId),
}

impl StoreError {
    /// Whether the database was not reached, or is starting: trying again may help.
    pub fn is_unreachable(&self) -> bool {
        const STARTING_UP: &str = "57P03";
        match self {
            Self::Connect(source) | Self::Query { source, .. } => match source {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
                sqlx::Error::Database(error) => error.code().as_deref() == Some(STARTING_UP),
                _ => false,
            },
            Self::Timeout { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn migrate(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::Schema(version),
            other => Self::Migrate(other),
        }
    }
}

/// Gives a database call its deadline and its name.
pub(crate) async fn within<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(STATEMENT_TIMEOUT + ACQUIRE_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(StoreError::Query { operation, source }),
        Err(_) => Err(StoreError::Timeout { operation }),
    }
}
