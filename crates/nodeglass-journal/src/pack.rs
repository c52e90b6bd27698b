//! Turning a closed segment's records into chunks: a third of the size, for the same samples.
//!
//! Samples that only the server was owed, and that it has by now, are left out; a record says which those are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nodeglass_chunk::chunk::Encoder;
use nodeglass_model::{Sample, SampleId, SeqRange, contiguous};
use tracing::debug;

use crate::frame::{self, Frames};
use crate::ids::IdSet;
use crate::journal::Shared;
use crate::record::{self, Record, Role, Words};
use crate::segment::{self, Place};

/// Fewer samples than this are left as they are: a chunk's directory would cost more than it saves.
const WORTH_PACKING: u64 = 16;

/// Packs segments, one after another.
pub(crate) struct Packer {
    encoder: Encoder,
}

impl Packer {
    pub(crate) fn new() -> Self {
        Self {
            encoder: Encoder::new(),
        }
    }

    /// Packs a segment, if it is still there and on disk. Whatever goes wrong, the segment stays as it is.
    pub(crate) fn pack(&mut self, shared: &Shared, number: u64) {
        let (path, owed) = {
            let inner = shared.lock();
            match inner.storage.segment(number) {
                Some(segment)
                    if !segment.index.packed
                        && segment.index.samples >= WORTH_PACKING
                        && inner.storage.is_followed(number) =>
                {
                    match &segment.place {
                        Place::Disk(path, _) => (path.clone(), inner.storage.owed_at_begin().clone()),
                        Place::Memory(_) => return,
                    }
                }
                _ => return,
            }
        };
        let beside = path.with_extension("new");
        let packed = fs::read(&path).and_then(|bytes| {
            let packed = self.packed(&bytes, &owed);
            let packed = packed.filter(|(packed, _)| packed.len() < bytes.len());
            let (packed, kept) = packed.ok_or_else(|| io::Error::other("it can't be made smaller"))?;
            write(&beside, &packed)?;
            Ok((packed.len() as u64, kept))
        });
        match packed {
            Ok((len, kept)) => {
                let mut inner = shared.lock();
                let Some(segment) = inner.storage.segment_mut(number) else {
                    drop(inner);
                    let _ = fs::remove_file(&beside);
                    return;
                };
                if fs::rename(&beside, &path).is_ok() {
                    segment.len = len;
                    segment.index.samples = kept.samples;
                    segment.index.owed = kept.owed;
                    segment.index.packed = true;
                }
            }
            Err(error) => {
                let _ = fs::remove_file(&beside);
                debug!(number, %error, "a segment stays unpacked");
            }
        }
    }

    /// The same segment with chunks in place of the samples' records, and what is in them; `None` if a record can't be
    /// read, or if no sample would be left.
    fn packed(&mut self, bytes: &[u8], owed: &IdSet) -> Option<(Vec<u8>, Kept)> {
        let mut packed = Vec::new();
        let mut kept = Kept::default();
        let mut settled = Vec::new();
        let first = Frames::new(bytes).next()?;
        let Ok(Some(Record::Start(_))) = record::read(first) else {
            return None;
        };
        frame::put(&mut packed, |out| out.extend_from_slice(first));
        for role in Role::ALL {
            let of_role: fn(Role) -> bool = match role {
                Role::Local => |role| role == Role::Local,
                Role::Owed => |role| role == Role::Owed,
                Role::Both => |role| role == Role::Both,
            };
            let mut samples: Vec<(SampleId, Sample)> = Vec::new();
            let everything = |_: &nodeglass_model::catalogue::Metric, _: &str| true;
            let read = segment::read_samples(bytes, of_role, &everything, |id, sample| {
                if role == Role::Owed && !owed.contains(id) {
                    settled.push(id);
                } else {
                    samples.push((id, sample));
                }
            });
            read.ok()?;
            kept.samples += samples.len() as u64;
            if role.is_owed() {
                let ids = samples.iter().map(|(id, _)| *id).collect();
                kept.owed.extend(contiguous(ids));
            }
            if !samples.is_empty() {
                let chunk = self.encoder.encode(&samples).ok()?;
                frame::put(&mut packed, |out| record::put_chunk(out, role, &chunk));
            }
        }
        if !settled.is_empty() {
            let words = Words {
                stored: contiguous(settled),
                refused: Vec::new(),
            };
            frame::put(&mut packed, |out| record::put_words(out, &words));
        }
        (kept.samples > 0).then_some((packed, kept))
    }
}

/// What is in a packed segment.
#[derive(Default)]
struct Kept {
    samples: u64,
    owed: Vec<SeqRange>,
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}
