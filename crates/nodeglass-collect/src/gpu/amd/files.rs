//! Files of sysfs that are read again and again, and what AMD's driver writes into them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The kernel gives a file of sysfs one page at most.
const PAGE: usize = 4096;

/// A file that is opened at its first reading and kept.
pub(super) struct Attribute {
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Attribute {
    /// Without a path there is never anything to read.
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self { path, file: None }
    }

    /// The content now; `None` if there is none. A file that can't be read is opened anew the next time.
    pub(super) fn read(&mut self) -> Option<Content> {
        let path = self.path.as_ref()?;
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::open(path).ok()?),
        };
        let mut content = Content {
            bytes: [0; PAGE],
            length: 0,
        };
        if let Ok(length) = file.read_at(&mut content.bytes, 0) {
            content.length = length;
            Some(content)
        } else {
            self.file = None;
            None
        }
    }
}

/// What was in a file.
pub(super) struct Content {
    bytes: [u8; PAGE],
    length: usize,
}

impl Content {
    pub(super) fn trimmed(&self) -> &[u8] {
        self.bytes[..self.length].trim_ascii()
    }

    pub(super) fn number(&self) -> Option<u64> {
        parse(self.trimmed())
    }

    pub(super) fn signed(&self) -> Option<i64> {
        parse(self.trimmed())
    }

    /// The number in the line that begins with `label`: `ue: 0`.
    pub(super) fn labelled(&self, label: &[u8]) -> Option<u64> {
        lines(self.trimmed())
            .find_map(|line| line.strip_prefix(label))
            .and_then(|rest| parse(rest.trim_ascii()))
    }

    /// Of a table of clocks (`1: 1500Mhz *`) the one that is marked.
    pub(super) fn current_mhz(&self) -> Option<u32> {
        let marked = lines(self.trimmed()).find_map(|line| line.strip_suffix(b"*"))?;
        let colon = marked.iter().position(|byte| *byte == b':')?;
        let clock = marked[colon + 1..].trim_ascii();
        let digits = clock.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, unit) = clock.split_at(digits);
        unit.eq_ignore_ascii_case(b"mhz").then(|| parse(number))?
    }
}

/// A small file's text; `None` if it is absent or empty.
pub(super) fn read_text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
    (!text.is_empty()).then_some(text)
}

/// The names in a directory with their paths; none if it can't be read.
pub(super) fn list(directory: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

fn parse<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &[u8]) -> Content {
        let mut bytes = [0; PAGE];
        bytes[..text.len()].copy_from_slice(text);
        Content {
            bytes,
            length: text.len(),
        }
    }

    #[test]
    fn the_marked_clock_is_the_current_one() {
        let mhz = |text: &[u8]| content(text).current_mhz();
        assert_eq!(mhz(b"0: 500Mhz \n1: 1725Mhz *\n2: 2500Mhz \n"), Some(1725));
        assert_eq!(mhz(b"S: 19Mhz *\n0: 500Mhz \n"), Some(19), "a GPU in deep sleep");
        assert_eq!(mhz(b"0: 96Mhz *"), Some(96));
        for wrong in [&b""[..], b"0: 500Mhz \n", b"0: Mhz *", b"0: 8.0GT/s, x8 *", b"*"] {
            assert_eq!(mhz(wrong), None);
        }
    }

    #[test]
    fn counts_have_labels() {
        let errors = content(b"ue: 2\nce: 31\n");
        assert_eq!(
            (errors.labelled(b"ue:"), errors.labelled(b"ce:")),
            (Some(2), Some(31))
        );
        assert_eq!(content(b"Query failed\n").labelled(b"ue:"), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text in prop::collection::vec(any::<u8>(), 0..=PAGE)) {
            let content = content(&text);
            let _ = (content.number(), content.signed(), content.current_mhz(), content.labelled(b"ue:"));
        }
    }
}
