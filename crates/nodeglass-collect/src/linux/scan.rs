//! Lines, fields and numbers out of the kernel's text files, without allocating.

/// The lines of a text.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
}

/// The fields of a line, which white space separates.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
}

/// A whole number written in digits only; `None` for anything else, and where it would not fit.
pub(crate) fn parse_number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The next `N` fields as numbers; `None` if there are fewer, or one is no number.
pub(crate) fn take_numbers<'a, const N: usize>(
    fields: &mut impl Iterator<Item = &'a [u8]>,
) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = parse_number(fields.next()?)?;
    }
    Some(numbers)
}

/// A field as text; what is not UTF-8 is replaced.
pub(crate) fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(parse_number(b"18446744073709551615"), Some(u64::MAX));
        for wrong in [&b"18446744073709551616"[..], b"", b"-1", b"1.5", b"12kB"] {
            assert_eq!(parse_number(wrong), None);
        }
    }
}
