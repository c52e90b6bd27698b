//! Figures that are asked of many agents again and again, such as how busy each of ten thousand is. While somebody asks for one it
//! is taken out of each sample as it comes, and kept with the agent: to find it in the latest sample then, pointer after pointer,
//! takes as long as all else that is done for an answer.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use nodeglass_model::UnixMillis;
use nodeglass_model::selector::Selector;
use tokio::time::Instant;

use super::LiveSample;

/// Figures that are kept at once.
const PLACES: usize = 4;
/// How long one is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(30);

/// Which figures are kept.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    places: ArcSwap<[Option<Arc<Wanted>>; PLACES]>,
    /// How many were kept so far, by whoever changes which.
    changing: Mutex<u64>,
}

/// A figure that is kept.
#[derive(Debug)]
struct Wanted {
    selector: Selector,
    /// No other one has it, so that what is left of another that was kept in the same place is not taken for it.
    number: u64,
    /// When it was last asked for; `None` once it is let go.
    asked: Mutex<Option<Instant>>,
}

/// Where agents have a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    index: usize,
    number: u64,
}

impl Hot {
    /// Where a figure is kept, from now on if it was not so far; `None` if there is no place for it, or it is one of every device.
    pub(crate) fn place(&self, selector: &Selector) -> Option<Place> {
        if selector.is_of_every_device() {
            return None;
        }
        self.known(selector).or_else(|| self.keep(selector))
    }

    fn known(&self, selector: &Selector) -> Option<Place> {
        let places = self.places.load();
        let is_it = |wanted: &Wanted| {
            wanted.selector.metric().id == selector.metric().id
                && wanted.selector.device() == selector.device()
        };
        let index = places
            .iter()
            .position(|place| place.as_deref().is_some_and(is_it))?;
        let wanted = places[index].as_deref()?;
        wanted.ask().then(|| wanted.at(index))
    }

    fn keep(&self, selector: &Selector) -> Option<Place> {
        let mut number = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = self.known(selector) {
            return Some(place);
        }
        let mut places = <[_; PLACES]>::clone(&self.places.load());
        let is_free = |place: &Option<Arc<Wanted>>| place.as_deref().is_none_or(Wanted::let_go);
        let index = places.iter().position(is_free)?;
        *number += 1;
        let wanted = Wanted {
            selector: selector.clone(),
            number: *number,
            asked: Mutex::new(Some(Instant::now())),
        };
        let place = wanted.at(index);
        places[index] = Some(Arc::new(wanted));
        self.places.store(Arc::new(places));
        Some(place)
    }

    /// Lets go of those that nobody asks for any more.
    pub(super) fn sweep(&self) {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = <[_; PLACES]>::clone(&self.places.load());
        let over = places
            .iter_mut()
            .filter(|place| place.as_deref().is_some_and(Wanted::let_go));
        if over.map(Option::take).count() > 0 {
            self.places.store(Arc::new(places));
        }
    }

    /// Takes the figures that are wanted out of an agent's next sample. Nobody else does so for the agent meanwhile.
    pub(super) fn note(&self, figures: &Figures, live: &LiveSample) {
        for (index, wanted) in self.places.load().iter().enumerate() {
            if let Some(wanted) = wanted {
                figures.put(wanted.at(index), live.timestamp, live.value(&wanted.selector));
            }
        }
    }
}

impl Wanted {
    fn at(&self, index: usize) -> Place {
        Place {
            index,
            number: self.number,
        }
    }

    /// Notes that it is asked for; `false` if it was let go.
    fn ask(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = asked.map(|_| Instant::now());
        asked.is_some()
    }

    /// Lets it go if nobody asks for it any more; says whether it is let go. From then on nobody is given its place.
    fn let_go(&self) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = asked.filter(|asked| asked.elapsed() < KEPT);
        asked.is_none()
    }
}

/// The figures of one agent's latest sample, each at its place. Reading them takes no lock.
#[derive(Debug, Default)]
pub(super) struct Figures([Cell; PLACES]);

/// A figure of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figure {
    /// When the sample was taken.
    pub(super) at: UnixMillis,
    /// The figure, if the sample has it.
    pub(super) value: Option<f64>,
}

/// A figure that is read while it may be written: a reader that sees another turn behind it than before it has seen parts of two.
#[derive(Debug, Default)]
struct Cell {
    /// Odd while it is written.
    turn: AtomicU64,
    number: AtomicU64,
    at: AtomicI64,
    /// The bits of a value; those of a NaN, which no sample has, where there is none.
    value: AtomicU64,
}

