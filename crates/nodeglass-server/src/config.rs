//! The server's configuration: YAML, then environment, then command line, all checked before anything starts.

mod access;
mod retention;
mod transport;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use nodeglass_model::history::MAX_POINTS;
use nodeglass_runtime::config::{ConfigError, ConfigReader, Env, Secret};
use nodeglass_runtime::telemetry::LogFormat;
use nodeglass_store::tiers::Retention;

pub use access::AccessSettings;
pub use retention::SPANS;
pub use transport::{OwnCertificate, Transport, host_of};

use crate::access::RateLimits;
use crate::ingest::IngestSettings;
use crate::queries::QueryLimits;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const MIB: u64 = 1 << 20;
/// 0 is no limit; the most is more than the server answers.
const CALLS_PER_MINUTE: std::ops::RangeInclusive<u64> = 0..=10_000_000;

/// Where the server listens unless told otherwise: this host only.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7080);
/// Where a server that is installed as a service keeps its data.
pub const DEFAULT_DATA_DIR: &str = "/var/lib/nodeglass-server";

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How it is spoken to there.
    pub transport: Transport,
    /// The address that agents are told, if it is not the one listened on.
    pub public_url: Option<String>,
    /// Where the embedded database and the server's state lie.
    pub data_dir: PathBuf,
    /// The database; `None` is the embedded one under `data_dir`.
    pub database: Option<Secret>,
    /// How the database is used.
    pub database_pool: nodeglass_store::Options,
    /// The first admin token; made and printed once if it is not given.
    pub admin_token: Option<Secret>,
    /// How long samples and hourly figures are kept.
    pub retention: Retention,
    /// How long samples are gathered before they become chunks.
    pub compaction_interval: Duration,
    /// Whether stored samples are compressed.
    pub compression: bool,
    /// Samples that wait for the database at most, in bytes of memory.
    pub queue_bytes: usize,
    /// What the server asks of agents, and how it stores what they send.
    pub ingest: IngestSettings,
    /// What callers may ask for.
    pub limits: QueryLimits,
    /// How long agents' certificates hold.
    pub certificate_lifetime: Duration,
    /// How long events are kept.
    pub keep_events: Duration,
    /// Connections from one address that have shown no token; 0 for any number.
    pub strangers_per_address: usize,
    /// How often callers may call.
    pub rate_limits: RateLimits,
    /// Origins whose pages may call.
    pub cors: Vec<HeaderValue>,
    /// How long sessions last, who else knows people, and how much of the audit log is kept.
    pub access: AccessSettings,
    /// How to log.
    pub log_format: LogFormat,
}

/// What the command line sets, over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// See [`ServerConfig::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// See [`ServerConfig::listen`].
    pub listen: Option<SocketAddr>,
    /// See [`ServerConfig::database`].
    pub database: Option<String>,
}

