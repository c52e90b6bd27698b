//! So much work on a captured tree, always the same: what `callgrind` counts the instructions of.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nodeglass_collect::{CollectConfig, Depth, Sampler};
use nodeglass_journal::{Journal, JournalConfig, Role, Sync};
use nodeglass_model::{Sample, UnixMillis};

use crate::motion::{self, Motion};

/// The captured tree has few processes; it is given as many as a small server has.
const PROCESSES: u32 = 100;
/// The process that they are copies of, and the first one's number.
const MODEL: &str = "9593";
const FIRST_PID: u32 = 20_000;

/// Samples that are made for the journal.
const SAMPLES: usize = 200;

/// Takes samples of a tree, light and full ones, and appends samples to a journal in memory.
pub(crate) fn run(tree: &Path, light: u32, full: u32, appends: usize) -> anyhow::Result<serde_json::Value> {
    let directory = tempfile::tempdir()?;
    let root = directory.path().join("root");
    copy(tree, &root).with_context(|| format!("copying {}", tree.display()))?;
    populate(&root.join("proc"))?;
    let mut sampler = Sampler::new(CollectConfig {
        host_root: root,
        // A program that is watched runs fifty times slower.
        deadline: Duration::from_secs(30),
        ..CollectConfig::default()
    })?;
    sampler.sample(UnixMillis(0), Depth::Full);
    let first = sampler.sample(UnixMillis(1), Depth::Full);
    let series = motion::values(&first);
    for time in 0..light {
        sampler.sample(UnixMillis(i64::from(time)), Depth::Light);
    }
    for time in 0..full {
        sampler.sample(UnixMillis(i64::from(time)), Depth::Full);
    }
    append(first, appends)?;
    Ok(serde_json::json!({ "series": series }))
}

/// Appends the first `count` of [`SAMPLES`] samples, of which each is made whether it is appended or not.
fn append(sample: Sample, count: usize) -> anyhow::Result<()> {
    ensure!(count <= SAMPLES, "APPENDS is {SAMPLES} at most");
    let at = Instant::now();
    let config = JournalConfig {
        directory: None,
        max_bytes: 64 << 20,
        max_memory_bytes: 64 << 20,
        max_age: Duration::from_hours(24),
        sync: Sync::Never,
    };
    let (journal, _) = Journal::open(config, UnixMillis(0), at);
    let mut moved = sample.clone();
    motion::step_each_third(&mut moved);
    // Only seconds like the second one are drawn: a third of the levels and counters moves each time.
    let mut motion = Motion::new(vec![(Depth::Light, sample), (Depth::Full, moved)]);
    let samples: Vec<_> = (0..SAMPLES)
        .map(|number| Arc::new(motion.next(UnixMillis(number as i64 * 1000), Depth::Full)))
        .collect();
    for sample in &samples[..count] {
        journal.append(sample, Role::Local, at);
    }
    Ok(())
}

/// Gives a tree its processes.
fn populate(proc: &Path) -> anyhow::Result<()> {
    let stat = fs::read_to_string(proc.join(MODEL).join("stat")).context("the process to copy")?;
    let rest = stat.strip_prefix(MODEL).context("its number")?;
    for pid in FIRST_PID..FIRST_PID + PROCESSES {
        let directory = proc.join(pid.to_string());
        copy(&proc.join(MODEL), &directory)?;
        fs::write(directory.join("stat"), format!("{pid}{rest}"))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let kind = from.symlink_metadata()?.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
