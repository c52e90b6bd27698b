//! Files of samples: what `nodeglass export` writes and `nodeglass import` reads.
//!
//! A sample is several [`Entry`]s one after the other, one for each figure, text and failure of it. That is what CSV and
//! Parquet hold, whole and in order, so that nothing is lost; OpenMetrics has figures alone.

mod assemble;
pub(crate) mod csv;
mod entry;
pub(crate) mod openmetrics;
pub(crate) mod parquet;
mod sort;

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, bail};
use clap::ValueEnum;
use nodeglass_server::record::Record;

pub(crate) use assemble::Assembler;
pub(crate) use entry::{Entry, Said, entries};

/// A form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each figure: loses nothing
    Csv,
    /// The same as columns, smaller: loses nothing
    Parquet,
    /// For Prometheus and what understands its format: figures alone
    Openmetrics,
}

/// Something that records are written to.
pub(crate) trait Sink {
    /// Writes a record; those of one agent come one after the other, the oldest first.
    fn add(&mut self, record: &Record) -> anyhow::Result<()>;

    /// Writes what is left. Without it the file is not whole.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

impl Format {
    /// A file of this form.
    pub(crate) fn sink<'a>(self, out: impl Write + Send + 'a) -> anyhow::Result<Box<dyn Sink + 'a>> {
        Ok(match self {
            Self::Csv => Box::new(csv::Writer::new(out)?),
            Self::Parquet => Box::new(parquet::Writer::new(out)?),
            Self::Openmetrics => Box::new(openmetrics::Writer::new(out)?),
        })
    }

    /// The form of a file, by how it begins.
    fn of(file: &mut File) -> anyhow::Result<Self> {
        let mut begin = Vec::new();
        Read::by_ref(file).take(64).read_to_end(&mut begin)?;
        file.rewind()?;
        if begin.starts_with(b"PAR1") {
            return Ok(Self::Parquet);
        }
        if begin.starts_with(csv::BEGIN) {
            return Ok(Self::Csv);
        }
        if begin.starts_with(b"# ") {
            return Ok(Self::Openmetrics);
        }
        bail!("this is no file that `nodeglass export` wrote, or its first line was changed")
    }
}

/// Where in a file something stands: a line of a text, a row of a Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) u64);

/// Gives `found` every record of a file, with where it begins; stops at the first thing that can't be read.
pub(crate) fn read(
    path: &Path,
    mut found: impl FnMut(Place, Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut file = File::open(path).context("can't be opened")?;
    let format = Format::of(&mut file)?;
    match format {
        Format::Csv => csv::read(BufReader::new(file), &mut found),
        Format::Parquet => parquet::read(file, &mut found),
        Format::Openmetrics => openmetrics::read(BufReader::new(file), &mut found),
    }
}

#[cfg(test)]
mod tests;
