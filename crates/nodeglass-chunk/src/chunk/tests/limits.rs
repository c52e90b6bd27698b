//! Chunks that claim more than a chunk may have.

use super::{bare, id};
use crate::chunk::directory::{Column, Device, Directory, Group, id_runs};
use crate::chunk::lists::{Numbering, Timeline};
use crate::chunk::piece::Piece;
use crate::chunk::presence::Presence;
use crate::chunk::*;

fn open(directory: &[u8]) -> Result<(), ChunkError> {
    let directory = Encoder::new().head(directory, &[]).unwrap();
    Head::read(&directory).map(|_| ())
}

fn limit(what: &'static str) -> Result<(), ChunkError> {
    Err(ChunkError::Malformed(what))
}

/// As many points as there may be, and one device that is always there, with so many constant metrics.
fn most_points(columns: u16) -> Directory {
    let constant = Piece {
        kind: 0,
        constant: 0,
        start: 0,
        length: 0,
    };
    let mut always = Presence::default();
    always.add(0..MAX_POINTS);
    let mut timeline = Timeline::default();
    (0..MAX_POINTS).for_each(|_| timeline.push(0));
    let mut numbering = Numbering::default();
    Directory {
        points: MAX_POINTS,
        times: Some(constant),
        ids: id_runs((0..u64::from(MAX_POINTS)).map(id)),
        devices: vec![Device {
            dimension: 0,
            shared: false,
            label: numbering.text(""),
            points: always.clone(),
            attributes: timeline.clone(),
        }],
        groups: vec![Group {
            dimension: 0,
            members: vec![0],
            cells: MAX_POINTS,
            columns: (0..columns)
                .map(|metric| Column {
                    metric,
                    cells: always.clone(),
                    piece: constant,
                })
                .collect(),
        }],
        texts: numbering.texts,
        lists: vec![Vec::new()],
        failures: timeline,
        ..Directory::default()
    }
}

#[test]
fn four_billion_points() {
    let most = |bytes: &mut Vec<u8>| bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut claim = Vec::new();
    most(&mut claim);
    // Times, a constant; no version of pco; one run of ids.
    claim.extend([0, 0, 0, 0, 0, 1, 0, 0]);
    most(&mut claim);
    // One empty text; one empty list, which is the failures of all; one device, which is always there.
    claim.extend([1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0]);
    assert_eq!(open(&claim), limit("more figures than a chunk may have"));
}

#[test]
fn many_figures() {
    let most = (MAX_FIGURES / u64::from(MAX_POINTS)) as u16;
    assert_eq!(open(&most_points(most).write()), Ok(()));
    assert_eq!(
        open(&most_points(most + 1).write()),
        limit("more figures than a chunk may have")
    );
}

#[test]
fn many_devices() {
    let mut directory = most_points(0);
    directory.groups.clear();
    directory.points = 1;
    directory.ids[0].count = 1;
    let mut timeline = Timeline::default();
    timeline.push(0);
    directory.failures = timeline.clone();
    let mut once = Presence::default();
    once.add(0..1);
    let device = || Device {
        dimension: 11,
        shared: true,
        label: 0,
        points: once.clone(),
        attributes: timeline.clone(),
    };
    directory.devices = (0..=MAX_DEVICES).map(|_| device()).collect();
    assert_eq!(
        open(&directory.write()),
        limit("more devices than a chunk may have")
    );
}

#[test]
fn a_long_text_at_every_point() {
    let mut directory = most_points(1);
    let mut numbering = Numbering::default();
    let text = numbering.text(&"x".repeat(1024));
    directory.texts = numbering.texts;
    directory.devices[0].label = text;
    assert_eq!(open(&directory.write()), Ok(()));
    // Eight failures of two kilobytes at each: small here, a gigabyte in samples.
    directory.lists = vec![vec![(text, text); 8]];
    assert_eq!(
        open(&directory.write()),
        limit("more texts than a chunk may have")
    );
}

#[test]
fn a_large_directory() {
    let claim = [MAGIC, VERSION, 0xff, 0xff, 0xff, 0x7f, 0];
    assert_eq!(
        Head::read(&claim).map(|_| ()),
        limit("a larger directory than a chunk may have")
    );
    let mut bomb = Encoder::new().head(&vec![0; MAX_DIRECTORY_BYTES], &[]).unwrap();
    // It says that it holds less than it does.
    bomb.splice(2..6, [0x10]);
    assert_eq!(Head::read(&bomb).map(|_| ()), Err(ChunkError::Compression));
}

#[test]
fn encoders_keep_to_the_limits() {
    let many = vec![bare(0); MAX_POINTS as usize + 1];
    let error = Encoder::new().encode(&many).unwrap_err();
    assert_eq!(error, EncodeError::TooMuch("more points than a chunk may have"));
    let error = Encoder::new()
        .head(&vec![0; MAX_DIRECTORY_BYTES + 1], &[])
        .unwrap_err();
    assert_eq!(
        error,
        EncodeError::TooMuch("a larger directory than a chunk may have")
    );
}
