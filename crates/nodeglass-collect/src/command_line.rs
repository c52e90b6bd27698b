//! Command lines of processes as they leave the host: whole, with secrets hidden, or not at all.
//!
//! What is hidden stands in [`CommandLines::Redacted`]. A command line is cut to [`LONGEST`] bytes after that, never
//! before.

mod names;
mod redact;

use redact::Redaction;

/// Bytes of a command line at most: enough to recognise a process by.
const LONGEST: usize = 256;

/// How much of processes' command lines is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CommandLines {
    /// Everything, secrets too.
    Full,
    /// Everything but what looks like a secret, which becomes `***`:
    ///
    /// - the argument after a flag whose name is one of a secret (`--password X`), or that the configuration names;
    /// - whatever follows such a name and `=` or `:` in the same argument (`--token=X`, `API_KEY=X`,
    ///   `Authorization: X`, `{"password":"X"}`), and in an argument with spaces whatever follows such a flag;
    /// - in `user:password@host`, with or without `scheme://` before it, all from the colon to the last `@`; in
    ///   `scheme://token@host` all from the scheme to the last `@`, but for `ssh://user@host`; in `-u user:password` and
    ///   `--user user:password` all after the colon.
    ///
    /// A name is one of a secret if it holds `passw`, `passphrase`, `passcode`, `secret`, `token`, `credential`,
    /// `signature` or `bearer`, if a word of it begins with `auth` (but `author`) or ends in `pass`, `pwd`, `key` or
    /// `keys`, or if a word of it is `pw`, `cred`, `creds`, `cookie`, `psk`, `pin`, `otp` or `jwt`; in any mixture of
    /// capitals. A secret that stands alone, with no such name (`mysql -pX`), is not recognised, unless the
    /// configuration names its flag.
    #[default]
    Redacted,
    /// The program, without arguments.
    Program,
    /// Nothing.
    None,
}

/// How command lines are shown.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommandLineRules {
    show: CommandLines,
    redaction: Redaction,
}

impl CommandLineRules {
    /// `patterns` are globs on the names of further arguments whose values are secrets.
    pub(crate) fn new(show: CommandLines, patterns: &[String]) -> Self {
        Self {
            show,
            redaction: Redaction::new(patterns),
        }
    }

    /// Whether there is anything to show at all.
    pub(crate) fn are_shown(&self) -> bool {
        self.show != CommandLines::None
    }

    /// The command line to show, of `/proc/PID/cmdline`: arguments, each with a NUL behind it.
    pub(crate) fn show(&self, cmdline: &[u8]) -> String {
        let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
        if cmdline.is_empty() {
            return String::new();
        }
        let arguments: Vec<String> = cmdline
            .split(|byte| *byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect();
        self.show_arguments(&arguments)
    }

    /// The command line to show, of a program and its arguments.
    pub(crate) fn show_arguments(&self, arguments: &[String]) -> String {
        let Some(program) = arguments.first() else {
            return String::new();
        };
        let line = match self.show {
            CommandLines::None => return String::new(),
            // A program that writes its own title has all of it in the first argument.
            CommandLines::Program => program.split_whitespace().next().unwrap_or_default().to_owned(),
            CommandLines::Full => arguments.join(" "),
            CommandLines::Redacted => self.redaction.hide(arguments).join(" "),
        };
        let mut line = line.trim_end().replace(char::is_control, " ");
        line.truncate(line.floor_char_boundary(LONGEST));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(show: CommandLines, cmdline: &str) -> String {
        CommandLineRules::new(show, &[]).show(cmdline.as_bytes())
    }

    #[test]
    fn each_way_of_showing() {
        let cmdline = "/usr/bin/tool\0--token\0abc\0two words\0";
        assert_eq!(
            show(CommandLines::Full, cmdline),
            "/usr/bin/tool --token abc two words"
        );
        assert_eq!(
            show(CommandLines::Redacted, cmdline),
            "/usr/bin/tool --token *** two words"
        );
        assert_eq!(show(CommandLines::Program, cmdline), "/usr/bin/tool");
        assert_eq!(show(CommandLines::None, cmdline), "");
        assert_eq!(
            show(CommandLines::Program, "nginx: worker process\0\0\0"),
            "nginx:"
        );
        assert_eq!(show(CommandLines::Redacted, ""), "", "a zombie has none");
    }

    #[test]
    fn lines_are_cut_between_characters_and_have_nothing_that_moves_a_terminal() {
        let long = format!("x\0{}", "ü".repeat(400));
        let shown = show(CommandLines::Redacted, &long);
        assert_eq!(shown.len(), 256, "2 and 127 times 2 bytes");
        assert!(shown.ends_with('ü'));
        assert_eq!(show(CommandLines::Full, "a\nb\u{1b}[1m\0c"), "a b [1m c");
        let lossy = CommandLineRules::new(CommandLines::Full, &[]).show(b"a\xff\0");
        assert_eq!(lossy, "a\u{fffd}");
    }

    #[test]
    fn a_secret_is_hidden_before_the_line_is_cut() {
        let shown = show(
            CommandLines::Redacted,
            &format!("x\0--password\0{}\0--end", "s".repeat(300)),
        );
        assert_eq!(shown, "x --password *** --end");
    }
}
