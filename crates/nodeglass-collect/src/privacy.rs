//! What becomes of what says who and where: addresses, names of hosts, hardware addresses, names of users and command
//! lines are each kept, hashed under the server's key, or left out, before anything else sees them.
//!
//! A hash is `#` and 16 hexadecimal digits: HMAC-SHA256 under the key, of the kind and the text, cut to 64 bits. Equal texts
//! stay equal on all hosts of a server, and who lacks the key can't try a dictionary. Without a key, as before a host's first
//! session, what is to be hashed is left out. Treating twice is treating once, so what was written by an older configuration
//! can be treated when it is read.
//!
//! What is not covered: names that people gave (agents, containers, units, tasks, interfaces, mount points).

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use nodeglass_model::Sample;
use nodeglass_model::system::SystemInfo;
use sha2::Sha256;

/// Bytes that are kept of a hash: two of a million names fall together with a chance of one in 40 million.
const HASH_BYTES: usize = 8;
/// What a hash begins with, which tells it from a name.
const MARK: char = '#';

/// What becomes of texts of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Treatment {
    /// They leave the host as they are.
    #[default]
    Keep,
    /// A hash takes their place.
    Hash,
    /// They are absent.
    Omit,
}

/// A kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personal {
    /// An IP address.
    Address,
    /// The name of a host, this one's or another's.
    HostName,
    /// A hardware address.
    MacAddress,
    /// The name or number of a user.
    UserName,
    /// A command line, as far as `process_commands` shows it.
    CommandLine,
}

impl Personal {
    /// Part of what is hashed, so that equal texts of two kinds are not equal.
    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::HostName => "host name",
            Self::MacAddress => "mac address",
            Self::UserName => "user name",
            Self::CommandLine => "command line",
        }
    }
}

/// What becomes of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PrivacyRules {
    /// IP addresses, of interfaces and of the servers of mounted file systems.
    pub addresses: Treatment,
    /// Names of hosts: this one's, those of the servers of mounted file systems, those of registries of images.
    pub host_names: Treatment,
    /// Hardware addresses.
    pub mac_addresses: Treatment,
    /// Names of users.
    pub user_names: Treatment,
    /// Command lines of processes and tasks.
    pub command_lines: Treatment,
}

impl PrivacyRules {
    fn of(self, kind: Personal) -> Treatment {
        match kind {
            Personal::Address => self.addresses,
            Personal::HostName => self.host_names,
            Personal::MacAddress => self.mac_addresses,
            Personal::UserName => self.user_names,
            Personal::CommandLine => self.command_lines,
        }
    }

    fn all(self) -> [Treatment; 5] {
        [
            self.addresses,
            self.host_names,
            self.mac_addresses,
            self.user_names,
            self.command_lines,
        ]
    }
}

/// The rules with the key. Clones share the key.
#[derive(Clone, Default)]
pub struct Privacy {
    rules: PrivacyRules,
    key: Arc<RwLock<Option<String>>>,
}

impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

impl Privacy {
    /// Rules without a key.
    pub fn new(rules: PrivacyRules) -> Self {
        Self {
            rules,
            key: Arc::default(),
        }
    }

    /// Whether anything is hashed.
    pub fn needs_key(&self) -> bool {
        self.rules.all().contains(&Treatment::Hash)
    }

    /// Hashes under `key` from now on; whether that is another than before.
    pub fn set_key(&self, key: &str) -> bool {
        let mut held = self.key.write().unwrap_or_else(PoisonError::into_inner);
        let differs = held.as_deref() != Some(key);
        *held = Some(key.to_owned());
        differs
    }

