//! What programs find at any gRPC server: what it serves (reflection), and how it does (health).

use std::sync::Arc;
use std::time::Duration;

use nodeglass_proto::DESCRIPTORS;
use nodeglass_proto::v1::agent_service_server::AgentServiceServer;
use nodeglass_proto::v1::metrics_service_server::MetricsServiceServer;
use nodeglass_store::Store;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::ClientService;
use crate::ingest::Ingest;

/// How often it is looked whether the database answers.
const LOOK: Duration = Duration::from_secs(5);
/// How long its answer may take. `/ready` asks the same.
const ANSWER: Duration = Duration::from_secs(5);

/// Reflection, of both versions that clients know.
///
/// # Errors
/// What was compiled in can't be read.
pub fn reflection(routes: Routes) -> anyhow::Result<Routes> {
    use tonic_reflection::pb;
    use tonic_reflection::server::Builder;
    // Each tells of itself alone unless it is told of the other.
    let builder = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET)
            .include_reflection_service(false)
    };
    Ok(routes
        .add_service(builder().build_v1()?)
        .add_service(builder().build_v1alpha()?))
}

/// Keeps the health service saying what `/ready` says, until `stop`: agents and live reads need no database, but who waits for a
/// server waits for all of it.
pub async fn report_health(reporter: HealthReporter, store: Arc<dyn Store>, stop: CancellationToken) {
    let mut told = None;
    while !stop.is_cancelled() {
        let answered = tokio::time::timeout(ANSWER, store.ping()).await;
        let is_ready = matches!(answered, Ok(Ok(())));
        if told != Some(is_ready) {
            tell(&reporter, is_ready).await;
            told = Some(is_ready);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => {}
        }
    }
    tell(&reporter, false).await;
}

async fn tell(reporter: &HealthReporter, is_ready: bool) {
    let status = if is_ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    reporter.set_service_status("", status).await;
    reporter
        .set_service_status(MetricsServiceServer::<ClientService>::NAME, status)
        .await;
    reporter
        .set_service_status(AgentServiceServer::<Ingest>::NAME, status)
        .await;
}
