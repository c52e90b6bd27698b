//! What a caller can get wrong, or the server can fail at, with a stable code for each.
//!
//! This is the one place where failures become HTTP answers (`IntoResponse`) and the one where they become gRPC
//! statuses (`From<ApiError> for Status`). Causes are logged here and never sent.

pub mod codes;
mod problem;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use nodeglass_model::UnixMillis;
use nodeglass_model::history::QueryError;
use nodeglass_proto::pushback::push_back;
use nodeglass_runtime::backoff::jitter;
use nodeglass_runtime::telemetry::chain;
use nodeglass_store::{Role, StoreError};
use tonic::Status;
use tonic::metadata::MetadataValue;
use tracing::{error, warn};

use crate::access::Spent;
use crate::identity::IdentityError;
use codes::Code;
pub use problem::{MEDIA_TYPE, Problem};

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
    #[error("the role {role} may not do this: it takes {least}{}", or_more(.least))]
    Forbidden {
        /// The caller's.
        role: &'static str,
        /// The least that may.
        least: &'static str,
    },
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
    /// No group of that name.
    #[error("there is no group {0:?}: GET /api/v1/groups lists all")]
    UnknownGroup(String),
    /// A name that another agent has.
    #[error("there is an agent {0} already: choose another name")]
    NameTaken(nodeglass_model::AgentId),
    /// A pattern that stands for no agent.
    #[error("no agent fits {0:?}: GET /api/v1/agents lists all")]
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
    /// No dashboard of that name.
    #[error("there is no dashboard {0:?}: GET /api/v1/dashboards lists all")]
    UnknownDashboard(String),
    /// A dashboard that was changed since the caller read it.
    #[error("somebody changed this dashboard since it was read: read it again, and change that")]
    OutdatedDashboard,
    /// As many dashboards as there may be.
    #[error("there are {0} dashboards, and no more are kept: remove one")]
    TooManyDashboards(u32),
    /// No such path.
    #[error("there is nothing at {0}: /api/docs names all paths")]
    NoSuchPath(String),
    /// A path, but not for this method.
    #[error("{0} is not possible here: the header `allow` says what is")]
    Method(String),
    /// All streams are taken.
    #[error("all {0} streams are taken: close one, or raise metrics.api.max_concurrent_streams")]
    TooManyStreams(usize),
    /// Streams are switched off.
    #[error("streams are switched off on this server (metrics.api.enable_sse_streaming)")]
    StreamsOff,
    /// More calls than the token or the address may make.
    #[error("more than {} calls in a minute with this {by}: wait before the next one", .spent.standing.limit)]
    RateLimited {
        /// What the calls have in common: `token`, `address`.
        by: &'static str,
        /// How the caller stands.
        spent: Spent,
    },
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
    /// A pushed sample that can't be stored.
    #[error("{message}")]
    Refused {
        /// The code for it, as agents are told it.
        code: &'static str,
        /// Why, and what to do.
        message: String,
    },
    /// Two different pushes under one name.
    #[error(
        "another push with other figures had the same {0}: give each push its own; repeat one only as it was"
    )]
    OtherPush(&'static str),
    /// A push for a host that has an agent of ours.
    #[error("the agent {0} reports by itself: push under another name, or stop that agent")]
    HasAgent(String),
    /// A call to the WebSocket that is none.
    #[error("this path is a WebSocket's: open it with a client for WebSockets, over HTTP/1.1")]
    NoWebSocket,
    /// A WebSocket that the page of another site opens.
    #[error(
        "a page may open a WebSocket to the server that it came from alone, and this one came from another"
    )]
    ForeignOrigin,
    /// A push that waits for the database.
    #[error(
        "the sample is not stored yet, since the database is slow or away: make the same push again, it is stored once"
    )]
    NotStored,
    /// A body that is larger than a call may have.
    #[error("the body is larger than {}: send less in one call", bound(.0.as_ref()))]
    TooLarge(Option<usize>),
    /// A body that can't be read.
    #[error("the body: {0}")]
    Body(String),
    /// A body of another form.
    #[error("the body must be {0}: send the header \"Content-Type: {0}\"")]
    MediaType(&'static str),
    /// Something with signing in, tokens or users.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The database can't be reached.
    #[error("the database does not answer: live data goes on, history and changes have to wait; try again")]
    Database(#[from] StoreError),
    /// A mistake of ours.
    #[error("an internal error, which the server's log describes")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn or_more(least: &str) -> &'static str {
    if least == Role::Admin.name() {
        ""
    } else {
        " or more"
    }
}

fn bound(bytes: Option<&usize>) -> String {
    match bytes {
        Some(bytes) => format!("{bytes} bytes"),
        None => "this call takes".to_owned(),
    }
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
    pub fn code(&self) -> Code {
        match self {
            Self::NoToken => codes::MISSING_TOKEN,
            Self::WrongToken => codes::INVALID_TOKEN,
            Self::Forbidden { .. } => codes::FORBIDDEN,
            Self::UnknownAgent { .. } | Self::NoAgentFits(_) | Self::NotEnrolled(_) => codes::UNKNOWN_AGENT,
            Self::NoMetrics(_) => codes::NO_METRICS,
            Self::NoSystemInfo(_) => codes::NO_SYSTEM_INFO,
            Self::AgentAway(_) => codes::AGENT_DISCONNECTED,
            Self::AgentSilent(_) => codes::AGENT_TIMEOUT,
            Self::Query(query) => query_code(query),
            Self::Parameter { .. } => codes::INVALID_PARAMETER,
            Self::UnknownGroup(_) => codes::UNKNOWN_GROUP,
            Self::NameTaken(_) => codes::NAME_TAKEN,
            Self::TooManyAgents(..) => codes::TOO_MANY_AGENTS,
            Self::NeedsSamples { .. } => codes::NEEDS_SAMPLES,
            Self::NotAcceptable(_) => codes::NOT_ACCEPTABLE,
            Self::NoSuchPath(_) => codes::NOT_FOUND,
            Self::Method(_) => codes::METHOD_NOT_ALLOWED,
            Self::TooManyStreams(_) => codes::TOO_MANY_STREAMS,
            Self::StreamsOff => codes::STREAMS_DISABLED,
            Self::RateLimited { .. } => codes::RATE_LIMITED,
            Self::Overloaded => codes::OVERLOADED,
            Self::TooSlow => codes::TIMEOUT,
            Self::Refused { code, .. } => match *code {
                "future_timestamp" => codes::FUTURE_TIMESTAMP,
                "invalid_value" => codes::INVALID_VALUE,
                _ => codes::INVALID_SAMPLE,
            },
            Self::OtherPush(_) => codes::PUSH_CONFLICT,
            Self::HasAgent(_) => codes::AGENT_REPORTS_ITSELF,
            Self::NotStored => codes::NOT_STORED_YET,
            Self::NoWebSocket => codes::NO_WEBSOCKET,
            Self::ForeignOrigin => codes::FOREIGN_ORIGIN,
            Self::TooLarge(_) => codes::TOO_LARGE,
            Self::UnknownDashboard(_) => codes::UNKNOWN_DASHBOARD,
            Self::OutdatedDashboard => codes::OUTDATED_DASHBOARD,
            Self::TooManyDashboards(_) => codes::TOO_MANY_DASHBOARDS,
            Self::Body(_) => codes::INVALID_BODY,
            Self::MediaType(_) => codes::UNSUPPORTED_MEDIA_TYPE,
            Self::Identity(error) => error.code(),
            Self::Database(_) => codes::DATABASE_UNAVAILABLE,
            Self::Internal(_) => codes::INTERNAL,
        }
    }

    /// After what time another try makes sense. It is not the same for everybody, or they would all be back at once.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = match self {
            // Known to the second; a little more for those who were all told at once.
            Self::RateLimited { spent, .. } => return Some(spent.wait + jitter(Duration::from_secs(1))),
            Self::Identity(IdentityError::TooManyTries(wait)) => {
                return Some(*wait + jitter(Duration::from_secs(1)));
            }
            Self::Overloaded | Self::NotStored => 1,
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
            Self::Identity(IdentityError::Oidc(cause)) => {
                warn!(error = %chain(cause), "signing in at the provider failed");
            }
            _ => {}
        }
    }
}

