//! Patterns for names: `*` stands for any letters, `?` for one.

/// The longest pattern that is taken, in bytes: longer than any name.
pub(crate) const LONGEST: usize = 256;

/// Whether a text is a pattern and not a name.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether a name is meant by what somebody looks for: a pattern of the whole name, or else a part of it.
pub(crate) fn finds(text: &str, name: &str) -> bool {
    if is_pattern(text) {
        fits(text, name)
    } else {
        name.contains(text)
    }
}

/// Whether a whole name fits a pattern. Takes at most as many steps as one is long times the other.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == b'?' || *letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                p = at + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("web-*", "web-01", true),
            ("web-*", "web", false),
            ("*-db", "eu-db-db", true),
            ("*-db", "eu-db-1", false),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxcyyb", false),
            ("web-01", "web-01", true),
            ("web-01", "web-011", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(40), &"a".repeat(39)), "and within a moment");
    }
    #[test]
    fn who_looks_for_a_text_means_a_part_and_with_a_pattern_the_whole() {
        for (text, name, expected) in [
            ("web", "old-web-01", true),
            ("01", "web-01", true),
            ("web-02", "web-01", false),
            ("web*", "old-web-01", false),
            ("*web*", "old-web-01", true),
            ("web-?", "web-01", false),
        ] {
            assert_eq!(finds(text, name), expected, "{text} {name}");
        }
    }
}
