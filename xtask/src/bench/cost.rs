//! What a running process costs: processor time to the nanosecond, and memory.

use std::fs;

use anyhow::{Context, ensure};

/// Processor time that a process has used so far, all threads together, in seconds.
///
/// # Errors
/// It has ended.
pub(super) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let pid = i32::try_from(pid).context("a pid")?;
    // The kernel's encoding of "the processor clock of that process"; /proc has it in steps of 10 ms only.
    let clock = (!pid << 3) | 2;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "no safe binding has the clock of another process")]
    // SAFETY: `time` is valid for writing; a clock that is none gives an error.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    ensure!(
        result == 0,
        "the process {pid} has ended: {}",
        std::io::Error::last_os_error()
    );
    Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

/// Processor time of several processes.
///
/// # Errors
/// One of them has ended.
pub(super) fn cpu_seconds_of(pids: &[u32]) -> anyhow::Result<f64> {
    pids.iter().map(|pid| cpu_seconds(*pid)).sum()
}

/// Memory of a process in MB.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// What of it is in memory, shared pages among it.
    pub(super) resident_mb: f64,
    /// What it alone has, and has written to.
    pub(super) private_dirty_mb: f64,
}

impl Memory {
    /// What a process has now.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let megabytes = |key: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|rest| rest.split_whitespace().next());
            let kib: f64 = kib.with_context(|| key.to_owned())?.parse()?;
            anyhow::Ok(kib * 1024.0 / 1e6)
        };
        Ok(Self {
            resident_mb: megabytes("Rss:")?,
            private_dirty_mb: megabytes("Private_Dirty:")?,
        })
    }
}

/// Processes on this host, which cost an agent that counts them.
pub(super) fn processes() -> f64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.parse::<u32>().is_ok())
        })
        .count() as f64
}
