//! What there is at which path, and what a client gets that asks for something else.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use nodeglass_collect::CollectConfig;
#[cfg(target_os = "linux")]
use nodeglass_collect::exposition::NodeReader;
use nodeglass_collect::exposition::{Exposition, FamilyKind, Format, write_sample};
use nodeglass_model::{Clock, Sample};
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;
use tracing::error;

use super::negotiation::{Form, choose, takes_gzip};
use super::summary::{self, Health, Summary};
use crate::sampling::SamplingPlan;

/// The latest sample; `None` before the first.
pub type Latest = watch::Receiver<Option<Arc<Sample>>>;

/// Scrapes in hand: one reads the host, four wait for it.
const SCRAPES: usize = 5;
/// How long a scrape may take, its waiting included. Prometheus gives up after 10 s unless told otherwise.
const SCRAPE: Duration = Duration::from_secs(9);
/// Answers shorter than this are not worth compressing.
const WORTH_COMPRESSING: usize = 1 << 10;

const METRICS: [Form; 3] = [
    Form::Metrics(Format::Text),
    Form::Metrics(Format::OpenMetrics),
    Form::Json,
];
const JSON: [Form; 1] = [Form::Json];

/// What the answers are made from.
pub struct Answers {
    latest: Latest,
    plan: watch::Receiver<SamplingPlan>,
    clock: Arc<dyn Clock>,
    started: Instant,
    host: Arc<Mutex<Host>>,
    scrapes: Semaphore,
}

/// What reads the host when it is asked for.
struct Host {
    #[cfg(target_os = "linux")]
    reader: NodeReader,
}

impl Host {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(unused_variables, reason = "only Linux is read when it is asked for")
    )]
    fn new(collect: &CollectConfig) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            reader: NodeReader::new(&collect.host_root, collect.deadline, collect.privacy.clone()),
        }
    }

    fn expose(&mut self, latest: Option<&Sample>, format: Format) -> String {
        let mut out = Exposition::new(format);
        #[cfg(target_os = "linux")]
        self.reader.write(&mut out);
        out.family(
            "nodeglass_build_info",
            FamilyKind::Gauge,
            "Always 1; the label says which version of the agent this is.",
        )
        .series(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        if let Some(sample) = latest {
            write_sample(sample, &mut out);
        }
        out.finish()
    }
}

/// Why a call gets no answer. `Display` is what its sender reads.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is nothing at {0}: see /metrics, /metrics.json, /gpu and /health")]
    NoSuchPath(String),
    #[error("{0} is not possible here: use GET")]
    Method(String),
    #[error("none of the accepted types can be had: there are {0}")]
    NotAcceptable(String),
    #[error("{SCRAPES} scrapes are in hand already: try again in a moment")]
    Busy,
    #[error("reading the host took longer than {} s: try again", SCRAPE.as_secs())]
    TooSlow,
    #[error("an internal error, which the agent's log describes")]
    Internal,
}

impl Refusal {
    fn class(&self) -> (&'static str, StatusCode) {
        match self {
            Self::NoSuchPath(_) => ("no_such_path", StatusCode::NOT_FOUND),
            Self::Method(_) => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::NotAcceptable(_) => ("not_acceptable", StatusCode::NOT_ACCEPTABLE),
            Self::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::TooSlow => ("too_slow", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

type Answer = Response<Full<Bytes>>;

impl Answers {
    /// Answers from the latest samples, taken by `plan`, and from the host that `collect` tells of.
    pub fn new(
        latest: Latest,
        plan: watch::Receiver<SamplingPlan>,
        collect: &CollectConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            latest,
            plan,
            clock,
            started: Instant::now(),
            host: Arc::new(Mutex::new(Host::new(collect))),
            scrapes: Semaphore::new(SCRAPES),
        }
    }

    /// The answer to a call. Its body is not looked at.
    pub async fn answer<B>(&self, request: &Request<B>) -> Answer {
        self.try_answer(request).await.unwrap_or_else(|refusal| {
            let (code, status) = refusal.class();
            let message = refusal.to_string();
            let mut answer = json(status, &serde_json::json!({ "code": code, "message": message }));
            if status == StatusCode::METHOD_NOT_ALLOWED {
                answer
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            answer
        })
    }

    async fn try_answer<B>(&self, request: &Request<B>) -> Result<Answer, Refusal> {
        let path = request.uri().path();
        let offers = match path {
            "/metrics" => &METRICS[..],
            "/metrics.json" | "/gpu" | "/health" => &JSON,
            _ => return Err(Refusal::NoSuchPath(path.chars().take(200).collect())),
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Refusal::Method(request.method().to_string()));
        }
        let form = choose(request.headers(), offers).ok_or_else(|| {
            let types: Vec<&str> = offers.iter().map(|form| form.content_type()).collect();
            Refusal::NotAcceptable(types.join(", "))
        })?;
        let latest = self.latest.borrow().clone();
        let latest = latest.as_deref();
        Ok(match (path, form) {
            ("/metrics", Form::Metrics(format)) => self.scrape(format, takes_gzip(request.headers())).await?,
            ("/gpu", _) => json(StatusCode::OK, &latest.map_or(&[][..], |sample| &sample.gpus)),
            ("/health", _) => {
                let plan = self.plan.borrow().clone();
                let health = Health::of(latest, &plan, self.started.elapsed(), self.clock.now());
                let status = if health.is_ok() {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                json(status, &health)
            }
            _ => json(StatusCode::OK, &Summary::of(latest)),
        })
    }

    /// The latest sample, unless it is so old that its figures would be taken for what is now.
    fn fresh(&self) -> Option<Arc<Sample>> {
        let patience = self.plan.borrow().interval * summary::INTERVALS;
        let now = self.clock.now();
        let latest = self.latest.borrow().clone();
        latest.filter(|sample| now.since(sample.timestamp) <= patience)
    }

    /// Reads the host on a thread that may block. Those who come while it is read wait in line, a few of them.
    async fn scrape(&self, format: Format, gzip: bool) -> Result<Answer, Refusal> {
        let _place = self.scrapes.try_acquire().map_err(|_| Refusal::Busy)?;
        let work = async {
            let mut host = self.host.clone().lock_owned().await;
            let latest = self.fresh();
            tokio::task::spawn_blocking(move || {
                let text = host.expose(latest.as_deref(), format);
                drop(host);
                if gzip && text.len() > WORTH_COMPRESSING {
                    compress(&text).map(|compressed| (compressed, true))
                } else {
                    Ok((text.into_bytes(), false))
                }
            })
            .await
        };
        let (body, is_compressed) = match tokio::time::timeout(SCRAPE, work).await {
            Ok(Ok(Ok(body))) => body,
            Ok(Ok(Err(error))) => {
                error!(%error, "a scrape could not be compressed");
                return Err(Refusal::Internal);
            }
            Ok(Err(error)) => {
                error!(%error, "reading the host for a scrape failed");
                return Err(Refusal::Internal);
            }
            Err(_) => return Err(Refusal::TooSlow),
        };
        let mut answer = respond(StatusCode::OK, Form::Metrics(format).content_type(), body);
        if is_compressed {
            answer
                .headers_mut()
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(answer)
    }
}

fn compress(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    match serde_json::to_vec(body) {
        Ok(body) => respond(status, Form::Json.content_type(), body),
        Err(error) => {
            error!(%error, "an answer can't be written as JSON");
            respond(
                StatusCode::INTERNAL_SERVER_ERROR,
                Form::Json.content_type(),
                Vec::new(),
            )
        }
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    answer
}
