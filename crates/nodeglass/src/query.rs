//! `nodeglass query AGENT METRIC…`

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use nodeglass_model::{Clock, SystemClock, UnixMillis};
use nodeglass_proto::v1::{MetricsQueryRequest, QueryHistoryRequest};
use serde_json::{Map, Value, json};

use crate::client::{Server, refused};
use crate::print::{moment, table, value};

/// Points that a person is shown unless they name an interval.
const ROWS: u32 = 60;

/// Show the history of an agent's metrics.
#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    server: Server,
    /// The agent
    agent: String,
    /// What to show: `metric`, `metric@device` or `metric@*`
    #[arg(required = true)]
    metrics: Vec<String>,
    /// How far back: 30m, 1h, 7d
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    since: Duration,
    /// The width of a bucket: 10s, 5m; the narrowest that gives 60 rows without it
    #[arg(long, value_parser = humantime::parse_duration)]
    interval: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Query {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let interval = self.interval.map(|interval| interval.as_secs());
        ensure!(interval != Some(0), "--interval must be at least 1s");
        let query = MetricsQueryRequest {
            metrics: self.metrics,
            start_timestamp: now.minus(self.since).seconds().unsigned_abs(),
            // The bucket that is filling now belongs to it.
            end_timestamp: now.seconds().unsigned_abs() + 1,
            max_points: if interval.is_none() && !self.json { ROWS } else { 0 },
            interval_seconds: interval.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX)),
        };
        let request = QueryHistoryRequest {
            agent_id: self.agent,
            query: Some(query),
        };
        let answer = self
            .server
            .connect()
            .await?
            .query_history(request)
            .await
            .map_err(refused)?
            .into_inner();
        let seconds = |seconds: u64| UnixMillis::from_seconds(seconds as i64);

        if self.json {
            let data: Vec<_> = answer
                .data_points
                .into_iter()
                .map(|point| {
                    let mut row = Map::from_iter([("timestamp".to_owned(), Value::from(point.timestamp))]);
                    row.extend(
                        point
                            .values
                            .into_iter()
                            .map(|(name, value)| (name, Value::from(value))),
                    );
                    row
                })
                .collect();
            let body = json!({ "interval_seconds": answer.interval_seconds, "truncated": answer.truncated, "data": data });
            println!("{}", serde_json::to_string_pretty(&body)?);
            return Ok(());
        }
        let series: BTreeSet<String> = answer
            .data_points
            .iter()
            .flat_map(|point| point.values.keys().cloned())
            .collect();
        let mut rows = vec![
            std::iter::once("TIME".to_owned())
                .chain(series.iter().cloned())
                .collect(),
        ];
        rows.extend(answer.data_points.iter().map(|point| {
            let time = moment(Some(seconds(point.timestamp).0.unsigned_abs()));
            let values = series
                .iter()
                .map(|name| value(name, point.values.get(name).copied()));
            std::iter::once(time).chain(values).collect::<Vec<_>>()
        }));
        if answer.data_points.is_empty() {
            println!("nothing was stored in this span");
            return Ok(());
        }
        table(&rows);
        if answer.truncated {
            println!("there is more: ask for a shorter span or a wider interval");
        }
        Ok(())
    }
}
