//! Makes or drops a schema, so that what is measured in a database that was given lies by itself and does not stay.

use clap::Args;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Make a schema in a PostgreSQL database
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// The database
    #[arg(long)]
    database: String,
    /// Its name: small letters, digits and underscores
    #[arg(long, value_parser = name)]
    name: String,
    /// Drop it instead, with all that is in it
    #[arg(long)]
    drop: bool,
}

fn name(text: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if text.chars().all(is_plain) && text.starts_with(|first: char| first.is_ascii_lowercase()) {
        Ok(text.to_owned())
    } else {
        Err("a name has small letters, digits and underscores, and begins with a letter".to_owned())
    }
}

impl Schema {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self { database, name, drop } = self;
        let statement = if drop {
            format!("drop schema {name} cascade")
        } else {
            format!("create schema {name}")
        };
        let mut connection = PgConnection::connect(&database).await?;
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(())
    }
}
