//! OpenMetrics text with timestamps, as Prometheus takes it. It has figures alone: no identities, texts and failures.
//!
//! All lines of a metric stand together, those of a series in order of time, so what comes sample by sample is sorted first;
//! and the other way round when it is read.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::LazyLock;

use anyhow::{Context, anyhow, bail, ensure};
use nodeglass_model::catalogue::Unit;
use nodeglass_model::catalogue::{self, Dimension, Kind, METRICS, Metric, MetricId};
use nodeglass_server::record::Record;

use super::sort::Sorter;
use super::{Assembler, Entry, Place, Said, Sink};

const EOF: &str = "# EOF";
/// The longest line in bytes; labels are at most a kilobyte.
const MAX_BYTES: u64 = 64 << 10;

/// Metrics by the names of their lines.
static BY_NAME: LazyLock<HashMap<String, &'static Metric>> = LazyLock::new(|| {
    METRICS
        .iter()
        .map(|metric| (metric.prometheus_name(), metric))
        .collect()
});

/// Writes such a file.
pub(crate) struct Writer<W> {
    out: W,
    lines: Sorter,
}

impl<W: Write> Writer<W> {
    #[expect(clippy::unnecessary_wraps, reason = "as the writers of other forms")]
    pub(super) fn new(out: W) -> anyhow::Result<Self> {
        let lines = Sorter::new();
        Ok(Self { out, lines })
    }
}

