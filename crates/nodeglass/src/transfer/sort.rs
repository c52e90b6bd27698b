//! Sorting more than fits into memory: sorted runs in temporary files, merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use anyhow::Context;

/// What is sorted in memory at a time, in bytes.
const RUN_BYTES: usize = 64 << 20;
/// What an item costs in memory beyond its bytes.
const OVERHEAD_BYTES: usize = 32;
/// Runs that are merged at once: each is an open file.
const MAX_RUNS: usize = 64;

/// Takes items in any order and gives them in the order of their bytes.
#[derive(Debug)]
pub(super) struct Sorter {
    items: Vec<Box<[u8]>>,
    bytes: usize,
    run_bytes: usize,
    runs: Vec<File>,
}

impl Sorter {
    pub(super) fn new() -> Self {
        Self::with_runs_of(RUN_BYTES)
    }

    fn with_runs_of(run_bytes: usize) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            run_bytes,
            runs: Vec::new(),
        }
    }

    /// Adds an item.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub(super) fn add(&mut self, item: &[u8]) -> anyhow::Result<()> {
        self.items.push(item.into());
        self.bytes += item.len() + OVERHEAD_BYTES;
        if self.bytes >= self.run_bytes {
            self.items.sort_unstable();
            self.bytes = 0;
            let mut run = run()?;
            for item in self.items.drain(..) {
                put(&mut run, &item)?;
            }
            self.runs.push(begin_of(run)?);
            if self.runs.len() >= MAX_RUNS {
                let mut merged = run_of(std::mem::take(&mut self.runs))?;
                let mut run = self::run()?;
                while let Some(item) = merged.next()? {
                    put(&mut run, &item)?;
                }
                self.runs.push(begin_of(run)?);
            }
        }
        Ok(())
    }

    /// Gives all items to `found`, sorted.
    ///
    /// # Errors
    /// The temporary files can't be read, or what `found` says.
    pub(super) fn finish(mut self, mut found: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.items.sort_unstable();
        if self.runs.is_empty() {
            return self.items.iter().try_for_each(|item| found(item));
        }
        let mut last = run()?;
        for item in self.items.drain(..) {
            put(&mut last, &item)?;
        }
        self.runs.push(begin_of(last)?);
        let mut merged = run_of(self.runs)?;
        while let Some(item) = merged.next()? {
            found(&item)?;
        }
        Ok(())
    }
}

/// Several runs as one.
struct Merged {
    runs: Vec<BufReader<File>>,
    next: BinaryHeap<Reverse<(Box<[u8]>, usize)>>,
}

fn run_of(files: Vec<File>) -> anyhow::Result<Merged> {
    let mut runs: Vec<_> = files.into_iter().map(BufReader::new).collect();
    let mut next = BinaryHeap::new();
    for (number, run) in runs.iter_mut().enumerate() {
        next.extend(take(run)?.map(|item| Reverse((item, number))));
    }
    Ok(Merged { runs, next })
}

impl Merged {
    fn next(&mut self) -> anyhow::Result<Option<Box<[u8]>>> {
        let Some(Reverse((item, number))) = self.next.pop() else {
            return Ok(None);
        };
        let after = take(&mut self.runs[number])?;
        self.next.extend(after.map(|item| Reverse((item, number))));
        Ok(Some(item))
    }
}

fn run() -> anyhow::Result<BufWriter<File>> {
    let file =
        tempfile::tempfile().context("sorting needs room for temporary files: free some, or set TMPDIR")?;
    Ok(BufWriter::new(file))
}

fn begin_of(run: BufWriter<File>) -> anyhow::Result<File> {
    let mut file = run.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

fn put(run: &mut impl Write, item: &[u8]) -> anyhow::Result<()> {
    let length = u32::try_from(item.len()).context("an item of more than 4 GiB")?;
    run.write_all(&length.to_le_bytes())
        .and_then(|()| run.write_all(item))
        .context("sorting needs room for temporary files: free some, or set TMPDIR")
}

fn take(run: &mut impl Read) -> anyhow::Result<Option<Box<[u8]>>> {
    let mut length = [0; 4];
    if let Err(error) = run.read_exact(&mut length) {
        let is_end = error.kind() == std::io::ErrorKind::UnexpectedEof;
        return if is_end { Ok(None) } else { Err(error.into()) };
    }
    let mut item = vec![0; u32::from_le_bytes(length) as usize];
    run.read_exact(&mut item)?;
    Ok(Some(item.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_runs_come_out_as_one() {
        // A run for each two items, so that runs are merged on the way, too.
        let mut sorter = Sorter::with_runs_of(80);
        let mut expected: Vec<Vec<u8>> = (0..1_000_u32)
            .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[..(number % 5) as usize].to_vec())
            .collect();
        for item in &expected {
            sorter.add(item).unwrap();
        }
        assert!(sorter.runs.len() > 1);
        expected.sort();
        let mut found = Vec::new();
        sorter
            .finish(|item| {
                found.push(item.to_vec());
                Ok(())
            })
            .unwrap();
        assert_eq!(found, expected);
    }
}
