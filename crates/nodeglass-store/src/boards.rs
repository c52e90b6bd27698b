//! Dashboards that people made and share: small documents of the page's, which the store keeps and does not read.

use async_trait::async_trait;
use nodeglass_model::UnixMillis;

use crate::StoreError;

/// A dashboard without its body: how lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardEntry {
    /// Its name in addresses.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Counts up from 1 with each change.
    pub revision: i64,
    /// When it was saved last.
    pub saved_at: UnixMillis,
    /// Who saved it.
    pub saved_by: String,
}

/// A dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// What lists show of it.
    pub entry: BoardEntry,
    /// What it shows, as JSON.
    pub body: String,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is kept.
    Kept,
    /// It was made from another revision than the one that is there; nothing is changed.
    Outdated,
    /// There are as many as there may be.
    Full,
}

/// Where dashboards are kept.
#[async_trait]
pub trait Boards {
    /// Every dashboard, by name.
    async fn boards(&self) -> Result<Vec<BoardEntry>, StoreError>;

    /// One of them.
    async fn board(&self, id: &str) -> Result<Option<Board>, StoreError>;

    /// Adds a dashboard, if its revision is 0 and there are fewer than `most`, or changes the one that has this revision.
    async fn save_board(&self, board: &Board, most: u32) -> Result<Saved, StoreError>;

    /// Removes a dashboard; `false` if there was none.
    async fn remove_board(&self, id: &str) -> Result<bool, StoreError>;
}

/// Implements [`Boards`] for a type with the pools `reader` and `writer` and the SQL files in the directory `$sql`.
macro_rules! implement_boards {
    ($type:ty, $sql:literal) => {
        #[async_trait::async_trait]
        impl $crate::boards::Boards for $type {
            async fn boards(&self) -> Result<Vec<$crate::boards::BoardEntry>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/boards.sql")));
                let rows = within("list dashboards", query.fetch_all(&self.reader)).await?;
                Ok(rows.iter().map(|row| $crate::boards::entry!(row)).collect())
            }

            async fn board(&self, id: &str) -> Result<Option<$crate::boards::Board>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/board.sql"))).bind(id);
                let row = within("read a dashboard", query.fetch_optional(&self.reader)).await?;
                Ok(row.as_ref().map(|row| $crate::boards::Board {
                    entry: $crate::boards::entry!(row),
                    body: row.get(5),
                }))
            }

            async fn save_board(
                &self,
                board: &$crate::boards::Board,
                most: u32,
            ) -> Result<$crate::boards::Saved, $crate::StoreError> {
                use $crate::boards::Saved;
                let $crate::boards::Board { entry, body } = board;
                let is_new = entry.revision == 0;
                let query = if is_new {
                    sqlx::query(include_str!(concat!($sql, "/add_board.sql")))
                } else {
                    sqlx::query(include_str!(concat!($sql, "/change_board.sql")))
                };
                let query = query
                    .bind(&entry.id)
                    .bind(&entry.name)
                    .bind(body)
                    .bind(entry.saved_at.0)
                    .bind(&entry.saved_by)
                    .bind(if is_new {
                        i64::from(most)
                    } else {
                        entry.revision
                    });
                let done = within("save a dashboard", query.execute(&self.writer)).await?;
                if done.rows_affected() > 0 {
                    return Ok(Saved::Kept);
                }
                let is_there = $crate::boards::Boards::board(self, &entry.id)
                    .await?
                    .is_some();
                Ok(if is_new && !is_there {
                    Saved::Full
                } else {
                    Saved::Outdated
                })
            }

            async fn remove_board(&self, id: &str) -> Result<bool, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/remove_board.sql"))).bind(id);
                let done = within("remove a dashboard", query.execute(&self.writer)).await?;
                Ok(done.rows_affected() > 0)
            }
        }
    };
}
pub(crate) use implement_boards;

/// The columns that every query begins with.
macro_rules! entry {
    ($row:expr) => {
        $crate::boards::BoardEntry {
            id: $row.get(0),
            name: $row.get(1),
            revision: $row.get(2),
            saved_at: UnixMillis($row.get(3)),
            saved_by: $row.get(4),
        }
    };
}
pub(crate) use entry;
