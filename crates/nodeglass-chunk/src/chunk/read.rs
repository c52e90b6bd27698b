//! A whole chunk that was opened: directory and payload.

use std::ops::Deref;

use nodeglass_model::catalogue::Metric;
use nodeglass_model::{Sample, SampleId};

use super::{ChunkError, Head, MAGIC, Rows, Span};
use crate::varint::Reader;

/// A chunk whose directory was read. Values are read when they are asked for, each series by itself. What its [`Head`]
/// tells, it tells too.
#[derive(Debug)]
pub struct Chunk<'a> {
    pub(super) head: Head,
    pub(super) payload: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Opens a chunk in one buffer, of whatever version.
    ///
    /// # Errors
    /// Bytes that no [`Encoder`](super::Encoder) wrote, or a newer one than this program knows; keep them aside and
    /// report them, they are not worth a second try.
    pub fn open(bytes: &'a [u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(bytes);
        if reader.byte()? != MAGIC {
            return Err(ChunkError::NotAChunk);
        }
        match reader.byte()? {
            1 => {
                let (head, payload) = Head::read_version_1(reader)?;
                Self::of(head, payload)
            }
            super::VERSION => {
                let length = reader.unsigned()?;
                let head = Head::read(reader.bytes(length)?)?;
                Self::of(head, reader.rest())
            }
            version => Err(ChunkError::Version(version)),
        }
    }

    /// Puts a directory that was read and its whole payload together.
    ///
    /// # Errors
    /// Bytes that are not the payload of this directory.
    pub fn of(head: Head, payload: &'a [u8]) -> Result<Self, ChunkError> {
        match head.payload_len().cmp(&(payload.len() as u64)) {
            std::cmp::Ordering::Greater => Err(ChunkError::Cut),
            std::cmp::Ordering::Equal => Ok(Self { head, payload }),
            std::cmp::Ordering::Less => Err(ChunkError::Malformed("more than its pieces")),
        }
    }

    /// The values of one series at all points; `None` if the chunk doesn't have it. Only its own piece is read, or
    /// that which it shares with other devices that were there for a short time.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn column(
        &self,
        metric: &'static Metric,
        label: &str,
    ) -> Result<Option<Vec<Option<f64>>>, ChunkError> {
        let Some(span) = self.head.span(metric, label)? else {
            return Ok(None);
        };
        self.head.values(metric, label, self.slice(span)?)
    }

    /// The samples, one after the other, with no figures but those that are wanted, and the devices that have them;
    /// `wanted` is asked once for each series. Failures are there always.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn rows(&self, wanted: impl FnMut(&Metric, &str) -> bool) -> Result<Rows<'_>, ChunkError> {
        Rows::new(self, wanted)
    }

    /// The samples, whole.
    ///
    /// # Errors
    /// A piece that no encoder wrote.
    pub fn samples(&self) -> Result<Vec<(SampleId, Sample)>, ChunkError> {
        Ok(self.rows(|_, _| true)?.collect())
    }

    /// The bytes of the payload that a column needs.
    pub(super) fn slice(&self, span: Span) -> Result<&'a [u8], ChunkError> {
        let from = self.payload.get(span.offset as usize..).ok_or(ChunkError::Cut)?;
        from.get(..span.length as usize).ok_or(ChunkError::Cut)
    }
}

impl Deref for Chunk<'_> {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}
