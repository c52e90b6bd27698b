//! Answers what the server asks: system information, a change of the sampling plan, recent history. Nothing else can
//! be asked of an agent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_collect::{CollectConfig, read_system_info};
use nodeglass_model::Clock;
use nodeglass_model::history::HistoryQuery;
use nodeglass_model::system::SystemInfo;
use nodeglass_proto::limits::MAX_MESSAGE_BYTES;
use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_request::RequestType;
use nodeglass_proto::v1::metrics_response::ResponseType;
use nodeglass_proto::v1::metrics_stream_request::Action;
use nodeglass_proto::v1::task_request::Task;
use nodeglass_proto::v1::task_response::{Response, Status};
use prost::Message as _;
use tokio::sync::{Semaphore, watch};

use crate::outbox::Outbox;
use crate::sampling::SamplingPlan;
use crate::settings::Asked;

/// The longest interval that may be asked for; silence for longer is what STOP is for.
const MAX_INTERVAL_SECONDS: u32 = 3_600;

/// What an answer is wrapped in.
const ENVELOPE_BYTES: usize = 4096;

/// What answers are made of.
#[derive(Debug, Clone)]
pub struct Requests {
    /// Local history.
    pub outbox: Arc<Outbox>,
    /// How to read this host.
    pub collect: CollectConfig,
    /// The plan in force.
    pub plan: watch::Sender<SamplingPlan>,
    /// The plan of the configuration, to which a request may return.
    pub configured: SamplingPlan,
    /// What the configuration says of this host.
    pub labels: BTreeMap<String, String>,
    /// What the server last asked for.
    pub asked: Arc<Asked>,
    /// The wall time.
    pub clock: Arc<dyn Clock>,
    /// Questions about local history are answered one after the other: each may read the whole journal.
    pub reading: Arc<Semaphore>,
}

impl Requests {
    /// Answers one request.
    pub async fn answer(&self, request: v1::TaskRequest) -> v1::TaskResponse {
        let v1::TaskRequest {
            agent_id,
            task_id,
            task,
        } = request;
        let answer = match task {
            Some(Task::MetricsRequest(v1::MetricsRequest {
                request_type: Some(request),
            })) => self.metrics(request).await,
            _ => Err(
                "this agent can report and change its intervals, nothing else: send a metrics_request"
                    .to_owned(),
            ),
        };
        let (status, response, error) = match answer {
            Ok(response) => (Status::Succeeded, response, String::new()),
            Err(error) => (Status::Failed, None, error),
        };
        let response = response.map(|response| {
            Response::MetricsResponse(v1::MetricsResponse {
                response_type: Some(response),
            })
        });
        v1::TaskResponse {
            agent_id,
            task_id,
            response,
            status: status.into(),
            error,
        }
    }

    async fn metrics(&self, request: RequestType) -> Result<Option<ResponseType>, String> {
        match request {
            RequestType::SystemInfo(parts) => {
                let (collect, now) = (self.collect.clone(), self.clock.now());
                let info = tokio::task::spawn_blocking(move || read_system_info(&collect, parts.into(), now))
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(Some(ResponseType::SystemInfo((&info).into())))
            }
            RequestType::StreamRequest(change) => self.change_plan(&change).map(|()| None),
            RequestType::QueryRequest(query) => {
                let query = HistoryQuery::try_from(query).map_err(|error| error.to_string())?;
                let outbox = self.outbox.clone();
                let _turn = self.reading.acquire().await.map_err(|error| error.to_string())?;
                let answer = tokio::task::spawn_blocking(move || {
                    v1::MetricsQueryResponse::new(&query, &outbox.journal.history(&query))
                })
                .await
                .map_err(|error| error.to_string())?;
                if answer.encoded_len() > MAX_MESSAGE_BYTES - ENVELOPE_BYTES {
                    return Err("the answer is too large for one message: ask for fewer metrics, a shorter range or a longer interval".to_owned());
                }
                Ok(Some(ResponseType::QueryResponse(answer)))
            }
        }
    }

    fn change_plan(&self, change: &v1::MetricsStreamRequest) -> Result<(), String> {
        let interval = match change.interval_seconds {
            0 => self.configured.interval,
            seconds @ 1..=MAX_INTERVAL_SECONDS => Duration::from_secs(seconds.into()),
            seconds => {
                return Err(format!(
                    "interval_seconds: {seconds} is not within 0 to {MAX_INTERVAL_SECONDS}"
                ));
            }
        };
        let action =
            Action::try_from(change.action).map_err(|_| format!("action: {} is none", change.action))?;
        match action {
            Action::Start => {
                // What this host's owner left out stays out.
                let filter = self
                    .configured
                    .filter
                    .narrowed(&change.metrics)
                    .map_err(|unknown| {
                        unknown
                            .iter()
                            .map(ToString::to_string)
                            .collect::<Vec<_>>()
                            .join("; ")
                    })?;
                self.plan.send_modify(|plan| {
                    plan.running = true;
                    plan.interval = interval;
                    plan.filter = filter;
                });
            }
            Action::Stop => self.plan.send_modify(|plan| plan.running = false),
            Action::UpdateInterval => self.plan.send_modify(|plan| plan.interval = interval),
        }
        Ok(())
    }

    /// What this host is, for the greeting.
    ///
    /// # Errors
    /// The reading thread panicked.
    pub async fn system_info(&self) -> Result<SystemInfo, tokio::task::JoinError> {
        let (collect, now) = (self.collect.clone(), self.clock.now());
        let parts = nodeglass_model::system::SystemParts::STANDARD;
        tokio::task::spawn_blocking(move || read_system_info(&collect, parts, now)).await
    }
}
