//! `/metrics`: the server's own figures, for Prometheus.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};

use super::Api;
use super::parameters::Parameters;
use crate::error::ApiError;
use crate::telemetry::Format;

/// The server's own figures, for Prometheus.
///
/// In Prometheus' text format, or as OpenMetrics for those who accept it. `docs/server-metrics.md` lists them.
#[utoipa::path(
    get, path = "/metrics", operation_id = "server_metrics", tag = "server",
    responses((status = 200, description = "They are.", content(
        (String = "text/plain"), (String = "application/openmetrics-text"),
    ))),
)]
pub(super) async fn metrics(
    State(api): State<Api>,
    headers: HeaderMap,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    parameters.only(&[])?;
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok());
    let format = Format::wanted(accept);
    let page = api.telemetry.page(format);
    Ok(([(header::CONTENT_TYPE, format.content_type())], page).into_response())
}
