//! Who may call, as the configuration says it: how long sessions last, the provider, and how much of the audit log is kept.

use std::path::PathBuf;
use std::time::Duration;

use nodeglass_runtime::config::{ConfigReader, Secret};

use super::{HOUR, SECOND};
use crate::audit::AuditLimits;
use crate::identity::directory::SessionLimits;
use crate::identity::oidc::{Grant, OidcSettings, is_safe};

const DAY: Duration = Duration::from_hours(24);

/// What is said of access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessSettings {
    /// How long sessions last.
    pub sessions: SessionLimits,
    /// The provider, if there is one.
    pub oidc: Option<OidcSettings>,
    /// How much of the audit log is kept.
    pub audit: AuditLimits,
}

impl AccessSettings {
    /// Reads the keys under `access`.
    pub(super) fn read(reader: &mut ConfigReader) -> Self {
        let sessions = SessionLimits {
            idle: reader.duration("access.sessions.idle", HOUR * 2, SECOND..=DAY * 30),
            absolute: reader.duration("access.sessions.absolute", HOUR * 12, SECOND..=DAY * 90),
        };
        if sessions.idle > sessions.absolute {
            reader.problem(
                "access.sessions.idle",
                "must not be longer than access.sessions.absolute, after which a session ends in any case",
            );
        }
        Self {
            sessions,
            oidc: oidc(reader),
            audit: AuditLimits {
                keep: reader.duration("access.audit.keep", DAY * 365, DAY..=DAY * 3_650),
                most: reader.integer("access.audit.max_entries", 1_000_000, 1_000..=1_000_000_000),
            },
        }
    }
}

fn oidc(reader: &mut ConfigReader) -> Option<OidcSettings> {
    let issuer = reader.text("access.oidc.issuer");
    let client_id = reader.text("access.oidc.client_id");
    let from_file = reader.secret("access.oidc.client_secret");
    let client_secret = reader.env_text("NODEGLASS_OIDC_CLIENT_SECRET").map(Secret::from);
    let ca = reader.text("access.oidc.ca").map(PathBuf::from);
    let scopes = reader.list("access.oidc.scopes", &["openid", "profile"]);
    let name_claim = reader.text("access.oidc.name_claim");
    let groups_claim = reader.text("access.oidc.groups_claim");
    let title = reader.text("access.oidc.title");
    let mut grants = Vec::new();
    for line in reader.list("access.oidc.grants", &[]) {
        match line.parse::<Grant>() {
            Ok(grant) => grants.push(grant),
            Err(error) => reader.problem("access.oidc.grants", error.to_string()),
        }
    }
    let Some(issuer) = issuer else {
        if client_id.is_some() || !grants.is_empty() {
            reader.problem(
                "access.oidc.issuer",
                "is needed with the other keys of access.oidc",
            );
        }
        return None;
    };
    if !is_safe(&issuer) {
        reader.problem(
            "access.oidc.issuer",
            format!("{issuer:?} must begin with https://; http:// is for a provider on this host alone"),
        );
    }
    if client_id.is_none() {
        reader.problem(
            "access.oidc.client_id",
            "is needed: this server's name at the provider",
        );
    }
    if grants.is_empty() {
        reader.problem(
            "access.oidc.grants",
            "is needed, or nobody may do anything: [\"ops: admin\", \"*: viewer\"]",
        );
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        reader.problem("access.oidc.scopes", "must have openid among them");
    }
    Some(OidcSettings {
        issuer,
        client_id: client_id.unwrap_or_default(),
        client_secret: client_secret.or(from_file),
        ca,
        scopes,
        name_claim: name_claim.unwrap_or_else(|| "preferred_username".to_owned()),
        groups_claim: groups_claim.unwrap_or_else(|| "groups".to_owned()),
        grants,
        title: title.unwrap_or_else(|| "Single sign-on".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use nodeglass_runtime::config::Env;
    use nodeglass_store::Role;

    use super::*;

    fn read(yaml: &str, env: &[(&str, &str)]) -> Result<AccessSettings, String> {
        let mut reader = ConfigReader::parse("test.yaml", yaml, Env::from_pairs(env));
        let settings = AccessSettings::read(&mut reader);
        reader.finish().map_err(|error| error.problems().join("\n"))?;
        Ok(settings)
    }

    #[test]
    fn a_provider_is_read_with_what_it_grants() {
        let yaml = "access:\n  sessions: {idle: 30m, absolute: 8h}\n  audit: {keep: 30d, max_entries: 5000}\n  oidc:\n    \
                    issuer: https://id.example.org\n    client_id: nodeglass\n    client_secret: in-the-file\n    \
                    grants: ['ops: admin', '*: viewer web-*']\n";
        let settings = read(yaml, &[("NODEGLASS_OIDC_CLIENT_SECRET", "from-outside")]).unwrap();
        assert_eq!(settings.sessions.idle, Duration::from_mins(30));
        assert_eq!((settings.audit.keep, settings.audit.most), (DAY * 30, 5_000));
        let oidc = settings.oidc.unwrap();
        assert_eq!(oidc.client_secret.as_ref().unwrap().expose(), "from-outside");
        assert_eq!((oidc.grants.len(), oidc.grants[0].role), (2, Role::Admin));
        assert!(!format!("{oidc:?}").contains("outside"));
        let default = read("", &[]).unwrap();
        assert_eq!((default.oidc, default.sessions.absolute), (None, HOUR * 12));
    }

    #[test]
    fn a_provider_that_is_half_described_is_refused() {
        let problems = |yaml: &str| read(yaml, &[]).unwrap_err();
        let all = problems(
            "access: {oidc: {issuer: 'http://id.example.org', scopes: [profile], grants: ['ops: root']}}",
        );
        for key in ["issuer", "client_id", "scopes", "grants"] {
            assert!(all.contains(&format!("access.oidc.{key}")), "{key} in\n{all}");
        }
        assert!(problems("access: {oidc: {client_id: x}}").contains("access.oidc.issuer"));
        assert!(problems("access: {sessions: {idle: 2d}}").contains("access.sessions.idle"));
    }
}
