//! The kinds of devices that metrics are of, and how a sample holds them: one row each, and everything that depends on
//! the kind is made from it.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::metric::Access;
use super::{METRICS, Metric};
use crate::sample::{
    BatteryMetrics, CollectorMetrics, ContainerMetrics, CoreMetrics, CustomMetrics, DiskMetrics, FanMetrics,
    GpuMetrics, NetworkMetrics, PowerMetrics, ProcessEntry, Sample, TaskProcessMetrics, TemperatureMetrics,
    UnitMetrics,
};

/// A text that describes a device beyond its label. The numbers are those on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Attribute {
    /// The device under a mount.
    Device = 1,
    /// The device that this one is a part of or lies upon.
    Parent = 2,
    /// A model's or a program's name.
    Name = 3,
    /// A lasting identity.
    Uuid = 4,
    /// A command line.
    Command = 5,
    /// Who runs it.
    User = 6,
    /// The systemd unit that it belongs to.
    Unit = 7,
    /// The container that it belongs to.
    Container = 8,
    /// Its control group.
    Cgroup = 9,
    /// A container's identity.
    Id = 10,
    /// What a container was made from.
    Image = 11,
    /// What runs a container.
    Runtime = 12,
}

impl Attribute {
    /// The attribute with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Device,
            Self::Parent,
            Self::Name,
            Self::Uuid,
            Self::Command,
            Self::User,
            Self::Unit,
            Self::Container,
            Self::Cgroup,
            Self::Id,
            Self::Image,
            Self::Runtime,
        ]
        .into_iter()
        .find(|known| *known as u8 == number)
    }
}

