//! The wire: types and services generated from `proto/`, and their conversions to and from the model.
//!
//! Converting from the wire checks what the types can't say (finite values within range, sane labels, counts within
//! bounds), so nothing behind this crate meets a sample that can't be right.

pub mod codec;
pub mod connection;
mod convert;
pub mod enrolment;
pub mod limits;
pub mod packed;
pub mod proof;
pub mod pushback;
pub mod shape;

pub use convert::sample::{finish as check_sample, timestamp as check_timestamp};
pub use convert::{InvalidSample, seq_range_from_wire, seq_range_to_wire};

/// What is in `proto/`, compiled: a `google.protobuf.FileDescriptorSet`, comments included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Generated from `proto/nodeglass/v1`.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::large_enum_variant,
    reason = "generated code; its documentation is in proto/"
)]
pub mod v1 {
    tonic::include_proto!("nodeglass.v1");
}
