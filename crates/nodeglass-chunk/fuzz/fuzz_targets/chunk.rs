//! Bytes that may be a chunk, in one buffer or as parts.
//!
//! ```text
//! cargo install cargo-fuzz
//! cd crates/nodeglass-chunk && mkdir -p fuzz/corpus/chunk && cp tests/fixtures/* fuzz/corpus/chunk/
//! cargo +nightly fuzz run chunk -- -max_total_time=600 -rss_limit_mb=1024
//! ```
//!
//! The same checks run as property tests, on every compiler: `tests/hostile.rs`.

#![no_main]

#[path = "../../tests/hostile/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    exercise::whole(data);
    if let Some((length, rest)) = data.split_first_chunk::<2>() {
        let at = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (directory, payload) = rest.split_at(at);
        exercise::parts(directory, payload);
    }
});
