//! Puts the dashboard's bundle, which is checked in, into the program: each file as it is and, where that is worth it,
//! compressed.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// What the bundle needs to be served; the list of its sources is for those who build it.
const NOT_SERVED: &str = "sources.txt";

fn main() -> io::Result<()> {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = PathBuf::from(std::env::var("OUT_DIR").map_err(io::Error::other)?);
    let bundle = Path::new(&manifest).join("../../dashboard/dist");
    println!("cargo:rerun-if-changed={}", bundle.display());
    let mut files = Vec::new();
    find(&bundle, &bundle, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for path in files.iter().filter(|path| path.as_str() != NOT_SERVED) {
        let file = bundle.join(path).canonicalize()?;
        let compressed = compress(&file, &out.join(path.replace('/', "_")))?;
        let compressed = compressed.map_or_else(
            || "None".to_owned(),
            |file| format!("Some(include_bytes!({}))", literal(&file)),
        );
        writeln!(
            table,
            "    File {{ path: \"/{path}\", bytes: include_bytes!({}), gzip: {compressed} }},",
            literal(&file)
        )
        .map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(out.join("bundle.rs"), table)
}

/// A path as a string literal.
fn literal(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

/// Every file below `directory`, as a path from `root`.
fn find(root: &Path, directory: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find(root, &path, files)?;
        } else {
            let path = path.strip_prefix(root).map_err(io::Error::other)?;
            files.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}

/// Writes a file compressed, unless that saves nothing.
fn compress(file: &Path, name: &Path) -> io::Result<Option<PathBuf>> {
    let bytes = fs::read(file)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let compressed = encoder.finish()?;
    if compressed.len() * 10 > bytes.len() * 9 {
        return Ok(None);
    }
    let path = name.with_added_extension("gz");
    fs::write(&path, compressed)?;
    Ok(Some(path))
}
