//! Everything that a reader does with bytes that may not be a chunk. Shared by a test and by the fuzz target.

use std::time::Duration;

use nodeglass_chunk::chunk::{Chunk, Effort, Encoder, Head, Merge};

/// More points than this are read column by column, and not as samples, which take kilobytes each.
const FEW: usize = 2000;

/// Reads the bytes as a chunk in one buffer, every way there is.
pub(crate) fn whole(bytes: &[u8]) {
    let Ok(chunk) = Chunk::open(bytes) else {
        return;
    };
    if chunk.len() <= FEW
        && let Ok(rows) = chunk.rows(|_, _| true)
    {
        assert_eq!(rows.len(), chunk.len());
        assert_eq!(rows.count(), chunk.len());
    }
    if let Ok(folded) = chunk.fold(Duration::from_hours(1), |_, _| true) {
        for one in folded {
            assert!(one.partial.count > 0 && one.partial.min <= one.partial.max);
        }
    }
    let payload = &bytes[bytes.len() - chunk.payload_len() as usize..];
    columns(&chunk, payload);
    let chunks = [chunk];
    if let Ok(merge) = Merge::of(&chunks) {
        let taken = 0..merge.len().min(FEW);
        let parts = merge.parts(&mut Encoder::new(), taken.clone(), Effort::Quick);
        if let Ok(parts) = parts {
            let bytes = parts.join();
            let merged = Chunk::open(&bytes).expect("what was written is read");
            assert_eq!(merged.len(), taken.len());
        }
    }
}

/// Reads the bytes as a directory, and its columns from this payload as far as it goes.
pub(crate) fn parts(directory: &[u8], payload: &[u8]) {
    if let Ok(head) = Head::read(directory) {
        columns(&head, payload);
    }
}

fn columns(head: &Head, payload: &[u8]) {
    let points = head.len();
    assert_eq!(head.is_empty(), points == 0);
    assert_eq!(head.ids().count(), points);
    assert!(head.ids().all(|id| head.contains(id)));
    if let Ok(times) = head.timestamps() {
        assert_eq!(times.len(), points);
    }
    let Ok(series) = head.series() else {
        return;
    };
    for (metric, label) in series {
        let span = head
            .span(metric, label)
            .expect("it was read")
            .expect("it was listed");
        let end = u64::from(span.offset) + u64::from(span.length);
        assert!(end <= head.payload_len());
        let Some(slice) = payload.get(span.offset as usize..end as usize) else {
            continue;
        };
        if let Ok(Some(values)) = head.values(metric, label, slice) {
            assert_eq!(values.len(), points);
            assert!(values.iter().flatten().all(|value| value.is_finite()));
        }
    }
}
