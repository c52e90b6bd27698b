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
    /// A URL with a parameter that means nothing here. It is not repeated either.
    #[error(
        "the database URL has a parameter that is not known: after the ? may stand sslmode, sslrootcert, sslcert, sslkey, \
         host, hostaddr, port, dbname, user, password and options; a ? within a password is written %3F"
    )]
    UrlParameter,
    /// The database could not be opened.
    #[error(
        "can't open the database: check that it runs, and the URL's host, user, password and database or path"
    )]
    Connect(#[source] sqlx::Error),
    /// The database was reached, and TLS with it was not agreed on.
    #[error(
        "can't agree on TLS with the database: check that sslrootcert in the URL names the file of the CA that signed its \
         certificate and that the host is one that the certificate is for (sslmode=verify-ca passes over the host), that \
         sslcert and sslkey name a certificate that it takes if it asks for one, and that its TLS is on (ssl = on)"
    )]
    Tls(#[source] sqlx::Error),
    /// Its tables can't be brought up to date: they were not made by the migrations that this program has.
    #[error(
        "the database's tables are not those of this Nodeglass: restore a backup, or use an empty database"
    )]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Its tables could not be brought up to date.
    #[error("can't bring the database's tables up to date")]
    Migration(#[source] sqlx::Error),
    /// Its tables are in use all the time by something that does not let go of them.
    #[error(
        "can't bring the database's tables up to date, since another program holds them: end it, or its transaction, and \
         start again"
    )]
    Busy,
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
    /// A copy of the database could not be made.
    #[error(
        "the copy can't be made: check that the database is there, that the directory of the copy may be written to, and \
         that it has room for as much as the database takes"
    )]
    Backup(#[source] sqlx::Error),
    /// There is something where the copy is to be.
    #[error("{0:?} is there already: name another file, or remove it first")]
    BackupExists(std::path::PathBuf),
    /// PostgreSQL has its own programs for this.
    #[error("PostgreSQL makes its own backups: use pg_dump, as docs/backup.md shows")]
    NotSqlite,
    /// There is an agent of that name already.
    #[error(
        "there is an agent {0} already: choose another name, or have a host take its place with --replace"
    )]
    AgentExists(AgentId),
}

impl StoreError {
    /// Whether the database was not reached, or takes nobody up for now: trying again may help.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect(source) | Self::Migration(source) | Self::Query { source, .. } => match source {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
                _ => false,
            },
            Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// An error of connecting: one of TLS if it was that.
    pub(crate) fn connect(error: sqlx::Error) -> Self {
        /// The error of a TLS library passes through an I/O error of this kind.
        const IN_TLS: std::io::ErrorKind = std::io::ErrorKind::InvalidData;
        match error {
            sqlx::Error::Tls(_) => Self::Tls(error),
            sqlx::Error::Io(ref io) if io.kind() == IN_TLS => Self::Tls(error),
            other => Self::Connect(other),
        }
    }

    pub(crate) fn migration(error: sqlx::Error) -> Self {
        Self::Migration(error)
    }
}

/// Whether this code of PostgreSQL's says that it, or a pooler before it, takes nobody up for now: a broken connection (08),
/// no room (53300), stopping, crashed or starting (57P01 to 57P03).
fn is_passing(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "53300" | "57P01" | "57P02" | "57P03")
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
