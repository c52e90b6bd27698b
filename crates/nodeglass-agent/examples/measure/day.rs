//! A day of the journal: one second after another of what this host did while it was recorded, and what lies on the disk
//! in the end.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nodeglass_collect::{CollectConfig, Depth, Sampler};
use nodeglass_journal::{Journal, JournalConfig, Role, Sync};
use nodeglass_model::window::Window;
use nodeglass_model::{Clock, Sample, SeqRange, SystemClock, UnixMillis};

use crate::motion::{self, Motion};

const SECONDS_OF_A_DAY: u32 = 86_400;
/// The server is owed the mean of so many seconds, and that many seconds are from one full sample to the next.
const FULL_EACH: u32 = 5;
/// How long the journal may take to pack a segment.
const PACKING: Duration = Duration::from_mins(1);

/// Records this host for so many seconds, waits for the end of the input, and plays a day.
pub(crate) fn play(seconds: u32) -> anyhow::Result<serde_json::Value> {
    let mut motion = Motion::new(record(seconds)?);
    io::stdin().read_to_end(&mut Vec::new())?;

    let directory = tempfile::tempdir()?;
    let config = JournalConfig {
        directory: Some(directory.path().to_owned()),
        // A journal that outgrew its room would look small.
        max_bytes: u64::MAX / 2,
        max_memory_bytes: 8 << 20,
        max_age: Duration::from_hours(24),
        // What is measured is size: a day of syncs would take long and change none of it.
        sync: Sync::Never,
    };
    let (start, began) = (SystemClock.now(), Instant::now());
    let (journal, _) = Journal::open(config, start, began);
    let mut window = Window::default();
    let (mut local_values, mut owed_values, mut series) = (0, 0, 0);
    for second in 0..SECONDS_OF_A_DAY {
        let at = began + Duration::from_secs(1) * second;
        let time = UnixMillis(start.0 + i64::from(second) * 1000);
        let is_full = second % FULL_EACH == 0;
        let depth = if is_full { Depth::Full } else { Depth::Light };
        let sample = Arc::new(motion.next(time, depth));
        let values = motion::values(&sample);
        local_values += values;
        if is_full {
            series = values;
        }
        journal.append(&sample, Role::Local, at);
        window.add(Sample::clone(&sample));
        if is_full && let Some(mean) = std::mem::take(&mut window).finish() {
            owed_values += motion::values(&mean);
            let id = journal.append(&Arc::new(mean), Role::Owed, at);
            let id = id.context("the journal refused a sample")?;
            journal.acknowledge(&[SeqRange {
                epoch: id.epoch,
                first: id.seq,
                last: id.seq,
            }]);
        }
        wait_for_packing(&journal)?;
    }
    let standing = journal.standing();
    ensure!(standing.disk_error.is_none(), "the journal's disk: {standing:?}");
    ensure!(standing.memory_bytes == 0, "a part of the journal is in memory");
    Ok(serde_json::json!({
        "disk_bytes": standing.disk_bytes,
        "series": series,
        "local_values": local_values,
        "owed_values": owed_values,
    }))
}

/// This host second by second, as an agent reads it.
fn record(seconds: u32) -> anyhow::Result<Vec<(Depth, Sample)>> {
    let mut sampler = Sampler::new(CollectConfig::default())?;
    // Rates need a reading before.
    sampler.sample(SystemClock.now(), Depth::Full);
    let began = Instant::now();
    let mut recorded = Vec::new();
    for second in 1..=seconds.max(FULL_EACH) {
        let due = began + Duration::from_secs(1) * second;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let depth = if second.is_multiple_of(FULL_EACH) {
            Depth::Full
        } else {
            Depth::Light
        };
        recorded.push((depth, sampler.sample(SystemClock.now(), depth)));
    }
    Ok(recorded)
}

/// A day takes a minute here, and the journal's thread packs behind it.
fn wait_for_packing(journal: &Journal) -> anyhow::Result<()> {
    let until = Instant::now() + PACKING;
    while journal.unpacked() > 0 {
        ensure!(Instant::now() < until, "the journal packs no more");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
