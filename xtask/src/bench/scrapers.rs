//! Servers of others beside ours: Prometheus and `VictoriaMetrics`, which scrape the same hosts at the same pace from an exporter of
//! ours, over plain HTTP.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cost::{Memory, cpu_seconds};
use super::fleet::{Options, TRACE};
use super::others::Other;
use super::programs::{Running, get, program};
use super::table::Row;

/// More hosts cost these servers no less by sample, and more memory than there may be.
const MOST_HOSTS: u32 = 1_000;
/// How long a server may take until it has every host.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often something is asked for to know how soon it is answered.
const QUESTIONS: usize = 200;

/// What a server of others cost.
pub(super) struct Scraped {
    pub(super) name: &'static str,
    /// Processor time of a sample of one host.
    pub(super) micros_per_sample: f64,
    /// Memory for each host, in kB.
    pub(super) kb_per_host: f64,
    /// How soon the latest of one metric is answered for all hosts, median.
    pub(super) latest_ms: f64,
}

/// What they cost, of those that are there or can be unpacked.
pub(super) fn measure(options: &Options, hosts: u32, seconds: u64) -> Vec<Scraped> {
    each(options, hosts, |scraper| scraper.measure(seconds))
}

/// How often in a second each answers with the latest of a metric of one host, as `ask` finds out at an address.
pub(super) fn answers_per_second(
    options: &Options,
    ask: impl Fn(&str) -> anyhow::Result<f64>,
) -> Vec<(&'static str, f64)> {
    each(options, options.agents(), |scraper| {
        scraper.wait_for_all()?;
        Ok((
            scraper.name,
            ask(&format!("http://{}{ONE_HOST}", scraper.address))?,
        ))
    })
}

/// One after the other while it runs; says which can't be measured.
fn each<T>(options: &Options, hosts: u32, then: impl Fn(&Scraper) -> anyhow::Result<T>) -> Vec<T> {
    Other::each("scraping", |other| {
        started(other, options, hosts).and_then(|scraper| then(&scraper))
    })
}

/// The rows of ours with what the others cost.
pub(super) fn beside(rows: Vec<Row>, others: &[Scraped]) -> Vec<Row> {
    let with = |row: Row, of: fn(&Scraped) -> f64| {
        let all = others.iter();
        all.fold(row, |row, other| row.beside(other.name, Some(of(other))))
    };
    let rows = rows.into_iter().map(|row| match row.key {
        "cpu_us_per_sample" => with(row, |other| other.micros_per_sample),
        "loaded_kb_per_agent" => with(row, |other| other.kb_per_host),
        "latest_1000_p50_ms" => with(row, |other| other.latest_ms),
        _ => row,
    });
    rows.collect()
}

/// The latest of a metric of all hosts, and of one. It is one that they make of every host.
const ALL_HOSTS: &str = "/api/v1/query?query=up";
const ONE_HOST: &str = "/api/v1/query?query=up%7Bhost%3D%22host-0%22%7D";
/// The hosts that were scraped.
const SCRAPED: &str = "/api/v1/query?query=up%3D%3D1";

/// A server that scrapes, and what it scrapes.
struct Scraper {
    name: &'static str,
    address: SocketAddr,
    server: Running,
    hosts: u32,
    interval: u64,
    empty_mb: f64,
    exporter: SocketAddr,
    _exporter: Running,
    _directory: tempfile::TempDir,
}

fn started(other: Other, options: &Options, hosts: u32) -> anyhow::Result<Scraper> {
    let hosts = hosts.min(MOST_HOSTS);
    let directory = tempfile::tempdir()?;
    let (exporter_process, exporter) = exporter(options, hosts)?;
    let config = directory.path().join("scrape.yml");
    fs::write(&config, scrape_config(hosts, options.interval, exporter))?;
    let data = directory.path().join("data");
    let (server, address) = other.start(&config, &data)?;
    Ok(Scraper {
        name: other.name(),
        address,
        hosts,
        interval: options.interval,
        empty_mb: Memory::of(server.pid())?.resident_mb,
        server,
        exporter,
        _exporter: exporter_process,
        _directory: directory,
    })
}

fn exporter(options: &Options, hosts: u32) -> anyhow::Result<(Running, SocketAddr)> {
    let mut command = program("nodeglass-exporter");
    let trace = options
        .trace
        .clone()
        .unwrap_or_else(|| crate::workspace().join(TRACE));
    command.arg("--trace").arg(trace);
    command.args(["--hosts", &hosts.to_string()]);
    command.args(["--series", &options.series.to_string()]);
    command.args(["--interval", &options.interval.to_string()]);
    let mut exporter = Running(command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?);
    let output = exporter.0.stdout.take().context("the exporter's output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let address = line.trim().parse().context("the exporter's address")?;
    Ok((exporter, address))
}

fn scrape_config(hosts: u32, interval: u64, exporter: SocketAddr) -> String {
    let mut config = format!(
        "global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s}}\nscrape_configs:\n- job_name: hosts\n  static_configs:\n"
    );
    for host in 0..hosts {
        let _ = writeln!(
            config,
            "  - {{targets: ['{exporter}'], labels: {{__metrics_path__: /host/{host}, host: host-{host}}}}}"
        );
    }
    config
}

impl Scraper {
    fn scrapes(&self) -> anyhow::Result<f64> {
        let said = get(self.exporter, "/scrapes")?;
        Ok(String::from_utf8(said)?.trim().parse()?)
    }

    /// Waits until it knows the latest of every host.
    fn wait_for_all(&self) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let known = get(self.address, SCRAPED).and_then(|said| {
                let said: Value = serde_json::from_slice(&said)?;
                Ok(said["data"]["result"].as_array().map_or(0, Vec::len))
            });
            if known.is_ok_and(|known| known >= self.hosts as usize) {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "it does not get round to all {} hosts",
                self.hosts
            );
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn measure(&self, seconds: u64) -> anyhow::Result<Scraped> {
        self.wait_for_all()?;
        // Each host is known, as ours are once they have sent twice.
        thread::sleep(Duration::from_secs(self.interval));
        let begin = (self.scrapes()?, cpu_seconds(self.server.pid())?);
        thread::sleep(Duration::from_secs(seconds));
        let end = (self.scrapes()?, cpu_seconds(self.server.pid())?);
        let samples = end.0 - begin.0;
        ensure!(samples > 0.0, "it scraped nothing");
        let loaded = Memory::of(self.server.pid())?.resident_mb;
        let mut answered: Vec<f64> = Vec::new();
        for _ in 0..QUESTIONS {
            let asked = Instant::now();
            get(self.address, ALL_HOSTS)?;
            answered.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
        answered.sort_by(f64::total_cmp);
        Ok(Scraped {
            name: self.name,
            micros_per_sample: (end.1 - begin.1) * 1e6 / samples,
            kb_per_host: (loaded - self.empty_mb) * 1000.0 / f64::from(self.hosts),
            latest_ms: answered[QUESTIONS / 2],
        })
    }
}
