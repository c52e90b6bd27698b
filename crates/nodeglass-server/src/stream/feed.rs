//! A reader's stream of many agents: samples as they come, or once in each interval what changed of all of them, and who comes
//! and goes.
//!
//! A reader looks over its agents a few times in each interval, rather than being woken by each sample: of a thousand agents
//! that takes some ten microseconds, and a thousand wake-ups would take milliseconds. What it is given has a place in the order
//! in which samples came to the server, so that one number says how far a reader of any number of agents has come.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use nodeglass_model::AgentId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Place, View};
use crate::live::{Live, LiveAgent, LiveSample, Onlooker};

/// The longest time between two looks; a sample waits half of it on average.
const LOOK: Duration = Duration::from_millis(250);
/// Looks in an interval that is shorter than [`LOOK`] times as many.
const LOOKS: u32 = 4;
/// How often it is looked whether other agents are meant now, if none was added meanwhile: their labels may have changed.
const CHOOSE_AGAIN: Duration = Duration::from_secs(5);
/// Agents of a stream up to which the last few samples of each are kept for a reader who comes back. Of more it has the latest
/// that it did not see: the last 20 samples of a thousand agents are some hundred megabytes.
const REMEMBERED_AGENTS: usize = 100;

/// The status of an agent that is not among those that a reader reads any more.
const LEFT: &str = "left";

/// Which agents a reader means, as far as it may see them.
pub trait Choice: Send + Sync {
    /// Whether this one is meant.
    fn means(&self, agent: &LiveAgent) -> bool;
}

/// How much a reader has at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each sample is an event.
    Samples,
    /// What changed is one event in each interval.
    Overview,
}

/// What a reader wants.
pub struct FeedWish {
    /// Of which agents.
    pub choice: Box<dyn Choice>,
    /// What of each sample.
    pub view: Arc<View>,
    /// In which pieces.
    pub shape: Shape,
    /// At most one sample of each agent in this time.
    pub interval: Duration,
    /// How far a reader had come who comes back.
    pub seen: Option<Seen>,
    /// How often a silent stream gives a sign of life.
    pub sign_of_life: Duration,
}

/// How far a reader has come: of which server's samples, and to which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// See [`Live::making`].
    pub making: u64,
    /// The place of the last sample up to which the reader has all.
    pub order: u64,
}

impl Seen {
    /// Reads an event's id; `None` for another one.
    pub fn parse(text: &str) -> Option<Self> {
        let (making, order) = text.split_once('.')?;
        Some(Self {
            making: u64::from_str_radix(making, 16).ok()?,
            order: order.parse().ok()?,
        })
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}.{}", self.making, self.order)
    }
}

/// One thing that a reader is given.
#[derive(Debug, Clone)]
pub struct Event {
    /// How far the reader has come with it.
    pub id: Option<Seen>,
    /// What it is about.
    pub news: News,
}

/// What an event is about.
#[derive(Debug, Clone)]
pub enum News {
    /// A sample of an agent.
    Sample(Arc<LiveAgent>, Arc<LiveSample>),
    /// An agent is `connected`, `disconnected`, or has `left` what the reader reads.
    Agent(Arc<LiveAgent>, &'static str),
    /// What changed of all agents, as JSON.
    Overview(Bytes),
    /// Why the stream ends, as JSON.
    Error(Bytes),
}

impl Event {
    /// What events of its kind are called.
    pub fn name(&self) -> &'static str {
        match &self.news {
            News::Sample(..) => "metrics",
            News::Agent(..) => "agent",
            News::Overview(_) => "overview",
            News::Error(_) => "error",
        }
    }

    /// What it says, as a JSON object, for readers with this view.
    pub fn data(&self, view: &View) -> Bytes {
        match &self.news {
            News::Sample(agent, live) => view.text(&agent.id, live),
            News::Agent(agent, status) => status_text(agent, status).into(),
            News::Overview(text) | News::Error(text) => text.clone(),
        }
    }
}

struct Member {
    agent: Arc<LiveAgent>,
    /// The place of the last sample that was given; `None` before the first.
    given: Option<u64>,
    due: Instant,
    is_connected: bool,
    _onlooker: Onlooker,
}

struct Feed {
    live: Arc<Live>,
    wish: FeedWish,
    members: BTreeMap<AgentId, Member>,
    /// How many agents the live store had when they were chosen, and when that was.
    chosen: Option<(u64, Instant)>,
    /// When the next look is.
    look: Instant,
    /// When the next overview is due.
    due: Instant,
    /// Agents of which the next overview says how they stand, sample or not.
    to_state: BTreeSet<AgentId>,
    is_first: bool,
    stop: CancellationToken,
    place: Place,
}