impl ServerConfig {
    /// Reads a file, or only defaults and environment if there is none.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn load(path: Option<&Path>, env: Env, overrides: Overrides) -> Result<Self, ConfigError> {
        Self::read(ConfigReader::load(path, env), overrides)
    }

    /// Reads everything that `reader` has.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn read(mut reader: ConfigReader, overrides: Overrides) -> Result<Self, ConfigError> {
        let intervals = SECOND..=HOUR;
        let collection = reader.duration(
            "agents.collection_interval",
            Duration::ZERO,
            Duration::ZERO..=HOUR,
        );
        let collection = reader.env_seconds("METRICS_INTERVAL_LIVE", collection, intervals.clone());
        let persist = reader.duration(
            "metrics.storage.persist_interval",
            Duration::ZERO,
            Duration::ZERO..=HOUR,
        );
        let persist = reader.env_seconds("METRICS_INTERVAL_PERSIST", persist, intervals);
        let listen = reader.parsed("listen");
        let listen = overrides.listen.or(listen).unwrap_or(DEFAULT_LISTEN);
        let transport = Transport::read(&mut reader, listen);
        let data_dir = reader.text("data_dir").map(PathBuf::from);
        let configured = database(&mut reader);
        let database = overrides.database.map(Secret::from).or(configured);
        if let Some(url) = &database
            && let Err(error) = nodeglass_store::check_url(url.expose())
        {
            reader.problem("database", error.to_string());
        }
        let retention = retention::read(&mut reader, database.as_ref());
        let config = Self {
            listen,
            public_url: transport.read_public_url(&mut reader),
            transport,
            data_dir: overrides
                .data_dir
                .or(data_dir)
                .unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            database,
            database_pool: database_pool(&mut reader),
            admin_token: reader.env_text("NODEGLASS_ADMIN_TOKEN").map(Secret::from),
            retention,
            compaction_interval: reader.duration(
                "metrics.storage.compaction_interval",
                SECOND * 300,
                SECOND..=HOUR,
            ),
            compression: reader.flag("metrics.storage.compression_enabled", true),
            queue_bytes: reader.bytes("metrics.storage.queue_max_bytes", 64 * MIB, MIB..=16_384 * MIB)
                as usize,
            ingest: IngestSettings {
                heartbeat_interval: reader.duration(
                    "agents.heartbeat_interval",
                    SECOND * 10,
                    SECOND..=SECOND * 300,
                ),
                persist_interval: persist,
                collection_interval: (!collection.is_zero()).then_some(collection),
            },
            limits: QueryLimits {
                max_points: reader.integer(
                    "metrics.storage.max_points_per_query",
                    MAX_POINTS.into(),
                    1..=MAX_POINTS.into(),
                ) as u32,
                max_streams: reader.integer("metrics.api.max_concurrent_streams", 100, 1..=100_000) as usize,
                streams: reader.flag("metrics.api.enable_sse_streaming", true),
            },
            certificate_lifetime: reader.duration(
                "agents.certificate_lifetime",
                HOUR * 24 * 7,
                SECOND * 10..=HOUR * 24 * 366,
            ),
            keep_events: reader.duration(
                "agents.event_retention_period",
                SECOND * 86_400 * 90,
                HOUR..=HOUR * 24 * 3_660,
            ),
            strangers_per_address: reader.integer("connections.strangers_per_address", 1_000, 0..=1_000_000)
                as usize,
            rate_limits: RateLimits {
                per_token: reader.integer(
                    "metrics.api.rate_limiting.requests_per_minute",
                    RateLimits::default().per_token,
                    CALLS_PER_MINUTE,
                ),
                per_address: reader.integer(
                    "metrics.api.rate_limiting.requests_per_minute_per_address",
                    RateLimits::default().per_address,
                    CALLS_PER_MINUTE,
                ),
            },
            cors: cors(&mut reader),
            access: AccessSettings::read(&mut reader),
            log_format: log_format(&mut reader),
        };
        if let Some(token) = &config.admin_token
            && token.expose().contains(|c: char| !c.is_ascii_graphic())
        {
            reader.problem(
                "NODEGLASS_ADMIN_TOKEN",
                "must be of visible ASCII characters without spaces; make one with `openssl rand -hex 32`",
            );
        }
        reader.finish()?;
        Ok(config)
    }

    /// The database's URL.
    pub fn database_url(&self) -> Secret {
        self.database.clone().unwrap_or_else(|| embedded(&self.data_dir))
    }
}

/// Origins as browsers write them.
fn cors(reader: &mut ConfigReader) -> Vec<HeaderValue> {
    let key = "metrics.api.cors_origins";
    let mut origins = Vec::new();
    for text in reader.list(key, &[]) {
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_origin = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '@', ' ']));
        match HeaderValue::from_str(&text) {
            Ok(origin) if is_origin => origins.push(origin),
            _ => reader.problem(
                key,
                format!(
                    "{text:?} is not an origin; write it as https://dashboard.example.org, without a path"
                ),
            ),
        }
    }
    origins
}

