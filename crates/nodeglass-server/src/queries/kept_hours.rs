//! Hourly figures that were read and are kept for the next reader, bounded in bytes.
//!
//! The hours of an agent change with each merge of its chunks, so what is kept is true in one state of them. A reader knows
//! from the outline that it begins with in which state they are.

use std::sync::Arc;

use nodeglass_model::TimeRange;
use nodeglass_store::AgentKey;
use nodeglass_store::tiers::{HourFigures, HoursVersion, RollupPoint, SeriesName};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::bounded;

/// Figures that are kept: at 40 bytes for an hour, a month of a thousand series.
const FIGURES_BYTES: u64 = 32 << 20;
/// Names of series that are kept: at some 20 kB for an agent of 200, those of 400 agents.
const NAMES_BYTES: u64 = 8 << 20;

/// The hours of one series that were read.
#[derive(Debug)]
pub(super) struct SeriesHours {
    version: HoursVersion,
    range: TimeRange,
    figures: HourFigures,
    points: Vec<RollupPoint>,
}

impl SeriesHours {
    /// What a series has of what was asked, oldest first.
    pub(super) fn new(asked: Asked, mut points: Vec<RollupPoint>) -> Arc<Self> {
        points.shrink_to_fit();
        let Asked {
            version,
            range,
            figures,
        } = asked;
        Arc::new(Self {
            version,
            range,
            figures,
            points,
        })
    }

    /// Those within a range that was read.
    pub(super) fn within(&self, range: TimeRange) -> &[RollupPoint] {
        let before = |at| self.points.partition_point(|point| point.hour < at);
        &self.points[before(range.start)..before(range.end)]
    }

    fn answers(&self, asked: Asked) -> bool {
        self.version == asked.version
            && self.range.start <= asked.range.start
            && self.range.end >= asked.range.end
            && (self.figures == HourFigures::All || self.figures == asked.figures)
    }
}

/// What is asked of the hours of an agent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// In which state.
    pub(super) version: HoursVersion,
    /// Which hours.
    pub(super) range: TimeRange,
    /// What of them.
    pub(super) figures: HourFigures,
}

/// The series that an agent has hours of.
#[derive(Debug)]
struct Names {
    version: HoursVersion,
    names: Arc<[SeriesName]>,
}

/// What is kept.
#[derive(Debug)]
pub(super) struct KeptHours {
    series: Cache<(AgentKey, SeriesName), Arc<SeriesHours>, ByBytes>,
    names: Cache<AgentKey, Arc<Names>, ByBytes>,
}

#[derive(Debug, Clone)]
struct ByBytes;

fn name_bytes(name: &SeriesName) -> u64 {
    (size_of::<SeriesName>() + 16 + name.device.as_ref().map_or(0, String::len)) as u64
}

impl Weighter<(AgentKey, SeriesName), Arc<SeriesHours>> for ByBytes {
    fn weight(&self, (_, name): &(AgentKey, SeriesName), hours: &Arc<SeriesHours>) -> u64 {
        128 + name_bytes(name) + size_of_val(hours.points.as_slice()) as u64
    }
}

impl Weighter<AgentKey, Arc<Names>> for ByBytes {
    fn weight(&self, _: &AgentKey, names: &Arc<Names>) -> u64 {
        128 + names.names.iter().map(name_bytes).sum::<u64>()
    }
}

impl KeptHours {
    pub(super) fn new() -> Self {
        Self {
            series: bounded(2_048, FIGURES_BYTES, ByBytes),
            names: bounded(512, NAMES_BYTES, ByBytes),
        }
    }

    /// The hours of a series, if what is asked of them is kept.
    pub(super) fn get(&self, agent: AgentKey, name: &SeriesName, asked: Asked) -> Option<Arc<SeriesHours>> {
        let kept = self.series.get(&(agent, name.clone()))?;
        kept.answers(asked).then_some(kept)
    }

    /// Keeps what was read of a series, unless another reader has kept it of a later state.
    pub(super) fn keep(&self, agent: AgentKey, name: SeriesName, hours: Arc<SeriesHours>) {
        let key = (agent, name);
        let is_behind = |kept: &Arc<SeriesHours>| kept.version > hours.version;
        if !self.series.get(&key).as_ref().is_some_and(is_behind) {
            self.series.insert(key, hours);
        }
    }

    /// The names of an agent's series, in this state of its hours or, with `None`, in any.
    pub(super) fn names(&self, agent: AgentKey, version: Option<HoursVersion>) -> Option<Arc<[SeriesName]>> {
        let kept = self.names.get(&agent)?;
        let is_it = version.is_none_or(|version| kept.version == version);
        is_it.then(|| kept.names.clone())
    }

