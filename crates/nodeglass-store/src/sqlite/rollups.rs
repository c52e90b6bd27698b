//! Hourly rollups, the dictionary of series, and the newest sample of each agent. Arrays are JSON, which SQL can unnest.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use nodeglass_chunk::row::Scanner;
use nodeglass_model::{TimeRange, UnixMillis};
use sqlx::{Row as _, SqliteConnection};

use super::Sqlite;
use super::transaction::Transaction;
use crate::AgentKey;
use crate::latest;
use crate::rollup::{self, Numbers, Row, place_of, series_name};
use crate::tiers::{HourFigures, HoursVersion, LatestSample, RollupChange, RollupPoint, Rollups, SeriesName};

/// Numbers as a JSON array.
fn array<T: Display>(values: &[T]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(","))
}

/// The elements of a JSON array of numbers.
fn elements(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    inner.split(',').filter(|element| !element.is_empty())
}

/// A number of a JSON array.
fn number<T: FromStr>(element: &str) -> Result<T, sqlx::Error> {
    let wrong = || sqlx::Error::Decode("an array of a rollup that holds no numbers".into());
    element.parse().map_err(|_| wrong())
}

fn numbers_of<T: FromStr>(text: &str) -> Result<Vec<T>, sqlx::Error> {
    elements(text).map(number).collect()
}

/// The number at a place of a JSON array; `None` if it is shorter.
fn at<T: FromStr>(text: &str, place: usize) -> Result<Option<T>, sqlx::Error> {
    elements(text).nth(place).map(number).transpose()
}

async fn numbers(connection: &mut SqliteConnection, agent: AgentKey) -> Result<Numbers, sqlx::Error> {
    let rows = sqlx::query(include_str!("series.sql"))
        .bind(agent.0)
        .fetch_all(connection)
        .await?;
    let known = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, series_name(row.try_get(1)?, row.try_get(2)?))))
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    Ok(Numbers::new(known.into_iter()))
}

async fn save_added(
    connection: &mut SqliteConnection,
    agent: AgentKey,
    numbers: &Numbers,
) -> Result<(), sqlx::Error> {
    for (id, name) in numbers.added() {
        sqlx::query(include_str!("add_series.sql"))
            .bind(agent.0)
            .bind(id)
            .bind(name.metric.0)
            .bind(name.device.as_deref().unwrap_or_default())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Changes the rollups of an agent.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    agent: AgentKey,
    change: &dyn RollupChange,
) -> Result<(), sqlx::Error> {
    let hours = rollup::starts(&change.hours());
    if hours.is_empty() {
        return Ok(());
    }
    let mut numbers = numbers(connection, agent).await?;
    let mut rows = BTreeMap::new();
    for hour in hours {
        let found = sqlx::query(include_str!("rollup_hour.sql"))
            .bind(agent.0)
            .bind(hour)
            .fetch_all(&mut *connection)
            .await?;
        for row in found {
            let block: i32 = row.try_get(0)?;
            let row = Row {
                count: numbers_of(row.try_get(1)?)?,
                mean: numbers_of(row.try_get(2)?)?,
                min: numbers_of(row.try_get(3)?)?,
                max: numbers_of(row.try_get(4)?)?,
            };
            rows.insert((hour, block), row);
        }
    }
    let changed = rollup::changed(rows, &mut numbers, change);
    save_added(connection, agent, &numbers).await?;
    for ((hour, block), row) in &changed {
        sqlx::query(include_str!("put_rollup.sql"))
            .bind(agent.0)
            .bind(block)
            .bind(hour)
            .bind(array(&row.count))
            .bind(array(&row.mean))
            .bind(array(&row.min))
            .bind(array(&row.max))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl Sqlite {
    pub(crate) async fn read_rollups(
        &self,
        agent: AgentKey,
        range: TimeRange,
        series: &[SeriesName],
        _: HourFigures,
    ) -> Result<Rollups, sqlx::Error> {
        let mut transaction = Transaction::read(&self.reader).await?;
        let version: Option<i64> = sqlx::query_scalar(include_str!("rollup_version.sql"))
            .bind(agent.0)
            .fetch_optional(&mut *transaction)
            .await?;
        let mut rollups = Rollups {
            version: HoursVersion(version.unwrap_or_default()),
            series: vec![Vec::new(); series.len()],
        };
        for (name, points) in series.iter().zip(&mut rollups.series) {
            let id: Option<i32> = sqlx::query_scalar(include_str!("series_number.sql"))
                .bind(agent.0)
                .bind(name.metric.0)
                .bind(name.device.as_deref().unwrap_or_default())
                .fetch_optional(&mut *transaction)
                .await?;
            let Some((block, place)) = id.map(place_of) else {
                continue;
            };
            let rows = sqlx::query(include_str!("rollups.sql"))
                .bind(agent.0)
                .bind(block)
                .bind(range.start.0)
                .bind(range.end.0)
                .fetch_all(&mut *transaction)
                .await?;
            for row in &rows {
                let count = at(row.try_get(1)?, place)?.filter(|count| *count > 0);
                let mean = at(row.try_get(2)?, place)?;
                let (min, max) = (at(row.try_get(3)?, place)?, at(row.try_get(4)?, place)?);
                let (Some(count), Some(mean), Some(min), Some(max)) = (count, mean, min, max) else {
                    continue;
                };
                points.push(RollupPoint {
                    hour: UnixMillis(row.try_get(0)?),
                    summary: rollup::summary(count, mean, min, max),
                });
            }
        }
        transaction.commit().await?;
        Ok(rollups)
    }

    pub(crate) async fn keep_latest(&self, samples: &[LatestSample]) -> Result<(), sqlx::Error> {
        let mut transaction = Transaction::write(&self.writer).await?;
        let mut new = Vec::new();
        let mut scanner = Scanner::new();
        for one in samples {
            let (mut series, mut values) = (None, None);
            let figures = self.latest_series.figures(&mut scanner, one);
            if !figures.values.is_empty() {
                let numbered = if let Some(known) = self.latest_series.find(one.agent, &figures) {
                    known
                } else {
                    let names = latest::names(&mut scanner, one);
                    let mut numbers = numbers(&mut transaction, one.agent).await?;
                    let ids = names.iter().map(|name| numbers.of(name)).collect();
                    save_added(&mut transaction, one.agent, &numbers).await?;
                    let numbered = figures.numbered(ids);
                    new.push((one.agent, numbered.clone()));
                    numbered
                };
                series = Some(array(&numbered.ids));
                values = Some(array(&figures.values));
            }
            sqlx::query(include_str!("save_latest.sql"))
                .bind(one.agent.0)
                .bind(one.timestamp.0)
                .bind(one.id.epoch as i64)
                .bind(one.id.seq as i64)
                .bind(&one.payload[..])
                .bind(series)
                .bind(values)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        self.latest_series.keep(new);
        Ok(())
    }
}
