//! The gRPC service for other programs: the same answers as REST, in the wire's types.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use nodeglass_model::history::HistoryQuery;
use nodeglass_model::system::SystemParts;
use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_service_server::MetricsService;
use tonic::{Request, Response, Status};

use crate::access::Caller;
use crate::audit::Audit;
use crate::error::ApiError;
use crate::listener::Connection;
use crate::live::Overview;
use crate::queries::Queries;
use crate::registry::labels::Label;
use crate::stream::{Wish, samples};

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

#[tonic::async_trait]
impl MetricsService for ClientService {
    type StreamMetricsStream = Pin<Box<dyn Stream<Item = Result<v1::MetricsDataResponse, Status>> + Send>>;

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
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
                metrics: sample.map(|live| (&live.sample).into()),
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
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        let parts = request.include.map_or(SystemParts::STANDARD, Into::into);
        let info = self.queries.system(&caller, &request.agent_id, parts).await?;
        Ok(Response::new((&info).into()))
    }

    async fn get_metrics(
        &self,
        request: Request<v1::GetMetricsRequest>,
    ) -> Result<Response<v1::MetricsDataResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        let (_, live) = self.queries.metrics(&caller, &request.agent_id).await?;
        Ok(Response::new((&live.sample).into()))
    }

    async fn stream_metrics(
        &self,
        request: Request<v1::StreamMetricsRequest>,
    ) -> Result<Response<Self::StreamMetricsStream>, Status> {
        let connection = request.extensions().get::<Connection>().cloned();
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        let agent = self.queries.agent(&caller, &request.agent_id).await?;
        let place = self.queries.open_stream(connection)?;
        let wish = Wish {
            interval: Duration::from_secs(request.interval_seconds.into()),
            ..Default::default()
        };
        let stream = samples(&agent, wish, caller.ended().clone(), place);
        Ok(Response::new(Box::pin(stream.filter_map(|live| {
            std::future::ready(live.map(|live| Ok((&live.sample).into())))
        }))))
    }

    async fn query_history(
        &self,
        request: Request<v1::QueryHistoryRequest>,
    ) -> Result<Response<v1::MetricsQueryResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        self.queries.agent(&caller, &request.agent_id).await?;
        let mut query = request.query.unwrap_or_default();
        if query.max_points == 0 {
            query.max_points = self.queries.max_points();
        }
        let query = HistoryQuery::try_from(query).map_err(ApiError::from)?;
        let answer = self.queries.history(&caller, &request.agent_id, query).await?;
        let gaps = answer.gaps.into_iter().map(|gap| v1::Gap {
            reason: gap.reason,
            from: gap.from,
            to: gap.to,
            samples: gap.samples,
        });
        Ok(Response::new(v1::MetricsQueryResponse {
            gaps: gaps.collect(),
            source: answer.source.name().to_owned(),
            resolution: answer.resolution.name().to_owned(),
            ..v1::MetricsQueryResponse::new(&answer.query, &answer.history)
        }))
    }

    async fn execute_task(
        &self,
        request: Request<v1::TaskRequest>,
    ) -> Result<Response<v1::TaskResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let request = request.into_inner();
        let agent = self.queries.agent(&caller, &request.agent_id).await?;
        if request.task.is_none() {
            let problem = "name what the agent is to do: a metrics_request".to_owned();
            return Err(ApiError::Parameter {
                name: "task",
                problem,
            }
            .into());
        }
        let asked = self.queries.execute(&agent, request).await;
        let id = agent.id.as_str();
        match &asked {
            Ok(_) => self.audit.note(&caller, "agent.task", id, ""),
            Err(error) => self.audit.failed(&caller, "agent.task", id, error.code().name),
        }
        Ok(Response::new(asked?))
    }
}
