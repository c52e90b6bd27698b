//! Amounts with a range: spans of time, whole numbers, bytes; and how messages write them.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::document::{Value, quoted};

const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

/// A span of time with its unit.
pub(super) fn duration(value: &Value, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let allowed = allowed(range, Duration::MAX, show_duration);
    let unitless =
        |number: &str| format!("{number} has no unit; write {number}s, or ms, m, h or d for s, {allowed}");
    let wrong = || format!("{value} is not a duration; write a number and a unit such as 5s, {allowed}");
    let span = match value {
        Value::Integer(number) => return Err(unitless(&number.to_string())),
        Value::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(unitless(text));
        }
        Value::Text(text) => humantime::parse_duration(text).map_err(|_| wrong())?,
        _ => return Err(wrong()),
    };
    within(span, range, || format!("{value} is out of range, {allowed}"))
}

/// A span of time as people write it on a command line: `30d`, `90s`.
///
/// # Errors
/// What is wrong with it, and what is allowed.
pub fn parse_duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    duration(&Value::Text(text.to_owned()), range)
}

/// A whole number.
pub(super) fn integer(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let allowed = allowed(range, u64::MAX, |number| number.to_string());
    let Value::Integer(number) = value else {
        return Err(format!("{value} is not a whole number, {allowed}"));
    };
    let out = || format!("{value} is out of range, {allowed}");
    within(u64::try_from(*number).map_err(|_| out())?, range, out)
}

/// An amount of data in bytes.
pub(super) fn bytes(value: &Value, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let allowed = allowed(range, u64::MAX, show_bytes);
    let out = || format!("{value} is out of range, {allowed}");
    let amount = match value {
        Value::Integer(number) => u64::try_from(*number).map_err(|_| out())?,
        Value::Text(text) => parse_bytes(text).ok_or_else(|| {
            format!("{value} is not a size; write bytes or a number and a unit such as 8 MiB, {allowed}")
        })?,
        _ => {
            return Err(format!(
                "{value} is not a size; write bytes or a number and a unit such as 8 MiB, {allowed}"
            ));
        }
    };
    within(amount, range, out)
}

/// A text that counts whole units of time, as in the environment.
pub(super) fn whole_units(
    text: &str,
    unit: &str,
    seconds_per_unit: u64,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, String> {
    let allowed = allowed(range, Duration::MAX, show_duration);
    let number: u64 = text
        .trim()
        .parse()
        .map_err(|_| format!("{} is not a whole number of {unit}, {allowed}", quoted(text)))?;
    let out = || format!("{number} {unit} is out of range, {allowed}");
    let seconds = number.checked_mul(seconds_per_unit).ok_or_else(out)?;
    within(Duration::from_secs(seconds), range, out)
}

fn within<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    message: impl FnOnce() -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(message())
    }
}

fn allowed<T: Copy + PartialEq>(range: &RangeInclusive<T>, highest: T, show: impl Fn(T) -> String) -> String {
    if *range.end() == highest {
        format!("allowed is {} or more", show(*range.start()))
    } else {
        format!("allowed are {} to {}", show(*range.start()), show(*range.end()))
    }
}

/// In the largest unit that leaves no fraction, as people write it: `1h`, `90s`, `7d`.
pub fn show_duration(span: Duration) -> String {
    const UNITS: [(&str, u128); 5] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
    ];
    let nanos = span.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit)| nanos.is_multiple_of(*unit))
        .map_or_else(
            || humantime::format_duration(span).to_string(),
            |(name, unit)| format!("{}{name}", nanos / unit),
        )
}

/// In the largest binary unit that leaves no fraction: `8 MiB`.
fn show_bytes(amount: u64) -> String {
    BYTE_UNITS
        .iter()
        .take(4)
        .find(|(_, unit)| amount >= *unit && amount.is_multiple_of(*unit))
        .map_or_else(
            || format!("{amount} B"),
            |(name, unit)| format!("{} {name}", amount / unit),
        )
}

fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = if unit.is_empty() {
        1
    } else {
        BYTE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))?
            .1
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_amounts_of_data() {
        for (text, amount) in [
            ("8388608", 8_388_608),
            ("8 MiB", 8_388_608),
            ("64MiB", 67_108_864),
            ("1 gib", 1 << 30),
            ("500 KB", 500_000),
            ("2TB", 2_000_000_000_000),
            (" 7 B ", 7),
        ] {
            assert_eq!(parse_bytes(text), Some(amount), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5 GiB", "8 miles", "99999999999 TiB", "8 M iB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        let shown: Vec<_> = [0, 1000, 1024, 3 << 30].into_iter().map(show_bytes).collect();
        assert_eq!(shown, ["0 B", "1000 B", "1 KiB", "3 GiB"]);
    }

    #[test]
    fn shows_spans_as_people_write_them() {
        let shown: Vec<_> = [0, 1, 250, 90_000, 3_600_000, 86_400_000 * 7]
            .into_iter()
            .map(|millis| show_duration(Duration::from_millis(millis)))
            .collect();
        assert_eq!(shown, ["0s", "1ms", "250ms", "90s", "1h", "7d"]);
        assert_eq!(show_duration(Duration::from_micros(1500)), "1ms 500us");
    }
}
