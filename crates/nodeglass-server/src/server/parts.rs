//! The parts of a server, each put together from what is stored and with the tasks that keep it current.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use futures_util::FutureExt;
use nodeglass_chunk::row;
use nodeglass_model::{Clock, SystemClock, UnixMillis};
use nodeglass_proto::limits::{MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES, MAX_QUESTION_BYTES};
use nodeglass_proto::v1::agent_service_server::AgentServiceServer;
use nodeglass_proto::v1::metrics_service_server::MetricsServiceServer;
use nodeglass_runtime::backoff::Backoff;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::telemetry::chain;
use nodeglass_runtime::tls::authority::Authority;
use nodeglass_store::{AgentKey, Store, StoreError};
use tonic::codec::CompressionEncoding;
use tracing::warn;

use crate::api::Api;
use crate::audit::Audit;
use crate::compaction::{self, Totals};
use crate::config::{AccessSettings, ServerConfig};
use crate::enrol::Registrar;
use crate::events::{Events, Kind};
use crate::identity::cookies::Cookies;
use crate::identity::directory::Directory;
use crate::identity::oidc::{Oidc, OidcSettings};
use crate::identity::seal::Seal;
use crate::identity::{self, Identity};
use crate::ingest::Ingest;
use crate::live::Live;
use crate::page;
use crate::registry::Registry;
use crate::retention::{self, Kept};
use crate::service::ClientService;

/// How long the start waits for a database that is not there yet, as when a host boots.
const DATABASE_START: Duration = Duration::from_mins(1);

/// Which agents there are and by which keys they are known, from what is stored, and the tasks that keep it current.
pub(super) async fn fleet(
    config: &ServerConfig,
    store: &Arc<dyn Store>,
    live: &Arc<Live>,
    clock: &Arc<SystemClock>,
    authority: Arc<Authority>,
    tasks: &TaskGroup,
) -> anyhow::Result<(Arc<Registrar>, Arc<Registry>)> {
    let stop = tasks.shutdown_token();
    let (events, keeper) = Events::new(store.clone(), clock.clone(), config.keep_events);
    let registrar = Registrar::open(
        store.clone(),
        live.clone(),
        clock.clone(),
        authority,
        config.certificate_lifetime,
    );
    let registrar = Arc::new(registrar.await.context("reading the agents' keys")?);
    tasks.spawn("agents' keys", registrar.clone().watch(stop.clone()).map(Ok));
    let registry = Arc::new(Registry::new(
        live.clone(),
        store.clone(),
        registrar.clone(),
        clock.clone(),
        events.clone(),
        config.ingest.collection_interval,
    ));
    registry.load().await.context("reading what is known of agents")?;
    // Until about then it was there: what is stored of the time between came afterwards.
    let newest = live.all().iter().filter_map(|agent| agent.latest().update).max();
    let started = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "newest_sample": newest.map(|at| at.0),
    });
    events.note_of(None, Kind::ServerStarted, &started);
    tasks.spawn("events", keeper.run(stop.clone()).map(Ok));
    tasks.spawn("forgotten agents", registry.clone().erase(stop).map(Ok));
    Ok((registrar, registry))
}

/// Starts what packs and removes what is stored.
pub(super) fn tidy(
    tasks: &TaskGroup,
    store: &Arc<dyn Store>,
    clock: &Arc<SystemClock>,
    kept: &Arc<Kept>,
    interval: Duration,
    compacted: Arc<Totals>,
) {
    let stop = tasks.shutdown_token();
    let compacting = compaction::run(
        store.clone(),
        clock.clone(),
        interval,
        kept.patience(),
        compacted,
        stop.clone(),
    );
    tasks.spawn("compaction", compacting.map(Ok));
    let removing = retention::run(store.clone(), clock.clone(), kept.clone(), stop);
    tasks.spawn("retention", removing.map(Ok));
}

