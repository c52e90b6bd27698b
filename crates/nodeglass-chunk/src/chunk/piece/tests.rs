//! Each form where it is the smallest, and bytes that no writer made.

use proptest::prelude::*;

use super::*;

fn written(values: &[i64]) -> (Piece, Vec<u8>) {
    let mut bytes = Vec::new();
    let piece = PieceWriter::new().write(&mut bytes, values);
    (piece, bytes)
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
    let cases: [(u8, Vec<i64>); 7] = [
        (CONSTANT, vec![i64::MIN; 720]),
        (VARINTS, vec![5, 4096 + 5, 5]),
        (ZIPPED, (0..720).map(|at| at % 30 * 7919 % 101).collect()),
        (PCO_8, noise(40).take(720).collect()),
        (
            PCO_16,
            noise(10_000).map(|value| value * 4096).take(720).collect(),
        ),
        (
            PCO_32,
            noise(7).zip(climbing(99)).map(|(a, b)| a + b).take(720).collect(),
        ),
        (PCO_64, noise(u64::MAX / 2).take(720).collect()),
    ];
    for (kind, case) in cases {
        let (piece, bytes) = written(&case);
        assert_eq!(piece.kind, kind, "{} bytes", bytes.len());
        assert_eq!(piece.length as usize, bytes.len());
        assert_eq!(values(piece, &bytes, case.len(), &pco_header()), Ok(case));
    }
}

#[test]
fn what_no_writer_uses_of_pco_is_not_let_through() {
    let numbers: Vec<u16> = noise(9).map(|value| value as u16 * 1000).take(720).collect();
    let plain = ChunkConfig::default().with_mode_spec(ModeSpec::Classic);
    for (config, is_read) in [
        (plain.clone().with_delta_spec(DeltaSpec::TryConsecutive(1)), true),
        // These two reserve memory by what the bytes claim.
        (plain.clone().with_delta_spec(DeltaSpec::TryLookback), false),
        (plain.with_mode_spec(ModeSpec::TryDict), false),
    ] {
        let mut chunk = FileCompressor::default()
            .chunk_compressor(&numbers, &config)
            .unwrap();
        let bytes = chunk
            .write_page(0, chunk.write_meta(vec![0, 1]).unwrap())
            .unwrap();
        let piece = Piece {
            kind: PCO_16,
            constant: 0,
            start: 0,
            length: bytes.len() as u64,
        };
        assert_eq!(
            values(piece, &bytes, 720, &pco_header()).is_ok(),
            is_read,
            "{config:?}"
        );
    }
}

#[test]
fn a_bomb_is_an_error() {
    let bytes = [&[0, 1][..], &Zipper::new().zip(&vec![0; 10 << 20]).unwrap()].concat();
    let piece = Piece {
        kind: ZIPPED,
        constant: 0,
        start: 0,
        length: bytes.len() as u64,
    };
    assert_eq!(
        values(piece, &bytes, 720, &pco_header()),
        Err(ChunkError::Compression)
    );
}

fn any_values() -> impl Strategy<Value = Vec<i64>> {
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

proptest! {
    #[test]
    fn values_come_back(case in any_values()) {
        let (piece, bytes) = written(&case);
        prop_assert_eq!(values(piece, &bytes, case.len(), &pco_header()), Ok(case));
    }

    #[test]
    fn hostile_bytes_are_an_error_not_a_panic(
        case in any_values(), flips in proptest::collection::vec((any::<u16>(), 0_u8..8), 1..4),
        kind in 0_u8..9, count in 0_usize..2000, cut: u16, noise: Vec<u8>
    ) {
        let (mut piece, mut bytes) = written(&case);
        for (at, bit) in flips {
            if !bytes.is_empty() {
                let at = usize::from(at) % bytes.len();
                bytes[at] ^= 1 << bit;
            }
        }
        let _ = values(piece, &bytes, case.len(), &pco_header());
        let _ = values(piece, &bytes, count, &pco_header());
        bytes.truncate(usize::from(cut) % (bytes.len() + 1));
        let _ = values(piece, &bytes, case.len(), &pco_header());
        piece.kind = kind;
        let _ = values(piece, &bytes, case.len(), &pco_header());
        // Whatever may stand behind the first byte of pco's two ways.
        for first in [0x00, 0x10] {
            let bytes = [&[0, 1, first][..], &noise].concat();
            piece.length = bytes.len() as u64;
            let _ = values(piece, &bytes, count, &pco_header());
            let _ = values(piece, &bytes, count, &noise);
        }
    }
}
