//! Any samples. `PROPTEST_CASES` says how many.

use nodeglass_model::catalogue::{self, Attribute, Dimension, METRICS};
use nodeglass_model::sample::CollectFailure;
use nodeglass_model::{Sample, SampleId, UnixMillis};
use proptest::prelude::*;

use super::{Samples, flat};
use crate::chunk::{Chunk, Effort, Encoder, Head};
use crate::row;

/// What a sample may be: figures by metric and label, attributes, failures.
fn any_sample() -> impl Strategy<Value = Sample> {
    let figure = (0..METRICS.len(), 0..4_u8, 0_u32..=10_000);
    let attribute = (0..Dimension::ALL.len(), 0..4_u8, 1..=20_u8, "[a-c]?");
    let failure = ("[a-b]", "[a-b]?").prop_map(|(collector, reason)| CollectFailure { collector, reason });
    let parts = (
        proptest::collection::vec(figure, 0..60),
        proptest::collection::vec(attribute, 0..8),
        proptest::collection::vec(failure, 0..3),
    );
    parts.prop_map(|(figures, attributes, failures)| {
        let mut sample = Sample {
            failures,
            ..Default::default()
        };
        for (metric, label, steps) in figures {
            let metric = &METRICS[metric];
            let value = f64::from(steps) / f64::from(metric.unit.steps());
            catalogue::set(&mut sample, metric, &label.to_string(), Some(value));
        }
        for (dimension, label, attribute, text) in attributes {
            let dimension = Dimension::ALL[dimension];
            if let Some(attribute) = Attribute::from_number(attribute) {
                let place = dimension.find_or_add(&mut sample, &label.to_string());
                dimension.describe(&mut sample, place, attribute, &text);
            }
        }
        sample
    })
}

/// A few samples, each for a while: devices come, go, come back and change; ids and times are in any order.
pub(super) fn any_samples() -> impl Strategy<Value = Samples> {
    let stretch = (any_sample(), 1..120_usize, any::<(u64, u64, i64)>(), 0..3_i64);
    proptest::collection::vec(stretch, 0..5).prop_map(|stretches| {
        let mut samples = Vec::new();
        for (sample, times, (epoch, seq, start), jitter) in stretches {
            for step in 0..times {
                let mut sample = sample.clone();
                let late = if step % 7 == 0 { jitter } else { 0 };
                sample.timestamp = UnixMillis(start.wrapping_add(step as i64 * 1000 + late));
                let seq = seq.wrapping_add(step as u64);
                samples.push((SampleId { epoch, seq }, sample));
            }
        }
        samples
    })
}

proptest! {
    #[test]
    fn any_samples_come_back(samples in any_samples(), is_quick: bool) {
        let effort = if is_quick { Effort::Quick } else { Effort::Best };
        let parts = Encoder::new().parts(&samples, effort).unwrap();
        let bytes = parts.join();
        let chunk = Chunk::open(&bytes).unwrap();
        let back = chunk.samples().unwrap();
        prop_assert_eq!(back.len(), samples.len());
        for ((id, sample), (found_id, found)) in samples.iter().zip(&back) {
            let expected = row::decode(&row::encode(sample), sample.timestamp).unwrap();
            prop_assert_eq!((id, sample.timestamp), (found_id, found.timestamp));
            prop_assert_eq!(&sample.failures, &found.failures);
            prop_assert_eq!(flat(found), flat(&expected));
        }
        for (metric, label) in chunk.series().unwrap() {
            let expected: Vec<_> =
                back.iter().map(|(_, sample)| catalogue::value(sample, metric, Some(label))).collect();
            prop_assert_eq!(chunk.column(metric, label).unwrap(), Some(expected.clone()));
            // The same from the parts, with nothing but the slice that it needs.
            let head = Head::read(&parts.directory).unwrap();
            let span = head.span(metric, label).unwrap().unwrap();
            let slice = &parts.payload[span.offset as usize..][..span.length as usize];
            prop_assert_eq!(head.values(metric, label, slice).unwrap(), Some(expected));
        }
        for (id, _) in &samples {
            prop_assert!(chunk.contains(*id));
        }
    }
}
