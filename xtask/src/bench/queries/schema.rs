//! A schema of a given database, for as long as something is measured in it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;

use crate::bench::programs::program;

/// A schema; it is dropped with this.
pub(super) struct Schema {
    database: String,
    name: String,
}

impl Schema {
    /// Makes one.
    ///
    /// # Errors
    /// The database's user may not; the program has said so.
    pub(super) fn make(database: &str) -> anyhow::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let schema = Self {
            database: database.to_owned(),
            name: format!("nodeglass_bench_{}", now.as_millis()),
        };
        ensure!(
            schema.tell(&[])?,
            "the database that is given has to let its user make a schema"
        );
        Ok(schema)
    }

    /// The database as who sees this schema alone.
    pub(super) fn url(&self) -> String {
        let Self { database, name } = self;
        let and = if database.contains('?') { '&' } else { '?' };
        format!("{database}{and}options=-csearch_path%3D{name}")
    }

    fn tell(&self, more: &[&str]) -> anyhow::Result<bool> {
        let Self { database, name } = self;
        let mut schema = program("nodeglass-queries");
        schema.args(["schema", "--database", database, "--name", name]);
        Ok(schema.args(more).status()?.success())
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // Where it can't be, the program has said why.
        let _ = self.tell(&["--drop"]);
    }
}
