//! A sample as readers take it: turned into text once, however many they are.

use std::sync::OnceLock;

use bytes::Bytes;
use nodeglass_chunk::delta::LayoutNumber;
use nodeglass_model::{AgentId, Sample, SampleId};

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
    pub(super) fn new(sample: Sample, id: Option<SampleId>, number: u64) -> Self {
        Self {
            sample,
            id,
            number,
            layout: None,
            frame: OnceLock::new(),
            snapshot: OnceLock::new(),
        }
    }

    /// The sample as a whole server-sent event `metrics`, made once. It has an `id` if the sample has one.
    pub fn event(&self) -> Bytes {
        self.frame().bytes.clone()
    }

    /// The sample as JSON.
    pub fn json(&self) -> Bytes {
        let Frame { bytes, json } = self.frame();
        // An event ends with an empty line.
        bytes.slice(*json..bytes.len() - 2)
    }

    /// The sample as JSON under the name of its agent, made once.
    pub fn snapshot(&self, agent: &AgentId) -> Bytes {
        let make = || {
            let json = self.json();
            // A name needs no escaping, and every sample has a timestamp to go on with.
            let head = format!("{{\"agent_id\":\"{agent}\",");
            Bytes::from([head.as_bytes(), &json[1..]].concat())
        };
        self.snapshot.get_or_init(make).clone()
    }

    fn frame(&self) -> &Frame {
        self.frame.get_or_init(|| {
            let id = self
                .id
                .map(|SampleId { epoch, seq }| format!("\nid: {epoch}-{seq}"));
            let mut bytes = format!("event: metrics{}{DATA}", id.unwrap_or_default()).into_bytes();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_serves_every_reader() {
        let id = SampleId { epoch: 3, seq: 7 };
        let live = LiveSample::new(Sample::default(), Some(id), 1);
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
        let restored = LiveSample::new(Sample::default(), None, 0);
        assert_eq!(restored.event(), format!("event: metrics\ndata: {json}\n\n"));
    }
}
