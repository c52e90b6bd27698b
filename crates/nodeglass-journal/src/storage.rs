//! The segments and the open one's writer: where bytes go, when a segment is full, which one goes first.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeglass_chunk::delta::Encoder;
use nodeglass_model::{Sample, SampleId, UnixMillis};
use tracing::{info, warn};

use crate::books::{Books, Reason};
use crate::frame;
use crate::ids::IdSet;
use crate::keeper::Job;
use crate::record::{self, Role, Start, Words};
use crate::segment::{Index, Place, Segment, file_name};
use crate::{JournalConfig, Sync};

/// Samples in a segment: what chunks are best at, and twelve minutes at one a second.
const SEGMENT_SAMPLES: u64 = 864;
/// The time after which a segment is closed, full or not, so that age can take it.
const SEGMENT_AGE: Duration = Duration::from_hours(1);
/// Bytes in a segment at most, and a part of what the journal may take up.
const SEGMENT_BYTES: (u64, u64) = (1 << 20, 16);
/// The same for those in memory.
const MEMORY_SEGMENTS: u64 = 8;
/// How long the disk is left alone after it refused.
const DISK_REST: Duration = Duration::from_secs(5);

/// All segments, and the writer of the last.
#[derive(Debug)]
pub(crate) struct Storage {
    config: JournalConfig,
    segments: VecDeque<Segment>,
    next_number: u64,
    epoch: u64,
    next_seq: u64,
    writer: Option<Writer>,
    /// Words of the server that are not written down yet.
    pub(crate) words: Words,
    /// Why the disk takes nothing, and when to try again.
    refused: Option<(String, Instant)>,
    synced: Option<Instant>,
}

/// What the open segment needs to go on.
#[derive(Debug)]
struct Writer {
    time: i64,
    opened: Instant,
    /// For local samples, and for those that the server is owed.
    encoders: [Encoder; 2],
}

/// The disk refused, and the open segment was closed.
struct Refused;

/// What became of a sample.
pub(crate) struct Written {
    pub(crate) id: Option<SampleId>,
    pub(crate) on_disk: bool,
    /// The file, if it is time to push it down.
    pub(crate) sync: Option<Arc<File>>,
}

