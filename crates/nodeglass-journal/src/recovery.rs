//! Opening a journal: reads what is there, cuts a torn end, puts damaged files aside, and finds out what is owed.

mod standing;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nodeglass_chunk::chunk::Chunk;
use nodeglass_model::{SampleId, TimeRange, UnixMillis};
use tracing::{info, warn};

use crate::JournalConfig;
use crate::books::{Books, Gap, Reason};
use crate::frame::Frames;
use crate::ids::IdSet;
use crate::record::{self, Record, Start};
use crate::segment::{Index, Place, Segment, number_of};

/// Damaged files that are kept for whoever wants to look at them; older ones go.
const KEPT_DAMAGED: usize = 4;

/// What opening a journal found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments that were there.
    pub segments: usize,
    /// Samples that the server is owed.
    pub owed: u64,
    /// Bytes that were cut off a torn end: a record that was being written when everything stopped.
    pub cut_bytes: u64,
    /// Files that were damaged; they lie beside the others with the ending `.damaged`.
    pub damaged: usize,
    /// Samples that were owed and lay in the damage.
    pub lost: u64,
    /// Why the directory can't be used; the journal is in memory until it can.
    pub error: Option<String>,
}

/// What the journal goes on with.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) next_number: u64,
    /// The highest epoch so far.
    pub(crate) epoch: u64,
    pub(crate) owed: IdSet,
    pub(crate) books: Books,
    /// Keeps other agents out of the directory.
    pub(crate) lock: Option<File>,
}

/// One file, read.
struct Found {
    segment: Segment,
    start: Start,
    /// What was promised in it and what the server said, in the order of the records.
    events: Vec<Event>,
}

enum Event {
    Owed(SampleId),
    Local,
    Words(record::Words),
    /// An owed sample behind damage: it can't be read, since what it differs from is gone.
    Lost(UnixMillis),
}

pub(crate) fn recover(config: &JournalConfig, now: UnixMillis, at: Instant) -> (State, Recovery) {
    let mut recovery = Recovery::default();
    let mut state = State::default();
    let Some(directory) = &config.directory else {
        return (state, recovery);
    };
    let (files, lock) = match files(directory) {
        Ok(files) => files,
        Err(error) => {
            warn!(%error, "the journal's directory can't be used; samples are kept in memory until it can");
            recovery.error = Some(error.to_string());
            return (state, recovery);
        }
    };
    state.lock = Some(lock);
    state.next_number = files.keys().next_back().map_or(1, |last| last + 1);
    let mut found = BTreeMap::new();
    for (number, path) in files {
        let is_last = number + 1 == state.next_number;
        let age = |span| closed(span, now, at, config);
        if let Some(one) = read(number, &path, is_last, age, &mut recovery) {
            found.insert(number, one);
        }
    }
    recovery.segments = found.len();
    let (owed, mut books, epoch) = standing::standing(&found, &mut recovery);
    books.damaged_segments += recovery.damaged as u64;
    let newest = found
        .values()
        .filter_map(|one| one.segment.index.span)
        .map(|span| span.end)
        .max();
    if let Some(from) = newest.filter(|newest| *newest < now) {
        books.note(Gap {
            reason: Reason::NotRunning,
            from,
            to: now,
            samples: 0,
        });
    }
    recovery.owed = owed.count();
    if recovery.segments > 0 || recovery.damaged > 0 {
        info!(?recovery, "the journal was opened");
    }
    state.segments = found.into_values().map(|one| one.segment).collect();
    state.epoch = epoch;
    state.owed = owed;
    state.books = books;
    (state, recovery)
}

/// The segments of a directory, which is made if it is not there, and a hold of it. What a crash left half done is removed.
fn files(directory: &Path) -> io::Result<(BTreeMap<u64, PathBuf>, File)> {
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(directory)?;
    let path = directory.join("lock");
    drop(private().open(&path)?);
    // Not open for writing, which would keep the disk from being made read-only.
    let lock = File::open(path)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another agent writes to it"),
        TryLockError::Error(error) => error,
    })?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(number) = number_of(&path) {
            files.insert(number, path);
        } else if path.extension().is_some_and(|ending| ending == "new") {
            let _ = fs::remove_file(path);
        }
    }
    Ok((files, lock))
}

/// A file that only its owner can read; made if it is not there.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

