//! Turning a closed segment's records into chunks: a third of the size, for the same samples.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nodeglass_chunk::chunk::Encoder;
use nodeglass_model::{Sample, SampleId};
use tracing::debug;

use crate::frame::{self, Frames};
use crate::journal::Shared;
use crate::record::{self, Record, Role};
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
        let path = {
            let inner = shared.lock();
            match inner.storage.segment(number) {
                Some(segment)
                    if !segment.index.packed
                        && segment.index.samples >= WORTH_PACKING
                        && inner.storage.is_followed(number) =>
                {
                    match &segment.place {
                        Place::Disk(path, _) => path.clone(),
                        Place::Memory(_) => return,
                    }
                }
                _ => return,
            }
        };
        let beside = path.with_extension("new");
        let packed = fs::read(&path).and_then(|bytes| {
            let packed = self.packed(&bytes).filter(|packed| packed.len() < bytes.len());
            let packed = packed.ok_or_else(|| io::Error::other("it can't be made smaller"))?;
            write(&beside, &packed)?;
            Ok(packed.len() as u64)
        });
        match packed {
            Ok(len) => {
                let mut inner = shared.lock();
                let Some(segment) = inner.storage.segment_mut(number) else {
                    drop(inner);
                    let _ = fs::remove_file(&beside);
                    return;
                };
                if fs::rename(&beside, &path).is_ok() {
                    segment.len = len;
                    segment.index.packed = true;
                }
            }
            Err(error) => {
                let _ = fs::remove_file(&beside);
                debug!(number, %error, "a segment stays unpacked");
            }
        }
    }

    /// The same segment with chunks in place of the samples' records; `None` if a record can't be read.
    fn packed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut packed = Vec::new();
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
                samples.push((id, sample));
            });
            read.ok()?;
            if !samples.is_empty() {
                let chunk = self.encoder.encode(&samples).ok()?;
                frame::put(&mut packed, |out| record::put_chunk(out, role, &chunk));
            }
        }
        Some(packed)
    }
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
