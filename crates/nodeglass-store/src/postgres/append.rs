//! Storing groups of samples in the open slot of staging.
//!
//! A group of new samples is one `copy`, which costs a third of an `insert` that looks for conflicts, and fails as a whole
//! if one of them is there already. Then, and for a moment after, groups are inserted with an eye on each sample. The
//! ledger is not touched: staged rows carry their weight, and are counted where they lie until compaction has counted
//! them. Only duplicates, which are rare, are written down at once.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodeglass_model::UnixMillis;
use sqlx::{AssertSqlSafe, Row};
use tokio::time::Instant;

use super::session::{Statements, Transaction};
use super::{PLACES, Postgres};
use crate::StagedSample;

/// How much wider than its samples a slot's span is kept, so that few appends have to change it.
const SPAN_STEP_MS: i64 = 60_000;

/// How long groups are inserted with care after one had a sample that was there already: who sends one sample again
/// sends others again, and each group that fails leaves a line in the server's log.
const CARE: Duration = Duration::from_secs(1);

/// When a sample last came again.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<Option<Instant>>);

impl Repeats {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn are_likely(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < CARE)
    }
}

/// Statements that name the table of a place.
#[derive(Debug)]
pub(super) struct PlaceStatements {
    append_copied: String,
    append_counted: String,
    append_known: String,
    pub(super) rows: String,
    pub(super) truncate: String,
}

impl PlaceStatements {
    pub(super) fn all() -> [Self; PLACES] {
        std::array::from_fn(|place| {
            let of = |template: &str| template.replace("$place", &place.to_string());
            Self {
                append_copied: of(include_str!("append_copied.sql")),
                append_counted: of(include_str!("append_counted.sql")),
                append_known: of(include_str!("append_known.sql")),
                rows: of(include_str!("slot_rows.sql")),
                truncate: of("truncate staging_$place"),
            }
        })
    }
}

/// A group's samples as columns, in the order of the key: writers that meet on the same samples meet in one order.
#[derive(Default)]
struct Columns<'a> {
    agents: Vec<i32>,
    timestamps: Vec<i64>,
    epochs: Vec<i64>,
    seqs: Vec<i64>,
    payloads: Vec<&'a [u8]>,
    weights: Vec<i32>,
}

