//! What a caller can get wrong, or the server can fail at, with a stable code for each.
//!
//! This is the one place where failures become HTTP statuses (`IntoResponse`) and the one where they become gRPC
//! statuses (`From<ApiError> for Status`). Causes are logged here and never sent.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use nodeglass_model::UnixMillis;
use nodeglass_model::history::QueryError;
use nodeglass_proto::pushback::push_back;
use nodeglass_runtime::backoff::jitter;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::StoreError;
use serde::Serialize;
use tonic::{Code, Status};
use tracing::{error, warn};

/// Why a call failed. `Display` is the message that the caller gets; it says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token came with the call.
    #[error("this call needs a token: send the header \"Authorization: Bearer TOKEN\"")]
    NoToken,
    /// A token that the server didn't make.
    #[error("the token is not valid here: check it, or make one with `nodeglass-server token add NAME`")]
    WrongToken,
    /// A role that may not do this.
    #[error("a {0} token may not do this: use one with the role operator or admin")]
    Forbidden(&'static str),
    /// A role that may not change what is stored.
    #[error("a {0} token may not do this: use one with the role admin")]
    AdminsOnly(&'static str),
    /// No agent of that name.
    #[error("there is no agent {agent:?}{}: GET /api/v1/metrics/agents lists all", nearest_hint(.nearest))]
    UnknownAgent {
        /// The name asked for.
        agent: String,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// The agent never sent a sample.
    #[error("the agent {0} has not sent a sample yet: check that it runs and is connected")]
    NoMetrics(String),
    /// The agent never said what it is.
    #[error(
        "the agent {0} has not been connected yet, so nothing is known of its system: check that it runs"
    )]
    NoSystemInfo(String),
    /// A request that can only be answered by the agent, which is away.
    #[error("the agent {0} is not connected: try again when it is")]
    AgentAway(String),
    /// The agent did not answer.
    #[error("the agent {0} did not answer in time: try again")]
    AgentSilent(String),
    /// A history query that makes no sense.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A parameter that can't be read.
    #[error("{name}: {problem}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// A pattern that stands for no agent.
    #[error("no agent's name fits {0:?}: GET /api/v1/metrics/agents lists all")]
    NoAgentFits(String),
    /// More agents than one question may be about.
    #[error(
        "{0} agents are too many for one question about history; at most {1}: name fewer, or use a narrower pattern"
    )]
    TooManyAgents(usize, usize),
    /// Figures that only samples tell, of a time whose samples are not kept any more.
    #[error(
        "{what} is worked out from samples, which are kept back to {since}: start there or later, or use avg, min, max or sum"
    )]
    NeedsSamples {
        /// What was asked for.
        what: String,
        /// Since when there are samples.
        since: UnixMillis,
    },
    /// A form that we don't write.
    #[error(
        "answers can't be given as {0:?}: accept application/json, text/csv or application/vnd.apache.arrow.stream"
    )]
    NotAcceptable(String),
    /// No such path.
    #[error("there is nothing at {0}: see the README for the paths under /api/v1")]
    NoSuchPath(String),
    /// A path, but not for this method.
    #[error("{0} is not possible here: use GET, or POST for /api/v1/import")]
    Method(String),
    /// All streams are taken.
    #[error("all {0} streams are taken: close one, or raise metrics.api.max_concurrent_streams")]
    TooManyStreams(usize),
    /// Streams are switched off.
    #[error("streams are switched off on this server (metrics.api.enable_sse_streaming)")]
    StreamsOff,
    /// More calls than the token may make.
    #[error("more than {0} calls in a minute: wait before the next one")]
    RateLimited(u64),
    /// More calls at once than the server takes.
    #[error("the server has too many calls in hand: try again in a moment")]
    Overloaded,
    /// The answer took too long.
    #[error("the answer took too long: ask for less, or try again")]
    TooSlow,
    /// Samples of an agent that is not enrolled.
    #[error(
        "there is no agent {0:?}: enrol it with `nodeglass-server agent add {0}`, or have it made with create_agents=true \
         (`nodeglass import --create-agents`)"
    )]
    NotEnrolled(String),
    /// A body that is larger than a call may have.
    #[error("the body is larger than {0} bytes: send fewer samples in one call")]
    TooLarge(usize),
    /// The database can't be reached.
    #[error("the database does not answer: live data goes on, history and changes have to wait; try again")]
    Database(#[from] StoreError),
    /// A mistake of ours.
    #[error("an internal error, which the server's log describes")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn nearest_hint(nearest: &[String]) -> String {
    if nearest.is_empty() {
        String::new()
    } else {
        format!(", but {}", nearest.join(", "))
    }
}

