//! Which migrations a database still needs, and when it is too new for this program.

use std::collections::HashMap;

use sqlx::migrate::{MigrateError, Migration, Migrator};

use crate::StoreError;

/// A migration that was applied: its version, and the checksum of what was applied.
pub(crate) type Applied = (i64, Vec<u8>);

/// What is still to be done, oldest first.
///
/// # Errors
/// [`StoreError::Schema`] for a migration that is not known here; [`StoreError::Migrate`] for one that read otherwise when
/// it was applied.
pub(crate) fn pending<'m>(
    migrator: &'m Migrator,
    applied: &[Applied],
) -> Result<Vec<&'m Migration>, StoreError> {
    let known: HashMap<i64, &Migration> = migrator.iter().map(|one| (one.version, one)).collect();
    for (version, checksum) in applied {
        let migration = known.get(version).ok_or(StoreError::Schema(*version))?;
        if migration.checksum[..] != checksum[..] {
            return Err(StoreError::Migrate(MigrateError::VersionMismatch(*version)));
        }
    }
    let is_applied = |version| applied.iter().any(|(applied, _)| *applied == version);
    Ok(migrator
        .iter()
        .filter(|migration| !is_applied(migration.version))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use sqlx::SqlSafeStr;
    use sqlx::migrate::MigrationType;

    use super::*;

    fn migrator() -> Migrator {
        let one = |version| {
            Migration::new(
                version,
                Cow::Borrowed("a step"),
                MigrationType::Simple,
                "select 1".into_sql_str(),
                false,
            )
        };
        Migrator::with_migrations(vec![one(2), one(1), one(3)])
    }

    #[test]
    fn what_is_left_is_done_in_order() {
        let migrator = migrator();
        let checksum = migrator.iter().next().unwrap().checksum.to_vec();
        let versions = |applied: &[Applied]| -> Vec<i64> {
            let pending = pending(&migrator, applied).unwrap();
            pending.iter().map(|one| one.version).collect()
        };
        assert_eq!(versions(&[]), [1, 2, 3]);
        assert_eq!(versions(&[(1, checksum.clone())]), [2, 3]);
        let all: Vec<Applied> = (1..=3).map(|version| (version, checksum.clone())).collect();
        assert_eq!(versions(&all), [0; 0]);
    }

    #[test]
    fn a_newer_or_changed_schema_is_refused() {
        let migrator = migrator();
        let newer = pending(&migrator, &[(4, vec![])]).unwrap_err();
        assert!(matches!(newer, StoreError::Schema(4)), "{newer:?}");
        let changed = pending(&migrator, &[(1, vec![1])]).unwrap_err();
        assert!(matches!(changed, StoreError::Migrate(_)), "{changed:?}");
    }

    #[test]
    fn every_migration_of_ours_fits_into_a_transaction() {
        for migrator in [
            sqlx::migrate!("../../migrations/postgres"),
            sqlx::migrate!("../../migrations/sqlite"),
        ] {
            assert!(migrator.iter().all(|migration| !migration.no_tx));
        }
    }
}
