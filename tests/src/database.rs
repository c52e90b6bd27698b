//! A database of the test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use nodeglass_model::{TimeRange, UnixMillis};
use nodeglass_store::StoreError;
use nodeglass_store::identities::Everybody;
use nodeglass_store::tiers::StoredSample;
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

const ALL_TIME: TimeRange = TimeRange {
    start: UnixMillis(i64::MIN),
    end: UnixMillis(i64::MAX),
};
/// Samples read at once.
const PAGE: u32 = 2_000;

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

    /// All who may call, as they are kept.
    ///
    /// # Panics
    /// It can't be read.
    pub async fn everybody(&self) -> Everybody {
        let store = nodeglass_store::open(&self.url).await.expect("the database");
        let everybody = store.everybody().await.expect("its tables");
        store.close().await;
        everybody
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
    pub async fn times(&self, agent: &str) -> Result<Vec<UnixMillis>, StoreError> {
        let samples = self.samples().await?.into_iter();
        let own = samples.filter(|(name, _)| name == agent);
        Ok(own.map(|(_, stored)| stored.sample.timestamp).collect())
    }

    /// Every stored sample in whatever tier it is, by agent and identity, read past the server.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn stored(&self) -> Result<Vec<StoredId>, StoreError> {
        let samples = self.samples().await?.into_iter();
        let id =
            |(agent, stored): (String, StoredSample)| (agent, stored.id.epoch as i64, stored.id.seq as i64);
        let mut ids: Vec<_> = samples.map(id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The first column, of texts, of what a query finds.
    ///
    /// # Errors
    /// The database does not answer, or not so.
    pub async fn texts(&self, query: &'static str) -> Result<Vec<String>, sqlx::Error> {
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await?;
            sqlx::query_scalar(query).fetch_all(&mut connection).await
        } else {
            let mut connection = PgConnection::connect(&self.url).await?;
            sqlx::query_scalar(query).fetch_all(&mut connection).await
        }
    }

    /// Tables with rows of an agent, by its key; whoever made them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn tables_with(&self, key: i32) -> Result<Vec<String>, sqlx::Error> {
        let mut found = Vec::new();
        let tables = self
            .texts(if self.is_sqlite() {
                "select m.name from sqlite_master as m, pragma_table_info(m.name) as p \
                 where m.type = 'table' and p.name = 'agent_key'"
            } else {
                "select relname::text from pg_class join pg_attribute on attrelid = pg_class.oid \
                 where relkind in ('r', 'p') and not relispartition and attname = 'agent_key' \
                     and relnamespace = 'public'::regnamespace"
            })
            .await?;
        // What says that there was one stays, and that its key is worth nothing.
        let stays = |table: &str| matches!(table, "forgotten" | "revocation");
        for table in tables.into_iter().filter(|table| !stays(table)) {
            let rows = format!("select count(*) from \"{table}\" where agent_key = {key}");
            let rows: i64 = if self.is_sqlite() {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
                    .fetch_one(&mut connection)
                    .await?
            } else {
                let mut connection = PgConnection::connect(&self.url).await?;
                sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
                    .fetch_one(&mut connection)
                    .await?
            };
            if rows > 0 {
                found.push(table);
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// All that it holds, as it lies there, and what its samples say when they are unpacked.
    ///
    /// # Panics
    /// It can't be read.
    pub async fn dump(&self) -> Vec<u8> {
        let mut dump = if let Some(file) = self.url.strip_prefix("sqlite://") {
            ["", "-wal"]
                .iter()
                .flat_map(|end| std::fs::read(format!("{file}{end}")).unwrap_or_default())
                .collect()
        } else {
            let programs = xtask::postgres::Binaries::find().expect("PostgreSQL's programs");
            let mut dumping = tokio::process::Command::new(programs.directory().join("pg_dump"));
            let output = dumping
                .arg("--inserts")
                .arg(&self.url)
                .output()
                .await
                .expect("pg_dump starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            output.stdout
        };
        let samples = self.samples().await.expect("the samples");
        dump.extend(format!("{samples:?}").into_bytes());
        dump
    }

    /// Every stored sample, each agent's in order of time.
    async fn samples(&self) -> Result<Vec<(String, StoredSample)>, StoreError> {
        let store = nodeglass_store::open(&self.url).await?;
        let mut samples = Vec::new();
        for agent in store.agents().await? {
            let mut after = None;
            loop {
                let page = store.samples(agent.key, ALL_TIME, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.position());
                samples.extend(page.into_iter().map(|sample| (agent.id.to_string(), sample)));
            }
        }
        store.close().await;
        Ok(samples)
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
