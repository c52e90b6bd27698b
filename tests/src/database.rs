//! A database of the test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use nodeglass_model::UnixMillis;
use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

/// A database that goes when it is dropped.
#[derive(Debug)]
pub struct Database {
    url: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite {
        _directory: TempDir,
    },
    Postgres {
        administration: String,
        name: String,
    },
    /// Somebody else's, who will remove it.
    Borrowed,
}

/// One stored sample: agent, epoch, seq.
pub type StoredId = (String, i64, i64);

const STORED: &str = "select agent.id, staging.epoch, staging.seq \
                      from staging join agent on agent.key = staging.agent_key order by 1, 2, 3";

const TIMES: &str = "select staging.ts from staging join agent on agent.key = staging.agent_key where agent.id = $1 order by 1";

impl Database {
    /// A file in a directory of its own.
    ///
    /// # Panics
    /// There is no room for temporary files.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite://{}/test.db", directory.path().display());
        Self {
            url,
            kind: Kind::Sqlite {
                _directory: directory,
            },
        }
    }

    /// A database on the server of `TEST_DATABASE_URL`, which `cargo xtask test` provides.
    ///
    /// # Panics
    /// There is no such server.
    pub async fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let administration = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL: run `cargo xtask test`, or set it to a PostgreSQL on which databases may be made");
        let name = format!(
            "whole_{}_{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        administrate(&administration, format!("create database {name}"))
            .await
            .expect("a new database");
        let (server, parameters) = administration.split_once('?').unwrap_or((&administration, ""));
        let (server, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{server}/{name}?{parameters}");
        Self {
            url,
            kind: Kind::Postgres { administration, name },
        }
    }

    /// A new one of the same kind as another.
    pub async fn like(other: &Self) -> Self {
        if other.is_sqlite() {
            Self::sqlite()
        } else {
            Self::postgres().await
        }
    }

    /// Whether it is SQLite's.
    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// One that another owns.
    pub fn borrowed(url: String) -> Self {
        Self {
            url,
            kind: Kind::Borrowed,
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// When the stored samples of an agent were taken, read past the server.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn times(&self, agent: &str) -> Result<Vec<UnixMillis>, sqlx::Error> {
        let times: Vec<i64> = if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            let query = sqlx::query_scalar(TIMES).bind(agent);
            query.fetch_all(&mut connection).await?
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            let query = sqlx::query_scalar(TIMES).bind(agent);
            query.fetch_all(&mut connection).await?
        };
        Ok(times.into_iter().map(UnixMillis).collect())
    }

    /// Every stored sample, read past the server.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn stored(&self) -> Result<Vec<StoredId>, sqlx::Error> {
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            sqlx::query_as(STORED).fetch_all(&mut connection).await
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            sqlx::query_as(STORED).fetch_all(&mut connection).await
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Kind::Postgres { administration, name } = &self.kind else {
            return;
        };
        let (administration, drop) = (
            administration.clone(),
            format!("drop database if exists {name} with (force)"),
        );
        // A thread of its own: a runtime can't wait within a drop.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(administrate(&administration, drop))
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("the test's database is left behind: {error}");
        }
    }
}

async fn administrate(url: &str, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}
