//! CSV (RFC 4180), a line for each thing that a sample says.

use std::io::{BufRead, Write};

use anyhow::{Context, anyhow, bail};
use nodeglass_model::UnixMillis;
use nodeglass_server::record::Record;

use super::{Assembler, Entry, Place, Said, Sink, entries};

/// The columns.
const COLUMNS: [&str; 9] = [
    "agent",
    "timestamp",
    "epoch",
    "seq",
    "metric",
    "device",
    "value",
    "unit",
    "text",
];
/// How every such file begins.
pub(super) const BEGIN: &[u8] = b"agent,timestamp,epoch,seq,metric,device,value,unit,text";
/// The longest record in bytes, which may have line breaks in its texts; longer ones are no export's.
const MAX_BYTES: usize = 1 << 20;

/// Writes such a file.
pub(crate) struct Writer<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(mut out: W) -> anyhow::Result<Self> {
        out.write_all(BEGIN)?;
        out.write_all(b"\n")?;
        Ok(Self {
            out,
            line: Vec::new(),
        })
    }
}

impl<W: Write> Sink for Writer<W> {
    fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        let at = moment(record.timestamp);
        entries(record, |entry| {
            let columns = entry.said.columns();
            let line = &mut self.line;
            line.clear();
            field(line, &entry.agent);
            match entry.id {
                Some((epoch, seq)) => write!(line, ",{at},{epoch},{seq},")?,
                None => write!(line, ",{at},,,")?,
            }
            field(line, &columns.metric);
            line.push(b',');
            field(line, columns.device);
            line.push(b',');
            if let Some(value) = columns.value {
                write!(line, "{value}")?;
            }
            line.push(b',');
            field(line, columns.unit);
            line.push(b',');
            field(line, columns.text);
            line.push(b'\n');
            self.out.write_all(line)?;
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// A text, in quotes where its letters would be taken for the table's.
fn field(out: &mut Vec<u8>, text: &str) {
    if text.contains(['"', ',', '\r', '\n']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// RFC 3339, with milliseconds where there are some.
fn moment(millis: i64) -> String {
    let mut text = UnixMillis(millis).to_string();
    let rest = millis.rem_euclid(1000);
    if rest > 0 {
        text.truncate(text.len() - 1);
        text = format!("{text}.{rest:03}Z");
    }
    text
}

/// Reads such a file.
pub(super) fn read(
    mut file: impl BufRead,
    found: &mut dyn FnMut(Place, Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (mut line, mut text) = (0, String::new());
    let mut assembler = Assembler::default();
    let mut fields = Vec::new();
    loop {
        let first = line + 1;
        let lines = next(&mut file, &mut text).with_context(|| format!("line {first}"))?;
        if lines == 0 {
            break;
        }
        line += lines;
        let cells = text.trim_end_matches(['\r', '\n']);
        if first == 1 || cells.is_empty() {
            continue;
        }
        let before = split(cells, &mut fields)
            .and_then(|()| entry(&fields))
            .and_then(|entry| assembler.add(Place(first), entry))
            .map_err(|problem| anyhow!("line {first}: {problem}"))?;
        if let Some((place, record)) = before {
            found(place, record)?;
        }
    }
    assembler
        .finish()
        .map_or(Ok(()), |(place, record)| found(place, record))
}

/// Reads the next record with its line breaks; gives how many lines it has, 0 at the end.
fn next(file: &mut impl BufRead, text: &mut String) -> anyhow::Result<u64> {
    text.clear();
    let mut lines = 0;
    loop {
        let read = std::io::Read::take(&mut *file, (MAX_BYTES - text.len()) as u64).read_line(text)?;
        if read == 0 && lines > 0 {
            bail!("a quoted text that begins here has no end: close its quotes, or export the file again");
        }
        if read == 0 {
            return Ok(0);
        }
        lines += 1;
        if text.bytes().filter(|byte| *byte == b'"').count() % 2 == 0 {
            if !text.ends_with('\n') && text.len() < MAX_BYTES {
                bail!("the file breaks off here: the line has no end; export it again");
            }
            break;
        }
        if text.len() >= MAX_BYTES {
            break;
        }
    }
    if text.len() >= MAX_BYTES {
        bail!("a quoted text that begins here has no end within {MAX_BYTES} bytes: close its quotes");
    }
    Ok(lines)
}

/// Takes a record apart.
fn split(record: &str, fields: &mut Vec<String>) -> Result<(), String> {
    fields.clear();
    let mut rest = record;
    loop {
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let end = quoted.find('"').ok_or("a quoted text has no end")?;
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => break,
                }
            }
            rest = quoted;
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            field.push_str(&rest[..end]);
            rest = &rest[end..];
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(()),
            None => return Err("a comma has to follow the closing quotes of a text".to_owned()),
        }
    }
}

fn entry(fields: &[String]) -> Result<Entry, String> {
    let [agent, timestamp, epoch, seq, metric, device, value, _unit, text] = fields else {
        let count = fields.len();
        return Err(format!(
            "there are {count} fields, not {}: {}",
            COLUMNS.len(),
            COLUMNS.join(", ")
        ));
    };
    if agent.is_empty() {
        return Err("there is no agent: name the one whose sample this is".to_owned());
    }
    let number = |name: &str, text: &str| {
        let read = text.parse::<u64>();
        read.map_err(|_| format!("{name} {text:?} is no whole number"))
    };
    let id = match (epoch.as_str(), seq.as_str()) {
        ("", "") => None,
        (epoch, seq) => Some((number("epoch", epoch)?, number("seq", seq)?)),
    };
    let value = match value.as_str() {
        "" => None,
        text => Some(
            text.parse::<f64>()
                .ok()
                .filter(|value| value.is_finite())
                .ok_or_else(|| format!("the value {text:?} is no number: write it as 12.5"))?,
        ),
    };
    let at = UnixMillis::parse(timestamp, UnixMillis(0)).map_err(|error| error.to_string())?;
    Ok(Entry {
        agent: agent.clone(),
        timestamp: at.0,
        id,
        said: Said::of(metric, device, value, text)?,
    })
}
