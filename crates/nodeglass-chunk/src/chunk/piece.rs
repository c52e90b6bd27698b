//! The values of one series: whole numbers as the smallest of several forms.
//!
//! ```text
//! constant = nothing; the directory has the value
//! others   = lowest (signed), divisor, then what is left of each value: (value - lowest) / divisor, as
//!   varints         the difference from the one before (signed)
//!   zipped varints  the same under zstd
//!   pco             pco's chunk of one page, of the narrowest numbers that hold them
//! ```
//!
//! The divisor is the largest that all have in common: memory comes in pages, disks write sectors. pco keeps bounds of
//! its bins at full width, so narrow numbers matter. On a trace of a real host at one second, pco is smallest for most
//! series and zipped varints for smooth ones; trying them all takes about 70 µs for 720 values.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::zip::{Zipper, unzip};
use super::{ChunkError, Effort};
use crate::varint::{Reader, put, put_signed};

const CONSTANT: u8 = 0;
const VARINTS: u8 = 1;
const ZIPPED: u8 = 2;
const PCO_8: u8 = 3;
const PCO_16: u8 = 4;
const PCO_32: u8 = 5;
const PCO_64: u8 = 6;

/// The most bytes that one number takes as a varint.
const VARINT_BYTES: usize = 10;

/// Fewer bytes than this are not worth a zstd frame, fewer values not pco's bins.
const WORTH_PACKING: usize = 16;

/// How hard pco tries. Level 4 saves a tenth of its time and loses 4 % of space.
const PCO_LEVEL: usize = 8;

/// How a piece is written, and where: an entry in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// One of the forms above.
    pub(super) kind: u8,
    /// The value of a constant, in steps; zero otherwise.
    pub(super) constant: i64,
    /// Where it lies among the pieces; the directory has the length only.
    pub(super) start: u64,
    /// Its length in bytes; zero for a constant.
    pub(super) length: u64,
}

impl Piece {
    /// Writes the entry.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.kind);
        if self.kind == CONSTANT {
            put_signed(out, self.constant);
        } else {
            put(out, self.length);
        }
    }

    /// Reads the entry of the piece that begins at `start`. A kind that this program doesn't know is an error only
    /// once its values are asked for.
    pub(super) fn read(reader: &mut Reader<'_>, start: u64) -> Result<Self, ChunkError> {
        let kind = reader.byte()?;
        let (constant, length) = if kind == CONSTANT {
            (reader.signed()?, 0)
        } else {
            (0, reader.unsigned()?)
        };
        Ok(Self {
            kind,
            constant,
            start,
            length,
        })
    }
}

/// What begins pco's files: the version of its format. A chunk has it once.
pub(super) fn pco_header() -> Vec<u8> {
    FileCompressor::default()
        .write_header(Vec::new())
        .unwrap_or_default()
}

/// Writes pieces, keeping working memory from one to the next.
pub(super) struct PieceWriter {
    pub(super) effort: Effort,
    zipper: Zipper,
    rests: Vec<u64>,
    varints: Vec<u8>,
}

impl PieceWriter {
    pub(super) fn new() -> Self {
        Self {
            effort: Effort::Best,
            zipper: Zipper::new(),
            rests: Vec::new(),
            varints: Vec::new(),
        }
    }

    /// Appends the values to the pieces there are.
    pub(super) fn write(&mut self, pieces: &mut Vec<u8>, values: &[i64]) -> Piece {
        let start = pieces.len();
        let lowest = values.iter().copied().min().unwrap_or(0);
        let above = |value: &i64| value.wrapping_sub(lowest) as u64;
        let divisor = values.iter().map(above).fold(0, greatest_common_divisor);
        if divisor == 0 {
            return Piece {
                kind: CONSTANT,
                constant: lowest,
                start: start as u64,
                length: 0,
            };
        }
        self.rests.clear();
        self.rests
            .extend(values.iter().map(|value| above(value) / divisor));
        self.varints.clear();
        let mut before = 0;
        for rest in &self.rests {
            put_signed(&mut self.varints, rest.wrapping_sub(before) as i64);
            before = *rest;
        }

        let mut best = (VARINTS, None);
        let mut least = self.varints.len();
        let mut offer = |kind, packed: Option<Vec<u8>>| {
            if let Some(packed) = packed.filter(|packed| packed.len() < least) {
                least = packed.len();
                best = (kind, Some(packed));
            }
        };
        if self.varints.len() >= WORTH_PACKING {
            offer(ZIPPED, self.zipper.zip(&self.varints));
        }
        if self.effort == Effort::Best && self.rests.len() >= WORTH_PACKING {
            for order in orders(&self.rests) {
                let (kind, packed) = pack(&self.rests, order);
                offer(kind, packed);
            }
        }
        put_signed(pieces, lowest);
        put(pieces, divisor);
        pieces.extend_from_slice(best.1.as_deref().unwrap_or(&self.varints));
        Piece {
            kind: best.0,
            constant: 0,
            start: start as u64,
            length: (pieces.len() - start) as u64,
        }
    }