/// Declares the kinds of devices. A row has the kind, its number on disk, its name, its entries and where a sample has
/// them; then `key`, what tells two devices of the kind apart; `label`, the key as a text; `named`, the entry that a
/// label stands for; `part`, whether a sum leaves the entry out because another counts it; and the attributes.
macro_rules! dimensions {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $number:literal $name:literal: $entry:ty, $at:ident => $list:expr,
        {
            key($device:ident) $key:expr;
            label $label:expr;
            named($text:ident) $named:expr;
            $(part $part:expr;)?
            $(described { $($attribute:ident: $field:ident),+ })?
        }
    )+) => {
        /// A kind of device. The numbers are those on disk.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Dimension {
            /// The host itself; its label is empty.
            Host = 0,
            $($(#[$doc])* $kind = $number,)+
        }

        /// Where a metric stands in a sample, and with that what kind of device it is of.
        #[derive(Debug)]
        pub enum Field {
            /// One value for the host.
            Host(Access<Sample>),
            $($(#[$doc])* $kind(Access<$entry>),)+
        }

        impl Field {
            pub(super) fn dimension(&self) -> Dimension {
                match self {
                    Self::Host(_) => Dimension::Host,
                    $(Self::$kind(_) => Dimension::$kind,)+
                }
            }

            pub(super) fn read(&self, sample: &Sample, index: usize) -> Option<f64> {
                match self {
                    Self::Host(at) => (at.read)(sample),
                    $(Self::$kind(at) => { let $at = sample; (at.read)(&$list[index]) },)+
                }
            }

            pub(super) fn write(&self, sample: &mut Sample, index: usize, value: Option<f64>) {
                match self {
                    Self::Host(at) => (at.write)(sample, value),
                    $(Self::$kind(at) => { let $at = sample; (at.write)(&mut $list[index], value); },)+
                }
            }
        }

        impl Dimension {
            /// Every kind, the host first, by rising number.
            pub const ALL: [Self; KINDS] = [Self::Host, $(Self::$kind),+];

            /// The word for it in documents.
            pub fn name(self) -> &'static str {
                match self {
                    Self::Host => "host",
                    $(Self::$kind => $name,)+
                }
            }

            /// How many entries of the sample may hold such a device.
            pub fn len(self, sample: &Sample) -> usize {
                match self {
                    Self::Host => 1,
                    $(Self::$kind => { let $at = sample; $list.len() })+
                }
            }

            /// The label of the device at `index`.
            pub fn label(self, sample: &Sample, index: usize) -> Cow<'_, str> {
                match self {
                    Self::Host => Cow::Borrowed(""),
                    $(Self::$kind => {
                        let $at = sample;
                        let $device = &$list[index];
                        Cow::from($label)
                    })+
                }
            }

            /// The length of all texts of the device at `index`, its label's among them.
            pub fn text_bytes(self, sample: &Sample, index: usize) -> usize {
                let mut bytes = self.label(sample, index).len();
                match self {
                    Self::Host => {}
                    $(Self::$kind => {
                        let $at = sample;
                        let device = &$list[index];
                        let _ = device;
                        $($(bytes += device.$field.len();)+)?
                    })+
                }
                bytes
            }

            /// Whether two samples have the same device at these places, described by the same texts.
            pub fn is_same(self, one: (&Sample, usize), other: (&Sample, usize)) -> bool {
                match self {
                    Self::Host => true,
                    $(Self::$kind => {
                        let $at = one.0;
                        let $device = &$list[one.1];
                        let before = $device;
                        let key = $key;
                        let $at = other.0;
                        let $device = &$list[other.1];
                        let _ = before;
                        key == $key $($(&& before.$field == $device.$field)+)?
                    })+
                }
            }

            /// Whether a sum over devices counts this one: parts of others are not counted again.
            pub(super) fn is_root(self, sample: &Sample, index: usize) -> bool {
                match self {
                    Self::Host => true,
                    $(Self::$kind => {
                        let $at = sample;
                        let $device = &$list[index];
                        let _ = $device;
                        true $(&& !$part)?
                    })+
                }
            }

            /// Whether some of these devices may be parts of others.
            pub fn has_parts(self) -> bool {
                let parts: &[&str] = match self {
                    Self::Host => &[],
                    $(Self::$kind => &[$(stringify!($part))?],)+
                };
                !parts.is_empty()
            }

            /// Takes the entry at `index` out; a mount and its disk share one.
            pub(super) fn remove(self, sample: &mut Sample, index: usize) {
                match self {
                    Self::Host => {}
                    $(Self::$kind => { let $at = sample; let _ = $list.remove(index); })+
                }
            }

            /// Appends to one sample an entry of another with its texts and figures; `false` if there is none.
            pub fn copy(self, from: (&Sample, usize), to: &mut Sample) -> bool {
                match self {
                    Self::Host => false,
                    $(Self::$kind => {
                        let $at = from.0;
                        let Some(entry) = $list.get(from.1).cloned() else { return false };
                        let $at = to;
                        $list.push(entry);
                        true
                    })+
                }
            }

            /// Exchanges all entries of this kind between two samples.
            pub fn swap(self, one: &mut Sample, other: &mut Sample) {
                match self {
                    Self::Host => {}
                    $(Self::$kind => {
                        let $at = one;
                        let entries = &mut $list;
                        let $at = other;
                        std::mem::swap(entries, &mut $list);
                    })+
                }
            }

            /// The texts that describe the device at `index`, without those that are empty.
            pub fn attributes(self, sample: &Sample, index: usize) -> Vec<(Attribute, &str)> {
                let mut all = match self {
                    Self::Host => Vec::new(),
                    $(Self::$kind => {
                        let $at = sample;
                        let device = &$list[index];
                        let _ = device;
                        vec![$($((Attribute::$attribute, device.$field.as_str())),+)?]
                    })+
                };
                all.retain(|(_, text)| !text.is_empty());
                all
            }

            /// Writes an attribute of the device at `index`; those that don't belong to its kind are left out.
            pub fn describe(self, sample: &mut Sample, index: usize, attribute: Attribute, text: &str) {
                match (self, attribute) {
                    $($($((Self::$kind, Attribute::$attribute) => {
                        let $at = sample;
                        text.clone_into(&mut $list[index].$field);
                    })+)?)+
                    _ => {}
                }
            }

            /// Keeps no room for more devices than there are.
            pub fn shrink(self, sample: &mut Sample) {
                match self {
                    Self::Host => {}
                    $(Self::$kind => {
                        let $at = sample;
                        $list.shrink_to_fit();
                    })+
                }
            }

            /// Adds a device with this label and nothing else, whether or not there is one already, and gives its place.
            /// Labels that can't be of this kind (a core that is no number) stand for device 0.
            pub fn add(self, sample: &mut Sample, label: &str) -> usize {
                match self {
                    Self::Host => {}
                    $(Self::$kind => {
                        let $text = label;
                        let $at = &mut *sample;
                        $list.push($named);
                    })+
                }
                self.len(sample) - 1
            }
        }
    };
}

