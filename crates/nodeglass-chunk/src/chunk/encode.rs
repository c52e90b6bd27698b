//! Samples into a chunk.

use nodeglass_model::{Sample, SampleId};

use super::directory::{self, Basics, Column, Descriptions, Section};
use super::gather::{Gathered, Track, gather};
use super::piece::{Numbers, PieceWriter, pco_header};
use super::presence::Presence;
use super::{MAGIC, MAX_POINTS, VERSION};
use crate::varint::put;

/// A device that was there at fewer points shares its pieces: by itself, each would be mostly its entry and its frame.
const FEW_POINTS: u32 = 64;

/// So does one that was there at less than one in so many points. Who asks for it has to read the others too, so devices
/// that were there most of the time have pieces of their own.
const SELDOM: u32 = 4;

/// In a chunk of few points, only those that were there at less than one in so many.
const SELDOM_OF_FEW: u32 = 2;

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
        let points = Self::count(samples.len())?;
        let times: Vec<i64> = samples.iter().map(|(_, sample)| sample.timestamp.0).collect();
        let basics = Basics {
            points,
            ids: directory::id_runs(samples.iter().map(|(id, _)| *id)),
            ..Basics::default()
        };
        self.finish(basics, &times, gather(samples), effort)
    }

    /// So many points as the format counts them.
    pub(super) fn count(points: usize) -> Result<u32, EncodeError> {
        u32::try_from(points)
            .ok()
            .filter(|points| *points <= MAX_POINTS)
            .ok_or(EncodeError::TooMuch("more points than a chunk may have"))
    }

    /// Makes a chunk of what was gathered.
    pub(super) fn finish(
        &mut self,
        mut basics: Basics,
        times: &[i64],
        gathered: Gathered<'_>,
        effort: Effort,
    ) -> Result<Parts, EncodeError> {
        let points = basics.points;
        self.pieces.effort = effort;
        if points > 0 {
            basics.earliest = times.iter().copied().min().unwrap_or(0);
            let latest = times.iter().copied().max().unwrap_or(0);
            basics.span = latest.wrapping_sub(basics.earliest) as u64;
            let mut bytes = Vec::new();
            let piece = self.pieces.write_steps(&mut bytes, times);
            basics.times = Some((piece, bytes));
        }
        let few = FEW_POINTS.min(points / SELDOM_OF_FEW).max(points / SELDOM);
        let (shared, own): (Vec<_>, Vec<_>) =
            gathered.tracks.into_iter().partition(|track| track.cells < few);
        let mut payload = Vec::new();
        let mut descriptions = Descriptions {
            texts: gathered.numbering.texts,
            lists: gathered.numbering.lists,
            failures: gathered.failures,
            attributes: Vec::with_capacity(own.len() + shared.len()),
        };
        let mut sections = [Section::default(), Section::default()];
        let own = own.chunk_by(|_, _| false);
        let shared = shared.chunk_by(|one, other| one.dimension == other.dimension);
        for (at, tracks) in own.map(|it| (0, it)).chain(shared.map(|it| (1, it))) {
            let section = &mut sections[at];
            let first = section.devices.len();
            for track in tracks {
                section.add_device(track.dimension as u8, &track.label, track.points.clone());
                descriptions.attributes.push(track.attributes.clone());
            }
            section.add_group(first);
            self.write_columns(&mut payload, section, tracks);
        }
        let [own, shared] = sections;
        let excess = directory::excess(&own, &shared).or_else(|| descriptions.excess(&own, &shared));
        if let Some(what) = excess {
            return Err(EncodeError::TooMuch(what));
        }
        basics.payload = payload.len() as u64;
        if effort == Effort::Best {
            basics.pco_header = pco_header();
        }
        let directory = directory::write(&basics, &own, &shared, &descriptions, &mut self.pieces)?;
        Ok(Parts { directory, payload })
    }

    /// Writes a piece for each metric that a device of the last group has.
    fn write_columns(&mut self, payload: &mut Vec<u8>, section: &mut Section, tracks: &[Track<'_>]) {
        let [first, others @ ..] = tracks else {
            return;
        };
        for (at, series) in first.series.iter().enumerate() {
            let metric = series.metric.id.0;
            if others.is_empty() {
                if series.numbers.len() > 0 {
                    let piece = self.pieces.write(payload, &series.numbers);
                    section.add_column(Column {
                        metric,
                        cells: series.cells.clone(),
                        piece,
                    });
                }
                continue;
            }
            let (cells, numbers) = joined(tracks, at);
            if numbers.len() > 0 {
                let piece = self.pieces.write(payload, &numbers);
                section.add_column(Column { metric, cells, piece });
            }
        }
    }
}

/// The series of one metric of several devices as one, cells after cells.
fn joined(tracks: &[Track<'_>], at: usize) -> (Presence, Numbers) {
    let mut cells = Presence::default();
    let mut first = 0;
    for track in tracks {
        for run in track.series[at].cells.runs() {
            cells.add(first + run.start..first + run.end);
        }
        first += track.cells;
    }
    let series = || tracks.iter().map(|track| &track.series[at]);
    let all_steps = series().map(|series| match &series.numbers {
        Numbers::Steps(steps) => Some(steps.as_slice()),
        Numbers::Floats(_) => None,
    });
    let numbers = if let Some(all) = all_steps.collect::<Option<Vec<_>>>() {
        Numbers::Steps(all.concat())
    } else {
        let values = series().map(|series| series.numbers.clone().into_values(series.metric.unit));
        Numbers::Floats(values.collect::<Vec<_>>().concat())
    };
    (cells, numbers)
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}
