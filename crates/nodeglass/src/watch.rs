//! `nodeglass watch AGENT`

use std::time::Duration;

use clap::Args;
use nodeglass_model::{Sample, catalogue};
use nodeglass_proto::v1::StreamMetricsRequest;

use crate::client::{Server, refused};
use crate::print::{moment, value};

/// Follow an agent live.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    server: Server,
    /// The agent
    agent: String,
    /// At most one line in this time
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Print each sample as a line of JSON
    #[arg(long)]
    json: bool,
    /// End after so many samples
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

/// What a line shows: title, series, width.
const COLUMNS: [(&str, &str, usize); 7] = [
    ("CPU", "cpu.usage_percent", 9),
    ("MEMORY", "memory.usage_percent", 9),
    ("LOAD", "load.load1", 7),
    ("READ", "disk.read_bytes_per_sec", 13),
    ("WRITE", "disk.write_bytes_per_sec", 13),
    ("RECEIVED", "network.bytes_recv_per_sec", 13),
    ("SENT", "network.bytes_sent_per_sec", 13),
];

impl Watch {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let interval_seconds = u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX);
        let request = StreamMetricsRequest {
            agent_id: self.agent,
            interval_seconds,
            metrics: Vec::new(),
        };
        let mut stream = self
            .server
            .connect()
            .await?
            .stream_metrics(request)
            .await
            .map_err(refused)?
            .into_inner();
        if !self.json {
            let titles = COLUMNS
                .map(|(title, _, width)| format!("{title:>width$}"))
                .concat();
            println!("{:<20}{titles}", "TIME");
        }
        let mut shown = 0;
        while self.count.is_none_or(|count| shown < count)
            && let Some(data) = stream.message().await.map_err(refused)?
        {
            let sample = Sample::try_from(data)?;
            if self.json {
                println!("{}", serde_json::to_string(&sample)?);
            } else {
                println!("{}", line(&sample));
            }
            shown += 1;
        }
        Ok(())
    }
}

fn line(sample: &Sample) -> String {
    let figures = COLUMNS.map(|(_, path, width)| {
        let figure = catalogue::by_path(path).and_then(|metric| catalogue::value(sample, metric, None));
        format!("{:>width$}", value(path, figure))
    });
    format!(
        "{:<20}{}",
        moment(Some(sample.timestamp.0.unsigned_abs())),
        figures.concat()
    )
}
