//! I/O of block devices: `/proc/diskstats`.

use std::time::Duration;

use nodeglass_model::rates::{busy_percent, mean_cost, mean_under_way, per_second};
use nodeglass_model::sample::DiskMetrics;

use super::mounts::DeviceNumber;
use super::scan::{fields, lines, take_numbers, text};
use crate::filters::fits_any;

/// What the kernel calls a sector here, whatever the device's own are.
const SECTOR_BYTES: u64 = 512;

/// No device has more requests under way than this.
const MOST_IN_FLIGHT: u32 = 1 << 30;

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
    reading_ms: u64,
    writing_ms: u64,
    in_flight: u64,
    /// Grows by one for each millisecond and request under way.
    weighted_ms: u64,
}

impl DiskCounters {
    /// Whether it is worth showing though nothing on it is mounted.
    pub(super) fn stands_alone(&self) -> bool {
        self.reads > 0 || self.writes > 0
    }

    /// Fills in the I/O since `before`, of which a first reading and a reset have none, and the requests under way.
    pub(super) fn derive_into(&self, before: Option<&Self>, elapsed: Duration, entry: &mut DiskMetrics) {
        // Some kernels let this count fall below nothing, and show that as a number near the highest.
        entry.requests_in_flight = u32::try_from(self.in_flight)
            .ok()
            .filter(|requests| *requests <= MOST_IN_FLIGHT);
        let Some(before) = before.filter(|before| before.name == self.name) else {
            return;
        };
        entry.read_bytes_per_sec = per_second(before.read_bytes, self.read_bytes, elapsed);
        entry.write_bytes_per_sec = per_second(before.written_bytes, self.written_bytes, elapsed);
        entry.read_ops_per_sec = per_second(before.reads, self.reads, elapsed);
        entry.write_ops_per_sec = per_second(before.writes, self.writes, elapsed);
        entry.io_util_percent = busy_percent(before.busy_ms, self.busy_ms, elapsed);
        entry.read_await_ms = mean_cost((before.reading_ms, self.reading_ms), (before.reads, self.reads));
        entry.write_await_ms = mean_cost((before.writing_ms, self.writing_ms), (before.writes, self.writes));
        entry.queue_length = mean_under_way(before.weighted_ms, self.weighted_ms, elapsed);
    }
}

/// Parses `/proc/diskstats`; devices whose names fit a pattern and lines with too few columns are passed over.
pub(super) fn parse_diskstats(diskstats: &[u8], exclude: &[String]) -> Vec<DiskCounters> {
    lines(diskstats)
        .filter_map(|line| parse_disk(line, exclude))
        .collect()
}

/// `major minor name`, then reads, merged, sectors, ms, writes, merged, sectors, ms, in flight, ms busy, weighted ms,
/// ...
fn parse_disk(line: &[u8], exclude: &[String]) -> Option<DiskCounters> {
    let mut fields = fields(line);
    let [major, minor] = take_numbers(&mut fields)?;
    let name = fields.next().filter(|name| !fits_any(exclude, name))?;
    let [
        reads,
        _,
        sectors_read,
        reading_ms,
        writes,
        _,
        sectors_written,
        writing_ms,
        in_flight,
        busy_ms,
        weighted_ms,
    ] = take_numbers(&mut fields)?;
    Some(DiskCounters {
        number: (u32::try_from(major).ok()?, u32::try_from(minor).ok()?),
        name: text(name),
        reads,
        read_bytes: sectors_read.saturating_mul(SECTOR_BYTES),
        writes,
        written_bytes: sectors_written.saturating_mul(SECTOR_BYTES),
        busy_ms,
        reading_ms,
        writing_ms,
        in_flight,
        weighted_ms,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filters::DeviceFilters;

    const T0: &[u8] = include_bytes!("../../fixtures/linux-6.18-kvm/t0/proc/diskstats");
    const T1: &[u8] = include_bytes!("../../fixtures/linux-6.18-kvm/t1/proc/diskstats");

    fn disk(diskstats: &[u8], name: &str) -> DiskCounters {
        let disks = parse_diskstats(diskstats, &DeviceFilters::default().exclude_disks);
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
    fn excluded_devices_are_passed_over_and_those_never_used_do_not_stand_alone() {
        let names = |exclude: &[String]| -> Vec<String> {
            let disks = parse_diskstats(T0, exclude).into_iter();
            disks.map(|disk| disk.name).collect()
        };
        assert_eq!(names(&DeviceFilters::default().exclude_disks), ["vda"]);
        assert!(names(&[]).contains(&"loop0".to_owned()));
        let disk = |line: &[u8]| parse_disk(line, &[]).unwrap();
        assert!(!disk(b"8 0 sdb 0 0 0 0 0 0 0 0 0 0 0").stands_alone());
        assert!(disk(b"8 0 sdb 1 0 8 0 0 0 0 0 0 0 0").stands_alone());
    }

    #[test]
    fn waits_are_shared_by_the_requests_and_the_queue_by_the_time() {
        let before = parse_disk(b"8 0 sda 100 0 800 1000 50 0 400 2000 0 500 3000", &[]).unwrap();
        let after = parse_disk(
            b"8 0 sda 140 0 900 1090 50 0 400 2000 3 700 5500 0 0 0 0 7 9",
            &[],
        )
        .unwrap();
        let io = derive(&before, &after, Duration::from_secs(1));
        assert_eq!(io.read_await_ms, Some(2.25), "90 ms / 40 reads");
        assert_eq!(io.write_await_ms, None, "nothing was written");
        assert_eq!(io.queue_length, Some(2.5), "2500 / 1000");
        assert_eq!(io.requests_in_flight, Some(3));
        // Weighted time wraps at 32 bits on old kernels; the rest of the figures stay.
        let wrapped = DiskCounters {
            weighted_ms: 10,
            ..after
        };
        let io = derive(&before, &wrapped, Duration::from_secs(1));
        assert_eq!((io.queue_length, io.read_await_ms), (None, Some(2.25)));
        let below = parse_disk(b"8 0 sda 1 0 8 1 1 0 8 1 4294967295 1 1", &[]).unwrap();
        assert_eq!(
            derive(&below, &below, Duration::from_secs(1)).requests_in_flight,
            None
        );
    }

    #[test]
    fn another_device_at_the_same_number_has_no_rates_yet() {
        let before = disk(T0, "vda");
        let after = DiskCounters {
            name: "sdb".to_owned(),
            ..disk(T1, "vda")
        };
        let io = derive(&before, &after, Duration::from_secs(1));
        assert_eq!((io.read_ops_per_sec, io.queue_length), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            parse_diskstats(&[b"8 0 sda ", &text[..]].concat(), &[]);
        }

        #[test]
        fn a_counter_that_went_back_gives_nothing(before: u32, after: u32) {
            let counters = |value: u32| parse_disk(format!("8 0 sda 1 0 {value} 0 1 0 1 0 0 {value} {value}").as_bytes(), &[]);
            let (before_, after_) = (counters(before).unwrap(), counters(after).unwrap());
            let io = derive(&before_, &after_, Duration::from_secs(1));
            prop_assert_eq!(io.read_bytes_per_sec.is_some(), after >= before);
            prop_assert_eq!(io.queue_length.is_some(), after >= before);
            let in_range = io.io_util_percent.is_none_or(|busy| (0.0..=100.0).contains(&busy));
            prop_assert!(in_range);
        }
    }
}
