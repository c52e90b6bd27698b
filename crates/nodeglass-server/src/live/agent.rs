//! One agent as it is now: its session, its latest sample, who looks on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use nodeglass_chunk::delta::LayoutNumber;
use nodeglass_model::selector::Selector;
use nodeglass_model::system::SystemInfo;
use nodeglass_model::{AgentId, Sample, SampleId, UnixMillis};
use nodeglass_store::{AgentKey, AgentRecord};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::hot::{Figures, Hot, Place};
use super::presence::Presence;
use super::{LiveSample, Order, Profile, Ring};
use crate::ingest::{PersistWindows, Quota, SessionHandle, gone};
use crate::ledger::AgentSide;
use crate::registry::labels::Labels;

/// How long an agent is shown as cloned after its copy came last. A copy that is refused comes back each minute.
const CLONED: Duration = Duration::from_hours(1);

/// Two hosts that report as one agent.
#[derive(Debug, Clone)]
pub struct Cloned {
    /// When that was last seen.
    pub at: UnixMillis,
    /// The same by a clock that nobody sets.
    pub seen: Instant,
    /// Where the host is whose session was open already.
    pub kept: Option<SocketAddr>,
    /// Where the host is that came later, and was refused.
    pub refused: Option<SocketAddr>,
}

/// One agent. What each sample and what each question about all agents needs comes first, in this order: it lies together, and each
/// look at memory elsewhere takes a tenth of a microsecond.
#[derive(Debug)]
#[repr(C)]
pub struct LiveAgent {
    /// Its key in the store.
    pub key: AgentKey,
    /// Its name.
    pub id: AgentId,
    presence: Presence,
    /// The kept figures of its latest sample.
    figures: Figures,
    /// Which figures are kept of all agents.
    hot: Arc<Hot>,
    latest: watch::Sender<Latest>,
    /// The order of all agents' samples.
    order: Arc<Order>,
    /// The last few samples, while they are read.
    ring: Mutex<Option<Ring>>,
    system: ArcSwapOption<SystemInfo>,
    profile: ArcSwap<Profile>,
    /// Cancelled once there is no agent of this name any more.
    gone: CancellationToken,
    /// Whether what is of it is being erased, and nothing is to come after.
    is_erased: AtomicBool,
    /// Boxed: there is none of nearly all.
    cloned: Mutex<Option<Box<Cloned>>>,
    /// How often it sends when nobody looks on; 0 before its first session.
    collection_interval_ms: AtomicU64,
    /// How often one of its samples is stored; 0 before its first session.
    stored_interval_ms: AtomicU64,
    /// What it last said of its side of the ledger.
    side: Mutex<Option<AgentSide>>,
    /// Samples of it that were refused since the server started, by code.
    rejected: Mutex<BTreeMap<&'static str, u64>>,
    /// How many look on, by the interval that they ask for.
    watchers: watch::Sender<BTreeMap<Duration, usize>>,
    /// Samples that wait for the rest of their persist interval.
    pub(crate) windows: Mutex<PersistWindows>,
    /// What it may still ask for.
    quota: Mutex<Quota>,
}

/// What is known of an agent's samples.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    /// When the latest was taken.
    pub update: Option<UnixMillis>,
    /// The latest itself; `None` if there never was one, or if it is older than what is kept.
    pub sample: Option<Arc<LiveSample>>,
}

impl Latest {
    /// The latest sample's number; 0 if there is none, or none came since the server started.
    pub fn number(&self) -> u64 {
        self.sample.as_ref().map_or(0, |live| live.number)
    }
}

/// An agent as lists show it.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Whether a session is open.
    pub connected: bool,
    /// When its latest sample was taken.
    pub update: Option<UnixMillis>,
    /// The number of its latest sample, whether it is connected or not.
    pub number: u64,
    /// The latest sample while it is connected: what an agent did that is away is not how it does now.
    pub sample: Option<Arc<LiveSample>>,
    /// Whether another host reports as this agent.
    pub cloned: Option<Cloned>,
}

impl LiveAgent {
    pub(super) fn new(record: &AgentRecord, order: Arc<Order>, hot: Arc<Hot>) -> Self {
        let system = record.system_info.as_deref().and_then(|json| match serde_json::from_str(json) {
            Ok(info) => Some(Arc::new(info)),
            Err(error) => {
                warn!(agent = %record.id, %error, "the stored system information can't be read; waiting for the agent's");
                None
            }
        });
        Self {
            key: record.key,
            id: record.id.clone(),
            presence: Presence::default(),
            figures: Figures::default(),
            hot,
            latest: watch::Sender::default(),
            order,
            ring: Mutex::default(),
            system: ArcSwapOption::new(system),
            profile: ArcSwap::default(),
            gone: CancellationToken::new(),
            is_erased: AtomicBool::new(false),
            cloned: Mutex::default(),
            collection_interval_ms: AtomicU64::new(0),
            stored_interval_ms: AtomicU64::new(0),
            side: Mutex::default(),
            rejected: Mutex::default(),
            watchers: watch::Sender::default(),
            windows: Mutex::default(),
            quota: Mutex::default(),
        }
    }

