//! The segments and the open one's writer: where bytes go, when a segment is full, which one goes first.

mod disk;
mod room;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeglass_chunk::delta::Encoder;
use nodeglass_model::{Sample, SampleId, UnixMillis};

use crate::books::{Books, Reason};
use crate::frame;
use crate::ids::IdSet;
use crate::keeper::Job;
use crate::record::{self, Role, Start, Words};
use crate::segment::{Index, Place, Segment};
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
    /// What was owed when the newest segment began, as its beginning says.
    owed_at_begin: IdSet,
    /// Words of the server that are not written down yet.
    pub(crate) words: Words,
    /// Why the disk takes nothing, and when to try again.
    refused: Option<(String, Instant)>,
    synced: Option<Instant>,
    /// When the directory was last looked for.
    tried: Instant,
    /// What the journal's thread has to do.
    jobs: Vec<Job>,
    /// Keeps other agents out of the directory. `None` until what lies there is known; nothing is written there before.
    lock: Option<File>,
    /// When this life began.
    born: UnixMillis,
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
    pub(crate) fn new(config: JournalConfig, epoch: u64, now: UnixMillis, at: Instant) -> Self {
        Self {
            config,
            segments: VecDeque::new(),
            next_number: epoch,
            epoch,
            next_seq: 1,
            writer: None,
            owed_at_begin: IdSet::default(),
            words: Words::default(),
            refused: None,
            synced: None,
            jobs: Vec::new(),
            tried: at,
            lock: None,
            born: now,
        }
    }

    /// Takes over the segments that lie in the directory; the numbers of those to come are higher.
    pub(crate) fn take_over(&mut self, found: VecDeque<Segment>, next_number: u64, lock: Option<File>) {
        let own = std::mem::replace(&mut self.segments, found);
        self.segments.extend(own);
        self.next_number = self.next_number.max(next_number);
        self.lock = lock;
    }

    /// Why the directory can't be used.
    pub(crate) fn not_found(&mut self, reason: String, at: Instant) {
        self.refused = Some((reason, at + DISK_REST));
        self.tried = at;
    }

    /// The configuration and when this life began, if it is time to look for the directory once more.
    pub(crate) fn looks_again(&self, at: Instant) -> Option<(JournalConfig, UnixMillis)> {
        let is_due = self.lock.is_none() && at.saturating_duration_since(self.tried) >= DISK_REST;
        (is_due && self.config.directory.is_some()).then(|| (self.config.clone(), self.born))
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

    /// What was owed when the newest segment began. Whatever of an older one is not in it was settled by then, and the disk
    /// knows.
    pub(crate) fn owed_at_begin(&self) -> &IdSet {
        &self.owed_at_begin
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

    /// Closes the open segment, begins the next, and only then removes those that go: a crash between finds their samples
    /// counted as lost already, and no longer owed.
    pub(crate) fn begin(
        &mut self,
        now: UnixMillis,
        at: Instant,
        owed: &IdSet,
        books: &Books,
        going: Vec<(Segment, Reason)>,
    ) {
        let closed = self.close(at);
        let start = Start {
            time: now.0,
            epoch: self.epoch,
            next_seq: self.next_seq,
            owed: owed.runs().map(|run| (run.epoch, run.first, run.last)).collect(),
            books: books.clone(),
        };
        self.owed_at_begin = owed.clone();
        let mut bytes = Vec::new();
        frame::put(&mut bytes, |out| record::put_start(out, &start));
        let number = self.next_number;
        self.next_number += 1;
        let len = bytes.len() as u64;
        let place = self.create(number, bytes, at);
        if let (Place::Disk(_, Some(file)), Some(directory)) = (&place, &self.config.directory) {
            self.jobs.push(Job::Sync(file.clone()));
            self.jobs.push(Job::SyncDirectory(directory.clone()));
        }
        // Packed once the next segment holds the books, on the disk as well.
        self.jobs.extend(closed.map(Job::Pack));
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
    }

    /// Closes the open segment; its number, if it could be packed.
    fn close(&mut self, at: Instant) -> Option<u64> {
        self.writer = None;
        let open = self
            .segments
            .back_mut()
            .filter(|segment| segment.closed.is_none())?;
        open.closed = Some(at);
        match &mut open.place {
            Place::Disk(_, file) => {
                self.jobs.extend(file.take().map(Job::Sync));
                Some(open.number)
            }
            Place::Memory(_) => None,
        }
    }

    /// What the journal's thread has to do.
    pub(crate) fn jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// Appends a sample to the open segment, with what the server said since the last. `None` if there is no open segment,
    /// or the disk refused and it was closed: another must be begun first.
    pub(crate) fn append(&mut self, sample: &Sample, role: Role, at: Instant) -> Option<Written> {
        if self.memory_bytes() > 0 && self.may_try_disk(at) {
            self.move_to_disk(at);
        }
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
            // What is written at the same moment as the last belongs to it.
            Sync::Within(period) => self
                .synced
                .is_none_or(|last| last == at || at.saturating_duration_since(last) * 10 >= period * 9),
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
                let closed = self.close(at);
                self.jobs.extend(closed.map(Job::Pack));
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