    /// Makes a directory small. `None` only when zstd has no memory.
    pub(super) fn zip(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.zipper.zip(bytes)
    }
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The orders of differences that are worth a try: values themselves win where they are mostly noise around a few
/// levels, differences where they drift, and differences of those where they climb.
fn orders(rests: &[u64]) -> [usize; 2] {
    let steps = || rests.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as i64);
    let first: u128 = steps().map(|step| u128::from(step.unsigned_abs())).sum();
    let second: u128 = steps()
        .zip(steps().skip(1))
        .map(|(a, b)| u128::from(b.wrapping_sub(a).unsigned_abs()))
        .sum();
    [0, if second < first { 2 } else { 1 }]
}

fn pack(rests: &[u64], order: usize) -> (u8, Option<Vec<u8>>) {
    fn narrow<T: Number>(rests: &[u64], order: usize, to: impl Fn(u64) -> T) -> Option<Vec<u8>> {
        let numbers: Vec<T> = rests.iter().map(|rest| to(*rest)).collect();
        let config = ChunkConfig::default()
            .with_compression_level(PCO_LEVEL)
            .with_mode_spec(ModeSpec::Classic)
            .with_delta_spec(DeltaSpec::TryConsecutive(order))
            .with_paging_spec(pco::PagingSpec::Exact(vec![numbers.len()]))
            .with_enable_8_bit(true);
        let mut chunk = FileCompressor::default()
            .chunk_compressor(&numbers, &config)
            .ok()?;
        let packed = chunk.write_meta(Vec::new()).ok()?;
        chunk.write_page(0, packed).ok()
    }
    match rests.iter().copied().max().unwrap_or(0) {
        0..=0xff => (PCO_8, narrow(rests, order, |rest| rest as u8)),
        0x100..=0xffff => (PCO_16, narrow(rests, order, |rest| rest as u16)),
        0x1_0000..=0xffff_ffff => (PCO_32, narrow(rests, order, |rest| rest as u32)),
        _ => (PCO_64, narrow(rests, order, |rest| rest)),
    }
}

/// Reads the `count` values of a piece, whose bytes these are. Takes at most 18 bytes for each besides what it returns.
pub(super) fn values(
    piece: Piece,
    slice: &[u8],
    count: usize,
    pco_header: &[u8],
) -> Result<Vec<i64>, ChunkError> {
    if piece.kind == CONSTANT {
        return Ok(vec![piece.constant; count]);
    }
    match (slice.len() as u64).cmp(&piece.length) {
        std::cmp::Ordering::Less => return Err(ChunkError::Cut),
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Greater => return Err(ChunkError::Malformed("more than a piece")),
    }
    let mut reader = Reader::new(slice);
    let lowest = reader.signed()?;
    let divisor = reader.unsigned()?;
    let packed = reader.rest();
    let rests = match piece.kind {
        VARINTS => from_varints(packed, count)?,
        ZIPPED => from_varints(&unzip(packed, count * VARINT_BYTES)?, count)?,
        PCO_8 => unpack::<u8>(packed, count, pco_header)?,
        PCO_16 => unpack::<u16>(packed, count, pco_header)?,
        PCO_32 => unpack::<u32>(packed, count, pco_header)?,
        PCO_64 => unpack::<u64>(packed, count, pco_header)?,
        _ => {
            return Err(ChunkError::Malformed(
                "a kind of piece that this program doesn't know",
            ));
        }
    };
    let value = |rest: u64| lowest.wrapping_add(rest.wrapping_mul(divisor) as i64);
    Ok(rests.into_iter().map(value).collect())
}

fn from_varints(varints: &[u8], count: usize) -> Result<Vec<u64>, ChunkError> {
    // Each takes a byte at least, so what is allocated is no more than there is.
    if varints.len() < count {
        return Err(ChunkError::Cut);
    }
    let mut reader = Reader::new(varints);
    let mut rests = Vec::with_capacity(count);
    let mut before = 0_u64;
    for _ in 0..count {
        before = before.wrapping_add(reader.signed()? as u64);
        rests.push(before);
    }
    if reader.is_empty() {
        Ok(rests)
    } else {
        Err(ChunkError::Malformed("more than a piece"))
    }
}

fn unpack<T: Number + Default + Into<u64>>(
    packed: &[u8],
    count: usize,
    header: &[u8],
) -> Result<Vec<u64>, ChunkError> {
    // pco's first byte has the mode in its lower half and the kind of differences in its upper. Only what `pack` writes
    // is let through: classic mode, no differences or plain ones. The others reserve memory by what the bytes claim.
    let known = packed.first().is_some_and(|first| matches!(first, 0x00 | 0x10));
    if !known {
        return Err(ChunkError::Compression);
    }
    let read = || {
        let (file, _) = FileDecompressor::new(header)?;
        let (mut chunk, page) = file.chunk_decompressor::<T, _>(packed)?;
        let mut numbers = vec![T::default(); count];
        let mut page = chunk.page_decompressor(page, count)?;
        page.read(&mut numbers)?;
        Ok::<_, pco::errors::PcoError>((numbers, page.into_src().is_empty()))
    };
    match read() {
        Ok((numbers, true)) => Ok(numbers.into_iter().map(Into::into).collect()),
        Ok((_, false)) => Err(ChunkError::Malformed("more than a piece")),
        Err(_) => Err(ChunkError::Compression),
    }
}

#[cfg(test)]
mod tests;
