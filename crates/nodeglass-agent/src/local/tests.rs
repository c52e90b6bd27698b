//! What clients get, over real connections where that makes a difference.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use flate2::read::GzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use nodeglass_collect::{CollectConfig, DeviceFilters};
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{DiskMetrics, GpuMetrics, TemperatureMetrics};
use nodeglass_model::{Clock, Sample, UnixMillis};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::sampling::SamplingPlan;

const TAKEN: UnixMillis = UnixMillis(1_705_314_600_000);

/// A clock that shows what it is told to.
#[derive(Debug)]
struct Stopped(UnixMillis);

impl Clock for Stopped {
    fn now(&self) -> UnixMillis {
        self.0
    }
}

fn plan(running: bool) -> SamplingPlan {
    SamplingPlan {
        running,
        interval: Duration::from_secs(5),
        local_interval: Duration::from_secs(1),
        watched: None,
        filter: MetricFilter::default(),
        devices: DeviceFilters::default(),
        top_processes: 10,
    }
}

fn sample() -> Sample {
    let mut sample = Sample {
        timestamp: TAKEN,
        disks: vec![DiskMetrics {
            mount_point: "/".into(),
            used_bytes: Some(107_374_182_400),
            available_bytes: Some(429_496_729_600),
            total_bytes: Some(536_870_912_000),
            usage_percent: Some(20.0),
            ..DiskMetrics::default()
        }],
        gpus: vec![GpuMetrics {
            name: "H200".into(),
            utilization_percent: Some(30.5),
            ..GpuMetrics::default()
        }],
        ..Sample::default()
    };
    sample.cpu.usage_percent = Some(45.2);
    sample.memory.usage_percent = Some(62.8);
    sample.cpu.temperature_celsius = Some(55.0);
    sample
}

/// Answers from this sample, `later` after it was taken.
fn answers(sample: Option<Sample>, later: Duration) -> Answers {
    let (_, latest) = watch::channel(sample.map(Arc::new));
    let (_, plan) = watch::channel(plan(true));
    let clock = Arc::new(Stopped(TAKEN.plus(later)));
    Answers::new(latest, plan, &CollectConfig::default(), clock)
}

async fn ask(
    answers: &Answers,
    method: Method,
    path: &str,
    headers: &[(http::HeaderName, &str)],
) -> (StatusCode, String, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let answer = answers.answer(&request.body(()).unwrap()).await;
    let content_type = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes().to_vec();
    (status, content_type, body)
}

async fn ask_json(answers: &Answers, path: &str) -> (StatusCode, Value) {
    let (status, content_type, body) = ask(answers, Method::GET, path, &[]).await;
    assert_eq!(content_type, "application/json");
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn the_main_figures_as_the_specification_prints_them() {
    let answers = answers(Some(sample()), Duration::ZERO);
    let printed = include_str!("../../../../tests/fixtures/specification/collector.json");
    let expected: Value = serde_json::from_str(printed).unwrap();
    assert_eq!(
        ask_json(&answers, "/metrics.json").await,
        (StatusCode::OK, expected.clone())
    );
    let headers = [(ACCEPT, "application/json")];
    let (_, content_type, body) = ask(&answers, Method::GET, "/metrics", &headers).await;
    assert_eq!(content_type, "application/json");
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    let (_, gpus) = ask_json(&answers, "/gpu").await;
    assert_eq!(
        gpus,
        json!([{"index": 0, "name": "H200", "uuid": "", "utilization_percent": 30.5}])
    );
}

#[tokio::test]
async fn what_is_not_known_is_null() {
    let nothing = answers(None, Duration::ZERO);
    let expected = json!({
        "cpu": null, "ram": null, "gpu": null, "temperature": null,
        "disk": {"used": null, "free": null, "total": null, "percent": null},
        "timestamp": null,
    });
    assert_eq!(
        ask_json(&nothing, "/metrics.json").await,
        (StatusCode::OK, expected)
    );
    assert_eq!(ask_json(&nothing, "/gpu").await, (StatusCode::OK, json!([])));

    let sensor = |celsius| TemperatureMetrics {
        temperature_celsius: Some(celsius),
        ..TemperatureMetrics::default()
    };
    let warm = Sample {
        temperatures: vec![sensor(40.0), sensor(61.5)],
        ..Sample::default()
    };
    let (_, summary) = ask_json(&answers(Some(warm), Duration::ZERO), "/metrics.json").await;
    assert_eq!(
        summary["temperature"], 61.5,
        "without a processor's sensor the hottest"
    );
}

#[tokio::test]
async fn health_is_lost_when_samples_stay_away() {
    let (status, health) = ask_json(&answers(Some(sample()), Duration::from_secs(15)), "/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&health["status"], &health["last_sample_age_seconds"]),
        (&json!("ok"), &json!(15.0))
    );
    assert_eq!(health["metrics"]["cpu"], 45.2);

    let late = answers(Some(sample()), Duration::from_secs(16));
    let (status, health) = ask_json(&late, "/health").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        health["reason"],
        "no sample was taken for 16 s, though one is due every 5 s: see the agent's log"
    );

    let (status, _) = ask_json(&answers(None, Duration::ZERO), "/health").await;
    assert_eq!(status, StatusCode::OK, "the first sample is not due yet");

    let (_, latest) = watch::channel(Some(Arc::new(sample())));
    let (_, paused) = watch::channel(plan(false));
    let clock = Arc::new(Stopped(TAKEN.plus(Duration::from_mins(10))));
    let paused = Answers::new(latest, paused, &CollectConfig::default(), clock);
    let (status, health) = ask_json(&paused, "/health").await;
    assert_eq!(
        (status, &health["sampling"]),
        (StatusCode::OK, &json!(false)),
        "it was told to pause"
    );
}

