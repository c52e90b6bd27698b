//! Puts the server together: opens the store, restores what was known, listens, and starts the tasks.

mod parts;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use futures_util::{FutureExt, TryFutureExt};
use nodeglass_model::{AgentId, Clock, SystemClock};
use nodeglass_proto::v1;
use nodeglass_runtime::config::Secret;
use nodeglass_runtime::private;
use nodeglass_runtime::signals::Hangup;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_runtime::tls::Pin;
use nodeglass_runtime::tls::authority::Authority;
use nodeglass_runtime::tls::key::PublicKey;
use nodeglass_store::identities::TokenRecord;
use nodeglass_store::{Role, Store, StoreError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::access::{Access, Selector};
use crate::api::Api;
use crate::compaction::Totals;
use crate::config::{ServerConfig, host_of};
use crate::enrol::strings::Entrance;
use crate::identity::NewToken;
use crate::import::Importer;
use crate::ingest::{self, Ingest};
use crate::push::Pushes;
use crate::queries::Queries;
use crate::retention::Kept;
use crate::service::{ClientService, reflection, report_health};
use crate::state::{DataDirLock, ServerState};
use crate::telemetry::{StoreSizes, Telemetry};
use crate::tls::{Tls, authority_directory};
use crate::writer::Writer;
use crate::{api, enrol, latest, listener, privacy, tokens};

use parts::{fleet, identity, limited, open_store, restore, routes, tidy};

/// A token of fewer characters may be found by trying.
const GUESSABLE: usize = 16;

/// A server that is ready to serve.
pub struct Server {
    config: ServerConfig,
    store: Arc<dyn Store>,
    listener: TcpListener,
    url: String,
    tls: Option<Arc<Tls>>,
    /// Signs agents' certificates, and the server's own if nobody brings one.
    authority: Arc<Authority>,
    lock: DataDirLock,
}

impl Server {
    /// Takes hold of the data directory and the address, and opens the database.
    ///
    /// # Errors
    /// The data directory, the certificate, the address or the database can't be used; the message says which and why.
    pub async fn bind(config: ServerConfig) -> anyhow::Result<Self> {
        listener::raise_open_files();
        private::make_dir(&config.data_dir)?;
        let lock = DataDirLock::take(&config.data_dir)?;
        let listener = listener::bind(config.listen)?;
        let address = listener.local_addr()?;
        let authority = Arc::new(Authority::open(&authority_directory(&config.data_dir))?);
        let tls = Tls::open(&config, address, &authority)?.map(Arc::new);
        let store = open_store(config.database_url().expose(), &config.database_pool).await?;
        let url = config
            .public_url
            .clone()
            .unwrap_or_else(|| format!("{}://{}", config.transport.scheme(), reachable(address)));
        warn_of_misfits(&config, address, &url, tls.as_deref());
        let database = config.database_url().expose().to_owned();
        ServerState {
            url: url.clone(),
            ca: tls
                .as_ref()
                .and_then(|tls| tls.ca())
                .map(std::path::absolute)
                .transpose()?,
            database,
            pid: std::process::id(),
        }
        .save(&config.data_dir)?;
        Ok(Self {
            config,
            store,
            listener,
            url,
            tls,
            authority,
            lock,
        })
    }

    /// Where agents and callers reach it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The pin of the CA that its certificate comes from; `None` without TLS, and if systems know the CA.
    pub fn ca_pin(&self) -> Option<Pin> {
        self.tls.as_ref().and_then(|tls| tls.pin())
    }

    /// The file of that CA.
    pub fn ca(&self) -> Option<PathBuf> {
        self.tls.as_ref().and_then(|tls| tls.ca())
    }

    /// Sees to it that there is an admin token: the one of the configuration, or one that is made now and given back.
    /// Show it at once, it can't be had again.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn admin_token(&self) -> Result<Option<Secret>, StoreError> {
        let store = self.store.as_ref();
        let now = SystemClock.now();
        let known = store.everybody().await?.tokens;
        let (mut record, token) = NewToken {
            name: "admin".to_owned(),
            role: Role::Admin,
            agents: Selector::all(),
            expires_at: None,
        }
        .make(now);
        if let Some(given) = &self.config.admin_token {
            if given.expose().len() < GUESSABLE {
                warn!(
                    "NODEGLASS_ADMIN_TOKEN is short enough to be guessed; make one with `openssl rand -hex 32`"
                );
            }
            record.token = tokens::hash(given.expose());
            let is_there = known.iter().any(|one| {
                let rights =
                    |token: &TokenRecord| (token.token, token.role, token.agents.clone(), token.expires_at);
                one.name == record.name && rights(one) == rights(&record)
            });
            if !is_there {
                store.add_token(&record, true).await?;
            }
            return Ok(None);
        }
        let is_admin = |token: &TokenRecord| {
            token.role == Role::Admin
                && token.agents.is_none()
                && token.expires_at.is_none_or(|end| end > now)
        };
        if known.iter().any(is_admin) {
            return Ok(None);
        }
        store.add_token(&record, true).await?;
        Ok(Some(token))
    }

    /// Makes a key that of an agent of this name; one that there is already has this key from then on.
    ///
    /// # Errors
    /// The database does not answer, or no certificate can be made.
    pub async fn enrol(&self, id: &AgentId, key: &PublicKey) -> anyhow::Result<v1::EnrolResponse> {
        let lifetime = self.config.certificate_lifetime;
        enrol::enrol_here(
            self.store.as_ref(),
            &self.authority,
            lifetime,
            id,
            key,
            &SystemClock,
        )
        .await
    }

    /// Whether its database is its own, under its data directory.
    pub fn is_embedded(&self) -> bool {
        self.config.database.is_none()
    }

    /// The agent that has this key.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn agent_of(&self, key: &PublicKey) -> Result<Option<AgentId>, StoreError> {
        let known = self.store.agent_by_key(enrol::key_hash(key)).await?;
        Ok(known.map(|record| record.id))
    }

    /// Whether there is an agent of that name.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn has_agent(&self, id: &AgentId) -> Result<bool, StoreError> {
        Ok(self.store.agents().await?.iter().any(|record| record.id == *id))
    }

    /// Starts everything in `tasks`; it goes on until they are told to stop. The certificate is read anew at each `hangup`.
    ///
    /// # Errors
    /// What was stored can't be read.
    pub async fn start(self, tasks: &TaskGroup, hangup: Option<Hangup>) -> anyhow::Result<()> {
        let Self {
            config,
            store,
            listener,
            url,
            tls,
            authority,
            lock,
        } = self;
        let clock = Arc::new(SystemClock);
        let stop = tasks.shutdown_token();
        let kept = Arc::new(Kept::new(config.retention));
        let live = restore(store.as_ref(), &kept, clock.now()).await;
        let live = Arc::new(live.context("reading what was stored")?);
        let identity = identity(&config, &store, &clock, &url, tls.is_some(), tasks).await?;
        let access = Arc::new(Access::new(identity.clone(), config.rate_limits));
        let (registrar, registry) = fleet(&config, &store, &live, &clock, authority, tasks).await?;
        let queries = Arc::new(Queries::new(
            live.clone(),
            store.clone(),
            clock.clone(),
            config.limits,
            kept.clone(),
            registry.clone(),
        ));
        tasks.spawn(
            "newcomers",
            queries.clone().look_for_newcomers(stop.clone()).map(Ok),
        );
        tasks.spawn("streams", queries.streams().clone().watch(stop.clone()).map(Ok));
        tasks.spawn("live samples", live.clone().sweep(stop.clone()).map(Ok));
        let (queue, writer) = Writer::new(store.clone(), config.compression, config.queue_bytes);
        tasks.spawn(
            "newest samples",
            latest::run(store.clone(), live.clone(), stop.clone()).map(Ok),
        );
        let parts = ingest::Parts {
            registrar,
            live: live.clone(),
            registry,
            store: store.clone(),
            queue: queue.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            kept: kept.clone(),
            audit: identity.audit.clone(),
            privacy_key: privacy::key(&config.data_dir)?,
        };
        let ingest = Ingest::new(parts, config.ingest.clone());
        let sides = ingest.sides().clone();
        tasks.spawn("sides", sides.run(store.clone(), stop.clone()).map(Ok));
        let importer = Importer::new(
            store.clone(),
            queries.clone(),
            clock.clone(),
            kept.clone(),
            config.compression,
        );
        let client = ClientService::new(queries.clone(), identity.audit.clone());
        let compacted = Arc::<Totals>::default();
        let extent = Arc::<StoreSizes>::default();
        tasks.spawn(
            "store sizes",
            extent.clone().run(store.clone(), stop.clone()).map(Ok),
        );
        let telemetry = Telemetry {
            calls: Arc::default(),
            ingest: ingest.clone(),
            queue,
            live,
            streams: queries.streams().clone(),
            compaction: compacted.clone(),
            sizes: extent,
            events: queries.registry().events().clone(),
            audit: identity.audit.clone(),
        };
        let entrance = Entrance {
            ca_pin: tls.as_ref().and_then(|tls| tls.pin()),
            url: url.clone(),
        };
        let api = Api::new(api::Parts {
            entrance,
            pushes: Pushes::new(ingest.clone(), queries.clone(), store.clone(), clock.clone()),
            telemetry: Arc::new(telemetry),
            tasks: tasks.clone(),
            queries,
            importer: Arc::new(importer),
            identity,
            access,
            store: store.clone(),
            compaction: compacted.clone(),
            cors: config.cors.into(),
            stop: stop.clone(),
        });
        let (reporter, health) = tonic_health::server::health_reporter();
        tasks.spawn(
            "health",
            report_health(reporter, store.clone(), stop.clone()).map(Ok),
        );
        let client = tonic::service::Routes::new(limited(client)).add_service(health);
        let router = routes(ingest.clone(), reflection(client)?, api);

        let connections = tasks.clone();
        // Whoever hands samples to the writer ends before it does.
        let last = CancellationToken::new();
        let writing = writer.run(last.clone());
        tasks.spawn("writer", async move {
            writing.await;
            drop(lock);
            Ok(())
        });
        tasks.spawn("persist windows", ingest.sweep(stop.clone(), last).map(Ok));
        tidy(
            tasks,
            &store,
            &clock,
            &kept,
            config.compaction_interval,
            compacted,
        );
        tasks.spawn(
            "listener",
            listener::serve(
                listener,
                router,
                tls.clone(),
                config.strangers_per_address,
                connections,
                stop.clone(),
            )
            .err_into(),
        );
        if let Some(tls) = tls {
            tasks.spawn("certificate", tls.keep_current(hangup, stop).map(Ok));
        }
        info!(%url, "serving");
        Ok(())
    }
}

/// Says what works, and probably not as somebody wants it.
fn warn_of_misfits(config: &ServerConfig, address: SocketAddr, url: &str, tls: Option<&Tls>) {
    let Some(tls) = tls else {
        if !address.ip().to_canonical().is_loopback() {
            warn!(
                %address,
                "this server listens beyond this host without TLS, as `insecure: true` says: whoever is on the way reads \
                 tokens and samples"
            );
        }
        return;
    };
    if address.ip().is_unspecified() && config.public_url.is_none() {
        warn!(
            url,
            "agents that are enrolled now are told an address of this host alone: set public_url to the one that others \
             reach it by"
        );
    }
    let host = host_of(url).unwrap_or_default();
    if !tls.covers(host) {
        warn!(
            host,
            "the certificate is not for the host that agents are told: set public_url to a name of the certificate"
        );
    }
}

/// An address that a program on this host can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        reachable.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    reachable
}
