//! `nodeglass export`

use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use nodeglass_model::{Clock, SystemClock, UnixMillis};
use nodeglass_server::record::Record;
use reqwest::Response;
use tempfile::NamedTempFile;

use crate::client::Server;
use crate::transfer::{Format, Sink};

/// The longest line that a server sends: a sample of thousands of devices is some hundred kilobytes.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Write stored samples to a file, each as it was taken.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    server: Server,
    /// Which metrics: `metric` (of every device), or `metric@device`. All that samples say without it
    metrics: Vec<String>,
    /// From when on: an age (30m, 7d), Unix seconds, or RFC 3339; as far back as there is without it
    #[arg(long, allow_hyphen_values = true)]
    since: Option<String>,
    /// Until when, in the same forms; the moment itself is left out
    #[arg(long, default_value = "now", allow_hyphen_values = true)]
    until: String,
    /// An agent, or a pattern: web-*. May be given several times; all agents without it
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file, which appears when it is whole; standard output without it
    #[arg(long, short)]
    output: Option<PathBuf>,
}

impl Export {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let mut parameters = vec![("end", moment("--until", &self.until, now)?.0.to_string())];
        if let Some(since) = &self.since {
            parameters.push(("start", moment("--since", since, now)?.0.to_string()));
        }
        let lists = [("agents", &self.agents), ("metrics", &self.metrics)];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            parameters.push((name, list.join(",")));
        }
        if self.output.is_none() && self.format == Format::Parquet && io::stdout().is_terminal() {
            bail!("Parquet is nothing to read on a terminal: name a file with --output FILE");
        }
        let samples = self.server.rest()?.get("export", &parameters).await?;
        let written = if let Some(path) = &self.output {
            to_file(path, self.format, samples).await?
        } else {
            let out = BufWriter::new(io::stdout());
            copy(samples, self.format.sink(out)?).await?
        };
        eprintln!("{written} samples written");
        Ok(())
    }
}

/// A moment, or an age without the sign before it.
fn moment(name: &str, text: &str, now: UnixMillis) -> anyhow::Result<UnixMillis> {
    match humantime::parse_duration(text) {
        Ok(age) => Ok(now.minus(age)),
        Err(_) => UnixMillis::parse(text, now).with_context(|| format!("{name} can't be read")),
    }
}

/// Writes a file beside its place, and moves it there when it is whole.
async fn to_file(path: &Path, format: Format, samples: Response) -> anyhow::Result<u64> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let cant = || format!("can't write {}", path.display());
    let mut file = NamedTempFile::new_in(directory).with_context(cant)?;
    let written = copy(samples, format.sink(BufWriter::new(file.as_file_mut()))?).await?;
    file.as_file().sync_all().with_context(cant)?;
    file.persist(path).with_context(cant)?;
    Ok(written)
}

/// Writes all samples of an answer; says how many it was.
async fn copy(mut samples: Response, mut sink: Box<dyn Sink + '_>) -> anyhow::Result<u64> {
    let (mut count, mut rest) = (0, Vec::new());
    loop {
        let piece = samples.chunk().await.with_context(|| {
            format!("the export broke off after {count} samples: the server's log says why; try again, or export less at a time")
        })?;
        let Some(piece) = piece else { break };
        rest.extend_from_slice(&piece);
        let mut begin = 0;
        while let Some(length) = rest[begin..].iter().position(|byte| *byte == b'\n') {
            let record: Record = serde_json::from_slice(&rest[begin..begin + length])
                .context("the server sent what is no sample: it may be newer than this program")?;
            sink.add(&record)?;
            count += 1;
            begin += length + 1;
        }
        rest.drain(..begin);
        if rest.len() > MAX_LINE_BYTES {
            bail!("the server sent a line without an end");
        }
    }
    if !rest.is_empty() {
        bail!("the export broke off within a sample, after {count} whole ones: try again");
    }
    sink.finish()?;
    Ok(count)
}
