//! A sample as readers take it: made when the first of them looks at it, and turned into text once, however many they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use nodeglass_chunk::delta::LayoutNumber;
use nodeglass_chunk::row;
use nodeglass_model::selector::{DeviceChoice, Selector};
use nodeglass_model::{AgentId, Sample, SampleId, UnixMillis};
use tracing::error;

/// Different parts of a sample that are kept as texts. A dashboard wants one or two, whoever looks at it.
const MAX_VIEWS: usize = 8;
/// What an event's line of data begins with.
const DATA: &str = "\ndata: ";

/// A sample with its texts.
#[derive(Debug)]
pub struct LiveSample {
    /// When it was taken.
    pub timestamp: UnixMillis,
    /// Made out of the row when somebody looks, if it did not come as a sample. Boxed: of most agents there is none.
    sample: OnceLock<Box<Sample>>,
    row: Bytes,
    was_looked_at: AtomicBool,
    /// Its identity; `None` for one that was read from the store when the server started.
    pub id: Option<SampleId>,
    /// Its number among those that the agent was shown with: another sample, another number.
    pub number: u64,
    /// Which devices it is of, if it is as it came.
    pub(super) layout: Option<LayoutNumber>,
    /// Its place among the samples of all agents in the order in which they were shown; 0 for one that was read from the store.
    pub order: u64,
    /// Its texts for those who want parts of it, by the number of what they want.
    views: Mutex<Vec<(u64, Bytes)>>,
    frame: OnceLock<Frame>,
    snapshot: OnceLock<Bytes>,
}

/// A server-sent event, and where in it the JSON begins.
#[derive(Debug)]
struct Frame {
    bytes: Bytes,
    json: usize,
}

impl LiveSample {
    pub(crate) fn new(sample: Sample, id: Option<SampleId>, number: u64, order: u64) -> Self {
        let timestamp = sample.timestamp;
        Self {
            sample: OnceLock::from(Box::new(sample)),
            ..Self::of_row(Bytes::new(), timestamp, id, number, order)
        }
    }

    /// A sample that is stored as `row` and that perhaps nobody looks at.
    pub(crate) fn of_row(
        row: Bytes,
        timestamp: UnixMillis,
        id: Option<SampleId>,
        number: u64,
        order: u64,
    ) -> Self {
        Self {
            timestamp,
            sample: OnceLock::new(),
            row,
            was_looked_at: AtomicBool::new(false),
            id,
            number,
            layout: None,
            order,
            views: Mutex::default(),
            frame: OnceLock::new(),
            snapshot: OnceLock::new(),
        }
    }

    /// The sample itself.
    pub fn sample(&self) -> &Sample {
        self.was_looked_at.store(true, Ordering::Relaxed);
        self.sample.get_or_init(|| Box::new(self.read()))
    }

    /// The one value of a selection, as [`Selector::value`] has it of the sample. It is read out of the row where nobody made the sample so far: of ten thousand agents, samples
    /// that are made for one figure would take as much memory as all else that is known of them. It is no looking on either.
    pub fn value(&self, selector: &Selector) -> Option<f64> {
        if let Some(sample) = self.sample.get() {
            return selector.value(sample);
        }
        let device = match selector.device() {
            DeviceChoice::One(label) => Some(label.as_str()),
            DeviceChoice::Total => None,
            DeviceChoice::Every => return None,
        };
        // A row that can't be read has no value, as it has none when it is made a sample.
        row::value(&self.row, selector.metric(), device).unwrap_or_default()
    }

    /// The sample as a row, for whoever writes it down: that is no looking on, and leaves nothing behind.
    pub(crate) fn row(&self) -> Vec<u8> {
        match self.sample.get() {
            Some(sample) if self.row.is_empty() => row::encode(sample),
            _ => self.row.to_vec(),
        }
    }

    /// Makes the sample out of its row.
    fn read(&self) -> Sample {
        row::decode(&self.row, self.timestamp).unwrap_or_else(|error| {
            // As it is stored, so history does not have it either.
            error!(%error, timestamp = %self.timestamp, "a sample is not to be read any more");
            Sample {
                timestamp: self.timestamp,
                ..Sample::default()
            }
        })
    }

    /// The sample for another one to be made out of, if it was made.
    pub(super) fn into_sample(self) -> Option<Sample> {
        self.sample.into_inner().map(|sample| *sample)
    }

    /// Whether anybody asked for the sample so far.
    pub(super) fn was_looked_at(&self) -> bool {
        self.was_looked_at.load(Ordering::Relaxed)
    }

    /// The same sample without its texts, which have the name of its agent in them.
    pub(super) fn without_texts(&self) -> Self {
        Self::new(self.sample().clone(), self.id, self.number, self.order)
    }