    /// Keeps names that were read when the hours were in this state or a later one.
    pub(super) fn keep_names(
        &self,
        agent: AgentKey,
        version: HoursVersion,
        names: Vec<SeriesName>,
    ) -> Arc<[SeriesName]> {
        let names: Arc<[SeriesName]> = names.into();
        let kept = Names {
            version,
            names: names.clone(),
        };
        self.names.insert(agent, Arc::new(kept));
        names
    }
}

#[cfg(test)]
mod tests {
    use nodeglass_model::UnixMillis;
    use nodeglass_model::catalogue::MetricId;
    use nodeglass_store::tiers::Summary;

    use super::*;

    const AGENT: AgentKey = AgentKey(7);
    const HOUR: i64 = 3_600_000;

    fn name(device: &str) -> SeriesName {
        SeriesName {
            metric: MetricId(1),
            device: Some(device.to_owned()),
        }
    }

    fn asked(version: i64, from: i64, to: i64, figures: HourFigures) -> Asked {
        Asked {
            version: HoursVersion(version),
            range: TimeRange {
                start: UnixMillis(from * HOUR),
                end: UnixMillis(to * HOUR),
            },
            figures,
        }
    }

    fn points(hours: impl IntoIterator<Item = i64>) -> Vec<RollupPoint> {
        let point = |hour: i64| RollupPoint {
            hour: UnixMillis(hour * HOUR),
            summary: Summary {
                count: 1,
                mean: hour as f64,
                min: hour as f64,
                max: hour as f64,
            },
        };
        hours.into_iter().map(point).collect()
    }

    #[test]
    fn what_was_read_answers_what_it_covers_in_its_state() {
        let kept = KeptHours::new();
        let keep = |asked: Asked, hours: &[i64]| {
            let points = points(hours.iter().copied());
            kept.keep(AGENT, name("sda"), SeriesHours::new(asked, points));
        };
        keep(asked(3, 10, 20, HourFigures::Means), &[10, 12, 19]);
        let get = |asked: Asked| kept.get(AGENT, &name("sda"), asked);
        let whole = get(asked(3, 10, 20, HourFigures::Means)).expect("it was read");
        assert_eq!(
            whole.within(asked(3, 11, 19, HourFigures::Means).range),
            points([12])
        );
        assert_eq!(
            whole.within(asked(3, 10, 20, HourFigures::Means).range),
            points([10, 12, 19])
        );
        assert!(get(asked(3, 13, 14, HourFigures::Means)).is_some());
        for other in [
            asked(4, 10, 20, HourFigures::Means),
            asked(2, 10, 20, HourFigures::Means),
            asked(3, 9, 20, HourFigures::Means),
            asked(3, 10, 21, HourFigures::Means),
            asked(3, 10, 20, HourFigures::All),
        ] {
            assert!(get(other).is_none(), "{other:?}");
        }
        let means = asked(3, 10, 20, HourFigures::Means);
        assert!(kept.get(AGENT, &name("sdb"), means).is_none());
        assert!(kept.get(AgentKey(8), &name("sda"), means).is_none());
        // All figures have the means among them.
        keep(asked(4, 10, 20, HourFigures::All), &[10]);
        assert!(get(asked(4, 10, 20, HourFigures::Means)).is_some());
        // Who was slow does not put an earlier state in the place of a later one.
        keep(asked(3, 10, 20, HourFigures::All), &[10]);
        assert!(get(asked(4, 10, 20, HourFigures::Means)).is_some());
    }

    #[test]
    fn names_are_those_of_a_state() {
        let kept = KeptHours::new();
        assert_eq!(kept.names(AGENT, None), None);
        let _ = kept.keep_names(AGENT, HoursVersion(3), vec![name("sda")]);
        assert_eq!(kept.names(AGENT, None).as_deref(), Some(&[name("sda")][..]));
        assert!(kept.names(AGENT, Some(HoursVersion(3))).is_some());
        assert_eq!(kept.names(AGENT, Some(HoursVersion(4))), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = KeptHours::new();
        let month = asked(1, 0, 720, HourFigures::All);
        for number in 0..4_000 {
            let hours = SeriesHours::new(month, points(0..720));
            kept.keep(AGENT, name(&number.to_string()), hours);
        }
        assert!(kept.series.weight() <= FIGURES_BYTES, "{}", kept.series.weight());
        assert!(kept.series.len() > 500, "{} series are kept", kept.series.len());
        // As long as anybody keeps hours, whatever number of processors there is.
        let decade = asked(1, 0, 87_600, HourFigures::All);
        kept.keep(AGENT, name("decade"), SeriesHours::new(decade, points(0..87_600)));
        assert!(kept.get(AGENT, &name("decade"), decade).is_some());
    }
}