impl Figures {
    /// The figure at a place; `None` if it is that of another metric, or written just now.
    pub(super) fn read(&self, place: Place) -> Option<Figure> {
        let cell = &self.0[place.index];
        let turn = cell.turn.load(Ordering::Acquire);
        let number = cell.number.load(Ordering::Relaxed);
        let at = UnixMillis(cell.at.load(Ordering::Relaxed));
        let value = f64::from_bits(cell.value.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let is_whole = turn.is_multiple_of(2) && cell.turn.load(Ordering::Relaxed) == turn;
        (is_whole && number == place.number).then_some(Figure {
            at,
            value: (!value.is_nan()).then_some(value),
        })
    }

    /// Writes it down, unless somebody is about to, who writes the same: while one reads an agent's latest sample no other one comes.
    pub(super) fn put(&self, place: Place, at: UnixMillis, value: Option<f64>) {
        let cell = &self.0[place.index];
        let before = cell.turn.load(Ordering::Relaxed) & !1;
        let turn = before + 1;
        let is_ours = cell
            .turn
            .compare_exchange(before, turn, Ordering::Acquire, Ordering::Relaxed);
        if is_ours.is_err() {
            return;
        }
        fence(Ordering::Release);
        cell.number.store(place.number, Ordering::Relaxed);
        cell.at.store(at.0, Ordering::Relaxed);
        cell.value
            .store(value.unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
        cell.turn.store(turn + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use nodeglass_model::Sample;

    use super::*;

    fn selector(path: &str) -> Selector {
        Selector::parse(path).unwrap()
    }

    fn sample(at: i64, usage: Option<f64>) -> LiveSample {
        let mut sample = Sample {
            timestamp: UnixMillis(at),
            ..Sample::default()
        };
        sample.cpu.usage_percent = usage;
        LiveSample::new(sample, None, 1, 1)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_is_kept_until_nobody_does() {
        let (hot, figures) = (Hot::default(), Figures::default());
        hot.note(&figures, &sample(1, Some(1.0)));
        let usage = selector("cpu.usage_percent");
        let place = hot.place(&usage).unwrap();
        assert_eq!(figures.read(place), None, "it came before anybody asked");
        hot.note(&figures, &sample(2, Some(2.5)));
        let kept = |at, value| {
            let at = UnixMillis(at);
            Some(Figure { at, value })
        };
        assert_eq!(figures.read(place), kept(2, Some(2.5)));
        hot.note(&figures, &sample(3, None));
        assert_eq!(figures.read(place), kept(3, None));
        assert_eq!(hot.place(&usage), Some(place));

        let others = ["load.load1", "load.load5", "load.load15", "memory.used_bytes"].map(selector);
        let places: Vec<_> = others.iter().map(|other| hot.place(other)).collect();
        assert!(
            places[..3].iter().all(Option::is_some) && places[3].is_none(),
            "{places:?}"
        );
        tokio::time::advance(KEPT).await;
        assert_eq!(hot.place(&usage), Some(place));
        hot.sweep();
        let other = hot.place(&others[3]).unwrap();
        assert!(other.index != place.index);
        hot.note(&figures, &sample(4, Some(4.0)));
        assert_eq!(figures.read(other), kept(4, None));
        assert_eq!(figures.read(place), kept(4, Some(4.0)));
        let before = places[other.index - 1].unwrap();
        assert_eq!(
            (before.index, figures.read(before)),
            (other.index, None),
            "it is that of another metric"
        );
    }

    #[test]
    fn no_reader_sees_parts_of_two() {
        let figures = Figures::default();
        let place = Place { index: 1, number: 7 };
        thread::scope(|scope| {
            let writers = [0, 1].map(|offset| {
                let figures = &figures;
                scope.spawn(move || {
                    for at in 0..200_000 {
                        let at = 2 * at + offset;
                        figures.put(place, UnixMillis(at), Some(at as f64));
                    }
                })
            });
            let mut read = 0;
            while read == 0 || writers.iter().any(|writer| !writer.is_finished()) {
                if let Some(Figure { at, value }) = figures.read(place) {
                    assert_eq!(value, Some(at.0 as f64));
                    read += 1;
                }
            }
        });
    }
}
