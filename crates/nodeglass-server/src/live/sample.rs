//! A sample as readers take it: turned into text once, however many they are.

use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use nodeglass_chunk::delta::LayoutNumber;
use nodeglass_model::{AgentId, Sample, SampleId};

/// Different parts of a sample that are kept as texts. A dashboard wants one or two, whoever looks at it.
const MAX_VIEWS: usize = 8;
/// What an event's line of data begins with.
const DATA: &str = "\ndata: ";

/// A sample with its texts.
#[derive(Debug)]
pub struct LiveSample {
    /// The sample.
    pub sample: Sample,
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
        Self {
            sample,
            id,
            number,
            layout: None,
            order,
            views: Mutex::default(),
            frame: OnceLock::new(),
            snapshot: OnceLock::new(),
        }
    }

    /// The same sample without its texts, which have the name of its agent in them.
    pub(super) fn without_texts(&self) -> Self {
        Self::new(self.sample.clone(), self.id, self.number, self.order)
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
            serde_json::to_writer(&mut bytes, &self.sample).expect("a sample has only text keys");
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
}
