//! Which differences of a series are worth a try, found out for less than a try costs.
//!
//! pco sorts numbers into bins and writes for each the bin, by how often it occurs, and its place within it. An estimate
//! does the same with bins that are given: each small number by itself, larger ones by their first three bits.

/// Tries closer to one another than this are both made. On traces of real hosts this makes 1.2 tries instead of 2 and
/// chunks 0.1 % larger.
const CLOSE: f32 = 0.3;

/// What a bin costs by itself, in bits.
const BIN_BITS: f32 = 12.0;

/// How many values stand for all where their middle is looked for.
const SAMPLED: usize = 63;

/// The orders of differences that are worth a try, the more promising first: values themselves win where they are mostly
/// noise around a few levels, differences where they drift, and differences of those where they climb.
pub(super) fn orders(rests: &[u64]) -> ([usize; 2], usize) {
    let (mut first, mut second) = (0_u128, 0_u128);
    let mut step_before = None;
    for step in steps(rests) {
        first += u128::from(step.unsigned_abs());
        if let Some(before) = step_before {
            second += u128::from(step.wrapping_sub(before).unsigned_abs());
        }
        step_before = Some(step);
    }
    let middle = middle(rests);
    let values = bits(rests.iter().map(|rest| rest.wrapping_sub(middle) as i64));
    let (order, differences) = if second < first {
        let pairs = steps(rests).zip(steps(rests).skip(1));
        (2, bits(pairs.map(|(one, next)| next.wrapping_sub(one))))
    } else {
        (1, bits(steps(rests)))
    };
    let (orders, less, more) = if values < differences {
        ([0, order], values, differences)
    } else {
        ([order, 0], differences, values)
    };
    let tries = if more - less <= CLOSE * less { 2 } else { 1 };
    (orders, tries)
}

fn steps(rests: &[u64]) -> impl Iterator<Item = i64> {
    rests.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]) as i64)
}

/// A value with about as many above it as below.
fn middle(rests: &[u64]) -> u64 {
    let mut some = [0; SAMPLED];
    let stride = rests.len().div_ceil(SAMPLED).max(1);
    let mut count = 0;
    for (place, rest) in some.iter_mut().zip(rests.iter().step_by(stride)) {
        *place = *rest;
        count += 1;
    }
    let some = &mut some[..count];
    some.sort_unstable();
    some.get(count / 2).copied().unwrap_or(0)
}

/// About how many bits the numbers take.
fn bits(numbers: impl Iterator<Item = i64>) -> f32 {
    // Eight for the small ones, then four for each length.
    let mut bins = [0_u32; 8 + 4 * 62];
    let (mut all, mut within) = (0_u32, 0_u32);
    for number in numbers {
        let folded = ((number << 1) ^ (number >> 63)) as u64;
        let length = 64 - folded.leading_zeros();
        let bin = if length <= 3 {
            folded as usize
        } else {
            within += length - 3;
            8 + 4 * (length as usize - 4) + (folded >> (length - 3) & 3) as usize
        };
        bins[bin] += 1;
        all += 1;
    }
    let total = (all as f32).log2();
    let of_bin = |count: &u32| BIN_BITS + *count as f32 * (total - (*count as f32).log2());
    let bins: f32 = bins.iter().filter(|count| **count > 0).map(of_bin).sum();
    bins + within as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promising(rests: impl Iterator<Item = u64>) -> (usize, usize) {
        let (orders, tries) = orders(&rests.collect::<Vec<_>>());
        (orders[0], tries)
    }

    #[test]
    fn what_is_clear_is_tried_once() {
        let spikes = (0..720).map(|at: u64| ((at * 2_654_435_761) >> 9) & 0xffff);
        let spikes = spikes.map(|noise| if noise % 5 == 0 { noise } else { 0 });
        assert_eq!(promising(spikes), (0, 1));
        let drifting = (0..720).scan(1 << 30, |now, at: u64| {
            *now = *now + ((at * 2_654_435_761) >> 9) % 8 - 4;
            Some(*now)
        });
        assert_eq!(promising(drifting), (1, 1));
        assert_eq!(
            promising((0..720).map(|at| at * at * 1000 + at * 7919 % 5)),
            (2, 1)
        );
    }

    #[test]
    fn numbers_of_any_size_have_a_bin() {
        let extremes = [0, u64::MAX, 1 << 63, 1, u64::MAX / 2, 7, 8];
        assert!(promising(extremes.into_iter()).1 > 0);
        assert_eq!(promising(std::iter::empty()).1, 2);
    }
}
