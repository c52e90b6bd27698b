//! The last few samples of an agent that somebody reads, so that a reader who comes back misses nothing.
//!
//! An agent that nobody reads has none, so a fleet costs nothing here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::SampleId;
use tokio::time::Instant;

use super::LiveSample;

/// Samples kept: at one a second more than enough for a browser, which comes back after some 3 s.
const SAMPLES: usize = 20;
/// How long they are kept after the last reader has gone.
const LINGER: Duration = Duration::from_mins(1);

/// The samples, the oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    samples: VecDeque<Arc<LiveSample>>,
    /// When there was last a reader.
    read: Instant,
}

impl Ring {
    /// An empty one, for a reader who has come.
    pub(super) fn new() -> Self {
        Self {
            samples: VecDeque::with_capacity(SAMPLES),
            read: Instant::now(),
        }
    }

    /// Notes that there are readers.
    pub(super) fn touch(&mut self) {
        self.read = Instant::now();
    }

    /// Whether there was no reader for a while, so that none will come back.
    pub(super) fn is_forgotten(&self) -> bool {
        self.read.elapsed() >= LINGER
    }

    pub(super) fn push(&mut self, sample: Arc<LiveSample>) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// What came after the sample of that identity; `None` if it is not here any more.
    pub(super) fn after(&self, id: SampleId) -> Option<Vec<Arc<LiveSample>>> {
        let known = self.samples.iter().rposition(|live| live.id == Some(id))?;
        Some(self.samples.range(known + 1..).cloned().collect())
    }
}

impl Ring {
    /// What came after that place in the order of all samples, as far as it is here.
    pub(super) fn since(&self, order: u64) -> Vec<Arc<LiveSample>> {
        let after = self.samples.iter().filter(|live| live.order > order);
        after.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::Sample;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_ring_knows_the_last_few() {
        let id = |seq| SampleId { epoch: 1, seq };
        let mut ring = Ring::new();
        for seq in 1..=SAMPLES as u64 + 5 {
            ring.push(Arc::new(LiveSample::new(
                Sample::default(),
                Some(id(seq)),
                seq,
                seq,
            )));
        }
        let after = |seq| {
            let after = ring.after(id(seq));
            after.map(|samples| samples.iter().map(|live| live.number).collect::<Vec<_>>())
        };
        assert_eq!(after(5), None, "dropped to make room");
        assert_eq!(after(6).unwrap().len(), SAMPLES - 1);
        assert_eq!(after(23), Some(vec![24, 25]));
        assert_eq!(after(25), Some(vec![]));
        assert_eq!(after(26), None);
        assert!(!ring.is_forgotten());
        tokio::time::advance(LINGER).await;
        assert!(ring.is_forgotten());
        ring.touch();
        assert!(!ring.is_forgotten());
    }
}
