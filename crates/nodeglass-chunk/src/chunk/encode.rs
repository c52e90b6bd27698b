//! Samples into a chunk.

use nodeglass_model::{Sample, SampleId};

use super::directory::{self, Column, Device, Directory, Group};
use super::gather::{Series, Track, gather};
use super::piece::{PieceWriter, pco_header};
use super::presence::Presence;
use super::{MAGIC, MAX_DIRECTORY_BYTES, MAX_POINTS, VERSION};
use crate::varint::put;

/// A device that was there at fewer points shares its pieces: by itself, each would be mostly its entry and its frame.
const FEW_POINTS: u32 = 64;

/// So does one that was there at less than one in so many points. Who asks for it has to read the others too, so devices
/// that were there most of the time have pieces of their own.
const SELDOM: u32 = 4;

/// Why samples don't go into one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// They are over one of the limits that readers keep to.
    #[error("these samples make {0}: put them into two")]
    TooMuch(&'static str),
    /// zstd has no memory.
    #[error("the chunk can't be compressed")]
    Compression,
}

/// How hard an [`Encoder`] looks for the smallest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Fast, for small chunks that are merged into others soon.
    Quick,
    /// Every form that may be the smallest is tried.
    Best,
}

/// A chunk in its two parts, for places that keep them apart: a reader of one series needs the directory and then a
/// [`Span`](super::Span) of the payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// What every reader needs: [`Head::read`](super::Head::read).
    pub directory: Vec<u8>,
    /// The values.
    pub payload: Vec<u8>,
}

impl Parts {
    /// Both in one buffer, for [`Chunk::open`](super::Chunk::open).
    pub fn join(&self) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(self.directory.len() + self.payload.len() + 8);
        chunk.extend([MAGIC, VERSION]);
        put(&mut chunk, self.directory.len() as u64);
        chunk.extend_from_slice(&self.directory);
        chunk.extend_from_slice(&self.payload);
        chunk
    }
}

/// Makes chunks, keeping its working memory from one to the next.
///
/// It takes some 10 bytes for each figure while it works, 1.5 MB for 720 points of 200 series, and keeps about 1 MB.
pub struct Encoder {
    pieces: PieceWriter,
}

impl Encoder {
    /// Sets up the working memory.
    ///
    /// # Panics
    /// If there is no memory for it.
    pub fn new() -> Self {
        Self {
            pieces: PieceWriter::new(),
        }
    }

    /// Makes a chunk in one buffer, with [`Effort::Best`].
    ///
    /// # Errors
    /// As [`Encoder::parts`].
    pub fn encode(&mut self, samples: &[(SampleId, Sample)]) -> Result<Vec<u8>, EncodeError> {
        Ok(self.parts(samples, Effort::Best)?.join())
    }

    /// Makes a chunk of samples of one agent, in this order, whatever their times and ids.
    ///
    /// # Errors
    /// [`EncodeError::TooMuch`] over one of the limits of chunks, which 720 samples seldom are: make two of them.
    pub fn parts(&mut self, samples: &[(SampleId, Sample)], effort: Effort) -> Result<Parts, EncodeError> {
        self.pieces.effort = effort;
        let points = u32::try_from(samples.len())
            .ok()
            .filter(|points| *points <= MAX_POINTS)
            .ok_or(EncodeError::TooMuch("more points than a chunk may have"))?;
        let mut gathered = gather(samples);
        let devices: Vec<Device> = (gathered.tracks.iter_mut())
            .map(|track| Device {
                dimension: track.dimension as u8,
                shared: track.cells < FEW_POINTS.max(points / SELDOM),
                label: gathered.numbering.text(&track.label),
                points: std::mem::take(&mut track.points),
                attributes: std::mem::take(&mut track.attributes),
            })
            .collect();
        let mut groups = directory::groups(&devices).map_err(EncodeError::TooMuch)?;
        let mut pieces = Vec::new();
        let times: Vec<i64> = samples.iter().map(|(_, sample)| sample.timestamp.0).collect();
        let earliest = times.iter().copied().min().unwrap_or(0);
        let latest = times.iter().copied().max().unwrap_or(0);
        let mut times_piece = Vec::new();
        let times = (points > 0).then(|| self.pieces.write(&mut times_piece, &times));
        for group in &mut groups {
            self.write_columns(&mut pieces, group, &gathered.tracks);
        }
        let directory = Directory {
            points,
            earliest,
            span: latest.wrapping_sub(earliest) as u64,
            times,
            pco_header: pco_header(),
            ids: directory::id_runs(samples.iter().map(|(id, _)| *id)),
            texts: gathered.numbering.texts,
            lists: gathered.numbering.lists,
            failures: gathered.failures,
            devices,
            groups,
            payload: 0,
        };
        if let Some(what) = directory.excess() {
            return Err(EncodeError::TooMuch(what));
        }
        let directory = self.head(&directory.write(), &times_piece)?;
        Ok(Parts {
            directory,
            payload: pieces,
        })
    }

    /// Writes a piece for each metric that a device of the group has.
    fn write_columns(&mut self, pieces: &mut Vec<u8>, group: &mut Group, tracks: &[Track<'_>]) {
        let members = || group.members.iter().map(|member| &tracks[*member as usize]);
        let mut metrics: Vec<u16> = members()
            .flat_map(|track| &track.series)
            .map(|series| series.metric.id.0)
            .collect();
        metrics.sort_unstable();
        metrics.dedup();
        let columns = metrics.into_iter().map(|metric| {
            let mut cells = Presence::default();
            let mut values = Vec::new();
            let mut first = 0;
            for track in members() {
                if let Some(series) = series_of(track, metric) {
                    for run in series.cells.runs() {
                        cells.add(first + run.start..first + run.end);
                    }
                    values.extend_from_slice(&series.values);
                }
                first += track.cells;
            }
            let piece = self.pieces.write(pieces, &values);
            Column { metric, cells, piece }
        });
        group.columns = columns.collect();
    }

    /// Makes the bytes of a directory.
    pub(super) fn head(&mut self, directory: &[u8], times: &[u8]) -> Result<Vec<u8>, EncodeError> {
        if directory.len() > MAX_DIRECTORY_BYTES {
            return Err(EncodeError::TooMuch("a larger directory than a chunk may have"));
        }
        let zipped = self.pieces.zip(directory).ok_or(EncodeError::Compression)?;
        let mut head = Vec::with_capacity(zipped.len() + times.len() + 16);
        head.extend([MAGIC, VERSION]);
        put(&mut head, directory.len() as u64);
        put(&mut head, zipped.len() as u64);
        head.extend_from_slice(&zipped);
        head.extend_from_slice(times);
        Ok(head)
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

fn series_of<'a>(track: &'a Track<'_>, metric: u16) -> Option<&'a Series> {
    let at = track
        .series
        .binary_search_by_key(&metric, |series| series.metric.id.0);
    at.ok().map(|at| &track.series[at])
}
