//! Parquet, a row for each thing that a sample says, in the columns of the CSV form.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use nodeglass_server::record::Record;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::{Field, Row};
use parquet::schema::parser::parse_message_type;

use super::{Assembler, Entry, Place, Said, Sink, entries};

const SCHEMA: &str = "message sample {
    required binary agent (STRING);
    required int64 timestamp (TIMESTAMP(MILLIS, true));
    optional int64 epoch;
    optional int64 seq;
    required binary metric (STRING);
    required binary device (STRING);
    optional double value;
    required binary unit (STRING);
    required binary text (STRING);
}";
/// Rows of a group: they are in memory until it is written, some ten megabytes.
const GROUP_ROWS: usize = 100_000;

/// Writes such a file.
pub(crate) struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Rows,
}

/// Rows that wait to be written.
#[derive(Default)]
struct Rows {
    agents: Vec<ByteArray>,
    timestamps: Vec<i64>,
    epochs: Vec<i64>,
    seqs: Vec<i64>,
    has_id: Vec<i16>,
    metrics: Vec<ByteArray>,
    devices: Vec<ByteArray>,
    values: Vec<f64>,
    has_value: Vec<i16>,
    units: Vec<ByteArray>,
    texts: Vec<ByteArray>,
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn new(out: W) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        Ok(Self {
            file: SerializedFileWriter::new(out, schema, Arc::new(properties.build()))?,
            rows: Rows::default(),
        })
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.file.next_row_group()?;
        texts(&mut group, &rows.agents)?;
        numbers(&mut group, &rows.timestamps, None)?;
        numbers(&mut group, &rows.epochs, Some(&rows.has_id))?;
        numbers(&mut group, &rows.seqs, Some(&rows.has_id))?;
        texts(&mut group, &rows.metrics)?;
        texts(&mut group, &rows.devices)?;
        let mut column = group.next_column()?.context("a column")?;
        column
            .typed::<DoubleType>()
            .write_batch(&rows.values, Some(&rows.has_value), None)?;
        column.close()?;
        texts(&mut group, &rows.units)?;
        texts(&mut group, &rows.texts)?;
        group.close()?;
        Ok(())
    }
}

fn texts<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[ByteArray],
) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context("a column")?;
    column.typed::<ByteArrayType>().write_batch(values, None, None)?;
    Ok(column.close()?)
}

fn numbers<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[i64],
    has: Option<&[i16]>,
) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context("a column")?;
    column.typed::<Int64Type>().write_batch(values, has, None)?;
    Ok(column.close()?)
}

impl<W: Write + Send> Sink for Writer<W> {
    fn add(&mut self, record: &Record) -> anyhow::Result<()> {
        let rows = &mut self.rows;
        entries(record, |entry| {
            let columns = entry.said.columns();
            rows.agents.push(entry.agent.as_str().into());
            rows.timestamps.push(entry.timestamp);
            rows.has_id.push(i16::from(entry.id.is_some()));
            if let Some((epoch, seq)) = entry.id {
                rows.epochs.push(epoch as i64);
                rows.seqs.push(seq as i64);
            }
            rows.metrics.push(columns.metric.as_ref().into());
            rows.devices.push(columns.device.into());
            rows.has_value.push(i16::from(columns.value.is_some()));
            rows.values.extend(columns.value);
            rows.units.push(columns.unit.into());
            rows.texts.push(columns.text.into());
            Ok(())
        })?;
        if rows.timestamps.len() >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        if !self.rows.timestamps.is_empty() {
            self.write_group()?;
        }
        let mut out = self.file.into_inner()?;
        Ok(out.flush()?)
    }
}

/// Reads such a file.
pub(super) fn read(
    file: File,
    found: &mut dyn FnMut(Place, Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let broken = "the file breaks off or was changed: export it again";
    let reader = SerializedFileReader::new(file).context(broken)?;
    let (schema, expected) = (
        reader.metadata().file_metadata().schema(),
        parse_message_type(SCHEMA)?,
    );
    ensure!(
        schema.get_fields() == expected.get_fields(),
        "its columns are not those of an export: agent, timestamp, epoch, seq, metric, device, value, unit, text"
    );
    let mut assembler = Assembler::default();
    for (row, number) in reader.get_row_iter(None).context(broken)?.zip(1..) {
        let row = row.with_context(|| format!("row {number}: {broken}"))?;
        let before = entry(row)
            .and_then(|entry| assembler.add(Place(number), entry))
            .map_err(|problem| anyhow!("row {number}: {problem}"))?;
        if let Some((place, record)) = before {
            found(place, record)?;
        }
    }
    assembler
        .finish()
        .map_or(Ok(()), |(place, record)| found(place, record))
}

fn entry(row: Row) -> Result<Entry, String> {
    let wrong = || "it is not as the columns say: export the file again".to_owned();
    let fields: [Field; 9] = (row.into_columns().into_iter())
        .map(|(_, field)| field)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| wrong())?;
    let [
        Field::Str(agent),
        Field::TimestampMillis(timestamp),
        epoch,
        seq,
        Field::Str(metric),
        Field::Str(device),
        value,
        Field::Str(_unit),
        Field::Str(text),
    ] = fields
    else {
        return Err(wrong());
    };
    let id = match (epoch, seq) {
        (Field::Null, Field::Null) => None,
        (Field::Long(epoch), Field::Long(seq)) => Some((epoch as u64, seq as u64)),
        _ => return Err("epoch and seq have to be given both or not at all".to_owned()),
    };
    let value = match value {
        Field::Double(value) => Some(value),
        _ => None,
    };
    Ok(Entry {
        agent,
        timestamp,
        id,
        said: Said::of(&metric, &device, value, &text)?,
    })
}