impl Storage {
    pub(crate) fn new(
        config: JournalConfig,
        segments: VecDeque<Segment>,
        next_number: u64,
        epoch: u64,
    ) -> Self {
        Self {
            config,
            segments,
            next_number,
            epoch,
            next_seq: 1,
            writer: None,
            words: Words::default(),
            refused: None,
            synced: None,
        }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn sync_policy(&self) -> Sync {
        self.config.sync
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    pub(crate) fn segment(&self, number: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.number == number)
    }

    pub(crate) fn segment_mut(&mut self, number: u64) -> Option<&mut Segment> {
        self.segments.iter_mut().find(|segment| segment.number == number)
    }

    /// The segment that has a sample.
    pub(crate) fn holder(&self, id: SampleId) -> Option<&Segment> {
        let has = |segment: &&Segment| segment.index.owed.iter().any(|run| run.contains(id));
        self.segments.iter().find(has)
    }

    /// Closed segments whose records could be packed.
    pub(crate) fn unpacked(&self) -> Vec<u64> {
        let closed = self.segments.iter().filter(|segment| segment.closed.is_some());
        closed
            .filter(|segment| !segment.index.packed && segment.index.samples > 0)
            .map(|segment| segment.number)
            .collect()
    }

    /// Whether the books of a segment have been taken over by a later one that is on disk. Until then its records are
    /// the only ones that tell what the server said.
    pub(crate) fn is_followed(&self, number: u64) -> bool {
        let later = |segment: &Segment| segment.number > number && !segment.is_in_memory();
        self.segments.back().is_some_and(later)
    }

    pub(crate) fn disk_bytes(&self) -> u64 {
        let on_disk = self.segments.iter().filter(|segment| !segment.is_in_memory());
        on_disk.map(Segment::cost).sum()
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        let in_memory = self.segments.iter().filter(|segment| segment.is_in_memory());
        in_memory.map(Segment::cost).sum()
    }

    pub(crate) fn disk_error(&self) -> Option<String> {
        self.refused.as_ref().map(|(reason, _)| reason.clone())
    }

    /// Bytes after which a segment is closed.
    fn segment_bytes(&self, in_memory: bool) -> u64 {
        let (most, parts) = SEGMENT_BYTES;
        if in_memory {
            (self.config.max_memory_bytes / MEMORY_SEGMENTS).min(most)
        } else {
            (self.config.max_bytes / parts).min(most)
        }
    }

    /// Whether the next sample needs another segment.
    pub(crate) fn must_roll(&self, at: Instant) -> bool {
        let (Some(writer), Some(open)) = (&self.writer, self.segments.back()) else {
            return true;
        };
        open.len >= self.segment_bytes(open.is_in_memory())
            || open.index.samples >= SEGMENT_SAMPLES
            || at.saturating_duration_since(writer.opened) >= SEGMENT_AGE.min(self.config.max_age)
    }

    /// Takes out the oldest segments, as far as age and room ask for it.
    pub(crate) fn outgrown(&mut self, now: UnixMillis, at: Instant) -> Vec<(Segment, Reason)> {
        if self.may_try_disk(at) {
            self.move_to_disk(at);
        }
        let mut going = Vec::new();
        let oldest = now.minus(self.config.max_age);
        // Both clocks must say that it is old: one may have been set.
        let is_old = |segment: &Segment| {
            let by_wall = segment.index.span.is_none_or(|span| span.end < oldest);
            let closed = segment.closed.unwrap_or(at);
            by_wall && at.saturating_duration_since(closed) >= self.config.max_age
        };
        while self.segments.front().is_some_and(is_old) {
            going.extend(self.segments.pop_front().map(|segment| (segment, Reason::TooOld)));
        }
        let disk_room = self.config.max_bytes.saturating_sub(self.segment_bytes(false));
        while self.disk_bytes() > disk_room {
            going.extend(self.take_oldest(false).map(|segment| (segment, Reason::Full)));
        }
        // The bound on memory holds for a journal that has no disk at all, too.
        let memory_room = self
            .config
            .max_memory_bytes
            .saturating_sub(self.segment_bytes(true));
        while self.memory_bytes() > memory_room {
            // If it is only full, the disk takes the new in place of the oldest that lies there.
            let oldest_on_disk = self.refused_for_room().then(|| self.take_oldest(false)).flatten();
            let frees_disk = oldest_on_disk.is_some();
            let oldest = oldest_on_disk.or_else(|| self.take_oldest(true));
            if let Some(segment) = &oldest
                && let Place::Disk(path, _) = &segment.place
            {
                // Its bytes are read for the books before it goes: they are kept in memory that long.
                let bytes = fs::read(path).unwrap_or_default();
                let _ = fs::remove_file(path);
                going.push((
                    Segment {
                        place: Place::Memory(bytes),
                        index: segment.index.clone(),
                        ..*segment
                    },
                    Reason::Full,
                ));
            } else {
                going.extend(oldest.map(|segment| (segment, Reason::Full)));
            }
            if frees_disk {
                self.move_to_disk(at);
            }
        }
        going
    }

    fn refused_for_room(&self) -> bool {
        self.refused
            .as_ref()
            .is_some_and(|(reason, _)| *reason == no_room())
    }

    fn take_oldest(&mut self, in_memory: bool) -> Option<Segment> {
        let place = self
            .segments
            .iter()
            .position(|segment| segment.is_in_memory() == in_memory && segment.closed.is_some())?;
        self.segments.remove(place)
    }

    /// Closes the open segment, begins the next, and only then removes those that go: a crash between finds their samples
    /// counted as lost already, and no longer owed.
    pub(crate) fn begin(
        &mut self,
        now: UnixMillis,
        at: Instant,
        owed: &IdSet,
        books: &Books,
        going: Vec<(Segment, Reason)>,
    ) -> Vec<Job> {
        let mut jobs = self.close(at);
        let start = Start {
            time: now.0,
            epoch: self.epoch,
            next_seq: self.next_seq,
            owed: owed.runs().map(|run| (run.epoch, run.first, run.last)).collect(),
            books: books.clone(),
        };
        let mut bytes = Vec::new();
        frame::put(&mut bytes, |out| record::put_start(out, &start));
        let number = self.next_number;
        self.next_number += 1;
        let len = bytes.len() as u64;
        let place = self.create(number, bytes, at);
        if let (Place::Disk(_, Some(file)), Some(directory)) = (&place, &self.config.directory) {
            jobs.push(Job::Sync(file.clone()));
            jobs.push(Job::SyncDirectory(directory.clone()));
        }
        self.segments.push_back(Segment {
            number,
            place,
            len,
            index: Index::default(),
            closed: None,
        });
        self.writer = Some(Writer {
            time: now.0,
            opened: at,
            encoders: [Encoder::new(), Encoder::new()],
        });
        for (segment, _) in going {
            if let Place::Disk(path, _) = segment.place {
                let _ = fs::remove_file(path);
            }
        }
        jobs
    }

    /// Closes the open segment.
    fn close(&mut self, at: Instant) -> Vec<Job> {
        self.writer = None;
        let Some(open) = self
            .segments
            .back_mut()
            .filter(|segment| segment.closed.is_none())
        else {
            return Vec::new();
        };
        open.closed = Some(at);
        let mut jobs = Vec::new();
        if let Place::Disk(_, file) = &mut open.place {
            jobs.extend(file.take().map(Job::Sync));
            jobs.push(Job::Pack(open.number));
        }
        jobs
    }

    fn may_try_disk(&self, at: Instant) -> bool {
        self.config.directory.is_some() && self.refused.as_ref().is_none_or(|(_, again)| at >= *again)
    }

    /// Puts a segment's first bytes on disk, or else in memory.
    fn create(&mut self, number: u64, bytes: Vec<u8>, at: Instant) -> Place {
        let Some(directory) = self.config.directory.clone().filter(|_| self.may_try_disk(at)) else {
            return Place::Memory(bytes);
        };
        let path = directory.join(file_name(number));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let created = options.open(&path).and_then(|file| {
            file.write_all_at(&bytes, 0)?;
            Ok(file)
        });
        match created {
            Ok(file) => {
                if self.refused.take().is_some() {
                    info!("the journal's disk takes samples again");
                }
                Place::Disk(path, Some(Arc::new(file)))
            }
            Err(error) => {
                let _ = fs::remove_file(&path);
                self.refuse(&error, at);
                Place::Memory(bytes)
            }
        }
    }

    fn refuse(&mut self, error: &io::Error, at: Instant) {
        let reason = if error.kind() == io::ErrorKind::StorageFull {
            no_room()
        } else {
            error.to_string()
        };
        if self.refused.is_none() {
            warn!(
                reason,
                "the journal's disk takes nothing; samples are kept in memory until it does"
            );
        }
        self.refused = Some((reason, at + DISK_REST));
    }

    /// Moves closed segments from memory to the disk, the oldest first, until it refuses.
    fn move_to_disk(&mut self, at: Instant) {
        let Some(directory) = self.config.directory.clone() else {
            return;
        };
        for place in 0..self.segments.len() {
            let segment = &self.segments[place];
            let Place::Memory(bytes) = &segment.place else {
                continue;
            };
            if segment.closed.is_none() {
                continue;
            }
            let path = directory.join(file_name(segment.number));
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let written = options.open(&path).and_then(|file| file.write_all_at(bytes, 0));
            match written {
                Ok(()) => self.segments[place].place = Place::Disk(path, None),
                Err(error) => {
                    let _ = fs::remove_file(&path);
                    self.refuse(&error, at);
                    return;
                }
            }
        }
        if self.refused.take().is_some() {
            info!("the journal's disk takes samples again");
        }
    }

    /// Appends a sample to the open segment, with what the server said since the last. `None` if there is no open segment,
    /// or the disk refused and it was closed: another must be begun first.
    pub(crate) fn append(&mut self, sample: &Sample, role: Role, at: Instant) -> Option<Written> {
        let writer = self.writer.as_mut()?;
        let seq = if role.is_owed() { self.next_seq } else { 0 };
        let mut bytes = Vec::with_capacity(512);
        if !self.words.is_empty() {
            frame::put(&mut bytes, |out| record::put_words(out, &self.words));
        }
        let time = sample.timestamp.0.saturating_sub(writer.time);
        frame::put(&mut bytes, |out| {
            record::put_sample_head(out, role, time, seq);
            writer.encoders[usize::from(role.is_owed())].encode(sample, out);
        });
        let file = self.write(&bytes, at).ok()?;
        self.words = Words::default();
        let id = role.is_owed().then_some(SampleId {
            epoch: self.epoch,
            seq,
        });
        self.next_seq += u64::from(role.is_owed());
        self.segments.back_mut()?.index.add(sample.timestamp, id);
        Some(Written {
            id,
            on_disk: file.is_some(),
            sync: file.filter(|_| self.is_due(at)),
        })
    }

    /// Whether what was written is to be pushed down now.
    fn is_due(&mut self, at: Instant) -> bool {
        let due = match self.config.sync {
            Sync::Never => false,
            Sync::Always => true,
            // A little early rather than one sample late.
            Sync::Within(period) => self
                .synced
                .is_none_or(|last| at.saturating_duration_since(last) * 10 >= period * 9),
        };
        if due {
            self.synced = Some(at);
        }
        due
    }

    /// Appends bytes to the open segment; the file that they went to, if it is one. If the disk refuses them, the segment
    /// is closed at its last whole record.
    fn write(&mut self, bytes: &[u8], at: Instant) -> Result<Option<Arc<File>>, Refused> {
        let open = self
            .segments
            .back_mut()
            .filter(|segment| segment.closed.is_none());
        let open = open.ok_or(Refused)?;
        let written = match &mut open.place {
            Place::Memory(all) => {
                all.extend_from_slice(bytes);
                Ok(None)
            }
            Place::Disk(_, Some(file)) => file.write_all_at(bytes, open.len).map(|()| Some(file.clone())),
            Place::Disk(_, None) => Err(io::Error::other("the file is not open")),
        };
        match written {
            Ok(file) => {
                open.len += bytes.len() as u64;
                Ok(file)
            }
            Err(error) => {
                if let Place::Disk(_, Some(file)) = &open.place {
                    // If this fails as well, the next start cuts off what is there too much.
                    let _ = file.set_len(open.len);
                }
                self.refuse(&error, at);
                self.close(at);
                Err(Refused)
            }
        }
    }

    /// Writes down the server's words without a sample; the file to push down.
    pub(crate) fn flush(&mut self) -> Option<Arc<File>> {
        if self.words.is_empty() || self.writer.is_none() {
            return None;
        }
        let mut bytes = Vec::new();
        frame::put(&mut bytes, |out| record::put_words(out, &self.words));
        let file = self.write(&bytes, Instant::now()).ok()?;
        self.words = Words::default();
        file
    }
}

fn no_room() -> String {
    "no space is left on the journal's disk".to_owned()
}
