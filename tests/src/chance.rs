//! Chance that can be had again: a test that draws prints its seed, and takes another's from `NODEGLASS_SEED`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Numbers drawn from a seed.
#[derive(Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// From the seed of `NODEGLASS_SEED`, or else another each time; prints it.
    ///
    /// # Panics
    /// `NODEGLASS_SEED` is not a number.
    pub fn new(what: &str) -> Self {
        let seed = if let Ok(given) = std::env::var("NODEGLASS_SEED") {
            given.parse().expect("NODEGLASS_SEED is a whole number")
        } else {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.as_nanos() as u64
        };
        eprintln!("{what}: NODEGLASS_SEED={seed}");
        Self::seeded(seed)
    }

    /// From that seed.
    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        // SplitMix64: any seed is a good one.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// A time of less than `most` milliseconds.
    pub fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.below(most))
    }
}
