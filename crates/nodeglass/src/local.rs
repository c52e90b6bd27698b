//! Servers that run on this host: where they are and which CA they have, so that nobody has to be told.

use std::path::{Path, PathBuf};

use anyhow::Context;
use nodeglass_server::config::{DEFAULT_DATA_DIR, host_of};
use nodeglass_server::state::ServerState;

/// Where a user's programs keep their data.
pub(crate) fn default_data_dir() -> anyhow::Result<PathBuf> {
    let set = |variable| {
        std::env::var_os(variable)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_DATA_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("nodeglass"))
        .context("neither XDG_DATA_HOME nor HOME is set: say where to keep the data with --data-dir DIR")
}

/// The servers that run here and whose state this user may read: `nodeglass up`, and the one of the service.
fn running() -> impl Iterator<Item = ServerState> {
    let own = default_data_dir().ok();
    let service = PathBuf::from(DEFAULT_DATA_DIR);
    own.into_iter()
        .chain([service])
        .filter_map(|directory: PathBuf| ServerState::load_running(&directory))
}

/// The address of a server that runs here.
pub(crate) fn server() -> Option<String> {
    running().next().map(|state| state.url)
}

/// The CA of the server at this address, if it runs here and has one of its own.
pub(crate) fn ca_of(url: &str) -> Option<PathBuf> {
    running()
        .find(|state| is_same(&state.url, url))
        .and_then(|state| state.ca)
        .filter(|ca| can_be_read(ca))
}

fn can_be_read(path: &Path) -> bool {
    std::fs::File::open(path).is_ok()
}

/// Whether two addresses lead to the same server of this host: they are the same, or both of them loopback ones with the
/// same port.
fn is_same(known: &str, asked: &str) -> bool {
    let port = |url: &str| {
        url.trim_end_matches('/')
            .rsplit_once(':')
            .map(|(_, port)| port.to_owned())
    };
    known == asked.trim_end_matches('/')
        || is_loopback(known) && is_loopback(asked) && port(known) == port(asked)
}

/// Whether an address can lead to this host alone.
pub(crate) fn is_loopback(url: &str) -> bool {
    host_of(url).is_some_and(|host| {
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_this_host_are_known_by_their_ports() {
        let known = "https://127.0.0.1:7080";
        for same in [
            known,
            "https://127.0.0.1:7080/",
            "https://localhost:7080",
            "https://[::1]:7080",
        ] {
            assert!(is_same(known, same), "{same}");
        }
        for other in [
            "https://127.0.0.1:7081",
            "https://example.org:7080",
            "https://127.0.0.1.example.org:7080",
        ] {
            assert!(!is_same(known, other), "{other}");
        }
        assert!(is_same("https://monitor:1", "https://monitor:1/"));
    }
}
