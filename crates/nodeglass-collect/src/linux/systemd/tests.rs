//! A small bus of the test's own, on a real socket: it speaks the authentication and answers in real bytes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use proptest::prelude::*;
use tempfile::TempDir;

use super::wire::{Call, FIXED, message_length, parse_message, parse_units};
use super::*;
use crate::sampler::Depth;

const PATIENCE: Duration = Duration::from_secs(20);

/// Writes values as D-Bus wants them: each at a multiple of its size.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn unit(&mut self, name: &str, load: &str, active: &str) {
        self.align(8);
        for text in [
            name,
            "A unit",
            load,
            active,
            "sub",
            "",
            "/org/freedesktop/systemd1/unit/x",
        ] {
            self.text(text);
        }
        self.number(0);
        self.text("");
        self.text("/");
    }
}

/// A message from the bus: a return, an error or a signal.
fn message(kind: u8, reply_to: Option<u32>, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = Writer::default();
    if let Some(serial) = reply_to {
        fields.0.extend([5, 1, b'u', 0]);
        fields.number(serial);
    }
    if kind == 3 {
        fields.align(8);
        fields.0.extend([4, 1, b's', 0]);
        fields.text("org.freedesktop.DBus.Error.AccessDenied");
    }
    fields.align(8);
    fields.0.extend([7, 1, b's', 0]);
    fields.text(":1.1");
    if !signature.is_empty() {
        fields.align(8);
        fields.0.extend([8, 1, b'g', 0, signature.len() as u8]);
        fields.0.extend(signature.as_bytes());
        fields.0.push(0);
    }
    let mut whole = Writer(vec![b'l', kind, 1, 1]);
    whole.number(body.len() as u32);
    whole.number(77);
    whole.number(fields.0.len() as u32);
    whole.0.extend(fields.0);
    whole.align(8);
    whole.0.extend(body);
    whole.0
}

fn units_body(units: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut elements = Writer::default();
    for (name, load, active) in units {
        elements.unit(name, load, active);
    }
    let mut body = Writer::default();
    body.number(elements.0.len() as u32);
    body.align(8);
    body.0.extend(elements.0);
    body.0
}

fn some_units() -> Vec<u8> {
    units_body(&[
        ("ssh.service", "loaded", "active"),
        ("nginx.service", "loaded", "reloading"),
        ("zfs.service", "loaded", "failed"),
        ("backup.service", "loaded", "failed"),
        ("rescue.target", "loaded", "inactive"),
        ("absent.service", "not-found", "inactive"),
        ("slow.service", "loaded", "activating"),
        ("old.service", "loaded", "deactivating"),
    ])
}

/// A host with a bus: what it answers to `ListUnits`, call after call; after the last it says nothing more.
fn host_with_bus(answers: Vec<(u8, Vec<u8>)>) -> (TempDir, Receiver<&'static str>) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("run/systemd/system")).unwrap();
    fs::create_dir_all(directory.path().join("run/dbus")).unwrap();
    let listener = UnixListener::bind(directory.path().join("run/dbus/system_bus_socket")).unwrap();
    let (events, seen) = channel();
    thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            events.send("connected").ok();
            serve(stream.unwrap(), &mut answers);
        }
    });
    (directory, seen)
}

fn serve(stream: UnixStream, answers: &mut impl Iterator<Item = (u8, Vec<u8>)>) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let mut zero = [9];
    reader.read_exact(&mut zero).unwrap();
    assert_eq!(zero, [0]);
    for (expected, answer) in [
        ("AUTH EXTERNAL\r\n", "DATA\r\n"),
        ("DATA\r\n", "OK 0123456789abcdef\r\n"),
        ("BEGIN\r\n", ""),
    ] {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, expected);
        writer.write_all(answer.as_bytes()).unwrap();
    }
    loop {
        let mut fixed = [0; FIXED];
        if reader.read_exact(&mut fixed).is_err() {
            return;
        }
        let mut rest = vec![0; message_length(&fixed).unwrap() - FIXED];
        reader.read_exact(&mut rest).unwrap();
        let call = [&fixed[..], &rest].concat();
        let serial = u32::from_ne_bytes(call[8..12].try_into().unwrap());
        let text = String::from_utf8_lossy(&call);
        let answer = if text.contains("Hello") {
            let mut name = Writer::default();
            name.text(":1.5");
            // A signal comes in between, as on a real bus.
            [
                message(2, Some(serial), "s", &name.0),
                message(4, None, "s", &name.0),
            ]
            .concat()
        } else {
            assert!(text.contains("ListUnits") && text.contains("org.freedesktop.systemd1.Manager"));
            match answers.next() {
                Some((kind, body)) => message(
                    kind,
                    Some(serial),
                    if kind == 2 { "a(ssssssouso)" } else { "" },
                    &body,
                ),
                None => continue,
            }
        };
        writer.write_all(&answer).unwrap();
    }
}

fn asker(directory: &TempDir, deadline: Duration) -> Asker {
    Asker {
        root: HostRoot::new(directory.path()),
        deadline,
        bus: None,
    }
}