impl<'a> Columns<'a> {
    fn of(samples: &[&'a StagedSample]) -> Self {
        let mut columns = Self::default();
        for sample in samples {
            columns.agents.push(sample.agent.0);
            columns.timestamps.push(sample.timestamp.0);
            columns.epochs.push(sample.id.epoch as i64);
            columns.seqs.push(sample.id.seq as i64);
            columns.payloads.push(&sample.payload);
            columns.weights.push(sample.weight as i32);
        }
        columns
    }
}

/// The rows of a group in PostgreSQL's binary format for `copy`.
fn rows(place: usize, group: &[&StagedSample]) -> Vec<u8> {
    const BEGIN: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
    const END: [u8; 2] = (-1_i16).to_be_bytes();
    const COLUMNS: [u8; 2] = 7_i16.to_be_bytes();
    /// What a row takes besides its payload.
    const ROW: usize = 2 + 7 * 4 + 2 + 4 + 3 * 8 + 4;
    let payloads: usize = group.iter().map(|sample| sample.payload.len()).sum();
    let mut rows = Vec::with_capacity(BEGIN.len() + group.len() * ROW + payloads + END.len());
    rows.extend_from_slice(BEGIN);
    let put = |rows: &mut Vec<u8>, value: &[u8]| {
        rows.extend_from_slice(&(value.len() as i32).to_be_bytes());
        rows.extend_from_slice(value);
    };
    for sample in group {
        rows.extend_from_slice(&COLUMNS);
        put(&mut rows, &(place as i16).to_be_bytes());
        put(&mut rows, &sample.agent.0.to_be_bytes());
        put(&mut rows, &sample.timestamp.0.to_be_bytes());
        put(&mut rows, &(sample.id.epoch as i64).to_be_bytes());
        put(&mut rows, &(sample.id.seq as i64).to_be_bytes());
        put(&mut rows, &(sample.weight as i32).to_be_bytes());
        put(&mut rows, &sample.payload);
    }
    rows.extend_from_slice(&END);
    rows
}

/// Whether a row is there already.
fn is_repeated(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// A slot that may have samples of a group.
struct Slot {
    id: i64,
    place: usize,
    is_open: bool,
    min: i64,
    max: i64,
}

impl Postgres {
    /// Stores a group in one transaction; says how many samples were new, by weight.
    pub(crate) async fn append_group(&self, samples: &[StagedSample]) -> Result<u64, sqlx::Error> {
        if samples.is_empty() {
            return Ok(0);
        }
        let mut group: Vec<&StagedSample> = samples.iter().collect();
        group.sort_by_key(|sample| (sample.agent, sample.position(), Reverse(sample.weight)));
        if !self.repeats.are_likely()
            && let Some(stored) = self.append_new(&group).await?
        {
            return Ok(stored);
        }
        self.append_counted(&group).await
    }

    /// Begins a transaction in which no slot is closed before it ends.
    async fn begin_append(&self) -> Result<Transaction, sqlx::Error> {
        self.writer
            .begin_with(include_str!("lock_slots_shared.sql"))
            .await
    }

    /// Stores a group of which every sample is new; `None`, and nothing done, if one is not.
    async fn append_new(&self, group: &[&StagedSample]) -> Result<Option<u64>, sqlx::Error> {
        let mut transaction = self.begin_append().await?;
        let (open, closed) = slots_for(&mut transaction, group).await?;
        if !self.known_in(&mut transaction, &closed, group).await?.is_empty() {
            transaction.rollback().await?;
            return Ok(None);
        }
        let statement = &self.places[open.place].append_copied;
        match transaction.copy_in(statement, rows(open.place, group)).await {
            Err(error) if is_repeated(&error) => {
                transaction.rollback().await?;
                return Ok(None);
            }
            other => other?,
        };
        transaction.commit().await?;
        Ok(Some(group.iter().map(|sample| u64::from(sample.weight)).sum()))
    }

    /// Stores what is new of a group, and counts the rest as duplicates.
    async fn append_counted(&self, group: &[&StagedSample]) -> Result<u64, sqlx::Error> {
        let mut transaction = self.begin_append().await?;
        let (open, closed) = slots_for(&mut transaction, group).await?;
        let known = self.known_in(&mut transaction, &closed, group).await?;
        let mut duplicate: BTreeMap<i32, i64> = BTreeMap::new();
        for sample in group {
            *duplicate.entry(sample.agent.0).or_default() += i64::from(sample.weight);
        }
        let unknown: Vec<&StagedSample> = (group.iter().enumerate())
            .filter(|(index, _)| !known.contains(index))
            .map(|(_, sample)| *sample)
            .collect();
        let columns = Columns::of(&unknown);
        let inserted = sqlx::query(AssertSqlSafe(self.places[open.place].append_counted.as_str()))
            .bind(&columns.agents)
            .bind(&columns.timestamps)
            .bind(&columns.epochs)
            .bind(&columns.seqs)
            .bind(&columns.payloads)
            .bind(&columns.weights)
            .fetch_all(&mut *transaction)
            .await?;
        let mut stored = 0;
        for row in inserted {
            let (agent, weight): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
            stored += weight;
            if let Some(duplicate) = duplicate.get_mut(&agent) {
                *duplicate -= weight;
            }
        }
        duplicate.retain(|_, weight| *weight > 0);
        if !duplicate.is_empty() {
            self.repeats.note();
            let (agents, weights): (Vec<i32>, Vec<i64>) = duplicate.into_iter().unzip();
            sqlx::query(include_str!("append_duplicates.sql"))
                .bind(agents)
                .bind(weights)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(stored as u64)
    }

    /// Which samples of a group are in slots that were closed, as indices.
    async fn known_in(
        &self,
        statements: &mut Statements,
        closed: &[Slot],
        group: &[&StagedSample],
    ) -> Result<Vec<usize>, sqlx::Error> {
        let mut known = Vec::new();
        for slot in closed {
            let within: Vec<(usize, &StagedSample)> = (group.iter().enumerate())
                .filter(|(_, sample)| (slot.min..=slot.max).contains(&sample.timestamp.0))
                .map(|(index, sample)| (index, *sample))
                .collect();
            if within.is_empty() {
                continue;
            }
            let samples: Vec<&StagedSample> = within.iter().map(|(_, sample)| *sample).collect();
            let columns = Columns::of(&samples);
            let rows = sqlx::query(AssertSqlSafe(self.places[slot.place].append_known.as_str()))
                .bind(columns.agents)
                .bind(columns.timestamps)
                .bind(columns.epochs)
                .bind(columns.seqs)
                .fetch_all(&mut *statements)
                .await?;
            for row in rows {
                let number: i64 = row.try_get(0)?;
                known.push(within[number as usize - 1].0);
            }
        }
        known.sort_unstable();
        Ok(known)
    }
}

/// The open slot, whose span holds the group once the transaction ends, and those closed ones that may have some of its samples. The
/// transaction is one that keeps slots as they are.
async fn slots_for(
    statements: &mut Statements,
    group: &[&StagedSample],
) -> Result<(Slot, Vec<Slot>), sqlx::Error> {
    let rows = sqlx::query(include_str!("slots_for_append.sql"))
        .fetch_all(&mut *statements)
        .await?;
    let (mut open, mut closed) = (None, Vec::new());
    for row in rows {
        let slot = Slot {
            id: row.try_get(0)?,
            place: row.try_get::<i16, _>(1)? as usize % PLACES,
            is_open: row.try_get(2)?,
            min: row.try_get(3)?,
            max: row.try_get(4)?,
        };
        if slot.is_open {
            open = Some(slot);
        } else {
            closed.push(slot);
        }
    }
    let open = open.ok_or(sqlx::Error::RowNotFound)?;
    let times = || group.iter().map(|sample| sample.timestamp);
    let earliest = times().min().unwrap_or_default();
    let latest = times().max().unwrap_or_default();
    if earliest.0 < open.min || latest.0 > open.max {
        sqlx::query(include_str!("widen_slot.sql"))
            .bind(open.id)
            .bind(rounded_down(earliest))
            .bind(rounded_down(latest).saturating_add(SPAN_STEP_MS))
            .execute(statements)
            .await?;
    }
    Ok((open, closed))
}

fn rounded_down(at: UnixMillis) -> i64 {
    at.0.div_euclid(SPAN_STEP_MS).saturating_mul(SPAN_STEP_MS)
}
