//! How long things are kept, and how much.

use std::ops::RangeInclusive;
use std::time::Duration;

use nodeglass_runtime::config::{ConfigReader, Secret, show_duration};
use nodeglass_store::tiers::Retention;

const DAY: Duration = Duration::from_hours(24);
const MIB: u64 = 1 << 20;

/// How long something may be kept.
pub const SPANS: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(24 * 3_650);
/// How long hourly figures are kept at least unless something else is said.
const ROLLUPS: Duration = Duration::from_hours(24 * 90);
/// The least bound of a database's size: staging alone takes some of it.
const LEAST_BYTES: u64 = 64 * MIB;

/// Reads `metrics.storage`'s part of it.
pub(super) fn read(reader: &mut ConfigReader, database: Option<&Secret>) -> Retention {
    let raw = reader.duration("metrics.storage.retention_period", DAY * 7, SPANS);
    let raw = reader.env_days("METRICS_RETENTION_DAYS", raw, SPANS);
    let rollups = reader.duration("metrics.storage.rollup_retention_period", ROLLUPS.max(raw), SPANS);
    if rollups < raw {
        reader.problem(
            "metrics.storage.rollup_retention_period",
            format!(
                "{} is shorter than samples are kept, {}: make it as long at least, or retention_period (METRICS_RETENTION_DAYS) shorter",
                show_duration(rollups),
                show_duration(raw)
            ),
        );
    }
    let max_bytes = reader.bytes("metrics.storage.max_bytes", 0, 0..=u64::MAX);
    if (1..LEAST_BYTES).contains(&max_bytes) {
        reader.problem(
            "metrics.storage.max_bytes",
            "is too little; use 64 MiB or more, or 0 for no bound",
        );
    }
    let is_sqlite = database.is_none_or(|url| url.expose().starts_with("sqlite:"));
    if max_bytes > 0 && !is_sqlite {
        reader.problem(
            "metrics.storage.max_bytes",
            "is for SQLite alone, and the database is PostgreSQL: leave it out, and bound what is kept by the retention periods",
        );
    }
    Retention {
        raw,
        rollups,
        max_bytes: (max_bytes > 0).then_some(max_bytes),
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_runtime::config::{ConfigError, Env};

    use super::*;
    use crate::config::{Overrides, ServerConfig};

    fn read(storage: &str, env: &[(&str, &str)]) -> Result<Retention, ConfigError> {
        let yaml = format!("metrics: {{storage: {{{storage}}}}}");
        let reader = ConfigReader::parse("test.yaml", &yaml, Env::from_pairs(env));
        ServerConfig::read(reader, Overrides::default()).map(|config| config.retention)
    }

    fn days(retention: Retention) -> (u64, u64) {
        let days = |span: Duration| span.as_secs() / DAY.as_secs();
        (days(retention.raw), days(retention.rollups))
    }

    #[test]
    fn hourly_figures_are_kept_as_long_as_samples_at_least() {
        assert_eq!(days(read("", &[]).unwrap()), (7, 90));
        assert_eq!(days(read("retention_period: 200d", &[]).unwrap()), (200, 200));
        assert_eq!(
            days(read("", &[("METRICS_RETENTION_DAYS", "365")]).unwrap()),
            (365, 365)
        );
        let both = "retention_period: 2d, rollup_retention_period: 2d";
        assert_eq!(days(read(both, &[]).unwrap()), (2, 2));
        let problem = read("retention_period: 9d, rollup_retention_period: 8d", &[]).unwrap_err();
        assert!(
            problem.problems()[0].contains("rollup_retention_period: 8d is shorter"),
            "{problem}"
        );
    }

    #[test]
    fn a_bound_of_the_size_is_for_sqlite() {
        assert_eq!(read("", &[]).unwrap().max_bytes, None);
        assert_eq!(read("max_bytes: 0", &[]).unwrap().max_bytes, None);
        assert_eq!(read("max_bytes: 2 GiB", &[]).unwrap().max_bytes, Some(2 << 30));
        for (storage, env, word) in [
            ("max_bytes: 1 MiB", &[][..], "too little"),
            ("max_bytes: 2 GiB", &[("POSTGRES_HOST", "db")][..], "SQLite alone"),
        ] {
            let problem = read(storage, env).unwrap_err();
            assert!(problem.problems()[0].contains(word), "{problem}");
        }
    }
}
