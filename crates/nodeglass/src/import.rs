//! `nodeglass import`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use nodeglass_server::record::Record;
use serde::Deserialize;

use crate::client::Server;
use crate::rest::Rest;
use crate::transfer::{Place, read};

/// What one call sends, in samples and about in bytes: well under what a server takes.
const BATCH: (usize, usize) = (500, 2 << 20);
/// Batches that are ready and wait for the server.
const READY: usize = 2;

/// Store samples that `nodeglass export` wrote; what is stored already is left as it is.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    server: Server,
    /// The files: CSV, Parquet or OpenMetrics, each read to its end before anything of it is stored
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Make agents that are not enrolled; nobody has their token until `nodeglass-server agent add --replace` gives one
    #[arg(long)]
    create_agents: bool,
}

/// What became of samples.
#[derive(Debug, Default)]
struct Sum {
    stored: u64,
    duplicate: u64,
    refused: u64,
    /// How many were refused for which reason, and the first of them.
    reasons: BTreeMap<String, (u64, Place, String)>,
}

#[derive(Deserialize)]
struct Imported {
    stored: u64,
    duplicate: u64,
    refused: u64,
    refusals: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    line: usize,
    code: String,
    message: String,
}

/// Samples that are sent together, as lines.
#[derive(Debug, Default)]
struct Batch {
    body: Vec<u8>,
    places: Vec<Place>,
}

impl Import {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let rest = self.server.rest()?;
        let mut refused = 0;
        for file in &self.files {
            let name = file.display();
            check(file)
                .await
                .with_context(|| format!("{name}: nothing of it was stored"))?;
            let mut sum = Sum::default();
            let sent = send(&rest, file, self.create_agents, &mut sum).await;
            println!(
                "{name}: {} samples stored, {} were there already, {} refused",
                sum.stored, sum.duplicate, sum.refused
            );
            for (code, (count, Place(first), message)) in &sum.reasons {
                println!("  {code}: {count} at least, the first at line {first}: {message}");
            }
            sent.with_context(|| {
                format!("{name}: not all of it was sent; import it again, what is stored is not stored twice")
            })?;
            refused += sum.refused;
        }
        if refused > 0 {
            bail!("{refused} samples were refused; the rest is stored");
        }
        Ok(())
    }
}

/// Reads all of a file, so that one that can't be read to its end is not stored in part.
async fn check(path: &Path) -> anyhow::Result<()> {
    let path = path.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        read(&path, |Place(line), record| {
            let checked = record.id().map(drop).and_then(|()| record.sample().map(drop));
            checked.with_context(|| format!("line {line}"))
        })
    });
    work.await?
}

/// Sends a file batch by batch.
async fn send(rest: &Rest, path: &Path, create_agents: bool, sum: &mut Sum) -> anyhow::Result<()> {
    let (batches, mut ready) = tokio::sync::mpsc::channel(READY);
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let mut batch = Batch::default();
        read(&path, |place, record| {
            batch.add(place, &record)?;
            if batch.is_full() {
                // Who stopped taking batches says why.
                let _ = batches.blocking_send(std::mem::take(&mut batch));
            }
            Ok(())
        })?;
        if !batch.places.is_empty() {
            let _ = batches.blocking_send(batch);
        }
        anyhow::Ok(())
    });
    let parameters = [("create_agents", create_agents.to_string())];
    while let Some(Batch { body, places }) = ready.recv().await {
        let answer = rest.post("import", &parameters, Bytes::from(body)).await?;
        let text = answer.text().await.context("the server's answer broke off")?;
        sum.add(serde_json::from_str(&text)?, &places);
    }
    reading.await?
}

impl Batch {
    fn add(&mut self, place: Place, record: &Record) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.body, record)?;
        self.body.push(b'\n');
        self.places.push(place);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.places.len() >= BATCH.0 || self.body.len() >= BATCH.1
    }
}

impl Sum {
    /// Adds what became of a batch whose lines stand at these places of the file.
    fn add(&mut self, imported: Imported, places: &[Place]) {
        self.stored += imported.stored;
        self.duplicate += imported.duplicate;
        self.refused += imported.refused;
        for Refusal { line, code, message } in imported.refusals {
            let place = places.get(line.wrapping_sub(1)).copied().unwrap_or(Place(0));
            let (count, ..) = self.reasons.entry(code).or_insert((0, place, message));
            *count += 1;
        }
    }
}