impl<W: Write> Sink for Writer<W> {
    fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        for device in &record.devices {
            for (metric, value) in &device.values.0 {
                let mut key = Key::default();
                key.number(u64::from(metric.id.0));
                key.text(&record.agent_id);
                key.text(&device.label);
                key.number(record.timestamp.unsigned_abs());
                key.number(value.to_bits());
                self.lines.add(&key.0)?;
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        let Self { mut out, lines } = *self;
        let (mut open, mut last) = (None, Vec::new());
        lines.finish(|item| {
            // Two samples of one moment are one to Prometheus.
            let (point, _) = item.split_at(item.len() - 8);
            if point == last {
                return Ok(());
            }
            last.clear();
            last.extend_from_slice(point);
            let mut fields = Fields(item);
            let metric = metric(fields.number()?)?;
            let (agent, label) = (fields.text()?.to_owned(), fields.text()?);
            if open != Some(metric.id) {
                open = Some(metric.id);
                head(&mut out, metric)?;
            }
            let name = metric.prometheus_name();
            write!(out, "{name}{{agent=\"{}\"", escaped(&agent))?;
            if metric.dimension() != Dimension::Host {
                write!(out, ",{}=\"{}\"", label_name(metric.dimension()), escaped(label))?;
            }
            let at = fields.number()?;
            let value = metric.prometheus_value(f64::from_bits(fields.number()?));
            writeln!(out, "}} {value} {}.{:03}", at / 1000, at % 1000)?;
            Ok(())
        })?;
        writeln!(out, "{EOF}")?;
        Ok(out.flush()?)
    }
}

/// What stands before a metric's lines.
fn head(out: &mut impl Write, metric: &Metric) -> std::io::Result<()> {
    let name = metric.prometheus_name();
    let (family, kind) = match metric.kind {
        Kind::Counter => (name.strip_suffix("_total").unwrap_or(&name), "counter"),
        Kind::Level | Kind::Rate => (name.as_str(), "gauge"),
    };
    writeln!(out, "# TYPE {family} {kind}")?;
    writeln!(out, "# HELP {family} {}", escaped(metric.description))
}

/// The label that says which device a line is of, as at the agent's own endpoint: `mount_point`.
fn label_name(dimension: Dimension) -> String {
    dimension.name().replace(' ', "_")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn metric(number: u64) -> anyhow::Result<&'static Metric> {
    let id = u16::try_from(number).ok().map(MetricId);
    id.and_then(catalogue::by_id).context("a metric without a number")
}

/// Reads such a file.
pub(super) fn read(
    mut file: impl BufRead,
    found: &mut dyn FnMut(Place, Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut figures = Sorter::new();
    let (mut number, mut line, mut is_whole) = (0, String::new(), false);
    loop {
        line.clear();
        number += 1;
        let taken = std::io::Read::take(&mut file, MAX_BYTES).read_line(&mut line);
        if taken.with_context(|| format!("line {number}"))? == 0 {
            break;
        }
        let text = line.trim_end_matches(['\r', '\n']);
        ensure!(!is_whole, "line {number}: nothing may stand behind {EOF}");
        is_whole = text == EOF;
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let item = figure(text, number).map_err(|problem| anyhow!("line {number}: {problem}"))?;
        figures.add(&item)?;
    }
    if !is_whole {
        bail!("line {number}: the file breaks off: {EOF} has to be its last line; export it again");
    }
    let mut assembler = Some(Assembler::default());
    figures.finish(|item| {
        let (line, entry) = entry(item)?;
        let before = assembler
            .as_mut()
            .map(|assembler| assembler.add(Place(line), entry))
            .transpose()
            .map_err(|problem| anyhow!("line {line}: {problem}"))?
            .flatten();
        before.map_or(Ok(()), |(place, record)| found(place, record))
    })?;
    let last = assembler.take().and_then(Assembler::finish);
    last.map_or(Ok(()), |(place, record)| found(place, record))
}

/// A line as it is sorted: by agent, time, kind of device, device and metric.
fn figure(line: &str, number: u64) -> Result<Vec<u8>, String> {
    let (name, rest) = line
        .split_once('{')
        .ok_or("labels have to follow the name: {agent=\"...\"}")?;
    let metric = BY_NAME
        .get(name)
        .ok_or_else(|| format!("{name:?} is no metric of Nodeglass: take the line out"))?;
    let (mut agent, mut label) = (None, None);
    let of_device = label_name(metric.dimension());
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (key, quoted) = rest.split_once("=\"").ok_or("a label has to be name=\"text\"")?;
        let (text, after) = unescaped(quoted).ok_or("a label's text has no end")?;
        match key {
            "agent" => agent = Some(text),
            key if key == of_device && metric.dimension() != Dimension::Host => label = Some(text),
            key => return Err(format!("{name} has no label {key:?}: take it out")),
        }
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    let mut words = rest[1..].split_ascii_whitespace();
    let value = words.next().and_then(|word| word.parse::<f64>().ok());
    let value = value
        .filter(|value| value.is_finite())
        .ok_or("there is no value behind the labels")?;
    let at = words.next().and_then(|word| word.parse::<f64>().ok());
    let at = at.filter(|at| *at > 0.0 && words.next().is_none());
    let at = at.ok_or("a time in Unix seconds has to follow the value, and nothing behind it")?;
    let agent = agent.ok_or("there is no label agent: name the one whose figure this is")?;
    let label = match label {
        Some(label) => label,
        None if metric.dimension() == Dimension::Host => String::new(),
        None => return Err(format!("there is no label {of_device}: name the device")),
    };
    let value = match metric.unit {
        Unit::Milliseconds => metric.unit.of_steps(metric.unit.to_steps(value * 1000.0)),
        _ => value,
    };
    let mut key = Key::default();
    key.text(&agent);
    key.number((at * 1000.0).round() as u64);
    key.number(metric.dimension() as u64);
    key.text(&label);
    key.number(u64::from(metric.id.0));
    key.number(value.to_bits());
    key.number(number);
    Ok(key.0)
}

fn entry(item: &[u8]) -> anyhow::Result<(u64, Entry)> {
    let mut fields = Fields(item);
    let (agent, at, _) = (fields.text()?.to_owned(), fields.number()?, fields.number()?);
    let device = fields.text()?.to_owned();
    let metric = metric(fields.number()?)?.path.to_owned();
    let value = f64::from_bits(fields.number()?);
    let entry = Entry {
        agent,
        timestamp: at as i64,
        id: None,
        said: Said::Figure {
            metric,
            device,
            value,
        },
    };
    Ok((fields.number()?, entry))
}

/// A label's text up to its closing quotes, and what stands behind them.
fn unescaped(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            letter => text.push(letter),
        }
    }
    None
}

/// Fields as bytes that sort as they do, as far as it matters: equal texts beside each other, numbers by size.
#[derive(Default)]
struct Key(Vec<u8>);

impl Key {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// The fields of a key again.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> anyhow::Result<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>().context("a key is cut off")?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*number))
    }

    fn text(&mut self) -> anyhow::Result<&'a str> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length).context("a key is cut off")?;
        self.0 = rest;
        Ok(std::str::from_utf8(text)?)
    }
}
