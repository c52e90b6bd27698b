//! Samples as bytes on disk: what the agent's buffer and the server's store keep.
//!
//! [`row`] is one sample by itself, for places that take samples as they come; [`delta`] is one in the light of the sample
//! before it; [`chunk`] is many as compressed columns, for places that keep them. Both ends of every format are here, and
//! both are pure; where the bytes lie is left to the callers.

pub mod chunk;
pub mod delta;
pub mod row;
pub mod varint;
