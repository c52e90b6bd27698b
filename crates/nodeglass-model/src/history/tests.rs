//! Hand-checked answers, and that every way to gather values comes to the same answer.

use proptest::prelude::*;

use super::*;
use crate::Sample;
use crate::catalogue;

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange {
        start: UnixMillis::from_seconds(start),
        end: UnixMillis::from_seconds(end),
    }
}

fn sample(at_ms: i64, usage: f64) -> Sample {
    let mut sample = Sample {
        timestamp: UnixMillis(at_ms),
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(usage);
    sample
}

fn answer(query: &HistoryQuery, samples: &[Sample]) -> History {
    let mut builder = HistoryBuilder::new(query);
    for sample in samples {
        if builder.add(sample).is_break() {
            break;
        }
    }
    builder.finish()
}

/// The only series of an answer, with the seconds of its buckets.
fn values(history: &History) -> Vec<(i64, f64)> {
    let rows = history
        .rows()
        .map(|(at, mut row)| (at.seconds(), row.next().unwrap().1));
    rows.collect()
}

#[test]
fn buckets_are_aligned_means_and_gaps_stay() {
    let query = HistoryQuery::new(&["cpu.usage_percent"], range(100, 400), Some(60), None).unwrap();
    let samples = [
        sample(99_999, 90.0),
        sample(100_000, 10.0),
        sample(119_000, 20.0),
        sample(300_000, 30.0),
        sample(400_000, 90.0),
    ];
    let found = values(&answer(&query, &samples));
    assert_eq!(found, [(60, 15.0), (300, 30.0)]);
}

#[test]
fn an_answer_that_is_full_says_so() {
    let query = HistoryQuery::new(&["cpu.usage_percent"], range(0, 100), Some(1), Some(2)).unwrap();
    let samples: Vec<_> = (0..3).map(|second| sample(second * 1000, 1.0)).collect();
    let full = answer(&query, &samples);
    assert_eq!((full.times.len(), full.truncated), (2, true));
    let reversed: Vec<_> = samples.iter().rev().cloned().collect();
    assert_eq!(
        answer(&query, &reversed),
        full,
        "the order of the samples does not matter"
    );
    let just = answer(&query, &samples[..2]);
    assert_eq!((just.times.len(), just.truncated), (2, false));
}

#[test]
fn a_finer_answer_comes_over_a_coarser_one() {
    let query = HistoryQuery::new(&["cpu.usage_percent"], range(0, 100), Some(1), None).unwrap();
    let mut coarse = answer(&query, &[sample(0, 1.0), sample(5_000, 1.0), sample(9_000, 1.0)]);
    let fine = answer(&query, &[sample(5_000, 2.0), sample(6_000, 3.0)]);
    let mut kept = coarse.clone();
    kept.overlay(&fine, Prefer::Own, 10);
    assert_eq!(
        values(&kept),
        [(0, 1.0), (5, 1.0), (6, 3.0), (9, 1.0)],
        "only what is missing is taken over"
    );
    coarse.overlay(&fine, Prefer::Other, 3);
    assert_eq!(values(&coarse), [(0, 1.0), (5, 2.0), (6, 3.0)]);
    assert!(coarse.truncated);
}

#[test]
fn senseless_queries_are_refused() {
    let new = |metrics: &[&str], start, end, interval, points| {
        HistoryQuery::new(metrics, range(start, end), interval, points).unwrap_err()
    };
    let cpu = &["cpu.usage_percent"][..];
    assert_eq!(new(&[], 0, 1, None, None), QueryError::NoMetrics);
    assert!(matches!(
        new(&["cpu"], 0, 1, None, None),
        QueryError::UnknownMetric(_)
    ));
    assert!(matches!(
        new(cpu, 5, 5, None, None),
        QueryError::EmptyRange { .. }
    ));
    assert!(matches!(
        new(cpu, 0, 1_690_537_800, None, None),
        QueryError::RangeTooLong(_)
    ));
    assert_eq!(new(cpu, 0, 1, Some(0), None), QueryError::Interval);
    assert_eq!(new(cpu, 0, 1, Some(u64::MAX), None), QueryError::Interval);
    assert_eq!(new(cpu, 0, 1, None, Some(0)), QueryError::MaxPoints);
    assert_eq!(new(cpu, 0, 1, None, Some(MAX_POINTS + 1)), QueryError::MaxPoints);
}

proptest! {
    #[test]
    fn the_natural_interval_keeps_to_the_points(
        start in 0i64..2_000_000_000, length in 1i64..300_000_000, points in 1u32..=MAX_POINTS
    ) {
        let span = range(start, start + length);
        let step = natural_interval(span, points, Duration::ZERO);
        let buckets = span.end.since(span.start.floor(step)).as_millis().div_ceil(step.as_millis());
        prop_assert!(buckets <= u128::from(points) || step == MAX_INTERVAL);
    }
}

#[test]
fn every_aggregation_of_a_hand_checked_bucket() {
    let range = range(0, 60);
    let samples = [
        sample(3_000, 4.0),
        sample(1_000, 1.25),
        sample(2_000, 9.0),
        sample(4_000, 2.0),
        sample(60_000, 100.0),
    ];
    for (name, expected) in [
        ("avg", 4.0625),
        ("min", 1.25),
        ("max", 9.0),
        ("last", 2.0),
        ("sum", 16.25),
        ("p95", 9.0),
    ] {
        let query = HistoryQuery::new(&["cpu.usage_percent"], range, Some(60), None)
            .unwrap()
            .with_aggregation(name.parse().unwrap());
        assert_eq!(values(&answer(&query, &samples)), [(0, expected)], "{name}");
    }
    assert!(
        "mean"
            .parse::<Aggregation>()
            .unwrap_err()
            .to_string()
            .contains("avg")
    );
}

#[test]
fn p95_is_a_value_that_was_there() {
    let query = HistoryQuery::new(&["cpu.usage_percent"], range(0, 100), Some(100), None)
        .unwrap()
        .with_aggregation(Aggregation::P95);
    let samples: Vec<_> = (0..40).map(|at| sample(at * 1000, at as f64)).collect();
    // 38 of 40 are 95 of 100: the 38th is 37.
    assert_eq!(values(&answer(&query, &samples)), [(0, 37.0)]);
}

#[test]
fn too_many_values_make_a_shorter_answer() {
    let labels: Vec<String> = (0..300).map(|core| core.to_string()).collect();
    let times: Vec<_> = (0..10_000).map(|at| UnixMillis(at * 1000)).collect();
    let ones = vec![Some(1.0); times.len()];
    let query = HistoryQuery::new(&["cpu.core_usage@*"], range(0, 10_000), Some(1), None).unwrap();
    let mut fold = Fold::new(&query);
    let metric = catalogue::by_path("cpu.core_usage").unwrap();
    for label in &labels {
        let device = DeviceColumn {
            label,
            is_part: false,
            values: &ones,
        };
        fold.columns(metric, &times, &[device]);
    }
    let history = fold.finish();
    assert!(history.truncated);
    assert_eq!((history.times.len(), history.series.len()), (5_000, 300));
    let is_whole = |series: &Series| series.values.iter().all(Option::is_some);
    assert!(history.series.iter().all(is_whole));
}

/// A host with cores (a mean over them), interfaces (a sum, and a counter), and disks of which one is a part.
fn host(at: i64, figures: &[u16]) -> Sample {
    use crate::sample::{CoreMetrics, DiskMetrics, NetworkMetrics};
    let mut sample = sample(at, f64::from(figures[0] % 10_000) / 100.0);
    let mut figures = figures[1..].iter().copied();
    let mut next = || figures.next().filter(|figure| figure % 5 != 0);
    for core in 0..3 {
        sample.cpu.cores.push(CoreMetrics {
            core,
            usage_percent: next().map(|figure| f64::from(figure % 10_000) / 100.0),
            ..Default::default()
        });
    }
    for interface in ["eth0", "lo"] {
        sample.network_interfaces.push(NetworkMetrics {
            interface: interface.to_owned(),
            bytes_sent_per_sec: next().map(|figure| u64::from(figure) * 1_000_003),
            errors_in: next().map(u64::from),
            ..Default::default()
        });
    }
    for (device, parent) in [("/dev/sda", ""), ("/dev/sda1", "sda")] {
        sample.disks.push(DiskMetrics {
            mount_point: device.to_owned(),
            device: device.to_owned(),
            parent: parent.to_owned(),
            read_bytes_per_sec: next().map(u64::from),
            io_util_percent: next().map(|figure| f64::from(figure % 10_000) / 100.0),
            ..Default::default()
        });
    }
    sample
}

const ASKED: [&str; 10] = [
    "cpu.usage_percent",
    "cpu.core_usage",
    "cpu.core_usage@*",
    "cpu.core_usage@1",
    "network.bytes_sent_per_sec",
    "network.bytes_sent_per_sec@lo",
    "network.errors_in",
    "network.errors_in@*",
    "disk.read_bytes_per_sec",
    "disk.io_util_percent",
];

/// The samples as columns, folded chunk by chunk.
fn answer_from_columns(query: &HistoryQuery, samples: &[Sample], points: usize) -> History {
    let mut fold = Fold::new(query);
    for chunk in samples.chunks(points) {
        let times: Vec<_> = chunk.iter().map(|sample| sample.timestamp).collect();
        let mut done = Vec::new();
        for selector in &query.selectors {
            let metric = selector.metric();
            if done.contains(&metric.id) {
                continue;
            }
            done.push(metric.id);
            let dimension = metric.dimension();
            let columns: Vec<(String, bool, Vec<Option<f64>>)> = (0..dimension.len(&chunk[0]))
                .map(|index| {
                    let label = dimension.label(&chunk[0], index).into_owned();
                    let is_part =
                        catalogue::is_part(dimension, &label, dimension.attributes(&chunk[0], index));
                    let steps = |sample: &Sample| metric.steps(sample, index).map(|steps| steps as f64);
                    (label, is_part, chunk.iter().map(steps).collect())
                })
                .collect();
            let devices: Vec<_> = columns
                .iter()
                .map(|(label, is_part, values)| DeviceColumn {
                    label,
                    is_part: *is_part,
                    values,
                })
                .collect();
            fold.columns(metric, &times, &devices);
        }
    }
    fold.finish()
}

/// One series of the samples of an hour as hours are stored.
fn partial(samples: &[&Sample], metric: &catalogue::Metric, label: &str) -> Option<Partial> {
    let found: Vec<f64> = samples
        .iter()
        .filter_map(|sample| catalogue::value(sample, metric, Some(label)))
        .collect();
    let mean = match metric.kind {
        catalogue::Kind::Counter => *found.last()?,
        _ => found.iter().sum::<f64>() / found.len() as f64,
    };
    Some(Partial {
        count: found.len() as u32,
        mean,
        min: found.iter().copied().reduce(f64::min)?,
        max: found.iter().copied().reduce(f64::max)?,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn samples_and_columns_come_to_the_same(
        hosts in proptest::collection::vec((0_i64..4_000, proptest::collection::vec(any::<u16>(), 12)), 1..120),
        interval in 1_u64..900, most in 1_u32..40, points in 1_usize..50,
        aggregation in 0_usize..7, seed in any::<u64>(),
    ) {
        let names = ["", "avg", "min", "max", "last", "sum", "p95"];
        let aggregation = names[aggregation].parse().unwrap_or_default();
        let mut hosts = hosts;
        hosts.sort_by_key(|(at, _)| *at);
        hosts.dedup_by_key(|(at, _)| *at);
        let mut samples: Vec<_> = hosts.iter().map(|(at, figures)| host(at * 1000 + 7, figures)).collect();
        let query = HistoryQuery::new(&ASKED, range(100, 3_900), Some(interval), Some(most))
            .unwrap()
            .with_aggregation(aggregation);
        let expected = answer(&query, &samples);
        prop_assert_eq!(&answer_from_columns(&query, &samples, points), &expected);
        // In whatever order they come.
        let count = samples.len();
        samples.rotate_left(seed as usize % count);
        let mut builder = HistoryBuilder::new(&query);
        for sample in &samples {
            let _ = builder.add(sample);
        }
        prop_assert_eq!(&builder.finish(), &expected);
    }

    #[test]
    fn hours_with_what_is_not_in_them_yet_come_to_the_same(
        hosts in proptest::collection::vec((0_i64..20_000, proptest::collection::vec(any::<u16>(), 12)), 2..120),
        hours in 1_u64..4, packed in 0_usize..100, aggregation in 0_usize..4,
    ) {
        let (mut hosts, packed) = (hosts, packed);
        hosts.sort_by_key(|(at, _)| *at);
        hosts.dedup_by_key(|(at, _)| *at);
        let samples: Vec<_> = hosts.iter().map(|(at, figures)| host(at * 1000, figures)).collect();
        let aggregation = ["avg", "min", "max", "sum"][aggregation].parse().unwrap();
        let asked = ["cpu.usage_percent", "cpu.core_usage@*", "network.bytes_sent_per_sec@lo"];
        let query = HistoryQuery::new(&asked, range(0, 21_600), Some(3600 * hours), None)
            .unwrap()
            .with_aggregation(aggregation);
        let (packed, rest) = samples.split_at(packed.min(samples.len()));
        let mut fold = Fold::new(&query);
        for hour in 0..6 {
            let inside: Vec<_> = packed
                .iter()
                .filter(|sample| sample.timestamp.0.div_euclid(3_600_000) == hour)
                .collect();
            for selector in &query.selectors {
                let metric = selector.metric();
                for label in ["", "0", "1", "2", "eth0", "lo"] {
                    let is_host = metric.dimension() == catalogue::Dimension::Host;
                    if is_host != label.is_empty() {
                        continue;
                    }
                    if let Some(partial) = partial(&inside, metric, label) {
                        fold.partial(metric, label, UnixMillis(hour * 3_600_000), partial);
                    }
                }
            }
        }
        for sample in rest {
            for selector in &query.selectors {
                let metric = selector.metric();
                for index in 0..metric.dimension().len(sample) {
                    let label = metric.dimension().label(sample, index).into_owned();
                    let values = [metric.steps(sample, index).map(|steps| steps as f64)];
                    let device = DeviceColumn { label: &label, is_part: false, values: &values };
                    fold.columns(metric, &[sample.timestamp], &[device]);
                }
            }
        }
        prop_assert_eq!(fold.finish(), answer(&query, &samples));
    }
}
