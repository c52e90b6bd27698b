//! Numbers into pieces.

use pco::data_types::Number;
use pco::wrapped::FileCompressor;
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::estimate::orders;
use super::{
    FLOATS, LINEAR, Numbers, PACKED, PACKED_STEPS, PCO_8, PCO_16, PCO_32, PCO_64, PCO_FLOATS, Piece, VARINTS,
    ZIPPED,
};
use crate::chunk::Effort;
use crate::chunk::zip::Zipper;
use crate::varint::{put, put_signed};

/// Fewer bytes than this are not worth a zstd frame, fewer values not pco's bins.
const WORTH_PACKING: usize = 16;

/// zstd is tried if at least one in so many is the same as the one before: those that it wins are such.
const REPEATS_WORTH_ZIPPING: usize = 3;

/// How hard pco tries. Level 4 saves a tenth of its time and loses 4 % of space.
const PCO_LEVEL: usize = 8;

/// What begins pco's files: the version of its format. A chunk has it once.
pub(in crate::chunk) fn pco_header() -> Vec<u8> {
    FileCompressor::default()
        .write_header(Vec::new())
        .unwrap_or_default()
}

/// Writes pieces, keeping working memory from one to the next.
pub(in crate::chunk) struct PieceWriter {
    pub(in crate::chunk) effort: Effort,
    zipper: Zipper,
    rests: Vec<u64>,
    varints: Vec<u8>,
}

impl PieceWriter {
    pub(in crate::chunk) fn new() -> Self {
        Self {
            effort: Effort::Best,
            zipper: Zipper::new(),
            rests: Vec::new(),
            varints: Vec::new(),
        }
    }

    /// Appends the numbers to the pieces there are.
    pub(in crate::chunk) fn write(&mut self, pieces: &mut Vec<u8>, numbers: &Numbers) -> Piece {
        match numbers {
            Numbers::Steps(steps) => self.write_steps(pieces, steps),
            Numbers::Floats(floats) => self.write_floats(pieces, floats),
        }
    }

    /// Appends whole numbers to the pieces there are.
    pub(in crate::chunk) fn write_steps(&mut self, pieces: &mut Vec<u8>, values: &[i64]) -> Piece {
        let start = pieces.len();
        let first = values.first().copied().unwrap_or(0);
        let (mut lowest, mut differing) = (first, 0);
        for value in values {
            lowest = lowest.min(*value);
            differing |= value.wrapping_sub(first);
        }
        if differing == 0 {
            return Piece::constant(first, start as u64);
        }
        let shift = differing.trailing_zeros();
        let above = |value: &i64| value.wrapping_sub(lowest) as u64;
        self.rests.clear();
        self.rests
            .extend(values.iter().map(|value| above(value) >> shift));
        let mut divisor = 1_u64 << shift;
        if self.effort == Effort::Best {
            let odd = greatest_common_divisor(&self.rests);
            divisor *= odd;
            if odd > 1 {
                self.rests.iter_mut().for_each(|rest| *rest /= odd);
            }
        }
        let shape = Shape::of(&self.rests);
        if shape.lowest_step == shape.highest_step {
            return Piece {
                form: LINEAR,
                lowest: first,
                divisor: divisor.wrapping_mul(shape.lowest_step as u64),
                start: start as u64,
                length: 0,
            };
        }
        let form = match self.effort {
            Effort::Quick => self.write_quick(pieces, &shape),
            Effort::Best => self.write_best(pieces, &shape),
        };
        Piece {
            form,
            lowest,
            divisor,
            start: start as u64,
            length: (pieces.len() - start) as u64,
        }
    }

    /// Writes the rests in a form that costs next to nothing.
    fn write_quick(&mut self, pieces: &mut Vec<u8>, shape: &Shape) -> u8 {
        let (form, _) = shape.smallest(self.rests.len());
        match form {
            PACKED => shape.pack(&self.rests, pieces),
            PACKED_STEPS => shape.pack_steps(&self.rests, pieces),
            _ => put_varints(&self.rests, pieces),
        }
        form
    }

    /// Writes the rests in the smallest form.
    fn write_best(&mut self, pieces: &mut Vec<u8>, shape: &Shape) -> u8 {
        let (quick, mut least) = shape.smallest(self.rests.len());
        let mut best = (quick, None);
        let mut offer = |form, packed: Option<Vec<u8>>| {
            if let Some(packed) = packed.filter(|packed| packed.len() < least) {
                least = packed.len();
                best = (form, Some(packed));
            }
        };
        if self.rests.len() >= WORTH_PACKING {
            let (orders, tries) = orders(&self.rests);
            for order in &orders[..tries] {
                let (form, packed) = to_pco(&self.rests, shape.highest, *order);
                offer(form, packed);
            }
            if shape.repeats * REPEATS_WORTH_ZIPPING >= self.rests.len() {
                self.varints.clear();
                put_varints(&self.rests, &mut self.varints);
                offer(ZIPPED, self.zipper.zip(&self.varints));
            }
        }
        match best {
            (form, Some(packed)) => {
                pieces.extend_from_slice(&packed);
                form
            }
            (_, None) => self.write_quick(pieces, shape),
        }
    }

    /// Appends floats to the pieces there are.
    fn write_floats(&mut self, pieces: &mut Vec<u8>, floats: &[f64]) -> Piece {
        let start = pieces.len();
        let mut least = floats.len() * 8;
        let mut best = None;
        if self.effort == Effort::Best && floats.len() >= WORTH_PACKING {
            for order in [0, 1] {
                if let Some(packed) = pco(floats, order).filter(|packed| packed.len() < least) {
                    least = packed.len();
                    best = Some(packed);
                }
            }
        }
        let form = if let Some(packed) = best {
            pieces.extend_from_slice(&packed);
            PCO_FLOATS
        } else {
            pieces.extend(floats.iter().flat_map(|float| float.to_le_bytes()));
            FLOATS
        };
        Piece {
            form,
            lowest: 0,
            divisor: 1,
            start: start as u64,
            length: (pieces.len() - start) as u64,
        }
    }

