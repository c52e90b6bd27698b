//! History and the latest figures as a caller sees them: how soon an answer is there, what it costs the server and
//! PostgreSQL; and in how many bytes that history lies on the disk.
//!
//! `nodeglass-queries` fills the database through the store, with the server's own compaction, before the server starts. What
//! is cold is asked of a server that was started anew and knows nothing of the agent yet. A history of a day is played within
//! seconds, so PostgreSQL has no time to clear away what compaction replaced, as it does every minute in life: bytes are
//! read before and after a vacuum.

mod schema;
mod stored;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};

use super::client::Client;
use super::cost::{cpu_seconds, cpu_seconds_of_family};
use super::fleet::{Options, TRACE};
use super::programs::{Running, Server, Speaks, program};
use super::table::Row;
use schema::Schema;
use stored::{Filled, StoredAs};

use crate::postgres::{Binaries, Cluster, Options as ClusterOptions};

/// Nothing is removed meanwhile, callers may call as fast as they can, and agents that stay need not say that they live.
const CONFIG: &str = "metrics: {storage: {retention_period: 60d}, api: {rate_limiting: {requests_per_minute: 0, \
                      requests_per_minute_per_address: 0}}}\nagents: {heartbeat_interval: 5m}\n";
/// How much history there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Agents with a day at 5 s.
    agents: u32,
    /// Days of one more.
    long_days: u32,
    /// Whether history at 1 s is stored, too, and latest figures are asked for.
    all: bool,
}

pub(super) const WHOLE: Extent = Extent {
    agents: 24,
    long_days: 30,
    all: true,
};
/// What shows in a minute how a fleet's samples end up.
pub(super) const BRIEF: Extent = Extent {
    agents: 8,
    long_days: 3,
    all: false,
};
/// What lies on the disk at 1 s: hours enough for many full chunks of each agent.
const DENSE: [(&str, &str); 3] = [("--interval", "1"), ("--agents", "4"), ("--hours", "8")];
/// How often the server is started anew for what is cold.
const COLD_ROUNDS: usize = 4;
/// Calls before what is cold: they open connections, and have PostgreSQL plan statements.
const WARM_UP: usize = 16;
/// Calls of each other kind.
const CALLS: usize = 1_000;
/// Buckets of a day: 994 of 87 s.
const DAY_BUCKET: u32 = 87;

/// What is measured, in words.
pub(super) fn title(options: &Options, extent: Extent) -> String {
    let database = if options.sqlite { "SQLite" } else { "PostgreSQL" };
    let transport = if options.plain { "plain HTTP" } else { "TLS" };
    let series = options.series;
    let Extent {
        agents, long_days, ..
    } = extent;
    format!(
        "Queries of {agents} agents with a day at 5 s and one with {long_days} days, {series} series each, {database}, {transport}, \
         one connection"
    )
}

/// Takes every measurement of that extent.
///
/// # Errors
/// A program does not start or fails, or the server does not answer.
pub(super) fn measure(options: &Options, extent: Extent) -> anyhow::Result<Vec<Row>> {
    let directory = tempfile::tempdir()?;
    let given = options.database.as_deref();
    let cluster = if given.is_some() || options.sqlite {
        None
    } else {
        Some(Cluster::start(
            &Binaries::find()?,
            ClusterOptions { fsync: true },
        )?)
    };
    // What was in a database that is given is not counted, and what is measured does not stay there.
    let schema = given.map(Schema::make).transpose()?;
    let database = |name: &str| match (&cluster, &schema) {
        (_, Some(schema)) => Ok(schema.url()),
        (Some(cluster), None) => cluster.create_database(name).map(|()| cluster.url(name)),
        (None, None) => {
            let file = directory.path().join(format!("{name}.db"));
            Ok(format!("sqlite://{}", file.display()))
        }
    };
    let trace = options.trace.clone();
    let trace = trace.unwrap_or_else(|| crate::workspace().join(TRACE));
    let mut rows = Vec::new();
    if given.is_none() && extent.all {
        let dense = Filled::fill(&database("dense")?, &trace, options.series, &DENSE)?;
        rows.extend(dense.rows(&StoredAs::one_second())?);
    }
    let url = database("history")?;
    let (agents, days) = (extent.agents.to_string(), extent.long_days.to_string());
    let interval = options.interval.to_string();
    let mut what = vec![("--agents", agents.as_str()), ("--long-days", &days)];
    let stored = if extent.all {
        StoredAs::five_seconds()
    } else {
        what.push(("--interval", &interval));
        StoredAs::only(options.interval)
    };
    let filled = Filled::fill(&url, &trace, options.series, &what)?;
    rows.extend(filled.rows(&stored)?);

    let config = directory.path().join("server.yaml");
    std::fs::write(&config, CONFIG)?;
    let bench = Bench {
        data_dir: directory.path().join("server"),
        config,
        database: url,
        extent,
        speaks: if options.plain { Speaks::Plain } else { Speaks::Tls },
        postmaster: filled.said["postmaster"].as_u64().map(|pid| pid as u32),
    };
    rows.extend(bench.history(&filled)?);
    if extent.all {
        rows.extend(bench.latest(&trace, options.series)?);
    }
    Ok(rows)
}

