//! The values of one series: whole numbers as the smallest of several forms, or floats.
//!
//! ```text
//! piece    = form (1 byte, with two marks), then for
//!   constant        value (signed)
//!   linear          first value (signed), difference from one to the next (signed)
//!   floats          length of the bytes
//!   whole numbers   lowest (signed), divisor unless the form says that it is 1, length of the bytes
//! bytes    = of each whole number what is left, (value - lowest) / divisor, as
//!   varints         the difference from the one before (signed)
//!   zipped varints  the same under zstd
//!   packed          bits of each (1 byte), then those bits, the lowest first
//!   packed steps    the first, then the lowest difference from the one before (signed), and the rest of the differences, packed
//!   pco             pco's chunk of one page, of the narrowest numbers that hold them
//!          = of floats: pco's chunk of one page, or eight bytes each
//! ```
//!
//! Constant and linear ones have no bytes. The divisor is the largest that all have in common: memory comes in pages,
//! disks write sectors. pco keeps bounds of its bins at full width, so narrow numbers matter. In version 1, lowest and
//! divisor stood before the bytes.

mod estimate;
mod pack;
mod unpack;

use super::ChunkError;
use crate::varint::{Reader, put, put_signed};

pub(super) use pack::{PieceWriter, pco_header};
pub(super) use unpack::{Numbers, numbers};

const CONSTANT: u8 = 0;
const VARINTS: u8 = 1;
const ZIPPED: u8 = 2;
const PCO_8: u8 = 3;
const PCO_16: u8 = 4;
const PCO_32: u8 = 5;
const PCO_64: u8 = 6;
const LINEAR: u8 = 7;
const PACKED: u8 = 8;
const PACKED_STEPS: u8 = 9;
const PCO_FLOATS: u8 = 10;
const FLOATS: u8 = 11;

/// Marks a form whose divisor is 1.
const UNDIVIDED: u8 = 0x40;

/// Marks a form behind whose entry something is said about gaps.
const GAPS: u8 = 0x80;

/// How a piece is written, and where: an entry in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// One of the forms above.
    pub(super) form: u8,
    /// The value of a constant, the first of a linear one, the lowest of others, in steps.
    pub(super) lowest: i64,
    /// What values are divided by, or the step of a linear one. Zero in pieces of version 1, whose bytes have it.
    pub(super) divisor: u64,
    /// Where it lies among the pieces; the directory has the length only.
    pub(super) start: u64,
    /// Its length in bytes.
    pub(super) length: u64,
}

impl Piece {
    /// One without bytes, that is the same number over and over.
    pub(super) fn constant(value: i64, start: u64) -> Self {
        Self {
            form: CONSTANT,
            lowest: value,
            divisor: 1,
            start,
            length: 0,
        }
    }

    /// Writes the entry, marked if the column has gaps.
    pub(super) fn write(&self, out: &mut Vec<u8>, has_gaps: bool) {
        let gaps = if has_gaps { GAPS } else { 0 };
        match self.form {
            CONSTANT => {
                out.push(CONSTANT | gaps);
                put_signed(out, self.lowest);
            }
            LINEAR => {
                out.push(LINEAR | gaps);
                put_signed(out, self.lowest);
                put_signed(out, self.divisor as i64);
            }
            PCO_FLOATS | FLOATS => {
                out.push(self.form | gaps);
                put(out, self.length);
            }
            form => {
                let undivided = if self.divisor == 1 { UNDIVIDED } else { 0 };
                out.push(form | undivided | gaps);
                put_signed(out, self.lowest);
                if undivided == 0 {
                    put(out, self.divisor);
                }
                put(out, self.length);
            }
        }
    }

    /// Reads the entry of the piece that begins at `start`, and whether it is marked. A form that this program doesn't
    /// know is an error only once its values are asked for.
    pub(super) fn read(reader: &mut Reader<'_>, start: u64) -> Result<(Self, bool), ChunkError> {
        let form = reader.byte()?;
        let mut piece = Self {
            form: form & !(UNDIVIDED | GAPS),
            lowest: 0,
            divisor: 1,
            start,
            length: 0,
        };
        match piece.form {
            CONSTANT => piece.lowest = reader.signed()?,
            LINEAR => {
                piece.lowest = reader.signed()?;
                piece.divisor = reader.signed()? as u64;
            }
            PCO_FLOATS | FLOATS => piece.length = reader.unsigned()?,
            _ => {
                piece.lowest = reader.signed()?;
                if form & UNDIVIDED == 0 {
                    piece.divisor = reader.unsigned()?;
                    if piece.divisor == 0 {
                        return Err(ChunkError::Malformed("a divisor of zero"));
                    }
                }
                piece.length = reader.unsigned()?;
            }
        }
        Ok((piece, form & GAPS != 0))
    }

    /// Reads an entry of version 1.
    pub(super) fn read_version_1(reader: &mut Reader<'_>, start: u64) -> Result<Self, ChunkError> {
        let form = reader.byte()?;
        if form == CONSTANT {
            return Ok(Self::constant(reader.signed()?, start));
        }
        // Forms that version 1 did not have are as unknown as any other.
        let form = if form <= PCO_64 { form } else { u8::MAX };
        Ok(Self {
            form,
            lowest: 0,
            divisor: 0,
            start,
            length: reader.unsigned()?,
        })
    }
}

#[cfg(test)]
mod tests;
