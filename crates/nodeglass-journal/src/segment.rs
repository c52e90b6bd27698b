//! One segment: a run of records, in a file or in memory, and what is known of it without reading it again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nodeglass_chunk::chunk::Chunk;
use nodeglass_chunk::delta::Decoder;
use nodeglass_chunk::row::RowError;
use nodeglass_model::catalogue::Metric;
use nodeglass_model::{Sample, SampleId, SeqRange, TimeRange, UnixMillis};

use crate::frame::Frames;
use crate::record::{self, Record, Role};

/// Devices in one sample; our own samples have fewer, so more is damage.
const MAX_DEVICES: usize = 1 << 16;

/// What a file takes up on disk at least.
const BLOCK: u64 = 4096;

/// Where a segment lies.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a file; open while it is written.
    Disk(PathBuf, Option<Arc<File>>),
    /// In memory, while the disk takes nothing.
    Memory(Vec<u8>),
}

/// A run of records.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) place: Place,
    /// How many bytes it has.
    pub(crate) len: u64,
    pub(crate) index: Index,
    /// When it was closed; `None` while it is written.
    pub(crate) closed: Option<Instant>,
}

/// What a segment holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Index {
    /// The samples that were promised to the server.
    pub(crate) owed: Vec<SeqRange>,
    /// All samples.
    pub(crate) samples: u64,
    /// From the earliest to the latest of them.
    pub(crate) span: Option<TimeRange>,
    /// Whether its samples are in chunks.
    pub(crate) packed: bool,
}

impl Index {
    pub(crate) fn add(&mut self, time: UnixMillis, owed: Option<SampleId>) {
        self.samples += 1;
        self.reach(TimeRange {
            start: time,
            end: time,
        });
        if let Some(SampleId { epoch, seq }) = owed {
            match self.owed.last_mut() {
                Some(run) if run.epoch == epoch && run.last + 1 == seq => run.last = seq,
                _ => self.owed.push(SeqRange {
                    epoch,
                    first: seq,
                    last: seq,
                }),
            }
        }
    }

    /// About when an owed sample was taken: as far into the span as its number is into those of its run.
    pub(crate) fn time_of(&self, id: SampleId) -> Option<UnixMillis> {
        let run = self.owed.iter().find(|run| run.contains(id))?;
        let TimeRange { start, end } = self.span?;
        let length = u128::from(end.since(start).as_millis() as u64);
        let part = length * u128::from(id.seq - run.first) / u128::from(run.last - run.first).max(1);
        Some(start.plus(Duration::from_millis(part as u64)))
    }

    pub(crate) fn reach(&mut self, span: TimeRange) {
        let all = self.span.get_or_insert(span);
        all.start = all.start.min(span.start);
        all.end = all.end.max(span.end);
    }
}

/// A file's name: `000000000000002a.log`.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// The number in a file's name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (name.len() == 16).then(|| u64::from_str_radix(name, 16).ok())?
}

impl Segment {
    /// What it takes up where it lies.
    pub(crate) fn cost(&self) -> u64 {
        match self.place {
            Place::Disk(..) => self.len.max(BLOCK),
            Place::Memory(_) => self.len,
        }
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// A way to its bytes that holds nobody up: a file to read, or a copy.
    pub(crate) fn source(&self) -> Source {
        match &self.place {
            Place::Disk(path, _) => Source::File(path.clone(), self.len),
            Place::Memory(bytes) => Source::Bytes(bytes.clone()),
        }
    }
}

/// Where a segment's bytes are to be had.
#[derive(Debug)]
pub(crate) enum Source {
    File(PathBuf, u64),
    Bytes(Vec<u8>),
}

/// Why a segment's samples can't be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("can't read {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("a record is damaged")]
    Record(#[from] RowError),
    #[error("a chunk is damaged")]
    Chunk(#[from] nodeglass_chunk::chunk::ChunkError),
}

impl ReadError {
    /// Whether the reason has nothing to do with the file: another try will go better.
    pub(crate) fn is_passing(&self) -> bool {
        // Too many open files, of this program and of the system.
        const TOO_MANY: [Option<i32>; 2] = [Some(23), Some(24)];
        let Self::Io { source, .. } = self else {
            return false;
        };
        let kinds = [io::ErrorKind::OutOfMemory, io::ErrorKind::PermissionDenied];
        kinds.contains(&source.kind()) || TOO_MANY.contains(&source.raw_os_error())
    }

    /// Whether another try may go better.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() != io::ErrorKind::NotFound)
    }
}

impl Source {
    pub(crate) fn bytes(self) -> Result<Vec<u8>, ReadError> {
        match self {
            Self::File(path, len) => match fs::read(&path) {
                Ok(mut bytes) => {
                    // A file that is being written may have more by now than was there when the question was asked; one
                    // that was packed meanwhile is shorter, and whole.
                    bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
                    Ok(bytes)
                }
                Err(source) => Err(ReadError::Io { path, source }),
            },
            Self::Bytes(bytes) => Ok(bytes),
        }
    }
}

/// Goes through the samples of some roles; those of a chunk have only the series that are `wanted`.
///
/// # Errors
/// The bytes are damaged. What came before the damage was handed on.
pub(crate) fn read_samples(
    bytes: &[u8],
    roles: fn(Role) -> bool,
    wanted: &dyn Fn(&Metric, &str) -> bool,
    mut each: impl FnMut(SampleId, Sample),
) -> Result<(), ReadError> {
    let mut epoch = 0;
    // Samples for the server are differences to each other, and local ones likewise.
    let mut decoders = [Decoder::new(MAX_DEVICES), Decoder::new(MAX_DEVICES)];
    for frame in Frames::new(bytes) {
        match record::read(frame)? {
            Some(Record::Start(start)) => epoch = start.epoch,
            Some(Record::Sample {
                role,
                seq,
                difference,
                ..
            }) => {
                let needed = Role::ALL
                    .into_iter()
                    .any(|other| roles(other) && other.is_owed() == role.is_owed());
                if needed {
                    let sample = decoders[usize::from(role.is_owed())].decode(difference)?;
                    if roles(role) {
                        each(SampleId { epoch, seq }, sample);
                    }
                }
            }
            Some(Record::Chunk { role, chunk }) if roles(role) => {
                for (id, sample) in Chunk::open(chunk)?.rows(wanted)? {
                    each(id, sample);
                }
            }
            Some(Record::Chunk { .. } | Record::Words(_)) | None => {}
        }
    }
    Ok(())
}
