//! Power that the processor draws: `/sys/class/powercap/intel-rapl:*`, which processors of AMD have too. The energy
//! counters are for root only; without the right to read them there are no meters.

use std::time::{Duration, Instant};

use nodeglass_model::sample::PowerMetrics;

use crate::linux::host_root::HostRoot;
use crate::linux::proc_file::NumberFile;

/// The whole platform, the packages in it.
const PLATFORM: &str = "psys";

/// Parts of a package. Memory (`dram`) is measured beside it.
const IN_PACKAGE: [&str; 2] = ["core", "uncore"];

/// No zone draws more. Counters wrap after minutes, so an interval with more is one with a reset in it.
const MOST_WATTS: f64 = 10_000.0;

/// One zone.
#[derive(Debug)]
struct Zone {
    meter: String,
    parent: String,
    energy: NumberFile,
    /// Where the counter begins again at zero, in microjoules.
    range: u64,
    before: Option<(Instant, u64)>,
}

/// All zones.
#[derive(Debug, Default)]
pub(super) struct Rapl {
    zones: Vec<Zone>,
}

impl Rapl {
    /// Looks for zones; those that were known keep their readings.
    pub(super) fn find(&mut self, root: &HostRoot) {
        let directory = "sys/class/powercap";
        let zones = root.list(directory);
        let name_of = |zone: &str| root.read_text(&format!("{directory}/{zone}/name"));
        let named: Vec<(String, String)> = zones
            .into_iter()
            .filter(|zone| zone.starts_with("intel-rapl:"))
            .filter_map(|zone| Some((name_of(&zone)?, zone)))
            .collect();
        let has_platform = named.iter().any(|(name, _)| name == PLATFORM);
        let mut before = std::mem::take(&mut self.zones);
        for (name, zone) in &named {
            // `intel-rapl:0:1` is a part of `intel-rapl:0`.
            let package = zone
                .rsplit_once(':')
                .and_then(|(above, _)| named.iter().find(|(_, zone)| zone == above));
            let meter = match package {
                Some((package, _)) => format!("{package}/{name}"),
                None => name.clone(),
            };
            if let Some(at) = before.iter().position(|known| known.meter == meter) {
                self.zones.push(before.swap_remove(at));
                continue;
            }
            let path = |file: &str| format!("{directory}/{zone}/{file}");
            let parent = match package {
                Some((package, _)) if IN_PACKAGE.contains(&name.as_str()) => package.as_str(),
                _ if has_platform && name != PLATFORM => PLATFORM,
                _ => "",
            };
            self.zones.push(Zone {
                meter,
                parent: parent.to_owned(),
                energy: NumberFile::new(root.path(&path("energy_uj"))),
                range: root.read_number(&path("max_energy_range_uj")).unwrap_or(0),
                before: None,
            });
        }
        self.zones.sort_by(|a, b| a.meter.cmp(&b.meter));
    }

    /// The mean power of each zone since the last call; none at the first.
    pub(super) fn read(&mut self, now: Instant) -> Vec<PowerMetrics> {
        let read = |zone: &mut Zone| {
            let energy = zone.energy.read().and_then(|energy| u64::try_from(energy).ok());
            let before = std::mem::replace(&mut zone.before, energy.map(|energy| (now, energy)));
            let (at, before) = before?;
            let watts = derive_watts(before, energy?, zone.range, now.saturating_duration_since(at))?;
            Some(PowerMetrics {
                meter: zone.meter.clone(),
                parent: zone.parent.clone(),
                watts: Some(watts),
            })
        };
        self.zones.iter_mut().filter_map(read).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }
}

/// Microjoules before and after to watts, also where the counter began again at zero between them.
fn derive_watts(before: u64, after: u64, range: u64, elapsed: Duration) -> Option<f64> {
    let grown = match after.checked_sub(before) {
        Some(grown) => grown,
        None => range.checked_sub(before)?.checked_add(after)?,
    };
    let seconds = elapsed.as_secs_f64();
    let watts = grown as f64 / 1e6 / seconds;
    (seconds > 0.0 && watts <= MOST_WATTS).then_some(watts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RANGE: u64 = 262_143_328_850;

    #[test]
    fn energy_becomes_power_across_a_wrap() {
        let second = Duration::from_secs(1);
        assert_eq!(derive_watts(1_000_000, 46_000_000, RANGE, second), Some(45.0));
        assert_eq!(
            derive_watts(RANGE - 10_000_000, 15_000_000, RANGE, second),
            Some(25.0),
            "10 J to the end and 15 J after it"
        );
    }

    #[test]
    fn a_reset_gives_nothing() {
        let second = Duration::from_secs(1);
        // The way round from 1 J to 0 would be 262 kJ in a second.
        assert_eq!(derive_watts(1_000_000, 0, RANGE, second), None);
        assert_eq!(derive_watts(5, 4, 0, second), None, "no range, no wrap");
        assert_eq!(derive_watts(0, 1, RANGE, Duration::ZERO), None);
    }

    proptest! {
        #[test]
        fn power_is_plausible_or_absent(before: u64, after: u64, range: u64, ms in 0_u64..100_000) {
            if let Some(watts) = derive_watts(before, after, range, Duration::from_millis(ms)) {
                prop_assert!((0.0..=MOST_WATTS).contains(&watts));
            }
        }
    }
}
