//! A database of a test's own.

use sqlx::{Connection, PgConnection};

/// Removed at the end of its test.
pub(crate) enum Database {
    Sqlite(tempfile::TempDir),
    Postgres { name: String },
}

fn postgres_url() -> String {
    std::env::var("TEST_DATABASE_URL")
        .expect("TEST_DATABASE_URL: run `cargo xtask test`, or set it to a PostgreSQL on which databases may be created")
}

async fn administrate(statement: String) {
    let mut connection = PgConnection::connect(&postgres_url())
        .await
        .expect("the PostgreSQL of TEST_DATABASE_URL");
    sqlx::query(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("the statement");
    connection.close().await.ok();
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn postgres(test: &str) -> Self {
        Self::Postgres {
            name: format!("{test}_{}", std::process::id()),
        }
    }

    pub(crate) async fn create(&self) {
        if let Self::Postgres { name } = self {
            administrate(format!("create database {name}")).await;
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => format!("sqlite://{}/store.db", directory.path().display()),
            Self::Postgres { name } => {
                let url = postgres_url();
                let (server, parameters) = url.split_once('?').unwrap_or((&url, ""));
                let (server, _) = server.rsplit_once('/').expect("a URL with a database");
                format!("{server}/{name}?{parameters}")
            }
        }
    }

    pub(crate) async fn remove(self) {
        if let Self::Postgres { name } = self {
            administrate(format!("drop database {name} with (force)")).await;
        }
    }
}
