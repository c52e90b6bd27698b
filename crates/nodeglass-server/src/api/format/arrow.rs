//! Figures as Arrow's IPC stream: a schema, then a batch for each sheet.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use bytes::Bytes;

use super::{Cells, Sheet};
use crate::error::ApiError;

/// Writes sheets with the same columns one after the other.
#[derive(Default)]
pub(super) struct Writer(Option<StreamWriter<Vec<u8>>>);

impl Writer {
    /// Writes a sheet as a batch, the first one behind the schema.
    ///
    /// # Errors
    /// [`ApiError::Internal`] if its columns are not those of the one before.
    pub(super) fn add(&mut self, sheet: &Sheet) -> Result<Bytes, ApiError> {
        let batch = batch(sheet).map_err(internal)?;
        let writer = match &mut self.0 {
            Some(writer) => writer,
            none => {
                let new = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(internal)?;
                none.insert(new)
            }
        };
        writer.write(&batch).map_err(internal)?;
        Ok(Bytes::from(std::mem::take(writer.get_mut())))
    }

    /// The mark that nothing comes after.
    pub(super) fn end(self) -> Result<Bytes, ApiError> {
        match self.0 {
            Some(writer) => Ok(Bytes::from(writer.into_inner().map_err(internal)?)),
            None => Ok(Bytes::new()),
        }
    }
}

fn internal(error: ArrowError) -> ApiError {
    ApiError::Internal(Box::new(error))
}

fn batch(sheet: &Sheet) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
    for (name, cells) in &sheet.columns {
        let (data_type, is_nullable, array): (DataType, bool, ArrayRef) = match cells {
            Cells::Texts(texts) => {
                let array = StringArray::from_iter_values(texts);
                (DataType::Utf8, false, Arc::new(array))
            }
            Cells::Times(times) => {
                let millis = TimestampMillisecondArray::from_iter_values(times.iter().map(|at| at.0));
                let data_type = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
                (data_type, false, Arc::new(millis.with_timezone("UTC")))
            }
            Cells::Values(values) => {
                let array: Float64Array = values.iter().copied().collect();
                (DataType::Float64, true, Arc::new(array))
            }
        };
        fields.push(Field::new(name, data_type, is_nullable));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}
