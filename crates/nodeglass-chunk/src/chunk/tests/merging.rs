//! Merged and folded chunks against the plain way: samples, sorted and added up.

use std::collections::BTreeMap;
use std::time::Duration;

use nodeglass_model::catalogue;
use nodeglass_model::{Sample, SampleId, UnixMillis};
use proptest::prelude::*;

use super::arbitrary::any_samples;
use super::{Samples, bare, busy_host, flat};
use crate::chunk::{Chunk, Effort, Encoder, Merge, Partial};

/// The samples of several chunks in order, each time and identity once, the first of each.
fn in_order(chunks: &[Samples]) -> Samples {
    let mut all: Vec<(SampleId, Sample)> = Vec::new();
    for (id, sample) in chunks.iter().flatten() {
        let is_it = |(known, it): &(SampleId, Sample)| known == id && it.timestamp == sample.timestamp;
        if !all.iter().any(is_it) {
            all.push((*id, sample.clone()));
        }
    }
    all.sort_by_key(|(id, sample)| (sample.timestamp, id.epoch, id.seq));
    all
}

fn encoded(chunks: &[Samples]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new();
    let mut efforts = [Effort::Quick, Effort::Best].into_iter().cycle();
    let encode = |samples: &Samples| encoder.parts(samples, efforts.next().unwrap()).unwrap().join();
    chunks.iter().map(encode).collect()
}

fn opened(bytes: &[Vec<u8>]) -> Vec<Chunk<'_>> {
    bytes.iter().map(|bytes| Chunk::open(bytes).unwrap()).collect()
}

/// Checks that the merged chunks hold what their samples do, if they are cut after so many.
fn check(chunks: &[Samples], cut: usize) {
    let bytes = encoded(chunks);
    let opened = opened(&bytes);
    let merge = Merge::of(&opened).unwrap();
    let expected = in_order(
        &opened
            .iter()
            .map(|chunk| chunk.samples().unwrap())
            .collect::<Vec<_>>(),
    );
    assert_eq!(merge.len(), expected.len());
    let all: usize = chunks.iter().map(Vec::len).sum();
    assert_eq!(merge.duplicates(), all - expected.len());
    let cut = cut.min(merge.len());
    for range in [0..cut, cut..merge.len()] {
        let parts = merge
            .parts(&mut Encoder::new(), range.clone(), Effort::Best)
            .unwrap();
        let bytes = parts.join();
        let found = Chunk::open(&bytes).unwrap().samples().unwrap();
        assert_eq!(found.len(), range.len());
        for ((id, sample), (found_id, found)) in expected[range].iter().zip(&found) {
            assert_eq!((found_id, found.timestamp), (id, sample.timestamp));
            assert_eq!(found.failures, sample.failures);
            assert_eq!(flat(found), flat(sample));
        }
    }
}

#[test]
fn a_late_backlog_goes_between_what_there_is() {
    let samples = busy_host();
    let mut chunks = vec![Samples::new(); 4];
    for (point, sample) in samples.iter().enumerate() {
        // Every seventh was sent again after a while; a stretch came late, backwards.
        match point {
            150..170 => chunks[3].insert(0, sample.clone()),
            _ => chunks[point / 100].push(sample.clone()),
        }
        if point % 7 == 0 {
            chunks[3].push(sample.clone());
        }
    }
    check(&chunks, 120);
    let bytes = encoded(&chunks);
    let opened = opened(&bytes);
    let merge = Merge::of(&opened).unwrap();
    let parts = merge.parts(&mut Encoder::new(), 0..300, Effort::Best).unwrap();
    assert_eq!(Chunk::open(&parts.join()).unwrap().samples().unwrap(), samples);
}

#[test]
fn of_a_sample_in_two_chunks_the_first_counts() {
    let (mut one, mut other) = (bare(0), bare(0));
    one.1.load.load1 = Some(1.0);
    other.1.load.load1 = Some(2.0);
    other.1.timestamp.0 -= 1;
    check(&[vec![one], vec![other, bare(1)]], 1);
}

#[test]
fn no_chunks_make_an_empty_one() {
    let merge = Merge::of(&[]).unwrap();
    assert!(merge.is_empty());
    let parts = merge.parts(&mut Encoder::new(), 0..0, Effort::Best).unwrap();
    assert!(Chunk::open(&parts.join()).unwrap().is_empty());
}

#[test]
fn hours_are_added_up() {
    // Of 300 points, five seconds apart, some lie in one hour and some in the next.
    let samples = busy_host();
    let bytes = encoded(std::slice::from_ref(&samples));
    let chunk = Chunk::open(&bytes[0]).unwrap();
    let hour = Duration::from_hours(1);
    let mut expected: BTreeMap<(u16, String, UnixMillis), Partial> = BTreeMap::new();
    for (_, sample) in &samples {
        for device in catalogue::devices(sample) {
            for (metric, value) in device.values(sample) {
                let start = UnixMillis(sample.timestamp.0 / 3_600_000 * 3_600_000);
                let one = Partial::of(sample.timestamp, value);
                expected
                    .entry((metric.id.0, device.label.to_string(), start))
                    .and_modify(|partial| partial.add(&one))
                    .or_insert(one);
            }
        }
    }
    let folded = chunk.fold(hour, |_, _| true).unwrap();
    assert_eq!(folded.len(), expected.len());
    for one in &folded {
        let key = (one.metric.id.0, one.label.to_owned(), one.start);
        assert_eq!(expected.get(&key), Some(&one.partial), "{key:?}");
    }
    let usage = folded
        .iter()
        .find(|one| one.metric.path == "cpu.usage_percent")
        .unwrap();
    let values = samples
        .iter()
        .filter(|(_, sample)| sample.timestamp < UnixMillis(usage.start.0 + 3_600_000));
    let values: Vec<f64> = values
        .filter_map(|(_, sample)| sample.cpu.usage_percent)
        .collect();
    assert_eq!(
        usage.partial.mean(),
        values.iter().sum::<f64>() / values.len() as f64
    );
    assert_eq!(usage.partial.last, *values.last().unwrap());

    let one = chunk.fold(hour, |metric, label| {
        metric.path == "sensor.temperature_celsius" && label == "chip/shortly"
    });
    assert_eq!(one.unwrap().iter().map(|one| one.partial.count).sum::<u32>(), 10);
}

proptest! {
    #[test]
    fn any_samples_are_merged(
        samples in any_samples(), chunks in 1..5_usize, places in proptest::collection::vec(0..5_usize, 1..50), cut in 0..400_usize
    ) {
        let mut split = vec![Samples::new(); chunks];
        for (sample, place) in samples.into_iter().zip(places.iter().cycle()) {
            split[place % chunks].push(sample);
        }
        check(&split, cut);
    }
}
