//! Pieces back into numbers.

use nodeglass_model::catalogue::Unit;
use pco::data_types::Number;
use pco::wrapped::FileDecompressor;

use super::{
    CONSTANT, FLOATS, LINEAR, PACKED, PACKED_STEPS, PCO_8, PCO_16, PCO_32, PCO_64, PCO_FLOATS, Piece,
    VARINTS, ZIPPED,
};
use crate::chunk::{ChunkError, zip};
use crate::varint::Reader;

/// The most bytes that one number takes as a varint.
const VARINT_BYTES: usize = 10;

/// What a piece holds.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::chunk) enum Numbers {
    /// Whole steps of the metric's unit.
    Steps(Vec<i64>),
    /// Values.
    Floats(Vec<f64>),
}

impl Numbers {
    /// How many there are.
    pub(in crate::chunk) fn len(&self) -> usize {
        match self {
            Self::Steps(steps) => steps.len(),
            Self::Floats(floats) => floats.len(),
        }
    }

    /// The values in whole steps of a unit.
    pub(in crate::chunk) fn into_steps(self, unit: Unit) -> Vec<f64> {
        match self {
            Self::Steps(steps) => steps.into_iter().map(|steps| steps as f64).collect(),
            Self::Floats(floats) => floats
                .into_iter()
                .map(|value| unit.to_steps(value) as f64)
                .collect(),
        }
    }

    /// The values, in a unit.
    pub(in crate::chunk) fn into_values(self, unit: Unit) -> Vec<f64> {
        match self {
            Self::Steps(steps) => steps.into_iter().map(|steps| unit.of_steps(steps)).collect(),
            Self::Floats(floats) => floats,
        }
    }
}

/// Reads the `count` numbers of a piece, whose bytes these are. Takes at most 18 bytes for each besides what it returns.
pub(in crate::chunk) fn numbers(
    piece: Piece,
    bytes: &[u8],
    count: usize,
    pco_header: &[u8],
) -> Result<Numbers, ChunkError> {
    match (bytes.len() as u64).cmp(&piece.length) {
        std::cmp::Ordering::Less => return Err(ChunkError::Cut),
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Greater => return Err(ChunkError::Malformed("more than a piece")),
    }
    let Piece { lowest, divisor, .. } = piece;
    match piece.form {
        CONSTANT => return Ok(Numbers::Steps(vec![lowest; count])),
        LINEAR => {
            let of = |at: u64| lowest.wrapping_add(at.wrapping_mul(divisor) as i64);
            return Ok(Numbers::Steps((0..count as u64).map(of).collect()));
        }
        PCO_FLOATS | FLOATS => return floats(piece.form, bytes, count, pco_header).map(Numbers::Floats),
        _ => {}
    }
    let mut reader = Reader::new(bytes);
    let (lowest, divisor) = match divisor {
        0 => (reader.signed()?, reader.unsigned()?),
        _ => (lowest, divisor),
    };
    let bytes = reader.rest();
    let steps = |rest: u64| lowest.wrapping_add(rest.wrapping_mul(divisor) as i64);
    let steps = match piece.form {
        VARINTS => from_varints(bytes, count, steps)?,
        ZIPPED => from_varints(&zip::unzip(bytes, count * VARINT_BYTES)?, count, steps)?,
        PACKED => from_packed(bytes, count, steps)?,
        PACKED_STEPS => from_packed_steps(bytes, count, steps)?,
        PCO_8 => from_pco::<u8>(bytes, count, pco_header, steps)?,
        PCO_16 => from_pco::<u16>(bytes, count, pco_header, steps)?,
        PCO_32 => from_pco::<u32>(bytes, count, pco_header, steps)?,
        PCO_64 => from_pco::<u64>(bytes, count, pco_header, steps)?,
        _ => {
            return Err(ChunkError::Malformed(
                "a form of piece that this program doesn't know",
            ));
        }
    };
    Ok(Numbers::Steps(steps))
}