    /// Makes a part of a directory small. `None` only when zstd has no memory.
    pub(in crate::chunk) fn zip(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.zipper.zip(bytes)
    }
}

/// What decides between the quick forms.
struct Shape {
    highest: u64,
    lowest_step: i64,
    highest_step: i64,
    /// How many are the same as the one before.
    repeats: usize,
    /// What varints take; not known where they are not worth a thought.
    varint_bytes: usize,
}

impl Shape {
    fn of(rests: &[u64]) -> Self {
        let first = rests.first().copied().unwrap_or(0);
        let mut shape = Self {
            highest: first,
            lowest_step: i64::MAX,
            highest_step: i64::MIN,
            repeats: 0,
            varint_bytes: usize::MAX,
        };
        for pair in rests.windows(2) {
            let step = pair[1].wrapping_sub(pair[0]) as i64;
            shape.highest = shape.highest.max(pair[1]);
            shape.repeats += usize::from(step == 0);
            shape.lowest_step = shape.lowest_step.min(step);
            shape.highest_step = shape.highest_step.max(step);
        }
        if shape.width().min(shape.step_width()) > 8 {
            // Packed, each takes more than the byte that a small difference takes as a varint.
            let steps = rests.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as i64);
            shape.varint_bytes = varint_bytes(first as i64) + steps.map(varint_bytes).sum::<usize>();
        }
        shape
    }

    /// The bits of one, packed.
    fn width(&self) -> u32 {
        64 - self.highest.leading_zeros()
    }

    /// The bits of one difference, packed.
    fn step_width(&self) -> u32 {
        64 - self.highest_step.wrapping_sub(self.lowest_step).leading_zeros()
    }

    /// The smallest of the quick forms, and its length or a little more.
    fn smallest(&self, count: usize) -> (u8, usize) {
        let packed = 1 + (count * self.width() as usize).div_ceil(8);
        let most = 2 * varint_bytes(self.lowest_step) + varint_bytes(self.highest as i64);
        let steps = most + (count * self.step_width() as usize).div_ceil(8);
        [
            (PACKED, packed),
            (PACKED_STEPS, steps),
            (VARINTS, self.varint_bytes),
        ]
        .into_iter()
        .min_by_key(|(_, length)| *length)
        .unwrap_or((VARINTS, self.varint_bytes))
    }

    fn pack(&self, rests: &[u64], out: &mut Vec<u8>) {
        put_packed(rests.iter().copied(), self.width(), out);
    }

    fn pack_steps(&self, rests: &[u64], out: &mut Vec<u8>) {
        put(out, rests.first().copied().unwrap_or(0));
        put_signed(out, self.lowest_step);
        let steps = rests.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let steps = steps.map(|step| step.wrapping_sub(self.lowest_step as u64));
        put_packed(steps, self.step_width(), out);
    }
}

/// The bytes that a signed number takes as a varint.
fn varint_bytes(number: i64) -> usize {
    let folded = ((number << 1) ^ (number >> 63)) as u64;
    (70 - (folded | 1).leading_zeros() as usize) / 7
}

fn put_varints(rests: &[u64], out: &mut Vec<u8>) {
    let mut before = 0;
    for rest in rests {
        put_signed(out, rest.wrapping_sub(before) as i64);
        before = *rest;
    }
}

/// Appends so many bits of each number, the lowest first.
fn put_packed(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    out.push(width as u8);
    let (mut held, mut bits) = (0_u128, 0);
    for number in numbers {
        held |= u128::from(number) << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&(held as u64).to_le_bytes());
            held >>= 64;
            bits -= 64;
        }
    }
    out.extend_from_slice(&(held as u64).to_le_bytes()[..bits.div_ceil(8) as usize]);
}

fn greatest_common_divisor(numbers: &[u64]) -> u64 {
    let mut all = 0;
    for number in numbers {
        let (mut a, mut b) = (*number, all);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        all = a;
        if all == 1 {
            break;
        }
    }
    all
}

fn to_pco(rests: &[u64], highest: u64, order: usize) -> (u8, Option<Vec<u8>>) {
    fn narrow<T: Number>(rests: &[u64], order: usize, to: impl Fn(u64) -> T) -> Option<Vec<u8>> {
        let numbers: Vec<T> = rests.iter().map(|rest| to(*rest)).collect();
        pco(&numbers, order)
    }
    match highest {
        0..=0xff => (PCO_8, narrow(rests, order, |rest| rest as u8)),
        0x100..=0xffff => (PCO_16, narrow(rests, order, |rest| rest as u16)),
        0x1_0000..=0xffff_ffff => (PCO_32, narrow(rests, order, |rest| rest as u32)),
        _ => (PCO_64, pco(rests, order)),
    }
}

fn pco<T: Number>(numbers: &[T], order: usize) -> Option<Vec<u8>> {
    let config = ChunkConfig::default()
        .with_compression_level(PCO_LEVEL)
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::TryConsecutive(order))
        .with_paging_spec(pco::PagingSpec::Exact(vec![numbers.len()]))
        .with_enable_8_bit(true);
    let mut chunk = FileCompressor::default()
        .chunk_compressor(numbers, &config)
        .ok()?;
    let packed = chunk.write_meta(Vec::new()).ok()?;
    chunk.write_page(0, packed).ok()
}