/// The stream; an empty list is a sign of life. It ends at `stop`, and gives its place back when it is dropped.
pub fn feed(
    live: Arc<Live>,
    wish: FeedWish,
    stop: CancellationToken,
    place: Place,
) -> impl Stream<Item = Vec<Event>> + Send {
    let now = Instant::now();
    let feed = Feed {
        live,
        wish,
        members: BTreeMap::new(),
        chosen: None,
        look: now,
        due: now,
        to_state: BTreeSet::new(),
        is_first: true,
        stop,
        place,
    };
    futures_util::stream::unfold(feed, next)
}

async fn next(mut feed: Feed) -> Option<(Vec<Event>, Feed)> {
    feed.place.taken();
    let alive_until = Instant::now() + feed.wish.sign_of_life;
    loop {
        tokio::select! {
            () = feed.stop.cancelled() => return None,
            () = tokio::time::sleep_until(feed.look) => {}
        }
        let now = Instant::now();
        feed.look = now + LOOK.min(feed.wish.interval / LOOKS);
        let events = feed.events(now);
        if !events.is_empty() || now >= alive_until {
            feed.place.given();
            return Some((events, feed));
        }
    }
}

impl Feed {
    fn events(&mut self, now: Instant) -> Vec<Event> {
        // What is in the order up to here can be seen by now.
        let until = self.live.order();
        let mut events = self.choose(now);
        if self.wish.shape == Shape::Overview && now < self.due {
            // Who came and went is said with the rest when that is due.
            return Vec::new();
        }
        let mut fresh = Vec::new();
        let mut complete = until;
        let early = self.wish.interval / 2;
        for member in self.members.values_mut() {
            let is_connected = member.agent.is_connected();
            if is_connected != member.is_connected {
                member.is_connected = is_connected;
                events.push(status(&member.agent, is_connected));
                self.to_state.insert(member.agent.id.clone());
            }
            let Some(newest) = member
                .agent
                .latest()
                .sample
                .filter(|live| Some(live.order) != member.given)
            else {
                continue;
            };
            if self.wish.shape == Shape::Overview && !is_connected {
                continue;
            }
            // At the agent's own pace it is due when it comes; see `samples`.
            if self.wish.shape == Shape::Samples && member.due > now + early {
                complete = complete.min(newest.order.saturating_sub(1));
                continue;
            }
            member.due = if now > member.due + self.wish.interval {
                now
            } else {
                member.due
            } + self.wish.interval;
            member.given = Some(newest.order);
            fresh.push((member.agent.clone(), newest));
        }
        fresh.sort_by_key(|(_, live)| live.order);
        match self.wish.shape {
            Shape::Samples => {
                self.to_state.clear();
                let last = fresh.len().saturating_sub(1);
                for (at, (agent, live)) in fresh.iter().enumerate() {
                    // The last event of a look has come as far as the look, less what is not due yet.
                    let order = if at == last {
                        complete
                    } else {
                        live.order.min(complete)
                    };
                    events.push(self.sample(agent, live, order));
                }
            }
            Shape::Overview => self.overview(&fresh, until, now, &mut events),
        }
        self.is_first = false;
        events
    }

    fn sample(&self, agent: &Arc<LiveAgent>, live: &Arc<LiveSample>, order: u64) -> Event {
        Event {
            id: Some(self.seen(order)),
            news: News::Sample(agent.clone(), live.clone()),
        }
    }

    fn seen(&self, order: u64) -> Seen {
        Seen {
            making: self.live.making(),
            order,
        }
    }

    /// One event of all that changed; the first one has all agents.
    fn overview(
        &mut self,
        fresh: &[(Arc<LiveAgent>, Arc<LiveSample>)],
        until: u64,
        now: Instant,
        events: &mut Vec<Event>,
    ) {
        // Status is part of the overview's own event.
        events.clear();
        let mut stated = std::mem::take(&mut self.to_state);
        for (agent, _) in fresh {
            stated.remove(&agent.id);
        }
        if fresh.is_empty() && stated.is_empty() && !self.is_first {
            return;
        }
        self.due = if now > self.due + self.wish.interval {
            now
        } else {
            self.due
        } + self.wish.interval;
        // It has all agents, so that whoever comes back finds out who left meanwhile.
        let full = self.is_first;
        let mut text = format!("{{\"full\":{full},\"agents\":[").into_bytes();
        let mut gap: &[u8] = b"";
        for (agent, live) in fresh {
            text.extend_from_slice(gap);
            text.extend_from_slice(&self.wish.view.text(&agent.id, live));
            gap = b",";
        }
        for agent in stated {
            text.extend_from_slice(gap);
            text.extend_from_slice(self.state(&agent).as_bytes());
            gap = b",";
        }
        text.extend_from_slice(b"]}");
        events.push(Event {
            id: Some(self.seen(until)),
            news: News::Overview(text.into()),
        });
    }

