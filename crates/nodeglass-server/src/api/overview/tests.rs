//! Pages, filters and orders, against lists that are checked by hand.

use nodeglass_model::{Sample, SampleId, UnixMillis};
use nodeglass_store::{AgentKey, AgentRecord};
use serde_json::{Value, json};

use super::*;

/// Agents of which the even ones have shown a sample: `host-0` at 0 ms with 50 %, `host-2` at 2 ms with 48 %, and so on.
fn fleet(count: i32) -> Live {
    let live = Live::default();
    for number in 0..count {
        let agent = live.admit(&AgentRecord {
            key: AgentKey(number),
            id: format!("host-{number}").parse().unwrap(),
            system_info: None,
        });
        if number % 2 == 0 {
            let mut sample = Sample {
                timestamp: UnixMillis(number.into()),
                ..Default::default()
            };
            sample.cpu.usage_percent = Some(50.0 - f64::from(number));
            agent.show(SampleId { epoch: 1, seq: 1 }, sample);
            agent.pretend_session();
        }
    }
    live
}

fn read(query: &str) -> Request {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Request::read(Parameters::of(pairs)).unwrap()
}

fn names(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.agent.id.as_str()).collect()
}

/// The names of all pages, each as a text.
fn pages(live: &Live, query: &str) -> Vec<String> {
    let (mut pages, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let request = match &cursor {
            Some(cursor) => read(&format!("{query}&cursor={cursor}")),
            None => read(query),
        };
        let (rows, next) = page(live, &Caller::anybody(), &request);
        pages.push(names(&rows).join(" ").replace("host-", ""));
        cursor = next;
        if cursor.is_none() {
            return pages;
        }
    }
}

#[test]
fn pages_make_up_the_whole_in_every_order() {
    let live = fleet(7);
    assert_eq!(pages(&live, "limit=3"), ["0 1 2", "3 4 5", "6"]);
    assert_eq!(
        pages(&live, "limit=7"),
        ["0 1 2 3 4 5 6"],
        "no empty page behind the last"
    );
    assert_eq!(pages(&live, ""), ["0 1 2 3 4 5 6"]);
    assert_eq!(pages(&live, "sort=-agent_id&limit=4"), ["6 5 4 3", "2 1 0"]);
    assert_eq!(
        pages(&live, "sort=cpu.usage_percent&limit=3"),
        ["6 4 2", "0 1 3", "5"]
    );
    assert_eq!(
        pages(&live, "sort=-cpu.usage_percent&limit=5"),
        ["0 2 4 6 1", "3 5"]
    );
    assert_eq!(
        pages(&live, "sort=-last_metrics_update&limit=2"),
        ["6 4", "2 0", "1 3", "5"]
    );
}

#[test]
fn an_order_by_a_figure_is_that_of_the_newest_samples() {
    let live = fleet(7);
    let order = || pages(&live, "sort=-cpu.usage_percent").join(" ");
    let agent = |name: &str| live.find(name).unwrap();
    let sample = |usage| {
        let mut sample = Sample {
            timestamp: UnixMillis(100),
            ..Default::default()
        };
        sample.cpu.usage_percent = usage;
        sample
    };
    let id = SampleId { epoch: 1, seq: 2 };
    assert_eq!(order(), "0 2 4 6 1 3 5");
    agent("host-6").show(id, sample(Some(99.0)));
    agent("host-2").show(id, sample(None));
    assert_eq!(order(), "6 0 4 1 2 3 5");
    let row = nodeglass_chunk::row::encode(&sample(Some(1.0)));
    agent("host-0").show_row(id, UnixMillis(100), row.into());
    assert_eq!(order(), "6 4 0 1 2 3 5");
    assert!(
        !agent("host-0").is_looked_at(),
        "no sample is made of its row for a figure"
    );
    agent("host-1").show(id, sample(Some(70.0)));
    assert_eq!(order(), "6 4 0 1 2 3 5", "who is away has no figure");
    agent("host-1").pretend_session();
    assert_eq!(order(), "6 1 4 0 2 3 5");
    let renamed = live.rename(&agent("host-4"), "host-9".parse().unwrap());
    assert_eq!(order(), "6 1 0 2 3 5 9");
    renamed.pretend_session();
    assert_eq!(order(), "6 1 9 0 2 3 5");
}

