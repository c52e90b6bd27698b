//! Hourly rollups, the dictionary of series, and the newest sample of each agent.

use std::collections::BTreeMap;

use nodeglass_chunk::row::Scanner;
use nodeglass_model::{TimeRange, UnixMillis};
use sqlx::Row as _;

use super::Postgres;
use super::session::Statements;
use crate::AgentKey;
use crate::latest;
use crate::rollup::{self, Numbers, Row, series_name};
use crate::tiers::{
    HourFigures, HoursVersion, LatestSample, RollupChange, RollupPoint, Rollups, SeriesName, Summary,
};

/// The numbers of an agent's series.
async fn numbers(statements: &mut Statements, agent: AgentKey) -> Result<Numbers, sqlx::Error> {
    let rows = sqlx::query(include_str!("series_blocks.sql"))
        .bind(agent.0)
        .fetch_all(statements)
        .await?;
    let mut known = Vec::new();
    for row in rows {
        let (block, metrics, devices): (i32, Vec<i16>, Vec<String>) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let names = metrics.into_iter().zip(devices);
        let first = block * rollup::BLOCK;
        known.extend((first..).zip(names.map(|(metric, device)| series_name(metric, device))));
    }
    Ok(Numbers::new(known.into_iter()))
}

/// Adds names behind those that are there, in a transaction that has locked the agent.
async fn save_added(
    statements: &mut Statements,
    agent: AgentKey,
    numbers: &Numbers,
) -> Result<(), sqlx::Error> {
    let added = numbers.added();
    if added.is_empty() {
        return Ok(());
    }
    let ids: Vec<i32> = added.iter().map(|(id, _)| *id).collect();
    let metrics: Vec<i16> = added.iter().map(|(_, name)| name.metric.0 as i16).collect();
    let devices: Vec<&str> = (added.iter())
        .map(|(_, name)| name.device.as_deref().unwrap_or_default())
        .collect();
    sqlx::query(include_str!("add_series.sql"))
        .bind(agent.0)
        .bind(ids)
        .bind(metrics)
        .bind(devices)
        .bind(rollup::BLOCK)
        .execute(statements)
        .await
        .map(drop)
}

/// Changes the rollups of an agent, which the transaction has locked.
pub(super) async fn change(
    statements: &mut Statements,
    agent: AgentKey,
    hours: &[UnixMillis],
    change: &dyn RollupChange,
) -> Result<(), sqlx::Error> {
    if hours.is_empty() {
        return Ok(());
    }
    let mut numbers = numbers(statements, agent).await?;
    let rows = sqlx::query(include_str!("rollup_hours.sql"))
        .bind(agent.0)
        .bind(rollup::starts(hours))
        .fetch_all(&mut *statements)
        .await?;
    let rows = rows
        .iter()
        .map(|row| {
            let (block, hour): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
            let row = Row {
                count: row.try_get(2)?,
                mean: row.try_get(3)?,
                min: row.try_get(4)?,
                max: row.try_get(5)?,
            };
            Ok(((hour, block), row))
        })
        .collect::<Result<BTreeMap<_, _>, sqlx::Error>>()?;
    let changed = rollup::changed(rows, &mut numbers, change);
    save_added(statements, agent, &numbers).await?;
    for ((hour, block), row) in &changed {
        sqlx::query(include_str!("put_rollup.sql"))
            .bind(agent.0)
            .bind(block)
            .bind(hour)
            .bind(&row.count)
            .bind(&row.mean)
            .bind(&row.min)
            .bind(&row.max)
            .execute(&mut *statements)
            .await?;
    }
    Ok(())
}

/// The numbers of series; those that have none get one.
async fn number(
    statements: &mut Statements,
    agent: AgentKey,
    series: &[SeriesName],
) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query(include_str!("lock_agent.sql"))
        .bind(agent.0)
        .execute(&mut *statements)
        .await?;
    let mut numbers = numbers(statements, agent).await?;
    let ids = series.iter().map(|name| numbers.of(name)).collect();
    save_added(statements, agent, &numbers).await?;
    Ok(ids)
}