    /// The sample as a whole server-sent event `metrics`, made once. It has an `id` if the sample has one.
    pub fn event(&self) -> Bytes {
        self.frame().bytes.clone()
    }

    /// An event `metrics` as [`LiveSample::event`] makes it, of another text of the sample.
    pub fn event_of(&self, text: &[u8]) -> Bytes {
        let mut bytes = self.head().into_bytes();
        bytes.extend_from_slice(text);
        bytes.extend_from_slice(b"\n\n");
        bytes.into()
    }

    /// What stands before the JSON of an event.
    fn head(&self) -> String {
        let id = self
            .id
            .map(|SampleId { epoch, seq }| format!("\nid: {epoch}-{seq}"));
        format!("event: metrics{}{DATA}", id.unwrap_or_default())
    }

    /// The sample as JSON.
    pub fn json(&self) -> Bytes {
        let Frame { bytes, json } = self.frame();
        // An event ends with an empty line.
        bytes.slice(*json..bytes.len() - 2)
    }

    /// The sample as JSON under the name of its agent, made once.
    pub fn snapshot(&self, agent: &AgentId) -> Bytes {
        self.snapshot.get_or_init(|| named(agent, &self.json())).clone()
    }

    /// The text that `make` makes for all readers who want what has this number. It is made once, unless readers want more
    /// different things than are kept.
    pub fn seen_as(&self, number: u64, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, text)) = views.iter().find(|(known, _)| *known == number) {
            return text.clone();
        }
        let text = make();
        if views.len() < MAX_VIEWS {
            views.push((number, text.clone()));
        }
        text
    }

    fn frame(&self) -> &Frame {
        self.frame.get_or_init(|| {
            let mut bytes = self.head().into_bytes();
            let json = bytes.len();
            // Compact JSON has no line breaks, so one line of data holds it.
            serde_json::to_writer(&mut bytes, self.sample()).expect("a sample has only text keys");
            bytes.extend_from_slice(b"\n\n");
            bytes.shrink_to_fit();
            let bytes = Bytes::from(bytes);
            Frame { bytes, json }
        })
    }
}

/// A sample's JSON under the name of its agent. A name needs no escaping, and every sample has a timestamp to go on with.
pub(crate) fn named(agent: &AgentId, json: &[u8]) -> Bytes {
    let head = format!("{{\"agent_id\":\"{agent}\",");
    [head.as_bytes(), &json[1..]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_serves_every_reader() {
        let id = SampleId { epoch: 3, seq: 7 };
        let live = LiveSample::new(Sample::default(), Some(id), 1, 1);
        let json = serde_json::to_string(&Sample::default()).unwrap();
        assert_eq!(live.event(), format!("event: metrics\nid: 3-7\ndata: {json}\n\n"));
        assert_eq!(live.json(), json);
        let agent = "host".parse().unwrap();
        assert_eq!(
            live.snapshot(&agent),
            format!("{{\"agent_id\":\"host\",{}", &json[1..])
        );
        assert_eq!(
            live.event().as_ptr(),
            live.event().as_ptr(),
            "the same bytes again, not others like them"
        );
        assert_eq!(live.snapshot(&agent).as_ptr(), live.snapshot(&agent).as_ptr());
        let restored = LiveSample::new(Sample::default(), None, 0, 0);
        assert_eq!(restored.event(), format!("event: metrics\ndata: {json}\n\n"));
    }

    #[test]
    fn a_sample_is_made_when_somebody_looks() {
        let mut sample = Sample {
            timestamp: UnixMillis(1_000),
            ..Sample::default()
        };
        sample.cpu.usage_percent = Some(12.5);
        let row = Bytes::from(row::encode(&sample));
        let live = LiveSample::of_row(row.clone(), sample.timestamp, None, 1, 1);
        assert_eq!(live.row(), row);
        assert!(!live.was_looked_at(), "who writes it down does not look on");
        let usage = Selector::parse("cpu.usage_percent").unwrap();
        assert_eq!(live.value(&usage), Some(12.5));
        assert!(
            live.sample.get().is_none() && !live.was_looked_at(),
            "one figure needs no sample"
        );
        assert_eq!(live.json(), serde_json::to_string(&sample).unwrap());
        assert!(live.was_looked_at());
        let whole = LiveSample::new(sample.clone(), None, 1, 1);
        assert_eq!(whole.row(), row);
        assert_eq!(live.into_sample(), Some(sample));
        let unread = LiveSample::of_row(Bytes::from_static(b"?"), UnixMillis(7), None, 1, 1);
        assert_eq!(unread.sample().timestamp, UnixMillis(7));
        assert_eq!(unread.sample().cpu.usage_percent, None);
    }
}
