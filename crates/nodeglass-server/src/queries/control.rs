//! What programs have an agent do: a change of what it samples becomes part of its settings, everything else goes to it as
//! it is.

use std::time::Duration;

use nodeglass_model::TaskId;
use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_request::RequestType;
use nodeglass_proto::v1::metrics_stream_request::Action;
use nodeglass_proto::v1::task_request::Task;
use nodeglass_proto::v1::task_response::Status;

use super::Queries;
use crate::error::ApiError;
use crate::live::LiveAgent;

/// How long an agent may take to say what is in force.
const APPLY: Duration = Duration::from_secs(10);

impl Queries {
    /// Has an agent do what a request says.
    ///
    /// # Errors
    /// An agent that is away or silent, or a database that does not answer.
    pub async fn execute(
        &self,
        agent: &LiveAgent,
        request: v1::TaskRequest,
    ) -> Result<v1::TaskResponse, ApiError> {
        // Agents of before there were settings are told themselves, as ever.
        let knows_settings = agent.is_connected() && agent.profile().report.is_some();
        let Some(change) = stream_request(&request).filter(|_| knows_settings) else {
            return self.ask(agent, request).await;
        };
        if !request.task_id.is_empty() {
            let checked = request.task_id.parse::<TaskId>();
            checked.map_err(|error| ApiError::Parameter {
                name: "task_id",
                problem: error.to_string(),
            })?;
        }
        let answer = |status: Status, error: String| v1::TaskResponse {
            agent_id: agent.id.to_string(),
            task_id: request.task_id.clone(),
            status: status.into(),
            error,
            ..Default::default()
        };
        let Ok(action) = Action::try_from(change.action) else {
            return Ok(answer(
                Status::Failed,
                format!("action: {} is none", change.action),
            ));
        };
        let changed = self.registry.set_settings(agent, |before| {
            Ok(match action {
                Action::Start => before.started(change.interval_seconds, change.metrics.clone()),
                Action::Stop => before.stopped(),
                Action::UpdateInterval => before.with_interval(change.interval_seconds),
            })
        });
        match changed.await {
            Ok(()) => {}
            Err(ApiError::Parameter { problem, .. }) => return Ok(answer(Status::Failed, problem)),
            Err(error) => return Err(error),
        }
        if self.registry.applied(agent, APPLY).await {
            Ok(answer(Status::Succeeded, String::new()))
        } else {
            Err(ApiError::AgentSilent(agent.id.to_string()))
        }
    }
}

/// The change of what is sampled that a request asks for, if it is one.
fn stream_request(request: &v1::TaskRequest) -> Option<&v1::MetricsStreamRequest> {
    match request.task.as_ref()? {
        Task::MetricsRequest(v1::MetricsRequest {
            request_type: Some(RequestType::StreamRequest(change)),
        }) => Some(change),
        Task::MetricsRequest(_) => None,
    }
}
