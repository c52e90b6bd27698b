//! Which agents' names are meant: a part of the name, or a pattern of the whole of it.

/// The longest pattern, in bytes: longer than any name.
pub(super) const LONGEST: usize = 256;

/// What a name must be like.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The text is somewhere in it.
    Part(String),
    /// The whole name, where `*` stands for any text and `?` for one character.
    Whole(Vec<u8>),
}

impl Pattern {
    /// A text with `*` or `?` is a pattern of the whole name, any other a part of it.
    pub(super) fn new(text: &str) -> Self {
        if text.contains(['*', '?']) {
            Self::Whole(text.bytes().collect())
        } else {
            Self::Part(text.to_owned())
        }
    }

    /// Whether a name, which is ASCII, is meant.
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Part(part) => name.contains(part.as_str()),
            Self::Whole(pattern) => fits(pattern, name.as_bytes()),
        }
    }
}

/// Takes each `*` for as little as possible and, where it does not work out, for one character more: only the last one
/// ever has to be taken back, so it can't take long.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut named) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while named < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, named));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || *wanted == name[named] => {
                at += 1;
                named += 1;
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                star = Some((after, taken + 1));
                (at, named) = (after, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_whole_names_and_other_texts_parts_of_them() {
        for (pattern, name, meant) in [
            ("web", "web-01", true),
            ("01", "web-01", true),
            ("web-02", "web-01", false),
            ("web*", "web-01", true),
            ("web*", "old-web-01", false),
            ("*web*", "old-web-01", true),
            ("web-?1", "web-01", true),
            ("web-?", "web-01", false),
            ("*", "a", true),
            ("?", "ab", false),
            ("a*b*c", "a.b.b.c", true),
            ("a*b*c", "a.b.b.cd", false),
            ("**a", "ba", true),
            ("*a*a*a*a*a*a*a*b", &"a".repeat(100), false),
        ] {
            assert_eq!(Pattern::new(pattern).fits(name), meant, "{pattern} {name}");
        }
    }
}
