//! Makes Rust out of `proto/` without `protoc`: protox compiles the files, tonic generates the code. Beside it, what kinds
//! of messages hold which others, for `src/shape.rs`.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use prost_types::{DescriptorProto, FileDescriptorSet};

/// `TYPE_MESSAGE` of a field's descriptor.
const MESSAGE: i32 = 11;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let files = ["metrics", "system", "task", "agent", "client"]
        .map(|name| root.join(format!("nodeglass/v1/{name}.proto")));
    println!("cargo:rerun-if-changed={}", root.display());
    // With their comments, for programs that ask the server what it serves.
    let mut compiler = protox::Compiler::new([&root])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(
        Path::new(&out).join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    let descriptors = compiler.file_descriptor_set();
    fs::write(Path::new(&out).join("shapes.rs"), shapes(&descriptors)?)?;
    let generator = tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::codec::SmallBuffers");
    // Every message of an agent would be as large as the largest, and what waits for one has room for it.
    let seldom = ["hello", "system", "task_response"];
    let boxed = |kind: &str| format!(".nodeglass.v1.AgentMessage.message.{kind}");
    let generator = seldom
        .map(boxed)
        .iter()
        .fold(generator, tonic_prost_build::Builder::boxed);
    generator.compile_fds(descriptors)?;
    Ok(())
}

/// A `Shape` for each kind of message. Messages within messages are entries of maps: others there are none.
fn shapes(descriptors: &FileDescriptorSet) -> Result<String, Box<dyn std::error::Error>> {
    let mut out = String::new();
    for message in descriptors.file.iter().flat_map(|file| &file.message_type) {
        let name = message.name();
        shape(&mut out, message, name, &format!("size_of::<v1::{name}>()"))?;
        writeln!(
            out,
            "impl Shaped for v1::{name} {{ fn shape() -> &'static Shape {{ &{} }} }}",
            constant(name)
        )?;
        for entry in &message.nested_type {
            let is_map = entry
                .options
                .as_ref()
                .is_some_and(prost_types::MessageOptions::map_entry);
            if !is_map {
                return Err(format!("{name} holds {}, of which the size is not known", entry.name()).into());
            }
            shape(
                &mut out,
                entry,
                &format!("{name}.{}", entry.name()),
                "MAP_ENTRY_BYTES",
            )?;
        }
    }
    Ok(out)
}

fn shape(out: &mut String, message: &DescriptorProto, name: &str, bytes: &str) -> std::fmt::Result {
    write!(
        out,
        "static {}: Shape = Shape {{ bytes: {bytes}, messages: &[",
        constant(name)
    )?;
    for field in message.field.iter().filter(|field| field.r#type == Some(MESSAGE)) {
        let kind = field.type_name().trim_start_matches(".nodeglass.v1.");
        write!(out, "({}, &{}), ", field.number(), constant(kind))?;
    }
    writeln!(out, "] }};")
}

/// The name of a message as that of a constant.
fn constant(name: &str) -> String {
    let mut constant = String::from("OF");
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            constant.push('_');
        }
        constant.push(if letter == '.' {
            '_'
        } else {
            letter.to_ascii_uppercase()
        });
    }
    constant
}
