//! The gRPC service for other programs: the same answers as REST, in the wire's types.

mod answers;
mod programs;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::system::SystemParts;
use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_service_server::MetricsService;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::api::Asked;
use crate::audit::Audit;
use crate::error::ApiError;
use crate::listener::Connection;
use crate::live::Overview;
use crate::queries::Queries;
use crate::registry::labels::Label;
use crate::stream::{Event, News, Place, Wish, feed, filter, samples};

pub use programs::{reflection, report_health};

/// Answers gRPC calls of those whom the guard before it has let in.
#[derive(Debug, Clone)]
pub struct ClientService {
    queries: Arc<Queries>,
    audit: Arc<Audit>,
}

impl ClientService {
    /// Sets it up; what agents are asked to do is noted in `audit`.
    pub fn new(queries: Arc<Queries>, audit: Arc<Audit>) -> Self {
        Self { queries, audit }
    }
}

/// An answer whose reader is watched (see `stream/watched.rs`).
fn in_its_place<T>(messages: T, place: Place) -> Response<T> {
    let mut answer = Response::new(messages);
    answer.extensions_mut().insert(place);
    answer
}

/// Who asks, on which connection, and what.
fn taken<T>(request: Request<T>) -> Result<(Caller, Option<Connection>, T), ApiError> {
    let caller = Caller::of(request.extensions())?;
    let connection = request.extensions().get::<Connection>().cloned();
    Ok((caller, connection, request.into_inner()))
}

/// The answers of a call that has several.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A sample on the wire, with what is wanted of it.
fn part_of(sample: &nodeglass_model::Sample, filter: &MetricFilter) -> v1::MetricsDataResponse {
    if filter.keeps_all() {
        return sample.into();
    }
    let mut part = sample.clone();
    filter.apply(&mut part);
    (&part).into()
}

