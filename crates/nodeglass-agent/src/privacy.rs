//! The key under which this host hashes what says who and where: the server's, which all of its agents share. It comes with a
//! session and is kept in the data directory, so that a host hashes while its server is away, too.

use std::fs;
use std::path::{Path, PathBuf};

use nodeglass_collect::privacy::Privacy;
use nodeglass_runtime::private;
use tracing::warn;

/// Keys have 43 characters and what stands before them; more is not from a server of ours.
const MAX_KEY_BYTES: usize = 256;

/// The key's file, and the rules that it is for.
#[derive(Debug, Clone)]
pub struct PrivacyKey {
    file: PathBuf,
    /// What hashes under it.
    pub privacy: Privacy,
}

impl PrivacyKey {
    /// Hands the key that an earlier session left in the data directory to the rules, if they need one.
    pub fn load(data_dir: &Path, privacy: &Privacy) -> Self {
        let file = data_dir.join("privacy.key");
        if privacy.needs_key()
            && let Ok(key) = fs::read_to_string(&file)
            && is_key(&key)
        {
            privacy.set_key(&key);
        }
        Self {
            file,
            privacy: privacy.clone(),
        }
    }

    /// Takes the server's key; whether texts are shown in another way from now on.
    pub fn adopt(&self, key: &str) -> bool {
        if !self.privacy.needs_key() || !is_key(key) || !self.privacy.set_key(key) {
            return false;
        }
        // It comes again with the next session.
        if let Err(error) = private::write(&self.file, key.as_bytes()) {
            warn!(%error, "the key for hashes is not kept; until the next session what is hashed is left out after a restart");
        }
        true
    }
}

fn is_key(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_KEY_BYTES
}

#[cfg(test)]
mod tests {
    use nodeglass_collect::privacy::{Personal, PrivacyRules, Treatment};

    use super::*;

    fn rules(user_names: Treatment) -> Privacy {
        Privacy::new(PrivacyRules {
            user_names,
            ..Default::default()
        })
    }

    fn shown(privacy: &Privacy) -> Option<String> {
        privacy.show(Personal::UserName, "alice").map(Into::into)
    }

    #[test]
    fn what_a_session_brought_holds_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let first = rules(Treatment::Hash);
        let key = PrivacyKey::load(directory.path(), &first);
        assert_eq!(shown(&first), None, "nothing to hash under yet");
        assert!(key.adopt("secret") && !key.adopt("secret") && !key.adopt(""));
        let again = rules(Treatment::Hash);
        PrivacyKey::load(directory.path(), &again);
        assert_eq!(shown(&again), shown(&first));
        assert!(shown(&again).is_some_and(|shown| shown.starts_with('#')));
        assert!(key.adopt("another"), "a server that lost its key makes a new one");
        assert_ne!(shown(&first), shown(&again));
    }

    #[test]
    fn who_hashes_nothing_keeps_no_key() {
        let directory = tempfile::tempdir().unwrap();
        let key = PrivacyKey::load(directory.path(), &rules(Treatment::Omit));
        assert!(!key.adopt("secret"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