fn floats(form: u8, bytes: &[u8], count: usize, pco_header: &[u8]) -> Result<Vec<f64>, ChunkError> {
    let floats = if form == PCO_FLOATS {
        unpack::<f64>(bytes, count, pco_header)?
    } else {
        let (eights, rest) = bytes.as_chunks::<8>();
        if eights.len() != count || !rest.is_empty() {
            return Err(ChunkError::Malformed("more or fewer floats than it says"));
        }
        eights.iter().map(|eight| f64::from_le_bytes(*eight)).collect()
    };
    if floats.iter().all(|float| float.is_finite()) {
        Ok(floats)
    } else {
        Err(ChunkError::Malformed("a value that is no number"))
    }
}

fn from_varints(varints: &[u8], count: usize, steps: impl Fn(u64) -> i64) -> Result<Vec<i64>, ChunkError> {
    // Each takes a byte at least, so what is allocated is no more than there is.
    if varints.len() < count {
        return Err(ChunkError::Cut);
    }
    let mut reader = Reader::new(varints);
    let mut all = Vec::with_capacity(count);
    let mut before = 0_u64;
    for _ in 0..count {
        before = before.wrapping_add(reader.signed()? as u64);
        all.push(steps(before));
    }
    if reader.is_empty() {
        Ok(all)
    } else {
        Err(ChunkError::Malformed("more than a piece"))
    }
}

fn from_packed(packed: &[u8], count: usize, steps: impl Fn(u64) -> i64) -> Result<Vec<i64>, ChunkError> {
    let mut all = Vec::with_capacity(count);
    each_packed(packed, count, |rest| all.push(steps(rest)))?;
    Ok(all)
}

fn from_packed_steps(
    packed: &[u8],
    count: usize,
    steps: impl Fn(u64) -> i64,
) -> Result<Vec<i64>, ChunkError> {
    let mut reader = Reader::new(packed);
    let mut rest = reader.unsigned()?;
    let lowest = reader.signed()? as u64;
    let mut all = Vec::with_capacity(count);
    all.push(steps(rest));
    each_packed(reader.rest(), count.saturating_sub(1), |step| {
        rest = rest.wrapping_add(lowest).wrapping_add(step);
        all.push(steps(rest));
    })?;
    all.truncate(count);
    Ok(all)
}

/// Takes `count` numbers of so many bits, as the first byte says, and gives each to `take`.
fn each_packed(packed: &[u8], count: usize, mut take: impl FnMut(u64)) -> Result<(), ChunkError> {
    let (width, packed) = packed.split_first().ok_or(ChunkError::Cut)?;
    let width = usize::from(*width);
    if width > 64 || packed.len() != (count * width).div_ceil(8) {
        return Err(ChunkError::Malformed("more or fewer bits than it says"));
    }
    let mask = u64::MAX.checked_shr(64 - width as u32).unwrap_or(0);
    let (mut held, mut bits) = (0_u128, 0);
    let mut words = packed.chunks(8);
    for _ in 0..count {
        if bits < width {
            let mut word = [0; 8];
            let next = words.next().unwrap_or_default();
            word[..next.len()].copy_from_slice(next);
            held |= u128::from(u64::from_le_bytes(word)) << bits;
            bits += 64;
        }
        take(held as u64 & mask);
        held >>= width;
        bits -= width;
    }
    Ok(())
}

fn from_pco<T: Number + Default + Into<u64>>(
    packed: &[u8],
    count: usize,
    header: &[u8],
    steps: impl Fn(u64) -> i64,
) -> Result<Vec<i64>, ChunkError> {
    let rests = unpack::<T>(packed, count, header)?;
    Ok(rests.into_iter().map(|rest| steps(rest.into())).collect())
}

fn unpack<T: Number + Default>(packed: &[u8], count: usize, header: &[u8]) -> Result<Vec<T>, ChunkError> {
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
        Ok((numbers, true)) => Ok(numbers),
        Ok((_, false)) => Err(ChunkError::Malformed("more than a piece")),
        Err(_) => Err(ChunkError::Compression),
    }
}
