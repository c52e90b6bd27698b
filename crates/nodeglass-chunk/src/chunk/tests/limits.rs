//! Chunks that claim more than a chunk may have.

use nodeglass_model::sample::CollectFailure;

use super::{Directory, bare, id};
use crate::chunk::directory::{Column, Descriptions, Section, id_runs};
use crate::chunk::lists::{Numbering, Timeline};
use crate::chunk::piece::Piece;
use crate::chunk::presence::Presence;
use crate::chunk::*;
use crate::varint::put;

/// Reads all of a directory.
fn open(directory: &[u8]) -> Result<(), ChunkError> {
    Head::read(directory)?.descriptions().map(|_| ())
}

fn limit(what: &'static str) -> Result<(), ChunkError> {
    Err(ChunkError::Malformed(what))
}

/// As many points as there may be, and one device that is always there, with so many constant metrics.
fn most_points(columns: u16) -> Directory {
    let timeline = always();
    let mut directory = Directory {
        descriptions: Descriptions {
            lists: vec![Vec::new()],
            failures: timeline.clone(),
            attributes: vec![timeline],
            ..Descriptions::default()
        },
        ..Directory::default()
    };
    directory.basics.points = MAX_POINTS;
    directory.basics.times = Some((Piece::constant(0, 0), Vec::new()));
    directory.basics.ids = id_runs((0..u64::from(MAX_POINTS)).map(id));
    directory.own.add_device(0, "", Presence::all(MAX_POINTS));
    directory.own.add_group(0);
    for metric in 0..columns {
        directory.own.add_column(Column {
            metric,
            cells: Presence::all(MAX_POINTS),
            piece: Piece::constant(0, 0),
        });
    }
    directory
}

/// The first list at every point.
fn always() -> Timeline {
    let mut timeline = Timeline::default();
    (0..MAX_POINTS).for_each(|_| timeline.push(0));
    timeline
}

#[test]
fn four_billion_points() {
    let mut claim = vec![MAGIC, VERSION];
    put(&mut claim, u64::from(u32::MAX));
    // Times, a constant; no version of pco; one run of ids.
    claim.extend([0, 0, 0, 0, 0, 1, 0, 0]);
    put(&mut claim, u64::from(u32::MAX));
    assert_eq!(open(&claim), limit("more points than a chunk may have"));
}

#[test]
fn many_figures() {
    let most = (MAX_FIGURES / u64::from(MAX_POINTS)) as u16 - 1;
    assert_eq!(open(&most_points(most).write()), Ok(()));
    assert_eq!(
        open(&most_points(most + 1).write()),
        limit("more figures than a chunk may have")
    );
}

#[test]
fn many_devices() {
    let mut directory = most_points(0);
    directory.own = Section::default();
    directory.basics.points = 1;
    directory.basics.ids[0].count = 1;
    for _ in 0..=MAX_DEVICES {
        directory.shared.add_device(11, "", Presence::all(1));
    }
    directory.shared.add_group(0);
    assert_eq!(
        open(&directory.write()),
        limit("more devices than a chunk may have")
    );
}

#[test]
fn a_long_text_at_every_point() {
    let mut directory = most_points(1);
    directory.own = Section::default();
    let text = "x".repeat(1024);
    directory.own.add_device(0, &text, Presence::all(MAX_POINTS));
    directory.own.add_group(0);
    assert_eq!(open(&directory.write()), Ok(()));
    // Eight failures of two kilobytes at each: small here, a gigabyte in samples.
    let mut numbering = Numbering::default();
    let text = numbering.text(&text);
    directory.descriptions.texts = numbering.texts;
    directory.descriptions.lists = vec![vec![(text, text); 8]];
    assert_eq!(
        open(&directory.write()),
        limit("more texts than a chunk may have")
    );
}

#[test]
fn a_large_directory() {
    // No points, no version of pco, no ids, no payload; then a part that claims half a gigabyte.
    let claim = [MAGIC, VERSION, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0];
    assert_eq!(open(&claim), limit("a larger directory than a chunk may have"));
    // One that says that it holds less than it does.
    let zipped = piece::PieceWriter::new()
        .zip(&vec![0; MAX_DIRECTORY_BYTES])
        .unwrap();
    let mut bomb = vec![MAGIC, VERSION, 0, 0, 0, 0, 16];
    put(&mut bomb, zipped.len() as u64);
    bomb.extend(zipped);
    bomb.extend([0, 0, 0, 0, 0]);
    assert_eq!(open(&bomb), Err(ChunkError::Compression));
}

#[test]
fn encoders_keep_to_the_limits() {
    let many = vec![bare(0); MAX_POINTS as usize + 1];
    let error = Encoder::new().encode(&many).unwrap_err();
    assert_eq!(error, EncodeError::TooMuch("more points than a chunk may have"));
    let mut wordy = bare(0);
    wordy.1.failures.push(CollectFailure {
        collector: "x".repeat(MAX_DIRECTORY_BYTES),
        reason: String::new(),
    });
    let error = Encoder::new().encode(&[wordy]).unwrap_err();
    assert_eq!(
        error,
        EncodeError::TooMuch("a larger directory than a chunk may have")
    );
}
