//! A copy of a SQLite database while others use it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::{BUSY_TIMEOUT, options};
use crate::StoreError;

/// Copies the database at `url` into a file that is not there yet, as it is at one moment, while others go on writing to it.
/// The file appears when it is whole and on disk; gives its size in bytes. Only its owner can read it.
///
/// # Errors
/// [`StoreError::Backup`] if the database can't be read or the file not be written.
pub(crate) async fn backup(url: &str, file: &Path) -> Result<u64, StoreError> {
    let failed = |source: sqlx::Error| StoreError::Backup(source);
    let written = |source: io::Error| StoreError::Backup(source.into());
    if file.exists() {
        return Err(StoreError::BackupExists(file.to_owned()));
    }
    let options = options(url)?.create_if_missing(false).busy_timeout(BUSY_TIMEOUT);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    // What a backup that was interrupted left is written over.
    let partial = PathBuf::from(format!("{}.partial", file.display()));
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(&partial).map_err(written)?;
    let copied = sqlx::query(include_str!("backup.sql"))
        .bind(partial.to_str())
        .execute(&mut connection)
        .await;
    // It is closed in any case; an error of the copy says more.
    let _ = connection.close().await;
    if let Err(error) = copied {
        let _ = fs::remove_file(&partial);
        return Err(failed(error));
    }
    let copy = File::open(&partial).map_err(written)?;
    copy.sync_all().map_err(written)?;
    let size = copy.metadata().map_err(written)?.len();
    fs::rename(&partial, file).map_err(written)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = File::open(directory.unwrap_or(Path::new("."))).map_err(written)?;
    directory.sync_all().map_err(written)?;
    Ok(size)
}
