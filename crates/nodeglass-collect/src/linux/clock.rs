//! Whether the host's clock is in step: `adjtimex`, which asks without changing anything. Every container on a host
//! has the same clock, so it does not matter where this runs.

use nodeglass_model::sample::{ClockMetrics, Sample};

use super::collector::{Collector, Moment};
use super::proc_file::ReadError;

/// Reads the state of the clock. Where the system call is forbidden, as in some containers, there are no figures.
pub(super) struct ClockCollector;

impl Collector for ClockCollector {
    fn read(&mut self, sample: &mut Sample, _: &Moment) -> Result<(), ReadError> {
        if let Some(state) = ask_kernel() {
            sample.clock = derive_clock(&state);
        }
        Ok(())
    }
}

/// What the kernel says of its clock.
#[derive(Debug, Clone, Copy)]
struct ClockState {
    /// Bits: `STA_UNSYNC`, `STA_NANO`, ...
    status: i64,
    /// Microseconds, or nanoseconds with `STA_NANO`.
    offset: i64,
    /// Microseconds.
    max_error: i64,
}

fn ask_kernel() -> Option<ClockState> {
    #[expect(
        clippy::useless_conversion,
        reason = "the fields are narrower on 32-bit systems"
    )]
    read_timex().map(|(_, timex)| ClockState {
        status: timex.status.into(),
        offset: timex.offset.into(),
        max_error: timex.maxerror.into(),
    })
}

/// Everything that the kernel says of its clock, and the state of leap seconds, which is `TIME_ERROR` while the clock is
/// not in step. `None` where the system call is forbidden.
pub(crate) fn read_timex() -> Option<(libc::c_int, libc::timex)> {
    // SAFETY: `timex` consists of integers only, for which zeroes are valid.
    #[expect(unsafe_code, reason = "no crate in use has this system call")]
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `timex` of our own, which outlives the call; `modes` is zero, so nothing is set.
    #[expect(unsafe_code, reason = "no crate in use has this system call")]
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    (state >= 0).then_some((state, timex))
}

fn derive_clock(state: &ClockState) -> ClockMetrics {
    let has = |bit: libc::c_int| state.status & i64::from(bit) != 0;
    let offset_unit = if has(libc::STA_NANO) { 1e6 } else { 1e3 };
    ClockMetrics {
        synchronized: Some((!has(libc::STA_UNSYNC)).into()),
        offset_ms: Some(state.offset as f64 / offset_unit),
        max_error_ms: Some(state.max_error as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_depend_on_the_state() {
        let state = ClockState {
            status: i64::from(libc::STA_PLL | libc::STA_NANO),
            offset: -1_250_000,
            max_error: 16_500,
        };
        let clock = derive_clock(&state);
        assert_eq!(clock.synchronized, Some(1));
        assert_eq!(clock.offset_ms, Some(-1.25), "nanoseconds");
        assert_eq!(clock.max_error_ms, Some(16.5));
        let clock = derive_clock(&ClockState {
            status: i64::from(libc::STA_UNSYNC),
            ..state
        });
        assert_eq!(clock.synchronized, Some(0));
        assert_eq!(clock.offset_ms, Some(-1_250.0), "microseconds");
    }

    #[test]
    fn this_machine_has_a_clock() {
        if let Some(state) = ask_kernel() {
            let sample = Sample {
                clock: derive_clock(&state),
                ..Sample::default()
            };
            nodeglass_model::catalogue::check(&sample).unwrap();
        }
    }
}
