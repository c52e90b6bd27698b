//! What readers of many agents are given, with a paused clock.

use futures_util::StreamExt;
use nodeglass_model::{Sample, SampleId, UnixMillis};
use nodeglass_store::{AgentKey, AgentRecord};
use serde_json::Value;

use super::*;
use crate::stream::Places;

/// Agents whose names begin with a letter.
struct Beginning(char);

impl Choice for Beginning {
    fn means(&self, agent: &LiveAgent) -> bool {
        agent.id.as_str().starts_with(self.0)
    }
}

fn admit(live: &Live, name: &str, key: i32) -> Arc<LiveAgent> {
    let agent = live.admit(&AgentRecord {
        key: AgentKey(key),
        id: name.parse().unwrap(),
        system_info: None,
    });
    agent.hear(Duration::from_hours(1));
    agent
}

fn show(agent: &LiveAgent, second: i64) {
    let mut sample = Sample {
        timestamp: UnixMillis(second * 1000),
        ..Default::default()
    };
    sample.cpu.usage_percent = Some(second as f64);
    let seq = second.unsigned_abs();
    agent.show(SampleId { epoch: 1, seq }, sample);
}

fn wish(shape: Shape, seconds: u64, seen: Option<Seen>) -> FeedWish {
    let view = match shape {
        Shape::Samples => View::samples(&["cpu.usage_percent"]),
        Shape::Overview => View::figures(&["cpu.usage_percent"]),
    };
    FeedWish {
        choice: Box::new(Beginning('a')),
        view: view.unwrap(),
        shape,
        interval: Duration::from_secs(seconds),
        seen,
        sign_of_life: Duration::from_secs(15),
    }
}

/// The events of a reader within half a second, and its last id.
async fn soon(live: &Arc<Live>, wish: FeedWish) -> (Vec<String>, Option<Seen>) {
    let view = wish.view.clone();
    let place = Places::new(1).take(None).unwrap();
    let stream = feed(live.clone(), wish, CancellationToken::new(), place);
    let events: Vec<_> = stream
        .take_until(tokio::time::sleep(Duration::from_millis(499)))
        .collect()
        .await;
    let events: Vec<Event> = events.into_iter().flatten().collect();
    let last = events.iter().rev().find_map(|event| event.id);
    let texts = events.iter().map(|event| {
        let data: Value = serde_json::from_slice(&event.data(&view)).unwrap();
        match event.name() {
            "metrics" => format!("{} {}", data["agent_id"].as_str().unwrap(), data["timestamp"]),
            "agent" => format!(
                "{} {}",
                data["agent_id"].as_str().unwrap(),
                data["status"].as_str().unwrap()
            ),
            name => format!("{name} {data}"),
        }
    });
    (texts.collect(), last)
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_comes_back_goes_on_where_it_was_with_all_its_agents() {
    let live = Arc::new(Live::default());
    let (one, other, foreign) = (
        admit(&live, "a1", 1),
        admit(&live, "a2", 2),
        admit(&live, "b1", 3),
    );
    show(&one, 1);
    show(&foreign, 1);
    show(&other, 1);
    let (events, seen) = soon(&live, wish(Shape::Samples, 1, None)).await;
    assert_eq!(events, ["a1 connected", "a2 connected", "a1 1000", "a2 1000"]);
    for second in 2..=4 {
        show(&other, second);
        show(&one, second);
        show(&foreign, second);
    }
    let (events, again) = soon(&live, wish(Shape::Samples, 1, seen)).await;
    assert_eq!(
        events[2..],
        ["a2 2000", "a1 2000", "a2 3000", "a1 3000", "a2 4000", "a1 4000"],
        "in the order in which they came"
    );
    let (events, _) = soon(&live, wish(Shape::Samples, 1, again)).await;
    assert_eq!(events, ["a1 connected", "a2 connected"], "it has all of them");
    let elsewhere = Some(Seen {
        making: 1,
        order: 100,
    });
    let (events, _) = soon(&live, wish(Shape::Samples, 1, elsewhere)).await;
    assert_eq!(
        events[2..],
        ["a2 4000", "a1 4000"],
        "of another server it has the latest"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_due_yet_is_not_lost_to_a_reader_who_comes_back() {
    let live = Arc::new(Live::default());
    let (slow, quick) = (admit(&live, "a1", 1), admit(&live, "a2", 2));
    show(&slow, 1);
    let place = Places::new(1).take(None).unwrap();
    let mut stream = Box::pin(feed(
        live.clone(),
        wish(Shape::Samples, 10, None),
        CancellationToken::new(),
        place,
    ));
    stream.next().await.unwrap();
    // Not due for ten seconds, while the other's first one is.
    show(&slow, 2);
    show(&quick, 2);
    let events = stream.next().await.unwrap();
    let id = events.last().unwrap().id;
    assert_eq!(events.len(), 1);
    drop(stream);
    let (events, _) = soon(&live, wish(Shape::Samples, 10, id)).await;
    assert!(events.contains(&"a1 2000".to_owned()), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_is_said() {
    let live = Arc::new(Live::default());
    let first = admit(&live, "a1", 1);
    show(&first, 1);
    let wish = wish(Shape::Samples, 1, None);
    let view = wish.view.clone();
    let place = Places::new(1).take(None).unwrap();
    let stream = feed(live.clone(), wish, CancellationToken::new(), place);
    let mut events = Box::pin(stream.flat_map(futures_util::stream::iter));
    let mut next = async || {
        let event = events.next().await.unwrap();
        format!("{} {}", event.name(), String::from_utf8_lossy(&event.data(&view)))
    };
    assert!(next().await.contains("connected"));
    assert!(next().await.starts_with("metrics"));
    let second = admit(&live, "a2", 2);
    admit(&live, "b2", 3);
    show(&second, 2);
    assert_eq!(
        next().await,
        r#"agent {"agent_id":"a2","status":"connected","last_metrics_update":2000}"#
    );
    assert!(next().await.starts_with(r#"metrics {"agent_id":"a2""#));
    tokio::time::advance(Duration::from_hours(2)).await;
    assert!(next().await.contains(r#""status":"disconnected""#));
}

#[tokio::test(start_paused = true)]
async fn an_overview_has_all_at_first_and_then_what_changed() {
    let live = Arc::new(Live::default());
    let (one, other) = (admit(&live, "a1", 1), admit(&live, "a2", 2));
    show(&one, 1);
    let wish = wish(Shape::Overview, 1, None);
    let view = wish.view.clone();
    let place = Places::new(1).take(None).unwrap();
    let mut stream = Box::pin(feed(live.clone(), wish, CancellationToken::new(), place));
    let mut next = async || {
        let began = Instant::now();
        let events = stream.next().await.unwrap();
        assert_eq!(events.len(), 1, "one event");
        let data: Value = serde_json::from_slice(&events[0].data(&view)).unwrap();
        (data, began.elapsed())
    };
    let (first, _) = next().await;
    assert_eq!(first["full"], true);
    assert_eq!(first["agents"][0]["values"]["cpu.usage_percent"], 1.0);
    assert_eq!(
        (&first["agents"][1]["agent_id"], &first["agents"][1]["connected"]),
        (&"a2".into(), &true.into())
    );
    for second in 2..=3 {
        show(&other, second);
    }
    let (changed, took) = next().await;
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert_eq!(changed["full"], false);
    assert_eq!(changed["agents"].as_array().unwrap().len(), 1);
    assert_eq!(
        changed["agents"][0]["values"]["cpu.usage_percent"], 3.0,
        "the latest"
    );
}