/// What is asked, and of whom.
struct Bench {
    data_dir: PathBuf,
    config: PathBuf,
    database: String,
    extent: Extent,
    speaks: Speaks,
    postmaster: Option<u32>,
}

/// Keys, name and bars of one kind of call.
struct Kind {
    name: &'static str,
    /// Of the median, the 99th of a hundred, the server's and PostgreSQL's processor time.
    keys: [&'static str; 4],
    /// For the first two, in milliseconds.
    bars: [Option<f64>; 2],
}

const COLD: Kind = Kind {
    name: "24 h to 994 means, nothing of the agent kept",
    keys: [
        "day_cold_p50_ms",
        "day_cold_p99_ms",
        "day_cold_server_us",
        "day_cold_database_us",
    ],
    bars: [Some(1.0), Some(5.0)],
};
const OTHER: Kind = Kind {
    name: "24 h, another series of an agent",
    keys: [
        "day_other_p50_ms",
        "day_other_p99_ms",
        "day_other_server_us",
        "day_other_database_us",
    ],
    bars: [Some(1.0), Some(5.0)],
};
const AGAIN: Kind = Kind {
    name: "24 h, the same again",
    keys: [
        "day_again_p50_ms",
        "day_again_p99_ms",
        "day_again_server_us",
        "day_again_database_us",
    ],
    bars: [Some(1.0), Some(5.0)],
};
const LONG_OTHER: Kind = Kind {
    name: "all days of another series, by the hour",
    keys: [
        "long_other_p50_ms",
        "long_other_p99_ms",
        "long_other_server_us",
        "long_other_database_us",
    ],
    bars: [Some(2.0), None],
};
const LONG_AGAIN: Kind = Kind {
    name: "all days, the same again",
    keys: [
        "long_again_p50_ms",
        "long_again_p99_ms",
        "long_again_server_us",
        "long_again_database_us",
    ],
    bars: [Some(2.0), None],
};
/// What is asked of agents that are connected, with a metric in place of `{}`.
const OF_ALL: [&str; 3] = [
    "latest?metric={}",
    "top?k=10&metric={}",
    "agents?limit=100&sort=-{}",
];
/// Agents that are connected then.
const LATEST: [(u32, [Kind; 3]); 2] = [
    (
        1_000,
        [
            Kind {
                name: "latest of a metric, 1,000 agents",
                keys: [
                    "latest_1000_p50_ms",
                    "latest_1000_p99_ms",
                    "latest_1000_server_us",
                    "latest_1000_database_us",
                ],
                bars: [Some(1.0), None],
            },
            Kind {
                name: "top 10 of 1,000 agents",
                keys: [
                    "top_1000_p50_ms",
                    "top_1000_p99_ms",
                    "top_1000_server_us",
                    "top_1000_database_us",
                ],
                bars: [None, None],
            },
            Kind {
                name: "the 100 of 1,000 agents with the most of a metric",
                keys: [
                    "page_1000_p50_ms",
                    "page_1000_p99_ms",
                    "page_1000_server_us",
                    "page_1000_database_us",
                ],
                bars: [None, None],
            },
        ],
    ),
    (
        10_000,
        [
            Kind {
                name: "latest of a metric, 10,000 agents",
                keys: [
                    "latest_10000_p50_ms",
                    "latest_10000_p99_ms",
                    "latest_10000_server_us",
                    "latest_10000_database_us",
                ],
                bars: [Some(8.0), None],
            },
            Kind {
                name: "top 10 of 10,000 agents",
                keys: [
                    "top_10000_p50_ms",
                    "top_10000_p99_ms",
                    "top_10000_server_us",
                    "top_10000_database_us",
                ],
                bars: [None, None],
            },
            Kind {
                name: "the 100 of 10,000 agents with the most of a metric",
                keys: [
                    "page_10000_p50_ms",
                    "page_10000_p99_ms",
                    "page_10000_server_us",
                    "page_10000_database_us",
                ],
                bars: [None, None],
            },
        ],
    ),
];

/// How long calls took, and what they cost.
#[derive(Default)]
struct Timed {
    waits_ms: Vec<f64>,
    server: f64,
    database: f64,
}

impl Bench {
    fn start(&self) -> anyhow::Result<Server> {
        Server::start(&self.data_dir, &self.database, self.speaks, Some(&self.config))
    }

