//! One-time codes (RFC 6238: HMAC-SHA-1, six digits, thirty seconds), as all authenticator programs make them.

use std::fmt::Write as _;

use nodeglass_model::UnixMillis;
use nodeglass_runtime::config::Secret;
use ring::hmac;
use subtle::{Choice, ConstantTimeEq};

/// What RFC 4226 asks of a secret, as long as the hash.
pub const SECRET_BYTES: usize = 20;
/// How long a code holds.
const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one whose codes are taken, as clocks differ and people type slowly.
const DRIFT_STEPS: i64 = 1;
/// Digits of a code.
const DIGITS: u32 = 6;
/// Codes for whoever has lost the device.
pub const RECOVERY_CODES: usize = 10;
/// Random bytes of one: 80 bits, which nobody tries out, and sixteen letters to write down.
const RECOVERY_BYTES: usize = 10;

/// The step whose code this is, if it is one of now.
pub fn step_of(secret: &[u8], code: &str, now: UnixMillis) -> Option<i64> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let present = now.seconds().div_euclid(STEP_SECONDS);
    let mut found = 0;
    // Each is compared, and in whole, whichever fits.
    for step in present - DRIFT_STEPS..=present + DRIFT_STEPS {
        let fits: Choice = self::code(secret, step).as_bytes().ct_eq(code.as_bytes());
        found = if fits.into() { step } else { found };
    }
    (found > 0).then_some(found)
}

/// The code of a moment, as an authenticator shows it.
pub fn code_at(secret: &[u8], at: UnixMillis) -> String {
    code(secret, at.seconds().div_euclid(STEP_SECONDS))
}

fn code(secret: &[u8], step: i64) -> String {
    format!(
        "{:0width$}",
        number(secret, step, DIGITS),
        width = DIGITS as usize
    )
}

/// The code of a step as a number (RFC 4226, 5.3).
fn number(secret: &[u8], step: i64, digits: u32) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let word = tag[offset..offset + 4]
        .iter()
        .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
    (word & 0x7fff_ffff) % 10_u32.pow(digits)
}

/// What authenticator programs read from a picture of it.
pub fn otpauth_url(server: &str, name: &str, secret: &[u8]) -> Secret {
    let (server, name) = (escape(server), escape(name));
    Secret::from(format!(
        "otpauth://totp/{server}:{name}?secret={}&issuer={server}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
        base32(secret)
    ))
}

/// Codes for whoever has lost the device, each good once.
pub fn recovery_codes() -> Vec<String> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let mut random = [0; RECOVERY_BYTES];
        getrandom::fill(&mut random).expect("random numbers from the operating system");
        let letters = base32(&random).to_ascii_lowercase();
        codes.push(format!("{}-{}", &letters[..8], &letters[8..]));
    }
    codes
}

/// A recovery code as it is hashed, however it was typed.
pub fn plain_recovery_code(code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// RFC 4648 without padding.
pub fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut word, mut bits) = (0_u32, 0);
    for byte in bytes {
        word = (word << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(LETTERS[(word >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(LETTERS[(word << (5 - bits) & 31) as usize]));
    }
    text
}

/// Percent-encodes whatever is no letter, digit or one of `-._~`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Texts take everything.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of the vectors of RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(number(SECRET, seconds / STEP_SECONDS, 8), code, "{seconds}");
        }
    }

    #[test]
    fn a_code_holds_for_its_step_and_its_neighbours() {
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        // Of the step 41152263, from 1234567890 on; the last six digits of the RFC's eight.
        let code = "005924";
        let step = 41_152_263;
        for (seconds, taken) in [
            (-31, false),
            (-30, true),
            (0, true),
            (29, true),
            (59, true),
            (60, false),
        ] {
            let found = step_of(SECRET, code, at(1_234_567_890 + seconds));
            assert_eq!(found, taken.then_some(step), "{seconds}");
        }
        assert_eq!(step_of(SECRET, "005 924", at(1_234_567_890)), Some(step));
        for wrong in ["5924", "0059240", "", "005925", "００５９２４"] {
            assert_eq!(step_of(SECRET, wrong, at(1_234_567_890)), None, "{wrong}");
        }
    }

    #[test]
    fn base32_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_url_is_what_authenticators_read() {
        assert_eq!(
            otpauth_url("node glass", "ann@example", b"foobar").expose(),
            "otpauth://totp/node%20glass:ann%40example?secret=MZXW6YTBOI&issuer=node%20glass&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn recovery_codes_differ_and_are_read_however_they_are_typed() {
        let codes = recovery_codes();
        let plain: std::collections::BTreeSet<_> =
            codes.iter().map(|code| plain_recovery_code(code)).collect();
        assert_eq!(plain.len(), RECOVERY_CODES);
        let typed = format!(" {} ", codes[0].to_uppercase().replace('-', " "));
        assert_eq!(plain_recovery_code(&typed), plain_recovery_code(&codes[0]));
        assert_eq!(plain_recovery_code(&codes[0]).len(), 16);
    }
}
