//! The dashboard's bundle, which is checked in: whether it is built from the sources as they are.
//!
//! `dashboard/scripts/seal.mjs` records in the bundle what it was built from; here that is compared, on machines without
//! npm, too.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use crate::workspace;

/// What the bundle is made of; `seal.mjs` has the same list.
const SOURCES: &[&str] = &[
    "clients/typescript/src",
    "clients/react/src",
    "dashboard/src",
    "dashboard/index.html",
    "dashboard/vite.config.ts",
    "package-lock.json",
];

/// Checks that the bundle's sources are those that it was built from.
///
/// # Errors
/// They are not, or can't be read.
pub(crate) fn check() -> anyhow::Result<()> {
    let recorded = fs::read_to_string(workspace().join("dashboard/dist/sources.txt"))
        .context("can't read dashboard/dist/sources.txt")?;
    ensure!(
        recorded == sources()?,
        "dashboard/dist is not built from the sources as they are: run `npm run build -w @nodeglass/dashboard`"
    );
    Ok(())
}

/// A line for each source: the hash of its content, and its path.
fn sources() -> anyhow::Result<String> {
    let mut paths = Vec::new();
    for source in SOURCES {
        find(&workspace().join(source), &mut paths).with_context(|| format!("can't read {source}"))?;
    }
    let mut lines = paths
        .iter()
        .map(|path| Ok((path.strip_prefix(workspace())?.display().to_string(), hash(path)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    lines.sort();
    let mut text = String::new();
    for (path, hash) in lines {
        writeln!(text, "{hash}  {path}")?;
    }
    Ok(text)
}

fn find(path: &Path, files: &mut Vec<std::path::PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        // Tests are not in the bundle, nor are types alone.
        if !name.ends_with(".test.ts") && !name.ends_with(".test.tsx") && name != "schema.ts" {
            find(&entry, files)?;
        }
    }
    Ok(())
}

fn hash(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut text = String::new();
    for byte in Sha256::digest(&bytes) {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checked_in_bundle_is_built_from_the_sources() {
        super::check().unwrap();
    }
}