    /// Makes calls, each of which is to be answered with at least `least` bytes.
    fn time(
        &self,
        server: &Server,
        client: &mut Client,
        timed: &mut Timed,
        least: usize,
        calls: impl IntoIterator<Item = String>,
    ) -> anyhow::Result<()> {
        let database = || self.postmaster.map_or(Ok(0.0), cpu_seconds_of_family);
        let before = (cpu_seconds(server.pid())?, database()?);
        for call in calls {
            let took = client.get(&call)?;
            timed.waits_ms.push(took.as_secs_f64() * 1e3);
            ensure!(
                client.body().len() >= least,
                "{call} is answered with {} bytes only",
                client.body().len()
            );
        }
        timed.server += cpu_seconds(server.pid())? - before.0;
        timed.database += database()? - before.1;
        Ok(())
    }

    fn history(&self, filled: &Filled) -> anyhow::Result<Vec<Row>> {
        let (start, end) = (filled.number("start")?, filled.number("end")?);
        let longest = filled.number("longest")?;
        let series = filled.series();
        let day = |agent: String, metric: &str| {
            format!(
                "/agents/{agent}/metrics/history?metrics={metric}&start={start}&end={end}&interval={DAY_BUCKET}"
            )
        };
        let of = |number: usize| &series[number % series.len()];
        let [mut cold, mut other, mut again, mut long_other, mut long_again] =
            [(); 5].map(|()| Timed::default());
        let mut server = self.start()?;
        for round in 0..COLD_ROUNDS {
            let mut client = Client::connect(&server)?;
            for number in 0..WARM_UP {
                client.get(&day("hist-long".to_owned(), of(number)))?;
            }
            let agents = self.extent.agents as usize;
            let calls = (0..agents).map(|agent| day(format!("hist-{agent}"), of(round * agents + agent)));
            self.time(&server, &mut client, &mut cold, DAY_BYTES, calls)?;
            if round + 1 < COLD_ROUNDS {
                drop(client);
                drop(server);
                server = self.start()?;
                continue;
            }
            // Each agent's series one after the other, from where those that were asked for end.
            let first = COLD_ROUNDS * agents;
            let calls =
                (0..CALLS).map(|call| day(format!("hist-{}", call % agents), of(first + call / agents)));
            self.time(&server, &mut client, &mut other, DAY_BYTES, calls)?;
            let calls =
                (0..CALLS).map(|call| day(format!("hist-{}", call % agents), of(first + CALLS / agents - 1)));
            self.time(&server, &mut client, &mut again, DAY_BYTES, calls)?;
            let days = |number: usize| {
                format!(
                    "/agents/hist-long/metrics/history?metrics={}&start={longest}&end={end}&max_points=1000",
                    of(number)
                )
            };
            // Each series once, and then as often as it takes.
            let calls = (0..series.len()).map(days);
            self.time(&server, &mut client, &mut long_other, LONG_BYTES, calls)?;
            self.time(
                &server,
                &mut client,
                &mut long_again,
                LONG_BYTES,
                (0..CALLS).map(days),
            )?;
        }
        let kinds = [
            (COLD, cold),
            (OTHER, other),
            (AGAIN, again),
            (LONG_OTHER, long_other),
            (LONG_AGAIN, long_again),
        ];
        Ok(kinds
            .into_iter()
            .flat_map(|(kind, timed)| rows(&kind, timed))
            .collect())
    }

