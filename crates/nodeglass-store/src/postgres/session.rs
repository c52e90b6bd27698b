//! Statements and transactions on the connections of a [`Pool`], so that `sqlx`'s queries run on it as on a pool of its own.
//!
//! Behind a pooler every statement stands in a transaction, since the pooler may carry what follows to another session, and
//! none has a name there, since the session that knows the name may be anybody's next.

use std::ops::{Deref, DerefMut};

use async_stream::try_stream;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{AssertSqlSafe, Describe, Either, Error, Execute, Executor, Postgres, SqlStr};

use super::pool::{Lease, Pool, Route};
use crate::error::STATEMENT_TIMEOUT;

type Step = Either<PgQueryResult, PgRow>;

/// A query that gets no name on the server.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        None
    }

    fn take_arguments(
        &mut self,
    ) -> Result<Option<sqlx::postgres::PgArguments>, Box<dyn std::error::Error + Send + Sync>> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

/// What begins a transaction that starts with these words, if there are any. Behind a pooler it brings the limits with it that a
/// connection of its own has for good.
fn beginning(route: Route, words: &str) -> AssertSqlSafe<String> {
    let millis = STATEMENT_TIMEOUT.as_millis();
    AssertSqlSafe(match route {
        Route::Direct => format!("begin; {words}"),
        Route::Pooler => format!("begin; set local statement_timeout = {millis}; {words}"),
    })
}

/// Runs a query on a connection.
fn run<'e, 'q: 'e, E>(lease: &'e mut Lease, query: E) -> BoxStream<'e, Result<Step, Error>>
where
    E: 'q + Execute<'q, Postgres>,
{
    let (connection, pool) = lease.parts();
    Box::pin(try_stream! {
        let mut steps = match pool.route() {
            Route::Direct => connection.fetch_many(query),
            Route::Pooler => connection.fetch_many(Unnamed(query)),
        };
        while let Some(step) = pool.answered(steps.try_next()).await? {
            yield step;
        }
    })
}

/// Runs words that have no parameters and no answer.
async fn say(lease: &mut Lease, words: AssertSqlSafe<String>) -> Result<(), Error> {
    let (connection, pool) = lease.parts();
    pool.answered(connection.execute(words)).await.map(drop)
}

/// The first row, once all is said.
async fn first(mut steps: BoxStream<'_, Result<Step, Error>>) -> Result<Option<PgRow>, Error> {
    let mut first = None;
    while let Some(step) = steps.try_next().await? {
        if let Either::Right(row) = step {
            first.get_or_insert(row);
        }
    }
    Ok(first)
}

impl Pool {
    /// Begins a transaction; dropped, it is undone.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with("").await
    }

    /// Begins a transaction with a statement that has no parameters and whose answer nobody needs: one way there and back for both.
    pub(crate) async fn begin_with(&self, words: &str) -> Result<Transaction, Error> {
        let mut lease = self.acquire().await?;
        say(&mut lease, beginning(self.route(), words)).await?;
        Ok(Transaction(Statements(lease)))
    }
}

impl<'c> Executor<'c> for &'c Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(try_stream! {
            if self.route() == Route::Pooler {
                let mut transaction = self.begin().await?;
                {
                    let mut steps = transaction.fetch_many(query);
                    while let Some(step) = steps.try_next().await? {
                        yield step;
                    }
                }
                transaction.commit().await?;
                return;
            }
            let mut lease = self.acquire().await?;
            let failed = {
                let mut steps = run(&mut lease, query);
                loop {
                    match steps.try_next().await {
                        Ok(Some(step)) => yield step,
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                }
            };
            match failed {
                None => lease.give_back(),
                Some(error) => {
                    lease.give_back_after(&error);
                    Err(error)?;
                }
            }
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(first(self.fetch_many(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let mut lease = self.acquire().await?;
            let (connection, pool) = lease.parts();
            pool.answered(connection.prepare_with(sql, parameters)).await
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        Box::pin(async move {
            let mut lease = self.acquire().await?;
            let (connection, pool) = lease.parts();
            pool.answered(connection.describe(sql)).await
        })
    }
}

/// A transaction. What runs in it runs on `&mut *transaction`; dropped without a commit it is undone, and its connection closed.
#[derive(Debug)]
pub(crate) struct Transaction(Statements);

impl Transaction {
    /// Makes what was done permanent.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.end("commit").await
    }

    /// Undoes what was done, and keeps the connection.
    pub(crate) async fn rollback(self) -> Result<(), Error> {
        self.end("rollback").await
    }

    async fn end(mut self, words: &str) -> Result<(), Error> {
        say(&mut self.0.0, AssertSqlSafe(words.to_owned())).await?;
        self.0.0.give_back();
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = Statements;

    fn deref(&self) -> &Statements {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Statements {
        &mut self.0
    }
}

/// What runs statements within a transaction.
#[derive(Debug)]
pub(crate) struct Statements(Lease);

impl Statements {
    /// Runs a `copy … from stdin` with all of its rows, and says how many they were.
    pub(crate) async fn copy_in(&mut self, statement: &str, rows: Vec<u8>) -> Result<u64, Error> {
        let (connection, pool) = self.0.parts();
        let copied = async {
            let mut copy = connection.copy_in_raw(statement).await?;
            copy.send(rows).await?;
            copy.finish().await
        };
        pool.answered(copied).await
    }
}

impl<'c> Executor<'c> for &'c mut Statements {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Step, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        run(&mut self.0, query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(first(self.fetch_many(query)))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        let (connection, _) = self.0.parts();
        connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        let (connection, _) = self.0.parts();
        connection.describe(sql)
    }
}
