//! Hides secrets in the arguments of a program, as [`super::CommandLines::Redacted`] tells. Pure. In doubt it hides.

use super::names::is_secret;
use crate::filters::fits_any;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// Flags whose value may be `user:password`.
const USER_FLAGS: [&str; 4] = ["-u", "-U", "--user", "--proxy-user"];

/// Between the scheme of an address and the rest of it.
const SCHEME_END: &str = "://";

/// What is hidden besides what always is.
#[derive(Debug, Clone, Default)]
pub(super) struct Redaction {
    /// In small letters.
    patterns: Vec<String>,
}

impl Redaction {
    /// `patterns` are globs on names of arguments, without the dashes before them.
    pub(super) fn new(patterns: &[String]) -> Self {
        Self {
            patterns: patterns
                .iter()
                .map(|pattern| pattern.trim_start_matches('-').to_lowercase())
                .collect(),
        }
    }

    /// A program and its arguments with what is secret hidden.
    pub(super) fn hide(&self, arguments: &[String]) -> Vec<String> {
        let mut shown = Vec::with_capacity(arguments.len());
        let (mut is_value, mut is_user) = (false, false);
        for argument in arguments {
            shown.push(if is_value {
                HIDDEN.to_owned()
            } else if is_user && let Some((user, _)) = argument.split_once(':') {
                format!("{user}:{HIDDEN}")
            } else {
                self.hide_in(argument)
            });
            // What was hidden may itself have been a flag, if the one before it takes no value after all.
            is_value =
                argument.starts_with('-') && !argument.contains(['=', ':']) && self.is_secret(argument);
            is_user = USER_FLAGS.contains(&argument.as_str());
        }
        shown
    }

    /// Whether a name, with or without dashes before it, is one of a secret.
    fn is_secret(&self, name: &str) -> bool {
        let name = name.trim_start_matches('-');
        is_secret(name) || fits_any(&self.patterns, name.to_lowercase().as_bytes())
    }

    /// One argument by itself.
    fn hide_in(&self, argument: &str) -> String {
        // `-pVALUE`, where the configuration names `p`.
        let mut letters = argument.chars();
        if let (Some('-'), Some(letter), Some(_)) = (letters.next(), letters.next(), letters.next())
            && letter.is_ascii_alphanumeric()
            && self.patterns.contains(&letter.to_ascii_lowercase().to_string())
        {
            return format!("-{letter}{HIDDEN}");
        }
        match self.secret_start(argument) {
            Some(start) => hide_passwords(&argument[..start]) + HIDDEN,
            None => hide_passwords(argument),
        }
    }

    /// Where in an argument the value of the first secret begins: behind its name and `=` or `:`, or, in an argument
    /// of several words, behind a flag.
    fn secret_start(&self, argument: &str) -> Option<usize> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let bytes = argument.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let length = bytes[at..].iter().take_while(|byte| is_of_name(**byte)).count();
            if length == 0 {
                at += 1;
                continue;
            }
            let name = &argument[at..at + length];
            at += length;
            let quoted = count(&bytes[at..], |byte| matches!(byte, b'"' | b'\'' | b'\\' | b']'));
            let spaced = count(&bytes[at + quoted..], |byte| byte.is_ascii_whitespace());
            let next = at + quoted + spaced;
            let is_named = match bytes.get(next) {
                Some(b'=' | b':') => true,
                Some(_) => name.starts_with('-') && spaced > 0,
                None => false,
            };
            if is_named && self.is_secret(name) {
                let is_sign = matches!(bytes[next], b'=' | b':');
                return Some(next + usize::from(is_sign));
            }
        }
        None
    }
}

fn count(bytes: &[u8], is_wanted: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_wanted(**byte)).count()
}

/// Hides the password of each `user:password@host`, and the token of each `scheme://token@host`, among the words of an
/// argument.
fn hide_passwords(argument: &str) -> String {
    if !argument.contains('@') {
        return argument.to_owned();
    }
    let is_end = |character: char| character.is_whitespace() || matches!(character, '"' | '\'');
    argument.split_inclusive(is_end).map(hide_password).collect()
}