const KINDS: usize = 16;

dimensions! {
    /// Logical cores, labelled `0`, `1`, ...
    Core = 1 "core": CoreMetrics, s => s.cpu.cores, {
        key(it) it.core;
        label it.core.to_string();
        named(label) CoreMetrics { core: number(label), ..Default::default() };
    }
    /// Mounted file systems, labelled with the mount point: `/`, `/home`.
    Mount = 2 "mount point": DiskMetrics, s => s.disks, {
        key(it) it.mount_point.as_str();
        label it.mount_point.as_str();
        named(label) DiskMetrics { mount_point: label.to_owned(), ..Default::default() };
        described { Device: device }
    }
    /// Block devices, labelled with the device less `/dev/`: `sda`, `nvme0n1p1`.
    Disk = 3 "disk": DiskMetrics, s => s.disks, {
        key(it) it.device.as_str();
        label disk_label(&it.device);
        named(label) DiskMetrics { device: disk_device(label), ..Default::default() };
        part !it.parent.is_empty();
        described { Parent: parent }
    }
    /// Network interfaces, labelled with their name: `eth0`.
    Interface = 4 "interface": NetworkMetrics, s => s.network_interfaces, {
        key(it) it.interface.as_str();
        label it.interface.as_str();
        named(label) NetworkMetrics { interface: label.to_owned(), ..Default::default() };
    }
    /// Graphics processors, labelled with their number, `0`; a part of one (MIG) with both, `0/3`.
    Gpu = 5 "gpu": GpuMetrics, s => s.gpus, {
        key(it) (it.index, it.mig_instance);
        label match it.mig_instance {
            Some(instance) => format!("{}/{instance}", it.index),
            None => it.index.to_string(),
        };
        named(label) {
            let (index, instance) = label.split_once('/').unzip();
            GpuMetrics {
                index: number(index.unwrap_or(label)),
                mig_instance: instance.map(number),
                ..Default::default()
            }
        };
        part it.mig_instance.is_some();
        described { Name: name, Uuid: uuid }
    }
    /// Temperature sensors, labelled `chip/label`.
    Sensor = 6 "sensor": TemperatureMetrics, s => s.temperatures, {
        key(it) it.sensor.as_str();
        label it.sensor.as_str();
        named(label) TemperatureMetrics { sensor: label.to_owned(), ..Default::default() };
    }
    /// Fans, labelled `chip/label`.
    Fan = 7 "fan": FanMetrics, s => s.fans, {
        key(it) it.sensor.as_str();
        label it.sensor.as_str();
        named(label) FanMetrics { sensor: label.to_owned(), ..Default::default() };
    }
    /// Power meters, labelled with their name: `package-0`.
    Power = 8 "meter": PowerMetrics, s => s.power_meters, {
        key(it) it.meter.as_str();
        label it.meter.as_str();
        named(label) PowerMetrics { meter: label.to_owned(), ..Default::default() };
        part !it.parent.is_empty();
        described { Parent: parent }
    }
    /// Batteries, labelled with their name: `BAT0`.
    Battery = 9 "battery": BatteryMetrics, s => s.batteries, {
        key(it) it.battery.as_str();
        label it.battery.as_str();
        named(label) BatteryMetrics { battery: label.to_owned(), ..Default::default() };
    }
    /// Failed systemd units, labelled with their name: `backup.service`.
    Unit = 10 "unit": UnitMetrics, s => s.units, {
        key(it) it.unit.as_str();
        label it.unit.as_str();
        named(label) UnitMetrics { unit: label.to_owned(), ..Default::default() };
    }
    /// Processes among the first by some measure, labelled with pid and start in Unix seconds: `4242.1763712000`.
    Process = 11 "process": ProcessEntry, s => s.processes.top, {
        key(it) (it.pid, it.start_time);
        label format!("{}.{}", it.pid, it.start_time);
        named(label) {
            let (pid, start) = label.split_once('.').unwrap_or((label, ""));
            ProcessEntry { pid: number(pid), start_time: number(start), ..Default::default() }
        };
        described {
            Name: name, Command: command, User: user, Unit: unit, Container: container, Cgroup: cgroup
        }
    }
    /// Tasks that somebody asked to be followed, labelled with their name.
    Task = 12 "task": TaskProcessMetrics, s => s.processes.task_processes, {
        key(it) it.task_id.as_str();
        label it.task_id.as_str();
        named(label) TaskProcessMetrics { task_id: label.to_owned(), ..Default::default() };
        described { Command: command }
    }
    /// Containers, labelled with their name.
    Container = 13 "container": ContainerMetrics, s => s.containers, {
        key(it) it.name.as_str();
        label it.name.as_str();
        named(label) ContainerMetrics { name: label.to_owned(), ..Default::default() };
        described { Id: id, Image: image, Runtime: runtime, Cgroup: cgroup }
    }
    /// Collectors that have something to say of themselves, labelled with their name: `disk`.
    Collector = 14 "collector": CollectorMetrics, s => s.collectors, {
        key(it) it.collector.as_str();
        label it.collector.as_str();
        named(label) CollectorMetrics { collector: label.to_owned(), ..Default::default() };
    }
    /// Figures of a program's own, labelled with their name: `queue_length`.
    Custom = 15 "custom figure": CustomMetrics, s => s.custom, {
        key(it) it.name.as_str();
        label it.name.as_str();
        named(label) CustomMetrics { name: label.to_owned(), ..Default::default() };
    }
}

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
    /// The kind with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The metrics of such devices, by rising number.
    pub fn metrics(self) -> &'static [&'static Metric] {
        &METRICS_OF[self as usize]
    }

    /// The kind that holds the entries of this one: a disk is found in the entry of its mount.
    pub fn holder(self) -> Self {
        if self == Self::Disk { Self::Mount } else { self }
    }

    /// The kinds that share the entries of this one, itself first; none if another kind holds its entries.
    pub fn views(self) -> &'static [Self] {
        if self == Self::Mount {
            return &[Self::Mount, Self::Disk];
        }
        let own = usize::from(self.holder() == self);
        let place = self as usize;
        &Self::ALL[place..place + own]
    }

    /// The place of the device with this label, which is added if the sample does not have it.
    ///
    /// A disk is found under its mount's entry if that mount was described with its device before.
    pub fn find_or_add(self, sample: &mut Sample, label: &str) -> usize {
        if self == Self::Host {
            return 0;
        }
        let find = |sample: &Sample, label: &str, entries: usize| {
            (0..entries).find(|index| self.label(sample, *index) == label)
        };
        let before = self.len(sample);
        if let Some(found) = find(sample, label, before) {
            return found;
        }
        // Two texts may stand for one device: the first of them added it.
        let added = self.add(sample, label);
        let own = self.label(sample, added).into_owned();
        match find(sample, &own, before) {
            Some(found) => {
                self.remove(sample, added);
                found
            }
            None => added,
        }
    }
}

/// A label that is a number; 0 where it is none.
fn number<N: std::str::FromStr + Default>(label: &str) -> N {
    label.parse().unwrap_or_default()
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
