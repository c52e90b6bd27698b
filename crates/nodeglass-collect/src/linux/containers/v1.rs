//! The files of version 1.

use super::layout::Resource;
use super::reading::{DeviceIo, IoCounters, Limits, Reading, Source, only_number, parse_device, value_of};
use crate::linux::mounts::DeviceNumber;
use crate::linux::scan::{fields, lines, parse_number};

/// No limit is written as the largest number of pages, in bytes, which depends on the page size. No host has as much
/// as this.
const NO_LIMIT: u64 = 1 << 60;

/// What every reading reads. I/O without its children is for kernels before 5.4, which count no other way.
pub(in crate::linux) const READINGS: &[Source<Reading>] = &[
    source(Resource::CpuAccount, "cpuacct.usage", |text, reading| {
        reading.cpu_us = only_number(text).map(|nanoseconds| nanoseconds / 1000);
    }),
    source(Resource::Cpu, "cpu.stat", |text, reading| {
        reading.periods = value_of(text, b"nr_periods");
        reading.throttled_periods = value_of(text, b"nr_throttled");
    }),
    source(Resource::Memory, "memory.usage_in_bytes", |text, reading| {
        reading.memory_bytes = only_number(text);
    }),
    source(Resource::Memory, "memory.stat", |text, reading| {
        reading.inactive_file_bytes = value_of(text, b"total_inactive_file");
    }),
    source(Resource::Memory, "memory.oom_control", |text, reading| {
        reading.oom_kills = value_of(text, b"oom_kill");
    }),
    source(Resource::Io, "blkio.throttle.io_service_bytes", read_bytes),
    source(
        Resource::Io,
        "blkio.throttle.io_service_bytes_recursive",
        read_bytes,
    ),
    source(Resource::Io, "blkio.throttle.io_serviced", read_operations),
    source(
        Resource::Io,
        "blkio.throttle.io_serviced_recursive",
        read_operations,
    ),
    source(Resource::Pids, "pids.current", |text, reading| {
        reading.pids = only_number(text);
    }),
];

/// What is read now and then.
pub(in crate::linux) const LIMITS: &[Source<Limits>] = &[
    source(Resource::Cpu, "cpu.cfs_quota_us", |text, limits| {
        limits.quota_us = only_number(text);
    }),
    source(Resource::Cpu, "cpu.cfs_period_us", |text, limits| {
        limits.period_us = only_number(text);
    }),
    source(Resource::Memory, "memory.limit_in_bytes", |text, limits| {
        limits.memory_bytes = only_number(text).filter(|limit| *limit < NO_LIMIT);
    }),
    source(Resource::Pids, "pids.max", |text, limits| {
        limits.pids = only_number(text);
    }),
];

const fn source<Into>(resource: Resource, file: &'static str, parse: fn(&[u8], &mut Into)) -> Source<Into> {
    Source {
        resource,
        file,
        parse,
    }
}

fn read_bytes(text: &[u8], reading: &mut Reading) {
    each_count(text, reading, |counters| {
        (&mut counters.read_bytes, &mut counters.written_bytes)
    });
}

fn read_operations(text: &[u8], reading: &mut Reading) {
    each_count(text, reading, |counters| {
        (&mut counters.reads, &mut counters.writes)
    });
}

/// Parses lines like `254:0 Write 4096` into the place of reads and that of writes. Kernels since 6.10 count only
/// where some device has a limit, and show an empty sum elsewhere: a group without devices is one that nobody counts.
fn each_count(text: &[u8], reading: &mut Reading, places: impl Fn(&mut IoCounters) -> (&mut u64, &mut u64)) {
    for line in lines(text) {
        let mut fields = fields(line);
        let Some(number) = fields.next().and_then(parse_device) else {
            continue;
        };
        let (Some(kind), Some(count)) = (fields.next(), fields.next().and_then(parse_number)) else {
            continue;
        };
        let (reads, writes) = places(counters_of(reading.io.get_or_insert_default(), number));
        match kind {
            b"Read" => *reads = count,
            b"Write" => *writes = count,
            _ => {}
        }
    }
}

fn counters_of(devices: &mut Vec<DeviceIo>, number: DeviceNumber) -> &mut IoCounters {
    let known = devices.iter().position(|device| device.number == number);
    let at = known.unwrap_or(devices.len());
    if known.is_none() {
        devices.push(DeviceIo {
            number,
            counters: IoCounters::default(),
        });
    }
    &mut devices[at].counters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn io_of_bytes_and_operations_is_joined_by_device() {
        let mut reading = Reading::default();
        read_bytes(
            b"8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\n8:16 Read 1\nTotal 12289\n",
            &mut reading,
        );
        read_operations(b"8:16 Read 2\n8:0 Write 5\nTotal 7\n", &mut reading);
        let io = reading.io.unwrap();
        assert_eq!(io.len(), 2);
        assert_eq!(
            io[0].counters,
            IoCounters {
                read_bytes: 4_096,
                written_bytes: 8_192,
                reads: 0,
                writes: 5
            }
        );
        assert_eq!((io[1].number, io[1].counters.reads), ((8, 16), 2));
    }

    #[test]
    fn page_cache_is_that_of_the_whole_group() {
        let mut reading = Reading::default();
        let source = READINGS
            .iter()
            .find(|source| source.file == "memory.stat")
            .unwrap();
        (source.parse)(
            b"cache 9\ninactive_file 1\ntotal_cache 9\ntotal_inactive_file 5\n",
            &mut reading,
        );
        reading.memory_bytes = Some(12);
        assert_eq!(reading.memory_in_use(), Some(7));
    }

    #[test]
    fn an_empty_sum_is_nothing_rather_than_zero() {
        let mut reading = Reading::default();
        read_bytes(b"Total 0\n", &mut reading);
        assert_eq!(reading.io, None);
    }

    #[test]
    fn no_limit_is_a_huge_or_a_negative_number() {
        let limits = |file: &str, text: &[u8]| {
            let mut limits = Limits::default();
            let source = LIMITS.iter().find(|source| source.file == file).unwrap();
            (source.parse)(text, &mut limits);
            limits
        };
        assert_eq!(
            limits("memory.limit_in_bytes", b"9223372036854771712\n").memory_bytes,
            None
        );
        assert_eq!(
            limits("memory.limit_in_bytes", b"9223372036854710272\n").memory_bytes,
            None,
            "64 KiB pages"
        );
        assert_eq!(
            limits("memory.limit_in_bytes", b"1073741824\n").memory_bytes,
            Some(1 << 30)
        );
        assert_eq!(limits("cpu.cfs_quota_us", b"-1\n").quota_us, None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text in "([0-9]{1,3}:[0-9]{1,3}|Read|Write|[a-z_]{0,8}|[0-9]{0,22}|[ \n:-]){0,40}") {
            let (mut reading, mut limits) = (Reading::default(), Limits::default());
            for source in READINGS {
                (source.parse)(text.as_bytes(), &mut reading);
            }
            for source in LIMITS {
                (source.parse)(text.as_bytes(), &mut limits);
            }
        }
    }
}