    /// How an agent stands that has nothing new to show.
    fn state(&self, agent: &AgentId) -> String {
        let update = self
            .members
            .get(agent)
            .and_then(|member| member.agent.latest().update);
        let mut text = format!("{{\"agent_id\":\"{agent}\",\"connected\":");
        let connected = self.members.get(agent).is_some_and(|member| member.is_connected);
        write!(text, "{connected}").expect("text can be written to");
        if let Some(update) = update {
            write!(text, ",\"timestamp\":{}", update.0).expect("text can be written to");
        }
        if !self.members.contains_key(agent) {
            text.push_str(",\"left\":true");
        }
        text.push('}');
        text
    }

    /// Finds out whom the reader means now, and says who came and went. Those who were there at a reader's last event have
    /// what it missed.
    fn choose(&mut self, now: Instant) -> Vec<Event> {
        let count = self.live.admitted();
        if self
            .chosen
            .is_some_and(|(then, at)| then == count && now < at + CHOOSE_AGAIN)
        {
            return Vec::new();
        }
        self.chosen = Some((count, now));
        let mut events = Vec::new();
        let mut meant = BTreeMap::new();
        let choice = &self.wish.choice;
        self.live.after(None, |agent| {
            if choice.means(agent) {
                meant.insert(agent.id.clone(), agent.clone());
            }
            true
        });
        let left: Vec<_> = self
            .members
            .iter()
            // One that was forgotten and is there again, under the same name, is another.
            .filter(|(id, member)| {
                meant
                    .get(*id)
                    .is_none_or(|agent| !Arc::ptr_eq(agent, &member.agent))
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in left {
            if let Some(member) = self.members.remove(&id) {
                events.push(Event {
                    id: None,
                    news: News::Agent(member.agent.clone(), LEFT),
                });
            }
            self.to_state.insert(id);
        }
        let is_remembered = meant.len() <= REMEMBERED_AGENTS && self.wish.shape == Shape::Samples;
        let seen = self
            .wish
            .seen
            .filter(|seen| seen.making == self.live.making() && self.is_first);
        let mut missed = Vec::new();
        for (id, agent) in meant {
            if is_remembered {
                agent.remember();
            }
            if self.members.contains_key(&id) {
                continue;
            }
            let given = seen.and_then(|seen| {
                let after = agent.since(seen.order, self.wish.interval);
                let newest = agent
                    .latest()
                    .sample
                    .map(|live| live.order)
                    .filter(|order| *order <= seen.order);
                let newest = after.last().map(|live| live.order).or(newest);
                if self.wish.shape == Shape::Samples {
                    missed.extend(after.into_iter().map(|live| (agent.clone(), live)));
                    newest
                } else {
                    newest.filter(|order| *order <= seen.order)
                }
            });
            let is_connected = agent.is_connected();
            events.push(status(&agent, is_connected));
            self.to_state.insert(id.clone());
            let member = Member {
                _onlooker: agent.look_on(self.wish.interval),
                agent,
                given,
                due: now,
                is_connected,
            };
            self.members.insert(id, member);
        }
        missed.sort_by_key(|(_, live)| live.order);
        events.extend(
            missed
                .iter()
                .map(|(agent, live)| self.sample(agent, live, live.order)),
        );
        events
    }
}

/// Whether an agent is there.
fn status(agent: &Arc<LiveAgent>, is_connected: bool) -> Event {
    let status = if is_connected { "connected" } else { "disconnected" };
    Event {
        id: None,
        news: News::Agent(agent.clone(), status),
    }
}

fn status_text(agent: &LiveAgent, status: &str) -> String {
    let mut text = format!("{{\"agent_id\":\"{}\",\"status\":\"{status}\"", agent.id);
    if let Some(update) = agent.latest().update.filter(|_| status != LEFT) {
        write!(text, ",\"last_metrics_update\":{}", update.0).expect("text can be written to");
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests;