/// Who may call, from what is stored, and the tasks that keep it current.
pub(super) async fn identity(
    config: &ServerConfig,
    store: &Arc<dyn Store>,
    clock: &Arc<SystemClock>,
    url: &str,
    has_tls: bool,
    tasks: &TaskGroup,
) -> anyhow::Result<Arc<Identity>> {
    let stop = tasks.shutdown_token();
    let clock: Arc<dyn Clock> = clock.clone();
    let AccessSettings {
        sessions,
        oidc,
        audit,
    } = config.access.clone();
    let provider = oidc.as_ref().map(OidcSettings::tag);
    let directory = Directory::load(store.clone(), clock.clone(), sessions, provider, stop.clone()).await;
    let directory = Arc::new(directory.context("reading tokens, users and sessions")?);
    tasks.spawn("identities", directory.clone().run().map(Ok));
    let (audit, writer) = Audit::new(clock.clone(), store.clone(), audit);
    tasks.spawn("audit log", writer.run(stop).map(Ok));
    // Behind a proxy browsers speak TLS, too.
    let is_secure = has_tls || url.starts_with("https://");
    Ok(Arc::new(Identity::new(identity::Parts {
        directory,
        cookies: Cookies::new(is_secure, config.public_url.iter().cloned().collect()),
        audit,
        oidc: oidc.map(Oidc::new).transpose().context("access.oidc")?,
        url: url.to_owned(),
        store: store.clone(),
        clock,
        seal: Seal::open(&config.data_dir)?,
    })))
}

/// Everything that is served, with every limit set.
pub(super) fn routes(ingest: Ingest, programs: tonic::service::Routes, api: Api) -> Router {
    // Samples are worth compressing, acknowledgements are not: a few bytes each.
    let ingest = AgentServiceServer::new(ingest)
        .accept_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    // Without tonic's own fallback: unknown paths are answered by the API, in JSON.
    let grpc = |services: tonic::service::Routes| services.into_axum_router().reset_fallback();
    let agents = grpc(tonic::service::Routes::new(ingest));
    let programs = api.guard_grpc(grpc(programs));
    agents.merge(programs).merge(api.router()).merge(page::router())
}

/// The service for programs, with its limits.
pub(super) fn limited(client: ClientService) -> MetricsServiceServer<ClientService> {
    MetricsServiceServer::new(client)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Zstd)
        .max_decoding_message_size(MAX_QUESTION_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES)
}

/// Opens the database; one that does not answer yet is waited for.
pub(super) async fn open_store(
    url: &str,
    options: &nodeglass_store::Options,
) -> Result<Arc<dyn Store>, StoreError> {
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    let began = tokio::time::Instant::now();
    loop {
        match nodeglass_store::open_with(url, options).await {
            Err(error) if error.is_unreachable() && began.elapsed() < DATABASE_START => {
                warn!(error = %chain(&error), "waiting for the database");
                tokio::time::sleep(backoff.next_delay()).await;
            }
            done => return done,
        }
    }
}

/// The live store as it was when the server stopped, but for samples that are too old to be shown.
pub(super) async fn restore(store: &dyn Store, kept: &Kept, now: UnixMillis) -> Result<Live, StoreError> {
    kept.look(store).await?;
    let live = Live::default();
    let by_key: HashMap<AgentKey, _> = store
        .agents()
        .await?
        .iter()
        .map(|record| (record.key, live.admit(record)))
        .collect();
    for latest in store.latest().await? {
        let Some(agent) = by_key.get(&latest.agent) else {
            continue;
        };
        let sample = latest
            .payload
            .filter(|_| latest.timestamp >= kept.since(agent.key, now).samples)
            .and_then(|payload| row::read(&payload, latest.timestamp).ok());
        agent.restore(latest.timestamp, sample);
    }
    for (key, books) in store.agent_sides().await? {
        let Some(agent) = by_key.get(&key) else {
            continue;
        };
        // One that an older program can't read is as if it had said nothing; it says it again.
        if let Ok(side) = serde_json::from_str(&books) {
            agent.change_side(|known| *known = side);
        }
    }
    Ok(live)
}
