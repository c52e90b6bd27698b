//! `/health` and `/ready`: how the server itself does.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, json};
use crate::compaction::Progress;
use crate::error::ApiError;

/// The process is alive.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes a fixed text")]
pub(super) struct Health {
    #[schema(example = "ok")]
    status: String,
}

/// Whether the process is alive.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "server",
    responses((status = 200, description = "It is.", body = Health)),
)]
pub(super) async fn health() -> Response {
    json(r#"{"status":"ok"}"#.into())
}

/// How the server stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    #[schema(example = "ready")]
    status: &'static str,
    compaction: Compaction,
}

/// What compaction has done since the start; `slots_behind` says whether it keeps up.
#[derive(Serialize, ToSchema)]
struct Compaction {
    slots_behind: usize,
    failures: u64,
    samples: u64,
    unreadable: u64,
    merges: u64,
    troubled_agents: u64,
}

/// Whether the database answers, and how compaction stands.
#[utoipa::path(
    get, path = "/ready", operation_id = "ready", tag = "server",
    responses((status = 200, description = "It does.", body = Readiness)),
)]
pub(super) async fn ready(State(api): State<Api>) -> Result<Json<Readiness>, ApiError> {
    api.store.ping().await?;
    let Progress {
        done,
        failures,
        slots_behind,
    } = api.compaction.read();
    Ok(Json(Readiness {
        status: "ready",
        compaction: Compaction {
            slots_behind,
            failures,
            samples: done.samples,
            unreadable: done.unreadable,
            merges: done.merges,
            troubled_agents: done.troubled_agents,
        },
    }))
}
