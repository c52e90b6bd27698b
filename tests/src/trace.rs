//! A recorded host as samples: a CSV of one column a series and one row a second becomes what an agent would have sent.

mod columns;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use nodeglass_model::catalogue::{self, Dimension, Metric};
use nodeglass_model::window::Window;
use nodeglass_model::{Sample, UnixMillis};

use columns::Place;

/// How far apart two agents stand in the trace, in rows. A prime, so that it has no rhythm in common with their intervals.
const APART: usize = 7919;

/// What an agent sends at each second of the trace.
#[derive(Debug)]
pub struct Trace {
    samples: Vec<Sample>,
    /// Rows from one sample of an agent to its next.
    interval: usize,
}

/// One series: the column that it is from, how many rows later it is read, and where it stands in a sample.
struct Series {
    column: usize,
    later: usize,
    metric: &'static Metric,
    index: usize,
}

impl Trace {
    /// Reads a trace, `.gz` or not, and gives each sample `series` values. Columns with a metric of ours stand for it, others
    /// for one whose values are alike; where the trace has too few, they are taken again from another time of it.
    ///
    /// # Errors
    /// The file can't be read, or is no such trace; says which line is wrong.
    pub fn read(path: &Path, series: usize, interval: u64) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("can't read the trace {}", path.display()))?;
        let text: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
            Box::new(flate2::read::GzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let (names, rows) = parse(BufReader::new(text)).with_context(|| path.display().to_string())?;
        Self::new(&names, &rows, series, interval as usize)
    }

    fn new(names: &[String], rows: &[Vec<f64>], series: usize, interval: usize) -> anyhow::Result<Self> {
        ensure!(
            (1..=rows.len()).contains(&interval),
            "an interval is 1 s up to the {} s that the trace has",
            rows.len()
        );
        let mut layout = Sample::default();
        let series = spread(names, rows, series, &mut layout)?;
        let second = |row: usize| {
            let mut sample = layout.clone();
            for one in &series {
                let value = rows[(row + one.later) % rows.len()][one.column];
                let range = one.metric.unit.range();
                one.metric
                    .set(&mut sample, one.index, value.clamp(*range.start(), *range.end()));
            }
            sample
        };
        let seconds: Vec<Sample> = (0..rows.len()).map(second).collect();
        let samples = (0..rows.len()).map(|row| {
            let mut window = Window::default();
            for second in 0..interval {
                window.add(seconds[(row + second) % rows.len()].clone());
            }
            let mut sample = window.finish().unwrap_or_default();
            catalogue::quantise(&mut sample);
            sample
        });
        Ok(Self {
            samples: samples.collect(),
            interval,
        })
    }

    /// What an agent measured at a step of its own, taken at `timestamp`.
    pub fn with<T>(
        &mut self,
        agent: u32,
        step: u64,
        timestamp: UnixMillis,
        then: impl FnOnce(&Sample) -> T,
    ) -> T {
        let row = (agent as usize)
            .wrapping_mul(APART)
            .wrapping_add((step as usize).wrapping_mul(self.interval));
        let place = row % self.samples.len();
        let sample = &mut self.samples[place];
        sample.timestamp = timestamp;
        then(sample)
    }

    /// The series of each sample, as they are asked for: `metric`, or `metric@device`.
    pub fn names(&self) -> Vec<String> {
        let of = |sample: &Sample| {
            let devices = catalogue::devices(sample);
            let named = devices.flat_map(|device| {
                let label = device.label.to_string();
                let values = device.values(sample);
                values
                    .map(move |(metric, _)| match label.as_str() {
                        "" => metric.path.to_owned(),
                        label => format!("{}@{label}", metric.path),
                    })
                    .collect::<Vec<_>>()
            });
            named.collect()
        };
        self.samples.first().map(of).unwrap_or_default()
    }

    /// Values in a sample.
    pub fn series(&self) -> usize {
        self.samples.first().map_or(0, |sample| {
            catalogue::devices(sample)
                .map(|device| device.values(sample).count())
                .sum()
        })
    }
}

/// The figures of a sample by series, whatever order its devices stand in.
pub fn values(sample: &Sample) -> BTreeMap<(&'static str, String), u64> {
    let of = |device: catalogue::Device<'_>| {
        let label = device.label.to_string();
        let values = device.values(sample);
        values
            .map(move |(metric, value)| ((metric.path, label.clone()), value.to_bits()))
            .collect::<Vec<_>>()
    };
    catalogue::devices(sample).flat_map(of).collect()
}

/// A metric's name as Prometheus takes it.
pub fn exposed(metric: &str) -> String {
    let letters = metric.chars();
    letters
        .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
        .collect()
}

/// The names of the columns after the first, which is the time, and the rows.
fn parse(text: impl BufRead) -> anyhow::Result<(Vec<String>, Vec<Vec<f64>>)> {
    let mut lines = text.lines();
    let head = lines.next().context("the trace is empty")??;
    let names: Vec<String> = head.split(',').skip(1).map(str::to_owned).collect();
    let mut rows = Vec::new();
    for (number, line) in (2..).zip(lines) {
        let values: Result<Vec<f64>, _> = line?.split(',').skip(1).map(str::parse).collect();
        let values = values.with_context(|| format!("line {number} has something that is no number"))?;
        ensure!(
            values.len() == names.len(),
            "line {number} has {} values, the head names {}",
            values.len(),
            names.len()
        );
        rows.push(values);
    }
    ensure!(!rows.is_empty(), "the trace has no rows");
    Ok((names, rows))
}

