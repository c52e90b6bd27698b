//! Makes Rust out of `proto/` without `protoc`: protox compiles the files, tonic generates the code.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = ["metrics", "system", "task", "agent", "client"]
        .map(|name| root.join(format!("nodeglass/v1/{name}.proto")));
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(files, [&root])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::codec::SmallBuffers")
        .compile_fds(descriptors)?;
    Ok(())
}