    /// What is known of its samples.
    pub fn latest(&self) -> Latest {
        self.latest.borrow().clone()
    }

    /// How lists show it.
    pub fn overview(&self) -> Overview {
        let latest = self.latest();
        let number = latest.number();
        let Latest { update, sample } = latest;
        let connected = self.is_connected();
        Overview {
            connected,
            update,
            number,
            cloned: self.cloned(),
            sample: sample.filter(|_| connected),
        }
    }

    /// Looks at its latest sample while it is connected, as [`LiveAgent::overview`] gives it.
    pub fn with_current<T>(&self, look: impl FnOnce(&LiveSample) -> T) -> Option<T> {
        if !self.is_connected() {
            return None;
        }
        let latest = self.latest.borrow();
        latest.sample.as_deref().map(look)
    }

    /// One figure of its latest sample while it is connected, and when that was taken. Where `place` is given it is that of this
    /// selection, and the figure is not looked for in the sample.
    pub(crate) fn figure(&self, selector: &Selector, place: Option<Place>) -> Option<(UnixMillis, f64)> {
        if !self.is_connected() {
            return None;
        }
        if let Some(kept) = place.and_then(|place| self.figures.read(place)) {
            return kept.value.map(|value| (kept.at, value));
        }
        let found = self.with_current(|live| {
            let value = live.value(selector);
            if let Some(place) = place {
                // No other sample is shown as long as this one is looked at.
                self.figures.put(place, live.timestamp, value);
            }
            value.map(|value| (live.timestamp, value))
        });
        found.flatten()
    }

    /// Follows its samples. What came lately after the sample `seen` is given, if it is still known: it may be nothing.
    pub fn follow(&self, seen: Option<SampleId>) -> (watch::Receiver<Latest>, Option<Vec<Arc<LiveSample>>>) {
        let mut ring = self.ring();
        // Within the lock: a sample is either missed, or the receiver's news.
        let mut latest = self.latest.subscribe();
        let known = latest.borrow_and_update().sample.clone();
        let ring = Self::kept(&mut ring, known);
        let missed = seen.and_then(|seen| ring.after(seen));
        (latest, missed)
    }

    /// Shows a sample as the latest.
    pub fn show(&self, id: SampleId, sample: Sample) {
        self.show_made(id, None, |_| sample);
    }

    /// Shows a sample of these devices as the latest. The one before is given to whoever makes it, to be made out of it, if
    /// nobody else has it and it is of the same devices.
    pub(crate) fn show_made(
        &self,
        id: SampleId,
        layout: Option<LayoutNumber>,
        make: impl FnOnce(Option<Sample>) -> Sample,
    ) {
        self.show_next(|before, number, order| {
            let before = before.filter(|live| layout.is_some() && live.layout == layout);
            let before = before.and_then(Arc::into_inner).and_then(LiveSample::into_sample);
            let mut live = LiveSample::new(make(before), Some(id), number, order);
            live.layout = layout;
            live
        });
    }

    /// Whether somebody reads it, or looked at its latest sample.
    pub(crate) fn is_looked_at(&self) -> bool {
        let latest = self.latest.borrow();
        let was_looked_at = latest.sample.as_ref().is_some_and(|live| live.was_looked_at());
        was_looked_at || self.latest.receiver_count() > 0
    }

    /// Shows as the latest what is stored as this row, for an agent that nobody looks at: the sample itself is made if
    /// somebody does.
    pub(crate) fn show_row(&self, id: SampleId, timestamp: UnixMillis, row: Bytes) {
        self.show_next(|_, number, order| LiveSample::of_row(row, timestamp, Some(id), number, order));
    }

    /// Shows what is made out of the sample before, its number and its place in the order of all.
    fn show_next(&self, make: impl FnOnce(Option<Arc<LiveSample>>, u64, u64) -> LiveSample) {
        let mut ring = self.ring();
        self.latest.send_modify(|latest| {
            let number = latest.number() + 1;
            let live = Arc::new(make(latest.sample.take(), number, self.order.next()));
            self.hot.note(&self.figures, &live);
            if let Some(ring) = ring.as_mut() {
                ring.push(live.clone());
            }
            *latest = Latest {
                update: Some(live.timestamp),
                sample: Some(live),
            };
        });
        self.let_go(&mut ring);
    }