/// Gives each column its place until there are enough series.
fn spread(
    names: &[String],
    rows: &[Vec<f64>],
    wanted: usize,
    layout: &mut Sample,
) -> anyhow::Result<Vec<Series>> {
    let mut spare = columns::Spare::default();
    let mut all: Vec<(Series, String)> = Vec::new();
    for round in 0.. {
        let before = all.len();
        for (column, name) in names.iter().enumerate() {
            if all.len() == wanted {
                return Ok(placed(all, layout));
            }
            let values = || rows.iter().map(|row| row[column]);
            let own = columns::named(name).filter(|_| round == 0);
            let Some(Place { path, device }) = own.or_else(|| spare.next(values)) else {
                continue;
            };
            let metric = catalogue::by_path(path).with_context(|| format!("no metric is called {path}"))?;
            let series = Series {
                column,
                later: round * rows.len() / 2,
                metric,
                index: 0,
            };
            all.push((series, device));
        }
        if all.len() == before {
            bail!("no column of the trace has values that a metric can have");
        }
    }
    Ok(placed(all, layout))
}

/// Gives each series its device, in the order in which an agent lists devices: a disk without a mount comes behind those with one.
fn placed(mut all: Vec<(Series, String)>, layout: &mut Sample) -> Vec<Series> {
    for dimension in Dimension::ALL {
        let of_kind = all
            .iter_mut()
            .filter(|(series, _)| series.metric.dimension() == dimension);
        for (series, device) in of_kind {
            series.index = dimension.find_or_add(layout, device);
        }
    }
    all.into_iter().map(|(series, _)| series).collect()
}

#[cfg(test)]
mod tests {
    use nodeglass_chunk::row;

    use super::*;

    const TEXT: &str = "t,cpu.user,net.eth0.bytes_sent_ps,mystery,half\n0,10,100,-1,0.5\n1,20,300,7,1.5\n2,30,500,9,2.5\n3,60,900,5,9.5\n";

    fn trace(series: usize, interval: usize) -> anyhow::Result<Trace> {
        let (names, rows) = parse(TEXT.as_bytes()).unwrap();
        Trace::new(&names, &rows, series, interval)
    }

    #[test]
    fn rates_are_means_of_the_interval_and_agents_differ() {
        let mut trace = trace(3, 2).unwrap();
        assert_eq!(trace.series(), 3);
        let names = [
            "cpu.user_percent",
            "cpu.core_usage@1000",
            "network.bytes_sent_per_sec@eth0",
        ];
        assert_eq!(trace.names(), names);
        let mut at = |agent, step| {
            trace.with(agent, step, UnixMillis(7), |sample| {
                let sent = sample.network_interfaces[0].bytes_sent_per_sec;
                (sample.timestamp.0, sample.cpu.user_percent, sent)
            })
        };
        assert_eq!(at(0, 0), (7, Some(15.0), Some(200)));
        assert_eq!(at(0, 1), (7, Some(45.0), Some(700)));
        // The end of the trace goes on with its beginning: rows 3 and 0.
        assert_eq!(at(1, 0), (7, Some(35.0), Some(500)));
        assert_eq!(at(0, 2), at(0, 0));
    }

    #[test]
    fn a_trace_has_as_many_series_as_are_wanted() {
        for wanted in [1, 3, 4, 50] {
            assert_eq!(trace(wanted, 1).unwrap().series(), wanted);
        }
    }

    #[test]
    fn what_is_no_trace_is_an_error_that_names_the_line() {
        let wrong = |text: &str| format!("{:#}", parse(text.as_bytes()).unwrap_err());
        assert!(wrong("t,a\n0,x\n").starts_with("line 2 has something that is no number"));
        assert_eq!(
            wrong("t,a\n0,1\n1,1,1\n"),
            "line 3 has 2 values, the head names 1"
        );
        assert_eq!(wrong(""), "the trace is empty");
        assert!(trace(1, 5).is_err(), "the interval is longer than the trace");
    }

    #[test]
    fn a_sample_can_be_made_out_of_its_row_as_one_of_an_agent() {
        let text = "t,disk.vda.read_bytes_ps,fs./.total,disk.vdb.read_bytes_ps\n0,10,4096,1\n1,20,4096,2\n";
        let (names, rows) = parse(text.as_bytes()).unwrap();
        let mut trace = Trace::new(&names, &rows, 3, 1).unwrap();
        trace.with(0, 1, UnixMillis(7), |sample| {
            let made = row::decode(&row::encode(sample), sample.timestamp).unwrap();
            assert_eq!(made, *sample);
            assert_eq!(sample.disks.len(), 3);
            assert_eq!(sample.disks[1].read_bytes_per_sec, Some(20));
        });
    }
}
