//! One agent of the fleet: a session, samples in it as a real agent sends them, and what the server says of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use nodeglass_model::{SampleId, UnixMillis};
use nodeglass_proto::packed::{BackfillPacker, LivePacker};
use nodeglass_proto::seq_range_from_wire;
use nodeglass_proto::v1;
use nodeglass_proto::v1::agent_message::Message as Up;
use nodeglass_proto::v1::server_message::Message as Down;
use nodeglass_tests::fake_agent::{FakeAgent, now};
use nodeglass_tests::trace::Trace;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

/// The epoch of every sample of the fleet: when it began. A database may have those of fleets before.
pub(crate) static EPOCH: LazyLock<u64> = LazyLock::new(|| now().0.unsigned_abs());
/// Samples of a backlog that are sent and not acknowledged, as an agent has them at most.
const IN_FLIGHT: u64 = 500;
/// How far back a backlog reaches.
const BACKLOG: Duration = Duration::from_hours(3 * 24);
/// How long acknowledgements of the last samples are waited for.
const LAST_WORDS: Duration = Duration::from_mins(1);

/// What the whole fleet shares.
pub(crate) struct World {
    pub(crate) trace: RefCell<Trace>,
    pub(crate) tally: RefCell<Tally>,
    pub(crate) interval: Duration,
    pub(crate) agents: u32,
    /// What the agents are to do.
    pub(crate) phase: watch::Receiver<Phase>,
}

/// What the fleet has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    pub(crate) rejected: u64,
    /// How long each acknowledgement took, of those that came while it is measured.
    pub(crate) waits_ms: Vec<f32>,
}

/// Where the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Connecting,
    Sending,
    Measuring,
    Ending,
}

/// An agent with its session and its books.
pub(crate) struct Player {
    world: Rc<World>,
    number: u32,
    session: FakeAgent,
    sent: u64,
    settled: u64,
    /// Sent and not settled: the last number of a message, and when it was sent.
    waiting: VecDeque<(u64, Instant)>,
}

impl Player {
    pub(crate) fn new(world: Rc<World>, number: u32, session: FakeAgent) -> Self {
        Self {
            world,
            number,
            session,
            sent: 0,
            settled: 0,
            waiting: VecDeque::new(),
        }
    }

    fn phase(&self) -> Phase {
        *self.world.phase.borrow()
    }

