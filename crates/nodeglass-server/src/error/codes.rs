//! The codes of errors, which programs may rely on: each with its statuses and a title. `docs/api.md` has the same table.

use http::StatusCode;

/// A kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Its name, for programs.
    pub name: &'static str,
    /// Its HTTP status.
    pub status: StatusCode,
    /// Its gRPC status.
    pub grpc: tonic::Code,
    /// What it means, in a few words that are always the same.
    pub title: &'static str,
}

/// Declares the codes, and a list of them all.
macro_rules! codes {
    ($($constant:ident = $name:literal, $status:ident, $grpc:ident, $title:literal;)+) => {
        $(pub(crate) const $constant: Code = Code {
            name: $name,
            status: StatusCode::$status,
            grpc: tonic::Code::$grpc,
            title: $title,
        };)+
        /// All codes.
        pub const ALL: &[Code] = &[$($constant),+];
    };
}

codes! {
    MISSING_TOKEN = "missing_token", UNAUTHORIZED, Unauthenticated, "The call needs a token";
    INVALID_TOKEN = "invalid_token", UNAUTHORIZED, Unauthenticated, "The token is not valid";
    SIGNED_OUT = "signed_out", UNAUTHORIZED, Unauthenticated, "The session is over";
    INVALID_TICKET = "invalid_ticket", UNAUTHORIZED, Unauthenticated, "The ticket is not valid";
    INVALID_CREDENTIALS = "invalid_credentials", UNAUTHORIZED, Unauthenticated, "The name, the password or the code is wrong";
    CODE_REQUIRED = "code_required", UNAUTHORIZED, Unauthenticated, "Signing in takes a one-time code";
    SIGN_IN_FAILED = "sign_in_failed", UNAUTHORIZED, Unauthenticated, "Signing in at the provider failed";
    CROSS_SITE = "cross_site", FORBIDDEN, PermissionDenied, "The call comes from another site's page";
    MISSING_CSRF_TOKEN = "missing_csrf_token", FORBIDDEN, PermissionDenied, "The call has a cookie and not what goes with it";
    FORBIDDEN = "forbidden", FORBIDDEN, PermissionDenied, "The caller's role does not allow this";
    STREAMS_DISABLED = "streams_disabled", FORBIDDEN, PermissionDenied, "Streams are switched off";
    UNKNOWN_AGENT = "unknown_agent", NOT_FOUND, NotFound, "There is no such agent";
    NO_METRICS = "no_metrics", NOT_FOUND, NotFound, "The agent has not sent a sample yet";
    NO_SYSTEM_INFO = "no_system_info", NOT_FOUND, NotFound, "The agent has not said yet what it is";
    UNKNOWN_GROUP = "unknown_group", NOT_FOUND, NotFound, "There is no such group";
    UNKNOWN_DASHBOARD = "unknown_dashboard", NOT_FOUND, NotFound, "There is no such dashboard";
    OUTDATED_DASHBOARD = "outdated_dashboard", CONFLICT, Aborted, "Somebody changed the dashboard since it was read";
    TOO_MANY_DASHBOARDS = "too_many_dashboards", CONFLICT, ResourceExhausted, "There are as many dashboards as there may be";
    UNKNOWN_NAME = "unknown_name", NOT_FOUND, NotFound, "There is nothing of that name";
    NO_PROVIDER = "no_provider", NOT_FOUND, NotFound, "No provider of identities is known";
    NOT_FOUND = "not_found", NOT_FOUND, NotFound, "There is nothing at this path";
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, Unimplemented, "The path does not take this method";
    NOT_ACCEPTABLE = "not_acceptable", NOT_ACCEPTABLE, InvalidArgument, "Answers are not given in this form";
    INVALID_PARAMETER = "invalid_parameter", BAD_REQUEST, InvalidArgument, "A parameter can't be read, or is out of range";
    MISSING_PARAMETER = "missing_parameter", BAD_REQUEST, InvalidArgument, "A parameter is missing";
    UNKNOWN_METRIC = "unknown_metric", BAD_REQUEST, InvalidArgument, "There is no such metric";
    TOO_MANY_METRICS = "too_many_metrics", BAD_REQUEST, InvalidArgument, "Too many metrics in one query";
    TOO_MANY_AGENTS = "too_many_agents", BAD_REQUEST, InvalidArgument, "Too many agents in one query";
    INVALID_RANGE = "invalid_range", BAD_REQUEST, InvalidArgument, "The range of time is empty or too long";
    INVALID_INTERVAL = "invalid_interval", BAD_REQUEST, InvalidArgument, "The interval of the buckets is out of range";
    INVALID_AGGREGATION = "invalid_aggregation", BAD_REQUEST, InvalidArgument, "There is no such aggregation";
    INVALID_MAX_POINTS = "invalid_max_points", BAD_REQUEST, InvalidArgument, "The number of points is out of range";
    INVALID_BODY = "invalid_body", BAD_REQUEST, InvalidArgument, "The body can't be read";
    NEEDS_SAMPLES = "needs_samples", BAD_REQUEST, OutOfRange, "The samples that the figure needs are not kept any more";
    NAME_TAKEN = "name_taken", CONFLICT, AlreadyExists, "There is one of that name already";
    WEAK_PASSWORD = "weak_password", CONFLICT, FailedPrecondition, "The password is not taken";
    USERS_ONLY = "users_only", CONFLICT, FailedPrecondition, "Only users have passwords and one-time codes";
    NO_SESSION = "no_session", CONFLICT, FailedPrecondition, "The call came without a session";
    NOTHING_BEGUN = "nothing_begun", CONFLICT, FailedPrecondition, "No one-time codes are being set up";
    TOO_LARGE = "too_large", PAYLOAD_TOO_LARGE, OutOfRange, "The body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, InvalidArgument, "Bodies are not taken in this form";
    INVALID_VALUE = "invalid_value", UNPROCESSABLE_ENTITY, InvalidArgument, "A figure can't be right";
    INVALID_SAMPLE = "invalid_sample", UNPROCESSABLE_ENTITY, InvalidArgument, "The sample can't be stored";
    FUTURE_TIMESTAMP = "future_timestamp", UNPROCESSABLE_ENTITY, InvalidArgument, "The sample is from the future";
    PUSH_CONFLICT = "push_conflict", CONFLICT, AlreadyExists, "Another push had the same name";
    AGENT_REPORTS_ITSELF = "agent_reports_itself", CONFLICT, FailedPrecondition, "The agent reports by itself";
    NO_WEBSOCKET = "no_websocket", UPGRADE_REQUIRED, FailedPrecondition, "The path is a WebSocket's";
    FOREIGN_ORIGIN = "foreign_origin", FORBIDDEN, PermissionDenied, "The page that calls is another site's";
    NOT_STORED_YET = "not_stored_yet", SERVICE_UNAVAILABLE, Unavailable, "The sample is not stored yet";
    TOO_MANY_TRIES = "too_many_tries", TOO_MANY_REQUESTS, ResourceExhausted, "Too many tries to sign in";
    RATE_LIMITED = "rate_limited", TOO_MANY_REQUESTS, ResourceExhausted, "Too many calls";
    PROVIDER_UNAVAILABLE = "provider_unavailable", BAD_GATEWAY, Unavailable, "The provider of identities does not answer";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, Internal, "A mistake of the server's";
    AGENT_DISCONNECTED = "agent_disconnected", SERVICE_UNAVAILABLE, Unavailable, "The agent is not connected";
    DATABASE_UNAVAILABLE = "database_unavailable", SERVICE_UNAVAILABLE, Unavailable, "The database does not answer";
    OVERLOADED = "overloaded", SERVICE_UNAVAILABLE, Unavailable, "The server has too many calls in hand";
    TOO_MANY_STREAMS = "too_many_streams", SERVICE_UNAVAILABLE, ResourceExhausted, "All streams are taken";
    AGENT_TIMEOUT = "agent_timeout", GATEWAY_TIMEOUT, DeadlineExceeded, "The agent did not answer in time";
    TIMEOUT = "timeout", GATEWAY_TIMEOUT, DeadlineExceeded, "The answer took too long";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_code_is_there_twice() {
        let names: BTreeSet<_> = ALL.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