    /// Keeps the last few samples for somebody who reads many agents, and may come back, for a minute from now.
    pub(crate) fn remember(&self) {
        let mut ring = self.ring();
        let known = self.latest.borrow().sample.clone();
        Self::kept(&mut ring, known);
    }

    /// The ring, which begins with the latest sample if nobody read so far; kept for a minute from now.
    fn kept(ring: &mut Option<Ring>, latest: Option<Arc<LiveSample>>) -> &mut Ring {
        let ring = ring.get_or_insert_with(|| {
            let mut ring = Ring::new();
            if let Some(sample) = latest {
                ring.push(sample);
            }
            ring
        });
        ring.touch();
        ring
    }

    /// What came after that place in the order of all samples, the oldest first and one in each interval, as far as it is known.
    pub(crate) fn since(&self, order: u64, interval: Duration) -> Vec<Arc<LiveSample>> {
        let since = self.ring().as_ref().map(|ring| ring.since(order));
        crate::stream::spaced(since.unwrap_or_default(), interval).into()
    }

    /// Lets the last few samples go if nobody reads them any more.
    pub(super) fn sweep(&self) {
        self.let_go(&mut self.ring());
    }

    fn let_go(&self, kept: &mut Option<Ring>) {
        let is_read = self.latest.receiver_count() > 0;
        match kept {
            Some(ring) if is_read => ring.touch(),
            Some(ring) if ring.is_forgotten() => *kept = None,
            Some(_) | None => {}
        }
    }

    fn ring(&self) -> MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what the store knew when the server started, unless the agent has sent something since.
    pub fn restore(&self, timestamp: UnixMillis, sample: Option<Sample>) {
        self.latest.send_if_modified(|latest| {
            let is_new = latest.update.is_none();
            if is_new {
                let sample = sample.map(|sample| Arc::new(LiveSample::new(sample, None, 0, 0)));
                *latest = Latest {
                    update: Some(timestamp),
                    sample,
                };
            }
            is_new
        });
    }

    /// What it is.
    pub fn system(&self) -> Option<Arc<SystemInfo>> {
        self.system.load_full()
    }

    /// Keeps what it says it is.
    pub fn describe(&self, info: SystemInfo) {
        self.system.store(Some(Arc::new(info)));
    }

    /// What is known of it beside its samples.
    pub fn profile(&self) -> Arc<Profile> {
        self.profile.load_full()
    }

    /// Whether what is said of it was read.
    pub(crate) fn is_learnt(&self) -> bool {
        self.profile.load().is_loaded
    }

    /// What people call it by: its labels, its own and the server's.
    pub fn labels(&self) -> Arc<Labels> {
        self.profile.load().labels.clone()
    }

    /// Changes what is known of it.
    pub(crate) fn change_profile(&self, change: impl Fn(&mut Profile)) {
        self.profile.rcu(|known| {
            let mut profile = Profile::clone(known);
            change(&mut profile);
            let labels = Labels::merge(&profile.own, &profile.said);
            if labels != *profile.labels {
                profile.labels = Arc::new(labels);
            }
            profile
        });
    }

    /// Ends with there being an agent of this name: it was forgotten, or has another name.
    pub(crate) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Whether what is of it is being erased, so that nothing of it is to be stored.
    pub(crate) fn is_erased(&self) -> bool {
        self.is_erased.load(Ordering::Relaxed)
    }

