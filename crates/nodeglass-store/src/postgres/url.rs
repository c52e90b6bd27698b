//! What a URL may say of a connection, and how the connection is kept from being less safe than it looks.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::StoreError;

/// What may follow the `?` of a URL. Anything else is refused: a parameter with a slip in it would be passed over, and
/// with it, say, the wish for TLS.
const PARAMETERS: [&str; 11] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
];

/// What a URL says. Nothing of it is repeated in an error, since any part may hold a password that was not encoded.
///
/// # Errors
/// [`StoreError::Url`], or [`StoreError::UrlParameter`] for a parameter that means nothing here.
pub(crate) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    let keys = || {
        let pairs = parameters.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key))
    };
    if !keys().all(|key| PARAMETERS.contains(&key)) {
        return Err(StoreError::UrlParameter);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Url)?;
    // Whoever names a CA wants it checked. `libpq` does so with sslmode=require, too.
    let mode = match options.get_ssl_mode() {
        _ if !keys().any(|key| key == "sslrootcert") => return Ok(options),
        PgSslMode::Require => PgSslMode::VerifyCa,
        _ if !keys().any(|key| key == "sslmode") => PgSslMode::VerifyFull,
        mode => mode,
    };
    Ok(options.ssl_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(parameters: &str) -> PgSslMode {
        options(&format!("postgres://u:p@h/d?{parameters}"))
            .unwrap()
            .get_ssl_mode()
    }

    #[test]
    fn a_named_ca_is_checked() {
        assert!(matches!(mode("sslrootcert=/ca.pem"), PgSslMode::VerifyFull));
        assert!(matches!(
            mode("sslmode=require&sslrootcert=/ca.pem"),
            PgSslMode::VerifyCa
        ));
        assert!(matches!(
            mode("sslrootcert=/ca.pem&sslmode=verify-full"),
            PgSslMode::VerifyFull
        ));
        assert!(matches!(
            mode("sslrootcert=/ca.pem&sslmode=disable"),
            PgSslMode::Disable
        ));
        assert!(matches!(mode("sslmode=require"), PgSslMode::Require));
    }

    #[test]
    fn parameters_that_mean_nothing_are_refused_and_not_repeated() {
        for url in [
            "postgres://u:p@h/d?ssl_mode=require",
            "postgres://u:1?secret@h/d",
            "postgres://u:p@h/d?sslmode=require&passwd=secret",
        ] {
            let error = options(url).unwrap_err();
            assert!(matches!(error, StoreError::UrlParameter), "{error:?}");
            let message = error.to_string();
            assert!(
                message.contains("sslmode") && !message.contains("secret"),
                "{message}"
            );
        }
    }
}
