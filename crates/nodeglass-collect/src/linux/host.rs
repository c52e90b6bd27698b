//! The host as a whole: uptime, users, file handles, tracked connections.
//!
//! These are levels that change slowly, and some of them are dear (`file-nr` costs as much as ten other files). So full
//! samples read them, and light ones show them again; uptime goes on counting.

use std::time::{Duration, Instant};

use nodeglass_model::filter::MetricFilter;
use nodeglass_model::sample::{Sample, SystemMetrics};

use super::collector::{Collector, Kept, Moment};
use super::host_root::HostRoot;
use super::proc_file::{MaybeFile, ProcFile, ReadError};
use super::scan::{fields, lines, parse_number};
use super::users::count_users;

/// How long the time of the start is believed: it only changes when somebody sets the clock, and the file that it
/// stands in is long.
const BOOT_TIME_AGE: Duration = Duration::from_mins(1);

/// What is wanted of it.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four answers to four questions")]
struct Wanted {
    boot_time: bool,
    users: bool,
    files: bool,
    conntrack: bool,
}

/// Reads the host as a whole.
pub(super) struct HostCollector {
    root: HostRoot,
    uptime: ProcFile,
    stat: ProcFile,
    file_nr: MaybeFile,
    conntrack_count: MaybeFile,
    conntrack_max: MaybeFile,
    boot_time: Option<(Instant, u64)>,
    wanted: Wanted,
    kept: Kept<SystemMetrics>,
}

impl HostCollector {
    pub(super) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            uptime: ProcFile::new(root.path("proc/uptime")),
            stat: ProcFile::new(root.path("proc/stat")),
            file_nr: MaybeFile::new(root.path("proc/sys/fs/file-nr")),
            conntrack_count: MaybeFile::new(root.path("proc/sys/net/netfilter/nf_conntrack_count")),
            conntrack_max: MaybeFile::new(root.path("proc/sys/net/netfilter/nf_conntrack_max")),
            boot_time: None,
            wanted: Wanted::default(),
            kept: Kept::default(),
        }
    }

    fn read_anew(&mut self, moment: &Moment) -> Result<SystemMetrics, ReadError> {
        let mut system = SystemMetrics::default();
        let uptime = parse_uptime(self.uptime.read()?);
        system.uptime_seconds = Some(uptime.ok_or_else(|| self.uptime.without("uptime"))?);
        if self.wanted.boot_time {
            system.boot_time_seconds = self.read_boot_time(moment.now)?;
        }
        if self.wanted.users {
            system.logged_in_users = count_users(&self.root);
        }
        if self.wanted.files
            && let Some(text) = self.file_nr.read(moment)?
        {
            let counts = parse_file_nr(text).ok_or_else(|| self.file_nr.without("count of file handles"))?;
            (system.open_files, system.max_open_files) = (Some(counts.0), Some(counts.1));
        }
        if self.wanted.conntrack {
            let number = |text: Option<&[u8]>| parse_number(text?.trim_ascii());
            system.conntrack_entries = number(self.conntrack_count.read(moment)?);
            system.max_conntrack_entries = number(self.conntrack_max.read(moment)?);
        }
        Ok(system)
    }

    fn read_boot_time(&mut self, now: Instant) -> Result<Option<u64>, ReadError> {
        let known = self
            .boot_time
            .filter(|(at, _)| now.saturating_duration_since(*at) < BOOT_TIME_AGE);
        if known.is_none() {
            let boot_time = parse_boot_time(self.stat.read()?);
            self.boot_time = boot_time.map(|seconds| (now, seconds));
        }
        Ok(self.boot_time.map(|(_, seconds)| seconds))
    }
}

impl Collector for HostCollector {
    fn read(&mut self, sample: &mut Sample, moment: &Moment) -> Result<(), ReadError> {
        if moment.is_full() {
            let system = self.read_anew(moment)?;
            self.kept.set(moment.now, system);
        }
        if let Some((system, age)) = self.kept.young(moment.now) {
            sample.system = SystemMetrics {
                uptime_seconds: system.uptime_seconds.map(|seconds| seconds + age.as_secs()),
                // Sockets are counted elsewhere, and in every sample.
                sockets: sample.system.sockets,
                ..system.clone()
            };
        }
        Ok(())
    }

    fn set_filter(&mut self, filter: &MetricFilter) {
        self.wanted = Wanted {
            boot_time: filter.keeps_any("system.boot_time_seconds"),
            users: filter.keeps_any("system.logged_in_users"),
            files: filter.keeps_any("system.open_files") || filter.keeps_any("system.max_open_files"),
            conntrack: filter.keeps_any("system.conntrack_entries")
                || filter.keeps_any("system.max_conntrack_entries"),
        };
    }
}

/// `11925.44 17256.44`: seconds up, and seconds that the cores were idle.
fn parse_uptime(text: &[u8]) -> Option<u64> {
    let seconds = fields(text).next()?;
    parse_number(seconds.split(|byte| *byte == b'.').next()?)
}

/// `btime 1763710000`, searched from the end: the line of interrupts before it can be very long.
fn parse_boot_time(stat: &[u8]) -> Option<u64> {
    let lines = stat.rsplit(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| line.strip_prefix(b"btime "));
    parse_number(values.next()?.trim_ascii()).filter(|seconds| *seconds > 0)
}

/// `755 0 2466183`: allocated, free, and the most there may be.
fn parse_file_nr(text: &[u8]) -> Option<(u64, u64)> {
    let mut numbers = fields(lines(text).next()?).map(parse_number);
    let (allocated, free, most) = (numbers.next()??, numbers.next()??, numbers.next()??);
    Some((allocated.saturating_sub(free), most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_as_the_kernel_writes_them() {
        assert_eq!(parse_uptime(b"11925.44 17256.44\n"), Some(11_925));
        assert_eq!(
            parse_boot_time(b"cpu 1 2\nintr 5 0 0\nctxt 7\nbtime 1763710000\nprocesses 9\n"),
            Some(1_763_710_000)
        );
        assert_eq!(parse_file_nr(b"755\t0\t2466183\n"), Some((755, 2_466_183)));
        assert_eq!(
            parse_file_nr(b"755\t100\t9223372036854775807\n"),
            Some((655, i64::MAX as u64))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!((parse_uptime(b""), parse_uptime(b"-1.0 2")), (None, None));
        assert_eq!(
            (parse_boot_time(b"btime 0\n"), parse_boot_time(b"")),
            (None, None)
        );
        assert_eq!(parse_file_nr(b"755 0"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            let _ = parse_uptime(&text);
            let _ = parse_boot_time(&[b"btime ", &text[..]].concat());
            let _ = parse_file_nr(&[b"1 ", &text[..]].concat());
        }
    }
}
