//! Everything that reads what comes from outside, given any bytes: an error or a result, never a panic, in bounded time and
//! memory. Shared by the fuzz targets and by the test that runs the corpus. What needs whole programs is in `programs.rs`.

use std::fs;
use std::time::{Duration, Instant};

use nodeglass_chunk::row;
use nodeglass_journal::{Journal, JournalConfig, Sync};
use nodeglass_model::history::HistoryQuery;
use nodeglass_model::system::SystemInfo;
use nodeglass_model::{Sample, UnixMillis};
use nodeglass_proto::enrolment::Enrolment;
use nodeglass_proto::limits::{MAX_BATCH_SAMPLES, MAX_DECODED_BYTES};
use nodeglass_proto::packed::Unpacker;
use nodeglass_proto::shape::Shaped;
use nodeglass_proto::v1;
use prost::Message;

#[path = "../crates/nodeglass-chunk/tests/hostile/exercise.rs"]
mod exercise;

/// When it is, in a corpus that never changes.
const NOW: UnixMillis = UnixMillis(1_763_712_000_000);
/// No more records of a journal than this, so that an input takes milliseconds.
const FEW: usize = 64;

/// Packed samples: the first byte says how they are sent, the second how many; the rest are records.
pub(crate) fn packed(data: &[u8]) {
    let [flags, count, records @ ..] = data else {
        return;
    };
    let packed = v1::PackedSamples {
        ids: vec![v1::SeqRange {
            epoch: 1,
            first: 1,
            last: u64::from(*count % 32),
        }],
        records: records.to_vec(),
        unpacked_bytes: if flags & 2 == 0 { 0 } else { 1 << 16 },
    };
    let mut named = 0;
    let mut unpacker = Unpacker::default();
    for _ in 0..2 {
        // Twice, as the second goes on where the first ended.
        let _ = unpacker.unpack(&packed, flags & 1 == 1, |_, unpacked| {
            named += 1;
            if let Ok(mut unpacked) = unpacked {
                let (row, whole) = (unpacked.row(), unpacked.written_row());
                let sample = unpacked.into_sample();
                assert_eq!(row, row::encode(&sample), "what is stored is what is shown");
                if let Some(whole) = whole {
                    let later = row::decode(&whole, sample.timestamp).unwrap();
                    assert_eq!(later, sample, "what is shown later is what is shown at once");
                }
            }
        });
    }
    assert!(named <= 2 * MAX_BATCH_SAMPLES);
}

/// Messages: the first byte says which.
pub(crate) fn message(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => {
            let Some(message) = decode::<v1::AgentMessage>(data) else {
                return;
            };
            match message.message {
                Some(v1::agent_message::Message::Samples(batch)) => {
                    for sample in batch.samples {
                        if let Ok(sample) = Sample::try_from(sample.data.unwrap_or_default()) {
                            let again = v1::MetricsDataResponse::from(&sample);
                            assert_eq!(Sample::try_from(again).as_ref(), Ok(&sample));
                            serde_json::to_string(&sample).expect("a sample is JSON");
                        }
                    }
                }
                Some(v1::agent_message::Message::Hello(hello)) => {
                    let system = hello.system.map(SystemInfo::from).unwrap_or_default();
                    let text = serde_json::to_string(&system).expect("what a host is is JSON");
                    serde_json::from_str::<SystemInfo>(&text).expect("and is read again");
                }
                _ => {}
            }
        }
        1 => drop(decode::<v1::ServerMessage>(data)),
        2 => {
            if let Some(query) = decode::<v1::MetricsQueryRequest>(data) {
                let _ = HistoryQuery::try_from(query);
            }
        }
        _ => drop(decode::<v1::TaskRequest>(data)),
    }
}

/// Decodes what is not refused for what it would become.
fn decode<T: Message + Default + Shaped>(data: &[u8]) -> Option<T> {
    if T::shape().decoded_bytes(data, MAX_DECODED_BYTES) > MAX_DECODED_BYTES {
        return None;
    }
    T::decode(data).ok()
}

/// A chunk, in one buffer and as two parts.
pub(crate) fn chunk(data: &[u8]) {
    exercise::whole(data);
    if let Some((length, rest)) = data.split_first_chunk::<2>() {
        let at = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (directory, payload) = rest.split_at(at);
        exercise::parts(directory, payload);
    }
}

/// A journal of one segment. Its records have their lengths before them (2 bytes); the checksums are made here, which no
/// fuzzer would find. An odd first byte leaves the bytes as they are.
pub(crate) fn journal(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let mut bytes = Vec::new();
    if kind % 2 == 1 {
        bytes.extend(data);
    } else {
        let mut rest = data;
        for _ in 0..FEW {
            let Some((length, after)) = rest.split_first_chunk::<2>() else {
                break;
            };
            let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
            let (record, after) = after.split_at(length);
            let mut sum = flate2::Crc::new();
            sum.update(record);
            bytes.extend((record.len() as u32).to_le_bytes());
            bytes.extend(sum.sum().to_le_bytes());
            bytes.extend(record);
            rest = after;
        }
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join(format!("{:016x}.log", 1)), bytes).expect("a file");
    let config = JournalConfig {
        directory: Some(directory.path().to_owned()),
        max_bytes: 1 << 20,
        max_memory_bytes: 1 << 20,
        max_age: Duration::from_hours(24),
        sync: Sync::Never,
    };
    let (journal, _) = Journal::open(config, NOW, Instant::now());
    let standing = journal.standing();
    assert!(standing.buffered <= standing.books.sampled.max(standing.buffered));
    journal.take_backlog(100, |_, _| std::ops::ControlFlow::Continue(()));
    journal.flush();
}

/// Enrolment strings.
pub(crate) fn enrolment(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(enrolment) = Enrolment::decode(text)
    {
        assert_eq!(Enrolment::decode(&enrolment.encode()), Ok(enrolment));
    }
}
