//! Takes samples on time and puts them into the outbox, as the current plan says: each into the local history, and for
//! the server one that stands for all since the last.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nodeglass_collect::{Depth, DeviceFilters, Sampler};
use nodeglass_journal::{Reason, Role};
use nodeglass_model::filter::MetricFilter;
use nodeglass_model::window::Window;
use nodeglass_model::{Clock, Sample, UnixMillis};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::outbox::Outbox;

/// How soon the second sample for the server follows the first: rates need two readings, and somebody may be waiting to
/// see them.
const SECOND_SAMPLE: Duration = Duration::from_secs(1);

/// What to sample, and how often. The server can change it while the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplingPlan {
    /// Whether to sample at all.
    pub running: bool,
    /// The time from one sample for the server to the next.
    pub interval: Duration,
    /// The time from one sample for the local history to the next.
    pub local_interval: Duration,
    /// How often the server wants samples while somebody looks on.
    pub watched: Option<Duration>,
    /// What a sample has in it.
    pub filter: MetricFilter,
    /// Which devices are left out.
    pub devices: DeviceFilters,
    /// How many processes are shown by each measure.
    pub top_processes: usize,
}

impl SamplingPlan {
    /// The time from one reading to the next.
    fn reading(&self) -> Duration {
        self.local_interval.min(self.interval)
    }

    /// The time from one sample for the server to the next.
    fn sending(&self) -> Duration {
        let wanted = self.watched.unwrap_or(self.interval).min(self.interval);
        wanted.max(self.reading())
    }
}

/// What goes to the reading thread and comes back.
struct Reader {
    sampler: Sampler,
    outbox: Arc<Outbox>,
    /// Samples since the last one for the server.
    window: Window,
    /// When the last sample was taken, if sampling was stopped since.
    stopped: Option<UnixMillis>,
    last: Option<UnixMillis>,
}

impl Reader {
    /// Sends what was gathered since the last sample for the server.
    fn finish(&mut self) {
        if let Some(mean) = std::mem::take(&mut self.window).finish() {
            self.outbox
                .put(&Arc::new(mean), Role::Owed, Instant::now().into_std());
        }
    }

    /// Takes a sample; `for_server` if it is time for one that stands for all since the last.
    fn read(&mut self, at: UnixMillis, for_server: bool) {
        let depth = if for_server { Depth::Full } else { Depth::Light };
        let now = Instant::now().into_std();
        let sample = Arc::new(self.sampler.sample(at, depth));
        // Light samples lack processes and more, which would come and go for those who look.
        if for_server {
            self.outbox.show(&sample);
        }
        if let Some(from) = self.stopped.take() {
            self.outbox.journal.note_gap(Reason::Stopped, from, at, now);
        }
        self.last = Some(at);
        let is_alone = self.window.is_empty();
        if for_server && is_alone {
            self.outbox.put(&sample, Role::Both, now);
            return;
        }
        self.outbox.put(&sample, Role::Local, now);
        self.window.add(Sample::clone(&sample));
        if for_server && let Some(mean) = std::mem::take(&mut self.window).finish() {
            self.outbox.put(&Arc::new(mean), Role::Owed, now);
        }
    }
}

/// Samples until `stop`, on a thread with a timer of its own: a second that is of no interest to the server wakes that
/// thread alone. Reading `/proc` takes a fraction of a millisecond, but a hung mount may take its whole deadline.
///
/// # Errors
/// There is no thread to be had, or it panicked, which is a mistake of ours; the agent ends and is started again by its
/// supervisor.
pub async fn run(
    sampler: Sampler,
    outbox: Arc<Outbox>,
    plan: watch::Receiver<SamplingPlan>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> io::Result<()> {
    let timer = Builder::new_current_thread().enable_time().build()?;
    let sampling = move || timer.block_on(sample(sampler, outbox, plan, clock, stop));
    Ok(tokio::task::spawn_blocking(sampling).await?)
}

/// The sampling itself. It blocks.
async fn sample(
    sampler: Sampler,
    outbox: Arc<Outbox>,
    mut plan: watch::Receiver<SamplingPlan>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let mut reader = Reader {
        sampler,
        outbox: outbox.clone(),
        window: Window::default(),
        stopped: None,
        last: None,
    };
    let mut due = Instant::now();
    let mut due_for_server = due;
    let (mut sent, mut reported) = (0_u64, 0);
    // What is done now. What is asked for may be newer: it may have come while a sample was taken, or before the first.
    let mut current = plan.borrow_and_update().clone();
    reader.sampler.set_filter(current.filter.clone());
    reader
        .sampler
        .set_shown(current.devices.clone(), current.top_processes);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due), if current.running => {}
            changed = plan.changed() => {
                // The plan's owner lives as long as the agent.
                if changed.is_err() {
                    return;
                }
                let next = plan.borrow_and_update().clone();
                info!(running = next.running, interval_s = next.sending().as_secs_f64(), "sampling plan changed");
                let shows_other = next.devices != current.devices || next.top_processes != current.top_processes;
                if next.filter != current.filter || shows_other || (current.running && !next.running) {
                    // What comes after is not averaged with what came before.
                    reader.finish();
                }
                if next.filter != current.filter {
                    reader.sampler.set_filter(next.filter.clone());
                }
                if shows_other {
                    reader.sampler.set_shown(next.devices.clone(), next.top_processes);
                }
                if current.running && !next.running {
                    reader.stopped = reader.last;
                }
                due = due.min(Instant::now() + next.reading());
                due_for_server = due_for_server.min(Instant::now() + next.sending());
                current = next;
                continue;
            }
            () = stop.cancelled() => return,
        }
        // Readings and samples for the server seldom fall on the very same moment.
        let for_server = due + current.reading() / 2 >= due_for_server;
        let at = clock.now();
        reader.read(at, for_server);
        // Every loss is counted; the log has the first, and then fewer the more there are.
        let lost = outbox.journal.lost();
        if lost > reported && lost.is_power_of_two() {
            reported = lost;
            let evicted = outbox.journal.standing().books.evicted;
            warn!(lost, ?evicted, "samples went before the server had stored them");
        }
        // A host that slept, or was too busy, goes on from now rather than catching up.
        let now = Instant::now();
        due = (due + current.reading()).max(now);
        if for_server {
            sent += 1;
            let pause = current.sending();
            let pause = if sent == 1 {
                pause.min(SECOND_SAMPLE)
            } else {
                pause
            };
            due_for_server = (due_for_server + pause).max(now);
            due = due.min(due_for_server);
        }
    }
}

/// Samples until `stop` where there is no server: whole samples, of which `newest` has the last.
///
/// # Errors
/// The reading thread panicked, as in [`run`].
pub async fn run_alone(
    mut sampler: Sampler,
    newest: watch::Sender<Option<Arc<Sample>>>,
    plan: SamplingPlan,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) -> Result<(), tokio::task::JoinError> {
    let mut due = Instant::now();
    let mut pause = plan.interval.min(SECOND_SAMPLE);
    loop {
        tokio::select! {
            () = tokio::time::sleep_until(due), if plan.running => {}
            () = stop.cancelled() => return Ok(()),
        }
        let at = clock.now();
        let (back, sample) = tokio::task::spawn_blocking(move || {
            let sample = sampler.sample(at, Depth::Full);
            (sampler, sample)
        })
        .await?;
        sampler = back;
        newest.send_replace(Some(Arc::new(sample)));
        due = (due + pause).max(Instant::now());
        pause = plan.interval;
    }
}
