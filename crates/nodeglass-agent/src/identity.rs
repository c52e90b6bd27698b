//! Who this agent is: the enrolment that it was given, kept in its data directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nodeglass_proto::enrolment::{Enrolment, EnrolmentError};
use nodeglass_runtime::private;

/// Why there is no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody enrolled this host.
    #[error("this host is not enrolled: run `nodeglass-server agent add NAME` on the server, then `nodeglass-agent enroll STRING --data-dir {}` here; or start with `nodeglass-agent run --local-only`, which serves this host's figures on the local endpoint and needs no server", .0.display())]
    NotEnrolled(PathBuf),
    /// The string or file is no enrolment.
    #[error(transparent)]
    Enrolment(#[from] EnrolmentError),
    /// The file can't be read or written.
    #[error("can't use {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("enrolment")
}

/// Reads the enrolment that [`save`] wrote.
///
/// # Errors
/// The host is not enrolled, or the file can't be read.
pub fn load(data_dir: &Path) -> Result<Enrolment, IdentityError> {
    let path = path(data_dir);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Enrolment::decode(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(IdentityError::NotEnrolled(data_dir.to_owned()))
        }
        Err(source) => Err(IdentityError::File { path, source }),
    }
}

/// Keeps an enrolment, readable by its owner alone. One that is there already is replaced.
///
/// # Errors
/// The directory can't be written.
pub fn save(data_dir: &Path, enrolment: &Enrolment) -> Result<(), IdentityError> {
    let path = path(data_dir);
    private::make_dir(data_dir)
        .and_then(|()| private::write(&path, enrolment.encode().as_bytes()))
        .map_err(|source| IdentityError::File { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_kept_privately_and_says_when_it_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = directory.path().join("agent");
        let error = load(&data_dir).unwrap_err().to_string();
        assert!(error.contains("nodeglass-agent enroll"), "{error}");

        let enrolment = Enrolment {
            server: "https://h:1".into(),
            ca_pin: Some([7; 32]),
            agent: "a".parse().unwrap(),
            token: "t".into(),
        };
        save(&data_dir, &enrolment).unwrap();
        assert_eq!(load(&data_dir).unwrap(), enrolment);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path(&data_dir)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