#[tokio::test]
async fn metrics_in_the_form_that_was_asked_for() {
    let answers = answers(Some(sample()), Duration::ZERO);
    let (_, content_type, body) = ask(&answers, Method::GET, "/metrics", &[]).await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(body).unwrap();
    assert!(
        text.contains("\nnodeglass_cpu_usage_percent 45.2\n") && !text.contains("# EOF"),
        "{text}"
    );
    assert!(text.contains(concat!(
        "\nnodeglass_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\"} 1\n"
    )));
    #[cfg(target_os = "linux")]
    assert!(
        text.contains("\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} "),
        "{text}"
    );

    let late = self::answers(Some(sample()), Duration::from_secs(16));
    let (_, _, body) = ask(&late, Method::GET, "/metrics", &[]).await;
    assert!(
        !String::from_utf8(body).unwrap().contains("nodeglass_cpu_"),
        "old figures are not shown as new"
    );

    let open = [(ACCEPT, "application/openmetrics-text;version=1.0.0")];
    let (_, content_type, body) = ask(&answers, Method::GET, "/metrics", &open).await;
    assert_eq!(
        content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(body.ends_with(b"\n# EOF\n"));

    let (_, _, body) = ask(&answers, Method::GET, "/metrics", &[(ACCEPT_ENCODING, "gzip")]).await;
    let mut unpacked = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut unpacked).unwrap();
    assert!(unpacked.contains("\nnodeglass_cpu_usage_percent 45.2\n") && body.len() < unpacked.len() / 4);
}

#[tokio::test]
async fn what_can_t_be_had_is_refused_with_a_code() {
    let answers = answers(None, Duration::ZERO);
    for (method, path, accept, status, code) in [
        (Method::GET, "/", "*/*", StatusCode::NOT_FOUND, "no_such_path"),
        (
            Method::GET,
            "/metrics/",
            "*/*",
            StatusCode::NOT_FOUND,
            "no_such_path",
        ),
        (
            Method::POST,
            "/metrics",
            "*/*",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            Method::DELETE,
            "/gpu",
            "*/*",
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
        ),
        (
            Method::GET,
            "/metrics",
            "image/png",
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
        ),
        (
            Method::GET,
            "/health",
            "text/plain",
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
        ),
    ] {
        let (refused, content_type, body) = ask(&answers, method, path, &[(ACCEPT, accept)]).await;
        let error: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (refused, content_type.as_str()),
            (status, "application/json"),
            "{path}"
        );
        assert_eq!(error["code"], code, "{path}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
    }
}

/// A running endpoint with its tasks.
fn start(answers: Answers) -> (SocketAddr, TaskGroup) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = TaskGroup::new();
    let serving = serve(listener, answers, tasks.clone(), tasks.shutdown_token());
    tasks.spawn_transient("local endpoint", serving);
    (address, tasks)
}

/// The status line, the headers and the body of one call on a connection.
fn call(stream: &mut TcpStream, head: &str) -> (String, String, Vec<u8>) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).unwrap();
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") && reader.read_line(&mut headers).unwrap() > 2 {}
    let length = headers
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; if head.starts_with("HEAD") { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    (status, headers, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_bounded_and_ended() {
    let (address, tasks) = start(answers(Some(sample()), Duration::ZERO));
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let (status, headers, body) = call(&mut stream, "HEAD /metrics.json HTTP/1.1\r\nhost: any\r\n\r\n");
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        assert!(headers.contains("content-length: 1"), "{headers}");
        assert!(body.is_empty());
        let (status, _, body) = call(&mut stream, "GET /metrics.json HTTP/1.1\r\nhost: any\r\n\r\n");
        assert!(
            status.starts_with("HTTP/1.1 200") && body.starts_with(b"{\"cpu\":45.2"),
            "on the same connection"
        );

        let mut stream = TcpStream::connect(address).unwrap();
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(MAX_HEAD_BYTES * 2));
        // The end may close before it has read it all.
        let _ = stream.write_all(long.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "a head that is too long");

        let mut silent: Vec<TcpStream> = (0..CONNECTIONS.at_once)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let mut last = TcpStream::connect(address).unwrap();
        last.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        last.write_all(b"GET /gpu HTTP/1.1\r\nhost: any\r\n\r\n").unwrap();
        assert!(last.read(&mut [0; 1]).is_err(), "all places are taken");
        silent.clear();
        let (status, ..) = call(&mut last, "");
        assert!(
            status.starts_with("HTTP/1.1 200"),
            "a place became free: {status}"
        );
    });
    asked.await.unwrap();
    let ended = tasks.run(std::future::ready(()), Duration::from_secs(20)).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[tokio::test]
async fn scrapes_wait_in_line_and_the_line_is_short() {
    let answers = answers(Some(sample()), Duration::ZERO);
    let ask = || ask(&answers, Method::GET, "/metrics", &[]);
    let scrapes = futures_util::future::join_all((0..7).map(|_| ask())).await;
    let count = |status| scrapes.iter().filter(|(own, ..)| *own == status).count();
    assert_eq!(
        (count(StatusCode::OK), count(StatusCode::SERVICE_UNAVAILABLE)),
        (5, 2)
    );
    assert_eq!(ask().await.0, StatusCode::OK, "afterwards there is room again");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    assert!(bind(first.local_addr().unwrap()).is_err());
}