/// The embedded database under a data directory.
pub fn embedded(data_dir: &Path) -> Secret {
    Secret::from(format!("sqlite://{}", data_dir.join("nodeglass.db").display()))
}

/// How the database is used.
fn database_pool(reader: &mut ConfigReader) -> nodeglass_store::Options {
    let default = nodeglass_store::Options::default();
    nodeglass_store::Options {
        readers: reader.integer("database_pool.readers", default.readers.into(), 1..=200) as u32,
        writers: reader.integer("database_pool.writers", default.writers.into(), 1..=50) as u32,
        workers: reader.integer("database_pool.workers", default.workers.into(), 1..=20) as u32,
        silence: reader.duration("database_pool.silence", default.silence, SECOND..=SECOND * 10),
    }
}

/// How to log, as the environment says it, or else the file.
fn log_format(reader: &mut ConfigReader) -> LogFormat {
    const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let configured = reader.choice("log.format", LogFormat::Text, &FORMATS);
    let Some(named) = reader.env_text("NODEGLASS_LOG_FORMAT") else {
        return configured;
    };
    if let Some((_, format)) = FORMATS.iter().find(|(name, _)| *name == named) {
        return *format;
    }
    reader.problem(
        "NODEGLASS_LOG_FORMAT",
        format!("{named:?} is neither text nor json"),
    );
    configured
}

/// The database of the file, or of the environment's `POSTGRES_*`.
fn database(reader: &mut ConfigReader) -> Option<Secret> {
    let from_file = reader.secret("database");
    let host = reader.env_text("POSTGRES_HOST");
    let port = reader.env_text("POSTGRES_PORT");
    let user = reader.env_text("POSTGRES_USER");
    let password = reader.env_text("POSTGRES_PASSWORD");
    let name = reader.env_text("POSTGRES_DB");
    let Some(host) = host else {
        if port.is_some() || user.is_some() || password.is_some() || name.is_some() {
            reader.problem(
                "POSTGRES_HOST",
                "is needed with the other POSTGRES_* variables: set it, or unset those",
            );
        }
        return from_file;
    };
    let port = port.unwrap_or_else(|| "5432".to_owned());
    if port.parse::<u16>().is_err() {
        reader.problem(
            "POSTGRES_PORT",
            format!("{port:?} is not a port; allowed are 1 to 65535"),
        );
    }
    let user = escape(&user.unwrap_or_else(|| "nodeglass".to_owned()));
    let password = password
        .map(|password| format!(":{}", escape(&password)))
        .unwrap_or_default();
    let name = escape(&name.unwrap_or_else(|| "nodeglass".to_owned()));
    Some(Secret::from(format!(
        "postgres://{user}{password}@{}:{port}/{name}",
        escape(&host)
    )))
}