#[test]
fn units_are_counted_and_failed_ones_named() {
    let (directory, seen) = host_with_bus(vec![(2, some_units()), (2, units_body(&[]))]);
    let mut asker = asker(&directory, PATIENCE);
    let units = asker.ask().unwrap().unwrap();
    assert_eq!(
        units.counts,
        SystemdMetrics {
            active_units: Some(2),
            failed_units: Some(2),
            inactive_units: Some(1),
            activating_units: Some(1),
            deactivating_units: Some(1),
        },
        "one that reloads is active, one that is not found does not count"
    );
    assert_eq!(units.failed, ["backup.service", "zfs.service"]);
    assert_eq!(asker.ask().unwrap().unwrap().counts.active_units, Some(0));
    assert_eq!(seen.try_iter().count(), 1, "one connection for both");
}

#[test]
fn errors_and_silence_are_failures_that_pass() {
    let (directory, _seen) = host_with_bus(vec![
        (3, Vec::new()),
        (2, b"nonsense".to_vec()),
        (2, some_units()),
    ]);
    let mut asker = asker(&directory, PATIENCE);
    let refused = asker.ask().unwrap_err();
    assert!(
        refused
            .to_string()
            .ends_with("org.freedesktop.DBus.Error.AccessDenied"),
        "{refused}"
    );
    assert!(matches!(asker.ask(), Err(BusError::Broken)));
    assert!(asker.ask().unwrap().is_some());
    asker.deadline = Duration::from_millis(50);
    assert!(
        matches!(asker.ask(), Err(BusError::Io(_))),
        "it says nothing more"
    );
}

#[test]
fn a_host_without_systemd_or_without_a_bus_has_no_figures() {
    let directory = tempfile::tempdir().unwrap();
    let mut asker = asker(&directory, PATIENCE);
    assert!(asker.ask().unwrap().is_none());
    fs::create_dir_all(directory.path().join("run/systemd/system")).unwrap();
    assert!(asker.ask().unwrap().is_none());
}

#[test]
fn the_collector_asks_rarely_and_names_units_in_full_samples() {
    let (directory, _seen) = host_with_bus(vec![(2, some_units())]);
    let mut collector = SystemdCollector::new(&HostRoot::new(directory.path()), 1, PATIENCE);
    let start = Instant::now();
    let mut sample = |seconds, depth, patience| {
        let moment = Moment {
            now: start + Duration::from_secs(seconds),
            until: Instant::now() + patience,
            depth,
        };
        let mut sample = Sample::default();
        collector.read(&mut sample, &moment).unwrap();
        collector.finish(&mut sample, &moment, &GpuUses::default());
        sample
    };
    assert_eq!(
        sample(0, Depth::Light, PATIENCE).systemd,
        SystemdMetrics::default()
    );
    let full = sample(1, Depth::Full, PATIENCE);
    assert_eq!(full.systemd.failed_units, Some(2));
    let names: Vec<&str> = full.units.iter().map(|unit| unit.unit.as_str()).collect();
    assert_eq!(names, ["backup.service"]);
    assert_eq!(full.collectors[0].devices_left_out, Some(1));
    let light = sample(2, Depth::Light, PATIENCE);
    assert_eq!((light.systemd.failed_units, light.units.len()), (Some(2), 0));
    let again = sample(6, Depth::Full, PATIENCE);
    assert_eq!(
        (again.units.len(), again.failures.len()),
        (1, 0),
        "not asked again yet"
    );
    // Now it is, and there is no answer any more.
    let silent = sample(11, Depth::Full, Duration::ZERO);
    assert_eq!(silent.failures.len(), 1, "{:?}", silent.failures);
    let stale = silent.collectors.iter().find_map(|entry| entry.stale_ms);
    assert_eq!((stale, silent.systemd.failed_units), (Some(10_000), Some(2)));
    assert_eq!(
        sample(22, Depth::Light, PATIENCE).systemd,
        SystemdMetrics::default()
    );
}

#[test]
fn calls_are_messages() {
    let call = Call {
        destination: "a.b",
        path: "/a",
        interface: "a.b",
        member: "C",
    };
    let bytes = call.encode(7);
    assert_eq!(
        message_length(bytes[..FIXED].try_into().unwrap()),
        Some(bytes.len())
    );
    let message = parse_message(&bytes).unwrap();
    assert_eq!((message.kind, message.reply_to), (1, None));
}

proptest! {
    #[test]
    fn any_bytes_can_be_parsed(bytes: Vec<u8>, fixed: [u8; FIXED]) {
        message_length(&fixed);
        let _ = parse_message(&[b"l\x02\x00\x01", &bytes[..]].concat());
        let whole = message(2, Some(1), "a(ssssssouso)", &bytes);
        let parsed = parse_message(&whole).unwrap();
        let _ = parse_units(&parsed);
    }

    #[test]
    fn a_broken_answer_is_refused_or_counted(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut whole = message(2, Some(1), "a(ssssssouso)", &some_units());
        let at = at.index(whole.len());
        whole[at] = byte;
        for end in [whole.len(), cut.index(whole.len())] {
            if let Some(message) = parse_message(&whole[..end]) {
                let _ = parse_units(&message);
            }
        }
    }
}
