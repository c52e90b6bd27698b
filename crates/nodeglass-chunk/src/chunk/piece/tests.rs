//! Each form where it is the smallest, and bytes that no writer made.

use proptest::prelude::*;

use pco::wrapped::FileCompressor;
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::*;
use crate::chunk::Effort;
use crate::chunk::zip::Zipper;

fn written(values: &Numbers, effort: Effort) -> (Piece, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut writer = PieceWriter::new();
    writer.effort = effort;
    let piece = writer.write(&mut bytes, values);
    (piece, bytes)
}

/// The entry of a piece of so many bytes.
fn entry(form: u8, length: usize) -> Piece {
    Piece {
        form,
        lowest: 0,
        divisor: 1,
        start: 0,
        length: length as u64,
    }
}

/// A small generator, so that what is noise here is the same noise everywhere.
fn noise(below: u64) -> impl Iterator<Item = i64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as i64
    })
}

#[test]
fn each_kind_is_the_smallest_for_something() {
    let climbing = |step: i64| (0..720).map(move |at| at * at * step / 64);
    let cases: [(u8, Vec<i64>); 10] = [
        (CONSTANT, vec![i64::MIN; 720]),
        (LINEAR, (0..720).map(|at| 1_763_700_000_000 - 5000 * at).collect()),
        (VARINTS, [&[5, 70_005, 5, 6][..], &[5; 9]].concat()),
        (PACKED, vec![5, 4096 + 5, 5]),
        (PACKED_STEPS, vec![1, 1000, 2001, 3000, 4002, 5000, 6001, 7001]),
        (ZIPPED, (0..720).map(|at| at / 2 % 15 * 7919 % 101).collect()),
        (PCO_8, noise(40).take(720).collect()),
        (
            PCO_16,
            noise(10_000).map(|value| value * 4096).take(720).collect(),
        ),
        (
            PCO_32,
            noise(7).zip(climbing(99)).map(|(a, b)| a + b).take(720).collect(),
        ),
        (
            PCO_64,
            noise(100)
                .map(|value| ((value % 2) << 40) + value)
                .take(720)
                .collect(),
        ),
    ];
    for (form, case) in cases {
        let case = Numbers::Steps(case);
        let (piece, bytes) = written(&case, Effort::Best);
        assert_eq!(piece.form, form, "{} bytes", bytes.len());
        assert_eq!(piece.length as usize, bytes.len());
        assert_eq!(numbers(piece, &bytes, case.len(), &pco_header()), Ok(case));
    }
}

#[test]
fn floats_come_back_to_the_last_bit() {
    let smooth: Vec<f64> = (0..720).map(|at| 20.0 + (f64::from(at) / 100.0).sin()).collect();
    let wild: Vec<f64> = noise(1 << 62)
        .take(9)
        .map(|bits| f64::from_bits(bits as u64))
        .collect();
    for (form, effort, case) in [
        (PCO_FLOATS, Effort::Best, smooth.clone()),
        (FLOATS, Effort::Quick, smooth),
        (FLOATS, Effort::Best, wild),
    ] {
        let case = Numbers::Floats(case);
        let (piece, bytes) = written(&case, effort);
        assert_eq!(piece.form, form, "{} bytes", bytes.len());
        assert_eq!(numbers(piece, &bytes, case.len(), &pco_header()), Ok(case));
    }
    let bytes = [f64::NAN.to_le_bytes(), 1.0_f64.to_le_bytes()].concat();
    assert_eq!(
        numbers(entry(FLOATS, 16), &bytes, 2, &[]),
        Err(ChunkError::Malformed("a value that is no number"))
    );
}

#[test]
fn what_no_writer_uses_of_pco_is_not_let_through() {
    let noisy: Vec<u16> = noise(9).map(|value| value as u16 * 1000).take(720).collect();
    let plain = ChunkConfig::default().with_mode_spec(ModeSpec::Classic);
    for (config, is_read) in [
        (plain.clone().with_delta_spec(DeltaSpec::TryConsecutive(1)), true),
        // These two reserve memory by what the bytes claim.
        (plain.clone().with_delta_spec(DeltaSpec::TryLookback), false),
        (plain.with_mode_spec(ModeSpec::TryDict), false),
    ] {
        let mut chunk = FileCompressor::default()
            .chunk_compressor(&noisy, &config)
            .unwrap();
        let bytes = chunk
            .write_page(0, chunk.write_meta(Vec::new()).unwrap())
            .unwrap();
        let piece = entry(PCO_16, bytes.len());
        assert_eq!(
            numbers(piece, &bytes, 720, &pco_header()).is_ok(),
            is_read,
            "{config:?}"
        );
    }
}

