//! Records in a file: each with its length and a checksum, so that a cut or a flipped bit is seen.
//!
//! ```text
//! frame = length of the record (4 bytes, little endian) CRC-32 of the record (4 bytes, little endian) record
//! ```

/// What a frame adds to its record.
const HEAD: usize = 8;
/// The longest record; a length above it is damage.
pub(crate) const MAX_RECORD: usize = 16 << 20;

/// Appends a record with its frame; `write` appends the record itself.
pub(crate) fn put(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; HEAD]);
    write(out);
    let record = &out[start + HEAD..];
    let (length, sum) = (record.len() as u32, crc32fast::hash(record));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&sum.to_le_bytes());
}

/// The records of some bytes, up to the first that is cut or damaged.
pub(crate) struct Frames<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next record begins; after the last good one, where the good bytes end.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Goes back to where a record begins.
    pub(crate) fn back_to(&mut self, position: usize) {
        self.at = position;
    }

    /// Goes on behind damage, at the next bytes that are a whole record with a right checksum; `false` if there are none.
    pub(crate) fn skip_damage(&mut self) -> bool {
        let next = (self.at + 1..self.bytes.len()).find(|at| record_at(self.bytes, *at).is_some());
        if let Some(next) = next {
            self.at = next;
        }
        next.is_some()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let record = record_at(self.bytes, self.at)?;
        self.at += HEAD + record.len();
        Some(record)
    }
}

fn record_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let head = bytes.get(at..at + HEAD)?;
    let number = |range: std::ops::Range<usize>| head[range].try_into().map(u32::from_le_bytes).ok();
    let length = number(0..4)? as usize;
    if length == 0 || length > MAX_RECORD {
        return None;
    }
    let record = bytes.get(at + HEAD..)?.get(..length)?;
    (number(4..8)? == crc32fast::hash(record)).then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        for record in [&b"one"[..], b"two", b"three"] {
            put(&mut bytes, |out| out.extend_from_slice(record));
        }
        bytes
    }

    #[test]
    fn records_come_back() {
        let bytes = bytes();
        let mut frames = Frames::new(&bytes);
        assert_eq!(
            frames.by_ref().collect::<Vec<_>>(),
            [&b"one"[..], b"two", b"three"]
        );
        assert_eq!(frames.offset(), bytes.len());
    }

    #[test]
    fn every_cut_and_every_flip_is_seen() {
        let whole = bytes();
        for cut in 0..whole.len() {
            let good = Frames::new(&whole[..cut]).count();
            assert_eq!(
                good,
                [11, 22].iter().filter(|end| cut >= **end).count(),
                "cut at {cut}"
            );
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let mut frames = Frames::new(&bytes);
            let before = frames.by_ref().count();
            assert_eq!(before, (at / 11).min(2), "flipped at {at}");
            let more = frames.skip_damage();
            assert_eq!(more, before < 2, "flipped at {at}");
            assert_eq!(frames.count(), if more { 2 - before } else { 0 });
        }
    }
}
