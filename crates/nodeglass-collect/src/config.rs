//! What a sampler is told, and why it may refuse.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nodeglass_model::filter::MetricFilter;

use crate::command_line::CommandLines;
use crate::filters::DeviceFilters;
use crate::privacy::Privacy;

/// Long enough for any healthy file system or driver, and half of the shortest sampling interval.
const DEFAULT_DEADLINE: Duration = Duration::from_millis(500);

/// Far more than a host runs, and few enough to read and to send each time.
const DEFAULT_MAX_CONTAINERS: usize = 500;

/// Where Docker and Podman listen, Podman of each user too.
const DEFAULT_CONTAINER_SOCKETS: [&str; 4] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/user/*/podman/podman.sock",
];

/// Enough to see who it was, and few enough to keep.
const DEFAULT_TOP_PROCESSES: usize = 10;

/// How to read a host.
#[derive(Debug, Clone)]
pub struct CollectConfig {
    /// Where the host's file system is seen: `/`, or `/host` in a container. Only the Linux back end can read
    /// another root than `/`.
    pub host_root: PathBuf,
    /// What reads the host.
    pub backend: Backend,
    /// The metrics wanted; collectors without any do not run.
    pub filter: MetricFilter,
    /// How long file systems, sensors, systemd and GPU drivers may take before a sample goes on without them.
    ///
    /// Up to half of it is spent waiting where PCIe throughput of NVIDIA GPUs is wanted: the driver counts for 40 ms per
    /// GPU. Without `gpu.pcie_*` nobody waits.
    pub deadline: Duration,
    /// NVIDIA's management library. `None` searches for `libnvidia-ml.so.1` (`nvml.dll` on Windows) as the system does,
    /// and takes its absence for a host without such GPUs; a library that is named and can't be loaded is a failure.
    pub nvml_library: Option<PathBuf>,
    /// Which devices are left out. The portable back end shows all that it knows.
    pub devices: DeviceFilters,
    /// Containers read at most; how many are left out beyond them is in the sample.
    pub max_containers: usize,
    /// Sockets of Docker and Podman that are asked for the names of containers, as paths of the host; `*` stands for
    /// any directory. Those that are absent or not readable are passed over.
    pub container_sockets: Vec<PathBuf>,
    /// How many processes are shown for each of processor time, memory, disk I/O and GPU memory; 0 for none. Linux
    /// only.
    pub top_processes: usize,
    /// How much of command lines is shown.
    pub process_commands: CommandLines,
    /// Names of further arguments whose values are secrets, where command lines are redacted: globs with `*` and `?`,
    /// without the dashes before the name. A single character also stands for what is written behind it (`-pSECRET`).
    pub redact: Vec<String>,
    /// What becomes of what says who and where.
    pub privacy: Privacy,
}

impl Default for CollectConfig {
    fn default() -> Self {
        Self {
            host_root: PathBuf::from("/"),
            backend: Backend::Auto,
            filter: MetricFilter::default(),
            deadline: DEFAULT_DEADLINE,
            nvml_library: None,
            devices: DeviceFilters::default(),
            max_containers: DEFAULT_MAX_CONTAINERS,
            container_sockets: DEFAULT_CONTAINER_SOCKETS.iter().map(PathBuf::from).collect(),
            top_processes: DEFAULT_TOP_PROCESSES,
            process_commands: CommandLines::default(),
            redact: Vec::new(),
            privacy: Privacy::default(),
        }
    }
}

/// What reads the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// The Linux one on Linux, the portable one elsewhere.
    #[default]
    Auto,
    /// `/proc` and `/sys`.
    Linux,
    /// `sysinfo`: fewer metrics, and only of the host that the agent itself runs on.
    Portable,
}

impl Backend {
    /// The back end that this one stands for: never `Auto`.
    pub(crate) fn resolve(self) -> Self {
        match self {
            Self::Auto if cfg!(target_os = "linux") => Self::Linux,
            Self::Auto => Self::Portable,
            chosen => chosen,
        }
    }
}

/// Why a host can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The host root has no `/proc` in it.
    #[error("can't read {}: set the host root to / or to where the host's / is mounted with its /proc", path.display())]
    NoProc {
        /// The file that was tried.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The Linux back end was asked for on another system.
    #[error("the linux back end runs on Linux only: set the back end to auto or portable")]
    NotLinux,
    /// The portable back end was given a host root.
    #[error("the portable back end reads / only, not {}: set the host root to / or the back end to linux", host_root.display())]
    PortableRoot {
        /// The host root that was set.
        host_root: PathBuf,
    },
    /// `sysinfo` could not start.
    #[error("this system can't be read by the portable back end")]
    Portable(#[source] sysinfo::Error),
}

/// Whether this host root is the file system that the process itself sees.
pub(crate) fn is_own_root(host_root: &Path) -> bool {
    host_root == Path::new("/")
}