#[test]
fn a_bomb_is_an_error() {
    let bytes = Zipper::new().zip(&vec![0; 10 << 20]).unwrap();
    let piece = entry(ZIPPED, bytes.len());
    assert_eq!(
        numbers(piece, &bytes, 720, &pco_header()),
        Err(ChunkError::Compression)
    );
}

#[test]
fn packed_bits_are_all_there_and_no_more() {
    // Three numbers of four bits.
    let bytes = [4, 0x21, 0x03];
    let read = |bytes: &[u8], count| numbers(entry(PACKED, bytes.len()), bytes, count, &[]);
    assert_eq!(read(&bytes, 3), Ok(Numbers::Steps(vec![1, 2, 3])));
    let wrong = Err(ChunkError::Malformed("more or fewer bits than it says"));
    assert_eq!(read(&bytes[..2], 3), wrong);
    assert_eq!(read(&[4, 0x21, 0x03, 0], 3), wrong);
    assert_eq!(read(&[65, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1), wrong);
    assert_eq!(read(&[], 0), Err(ChunkError::Cut));
}

fn any_steps() -> impl Strategy<Value = Vec<i64>> {
    let value = prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        -300_i64..300,
        0_i64..3
    ];
    prop_oneof![
        proptest::collection::vec(value, 1..300),
        (
            proptest::collection::vec(0_i64..9, 1..900),
            1_i64..1 << 40,
            any::<i64>()
        )
            .prop_map(|(values, scale, base)| {
                values
                    .iter()
                    .map(|value| base.wrapping_add(value * scale))
                    .collect()
            }),
    ]
}

fn any_numbers() -> impl Strategy<Value = (Numbers, Effort)> {
    let float = any::<f64>().prop_filter("no value is otherwise", |float| float.is_finite());
    let numbers = prop_oneof![
        any_steps().prop_map(Numbers::Steps),
        proptest::collection::vec(float, 1..100).prop_map(Numbers::Floats),
    ];
    (numbers, prop_oneof![Just(Effort::Quick), Just(Effort::Best)])
}

proptest! {
    #[test]
    fn numbers_come_back((case, effort) in any_numbers()) {
        let (piece, bytes) = written(&case, effort);
        let mut entry = Vec::new();
        piece.write(&mut entry, true);
        prop_assert_eq!(Piece::read(&mut Reader::new(&entry), piece.start), Ok((piece, true)));
        prop_assert_eq!(numbers(piece, &bytes, case.len(), &pco_header()), Ok(case));
    }

    #[test]
    fn hostile_bytes_are_an_error_not_a_panic(
        (case, effort) in any_numbers(), flips in proptest::collection::vec((any::<u16>(), 0_u8..8), 1..4),
        form: u8, count in 0_usize..2000, cut: u16, noise: Vec<u8>, lowest: i64, divisor: u64
    ) {
        let (mut piece, mut bytes) = written(&case, effort);
        for (at, bit) in flips {
            if !bytes.is_empty() {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= 1 << bit;
            }
        }
        let read = |piece: Piece, bytes: &[u8], header: &[u8]| {
            for count in [count, case.len()] {
                if let Ok(read) = numbers(piece, bytes, count, header) {
                    prop_assert_eq!(read.len(), count);
                }
            }
            Ok(())
        };
        read(piece, &bytes, &pco_header())?;
        bytes.truncate(usize::from(cut) % (bytes.len() + 1));
        read(piece, &bytes, &pco_header())?;
        piece = Piece { form: form % 16, lowest, divisor, start: 0, length: bytes.len() as u64 };
        read(piece, &bytes, &pco_header())?;
        // Whatever may stand behind the first byte of pco's two ways.
        for first in [0x00, 0x10] {
            let bytes = [&[first][..], &noise].concat();
            piece.length = bytes.len() as u64;
            read(piece, &bytes, &pco_header())?;
            read(piece, &bytes, &noise)?;
        }
    }
}
