//! Block devices: `diskstats`, with what udev knows of them.

use super::Outcome;
use super::tree::Tree;
use crate::exposition::text::FamilyKind::{Counter, Gauge};
use crate::exposition::text::{Exposition, FamilyKind};
use crate::linux::scan::{fields, lines, parse_number, take_numbers, text};

const SECTOR_BYTES: f64 = 512.0;
const MILLISECOND: f64 = 0.001;

/// The columns of `/proc/diskstats` behind the name, in its order; old kernels have the first 11 or 15 of them.
const COLUMNS: [(&str, FamilyKind, f64, &str); 17] = [
    (
        "reads_completed_total",
        Counter,
        1.0,
        "The total number of reads completed successfully.",
    ),
    (
        "reads_merged_total",
        Counter,
        1.0,
        "The total number of reads merged.",
    ),
    (
        "read_bytes_total",
        Counter,
        SECTOR_BYTES,
        "The total number of bytes read successfully.",
    ),
    (
        "read_time_seconds_total",
        Counter,
        MILLISECOND,
        "The total number of seconds spent by all reads.",
    ),
    (
        "writes_completed_total",
        Counter,
        1.0,
        "The total number of writes completed successfully.",
    ),
    (
        "writes_merged_total",
        Counter,
        1.0,
        "The number of writes merged.",
    ),
    (
        "written_bytes_total",
        Counter,
        SECTOR_BYTES,
        "The total number of bytes written successfully.",
    ),
    (
        "write_time_seconds_total",
        Counter,
        MILLISECOND,
        "This is the total number of seconds spent by all writes.",
    ),
    ("io_now", Gauge, 1.0, "The number of I/Os currently in progress."),
    (
        "io_time_seconds_total",
        Counter,
        MILLISECOND,
        "Total seconds spent doing I/Os.",
    ),
    (
        "io_time_weighted_seconds_total",
        Counter,
        MILLISECOND,
        "The weighted # of seconds spent doing I/Os.",
    ),
    (
        "discards_completed_total",
        Counter,
        1.0,
        "The total number of discards completed successfully.",
    ),
    (
        "discards_merged_total",
        Counter,
        1.0,
        "The total number of discards merged.",
    ),
    (
        "discarded_sectors_total",
        Counter,
        1.0,
        "The total number of sectors discarded successfully.",
    ),
    (
        "discard_time_seconds_total",
        Counter,
        MILLISECOND,
        "This is the total number of seconds spent by all discards.",
    ),
    (
        "flush_requests_total",
        Counter,
        1.0,
        "The total number of flush requests completed successfully",
    ),
    (
        "flush_requests_time_seconds_total",
        Counter,
        MILLISECOND,
        "This is the total number of seconds spent by all flush requests.",
    ),
];

struct Disk {
    name: String,
    major: String,
    minor: String,
    columns: Vec<u64>,
    udev: Udev,
}

/// Counters of every block device but partitions, loop devices and the like.
pub(super) fn write_diskstats(tree: &mut Tree, out: &mut Exposition) -> Outcome {
    let mut disks: Vec<Disk> = lines(tree.read("proc/diskstats")?)
        .filter_map(parse_disk)
        .filter(|disk| !is_left_out(&disk.name))
        .collect();
    for disk in &mut disks {
        disk.udev = Udev::read(tree, &disk.major, &disk.minor);
    }
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    write_info(&disks, out);
    for (column, (name, kind, factor, help)) in COLUMNS.into_iter().enumerate() {
        let name = format!("node_disk_{name}");
        let mut family = out.family(&name, kind, help);
        for disk in &disks {
            let value = disk.columns.get(column).map(|value| *value as f64 * factor);
            family.series_if(&[("device", &disk.name)], value);
        }
    }
    Ok(())
}

fn parse_disk(line: &[u8]) -> Option<Disk> {
    let mut fields = fields(line);
    let [major, minor] = take_numbers(&mut fields)?;
    Some(Disk {
        major: major.to_string(),
        minor: minor.to_string(),
        name: text(fields.next()?),
        columns: fields.map_while(parse_number).collect(),
        udev: Udev::default(),
    })
}

/// `^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`
fn is_left_out(name: &str) -> bool {
    let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
    if stem.len() == name.len() {
        return false;
    }
    let is_partition = ["hd", "sd", "vd", "xvd"].iter().any(|kind| {
        let letter = stem.strip_prefix(kind).unwrap_or_default();
        letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase())
    });
    let is_nvme_partition = || {
        let (controller, namespace) = stem.strip_prefix("nvme")?.strip_suffix('p')?.split_once('n')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(controller) && is_number(namespace)).then_some(())
    };
    matches!(stem, "ram" | "loop" | "fd") || is_partition || is_nvme_partition().is_some()
}