fn query_code(error: &QueryError) -> Code {
    match error {
        QueryError::UnknownMetric(_) => codes::UNKNOWN_METRIC,
        QueryError::NoMetrics => codes::MISSING_PARAMETER,
        QueryError::TooManyMetrics(_) => codes::TOO_MANY_METRICS,
        QueryError::EmptyRange { .. } | QueryError::RangeTooLong(_) => codes::INVALID_RANGE,
        QueryError::Interval => codes::INVALID_INTERVAL,
        QueryError::Aggregation(_) => codes::INVALID_AGGREGATION,
        QueryError::MaxPoints => codes::INVALID_MAX_POINTS,
    }
}

impl ApiError {
    /// The error as a caller of REST gets it.
    pub fn into_problem(self) -> Problem {
        self.log();
        Problem::new(self.code(), self.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let code = self.code();
        let mut response = Problem::new(code, self.to_string()).into_response();
        *response.status_mut() = code.status;
        if let Some(delay) = self.retry_after() {
            let seconds = delay.as_secs_f64().ceil() as u64;
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::RateLimited { spent, .. } = &self {
            response.extensions_mut().insert(spent.standing);
        }
        if code.status == StatusCode::UNAUTHORIZED {
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
        let code = error.code();
        let mut status = Self::new(code.grpc, error.to_string());
        let name = MetadataValue::from_static(code.name);
        status.metadata_mut().insert("nodeglass-code", name);
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
