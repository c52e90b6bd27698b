//! What the host is: chooses who describes it.

use std::path::Path;

use nodeglass_model::UnixMillis;
use nodeglass_model::system::{SystemInfo, SystemParts};

use crate::config::{Backend, CollectConfig};
use crate::portable;

/// Describes the host: the parts asked for, as far as they can be known and may be told. Blocks for the configuration's deadline at
/// most, and for some seconds more where packages were asked for.
pub fn read_system_info(config: &CollectConfig, parts: SystemParts, at: UnixMillis) -> SystemInfo {
    let mut info = match config.backend.resolve() {
        #[cfg(target_os = "linux")]
        Backend::Linux => crate::linux::read_system_info(config, parts, at),
        _ => portable::read_system_info(parts, at),
    };
    config.privacy.treat_system(&mut info);
    info
}

/// The host's name. Under another root than `/` it is the one in `etc/hostname`, since the kernel would answer with
/// the container's. `None` if there is no name or it can't be read.
pub fn read_host_name(host_root: &Path) -> Option<String> {
    #[cfg(target_os = "linux")]
    return crate::linux::read_host_name(host_root);
    #[cfg(not(target_os = "linux"))]
    return portable::read_host_name(host_root);
}
