//! The library of the tests, and a collector that uses it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nodeglass_model::sample::{GpuMetrics, Sample};
use tempfile::TempDir;

use crate::config::CollectConfig;
use crate::gpu::{GpuCollector, GpuUses};
use crate::sampler::Depth;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const GIB: u64 = 1 << 30;

static LIBRARY: LazyLock<Vec<u8>> = LazyLock::new(|| compile(&[]));
static LIBRARY_WITHOUT_V2: LazyLock<Vec<u8>> = LazyLock::new(|| compile(&["-DNO_V2"]));

fn compile(flags: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libnvidia-ml.so.1");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_nvml/nvml.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"])
        .args(flags)
        .args([OsStr::new("-o"), library.as_os_str(), source.as_os_str()])
        .output()
        .expect("a C compiler is needed, as it is for our dependencies");
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    fs::read(library).unwrap()
}

/// A directory with a copy of the library of its own, which has its own state, and a host root.
pub(super) struct Fake {
    directory: TempDir,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self::with(&LIBRARY)
    }

    pub(super) fn without_v2() -> Self {
        Self::with(&LIBRARY_WITHOUT_V2)
    }

    fn with(library: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("libnvidia-ml.so.1"), library).unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        Self { directory }
    }

    pub(super) fn library(&self) -> PathBuf {
        self.directory.path().join("libnvidia-ml.so.1")
    }

    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(super) fn config(&self) -> CollectConfig {
        CollectConfig {
            host_root: self.root(),
            nvml_library: Some(self.library()),
            deadline: PATIENCE,
            ..CollectConfig::default()
        }
    }

    /// Tells the library something, see its source.
    pub(super) fn set(&self, name: &str, content: &str) {
        // Never half a file: the library may be reading.
        let path = self.directory.path().join(name);
        let new = self.directory.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, path).unwrap();
    }

    pub(super) fn unset(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    /// The calls since the last time, each `name device`.
    pub(super) fn take_calls(&self) -> Vec<String> {
        let path = self.directory.path().join("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        calls.lines().map(str::to_owned).collect()
    }

    /// Puts both GPUs on the host's PCI bus, or changes their states.
    pub(super) fn set_states(&self, gpu_0: &str, gpu_1: &str) {
        for (address, state) in [("0000:01:00.0", gpu_0), ("0000:41:00.0", gpu_1)] {
            self.set_state(address, state);
        }
    }

    pub(super) fn set_state(&self, address: &str, state: &str) {
        let power = self
            .root()
            .join("sys/bus/pci/drivers/nvidia")
            .join(address)
            .join("power");
        fs::create_dir_all(&power).unwrap();
        fs::write(power.join("runtime_status"), format!("{state}\n")).unwrap();
    }

    fn is_in_use(&self) -> bool {
        self.directory.path().join("in_use").exists()
    }
}

impl Drop for Fake {
    /// The collector's thread ends a little after the collector, and writes its last calls into our directory.
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_in_use() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

/// A collector at a time that the test chooses.
pub(super) struct Rig {
    pub(super) collector: GpuCollector,
    pub(super) now: Instant,
    // After the collector, which is to end first.
    pub(super) fake: Fake,
}

/// What one reading gave.
pub(super) struct Reading {
    pub(super) gpus: Vec<GpuMetrics>,
    pub(super) failures: Vec<String>,
    pub(super) uses: GpuUses,
}

impl Rig {
    pub(super) fn new(fake: Fake) -> Self {
        Self {
            collector: GpuCollector::new(&fake.config()),
            now: Instant::now(),
            fake,
        }
    }

    pub(super) fn read(&mut self, depth: Depth) -> Reading {
        self.start(depth, PATIENCE);
        self.finish(PATIENCE)
    }

    pub(super) fn start(&mut self, depth: Depth, within: Duration) {
        self.collector.start(self.now, Instant::now() + within, depth);
    }

    pub(super) fn finish(&mut self, within: Duration) -> Reading {
        let mut sample = Sample::default();
        let uses = self
            .collector
            .finish(&mut sample, self.now, Instant::now() + within);
        assert!(sample.failures.iter().all(|failure| failure.collector == "gpu"));
        Reading {
            gpus: sample.gpus,
            failures: sample
                .failures
                .into_iter()
                .map(|failure| failure.reason)
                .collect(),
            uses,
        }
    }
}

/// The GPU with this number and no figures, as one that sleeps or is lost is listed.
pub(super) fn identity(index: u32) -> GpuMetrics {
    let (name, uuid) = [
        ("NVIDIA Fake 4090", "GPU-00000000-aaaa"),
        ("NVIDIA Fake H100", "GPU-11111111-bbbb"),
    ][index as usize];
    GpuMetrics {
        index,
        name: name.to_owned(),
        uuid: uuid.to_owned(),
        ..GpuMetrics::default()
    }
}

/// Everything that the healthy library has to say, the GPU that is split last.
pub(super) fn healthy() -> Vec<GpuMetrics> {
    let common = |index| GpuMetrics {
        temperature_celsius: Some(61.0 + f64::from(index)),
        power_watts: Some(312.45),
        power_limit_watts: Some(450.0),
        graphics_clock_mhz: Some(2520),
        memory_clock_mhz: Some(10501),
        // The faster of 30 and 45.
        fan_percent: Some(45.0),
        ecc_corrected_errors: Some(7),
        ecc_uncorrected_errors: Some(1),
        throttled_otherwise: Some(0),
        pcie_recv_bytes_per_sec: Some(12_000_000),
        pcie_sent_bytes_per_sec: Some(1_500_000),
        encoder_percent: Some(12.0),
        decoder_percent: Some(34.0),
        ..identity(index)
    };
    let part = |mig_instance, name: &str, uuid: &str, total, used, usage| GpuMetrics {
        index: 1,
        mig_instance: Some(mig_instance),
        name: name.to_owned(),
        uuid: uuid.to_owned(),
        memory_total_bytes: Some(total),
        memory_used_bytes: Some(used),
        memory_usage_percent: Some(usage),
        ..GpuMetrics::default()
    };
    vec![
        GpuMetrics {
            utilization_percent: Some(87.0),
            memory_utilization_percent: Some(42.0),
            memory_total_bytes: Some(24 * GIB),
            memory_used_bytes: Some(6 * GIB),
            memory_usage_percent: Some(25.0),
            throttled_by_power: Some(1),
            throttled_by_heat: Some(0),
            ..common(0)
        },
        GpuMetrics {
            memory_total_bytes: Some(80 * GIB),
            memory_used_bytes: Some(20 * GIB),
            memory_usage_percent: Some(25.0),
            throttled_by_power: Some(0),
            throttled_by_heat: Some(1),
            ..common(1)
        },
        part(
            0,
            "NVIDIA Fake H100 MIG 3g.40gb",
            "MIG-00000000-cccc",
            40 * GIB,
            10 * GIB,
            25.0,
        ),
        part(
            2,
            "NVIDIA Fake H100 MIG 1g.10gb",
            "MIG-22222222-dddd",
            10 * GIB,
            GIB,
            10.0,
        ),
    ]
}