impl Postgres {
    pub(crate) async fn read_rollups(
        &self,
        agent: AgentKey,
        range: TimeRange,
        series: &[SeriesName],
        figures: HourFigures,
    ) -> Result<Rollups, sqlx::Error> {
        let metrics: Vec<i16> = series.iter().map(|name| name.metric.0 as i16).collect();
        let devices: Vec<&str> = (series.iter())
            .map(|name| name.device.as_deref().unwrap_or_default())
            .collect();
        let rows = sqlx::query(include_str!("rollups.sql"))
            .bind(agent.0)
            .bind(metrics)
            .bind(devices)
            .bind(range.start.0)
            .bind(range.end.0)
            .bind(figures == HourFigures::All)
            .fetch_all(&self.reader)
            .await?;
        let mut rollups = Rollups {
            version: HoursVersion::default(),
            series: vec![Vec::new(); series.len()],
        };
        for row in &rows {
            let number: i64 = row.try_get(0)?;
            let hours: Vec<i64> = row.try_get(1)?;
            if number == 0 {
                rollups.version = HoursVersion(hours.first().copied().unwrap_or_default());
                continue;
            }
            // A row that is older than the series has no place for it.
            let counts: Vec<Option<i32>> = row.try_get(2)?;
            let means: Vec<Option<f64>> = row.try_get(3)?;
            let lowest: Option<Vec<Option<f32>>> = row.try_get(4)?;
            let highest: Option<Vec<Option<f32>>> = row.try_get(5)?;
            let points = &mut rollups.series[number as usize - 1];
            for (place, hour) in hours.into_iter().enumerate() {
                let (Some(count), Some(mean)) = (counts[place].filter(|count| *count > 0), means[place])
                else {
                    continue;
                };
                let bound = |of: &Option<Vec<Option<f32>>>| of.as_ref().and_then(|bounds| bounds[place]);
                points.push(RollupPoint {
                    hour: UnixMillis(hour),
                    summary: match (bound(&lowest), bound(&highest)) {
                        (Some(min), Some(max)) => rollup::summary(count, mean, min, max),
                        _ => Summary::of_mean(count as u32, mean),
                    },
                });
            }
            points.sort_unstable_by_key(|point| point.hour);
        }
        Ok(rollups)
    }

    pub(crate) async fn keep_latest(&self, samples: &[LatestSample]) -> Result<(), sqlx::Error> {
        // In the order of agents: several servers wait for each other, and not in a circle.
        let mut samples: Vec<&LatestSample> = samples.iter().collect();
        samples.sort_by_key(|one| one.agent);
        let column = |of: fn(&LatestSample) -> i64| samples.iter().map(|one| of(one)).collect::<Vec<i64>>();
        let payloads: Vec<&[u8]> = samples.iter().map(|one| one.payload.as_slice()).collect();
        let mut transaction = self.worker.begin().await?;
        // The series and values of all in one array each, with where those of one sample begin and end.
        let (mut series, mut values) = (Vec::new(), Vec::new());
        let (mut first, mut last) = (Vec::new(), Vec::new());
        let mut new = Vec::new();
        let mut scanner = Scanner::new();
        for one in &samples {
            first.push(series.len() as i32 + 1);
            let figures = self.latest_series.figures(&mut scanner, one);
            if !figures.values.is_empty() {
                let numbered = if let Some(known) = self.latest_series.find(one.agent, &figures) {
                    known
                } else {
                    let names = latest::names(&mut scanner, one);
                    let numbered = figures.numbered(number(&mut transaction, one.agent, &names).await?);
                    new.push((one.agent, numbered.clone()));
                    numbered
                };
                series.extend_from_slice(&numbered.ids);
                values.extend_from_slice(&figures.values);
            }
            last.push(series.len() as i32);
        }
        sqlx::query(include_str!("save_latest.sql"))
            .bind(samples.iter().map(|one| one.agent.0).collect::<Vec<i32>>())
            .bind(column(|one| one.timestamp.0))
            .bind(column(|one| one.id.epoch as i64))
            .bind(column(|one| one.id.seq as i64))
            .bind(payloads)
            .bind(series)
            .bind(values)
            .bind(first)
            .bind(last)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.latest_series.keep(new);
        Ok(())
    }
}
