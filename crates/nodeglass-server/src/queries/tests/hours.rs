//! Answers by the hour: what rollups have, what is in none yet, and merges meanwhile.

use nodeglass_model::history::Fold;
use nodeglass_store::tiers::Outline;

use super::super::hours::{FIGURES, total};
use super::super::pieces::Opened;
use super::super::plan::whole_hours;
use super::*;

#[tokio::test]
async fn hours_and_what_is_in_none_make_one_answer() {
    let directory = tempfile::tempdir().unwrap();
    let (mut queries, agent, samples) = history_of_tiers(directory.path()).await;
    // Of several devices made one, hours tell the mean of sums and the sum; the second one came at a full hour.
    let sums = [
        "cpu.usage_percent",
        "network.bytes_sent_per_sec",
        "network.bytes_sent_per_sec@eth1",
    ];
    let maxima = [
        "cpu.usage_percent",
        "network.bytes_sent_per_sec@*",
        "network.errors_in@eth1",
    ];
    for (agg, asked) in [
        ("", &ASKED[..]),
        ("sum", &sums),
        ("max", &maxima),
        ("min", &maxima),
    ] {
        let query = query(asked, 1_000, 19_500, 3_600, 10_000, agg);
        let mut whole = query.clone();
        whole.range = whole_hours(query.range);
        queries.figures = FIGURES;
        // From the store, and then from what is kept.
        for _ in 0..2 {
            let found = queries.hourly_history(&agent, &query, START).await.unwrap();
            assert_eq!(found, expected(&whole, &samples), "{agg}");
        }
        // So many devices that their hours are read one by one, or two at a time: the beginning is in the midst of a part.
        for figures in [1, 5, 8] {
            let since = START.plus(HOUR);
            queries.figures = figures;
            let parts = queries.hourly_history(&agent, &query, since).await;
            let young: Vec<_> = samples
                .iter()
                .filter(|sample| sample.timestamp >= since)
                .cloned()
                .collect();
            assert_eq!(
                parts.unwrap(),
                expected(&whole, &young),
                "{agg}, {figures} at once"
            );
        }
    }
}

#[tokio::test]
async fn hours_that_are_kept_are_read_anew_after_a_merge() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, samples) = history_of_tiers(directory.path()).await;
    let query = query(&ASKED, 0, 21_600, 3_600, 10_000, "");
    let ask = async || queries.hourly_history(&agent, &query, START).await.unwrap();
    assert_eq!(ask().await, expected(&query, &samples));
    merge(&queries, &agent, &fifth_hour()).await;
    // What is kept knows nothing of the fifth hour, and its small chunk is gone.
    assert_eq!(ask().await, expected(&query, &samples));
}

#[tokio::test]
async fn an_outline_and_hours_of_another_state_make_no_answer() {
    let directory = tempfile::tempdir().unwrap();
    let (queries, agent, samples) = history_of_tiers(directory.path()).await;
    let query = query(&ASKED, 0, 21_600, 3_600, 10_000, "");
    let outline = async || {
        let outline = queries.outline(&agent, query.range, Levels::Small).await;
        outline.unwrap()
    };
    // What an outline makes with the hours as they are; `None` if they are in another state than it is.
    let answer = async |query: &HistoryQuery, (outline, opened): &(Outline, Opened)| {
        let mut fold = Fold::new(query);
        let is_one_state = queries
            .hours_with(&agent, query, &mut fold, query.range, (outline.clone(), opened))
            .await
            .unwrap();
        let found = fold.finish();
        assert!(
            is_one_state || found.is_empty(),
            "nothing is added that is not whole"
        );
        is_one_state.then_some(found)
    };
    // All of the small chunk that answers need is kept by now, so that nothing asks for it when it has gone.
    let before = outline().await;
    let whole = Some(expected(&query, &samples));
    assert_eq!(answer(&query, &before).await, whole);

    merge(&queries, &agent, &fifth_hour()).await;
    let highest = query.clone().with_aggregation("max".parse().unwrap());
    assert_eq!(
        answer(&highest, &before).await,
        None,
        "the hours are those after the merge"
    );
    let after = outline().await;
    assert_ne!(after.0.hours, before.0.hours);
    assert_eq!(answer(&query, &after).await, whole);
}

#[test]
fn totals_of_hours_are_made_as_totals_of_samples_are() {
    let summary = |count, mean, max| Summary {
        count,
        mean,
        min: 0.0,
        max,
    };
    let devices = [
        ("sda", summary(720, 10.0, 50.0)),
        ("sda1", summary(720, 9.0, 49.0)),
        ("sdb", summary(360, 4.0, 60.0)),
    ];
    let made = |path: &str| {
        let metric = catalogue::by_path(path).unwrap();
        let total = total(metric, &devices, |label| label == "sda1").unwrap();
        (total.count, total.mean, total.max)
    };
    // sdb was there half the time: (720 * 10 + 360 * 4) / 720.
    assert_eq!(made("disk.read_bytes_per_sec"), (720, 12.0, 60.0));
    assert_eq!(made("disk.io_util_percent"), (720, 10.0, 60.0));
    // (7200 + 6480 + 1440) / 1800
    assert_eq!(made("cpu.core_usage"), (720, 8.4, 60.0));
    assert_eq!(made("network.errors_in"), (720, 14.0, 60.0), "the last of each");
    let metric = catalogue::by_path("network.errors_in").unwrap();
    assert_eq!(total(metric, &[], |_| false), None);
}
