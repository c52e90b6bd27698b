//! Which metrics a writer knows of each kind of device. All agents of a version have the same, and it is kept once for them:
//! what thousands of decoders share lies in the processor's caches, what each of them has does not.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use nodeglass_model::catalogue::{self, Dimension, Metric, MetricId};

use super::MAX_METRICS;
use crate::row::RowError;
use crate::varint::Reader;

/// Schemas that are shared at once: versions of agents, and no more of whatever else somebody sends.
const MOST: usize = 64;

/// A schema by the bytes that it was read out of, until nobody has it any more.
type Shared = (Box<[u8]>, Weak<Schema>);

static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

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
        Ok(schema.shared(bytes))
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

    /// The one that is kept of those that were read out of the same bytes.
    fn shared(self, bytes: &[u8]) -> Arc<Self> {
        let mut all = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().find(|(known, _)| **known == *bytes);
        if let Some(schema) = known.and_then(|(_, schema)| schema.upgrade()) {
            return schema;
        }
        all.retain(|(_, schema)| schema.strong_count() > 0);
        let schema = Arc::new(self);
        if all.len() < MOST {
            all.push((bytes.into(), Arc::downgrade(&schema)));
        }
        schema
    }

    /// The place of the kind that this program knows as `dimension`.
    pub(super) fn place(&self, dimension: Dimension) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.known == Some(dimension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Arc<Schema> {
        Schema::read(&mut Reader::new(bytes)).unwrap()
    }

    #[test]
    fn what_a_version_of_agents_knows_is_kept_once() {
        // A kind that nobody else writes in these tests, with one metric and with two; what follows is not part of it.
        let (narrow, wide) = ([1, 211, 211, 1, 5, 99], [1, 211, 211, 2, 5, 1, 98]);
        let (first, other) = (read(&narrow), read(&wide));
        assert!(Arc::ptr_eq(&first, &read(&narrow[..5])));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_eq!(
            (first.kinds[0].metrics.len(), other.kinds[0].metrics.len()),
            (1, 2)
        );
        drop((first, other));
        read(&[1, 212, 212, 0]);
        let all = SHARED.lock().unwrap();
        assert!(
            all.iter().all(|(bytes, _)| bytes[1] != 211),
            "what nobody has any more is not kept"
        );
    }

    #[test]
    fn no_more_are_kept_than_there_are_versions() {
        // Other tests may have some, too.
        let many: Vec<_> = (0..MOST as u8 + 5)
            .map(|id| read(&[1, 213, 213, 1, id]))
            .collect();
        assert!(SHARED.lock().unwrap().len() <= MOST);
        assert_eq!(many.len(), MOST + 5, "each is read all the same");
    }
}
