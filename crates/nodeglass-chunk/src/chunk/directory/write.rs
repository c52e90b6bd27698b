//! A directory as bytes.

use super::{Basics, Descriptions, IdRun, Section};
use crate::chunk::lists::write_lists;
use crate::chunk::piece::PieceWriter;
use crate::chunk::{EncodeError, MAGIC, MAX_DIRECTORY_BYTES, VERSION};
use crate::varint::{put, put_signed, put_text};

/// What leads to the values of one series is read by everybody: of fewer bytes than this it stays as it is. Of a host
/// of 200 series zstd would take 400 bytes off 30,000, and four microseconds each time.
const OWN_WORTH_ZIPPING: usize = 4096;

/// The other parts of fewer bytes stay as they are.
const WORTH_ZIPPING: usize = 256;

/// Writes it, magic and version first.
pub(in crate::chunk) fn write(
    basics: &Basics,
    own: &Section,
    shared: &Section,
    descriptions: &Descriptions,
    pieces: &mut PieceWriter,
) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(2048);
    out.extend([MAGIC, VERSION]);
    put(&mut out, u64::from(basics.points));
    if let Some((piece, bytes)) = &basics.times {
        put_signed(&mut out, basics.earliest);
        put(&mut out, basics.span);
        piece.write(&mut out, false);
        out.extend_from_slice(bytes);
    }
    put(&mut out, basics.pco_header.len() as u64);
    out.extend_from_slice(&basics.pco_header);
    write_ids(&basics.ids, &mut out);
    put(&mut out, basics.payload);

    let mut part = Vec::with_capacity(4096);
    write_own(own, basics.points, &mut part);
    write_part(&part, OWN_WORTH_ZIPPING, pieces, &mut out)?;
    let kinds = shared.groups.iter().map(|group| kind_bit(group.dimension));
    put(&mut out, kinds.fold(0, |kinds, bit| kinds | bit));
    part.clear();
    write_shared(shared, basics.points, &mut part);
    write_part(&part, WORTH_ZIPPING, pieces, &mut out)?;
    part.clear();
    descriptions.texts.write(&mut part);
    write_lists(&descriptions.lists, &mut part);
    descriptions.failures.write(&mut part);
    for timeline in &descriptions.attributes {
        timeline.write(&mut part);
    }
    write_part(&part, WORTH_ZIPPING, pieces, &mut out)?;
    Ok(out)
}

/// The bit that says that devices of a dimension share pieces.
pub(super) fn kind_bit(dimension: u8) -> u64 {
    1 << dimension.min(63)
}

fn write_part(
    part: &[u8],
    worth_zipping: usize,
    pieces: &mut PieceWriter,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    if part.len() > MAX_DIRECTORY_BYTES {
        return Err(EncodeError::TooMuch("a larger directory than a chunk may have"));
    }
    put(out, part.len() as u64);
    if part.len() >= worth_zipping {
        let zipped = pieces.zip(part).ok_or(EncodeError::Compression)?;
        if zipped.len() < part.len() {
            put(out, zipped.len() as u64);
            out.extend_from_slice(&zipped);
            return Ok(());
        }
    }
    put(out, 0);
    out.extend_from_slice(part);
    Ok(())
}

fn write_own(own: &Section, points: u32, out: &mut Vec<u8>) {
    put(out, own.devices.len() as u64);
    for (device, group) in own.devices.iter().zip(&own.groups) {
        out.push(device.dimension);
        put_text(out, own.label(device));
        device.points.write(out, points);
        write_columns(own, group, out);
    }
}

fn write_shared(shared: &Section, points: u32, out: &mut Vec<u8>) {
    if shared.devices.is_empty() {
        return;
    }
    put(out, shared.devices.len() as u64);
    out.extend(shared.devices.iter().map(|device| device.dimension));
    for device in &shared.devices {
        put_text(out, shared.label(device));
    }
    for device in &shared.devices {
        device.points.write(out, points);
    }
    for group in &shared.groups {
        write_columns(shared, group, out);
    }
}

fn write_columns(section: &Section, group: &super::Group, out: &mut Vec<u8>) {
    put(out, group.columns.len() as u64);
    let mut before = 0;
    for column in section.columns(group) {
        put(out, u64::from(column.metric - before));
        let has_gaps = column.cells.count() != group.cells;
        column.piece.write(out, has_gaps);
        if has_gaps {
            column.cells.write(out, group.cells);
        }
        before = column.metric;
    }
}

fn write_ids(runs: &[IdRun], out: &mut Vec<u8>) {
    put(out, runs.len() as u64);
    let (mut epoch, mut seq) = (0_u64, 0_u64);
    for run in runs {
        put_signed(out, run.first.epoch.wrapping_sub(epoch) as i64);
        put_signed(out, run.first.seq.wrapping_sub(seq) as i64);
        put(out, u64::from(run.count));
        (epoch, seq) = (run.first.epoch, run.next());
    }
}
