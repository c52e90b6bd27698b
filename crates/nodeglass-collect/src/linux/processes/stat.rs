//! `/proc/PID/stat` and `/proc/PID/io`: one process's figures out of their text, without allocating.

use crate::linux::scan::{fields, lines, parse_number};

/// As long as the kernel keeps a program's name; those of its own workers are longer.
const NAME_BYTES: usize = 15;

/// In the field `flags`: a thread of the kernel, with no program and no memory of its own.
const PF_KTHREAD: u64 = 0x0020_0000;

/// A program's short name, as bytes that stay where they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; NAME_BYTES],
    length: u8,
}

impl Name {
    fn new(name: &[u8]) -> Self {
        let name = without_work(name);
        let length = name.len().min(NAME_BYTES);
        let mut bytes = [0; NAME_BYTES];
        bytes[..length].copy_from_slice(&name[..length]);
        Self {
            bytes,
            length: length as u8,
        }
    }

    /// The name; what is not UTF-8 or not for printing is replaced.
    pub(crate) fn to_text(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes[..usize::from(self.length)]);
        text.replace(char::is_control, " ")
    }
}

/// `kworker/u8:2-flush-254:0` tells what the worker does at this moment; its name is what stands before it.
fn without_work(name: &[u8]) -> &[u8] {
    match name.strip_prefix(b"kworker/") {
        Some([b'u' | b'0'..=b'9', ..]) => name
            .split(|byte| matches!(byte, b'-' | b'+'))
            .next()
            .unwrap_or(name),
        _ => name,
    }
}

/// What one line of `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// R, S, D, Z, T, t, I or X.
    pub state: u8,
    /// The parent.
    pub parent: u32,
    /// Whether it is a thread of the kernel.
    pub is_kernel: bool,
    /// Page faults that had to wait for a disk.
    pub major_faults: u64,
    /// Processor time in ticks, in user mode and in the kernel.
    pub ticks: u64,
    /// Processor time in ticks of the children that it has waited for, and of theirs.
    pub child_ticks: u64,
    /// Its threads.
    pub threads: u32,
    /// When it started, in ticks since the host did; with the pid it names one process for good.
    pub start_ticks: u64,
    /// Its address space in bytes.
    pub virtual_bytes: u64,
    /// Resident memory in pages.
    pub resident_pages: u64,
    /// Its short name.
    pub name: Name,
}

/// Reads a line of `/proc/PID/stat`. `None` where it is cut before the last field that is wanted, or is none.
pub(crate) fn parse_stat(line: &[u8]) -> Option<Stat> {
    // The name stands in parentheses, and may itself hold spaces and parentheses.
    let name_start = line.iter().position(|byte| *byte == b'(')? + 1;
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let name = Name::new(line.get(name_start..name_end)?);
    let mut rest = Numbers(line.get(name_end + 1..)?);
    let state = match rest.0 {
        [b' ', state, after @ ..] => {
            rest.0 = after;
            *state
        }
        _ => return None,
    };
    let parent = rest.next()? as u32;
    rest.skip(4)?;
    let flags = rest.next()?;
    rest.skip(2)?;
    let major_faults = rest.next()?;
    rest.skip(1)?;
    let (user, system) = (rest.next()?, rest.next()?);
    let (child_user, child_system) = (rest.next()?, rest.next()?);
    rest.skip(2)?;
    let threads = rest.next()? as u32;
    rest.skip(1)?;
    let start_ticks = rest.next()?;
    let virtual_bytes = rest.next()?;
    let resident_pages = rest.next()?;
    Some(Stat {
        state,
        parent,
        is_kernel: flags & PF_KTHREAD != 0,
        major_faults,
        ticks: user.checked_add(system)?,
        child_ticks: child_user.checked_add(child_system)?,
        threads,
        start_ticks,
        virtual_bytes,
        resident_pages,
        name,
    })
}

/// The rest of a line: numbers, each with one space before it.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> Option<u64> {
        let (b' ', mut rest) = self.0.split_first()? else {
            return None;
        };
        let mut number = 0_u64;
        let mut is_empty = true;
        while let [byte @ b'0'..=b'9', after @ ..] = rest {
            number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
            is_empty = false;
            rest = after;
        }
        self.0 = rest;
        (!is_empty).then_some(number)
    }

    /// Leaves fields out, which may be negative.
    fn skip(&mut self, count: usize) -> Option<()> {
        for _ in 0..count {
            let (b' ', rest) = self.0.split_first()? else {
                return None;
            };
            let end = rest.iter().position(|byte| *byte == b' ')?;
            self.0 = &rest[end..];
        }
        Some(())
    }
}

