//! Installed packages, out of each package manager's own database.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use nodeglass_model::system::InstalledPackage;

use crate::linux::host_root::HostRoot;

/// A full `rpm -qa` takes a second or two; one that takes this long waits for a lock.
const RPM_DEADLINE: Duration = Duration::from_secs(10);

/// Where rpm's database lies, now and before.
const RPM_DATABASES: [&str; 2] = ["usr/lib/sysimage/rpm", "var/lib/rpm"];

/// Every installed package of every package manager that has a database, by name.
pub(super) fn read_packages(root: &HostRoot) -> Vec<InstalledPackage> {
    let read = |path: &str| fs::read(root.path(path)).map(|text| String::from_utf8_lossy(&text).into_owned());
    let mut packages = Vec::new();
    if let Ok(status) = read("var/lib/dpkg/status") {
        packages.extend(parse_dpkg(&status));
    }
    if let Ok(installed) = read("lib/apk/db/installed") {
        packages.extend(parse_apk(&installed));
    }
    let local = "var/lib/pacman/local";
    for directory in root.list(local) {
        if let Ok(desc) = read(&format!("{local}/{directory}/desc")) {
            packages.extend(parse_pacman(&desc));
        }
    }
    // rpm's database can be read by its own program only, which knows no host root.
    if root.is_own() && RPM_DATABASES.iter().any(|path| !root.list(path).is_empty()) {
        packages.extend(read_rpm());
    }
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages
}

fn package(name: &str, version: &str, package_manager: &str) -> Option<InstalledPackage> {
    (!name.is_empty() && !version.is_empty()).then(|| InstalledPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        package_manager: package_manager.to_owned(),
    })
}

/// The value of a field of one stanza.
fn field<'a>(stanza: &'a str, key: &str) -> Option<&'a str> {
    stanza
        .lines()
        .find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
}

/// dpkg's status file keeps packages that were removed, too.
fn parse_dpkg(status: &str) -> impl Iterator<Item = InstalledPackage> {
    status.split("\n\n").filter_map(|stanza| {
        let is_installed = field(stanza, "Status")? == "install ok installed";
        let (name, version) = (field(stanza, "Package")?, field(stanza, "Version")?);
        is_installed.then(|| package(name, version, "apt")).flatten()
    })
}

fn parse_apk(installed: &str) -> impl Iterator<Item = InstalledPackage> {
    installed
        .split("\n\n")
        .filter_map(|stanza| package(field(stanza, "P")?, field(stanza, "V")?, "apk"))
}

fn parse_pacman(desc: &str) -> Option<InstalledPackage> {
    let value = |heading: &str| desc.lines().skip_while(|line| *line != heading).nth(1);
    package(value("%NAME%")?.trim(), value("%VERSION%")?.trim(), "pacman")
}

/// Asks `rpm`; nothing if it is not there or takes too long.
fn read_rpm() -> Vec<InstalledPackage> {
    let program = Path::new("/usr/bin/rpm");
    let child = Command::new(program)
        .args(["-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Vec::new();
    };
    let (sender, answer) = sync_channel(1);
    if let Some(mut output) = child.stdout.take() {
        // The thread ends with the program, which is killed below if it has to be.
        let read = move || {
            let mut text = Vec::new();
            if output.read_to_end(&mut text).is_ok() {
                // Nobody listens any more once the deadline has passed.
                let _ = sender.send(text);
            }
        };
        // If no thread can be started, the channel's end is seen at once below.
        drop(thread::Builder::new().name("collect-rpm".to_owned()).spawn(read));
    }
    let text = answer.recv_timeout(RPM_DEADLINE).unwrap_or_default();
    let _ = child.kill();
    let _ = child.wait();
    parse_rpm(&String::from_utf8_lossy(&text)).collect()
}

fn parse_rpm(list: &str) -> impl Iterator<Item = InstalledPackage> {
    list.lines().filter_map(|line| {
        let (name, version) = line.split_once(' ')?;
        // Keys that packages are signed with are listed as packages.
        (name != "gpg-pubkey")
            .then(|| package(name, version, "yum"))
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(packages: impl IntoIterator<Item = InstalledPackage>) -> Vec<String> {
        let show = |package: InstalledPackage| {
            format!("{} {} {}", package.package_manager, package.name, package.version)
        };
        packages.into_iter().map(show).collect()
    }

    #[test]
    fn dpkg_lists_what_is_installed_only() {
        let status = "Package: bash\nStatus: install ok installed\nVersion: 5.2.15-2+b7\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        assert_eq!(shown(parse_dpkg(status)), ["apt bash 5.2.15-2+b7"]);
    }

    #[test]
    fn other_package_managers() {
        assert_eq!(
            shown(parse_apk("C:Q1\nP:musl\nV:1.2.4-r2\n\nP:zlib\nV:1.3-r0\n")),
            ["apk musl 1.2.4-r2", "apk zlib 1.3-r0"]
        );
        assert_eq!(
            shown(parse_pacman("%NAME%\nglibc\n\n%VERSION%\n2.38-7\n")),
            ["pacman glibc 2.38-7"]
        );
        assert_eq!(
            shown(parse_rpm("bash 5.1.8-6.el9\ngpg-pubkey 8483c65d-5ccc5b19\n")),
            ["yum bash 5.1.8-6.el9"]
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed(text: String) {
            let _ = (parse_dpkg(&text).count(), parse_apk(&text).count(), parse_pacman(&text), parse_rpm(&text).count());
        }
    }
}
