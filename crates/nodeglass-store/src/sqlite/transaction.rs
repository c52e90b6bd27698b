//! Transactions on SQLite whose connection is given up unless they came to their end.
//!
//! SQLite ends a transaction by itself when its disk is full or fails. `sqlx`'s own transactions count on that only they end
//! them: after such an end the next one on the connection fails, or its statements stand outside of any. Here nothing
//! outlives a failure but the pool, which opens another connection, in about a millisecond.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Error, Executor, Sqlite};

/// A transaction. Dropped without [`Transaction::commit`] or [`Transaction::rollback`], as after an error, or by a caller
/// who waits no longer, it is undone and its connection closed.
#[derive(Debug)]
pub(super) struct Transaction {
    connection: PoolConnection<Sqlite>,
    is_over: bool,
}

impl Transaction {
    /// One that sees the database as it is at its first statement.
    pub(super) async fn read(pool: &SqlitePool) -> Result<Self, Error> {
        Self::begin(pool, "begin").await
    }

    /// One that writes. It waits for other writers at its start, where it may, rather than failing in its middle.
    pub(super) async fn write(pool: &SqlitePool) -> Result<Self, Error> {
        Self::begin(pool, "begin immediate").await
    }

    async fn begin(pool: &SqlitePool, words: &'static str) -> Result<Self, Error> {
        let mut transaction = Self {
            connection: pool.acquire().await?,
            is_over: false,
        };
        transaction.connection.execute(words).await?;
        Ok(transaction)
    }

    /// Makes what was done permanent.
    pub(super) async fn commit(self) -> Result<(), Error> {
        self.end("commit").await
    }

    /// Undoes what was done, and keeps the connection.
    pub(super) async fn rollback(self) -> Result<(), Error> {
        self.end("rollback").await
    }

    async fn end(mut self, words: &'static str) -> Result<(), Error> {
        self.connection.execute(words).await?;
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.is_over {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Transaction {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::*;

    async fn insert(transaction: &mut Transaction, value: &str) -> Result<(), Error> {
        let query = sqlx::query("insert into thing (value) values ($1)").bind(value);
        query.execute(&mut **transaction).await.map(drop)
    }

    async fn values(pool: &SqlitePool) -> Vec<String> {
        let query = sqlx::query_scalar("select value from thing order by value");
        query.fetch_all(pool).await.unwrap()
    }

    #[tokio::test]
    async fn what_fails_is_undone_and_spoils_nothing_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(directory.path().join("test.db"))
            .create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = pool.connect_with(options).await.unwrap();
        pool.execute("create table thing (value text unique)")
            .await
            .unwrap();

        // A full disk: SQLite ends the transaction by itself.
        let mut full = Transaction::write(&pool).await.unwrap();
        insert(&mut full, "undone").await.unwrap();
        full.execute("pragma max_page_count = 10").await.unwrap();
        let error = insert(&mut full, &"x".repeat(1_000_000)).await.unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        drop(full);
        let mut next = Transaction::write(&pool).await.unwrap();
        insert(&mut next, &"a".repeat(1_000_000)).await.unwrap();
        next.commit().await.unwrap();

        // An error that leaves the transaction open, and a caller who goes in its middle.
        for ends_by_error in [true, false] {
            let mut broken = Transaction::write(&pool).await.unwrap();
            insert(&mut broken, "undone").await.unwrap();
            if ends_by_error {
                insert(&mut broken, "undone").await.unwrap_err();
            }
            drop(broken);
        }
        let mut undone = Transaction::write(&pool).await.unwrap();
        insert(&mut undone, "undone").await.unwrap();
        undone.rollback().await.unwrap();
        let mut last = Transaction::write(&pool).await.unwrap();
        insert(&mut last, "b").await.unwrap();
        last.commit().await.unwrap();
        assert_eq!(values(&pool).await, ["a".repeat(1_000_000), "b".to_owned()]);
        Transaction::read(&pool).await.unwrap().commit().await.unwrap();
    }
}