fn hide_password(word: &str) -> String {
    // Only the first colon may be a scheme's: behind another one a password may hold anything.
    let scheme_end = word.find(':').filter(|end| {
        let has_name = word[..*end].ends_with(|last: char| last.is_ascii_alphanumeric());
        has_name && word[*end..].starts_with(SCHEME_END)
    });
    let user_start = scheme_end.map_or(0, |end| end + SCHEME_END.len());
    let rest = &word[user_start..];
    let Some(at) = rest.rfind('@') else {
        return word.to_owned();
    };
    // Whoever is alone before the host may be a token, but for SSH it is a user.
    let is_token = scheme_end.is_some_and(|end| !word[..end].contains("ssh"));
    let secret_start = match rest[..at].find(':') {
        Some(colon) => colon + 1,
        None if is_token => 0,
        None => return word.to_owned(),
    };
    let shown = &word[..user_start + secret_start];
    format!("{shown}{HIDDEN}{}", &rest[at..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hide(line: &str) -> String {
        hide_with(&[], line)
    }

    /// Arguments are separated by `|` here.
    fn hide_with(patterns: &[&str], line: &str) -> String {
        let owned: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let arguments: Vec<String> = line.split('|').map(str::to_owned).collect();
        Redaction::new(&owned).hide(&arguments).join("|")
    }

    #[test]
    fn secrets_are_hidden() {
        for (line, shown) in [
            ("x|--password|s", "x|--password|***"),
            ("x|--password=s|y", "x|--password=***|y"),
            ("x|--password|-s|y", "x|--password|***|y"),
            ("x|--ask-password|--token|s", "x|--ask-password|***|***"),
            ("env|API_KEY=a=b|x", "env|API_KEY=***|x"),
            ("x|-o|user=me,password=s,ro", "x|-o|user=me,password=***"),
            ("curl|-H|Authorization: Bearer s", "curl|-H|Authorization:***"),
            (
                r#"x|{"user":"me", "password" : "s"}"#,
                r#"x|{"user":"me", "password" :***"#,
            ),
            ("sh|-c|mysql --password s -u me", "sh|-c|mysql --password ***"),
            (
                "curl|https://me:s@host/path?q=1",
                "curl|https://me:***@host/path?q=1",
            ),
            (
                "curl|https://host/?access_token=s&q=1",
                "curl|https://host/?access_token=***",
            ),
            ("x|db://me:a@b/c@host", "x|db://me:***@host"),
            ("x|me:s@tcp(db)/x", "x|me:***@tcp(db)/x"),
            (
                "git|clone|https://s@host/x.git",
                "git|clone|https://***@host/x.git",
            ),
            ("://s:@host", ":***@host"),
            ("jdbc:db://u:s@host", "jdbc:***@host"),
            ("curl|-u|me:s|host", "curl|-u|me:***|host"),
            ("Server=db;Password=s;", "Server=db;Password=***"),
        ] {
            assert_eq!(hide(line), shown);
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for line in [
            "/usr/sbin/sshd|-D|-o|Port=22",
            "postgres: writer process",
            "git|clone|ssh://git@host/x.git",
            "rsync|a:b|me@host:/c",
            "nodeglass-agent|run|--data-dir|/var/lib/x",
            "x|-u|me|--author|you",
            "x|--password",
        ] {
            assert_eq!(hide(line), line);
        }
    }

    #[test]
    fn the_configuration_names_more() {
        assert_eq!(
            hide_with(&["licen?e*", "p"], "x|--license-no|7|-ps|-p|s|--port|1"),
            "x|--license-no|***|-p***|-p|***|--port|1"
        );
        assert_eq!(hide_with(&["--site"], "x|site=7"), "x|site=***");
        assert_eq!(hide("mysql|-ps"), "mysql|-ps", "only where it is named");
    }

    proptest! {
        #[test]
        fn a_secret_after_a_name_of_one_is_never_shown(
            before in proptest::collection::vec("[ -~]{0,12}", 0..4),
            after in proptest::collection::vec("[ -~]{0,12}", 0..4),
            name in prop::sample::select(vec![
                "password", "DB_PASSWD", "client-secret", "authToken", "api_key", "Authorization", "cookie", "pw",
            ]),
            secret in "[0-9A-Za-z!-/:-@]{0,20}Z7Z7Z7[ -~]{0,20}",
            form in 0..6,
        ) {
            let put = match form {
                0 => vec![format!("--{name}"), secret],
                1 => vec![format!("-{name}={secret}")],
                2 => vec![format!("{name}={secret}")],
                3 => vec![format!("X -H \"{name}: {secret}\"")],
                4 => vec![format!("sh --{name} {secret}")],
                _ => vec![format!("{{\"a\":1,\"{name}\":\"{secret}\"}}")],
            };
            let arguments: Vec<String> = before.into_iter().chain(put).chain(after).collect();
            let shown = Redaction::default().hide(&arguments).join(" ");
            prop_assert!(!shown.contains("Z7Z7Z7"), "{arguments:?} shows as {shown}");
        }

        #[test]
        fn a_password_in_an_address_is_never_shown(
            user in "[a-z]{0,8}", secret in "([!#-&(-.0-?A-~][!#-&(-?A-~]{0,9})?Z7Z7Z7[!#-&(-?A-~]{0,10}", scheme in "([a-z]{1,5}://)?",
        ) {
            let shown = Redaction::default().hide(&["x".to_owned(), format!("{scheme}{user}:{secret}@host:1/x")]);
            prop_assert!(!shown[1].contains("Z7Z7Z7"), "{shown:?}");
        }
    }
}