#[test]
fn filters_leave_agents_out() {
    let live = fleet(12);
    // By name: "host-10" stands before "host-2".
    assert_eq!(pages(&live, "status=connected&limit=4"), ["0 10 2 4", "6 8"]);
    assert_eq!(
        pages(&live, "status=disconnected&sort=-agent_id"),
        ["9 7 5 3 11 1"]
    );
    assert_eq!(pages(&live, "q=host-1*"), ["1 10 11"]);
    assert_eq!(pages(&live, "q=t-1&status=connected"), ["10"]);
}

#[test]
fn the_shape_is_the_specification_s() {
    let live = fleet(2);
    let request = read("metrics=cpu.usage_percent,memory.used_bytes&limit=1");
    let (rows, next) = page(&live, &Caller::anybody(), &request);
    let found: Value = serde_json::from_slice(&body(&rows, &request, next.as_deref())).unwrap();
    let first = json!({"agent_id": "host-0", "status": "connected", "last_metrics_update": 0,
        "metrics": {"cpu": {"usage_percent": 50.0}}});
    assert_eq!(found["agents"], json!([first]));
    let request = read(&format!(
        "limit=5&cursor={}",
        found["next_cursor"].as_str().unwrap()
    ));
    let (rows, next) = page(&live, &Caller::anybody(), &request);
    let found: Value = serde_json::from_slice(&body(&rows, &request, next.as_deref())).unwrap();
    let second =
        json!({"agent_id": "host-1", "status": "disconnected", "last_metrics_update": null, "metrics": null});
    assert_eq!(found, json!({"agents": [second]}));
}

#[test]
fn every_device_stands_by_itself() {
    let live = fleet(1);
    let mut sample = Sample::default();
    for interface in ["eth0", "we\"ird"] {
        sample
            .network_interfaces
            .push(nodeglass_model::sample::NetworkMetrics {
                interface: interface.to_owned(),
                errors_in: Some(3),
                ..Default::default()
            });
    }
    live.find("host-0")
        .unwrap()
        .show(SampleId { epoch: 1, seq: 2 }, sample);
    let metric = nodeglass_model::catalogue::METRICS
        .iter()
        .find(|metric| metric.path.ends_with("errors_in"))
        .unwrap()
        .path;
    let request = read(&format!("metrics={metric}@*,{metric}@eth0"));
    let (rows, next) = page(&live, &Caller::anybody(), &request);
    let found: Value = serde_json::from_slice(&body(&rows, &request, next.as_deref())).unwrap();
    let (section, figure) = metric.split_once('.').unwrap();
    let shown = &found["agents"][0]["metrics"][section];
    assert_eq!(shown[format!("{figure}@we\"ird")], 3.0, "{found}");
    assert_eq!(shown[format!("{figure}@eth0")], 3.0, "{found}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for query in [
        "limit=0",
        "limit=10001",
        "status=maybe",
        "sort=nothing",
        "cursor=abc",
        "sort=cpu.usage_percent@*",
    ] {
        let pairs = query.split_once('=').into_iter();
        assert!(Request::read(Parameters::of(pairs)).is_err(), "{query}");
    }
    let (_, next) = page(&fleet(3), &Caller::anybody(), &read("limit=1&sort=-agent_id"));
    let other = [("cursor", next.as_deref().unwrap()), ("sort", "agent_id")];
    assert!(
        Request::read(Parameters::of(other)).is_err(),
        "a cursor of another order"
    );
}
