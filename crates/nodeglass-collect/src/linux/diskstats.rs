//! I/O of block devices: `/proc/diskstats`.

use std::time::Duration;

use nodeglass_model::rates::{busy_percent, per_second};
use nodeglass_model::sample::DiskMetrics;

use super::mounts::DeviceNumber;
use super::scan::{fields, lines, take_numbers, text};

/// What the kernel calls a sector here, whatever the device's own are.
const SECTOR_BYTES: u64 = 512;

/// Devices in memory, images, and drives for removable media.
const LEFT_OUT: [&str; 5] = ["loop", "ram", "zram", "fd", "sr"];

/// The counters of one block device since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DiskCounters {
    pub(super) number: DeviceNumber,
    /// The kernel's name: `sda1`, `dm-0`.
    pub(super) name: String,
    reads: u64,
    read_bytes: u64,
    writes: u64,
    written_bytes: u64,
    busy_ms: u64,
}

impl DiskCounters {
    /// Whether it is worth showing though nothing on it is mounted.
    pub(super) fn stands_alone(&self) -> bool {
        let is_left_out = LEFT_OUT.iter().any(|prefix| {
            let number = self.name.strip_prefix(prefix);
            number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        });
        !is_left_out && (self.reads > 0 || self.writes > 0)
    }

    /// Fills in the I/O since `before`; a first reading and a reset fill in nothing.
    pub(super) fn derive_into(&self, before: Option<&Self>, elapsed: Duration, entry: &mut DiskMetrics) {
        let Some(before) = before.filter(|before| before.name == self.name) else {
            return;
        };
        entry.read_bytes_per_sec = per_second(before.read_bytes, self.read_bytes, elapsed);
        entry.write_bytes_per_sec = per_second(before.written_bytes, self.written_bytes, elapsed);
        entry.read_ops_per_sec = per_second(before.reads, self.reads, elapsed);
        entry.write_ops_per_sec = per_second(before.writes, self.writes, elapsed);
        entry.io_util_percent = busy_percent(before.busy_ms, self.busy_ms, elapsed);
    }
}

/// Parses `/proc/diskstats`; lines with too few columns are passed over.
pub(super) fn parse_diskstats(diskstats: &[u8]) -> Vec<DiskCounters> {
    lines(diskstats).filter_map(parse_disk).collect()
}

/// `major minor name`, then reads, merged, sectors, ms, writes, merged, sectors, ms, in flight, ms busy, ...
fn parse_disk(line: &[u8]) -> Option<DiskCounters> {
    let mut fields = fields(line);
    let [major, minor] = take_numbers(&mut fields)?;
    let name = text(fields.next()?);
    let [
        reads,
        _,
        sectors_read,
        _,
        writes,
        _,
        sectors_written,
        _,
        _,
        busy_ms,
    ] = take_numbers(&mut fields)?;
    Some(DiskCounters {
        number: (u32::try_from(major).ok()?, u32::try_from(minor).ok()?),
        name,
        reads,
        read_bytes: sectors_read.saturating_mul(SECTOR_BYTES),
        writes,
        written_bytes: sectors_written.saturating_mul(SECTOR_BYTES),
        busy_ms,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: &[u8] = include_bytes!("../../fixtures/linux-6.18-kvm/t0/proc/diskstats");
    const T1: &[u8] = include_bytes!("../../fixtures/linux-6.18-kvm/t1/proc/diskstats");

    fn disk(diskstats: &[u8], name: &str) -> DiskCounters {
        let disks = parse_diskstats(diskstats);
        disks.into_iter().find(|disk| disk.name == name).unwrap()
    }

    fn derive(before: &DiskCounters, after: &DiskCounters, elapsed: Duration) -> DiskMetrics {
        let mut entry = DiskMetrics::default();
        after.derive_into(Some(before), elapsed, &mut entry);
        entry
    }

    #[test]
    fn io_of_the_capture() {
        let io = derive(&disk(T0, "vda"), &disk(T1, "vda"), Duration::from_millis(5_120));
        // Reads 15409 - 15397 = 12, sectors (6598194 - 6596082) x 512 = 1081344 bytes, in 5.12 s.
        assert_eq!(io.read_ops_per_sec, Some(2));
        assert_eq!(io.read_bytes_per_sec, Some(211_200));
        // Writes 5995 - 4444 = 1551, sectors (4610960 - 3548008) x 512 = 544231424 bytes.
        assert_eq!(io.write_ops_per_sec, Some(303));
        assert_eq!(io.write_bytes_per_sec, Some(106_295_200));
        assert_eq!(io.io_util_percent, Some(8.36), "(7244 - 6816) / 5120");
    }

    #[test]
    fn devices_in_memory_and_those_never_used_do_not_stand_alone() {
        let names: Vec<String> = parse_diskstats(T0)
            .into_iter()
            .filter(DiskCounters::stands_alone)
            .map(|disk| disk.name)
            .collect();
        assert_eq!(names, ["vda"]);
        let busy =
            |name: &str| parse_diskstats(format!("1 0 {name} 1 1 1 1 1 1 1 1 1 1 1").as_bytes()).remove(0);
        for name in ["loop0", "ram1", "zram0", "fd0", "sr0"] {
            assert!(!busy(name).stands_alone(), "{name}");
        }
        for name in ["sda", "sdr", "srv", "nvme0n1", "dm-0", "md127"] {
            assert!(busy(name).stands_alone(), "{name}");
        }
    }

    #[test]
    fn another_device_at_the_same_number_has_no_rates_yet() {
        let before = disk(T0, "vda");
        let after = DiskCounters {
            name: "sdb".to_owned(),
            ..disk(T1, "vda")
        };
        assert_eq!(
            derive(&before, &after, Duration::from_secs(1)),
            DiskMetrics::default()
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse_diskstats(&[b"8 0 sda ", &text[..]].concat());
        }

        #[test]
        fn a_counter_that_went_back_gives_nothing(before: u32, after: u32) {
            let counters = |value: u32| parse_disk(format!("8 0 sda 1 0 {value} 0 1 0 1 0 0 {value} 0").as_bytes());
            let (before_, after_) = (counters(before).unwrap(), counters(after).unwrap());
            let io = derive(&before_, &after_, Duration::from_secs(1));
            prop_assert_eq!(io.read_bytes_per_sec.is_some(), after >= before);
            let in_range = io.io_util_percent.is_none_or(|busy| (0.0..=100.0).contains(&busy));
            prop_assert!(in_range);
        }
    }
}
