//! Pushes as programs write them.

use super::*;

fn push(json: &str) -> Push {
    serde_json::from_str(json).unwrap()
}

fn millis(json: &str) -> Result<Option<i64>, InvalidPush> {
    push(json).moment().map(|at| at.map(|at| at.0))
}

#[test]
fn every_way_to_say_when() {
    for (text, expected) in [
        ("1690538400", 1_690_538_400_000),
        ("1690538400.25", 1_690_538_400_250),
        ("1690538400250", 1_690_538_400_250),
        (r#""2023-07-28T10:00:00Z""#, 1_690_538_400_000),
        (r#""2023-07-28T10:00:00.250000""#, 1_690_538_400_250),
        (r#""2023-07-28 10:00:00""#, 1_690_538_400_000),
        (r#""2023-07-28T12:00:00+02:00""#, 1_690_538_400_000),
        (r#""2023-07-28T04:30:00.5-05:30""#, 1_690_538_400_500),
    ] {
        let json = format!(r#"{{"timestamp": {text}}}"#);
        assert_eq!(millis(&json), Ok(Some(expected)), "{text}");
    }
    assert_eq!(millis("{}"), Ok(None));
    for text in [
        r#""now""#,
        r#""-1h""#,
        r#""""#,
        "-5",
        r#""2023-07-28""#,
        r#""2023-07-28T10:00:00+0x:00""#,
    ] {
        let json = format!(r#"{{"timestamp": {text}}}"#);
        assert!(millis(&json).is_err(), "{text}");
    }
}

#[test]
fn figures_stand_where_the_catalogue_has_them() {
    let sample = push(
        r#"{"cpu_usage": 12.5, "memory_usage": 40, "disk_usage": {"/": 10, "/home": 20.5}, "network_io": 1000.4,
            "response_time": 23.4, "requests_per_minute": 600, "error_rate": 0.5, "custom_metrics": {"queue": -3, "x": null}}"#,
    )
    .sample(UnixMillis(5_000), None)
    .unwrap();
    let value = |series: &str| {
        nodeglass_model::selector::Selector::parse(series)
            .unwrap()
            .value(&sample)
    };
    for (series, expected) in [
        ("cpu.usage_percent", 12.5),
        ("memory.usage_percent", 40.0),
        ("disk.usage_percent@/home", 20.5),
        ("app.network_bytes_per_sec", 1000.0),
        ("app.response_time_ms", 23.4),
        ("app.requests_per_minute", 600.0),
        ("app.error_percent", 0.5),
        ("custom.value@queue", -3.0),
    ] {
        assert_eq!(value(series), Some(expected), "{series}");
    }
    assert_eq!(value("custom.value@x"), None);
    assert_eq!(value("network.bytes_recv_per_sec"), None);
}

#[test]
fn counters_become_rates_with_the_push_before_and_none_after_a_reset() {
    let counters = |sent: u64, recv: u64| {
        push(&format!(
            r#"{{"network_io": {{"bytes_sent": {sent}, "bytes_recv": {recv}, "packets_sent": 1, "packets_recv": 1,
                "errin": 3, "errout": 0, "dropin": 0, "dropout": 0}}}}"#
        ))
    };
    let first = counters(1_000, 5_000);
    let sample = first.sample(UnixMillis(10_000), None).unwrap();
    assert_eq!(sample.network_interfaces[0].bytes_sent_per_sec, None);
    assert_eq!(sample.network_interfaces[0].errors_in, Some(3));
    let before = (UnixMillis(10_000), first.counters().unwrap().clone());
    let second = counters(3_000, 4_000)
        .sample(UnixMillis(20_000), Some(&before))
        .unwrap();
    assert_eq!(second.network_interfaces[0].bytes_sent_per_sec, Some(200));
    assert_eq!(
        second.network_interfaces[0].bytes_recv_per_sec, None,
        "it went back"
    );
    let older = counters(3_000, 9_000)
        .sample(UnixMillis(9_000), Some(&before))
        .unwrap();
    assert_eq!(older.network_interfaces[0].bytes_sent_per_sec, None);
}

#[test]
fn what_can_not_be_meant_is_refused() {
    for json in [
        r#"{"cpu": 3}"#,
        r#"{"cpu_usage": "3"}"#,
        r#"{"network_io": {"sent": 3}}"#,
        r#"{"disk_usage": [1]}"#,
    ] {
        assert!(serde_json::from_str::<Push>(json).is_err(), "{json}");
    }
    let many: BTreeMap<String, f64> = (0..65).map(|number| (format!("m{number}"), 1.0)).collect();
    let many = format!(
        r#"{{"custom_metrics": {}}}"#,
        serde_json::to_string(&many).unwrap()
    );
    let long = format!(r#"{{"custom_metrics": {{"{}": 1}}}}"#, "x".repeat(65));
    for json in [
        "{}",
        r#"{"cpu_usage": null}"#,
        r#"{"custom_metrics": {"a,b": 1}}"#,
        r#"{"custom_metrics": {"": 1}}"#,
        r#"{"network_io": -1}"#,
        &many,
        &long,
    ] {
        assert!(push(json).sample(UnixMillis(1), None).is_err(), "{json}");
    }
}
