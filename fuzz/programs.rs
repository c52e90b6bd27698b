//! As `entries.rs`, for what the programs themselves read: calls and configurations.

use nodeglass_agent::config::AgentConfig;
use nodeglass_model::UnixMillis;
use nodeglass_runtime::config::{ConfigReader, Env};
use nodeglass_server::config::{Overrides, ServerConfig};

/// When it is, in a corpus that never changes.
const NOW: UnixMillis = UnixMillis(1_763_712_000_000);

/// What callers ask with: the parameters of a REST call.
pub(crate) fn query(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        nodeglass_server::fuzzing::query(text, NOW);
    }
}

/// Configuration files: the first byte says whose.
pub(crate) fn config(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let reader = ConfigReader::parse("input.yaml", text, Env::empty());
    if kind % 2 == 0 {
        if let Err(error) = ServerConfig::read(reader, Overrides::default()) {
            assert!(!error.problems().is_empty());
        }
    } else if let Err(error) = AgentConfig::read(reader) {
        assert!(!error.problems().is_empty());
    }
}