#[tonic::async_trait]
impl MetricsService for ClientService {
    type StreamMetricsStream = Answers<v1::MetricsDataResponse>;
    type QueryFleetHistoryStream = Answers<v1::FleetHistory>;
    type StreamFleetStream = Answers<v1::FleetSample>;

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let (caller, ..) = taken(request)?;
        let agents = self.queries.agents_of(&caller).await;
        let summaries = agents.iter().map(|agent| {
            let Overview {
                connected,
                update,
                sample,
                ..
            } = agent.overview();
            let profile = agent.profile();
            let label = |label: &Label| (label.name.to_string(), label.value.to_string());
            v1::AgentSummary {
                labels: profile.labels.iter().map(label).collect(),
                groups: profile.groups.iter().map(ToString::to_string).collect(),
                version: profile.version.as_deref().unwrap_or_default().to_owned(),
                agent_id: agent.id.to_string(),
                connected,
                last_metrics_update: update.map(|at| at.0.unsigned_abs()),
                metrics: sample.map(|live| live.sample().into()),
            }
        });
        Ok(Response::new(v1::ListAgentsResponse {
            agents: summaries.collect(),
        }))
    }

    async fn get_system_info(
        &self,
        request: Request<v1::GetSystemInfoRequest>,
    ) -> Result<Response<v1::SystemInfoResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        let parts = request.include.map_or(SystemParts::STANDARD, Into::into);
        let info = self.queries.system(&caller, &request.agent_id, parts).await?;
        Ok(Response::new((&info).into()))
    }

    async fn get_metrics(
        &self,
        request: Request<v1::GetMetricsRequest>,
    ) -> Result<Response<v1::MetricsDataResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        let (_, live) = self.queries.metrics(&caller, &request.agent_id).await?;
        Ok(Response::new(live.sample().into()))
    }

    async fn stream_metrics(
        &self,
        request: Request<v1::StreamMetricsRequest>,
    ) -> Result<Response<Self::StreamMetricsStream>, Status> {
        let (caller, connection, request) = taken(request)?;
        let filter = filter(&request.metrics)?;
        let agent = self.queries.agent(&caller, &request.agent_id).await?;
        let place = self.queries.open_stream(connection)?;
        let wish = Wish {
            interval: Duration::from_secs(request.interval_seconds.into()),
            ..Default::default()
        };
        let stream = samples(&agent, wish, caller.ended().clone(), place.clone());
        let messages = stream
            .filter_map(move |live| std::future::ready(live.map(|live| Ok(part_of(live.sample(), &filter)))));
        Ok(in_its_place(Box::pin(messages), place))
    }

    async fn query_history(
        &self,
        request: Request<v1::QueryHistoryRequest>,
    ) -> Result<Response<v1::MetricsQueryResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        self.queries.agent(&caller, &request.agent_id).await?;
        let query = answers::query(&self.queries, request.query)?;
        let answer = self.queries.history(&caller, &request.agent_id, query).await?;
        Ok(Response::new(v1::MetricsQueryResponse {
            gaps: answer.gaps.into_iter().map(Into::into).collect(),
            source: answer.source.name().to_owned(),
            resolution: answer.resolution.name().to_owned(),
            ..v1::MetricsQueryResponse::new(&answer.query, &answer.history)
        }))
    }

    async fn query_fleet_history(
        &self,
        request: Request<v1::QueryFleetHistoryRequest>,
    ) -> Result<Response<Self::QueryFleetHistoryStream>, Status> {
        let (caller, _, request) = taken(request)?;
        let histories = answers::fleet_history(&self.queries, &caller, request).await?;
        Ok(Response::new(Box::pin(histories)))
    }

    async fn stream_fleet(
        &self,
        request: Request<v1::StreamFleetRequest>,
    ) -> Result<Response<Self::StreamFleetStream>, Status> {
        let (caller, connection, request) = taken(request)?;
        let filter = filter(&request.metrics)?;
        let asked = Asked {
            agents: request.agents.iter().map(String::as_str).collect(),
            interval: (request.interval_seconds > 0).then_some(request.interval_seconds.into()),
            seen: Some(&request.cursor),
            ..Default::default()
        };
        let wish = asked.wish(&self.queries, &caller).await?;
        let place = self.queries.open_stream(connection)?;
        let live = self.queries.agents().await.clone();
        let events = feed(live, wish, caller.ended().clone(), place.clone());
        let messages = events
            .flat_map(stream::iter)
            .filter_map(move |event| std::future::ready(message(event, &filter).map(Ok)));
        Ok(in_its_place(Box::pin(messages), place))
    }

    async fn get_latest(
        &self,
        request: Request<v1::GetLatestRequest>,
    ) -> Result<Response<v1::Readings>, Status> {
        let (caller, _, request) = taken(request)?;
        Ok(Response::new(
            answers::latest(&self.queries, &caller, request).await?,
        ))
    }

    async fn get_top(&self, request: Request<v1::GetTopRequest>) -> Result<Response<v1::Readings>, Status> {
        let (caller, _, request) = taken(request)?;
        Ok(Response::new(
            answers::top(&self.queries, &caller, request).await?,
        ))
    }

    async fn get_ledger(
        &self,
        request: Request<v1::GetLedgerRequest>,
    ) -> Result<Response<v1::LedgerResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        let statement = self.queries.ledger(&caller, &request.agent_id).await?;
        Ok(Response::new(statement.into()))
    }

    async fn list_tasks(
        &self,
        request: Request<v1::ListTasksRequest>,
    ) -> Result<Response<v1::ListTasksResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        Ok(Response::new(
            answers::tasks(&self.queries, &caller, request).await?,
        ))
    }

    async fn get_processes(
        &self,
        request: Request<v1::GetProcessesRequest>,
    ) -> Result<Response<v1::ProcessesResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        Ok(Response::new(
            answers::processes(&self.queries, &caller, request).await?,
        ))
    }

    async fn execute_task(
        &self,
        request: Request<v1::TaskRequest>,
    ) -> Result<Response<v1::TaskResponse>, Status> {
        let (caller, _, request) = taken(request)?;
        let agent = self.queries.agent(&caller, &request.agent_id).await?;
        let Some(asked) = asked_for(&request) else {
            let problem = "name what the agent is to do: a metrics_request".to_owned();
            return Err(ApiError::Parameter {
                name: "task",
                problem,
            }
            .into());
        };
        let answer = self.queries.execute(&agent, request).await;
        let id = agent.id.as_str();
        match &answer {
            Ok(_) => self.audit.note(&caller, "agent.task", id, &asked),
            Err(error) => {
                let detail = format!("{asked}: {}", error.code().name);
                self.audit.failed(&caller, "agent.task", id, &detail);
            }
        }
        Ok(Response::new(answer?))
    }
}

/// What an agent is asked to do, in the words of the audit log; `None` where nothing is asked.
fn asked_for(request: &v1::TaskRequest) -> Option<String> {
    use v1::metrics_request::RequestType;
    use v1::task_request::Task;
    let Task::MetricsRequest(request) = request.task.as_ref()?;
    Some(match &request.request_type {
        Some(RequestType::SystemInfo(_)) => "system_info".to_owned(),
        Some(RequestType::StreamRequest(stream)) => {
            let seconds = stream.interval_seconds;
            format!("{} interval_seconds {seconds}", stream.action().as_str_name())
        }
        Some(RequestType::QueryRequest(query)) => format!("query {}", query.metrics.join(" ")),
        None => "nothing".to_owned(),
    })
}

/// An event of a stream of many agents; `None` for one that gRPC has other ways to say.
fn message(event: Event, filter: &MetricFilter) -> Option<v1::FleetSample> {
    let cursor = event.id.as_ref().map(ToString::to_string).unwrap_or_default();
    match event.news {
        News::Sample(agent, live) => Some(v1::FleetSample {
            agent_id: agent.id.to_string(),
            metrics: Some(part_of(live.sample(), filter)),
            cursor,
            status: String::new(),
        }),
        News::Agent(agent, status) => Some(v1::FleetSample {
            agent_id: agent.id.to_string(),
            metrics: None,
            cursor,
            status: status.to_owned(),
        }),
        News::Overview(_) | News::Error(_) => None,
    }
}
