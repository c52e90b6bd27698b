//! Which metrics a writer knows of each kind of device. All agents of a version have the same, and it is kept once for them:
//! what thousands of decoders share lies in the processor's caches, what each of them has does not.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use nodeglass_model::catalogue::{self, Dimension, Metric, MetricId};

use super::MAX_METRICS;
use crate::row::RowError;
use crate::varint::Reader;

/// Schemas that are shared at once: versions of agents, and no more of whatever else somebody sends.
const MOST: usize = 64;
/// Longer than those of agents of ours by far.
const MOST_BYTES: usize = 4096;

static SHARED: Mutex<Shared> = Mutex::new(Shared(Vec::new()));

/// Schemas by the bytes that they were read out of, until nobody has them any more.
struct Shared(Vec<(Box<[u8]>, Weak<Schema>)>);

/// The kinds of devices of a writer, in its order.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) kinds: Vec<Kind>,
}

/// One kind of device as the writer knows it.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) number: u8,
    pub(super) holder: u8,
    /// `None` where this program does not know it.
    pub(super) known: Option<Dimension>,
    pub(super) metrics: Box<[Option<&'static Metric>]>,
}

impl Schema {
    /// Takes one off the front of a record.
    ///
    /// # Errors
    /// There is none, or more than any version has.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Arc<Self>, RowError> {
        let before = reader.left();
        let mut schema = Self::default();
        for _ in 0..reader.unsigned()? {
            let kind = schema.read_kind(reader)?;
            schema.kinds.push(kind);
        }
        let bytes = &before[..before.len() - reader.left().len()];
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(shared.one(schema, bytes))
    }

    fn read_kind(&self, reader: &mut Reader<'_>) -> Result<Kind, RowError> {
        let (number, holder) = (reader.byte()?, reader.byte()?);
        let has = |number: u8| self.kinds.iter().any(|kind| kind.number == number);
        if has(number) || (holder != number && !has(holder)) {
            return Err(RowError::Malformed("kinds of devices in disorder"));
        }
        // A kind that lies with another than here can't be found here.
        let known = Dimension::from_number(number).filter(|kind| kind.holder() as u8 == holder);
        let count = reader.unsigned()?;
        if count > MAX_METRICS {
            return Err(RowError::Malformed("more metrics than there are"));
        }
        let mut id = 0_u16;
        let mut metrics = Vec::with_capacity(count as usize);
        for _ in 0..count {
            id = u16::try_from(reader.unsigned()?)
                .ok()
                .and_then(|step| id.checked_add(step))
                .ok_or(RowError::Malformed("a metric number of more than 16 bits"))?;
            let metric = catalogue::by_id(MetricId(id));
            metrics.push(metric.filter(|metric| Some(metric.dimension()) == known));
        }
        Ok(Kind {
            number,
            holder,
            known,
            metrics: metrics.into(),
        })
    }

    /// The place of the kind that this program knows as `dimension`.
    pub(super) fn place(&self, dimension: Dimension) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.known == Some(dimension))
    }
}

impl Shared {
    /// The one that is kept of those that were read out of the same bytes.
    fn one(&mut self, schema: Schema, bytes: &[u8]) -> Arc<Schema> {
        let known = self.0.iter().find(|(known, _)| **known == *bytes);
        if let Some(schema) = known.and_then(|(_, schema)| schema.upgrade()) {
            return schema;
        }
        self.0.retain(|(_, schema)| schema.strong_count() > 0);
        let schema = Arc::new(schema);
        if self.0.len() < MOST && bytes.len() <= MOST_BYTES {
            self.0.push((bytes.into(), Arc::downgrade(&schema)));
        }
        schema
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(shared: &mut Shared, bytes: &[u8]) -> Arc<Schema> {
        shared.one(Schema::default(), bytes)
    }

    #[test]
    fn a_schema_is_read_as_far_as_it_goes_and_kept_once() {
        // A kind that no other test writes, with one metric; what follows is not part of it.
        let bytes = [1, 211, 211, 1, 5, 99];
        let read = |bytes| Schema::read(&mut Reader::new(bytes)).unwrap();
        let schema = read(&bytes[..]);
        assert_eq!((schema.kinds.len(), schema.kinds[0].metrics.len()), (1, 1));
        assert!(Arc::ptr_eq(&schema, &read(&bytes[..5])));
    }

    #[test]
    fn those_that_nobody_has_any_more_make_room() {
        let mut shared = Shared(Vec::new());
        let all: Vec<_> = (0..MOST as u8)
            .map(|number| one(&mut shared, &[number]))
            .collect();
        assert!(Arc::ptr_eq(&all[7], &one(&mut shared, &[7])));
        let unkept = one(&mut shared, &[200]);
        assert!(
            !Arc::ptr_eq(&unkept, &one(&mut shared, &[200])),
            "there is no room"
        );
        drop(all);
        let kept = one(&mut shared, &[200]);
        assert!(Arc::ptr_eq(&kept, &one(&mut shared, &[200])));
        assert_eq!(shared.0.len(), 1);
    }

    #[test]
    fn one_that_no_agent_of_ours_has_takes_no_room() {
        let mut shared = Shared(Vec::new());
        let _long = one(&mut shared, &[1; MOST_BYTES + 1]);
        assert!(shared.0.is_empty());
        let _short = one(&mut shared, &[1; MOST_BYTES]);
        assert_eq!(shared.0.len(), 1);
    }
}
