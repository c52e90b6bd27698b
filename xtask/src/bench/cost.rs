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

/// Processor time of a process, of those that it started, and of those of them that have ended, in seconds. The latter in
/// steps of 10 ms.
///
/// # Errors
/// The process has ended.
pub(super) fn cpu_seconds_of_family(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ended = waited_for_ticks(&stat).context("what a process says of its children")?;
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    // One that ends now is counted among those that have ended the next time.
    let living: f64 = children.filter_map(|child| cpu_seconds(child).ok()).sum();
    Ok(cpu_seconds(pid)? + living + ended as f64 / TICKS_PER_SECOND)
}

/// `/proc/PID/stat` counts time in hundredths of a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Time of children that were waited for: the fields 16 and 17, which are the 14th and 15th after the name.
fn waited_for_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(13);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The process that started another.
pub(super) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_children_are_counted() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 50 60 70 80 20 0 1 0 5 6 7";
        assert_eq!(waited_for_ticks(stat), Some(150));
        assert_eq!(waited_for_ticks("7 (cut) S 1"), None);
    }

    #[test]
    fn a_process_and_its_parent_are_found() {
        let own = std::process::id();
        assert_eq!(parent(own), Some(std::os::unix::process::parent_id()));
        assert!(cpu_seconds_of_family(own).unwrap() >= cpu_seconds(own).unwrap() / 2.0);
    }
}
