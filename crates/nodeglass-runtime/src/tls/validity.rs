//! From when to when a certificate holds, read from its DER. Everything else of it is checked by rustls, which does not
//! tell this.

use std::time::{Duration, SystemTime};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The time in which a certificate holds, both ends included. Moments before 1970 are shown as 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) begin: SystemTime,
    pub(super) end: SystemTime,
}

/// Reads it; `None` if the bytes are no certificate.
pub(super) fn parse_validity(certificate: &[u8]) -> Option<Validity> {
    let (SEQUENCE, certificate, _) = element(certificate)? else {
        return None;
    };
    let (SEQUENCE, signed, _) = element(certificate)? else {
        return None;
    };
    let (first, _, rest) = element(signed)?;
    // The version is absent from certificates of the first.
    let after_serial = if first == VERSION { element(rest)?.2 } else { rest };
    let (_, _, after_algorithm) = element(after_serial)?;
    let (_, _, after_issuer) = element(after_algorithm)?;
    let (SEQUENCE, validity, _) = element(after_issuer)? else {
        return None;
    };
    let (tag, begin, rest) = element(validity)?;
    let begin = parse_time(tag, begin)?;
    let (tag, end, _) = element(rest)?;
    Some(Validity {
        begin,
        end: parse_time(tag, end)?,
    })
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7F => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7F))?;
            let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` of the years 1950 to 2049, or `YYYYMMDDhhmmssZ`, as RFC 5280 wants them.
fn parse_time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let [digits @ .., b'Z'] = rest else { return None };
    if digits.len() != 10 {
        return None;
    }
    let mut parts = digits.chunks(2).map(number);
    let mut part = |range: std::ops::RangeInclusive<i64>| parts.next()?.filter(|part| range.contains(part));
    let (month, day) = (part(1..=12)?, part(1..=31)?);
    let (hour, minute, second) = (part(0..=23)?, part(0..=59)?, part(0..=59)?);
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last of one.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // From 0000-03-01 to 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::read_certificates;
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/tls/fixtures")
            .join(name);
        read_certificates(&path).unwrap().remove(0).to_vec()
    }

    fn shown(certificate: &[u8]) -> Option<(String, String)> {
        let Validity { begin, end } = parse_validity(certificate)?;
        let shown = |at| humantime::format_rfc3339_seconds(at).to_string();
        Some((shown(begin), shown(end)))
    }

    #[test]
    fn is_what_openssl_says() {
        // Made with `openssl ca -selfsign -startdate … -enddate …`, so that both kinds of times are in them.
        for (name, begin, end) in [
            ("ecdsa.pem", "2024-02-29T23:59:58Z", "2124-03-01T00:00:01Z"),
            ("rsa.pem", "1999-12-31T12:34:56Z", "2049-12-31T23:59:59Z"),
        ] {
            let expected = (begin.to_owned(), end.to_owned());
            assert_eq!(shown(&fixture(name)), Some(expected), "{name}");
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        let utc = |text: &str| parse_time(UTC_TIME, text.as_bytes());
        assert!(utc("240229235958Z").is_some());
        for wrong in [
            "",
            "Z",
            "240229235958",
            "2402292359Z",
            "241329235958Z",
            "240229235960Z",
            "24022923595xZ",
        ] {
            assert_eq!(utc(wrong), None, "{wrong}");
        }
        assert_eq!(parse_time(4, b"240229235958Z"), None);
        assert_eq!(parse_time(GENERALIZED_TIME, b"240229235958Z"), None);
    }

    proptest! {
        #[test]
        fn days_are_those_of_the_calendar(days in 0_i64..80_000) {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(days as u64 * 86_400);
            let text = humantime::format_rfc3339_seconds(at).to_string();
            let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
            prop_assert_eq!(days_since_1970(part(0..4), part(5..7), part(8..10)), days);
        }

        #[test]
        fn damaged_certificates_are_no_danger(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            let mut certificate = fixture("ecdsa.pem");
            if let Some(place) = certificate.get_mut(at) {
                *place = byte;
            }
            certificate.truncate(cut);
            let _ = parse_validity(&certificate);
        }
    }
}