    /// Treats one text; `None` if it is left out.
    pub fn show<'a>(&self, kind: Personal, text: &'a str) -> Option<Cow<'a, str>> {
        match self.rules.of(kind) {
            Treatment::Keep => Some(text.into()),
            Treatment::Hash if text.is_empty() || is_hash(text) => Some(text.into()),
            Treatment::Hash => self.hash(kind, text).map(Cow::Owned),
            Treatment::Omit => None,
        }
    }

    /// Treats a sample.
    pub fn treat(&self, sample: &mut Sample) {
        if !self.changes_anything() {
            return;
        }
        for process in &mut sample.processes.top {
            self.replace(Personal::UserName, &mut process.user);
            self.replace(Personal::CommandLine, &mut process.command);
        }
        for task in &mut sample.processes.task_processes {
            self.replace(Personal::CommandLine, &mut task.command);
        }
        for disk in &mut sample.disks {
            self.treat_device(&mut disk.device);
            self.treat_device(&mut disk.parent);
        }
        for container in &mut sample.containers {
            self.treat_image(&mut container.image);
        }
    }

    /// A sample as it may leave the host: for one that was kept, perhaps under other rules.
    pub fn treated<'a>(&self, sample: &'a Sample) -> Cow<'a, Sample> {
        if !self.changes_anything() {
            return Cow::Borrowed(sample);
        }
        let mut sample = sample.clone();
        self.treat(&mut sample);
        Cow::Owned(sample)
    }

    /// Treats what a host is.
    pub fn treat_system(&self, info: &mut SystemInfo) {
        if !self.changes_anything() {
            return;
        }
        if let Some(software) = &mut info.software {
            self.replace(Personal::HostName, &mut software.hostname);
        }
        for disk in info.hardware.iter_mut().flat_map(|hardware| &mut hardware.disks) {
            self.treat_device(&mut disk.device);
        }
        for interface in info.network_interfaces.iter_mut().flatten() {
            interface.mac_address = interface
                .mac_address
                .take()
                .and_then(|mac| self.show(Personal::MacAddress, &mac).map(Cow::into_owned));
            interface.ip_addresses = std::mem::take(&mut interface.ip_addresses)
                .iter()
                .filter_map(|address| self.show(Personal::Address, address).map(Cow::into_owned))
                .collect();
        }
    }

    /// Treats the device of a mount that names other hosts: `host:/path`, `//host/share`, and several of them, as Ceph
    /// (`10.0.0.1:6789,10.0.0.2:6789:/`, `user@cluster.fs=/`) and Lustre (`10.0.0.1@tcp:10.0.0.2@tcp:/fs`) write them.
    pub fn treat_device(&self, device: &mut String) {
        let (before, hosts, after) = if let Some(rest) = device.strip_prefix("//") {
            let end = rest.find('/').unwrap_or(rest.len());
            ("//", &rest[..end], &rest[end..])
        } else if device.starts_with('/') {
            return;
        } else {
            let path = [":/", "=/"].iter().filter_map(|mark| device.find(mark)).min();
            // A home directory has no path: `user@host:`.
            let Some(end) = path.or_else(|| device.find(':')) else {
                return;
            };
            ("", &device[..end], &device[end..])
        };
        if hosts.contains('/') {
            return;
        }
        let mut treated = before.to_owned();
        let mut rest = hosts;
        while !rest.is_empty() {
            // An IPv6 address has colons of its own, and brackets around it.
            let from = rest.find(']').filter(|_| rest.starts_with('[')).unwrap_or(0);
            let end = rest[from..].find([',', ':']).map_or(rest.len(), |at| at + from);
            treated += &self.other_host(&rest[..end]);
            let separator = rest[end..].chars().next().map_or(0, char::len_utf8);
            treated += &rest[end..end + separator];
            rest = &rest[end + separator..];
        }
        treated += after;
        *device = treated;
    }

    /// A host that a device names, with a user or a kind of network; or a port.
    fn other_host(&self, text: &str) -> String {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.to_owned();
        }
        let show = |host: &str| {
            let bare = host.trim_matches(['[', ']']);
            let kind = if bare.parse::<IpAddr>().is_ok() {
                Personal::Address
            } else {
                Personal::HostName
            };
            self.show(kind, host).unwrap_or_default().into_owned()
        };
        match text.rsplit_once('@') {
            None => show(text),
            Some((host, network)) if is_network(network) => format!("{}@{network}", show(host)),
            Some((user, host)) => {
                let user = self.show(Personal::UserName, user).unwrap_or_default();
                format!("{user}@{}", show(host))
            }
        }
    }

    /// Treats the registry in the name of an image: `registry.example.org:5000/team/app:1`.
    fn treat_image(&self, image: &mut String) {
        let Some((registry, rest)) = image.split_once('/') else {
            return;
        };
        if !registry.contains(['.', ':']) {
            return;
        }
        *image = match self.show(Personal::HostName, registry) {
            Some(shown) => format!("{shown}/{rest}"),
            None => rest.to_owned(),
        };
    }

    fn changes_anything(&self) -> bool {
        self.rules
            .all()
            .iter()
            .any(|treatment| *treatment != Treatment::Keep)
    }

    fn replace(&self, kind: Personal, text: &mut String) {
        if self.rules.of(kind) != Treatment::Keep {
            *text = self.show(kind, text).map(Cow::into_owned).unwrap_or_default();
        }
    }

    fn hash(&self, kind: Personal, text: &str) -> Option<String> {
        let held = self.key.read().unwrap_or_else(PoisonError::into_inner);
        let mut mac = Hmac::<Sha256>::new_from_slice(held.as_ref()?.as_bytes()).expect("a key of any length");
        drop(held);
        mac.update(kind.name().as_bytes());
        mac.update(b"\0");
        mac.update(text.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut shown = String::from(MARK);
        for byte in &digest[..HASH_BYTES] {
            write!(shown, "{byte:02x}").expect("a string takes everything");
        }
        Some(shown)
    }
}

/// Whether a text is a hash already. A name that looks like one is no secret.
fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix(MARK).unwrap_or_default();
    digits.len() == 2 * HASH_BYTES
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether it is what Lustre calls a kind of network: `tcp`, `o2ib1`.
fn is_network(text: &str) -> bool {
    let kind = text.trim_end_matches(|letter: char| letter.is_ascii_digit());
    matches!(kind, "tcp" | "o" | "o2ib" | "kfi" | "gni" | "ptl")
}

#[cfg(test)]
mod tests;