    fn latest(&self, trace: &Path, series: u32) -> anyhow::Result<Vec<Row>> {
        let server = self.start()?;
        let (mut held, mut connected, mut all) = (Vec::new(), 0, Vec::new());
        for (agents, kinds) in LATEST {
            held.push(self.hold(&server, trace, series, connected, agents - connected)?);
            connected = agents;
            let mut client = Client::connect(&server)?;
            let metrics = [
                "cpu.usage_percent",
                "memory.used_bytes",
                "load.load1",
                "cpu.system_percent",
            ];
            let answered = [agents as usize, 10, 100];
            for ((kind, what), agents) in kinds.iter().zip(OF_ALL).zip(answered) {
                let calls = (0..CALLS).map(|call| {
                    let metric = metrics[call % metrics.len()];
                    format!("/metrics/{}", what.replace("{}", metric))
                });
                let mut timed = Timed::default();
                self.time(&server, &mut client, &mut timed, agents * READING_BYTES, calls)?;
                all.extend(rows(kind, timed));
            }
        }
        Ok(all)
    }

    /// Connects agents; they stay until what is given is dropped.
    fn hold(
        &self,
        server: &Server,
        trace: &Path,
        series: u32,
        first: u32,
        agents: u32,
    ) -> anyhow::Result<Running> {
        let mut hold = program("nodeglass-queries");
        hold.args([
            "hold",
            "--server",
            &server.url,
            "--database",
            &self.database,
            "--trace",
        ]);
        hold.arg(trace).args(["--series", &series.to_string()]);
        hold.args(["--first", &first.to_string(), "--agents", &agents.to_string()]);
        if let Some(ca) = &server.ca {
            hold.arg("--ca").arg(ca);
        }
        let hold = hold.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut hold = Running(hold.spawn().context("can't start the agents")?);
        let output = hold.0.stdout.take().context("the agents' output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.trim() == "connected", "the agents can't connect");
        Ok(hold)
    }
}

/// What the answers have at the least: a bucket has some 40 bytes, a reading some 60.
const DAY_BYTES: usize = 30_000;
const LONG_BYTES: usize = 20_000;
const READING_BYTES: usize = 50;

fn rows(kind: &Kind, timed: Timed) -> Vec<Row> {
    let Timed {
        mut waits_ms,
        server,
        database,
    } = timed;
    waits_ms.sort_by(f64::total_cmp);
    let share = |share: f64| waits_ms[((waits_ms.len() - 1) as f64 * share) as usize];
    let each = |seconds: f64| seconds * 1e6 / waits_ms.len() as f64;
    let [p50, p99, server_key, database_key] = kind.keys;
    let name = kind.name;
    let wait = |key, what: &str, measured, bar| Row {
        bar,
        ..Row::new(key, format!("{name}: {what}"), measured, "ms")
    };
    vec![
        wait(p50, "p50", share(0.5), kind.bars[0]),
        wait(p99, "p99", share(0.99), kind.bars[1]),
        Row::new(
            server_key,
            format!("{name}: CPU of the server"),
            each(server),
            "µs",
        ),
        Row::new(
            database_key,
            format!("{name}: CPU of PostgreSQL"),
            each(database),
            "µs",
        ),
    ]
}
