//! Devices that a host does not show any more. Processes come and go among the first of a host; one that comes back is named
//! by its place here, and not described again.

use nodeglass_model::Sample;
use nodeglass_model::catalogue::Dimension;

use crate::row::RowError;
use crate::varint::{Reader, put};

/// How many are remembered of each kind; whoever reads has to remember as many for each agent.
const MOST: usize = 24;

/// Where the description of a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Here, in the record.
    Described,
    /// In the record before, at this place among those of its kind.
    Before(usize),
    /// Among those that departed.
    Departed(usize),
}

impl Place {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        put(
            out,
            match self {
                Self::Described => 0,
                Self::Before(place) => 1 + 2 * place as u64,
                Self::Departed(place) => 2 + 2 * place as u64,
            },
        );
    }

    /// Reads one that a writer of this version wrote.
    pub(super) fn read(reader: &mut Reader<'_>, version: u8) -> Result<Self, RowError> {
        let number = usize::try_from(reader.unsigned()?).unwrap_or(usize::MAX);
        Ok(match number.checked_sub(1) {
            None => Self::Described,
            // The first version knew no departed ones.
            Some(place) if version == 1 => Self::Before(place),
            Some(number) if number % 2 == 0 => Self::Before(number / 2),
            Some(number) => Self::Departed(number / 2),
        })
    }

    /// The place of its values in the record before.
    pub(super) fn before(self) -> Option<usize> {
        match self {
            Self::Before(place) => Some(place),
            Self::Described | Self::Departed(_) => None,
        }
    }
}

/// Those that departed last, of all kinds; writers and readers have the same. Many hosts have none, and it takes no room then.
#[derive(Debug, Default)]
pub(super) struct Departed(Option<Box<Sample>>);

impl Departed {
    /// A sample of them; `None` if there are none.
    pub(super) fn sample(&self) -> Option<&Sample> {
        self.0.as_deref()
    }

    /// The place of a device that departed.
    pub(super) fn find(&self, holder: Dimension, device: (&Sample, usize)) -> Option<usize> {
        let departed = self.0.as_deref()?;
        let is_it = |place: &usize| {
            let mut views = holder.views().iter();
            views.all(|view| view.is_same((departed, *place), device))
        };
        (0..holder.len(departed)).find(is_it)
    }

    /// Appends one that departed to those of a sample; `false` if there is none at this place.
    pub(super) fn copy(&self, holder: Dimension, place: usize, to: &mut Sample) -> bool {
        let departed = self.0.as_deref();
        departed.is_some_and(|departed| holder.copy((departed, place), to))
    }

    /// Lets go of those that are back, and remembers those of `before` that have no place any more.
    pub(super) fn update(&mut self, holder: Dimension, before: &Sample, places: &[Place]) {
        let mut here = vec![false; holder.len(before)];
        let mut back = vec![false; self.0.as_deref().map_or(0, |departed| holder.len(departed))];
        for place in places {
            let seen = match *place {
                Place::Described => None,
                Place::Before(place) => here.get_mut(place),
                Place::Departed(place) => back.get_mut(place),
            };
            if let Some(seen) = seen {
                *seen = true;
            }
        }
        let not = |seen: &[bool]| -> Vec<usize> { (0..seen.len()).filter(|place| !seen[*place]).collect() };
        let (stay, go) = (not(&back), not(&here));
        if go.is_empty() && stay.len() == back.len() {
            return;
        }
        let departed = self.0.get_or_insert_default();
        let all = stay
            .iter()
            .map(|place| (&**departed, *place))
            .chain(go.iter().map(|place| (before, *place)));
        let mut last = Sample::default();
        for device in all.skip((stay.len() + go.len()).saturating_sub(MOST)) {
            holder.copy(device, &mut last);
        }
        holder.swap(departed, &mut last);
    }
}