    /// The same agent under another name, with all that is known of it but its session and its readers.
    pub(super) fn renamed(&self, id: AgentId) -> Self {
        let copy = |millis: &AtomicU64| AtomicU64::new(millis.load(Ordering::Relaxed));
        let mut latest = self.latest();
        latest.sample = latest.sample.map(|live| Arc::new(live.without_texts()));
        let windows = std::mem::take(&mut *self.windows.lock().unwrap_or_else(PoisonError::into_inner));
        Self {
            key: self.key,
            presence: self.presence.without_session(),
            id,
            figures: Figures::default(),
            hot: self.hot.clone(),
            latest: watch::Sender::new(latest),
            order: self.order.clone(),
            ring: Mutex::default(),
            system: ArcSwapOption::new(self.system()),
            profile: ArcSwap::new(self.profile()),
            gone: CancellationToken::new(),
            is_erased: AtomicBool::new(false),
            cloned: Mutex::new(self.cloned.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            collection_interval_ms: copy(&self.collection_interval_ms),
            stored_interval_ms: copy(&self.stored_interval_ms),
            side: Mutex::new(self.side()),
            rejected: Mutex::new(self.rejected()),
            watchers: watch::Sender::default(),
            windows: Mutex::new(windows),
            quota: Mutex::default(),
        }
    }

    /// Ends its session and its streams: there is no agent of this name any more.
    pub(super) fn leave(&self, is_erased: bool) {
        self.is_erased.store(is_erased, Ordering::Relaxed);
        self.gone.cancel();
        if let Some(session) = self.session() {
            session.end(gone());
        }
    }

    /// Has its session look whether something else is asked of the agent now.
    pub(crate) fn nudge(&self) {
        self.watchers.send_modify(|_| {});
    }

    /// How often it sends when nobody looks on.
    pub fn collection_interval(&self) -> Option<Duration> {
        interval(&self.collection_interval_ms)
    }

    /// How often one of its samples is stored.
    pub fn stored_interval(&self) -> Option<Duration> {
        interval(&self.stored_interval_ms)
    }

    pub(crate) fn set_intervals(&self, sent: Duration, stored: Duration) {
        let millis = |interval: Duration| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.collection_interval_ms.store(millis(sent), Ordering::Relaxed);
        self.stored_interval_ms.store(millis(stored), Ordering::Relaxed);
    }

    /// Says that somebody looks on and wants samples this often, until the answer is dropped.
    pub fn look_on(self: &Arc<Self>, interval: Duration) -> Onlooker {
        self.watchers
            .send_modify(|watchers| *watchers.entry(interval).or_default() += 1);
        Onlooker {
            agent: self.clone(),
            interval,
        }
    }

    /// Follows who looks on.
    pub(crate) fn onlookers(&self) -> watch::Receiver<BTreeMap<Duration, usize>> {
        self.watchers.subscribe()
    }

    /// What it last said of its side of the ledger.
    pub fn side(&self) -> Option<AgentSide> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is known of its side.
    pub(crate) fn change_side<T>(&self, change: impl FnOnce(&mut AgentSide) -> T) -> T {
        let mut side = self.side.lock().unwrap_or_else(PoisonError::into_inner);
        change(side.get_or_insert_default())
    }

    /// What it may still ask for.
    pub(crate) fn quota(&self) -> MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a refused sample.
    pub(crate) fn count_rejection(&self, code: &'static str) {
        let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
        *rejected.entry(code).or_default() += 1;
    }

    /// Samples that were refused since the server started, by code.
    pub fn rejected(&self) -> BTreeMap<&'static str, u64> {
        self.rejected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether a session is open, or it pushed a short while ago.
    pub fn is_connected(&self) -> bool {
        self.presence.is_connected()
    }

    /// Counts it as connected for so long, because it gave a sign of life without a session.
    pub fn hear(&self, present: Duration) {
        self.presence.hear(present);
    }

    /// Its open session.
    pub fn session(&self) -> Option<SessionHandle> {
        self.presence.session()
    }

    /// Opens a session in the place of one, which ends, or of none; `false` if there is another.
    pub(crate) fn open_session(&self, session: SessionHandle, instead_of: Option<u64>) -> bool {
        self.presence.open(session, instead_of)
    }

    /// Opens a session that nobody is at the other end of.
    #[cfg(test)]
    pub(crate) fn pretend_session(&self) {
        self.open_session(SessionHandle::detached(), None);
    }

    /// Closes a session, unless another has taken its place.
    pub(crate) fn close_session(&self, number: u64) {
        self.presence.close(number);
    }

    /// Notes that another host reports as this agent; says whether that is news.
    pub(crate) fn note_copy(&self, cloned: Cloned) -> bool {
        let ip = |address: SocketAddr| address.ip();
        let mut known = self.cloned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = known.as_ref().is_none_or(|known| {
            known.refused.map(ip) != cloned.refused.map(ip) || known.seen.elapsed() >= CLONED
        });
        *known = Some(Box::new(cloned));
        is_news
    }

    /// The last time that another host reported as this agent, if that was lately.
    pub fn cloned(&self) -> Option<Cloned> {
        let cloned = self.cloned.lock().unwrap_or_else(PoisonError::into_inner);
        cloned
            .as_deref()
            .filter(|cloned| cloned.seen.elapsed() < CLONED)
            .cloned()
    }
}

fn interval(millis: &AtomicU64) -> Option<Duration> {
    let millis = millis.load(Ordering::Relaxed);
    (millis > 0).then(|| Duration::from_millis(millis))
}

/// Somebody who looks on; until it is dropped the agent sends as often as it asked.
#[derive(Debug)]
pub struct Onlooker {
    agent: Arc<LiveAgent>,
    interval: Duration,
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.agent.watchers.send_modify(|watchers| {
            if let Some(count) = watchers.get_mut(&self.interval) {
                *count -= 1;
                if *count == 0 {
                    watchers.remove(&self.interval);
                }
            }
        });
    }
}
