//! What a writer may ask of its reader: no more devices, text, failures and time than a host is worth.

use std::time::{Duration, Instant};

use nodeglass_model::catalogue::Dimension;

use super::super::{FAILURES, FIRST, LAYOUT, MAX_TEXT_BYTES, VERSION};
use super::{DEVICES, Decoder, Encoder, busy_host, records, with_long_commands};
use crate::row::RowError;
use crate::varint::put;

#[test]
fn texts_that_grow_out_of_each_other_end_in_an_error() {
    // Each record has more processes, all with the commands of those before at both ends.
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(DEVICES);
    let mut refused = None;
    for round in 1..=40_u32 {
        let mut sample = with_long_commands(0..round * 100);
        for process in &mut sample.processes.top {
            process.command = "x".repeat(1000);
        }
        let mut record = Vec::new();
        encoder.encode(&sample, &mut record);
        if let Err(error) = decoder.decode(&record) {
            refused = Some((round, error));
            break;
        }
    }
    let (round, error) = refused.expect("a bound");
    assert_eq!(
        round, 11,
        "a thousand bytes each, a thousand times, are a mebibyte"
    );
    assert_eq!(
        error,
        RowError::Malformed("devices with more text than a host has")
    );
}

#[test]
fn more_devices_than_allowed_are_refused() {
    let records = records(&[busy_host(0..40)]);
    assert!(Decoder::new(20).decode(&records[0]).is_err());
    assert!(Decoder::new(60).decode(&records[0]).is_ok());
}

/// A first record with one kind of device, and then `body`.
fn record(holder: Dimension, metrics: &[u64], body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![FIRST | LAYOUT | FAILURES, VERSION];
    put(&mut out, 1);
    out.extend([holder as u8, holder as u8]);
    put(&mut out, metrics.len() as u64);
    for metric in metrics {
        put(&mut out, *metric);
    }
    put(&mut out, 0);
    body(&mut out);
    out
}

fn put_device(out: &mut Vec<u8>, label: &str) {
    put(out, 0);
    // Like no other.
    put(out, 0);
    put(out, label.len() as u64);
    out.extend(label.as_bytes());
    put(out, 0);
}

#[test]
fn a_device_with_a_long_name_cannot_be_had_a_thousand_times_for_a_byte_each() {
    let mut decoder = Decoder::new(4096);
    let first = record(Dimension::Unit, &[], |out| {
        out.push(Dimension::Unit as u8);
        put(out, 1);
        put_device(out, &"x".repeat(MAX_TEXT_BYTES / 8));
        out.push(0);
        put(out, 0);
        put(out, 0);
    });
    decoder.advance(&first).unwrap();
    let mut again = vec![LAYOUT];
    put(&mut again, 0);
    again.push(Dimension::Unit as u8);
    put(&mut again, 4000);
    (0..4000).for_each(|_| put(&mut again, 1));
    again.push(0);
    put(&mut again, 0);
    assert_eq!(
        decoder.advance(&again),
        Err(RowError::Malformed("devices with more text than a host has"))
    );
}

#[test]
fn failures_without_a_text_are_not_had_by_the_million() {
    let bomb = record(Dimension::Unit, &[], |out| {
        out.push(0);
        put(out, 1 << 20);
        out.resize(out.len() + (2 << 20), 0);
        put(out, 0);
    });
    let error = Decoder::new(4096).advance(&bomb).unwrap_err();
    assert_eq!(
        error,
        RowError::Malformed("more failures than there are collectors")
    );
}

#[test]
fn kinds_that_nobody_knows_take_no_more_room_than_those_that_are_known() {
    let mut bomb = vec![FIRST | LAYOUT, VERSION];
    let kinds = 100..150_u8;
    put(&mut bomb, kinds.len() as u64);
    for kind in kinds.clone() {
        bomb.extend([kind, kind]);
        put(&mut bomb, 60);
        (0..60).for_each(|_| put(&mut bomb, 1));
    }
    put(&mut bomb, 0);
    for kind in kinds {
        bomb.push(kind);
        put(&mut bomb, 4096);
        (0..4096).for_each(|_| put_device(&mut bomb, ""));
    }
    bomb.push(0);
    put(&mut bomb, 0);
    let error = Decoder::new(4096).advance(&bomb).unwrap_err();
    assert_eq!(error, RowError::Malformed("more devices than a host has"));
}

/// How long it takes to move the values of a device that has so many views of one metric each, where behind them is a kind that
/// has nearly all values there may be. The shortest of several times.
fn time_to_move(views: std::ops::Range<u8>) -> Duration {
    let large = views.end;
    let mut first = vec![FIRST | LAYOUT, VERSION];
    put(&mut first, views.len() as u64 + 1);
    for view in views.clone() {
        first.extend([view, views.start, 1, 1]);
    }
    first.extend([large, large, 60]);
    first.resize(first.len() + 60, 1);
    put(&mut first, 0);
    // The device, without attributes in any view.
    first.extend([views.start, 1, 0, 0, 0]);
    first.resize(first.len() + views.len(), 0);
    first.push(large);
    put(&mut first, 4000);
    (0..4000).for_each(|_| put_device(&mut first, ""));
    first.extend([0, 0]);
    let mut decoder = Decoder::new(4096);
    decoder.advance(&first).unwrap();
    // It is there twice, and once again.
    let twice = [LAYOUT, 0, views.start, 2, 1, 1, 0, 0];
    let once = [LAYOUT, 0, views.start, 1, 1, 0, 0];
    let time = |record: &[u8]| {
        let began = Instant::now();
        decoder.advance(record).unwrap();
        began.elapsed()
    };
    let records = [&twice[..], &once[..]].into_iter().cycle();
    records.take(20).map(time).min().unwrap()
}

#[test]
fn many_kinds_before_a_large_one_do_not_move_it_one_after_the_other() {
    let (one, many) = (time_to_move(40..41), time_to_move(40..250));
    // One after the other they take more than a hundred times as long.
    assert!(many < one * 20, "{many:?} and {one:?}");
}

#[test]
fn a_kind_comes_once_in_a_record() {
    let twice = record(Dimension::Unit, &[], |out| {
        for _ in 0..2 {
            out.push(Dimension::Unit as u8);
            put(out, 1);
            put_device(out, "a");
        }
        out.push(0);
        put(out, 0);
        put(out, 0);
    });
    let error = Decoder::new(4096).advance(&twice).unwrap_err();
    assert_eq!(
        error,
        RowError::Malformed("a kind of devices twice in one record")
    );
}
