//! The kinds of devices that metrics are of, and how a sample holds them.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::{METRICS, Metric};
use crate::sample::{CoreMetrics, DiskMetrics, GpuMetrics, NetworkMetrics, Sample, TemperatureMetrics};

/// A kind of device. The numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dimension {
    /// The host itself; its label is empty.
    Host = 0,
    /// Logical cores, labelled `0`, `1`, ...
    Core = 1,
    /// Mounted file systems, labelled with the mount point: `/`, `/home`.
    Mount = 2,
    /// Block devices, labelled with the device less `/dev/`: `sda`, `nvme0n1p1`.
    Disk = 3,
    /// Network interfaces, labelled with their name: `eth0`.
    Interface = 4,
    /// Graphics processors, labelled with their number: `0`.
    Gpu = 5,
    /// Temperature sensors, labelled `chip/label`.
    Sensor = 6,
}

/// A text that describes a device beyond its label. The numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Attribute {
    /// The device under a mount.
    Device = 1,
    /// The device that this one is a part of or lies upon.
    Parent = 2,
    /// A model's name.
    Name = 3,
    /// A lasting identity.
    Uuid = 4,
}

impl Attribute {
    /// The attribute with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Device, Self::Parent, Self::Name, Self::Uuid]
            .into_iter()
            .find(|known| *known as u8 == number)
    }
}

const KINDS: usize = 7;

static METRICS_OF: LazyLock<[Vec<&'static Metric>; KINDS]> = LazyLock::new(|| {
    let mut of: [Vec<&'static Metric>; KINDS] = Default::default();
    for metric in METRICS {
        of[metric.dimension() as usize].push(metric);
    }
    for metrics in &mut of {
        metrics.sort_by_key(|metric| metric.id);
    }
    of
});

impl Dimension {
    /// Every kind, the host first.
    pub const ALL: [Self; KINDS] = [
        Self::Host,
        Self::Core,
        Self::Mount,
        Self::Disk,
        Self::Interface,
        Self::Gpu,
        Self::Sensor,
    ];

    /// The kind with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word for it in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Core => "core",
            Self::Mount => "mount",
            Self::Disk => "disk",
            Self::Interface => "interface",
            Self::Gpu => "gpu",
            Self::Sensor => "sensor",
        }
    }

    /// The metrics of such devices, by rising number.
    pub fn metrics(self) -> &'static [&'static Metric] {
        &METRICS_OF[self as usize]
    }

    /// How many entries of the sample may hold such a device.
    pub(super) fn len(self, sample: &Sample) -> usize {
        match self {
            Self::Host => 1,
            Self::Core => sample.cpu.cores.len(),
            Self::Mount | Self::Disk => sample.disks.len(),
            Self::Interface => sample.network_interfaces.len(),
            Self::Gpu => sample.gpus.len(),
            Self::Sensor => sample.temperatures.len(),
        }
    }

    pub(super) fn label(self, sample: &Sample, index: usize) -> Cow<'_, str> {
        match self {
            Self::Host => Cow::Borrowed(""),
            Self::Core => Cow::Owned(sample.cpu.cores[index].core.to_string()),
            Self::Mount => Cow::Borrowed(&sample.disks[index].mount_point),
            Self::Disk => Cow::Borrowed(disk_label(&sample.disks[index].device)),
            Self::Interface => Cow::Borrowed(&sample.network_interfaces[index].interface),
            Self::Gpu => Cow::Owned(sample.gpus[index].index.to_string()),
            Self::Sensor => Cow::Borrowed(&sample.temperatures[index].sensor),
        }
    }

    /// Whether a sum over devices counts this one: parts of others are not counted again.
    pub(super) fn is_root(self, sample: &Sample, index: usize) -> bool {
        self != Self::Disk || sample.disks[index].parent.is_empty()
    }

    /// Takes the entry at `index` out; a mount and its disk share one.
    pub(super) fn remove(self, sample: &mut Sample, index: usize) {
        match self {
            Self::Host => {}
            Self::Core => drop(sample.cpu.cores.remove(index)),
            Self::Mount | Self::Disk => drop(sample.disks.remove(index)),
            Self::Interface => drop(sample.network_interfaces.remove(index)),
            Self::Gpu => drop(sample.gpus.remove(index)),
            Self::Sensor => drop(sample.temperatures.remove(index)),
        }
    }

    pub(super) fn attributes(self, sample: &Sample, index: usize) -> Vec<(Attribute, &str)> {
        let all = match self {
            Self::Mount => vec![(Attribute::Device, sample.disks[index].device.as_str())],
            Self::Disk => vec![(Attribute::Parent, sample.disks[index].parent.as_str())],
            Self::Gpu => vec![
                (Attribute::Name, sample.gpus[index].name.as_str()),
                (Attribute::Uuid, sample.gpus[index].uuid.as_str()),
            ],
            Self::Host | Self::Core | Self::Interface | Self::Sensor => Vec::new(),
        };
        all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
    }

    /// Writes an attribute of the device at `index`; those that don't belong to its kind are left out.
    pub fn describe(self, sample: &mut Sample, index: usize, attribute: Attribute, text: &str) {
        match (self, attribute) {
            (Self::Mount, Attribute::Device) => text.clone_into(&mut sample.disks[index].device),
            (Self::Disk, Attribute::Parent) => text.clone_into(&mut sample.disks[index].parent),
            (Self::Gpu, Attribute::Name) => text.clone_into(&mut sample.gpus[index].name),
            (Self::Gpu, Attribute::Uuid) => text.clone_into(&mut sample.gpus[index].uuid),
            _ => {}
        }
    }

    /// The place of the device with this label, which is added if the sample does not have it. Labels that can't be
    /// of this kind (a core that is no number) stand for device 0.
    ///
    /// A disk is found under its mount's entry if that mount was described with its device before.
    pub fn find_or_add(self, sample: &mut Sample, label: &str) -> usize {
        if let Some(found) = (0..self.len(sample)).find(|index| self.label(sample, *index) == label) {
            return found;
        }
        match self {
            Self::Host => return 0,
            Self::Core => {
                sample.cpu.cores.push(CoreMetrics {
                    core: label.parse().unwrap_or(0),
                    ..Default::default()
                });
            }
            Self::Mount => sample.disks.push(DiskMetrics {
                mount_point: label.to_owned(),
                ..Default::default()
            }),
            Self::Disk => sample.disks.push(DiskMetrics {
                device: disk_device(label),
                ..Default::default()
            }),
            Self::Interface => {
                let interface = label.to_owned();
                sample.network_interfaces.push(NetworkMetrics {
                    interface,
                    ..Default::default()
                });
            }
            Self::Gpu => {
                sample.gpus.push(GpuMetrics {
                    index: label.parse().unwrap_or(0),
                    ..Default::default()
                });
            }
            Self::Sensor => {
                sample.temperatures.push(TemperatureMetrics {
                    sensor: label.to_owned(),
                    ..Default::default()
                });
            }
        }
        self.len(sample) - 1
    }
}

const DEV: &str = "/dev/";

/// A block device's label: its path less `/dev/`.
fn disk_label(device: &str) -> &str {
    device.strip_prefix(DEV).unwrap_or(device)
}

/// The device that [`disk_label`] made a label of. Network devices (`nas:/export`) have no `/dev/`.
fn disk_device(label: &str) -> String {
    if label.contains(':') || label.starts_with('/') {
        label.to_owned()
    } else {
        format!("{DEV}{label}")
    }
}
