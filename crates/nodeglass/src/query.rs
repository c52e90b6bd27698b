//! `nodeglass query AGENT METRIC…`

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use nodeglass_model::history::Aggregation;
use nodeglass_model::{Clock, SystemClock, UnixMillis};
use nodeglass_proto::v1::{MetricsQueryRequest, MetricsTimePoint, QueryHistoryRequest};
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
    /// What a bucket shows: avg, min, max, last, sum or p95; means, and the last of counters, without it
    #[arg(long)]
    agg: Option<Aggregation>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print JSON: the same as --format json
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One object
    Json,
    /// A line for each bucket
    Csv,
}

impl Query {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let format = if self.json { Format::Json } else { self.format };
        let now = SystemClock.now();
        let interval = self.interval.map(|interval| interval.as_secs());
        ensure!(interval != Some(0), "--interval must be at least 1s");
        let query = MetricsQueryRequest {
            metrics: self.metrics,
            start_timestamp: now.minus(self.since).seconds().unsigned_abs(),
            // The bucket that is filling now belongs to it.
            end_timestamp: now.seconds().unsigned_abs() + 1,
            max_points: if interval.is_none() && format == Format::Table {
                ROWS
            } else {
                0
            },
            aggregation: self.agg.unwrap_or_default().to_string(),
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

        if format == Format::Json {
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
            let body = json!({ "interval_seconds": answer.interval_seconds, "resolution": answer.resolution, "truncated": answer.truncated, "data": data });
            println!("{}", serde_json::to_string_pretty(&body)?);
            return Ok(());
        }
        let series: BTreeSet<String> = answer
            .data_points
            .iter()
            .flat_map(|point| point.values.keys().cloned())
            .collect();
        if format == Format::Csv {
            print!("{}", csv(&series, &answer.data_points));
            return Ok(());
        }
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

/// A line of names, then one for each bucket, its time as RFC 3339.
fn csv(series: &BTreeSet<String>, points: &[MetricsTimePoint]) -> String {
    let quoted = |text: &str| {
        if text.contains(['"', ',', '\r', '\n']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut out = String::from("timestamp");
    for name in series {
        out.push(',');
        out.push_str(&quoted(name));
    }
    out.push('\n');
    for point in points {
        out.push_str(&UnixMillis::from_seconds(point.timestamp as i64).to_string());
        for name in series {
            out.push(',');
            if let Some(value) = point.values.get(name) {
                out.push_str(&value.to_string());
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_leaves_absent_values_empty() {
        let point = |timestamp, values: &[(&str, f64)]| MetricsTimePoint {
            timestamp,
            values: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
        };
        let series = ["a@x,y", "b"].map(str::to_owned).into();
        let points = [
            point(60, &[("a@x,y", 1.5), ("b", 2.0)]),
            point(120, &[("b", 3.0)]),
        ];
        let expected = "timestamp,\"a@x,y\",b\n1970-01-01T00:01:00Z,1.5,2\n1970-01-01T00:02:00Z,,3\n";
        assert_eq!(csv(&series, &points), expected);
    }
}
