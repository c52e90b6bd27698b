//! Programs in Python, which speak to servers with libraries that we did not write: `tests/python`.

use std::path::{Path, PathBuf};

/// The interpreter with the libraries; it is made at the first use.
///
/// # Panics
/// It can't be had; says what to install.
pub fn interpreter() -> PathBuf {
    xtask::tools::python::programs().expect("Python with packages of PyPI")
}

/// A program of ours.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(name)
}
