//! The files of version 2.

use super::layout::Resource;
use super::reading::{DeviceIo, IoCounters, Limits, Reading, Source, only_number, parse_device, value_of};
use crate::linux::scan::{fields, lines, parse_number};

/// What every reading reads.
pub(in crate::linux) const READINGS: &[Source<Reading>] = &[
    source(Resource::Cpu, "cpu.stat", |text, reading| {
        reading.cpu_us = value_of(text, b"usage_usec");
        reading.periods = value_of(text, b"nr_periods");
        reading.throttled_periods = value_of(text, b"nr_throttled");
    }),
    source(Resource::Memory, "memory.current", |text, reading| {
        reading.memory_bytes = only_number(text);
    }),
    source(Resource::Memory, "memory.stat", |text, reading| {
        reading.inactive_file_bytes = value_of(text, b"inactive_file");
    }),
    source(Resource::Memory, "memory.events", |text, reading| {
        reading.oom_kills = value_of(text, b"oom_kill");
    }),
    source(Resource::Io, "io.stat", |text, reading| {
        reading.io = Some(parse_io(text));
    }),
    source(Resource::Pids, "pids.current", |text, reading| {
        reading.pids = only_number(text);
    }),
];

/// What is read now and then.
pub(in crate::linux) const LIMITS: &[Source<Limits>] = &[
    source(Resource::Cpu, "cpu.max", |text, limits| {
        let mut fields = fields(text);
        limits.quota_us = fields.next().and_then(parse_number);
        limits.period_us = fields.next().and_then(parse_number);
    }),
    source(Resource::Memory, "memory.max", |text, limits| {
        limits.memory_bytes = only_number(text);
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

/// Parses `io.stat`: `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`. A device without counters did nothing.
fn parse_io(text: &[u8]) -> Vec<DeviceIo> {
    lines(text)
        .filter_map(|line| {
            let mut fields = fields(line);
            let number = parse_device(fields.next()?)?;
            let mut counters = IoCounters::default();
            for field in fields {
                let Some(equals) = field.iter().position(|byte| *byte == b'=') else {
                    continue;
                };
                let place = match &field[..equals] {
                    b"rbytes" => &mut counters.read_bytes,
                    b"wbytes" => &mut counters.written_bytes,
                    b"rios" => &mut counters.reads,
                    b"wios" => &mut counters.writes,
                    _ => continue,
                };
                *place = parse_number(&field[equals + 1..])?;
            }
            Some(DeviceIo { number, counters })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn io_of_every_device() {
        let io =
            parse_io(b"8:0 rbytes=90112 wbytes=4096 rios=3 wios=1 dbytes=0 dios=0\n259:1\n8:16 rbytes=x\n");
        assert_eq!(io.len(), 2, "nonsense is passed over");
        assert_eq!(
            io[0],
            DeviceIo {
                number: (8, 0),
                counters: IoCounters {
                    read_bytes: 90_112,
                    written_bytes: 4_096,
                    reads: 3,
                    writes: 1
                }
            }
        );
        assert_eq!(io[1].counters, IoCounters::default());
    }

    #[test]
    fn a_limit_may_be_the_word_max() {
        let limits = |file: &str, text: &[u8]| {
            let mut limits = Limits::default();
            let source = LIMITS.iter().find(|source| source.file == file).unwrap();
            (source.parse)(text, &mut limits);
            limits
        };
        assert_eq!(limits("cpu.max", b"max 100000\n").cores(), None);
        assert_eq!(limits("cpu.max", b"25000 100000\n").cores(), Some(0.25));
        assert_eq!(limits("memory.max", b"max\n").memory_bytes, None);
        assert_eq!(limits("memory.max", b"1073741824\n").memory_bytes, Some(1 << 30));
        assert_eq!(limits("pids.max", b"max\n").pids, None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text in "([0-9]{1,3}:[0-9]{1,3}|rbytes=|[a-z_]{0,8}|[0-9]{0,22}|[ \n=:-]){0,40}") {
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