/// Percent-encodes what would end a part of a URL.
fn escape(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn read(yaml: &str, env: &[(&str, &str)]) -> Result<ServerConfig, ConfigError> {
        ServerConfig::read(
            ConfigReader::parse("test.yaml", yaml, Env::from_pairs(env)),
            Overrides::default(),
        )
    }

    #[test]
    fn the_specification_s_section_is_understood() {
        let yaml = "metrics:\n  storage:\n    retention_period: 3d\n    max_points_per_query: 500\n    \
                    compression_enabled: false\n  api:\n    enable_sse_streaming: false\n    \
                    max_concurrent_streams: 7\n    rate_limiting:\n      requests_per_minute: 60\n";
        let config = read(yaml, &[]).unwrap();
        assert_eq!(config.retention.raw, DAY * 3);
        assert_eq!(
            (
                config.limits.max_points,
                config.limits.max_streams,
                config.limits.streams
            ),
            (500, 7, false)
        );
        assert_eq!((config.compression, config.rate_limits.per_token), (false, 60));
        assert_eq!(
            config.database_url().expose(),
            "sqlite:///var/lib/nodeglass-server/nodeglass.db"
        );
    }

    #[test]
    fn the_environment_says_how_to_log() {
        let format = |named| {
            read("log: {format: text}", &[("NODEGLASS_LOG_FORMAT", named)]).map(|config| config.log_format)
        };
        assert_eq!(format("json").unwrap(), LogFormat::Json);
        let problems = format("loud").unwrap_err().problems().join(" ");
        assert!(problems.contains("NODEGLASS_LOG_FORMAT"), "{problems}");
    }

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        let config = read(
            "metrics: {api: {cors_origins: ['https://a.example', 'http://localhost:3000']}}",
            &[],
        );
        assert_eq!(
            config.unwrap().cors,
            ["https://a.example", "http://localhost:3000"]
        );
        for wrong in ["'*'", "a.example", "'https://a.example/'", "'https://*.example'"] {
            let problems = read(&format!("metrics: {{api: {{cors_origins: [{wrong}]}}}}"), &[]).unwrap_err();
            assert!(
                problems.problems()[0].contains("cors_origins"),
                "{wrong}: {problems}"
            );
        }
        assert!(read("", &[]).unwrap().cors.is_empty(), "nobody unless it is said");
    }

    #[test]
    fn the_environment_wins() {
        let env = [
            ("METRICS_INTERVAL_LIVE", "2"),
            ("METRICS_INTERVAL_PERSIST", "30"),
            ("METRICS_RETENTION_DAYS", "1"),
            ("POSTGRES_HOST", "db"),
            ("POSTGRES_USER", "me"),
            ("POSTGRES_PASSWORD", "a/b@c"),
            ("POSTGRES_DB", "metrics"),
        ];
        let config = read("metrics: {storage: {retention_period: 9d}}", &env).unwrap();
        assert_eq!(config.retention.raw, DAY);
        assert_eq!(config.ingest.collection_interval, Some(SECOND * 2));
        assert_eq!(config.ingest.persist_interval, SECOND * 30);
        assert_eq!(
            config.database_url().expose(),
            "postgres://me:a%2Fb%40c@db:5432/metrics"
        );
        assert!(
            !format!("{config:?}").contains("a%2Fb"),
            "the password is not shown"
        );
    }

    #[test]
    fn the_database_s_limits_are_checked() {
        let yaml = "database_pool: {readers: 12, writers: 4, workers: 1, silence: 2s}";
        let pool = read(yaml, &[]).unwrap().database_pool;
        assert_eq!((pool.readers, pool.writers, pool.workers), (12, 4, 1));
        assert_eq!(pool.silence, SECOND * 2);
        assert_eq!(
            read("", &[]).unwrap().database_pool,
            nodeglass_store::Options::default()
        );
        let yaml = "database_pool: {readers: 0, writers: 1000, workers: 0, silence: 1h, size: 3}";
        let problems = read(yaml, &[]).unwrap_err().problems().join("\n");
        for named in ["readers", "writers", "workers", "silence", "size"] {
            let key = format!("database_pool.{named}");
            assert!(problems.contains(&key), "{key} in\n{problems}");
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let env = [
            ("METRICS_RETENTION_DAYS", "many"),
            ("POSTGRES_PORT", "5432"),
            ("NODEGLASS_ADMIN_TOKEN", "two words"),
        ];
        let yaml = "listen: nowhere\nmetrics: {storage: {retention: 7d}}\ndatabase: mysql://x\n";
        let problems = read(yaml, &env).unwrap_err().problems().join("\n");
        for named in [
            "listen",
            "metrics.storage.retention",
            "database",
            "METRICS_RETENTION_DAYS",
            "POSTGRES_HOST",
            "NODEGLASS_ADMIN_TOKEN",
        ] {
            assert!(problems.contains(named), "{named} in\n{problems}");
        }
    }
}
