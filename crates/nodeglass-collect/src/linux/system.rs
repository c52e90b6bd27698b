//! What a Linux host is: hardware, software, interfaces.

mod addresses;
mod container;
mod hardware;
mod packages;

use std::fs;
use std::path::Path;
use std::time::Duration;

use nodeglass_model::UnixMillis;
use nodeglass_model::system::{NetworkInterface, OperatingSystem, SystemInfo, SystemParts, SystemSoftware};

use super::host_root::HostRoot;
use crate::config::CollectConfig;

/// `IFF_UP` of the flags in `/sys/class/net/NAME/flags`: the administrator wants it up.
const FLAG_UP: u64 = 1;

/// Describes the host: the parts asked for.
pub(crate) fn read_system_info(config: &CollectConfig, parts: SystemParts, at: UnixMillis) -> SystemInfo {
    let root = HostRoot::new(&config.host_root);
    let wants_software = parts.software || parts.packages;
    SystemInfo {
        timestamp: at,
        hardware: parts
            .hardware
            .then(|| hardware::read_hardware(&root, &config.devices, config.deadline)),
        software: wants_software.then(|| read_software(&root, parts.packages)),
        network_interfaces: parts.network.then(|| read_interfaces(&root)),
    }
}

/// The host's name. Under another root the kernel would answer with the reader's own name space, so the file wins.
pub(crate) fn read_host_name(host_root: &Path) -> Option<String> {
    let root = HostRoot::new(host_root);
    let of_kernel = || root.read_text("proc/sys/kernel/hostname");
    let of_file = || root.read_text("etc/hostname");
    if root.is_own() {
        of_kernel().or_else(of_file)
    } else {
        of_file().or_else(of_kernel)
    }
}

fn read_software(root: &HostRoot, packages: bool) -> SystemSoftware {
    let release = root
        .read_text("etc/os-release")
        .or_else(|| root.read_text("usr/lib/os-release"))
        .unwrap_or_default();
    SystemSoftware {
        os: OperatingSystem {
            name: "Linux".to_owned(),
            version: parse_release(&release, "PRETTY_NAME").unwrap_or_default(),
            kernel_version: root.read_text("proc/sys/kernel/osrelease").unwrap_or_default(),
            distribution: parse_release(&release, "ID"),
        },
        hostname: read_host_name(&root.path("")).unwrap_or_default(),
        uptime_seconds: root.read_text("proc/uptime").and_then(|text| parse_uptime(&text)),
        packages: packages.then(|| packages::read_packages(root)),
        container: container::read_container(root),
    }
}

/// A value of `os-release`, without its quotes.
fn parse_release(release: &str, key: &str) -> Option<String> {
    let value = release
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

fn parse_uptime(text: &str) -> Option<u64> {
    let seconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    let uptime = Duration::try_from_secs_f64(seconds).ok()?;
    Some(uptime.as_secs())
}

/// Every interface but containers' ends, as in the samples.
fn read_interfaces(root: &HostRoot) -> Vec<NetworkInterface> {
    let addresses = addresses::read_addresses(root);
    let is_interface = |name: &String| {
        let directory = root.path("sys/class/net").join(name);
        !name.starts_with("veth") && fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir())
    };
    let names = root.list("sys/class/net").into_iter().filter(is_interface);
    names
        .map(|name| NetworkInterface {
            mac_address: root
                .read_text(&format!("sys/class/net/{name}/address"))
                .filter(|address| address.bytes().any(|byte| !matches!(byte, b'0' | b':'))),
            ip_addresses: addresses.get(&name).cloned().unwrap_or_default(),
            // Virtual interfaces, and those without a link, say -1 or nothing.
            speed_mbps: root
                .read_number(&format!("sys/class/net/{name}/speed"))
                .filter(|speed| *speed > 0),
            is_up: is_up(root, &name),
            name,
        })
        .collect()
}

fn is_up(root: &HostRoot, name: &str) -> bool {
    let read = |file: &str| root.read_text(&format!("sys/class/net/{name}/{file}"));
    match read("operstate").as_deref() {
        Some("up") => true,
        // Loopback and tunnels don't keep a state: they are up when they are told to be and carry.
        Some("unknown") => {
            let flags =
                read("flags").and_then(|flags| u64::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
            flags.is_some_and(|flags| flags & FLAG_UP != 0)
                && read("carrier").is_none_or(|carrier| carrier == "1")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
