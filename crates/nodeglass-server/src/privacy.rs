//! The key under which agents hash what says who and where, where they are told to: made once, kept beside the database and
//! not in it, and told to agents that ask for it. Under another key equal names would no longer be equal.

use std::fs;
use std::io;
use std::path::Path;

use nodeglass_runtime::config::Secret;
use nodeglass_runtime::private;

use crate::tokens;

const FILE: &str = "privacy.key";
/// What the key begins with, so that it is known for what it is wherever it is found.
const PREFIX: &str = "ngp_";

/// The key in a data directory; made where there is none.
///
/// # Errors
/// The file can't be written or read.
pub fn key(data_dir: &Path) -> io::Result<Secret> {
    let path = data_dir.join(FILE);
    private::create(&path, tokens::generate(PREFIX).expose().as_bytes())?;
    let text = fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("can't read {}: {error}", path.display())))?;
    Ok(Secret::from(text.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let made = key(directory.path()).unwrap();
        assert!(made.expose().len() > 40, "256 random bits");
        assert_eq!(key(directory.path()).unwrap().expose(), made.expose());
    }
}
