//! The local endpoint of the real agent beside the real `node_exporter`: the same series with the same labels, types
//! and values, and nothing that Prometheus' own tools complain about.
#![cfg(target_os = "linux")]

#[path = "local_endpoint/programs.rs"]
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use programs::{Program, agent, check_metrics, node_exporter, parse_open_metrics};

/// How long values that change all the time may take to agree once.
const PATIENCE: Duration = Duration::from_mins(1);

/// What an answer says: meanings and types by family, values by series.
struct Answer {
    families: BTreeMap<String, [String; 2]>,
    series: BTreeMap<String, f64>,
}

impl Answer {
    fn of(program: &Program) -> Self {
        let text = program.get("/metrics", "text/plain");
        let mut families: BTreeMap<String, [String; 2]> = BTreeMap::new();
        let mut series = BTreeMap::new();
        for line in text.lines() {
            let description = ["# HELP ", "# TYPE "]
                .into_iter()
                .enumerate()
                .find_map(|(place, word)| Some((place, line.strip_prefix(word)?.split_once(' ')?)));
            if let Some((place, (family, said))) = description {
                said.clone_into(&mut families.entry(family.to_owned()).or_default()[place]);
            } else {
                let (name, value) = line.rsplit_once(' ').expect("a name and a value");
                let before = series.insert(name.to_owned(), value.parse().expect("a number"));
                assert_eq!(before, None, "{name} is there twice");
            }
        }
        let mut answer = Self { families, series };
        answer.series.retain(|name, _| is_compared(name));
        answer
    }

    fn names(&self) -> BTreeSet<&String> {
        self.series.keys().collect()
    }
}

/// Whether a series is to be the same here and there: those of `node_exporter` itself, and of the collectors that are
/// left out, are not; nor are ours under our own names.
fn is_compared(series: &str) -> bool {
    const LEFT_OUT: [&str; 7] = [
        "go_",
        "process_",
        "promhttp_",
        "nodeglass_",
        "node_exporter_build_info",
        "node_textfile_",
        "node_xfs_",
    ];
    const COLLECTORS: [&str; 10] = [
        "bcache",
        "btrfs",
        "fibrechannel",
        "infiniband",
        "ipvs",
        "nfsd",
        "tapestats",
        "textfile",
        "xfs",
        "zfs",
    ];
    !LEFT_OUT.iter().any(|prefix| series.starts_with(prefix))
        && !COLLECTORS
            .iter()
            .any(|name| series.ends_with(&format!("{{collector=\"{name}\"}}")))
}

fn family(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

/// Whether a value lies between two others taken before and after it, give or take one percent or one tick of what it is
/// counted in.
fn is_between(own: f64, before: f64, after: f64) -> bool {
    let is_count = before.fract() == 0.0 && after.fract() == 0.0;
    let tick = if is_count { 1.0 } else { 0.01 };
    let margin = (before.abs().max(after.abs()) * 0.01).max(tick) + 1e-9;
    own >= before.min(after) - margin && own <= before.max(after) + margin
}

#[test]
fn every_series_is_node_exporter_s_and_the_other_way_round() {
    let (ours, theirs) = (agent(), node_exporter());
    // The first answers of both make what only the second ones count.
    let _ = (Answer::of(&ours), Answer::of(&theirs));
    let until = Instant::now() + PATIENCE;
    let mut agreed = BTreeSet::new();
    loop {
        let before = Answer::of(&theirs);
        let own = Answer::of(&ours);
        let after = Answer::of(&theirs);

        let stable: BTreeSet<_> = before.names().intersection(&after.names()).copied().collect();
        let names = own.names();
        let missing: Vec<_> = stable.difference(&names).collect();
        let unstable: BTreeSet<_> = before.names().union(&after.names()).copied().collect();
        let invented: Vec<_> = names.difference(&unstable).collect();
        assert!(missing.is_empty(), "theirs that are not ours: {missing:#?}");
        assert!(invented.is_empty(), "ours that are not theirs: {invented:#?}");
        assert!(stable.len() > 300, "a whole answer, not {} series", stable.len());
        for series in &stable {
            let name = family(series);
            assert_eq!(own.families[name], before.families[name], "{name}");
        }

        // A value that jumps to and fro may be missed once, but not for ever.
        let wrong: Vec<_> = stable
            .iter()
            .filter(|series| !agreed.contains(**series))
            .filter(|series| family(series) != "node_scrape_collector_duration_seconds")
            .map(|series| {
                (
                    *series,
                    before.series[*series],
                    own.series[*series],
                    after.series[*series],
                )
            })
            .filter(|(_, before, own, after)| !is_between(*own, *before, *after))
            .collect();
        agreed.extend(
            stable
                .iter()
                .filter(|series| !wrong.iter().any(|(wrong, ..)| wrong == *series))
                .map(|series| (*series).clone()),
        );
        if wrong.is_empty() {
            return;
        }
        assert!(
            Instant::now() < until,
            "never between theirs before and after: {wrong:#?}"
        );
    }
}

#[test]
fn promtool_has_nothing_to_say_that_it_does_not_say_of_node_exporter() {
    let ours = agent();
    ours.wait_for_sample();
    let theirs = check_metrics(&node_exporter().get("/metrics", "text/plain"));
    let own = check_metrics(&ours.get("/metrics", "text/plain"));
    assert!(
        !theirs.is_empty(),
        "its names are not all as promtool would have them"
    );
    let more: Vec<_> = own.difference(&theirs).collect();
    assert!(more.is_empty(), "{more:#?}");
}

#[test]
fn prometheus_reads_our_open_metrics() {
    let ours = agent();
    ours.wait_for_sample();
    let text = ours.get("/metrics", "application/openmetrics-text;version=1.0.0");
    assert!(text.ends_with("\n# EOF\n"));
    parse_open_metrics(&text);

    // What its parser lets pass: families in one piece, and counters' series under their family's name.
    let mut families = BTreeMap::new();
    let mut current = ("", "");
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert!(families.insert(name, kind).is_none(), "{name} is there twice");
            current = (name, kind);
        } else if !line.starts_with('#') {
            let name = family(line.split(' ').next().unwrap_or_default());
            let expected = match current.1 {
                "counter" => format!("{}_total", current.0),
                "gauge" | "unknown" => current.0.to_owned(),
                other => panic!("a family of the kind {other}"),
            };
            assert_eq!(name, expected);
        }
    }
    for name in families.keys() {
        let counter = name.strip_suffix("_total").unwrap_or_default();
        assert!(!families.contains_key(counter), "{name} is two families' series");
    }
    assert!(families.len() > 200);
}

#[test]
fn the_endpoint_alone_has_everything_but_a_server() {
    let ours = agent();
    ours.wait_for_sample();
    let health = ours.get("/health", "*/*");
    assert!(health.starts_with("{\"status\":\"ok\""), "{health}");
    let summary = ours.get("/metrics.json", "*/*");
    assert!(summary.contains("\"timestamp\":\"20"), "{summary}");
    assert!(ours.get("/gpu", "*/*").starts_with('['));
    assert!(
        ours.get("/metrics", "*/*")
            .contains("\nnodeglass_memory_total_bytes ")
    );
}