/// Bytes that a process, and the children that it has waited for, moved from and to disks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DiskBytes {
    /// Bytes read.
    pub read: u64,
    /// Bytes written. Those of a file that was deleted before they reached the disk are counted.
    pub written: u64,
}

/// Reads `/proc/PID/io`. `None` where one of the figures is missing.
pub(crate) fn parse_io(text: &[u8]) -> Option<DiskBytes> {
    let (mut read, mut written) = (None, None);
    for line in lines(text) {
        let mut fields = fields(line);
        match fields.next() {
            Some(b"read_bytes:") => read = parse_number(fields.next()?),
            Some(b"write_bytes:") => written = parse_number(fields.next()?),
            _ => {}
        }
    }
    Some(DiskBytes {
        read: read?,
        written: written?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn figures_of_the_capture() {
        let line = include_bytes!("../../../fixtures/linux-6.18-kvm/t0/proc/9637/stat");
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.is_kernel), (b'R', 9593, false));
        assert_eq!((stat.ticks, stat.child_ticks), (52 + 22, 0));
        assert_eq!((stat.threads, stat.start_ticks), (1, 209_771));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (18_382_848, 2_891));
        assert_eq!(stat.name.to_text(), "busy");
        let kernel = include_bytes!("../../../fixtures/linux-6.18-kvm/t0/proc/2/stat");
        assert!(parse_stat(kernel).unwrap().is_kernel);
    }

    #[test]
    fn names_may_look_like_anything() {
        let rest = "T 9593 9588 4027 0 -1 4194368 1 2 3 4 52 22 5 6 20 -5 7 0 8 9 10";
        let named = |name: &str| parse_stat(format!("9636 ({name}) {rest}").as_bytes()).unwrap();
        for name in ["od) d S (x", "a b) R", "(", ")", " ", "", "12 (x) R 1 2"] {
            let stat = named(name);
            assert_eq!(
                (stat.state, stat.parent, stat.major_faults),
                (b'T', 9593, 3),
                "{name}"
            );
            assert_eq!((stat.start_ticks, stat.resident_pages), (8, 10), "{name}");
            assert_eq!(stat.name.to_text(), name);
        }
        assert_eq!(named("a\nb\u{1b}").name.to_text(), "a b ");
        assert_eq!(parse_stat(b"1 (cut"), None);
        assert_eq!(
            parse_stat(b"1 (a) S 1 1 1 0 -1 0 1 1 1 1 1 1 1 1 20 0 1 0 1"),
            None,
            "cut"
        );
    }

    #[test]
    fn a_worker_is_named_without_what_it_does_at_the_moment() {
        for (name, shown) in [
            ("kworker/u8:2-flush-254:0", "kworker/u8:2"),
            ("kworker/0:1H+kblockd", "kworker/0:1H"),
            ("kworker/R-rcu_gp", "kworker/R-rcu_g"),
            ("my-worker", "my-worker"),
        ] {
            assert_eq!(Name::new(name.as_bytes()).to_text(), shown);
        }
    }

    #[test]
    fn io_needs_both_figures() {
        let text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 9\n";
        let bytes = DiskBytes {
            read: 4096,
            written: 8192,
        };
        assert_eq!(parse_io(text), Some(bytes));
        assert_eq!(parse_io(b"read_bytes: 1\n"), None);
        assert_eq!(parse_io(b"read_bytes: x\nwrite_bytes: 1\n"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: Vec<u8>) {
            let _ = parse_stat(&text);
            let _ = parse_io(&text);
        }

        #[test]
        fn every_figure_is_found_behind_any_name(
            name in proptest::collection::vec(any::<u8>(), 0..64),
            parent: u32, faults: u64, user: u32, system: u32, threads: u32, start: u64, size: u64, pages: u64,
            nice in -20_i32..20,
        ) {
            let mut line = b"77 (".to_vec();
            line.extend(&name);
            line.extend(
                format!(
                    ") S {parent} 1 1 0 -1 0 1 1 {faults} 1 {user} {system} 3 4 20 {nice} {threads} 0 {start} {size} \
                     {pages} 18446744073709551615 0 0"
                )
                .bytes(),
            );
            let stat = parse_stat(&line).unwrap();
            prop_assert_eq!((stat.state, stat.parent, stat.major_faults), (b'S', parent, faults));
            prop_assert_eq!((stat.ticks, stat.child_ticks), (u64::from(user) + u64::from(system), 7));
            prop_assert_eq!((stat.threads, stat.start_ticks), (threads, start));
            prop_assert_eq!((stat.virtual_bytes, stat.resident_pages), (size, pages));
        }
    }
}
