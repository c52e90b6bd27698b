//! This process as the kernel sees it: `/proc/self`. Elsewhere than on Linux nothing is known.

use std::fs;

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Process {
    /// Processor time, user and system.
    pub(super) cpu_seconds: f64,
    /// Resident memory.
    pub(super) resident_bytes: u64,
    /// Address space.
    pub(super) virtual_bytes: u64,
    /// Threads.
    pub(super) threads: u64,
    /// When it started, in Unix seconds; `None` where the kernel does not say when the host did.
    pub(super) started_at: Option<f64>,
}

impl Process {
    /// Reads it; `None` where there is no `/proc`.
    pub(super) fn read() -> Option<Self> {
        let booted = fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|stat| parse_boot_time(&stat));
        let (ticks, page) = (
            rustix::param::clock_ticks_per_second(),
            rustix::param::page_size(),
        );
        parse(
            &fs::read_to_string("/proc/self/stat").ok()?,
            ticks,
            page as u64,
            booted,
        )
    }

    /// How many files are open; `None` where it can't be known.
    pub(super) fn open_files() -> Option<usize> {
        // The directory itself is open meanwhile.
        fs::read_dir("/proc/self/fd")
            .ok()
            .map(|files| files.count().saturating_sub(1))
    }

    /// How many may be; `None` for any number.
    pub(super) fn max_files() -> Option<u64> {
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current
    }
}

/// `/proc/stat: btime`
fn parse_boot_time(stat: &str) -> Option<f64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// `/proc/self/stat`; the name, in parentheses, may hold anything.
fn parse(stat: &str, ticks_per_second: u64, page_bytes: u64, booted: Option<f64>) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of them is field 3 in proc(5).
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
    Some(Process {
        cpu_seconds: seconds(field(14)? + field(15)?),
        threads: field(20)?,
        started_at: field(22).and_then(|ticks| Some(booted? + seconds(ticks))),
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "4242 (a) b) S 1 4242 4242 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 9 0 1000 8192000 300 18446744073709551615 1";
        let process = parse(stat, 100, 4096, Some(1_000_000.5)).unwrap();
        assert_eq!(
            process,
            Process {
                cpu_seconds: 4.0,
                resident_bytes: 300 * 4096,
                virtual_bytes: 8_192_000,
                threads: 9,
                started_at: Some(1_000_010.5),
            }
        );
        assert_eq!(
            parse_boot_time("cpu 1 2\nbtime 1763712000\n"),
            Some(1_763_712_000.0)
        );
        assert_eq!(parse("4242 (x) S 1", 100, 4096, None), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_there() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 1 << 20 && process.threads >= 1);
        assert!(Process::open_files().unwrap() >= 3);
    }
}
