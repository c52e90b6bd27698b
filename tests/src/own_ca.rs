//! A certificate that somebody brings to the server, with its CA.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use nodeglass_runtime::tls::authority::{Authority, Names};
use tempfile::TempDir;

/// A CA of somebody's own with a certificate for loopback, as files.
pub struct OwnCa {
    /// Where the files are.
    pub directory: TempDir,
    /// The CA.
    pub authority: Authority,
}

impl Default for OwnCa {
    fn default() -> Self {
        Self::new()
    }
}

impl OwnCa {
    /// Makes both.
    ///
    /// # Panics
    /// They can't be made.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let authority = Authority::open(directory.path()).expect("a CA");
        let own = Self { directory, authority };
        own.issue(SystemTime::now());
        own
    }

    /// Makes another certificate in the place of the one before.
    ///
    /// # Panics
    /// It can't be made.
    pub fn issue(&self, at: SystemTime) {
        for file in self.authority.identity_files() {
            // There is none at first.
            let _ = fs::remove_file(file);
        }
        self.authority
            .identity(&Names::local(), at)
            .expect("a certificate");
    }

    /// The CA's file.
    pub fn ca(&self) -> PathBuf {
        Authority::certificate_path(self.directory.path())
    }

    /// The configuration of a server with this certificate.
    pub fn configuration(&self) -> String {
        let [certificate, key] = self.authority.identity_files();
        let (certificate, key, ca) = (certificate.display(), key.display(), self.ca());
        format!(
            "tls: {{certificate: {certificate}, key: {key}, ca: {}}}",
            ca.display()
        )
    }
}