impl ApiError {
    /// The code that programs may rely on, with the status for each protocol.
    fn class(&self) -> (&'static str, StatusCode, Code) {
        match self {
            Self::NoToken => ("missing_token", StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::WrongToken => ("invalid_token", StatusCode::UNAUTHORIZED, Code::Unauthenticated),
            Self::Forbidden(_) | Self::AdminsOnly(_) => {
                ("forbidden", StatusCode::FORBIDDEN, Code::PermissionDenied)
            }
            Self::UnknownAgent { .. } | Self::NoAgentFits(_) => {
                ("unknown_agent", StatusCode::NOT_FOUND, Code::NotFound)
            }
            Self::NoMetrics(_) => ("no_metrics", StatusCode::NOT_FOUND, Code::NotFound),
            Self::NoSystemInfo(_) => ("no_system_info", StatusCode::NOT_FOUND, Code::NotFound),
            Self::AgentAway(_) => (
                "agent_disconnected",
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
            ),
            Self::AgentSilent(_) => (
                "agent_timeout",
                StatusCode::GATEWAY_TIMEOUT,
                Code::DeadlineExceeded,
            ),
            Self::Query(query) => (query_code(query), StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::Parameter { .. } => (
                "invalid_parameter",
                StatusCode::BAD_REQUEST,
                Code::InvalidArgument,
            ),
            Self::TooManyAgents(..) => ("too_many_agents", StatusCode::BAD_REQUEST, Code::InvalidArgument),
            Self::NeedsSamples { .. } => ("needs_samples", StatusCode::BAD_REQUEST, Code::OutOfRange),
            Self::NotAcceptable(_) => (
                "not_acceptable",
                StatusCode::NOT_ACCEPTABLE,
                Code::InvalidArgument,
            ),
            Self::NoSuchPath(_) => ("not_found", StatusCode::NOT_FOUND, Code::NotFound),
            Self::Method(_) => (
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                Code::Unimplemented,
            ),
            Self::TooManyStreams(_) => (
                "too_many_streams",
                StatusCode::SERVICE_UNAVAILABLE,
                Code::ResourceExhausted,
            ),
            Self::StreamsOff => ("streams_disabled", StatusCode::FORBIDDEN, Code::PermissionDenied),
            Self::RateLimited(_) => (
                "rate_limited",
                StatusCode::TOO_MANY_REQUESTS,
                Code::ResourceExhausted,
            ),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
            Self::TooSlow => ("timeout", StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded),
            Self::NotEnrolled(_) => ("unknown_agent", StatusCode::NOT_FOUND, Code::NotFound),
            Self::TooLarge(_) => ("too_large", StatusCode::PAYLOAD_TOO_LARGE, Code::OutOfRange),
            Self::Database(_) => (
                "database_unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
            ),
            Self::Internal(_) => ("internal", StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
        }
    }

    /// After what time another try makes sense. It is not the same for everybody, or they would all be back at once.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = match self {
            Self::RateLimited(_) => 60,
            Self::Overloaded => 1,
            Self::Database(_) | Self::TooManyStreams(_) | Self::AgentAway(_) => 5,
            _ => return None,
        };
        let least = Duration::from_secs(seconds);
        Some(least + jitter(least))
    }

    fn log(&self) {
        match self {
            Self::Database(cause) => warn!(error = %chain(cause), "a call failed for want of the database"),
            Self::Internal(cause) => error!(error = %chain(cause.as_ref()), "a call failed"),
            _ => {}
        }
    }
}

fn query_code(error: &QueryError) -> &'static str {
    match error {
        QueryError::UnknownMetric(_) => "unknown_metric",
        QueryError::NoMetrics => "missing_parameter",
        QueryError::TooManyMetrics(_) => "too_many_metrics",
        QueryError::EmptyRange { .. } | QueryError::RangeTooLong(_) => "invalid_range",
        QueryError::Interval => "invalid_interval",
        QueryError::Aggregation(_) => "invalid_aggregation",
        QueryError::MaxPoints => "invalid_max_points",
    }
}

/// An error as JSON.
#[derive(Serialize)]
struct Body<'a> {
    status: u16,
    code: &'a str,
    message: String,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let (code, status, _) = self.class();
        let body = Body {
            status: status.as_u16(),
            code,
            message: self.to_string(),
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(delay) = self.retry_after() {
            let seconds = delay.as_secs_f64().ceil() as u64;
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        error.log();
        let (code, _, grpc) = error.class();
        let mut status = Self::new(grpc, error.to_string());
        status.metadata_mut().insert(
            "nodeglass-code",
            tonic::metadata::MetadataValue::from_static(code),
        );
        match error.retry_after() {
            Some(delay) => push_back(status, delay),
            None => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nodeglass_proto::pushback::pushed_back;

    use super::*;

    #[test]
    fn who_is_turned_away_is_told_when_to_come_back_and_not_all_the_same() {
        let streams = || ApiError::TooManyStreams(1);
        let seconds = (0..200).map(|_| {
            let response = streams().into_response();
            let text = response.headers()[header::RETRY_AFTER]
                .to_str()
                .unwrap()
                .to_owned();
            text.parse::<u64>().unwrap()
        });
        let seconds: BTreeSet<_> = seconds.collect();
        assert!(
            seconds.iter().all(|seconds| (5..=10).contains(seconds)) && seconds.len() > 2,
            "{seconds:?}"
        );
        let delays: BTreeSet<_> = (0..200).filter_map(|_| pushed_back(&streams().into())).collect();
        assert!(delays.len() > 100, "{delays:?}");
        assert_eq!(pushed_back(&ApiError::NoToken.into()), None);
    }
}