    /// Sends a sample each interval until the run ends; gives how many.
    ///
    /// # Errors
    /// The session ended.
    pub(crate) async fn live(mut self) -> anyhow::Result<u64> {
        self.until_sending().await?;
        let mut phase = self.world.phase.clone();
        let interval = self.world.interval;
        // Spread over the interval, as agents that were started at different times are.
        let offset = interval.mul_f64(f64::from(self.number) / f64::from(self.world.agents));
        let mut ticks = tokio::time::interval_at(Instant::now() + offset, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let heartbeat = self.heartbeat_interval();
        let mut heartbeats = tokio::time::interval_at(Instant::now() + offset + heartbeat, heartbeat);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut packer = LivePacker::default();
        while *phase.borrow_and_update() < Phase::Ending {
            tokio::select! {
                _ = ticks.tick() => self.send_live(&mut packer).await,
                _ = heartbeats.tick() => self.send_heartbeat().await,
                message = self.session.next() => self.take(message.context("a session")?)?,
                changed = phase.changed() => changed?,
            }
        }
        self.end().await
    }

    /// Replays a backlog as fast as the server acknowledges it, until the run ends; gives how many samples were sent.
    ///
    /// # Errors
    /// The session ended.
    pub(crate) async fn back_to_back(mut self) -> anyhow::Result<u64> {
        self.until_sending().await?;
        let mut phase = self.world.phase.clone();
        let began = now().minus(BACKLOG);
        let steps = BACKLOG.as_millis() / self.world.interval.as_millis().max(1);
        while self.phase() < Phase::Ending {
            let room = IN_FLIGHT - (self.sent - self.settled);
            let left = steps as u64 - self.sent;
            if room >= IN_FLIGHT / 4 && left > 0 {
                let (batch, count) = self.backlog(began, room.min(left));
                if let Some(batch) = batch {
                    self.send(batch, count).await;
                }
            } else {
                tokio::select! {
                    message = self.session.next() => self.take(message.context("a session")?)?,
                    changed = phase.changed() => changed?,
                }
            }
        }
        self.end().await
    }

    fn heartbeat_interval(&self) -> Duration {
        Duration::from_millis(self.session.settings.heartbeat_interval_ms.max(1000).into())
    }

    /// Gives signs of life until the others are connected, too.
    async fn until_sending(&self) -> anyhow::Result<()> {
        let mut phase = self.world.phase.clone();
        let mut heartbeats = tokio::time::interval(self.heartbeat_interval());
        loop {
            tokio::select! {
                reached = phase.wait_for(|phase| *phase >= Phase::Sending) => {
                    reached?;
                    return Ok(());
                }
                _ = heartbeats.tick() => self.send_heartbeat().await,
            }
        }
    }

    async fn send_live(&mut self, packer: &mut LivePacker) {
        let id = SampleId {
            epoch: *EPOCH,
            seq: self.sent + 1,
        };
        let batch = self
            .world
            .trace
            .borrow_mut()
            .with(self.number, self.sent, now(), |sample| packer.pack(id, sample));
        self.send(batch, 1).await;
    }

    /// The next batch of the backlog, of at most so many samples, and of how many it is.
    fn backlog(&self, began: UnixMillis, most: u64) -> (Option<v1::SampleBatch>, u64) {
        let mut packer = BackfillPacker::default();
        let mut count = 0;
        let mut trace = self.world.trace.borrow_mut();
        while count < most {
            let step = self.sent + count;
            let timestamp = began.plus(self.world.interval * step as u32);
            let id = SampleId {
                epoch: *EPOCH,
                seq: step + 1,
            };
            if !trace.with(self.number, step, timestamp, |sample| packer.add(id, sample)) {
                break;
            }
            count += 1;
        }
        (packer.finish(), count)
    }

    async fn send(&mut self, batch: v1::SampleBatch, count: u64) {
        self.sent += count;
        self.world.tally.borrow_mut().sent += count;
        self.waiting.push_back((self.sent, Instant::now()));
        self.session.send_message(Up::Samples(batch)).await;
    }

    async fn send_heartbeat(&self) {
        let heartbeat = v1::Heartbeat {
            sent_at: now().0.unsigned_abs(),
            sampled: self.sent,
            sent: self.sent,
            acknowledged: self.settled,
            buffered: self.sent - self.settled,
            journalled: self.sent,
            ..Default::default()
        };
        self.session.send_message(Up::Heartbeat(heartbeat)).await;
    }

    fn take(&mut self, message: Down) -> anyhow::Result<()> {
        let Down::Acknowledgement(words) = message else {
            return Ok(());
        };
        let measured = self.phase() == Phase::Measuring;
        let mut tally = self.world.tally.borrow_mut();
        tally.rejected += words.rejected.len() as u64;
        for run in words.stored.into_iter().map(seq_range_from_wire) {
            let count = run.last.saturating_sub(run.first).saturating_add(1);
            tally.acknowledged += count;
            self.settled += count;
            ensure!(self.settled <= self.sent, "more was acknowledged than sent");
            // Samples of one agent are acknowledged in order; a message is when its last one is.
            while let Some((last, at)) = self
                .waiting
                .front()
                .copied()
                .filter(|(last, _)| *last <= run.last)
            {
                let _ = last;
                self.waiting.pop_front();
                if measured {
                    tally.waits_ms.push(at.elapsed().as_secs_f32() * 1000.0);
                }
            }
        }
        Ok(())
    }

    /// Waits until everything sent is acknowledged.
    async fn end(mut self) -> anyhow::Result<u64> {
        let until = Instant::now() + LAST_WORDS;
        while self.settled < self.sent {
            let message = tokio::time::timeout_at(until, self.session.next()).await;
            let message = message.with_context(|| {
                format!(
                    "{} samples of an agent are not acknowledged",
                    self.sent - self.settled
                )
            })?;
            self.take(message.context("a session")?)?;
        }
        Ok(self.sent)
    }
}