/// Reads one file; `None` if nothing in it is of use.
fn read(
    number: u64,
    path: &Path,
    is_last: bool,
    closed: impl Fn(Option<TimeRange>) -> Instant,
    recovery: &mut Recovery,
) -> Option<Found> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            warn!(path = %path.display(), %error, "a segment of the journal can't be read");
            recovery.damaged += 1;
            return None;
        }
    };
    let mut frames = Frames::new(&bytes);
    let mut found = take_records(number, path, &mut frames);
    let good = frames.offset();
    if good == bytes.len() && found.is_some() {
        let one = found.as_mut()?;
        one.segment.len = good as u64;
        one.segment.closed = Some(closed(one.segment.index.span));
        return found;
    }
    // Something is wrong. At the end of the file that was written last it is a record that was not finished.
    // One without anything was being made.
    let is_unborn = is_last && bytes.iter().all(|byte| *byte == 0);
    if is_unborn {
        let _ = fs::remove_file(path);
        recovery.cut_bytes += bytes.len() as u64;
        return None;
    }
    let is_damage = found.is_none() || !is_last || frames.skip_damage();
    if is_damage
        && is_last
        && let Some(one) = &mut found
    {
        one.lose_what_follows(&mut frames);
    }
    if is_damage {
        set_aside(path, recovery);
    } else {
        recovery.cut_bytes += (bytes.len() - good) as u64;
    }
    let mut one = found?;
    let whole = &bytes[..good];
    if is_damage {
        if let Err(error) = private().open(path).and_then(|file| file.write_all_at(whole, 0)) {
            warn!(path = %path.display(), %error, "what is readable of a damaged segment can't be kept on disk");
            one.segment.place = Place::Memory(whole.to_vec());
        }
    } else if let Err(error) = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(good as u64))
    {
        warn!(path = %path.display(), %error, "a torn end can't be cut off");
        one.segment.place = Place::Memory(whole.to_vec());
    }
    one.segment.len = good as u64;
    one.segment.closed = Some(closed(one.segment.index.span));
    Some(one)
}

impl Found {
    /// Notes the owed samples behind damage, whose heads can still be read.
    fn lose_what_follows(&mut self, frames: &mut Frames<'_>) {
        loop {
            for frame in frames.by_ref() {
                if let Ok(Some(Record::Sample { role, time, .. })) = record::read(frame)
                    && role.is_owed()
                {
                    let at = UnixMillis(self.start.time.saturating_add(time));
                    self.events.push(Event::Lost(at));
                }
            }
            if !frames.skip_damage() {
                return;
            }
        }
    }
}

/// When a segment of an earlier life counts as closed: as long ago as the wall clock says now. Later steps of that clock
/// do not age it.
fn closed(span: Option<TimeRange>, now: UnixMillis, at: Instant, config: &JournalConfig) -> Instant {
    let age = span.map_or(config.max_age, |span| now.since(span.end).min(config.max_age));
    at.checked_sub(age).unwrap_or(at)
}

/// Takes the records up to the first that is wrong; `None` if there is no beginning.
fn take_records(number: u64, path: &Path, frames: &mut Frames<'_>) -> Option<Found> {
    let Ok(Some(Record::Start(start))) = record::read(frames.next()?) else {
        return None;
    };
    let mut events = Vec::new();
    let mut index = Index::default();
    loop {
        let before = frames.offset();
        let Some(frame) = frames.next() else { break };
        let taken = match record::read(frame) {
            Ok(Some(Record::Sample { role, time, seq, .. })) => {
                let id = SampleId {
                    epoch: start.epoch,
                    seq,
                };
                index.add(
                    UnixMillis(start.time.saturating_add(time)),
                    role.is_owed().then_some(id),
                );
                events.push(if role.is_owed() {
                    Event::Owed(id)
                } else {
                    Event::Local
                });
                if role.is_owed() && role.is_local() {
                    events.push(Event::Local);
                }
                Ok(())
            }
            Ok(Some(Record::Words(words))) => {
                events.push(Event::Words(words));
                Ok(())
            }
            Ok(Some(Record::Chunk { role, chunk })) => Chunk::open(chunk)
                .map(|chunk| {
                    index.packed = true;
                    index.samples += chunk.len() as u64;
                    if let Some(span) = chunk.time_range() {
                        index.reach(TimeRange {
                            start: span.start,
                            end: UnixMillis(span.end.0 - 1),
                        });
                    }
                    if role.is_owed() {
                        index
                            .owed
                            .extend(nodeglass_model::contiguous(chunk.ids().collect()));
                    }
                })
                .map_err(|_| ()),
            Ok(Some(Record::Start(_))) | Err(_) => Err(()),
            Ok(None) => Ok(()),
        };
        if taken.is_err() {
            frames.back_to(before);
            break;
        }
    }
    let segment = Segment {
        number,
        place: Place::Disk(path.to_owned(), None),
        len: 0,
        index,
        closed: None,
    };
    Some(Found {
        segment,
        start: *start,
        events,
    })
}

fn set_aside(path: &Path, recovery: &mut Recovery) {
    recovery.damaged += 1;
    let aside = path.with_extension("damaged");
    match fs::rename(path, &aside) {
        Ok(()) => {
            warn!(path = %aside.display(), "a segment of the journal is damaged and was put aside; what is readable in it is kept");
        }
        Err(error) => {
            warn!(path = %path.display(), %error, "a damaged segment of the journal can't be put aside");
        }
    }
    let Some(directory) = path.parent() else { return };
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    let mut damaged: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "damaged"))
        .collect();
    damaged.sort();
    let superfluous = damaged.len().saturating_sub(KEPT_DAMAGED);
    for path in damaged.into_iter().take(superfluous) {
        let _ = fs::remove_file(path);
    }
}