fn write_info(disks: &[Disk], out: &mut Exposition) {
    for (name, key, help) in [
        (
            "node_disk_ata_rotation_rate_rpm",
            "ID_ATA_ROTATION_RATE_RPM",
            "ATA disk rotation rate in RPMs (0 for SSDs).",
        ),
        (
            "node_disk_ata_write_cache",
            "ID_ATA_WRITE_CACHE",
            "ATA disk has a write cache.",
        ),
        (
            "node_disk_ata_write_cache_enabled",
            "ID_ATA_WRITE_CACHE_ENABLED",
            "ATA disk has its write cache enabled.",
        ),
    ] {
        let mut family = out.family(name, Gauge, help);
        for disk in disks.iter().filter(|disk| !disk.udev.value("ID_ATA").is_empty()) {
            family.series_if(&[("device", &disk.name)], disk.udev.value(key).parse().ok());
        }
    }
    let mut family = out.family(
        "node_disk_device_mapper_info",
        Gauge,
        "Info about disk device mapper.",
    );
    for disk in disks.iter().filter(|disk| !disk.udev.value("DM_NAME").is_empty()) {
        let labels = [
            ("device", &*disk.name),
            ("lv_layer", disk.udev.value("DM_LV_LAYER")),
            ("lv_name", disk.udev.value("DM_LV_NAME")),
            ("name", disk.udev.value("DM_NAME")),
            ("uuid", disk.udev.value("DM_UUID")),
            ("vg_name", disk.udev.value("DM_VG_NAME")),
        ];
        family.series(&labels, 1.0);
    }
    let mut family = out.family("node_disk_filesystem_info", Gauge, "Info about disk filesystem.");
    for disk in disks
        .iter()
        .filter(|disk| !disk.udev.value("ID_FS_TYPE").is_empty())
    {
        let labels = [
            ("device", &*disk.name),
            ("type", disk.udev.value("ID_FS_TYPE")),
            ("usage", disk.udev.value("ID_FS_USAGE")),
            ("uuid", disk.udev.value("ID_FS_UUID")),
            ("version", disk.udev.value("ID_FS_VERSION")),
        ];
        family.series(&labels, 1.0);
    }
    let mut family = out.family("node_disk_info", Gauge, "Info of /sys/block/<block_device>.");
    for disk in disks {
        // The number on the disk's case, or the nearest thing to it.
        let serial = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]
            .map(|key| disk.udev.value(key))
            .into_iter()
            .find(|serial| !serial.is_empty());
        let labels = [
            ("device", &*disk.name),
            ("major", &disk.major),
            ("minor", &disk.minor),
            ("model", disk.udev.value("ID_MODEL")),
            ("path", disk.udev.value("ID_PATH")),
            ("revision", disk.udev.value("ID_REVISION")),
            ("serial", serial.unwrap_or_default()),
            ("wwn", disk.udev.value("ID_WWN")),
        ];
        family.series(&labels, 1.0);
    }
}

/// What udev found out about a device: `E:KEY=value`.
#[derive(Default)]
struct Udev(Vec<(String, String)>);

impl Udev {
    fn read(tree: &mut Tree, major: &str, minor: &str) -> Self {
        let properties = tree.read(&format!("run/udev/data/b{major}:{minor}"));
        let parse = |line: &[u8]| {
            let line = str::from_utf8(line.strip_prefix(b"E:")?).ok()?;
            let (key, value) = line.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        Self(properties.map_or_else(|_| Vec::new(), |text| lines(text).filter_map(parse).collect()))
    }

    /// A property; empty where there is none.
    fn value(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == key);
        found.map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_devices_in_memory_are_left_out() {
        for name in [
            "ram0",
            "loop12",
            "fd0",
            "sda1",
            "vdb12",
            "xvda1",
            "hdc3",
            "nvme0n1p2",
        ] {
            assert!(is_left_out(name), "{name}");
        }
        for name in [
            "sda",
            "nvme0n1",
            "dm-0",
            "md127",
            "zram0",
            "mmcblk0p1",
            "sdaa1",
            "sr0",
            "ram",
            "nvmen1p1",
        ] {
            assert!(!is_left_out(name), "{name}");
        }
    }
}
