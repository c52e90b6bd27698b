//! Which names of arguments are names of secrets. Pure.

/// Wherever they stand in a name.
const PARTS: [&str; 8] = [
    "passw",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "signature",
    "bearer",
];

/// At the end of a word of a name.
const WORD_ENDS: [&str; 4] = ["pass", "pwd", "key", "keys"];

/// As a word of a name.
const WORDS: [&str; 8] = ["pw", "cred", "creds", "cookie", "psk", "pin", "otp", "jwt"];

/// Whether what this names is a secret: `--db-password`, `API_KEY`, `accessToken`.
pub(super) fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part)) || words(name).iter().any(|word| is_secret_word(word))
}

fn is_secret_word(word: &str) -> bool {
    // `author` is a person, but `authorization` is a secret.
    (word.starts_with("auth") && (!word.starts_with("author") || word.starts_with("authori")))
        || WORD_ENDS.iter().any(|end| word.ends_with(end))
        || WORDS.contains(&word)
}

/// The words of a name in lower case: split at what is no letter or digit, and before capitals that follow small
/// letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for character in name.chars() {
        let is_letter = character.is_ascii_alphanumeric();
        if !is_letter || (character.is_ascii_uppercase() && !before.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if is_letter && let Some(word) = words.last_mut() {
            word.push(character.to_ascii_lowercase());
        }
        before = character;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_and_others() {
        for name in [
            "--password",
            "-passwd",
            "DB_PASSWORD",
            "PGPASS",
            "mysql-pwd",
            "clientSecret",
            "apiKey",
            "APIKEY",
            "X-Api-Key",
            "aws_access_key_id",
            "access_tokens",
            "Authorization",
            "proxy-auth",
            "authToken",
            "--http.cookie",
            "wifi.psk",
            "credentials",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "",
            "--author",
            "--port",
            "keyboard",
            "--spinner",
            "pinned",
            "--keep",
            "path",
            "passive",
            "compression",
            "--pwned",
            "PIPELINE",
            "--user",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
