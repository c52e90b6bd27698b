//! A host as files, with names, addresses, a user and a process of the test's own: what an agent with a `host_root` reads.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// What such a host tells of itself.
#[derive(Debug, Clone, Copy)]
pub struct HostTree<'a> {
    /// Its name.
    pub host_name: &'a str,
    /// The hardware address of its one interface.
    pub mac_address: &'a str,
    /// The address of that interface.
    pub address: &'a str,
    /// Who runs its one process.
    pub user: &'a str,
    /// The last argument of that process.
    pub argument: &'a str,
    /// The server of its network file system.
    pub file_server: &'a str,
}

/// The number of the process.
pub const PID: u32 = 4242;

impl HostTree<'_> {
    /// Writes it, and gives where `host_root` is.
    ///
    /// # Panics
    /// There is no room for temporary files.
    pub fn write(&self) -> TempDir {
        let root = tempfile::tempdir().expect("a temporary directory");
        let put = |path: &str, content: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(path, content).expect("a file");
        };
        let uid = rustix::process::geteuid().as_raw();
        put("etc/hostname", &format!("{}\n", self.host_name));
        put("etc/passwd", &format!("{}:x:{uid}:{uid}::/:/bin/sh\n", self.user));
        put("proc/sys/kernel/hostname", self.host_name);
        put("proc/sys/kernel/domainname", "(none)");
        put("proc/sys/kernel/osrelease", "6.18.0");
        put("proc/sys/kernel/ostype", "Linux");
        put("proc/sys/kernel/version", "#1 SMP");
        put("proc/uptime", "5000.00 9000.00\n");
        put("proc/loadavg", "0.10 0.20 0.30 1/200 4242\n");
        put(
            "proc/stat",
            "cpu  100 0 50 9000 0 0 0 0 0 0\ncpu0 100 0 50 9000 0 0 0 0 0 0\nbtime 1763712000\n",
        );
        put(
            "proc/meminfo",
            "MemTotal: 8000000 kB\nMemFree: 4000000 kB\nMemAvailable: 6000000 kB\n",
        );
        put(
            "proc/1/net/dev",
            "Inter-|   Receive\n face |bytes\n  eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n",
        );
        let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0\t3\t0\t0\t0\t00000000\n";
        put("proc/1/net/route", route);
        let trie = format!(
            "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- {}\n        /32 host LOCAL\n",
            self.address
        );
        put("proc/1/net/fib_trie", &trie);
        put("sys/class/net/eth0/address", self.mac_address);
        put("sys/class/net/eth0/operstate", "up");
        put("sys/class/net/eth0/ifindex", "2");
        let mount = format!("{}:/export", self.file_server);
        put("proc/1/mounts", &format!("{mount} /mnt/nas nfs4 rw 0 0\n"));
        put(
            "proc/1/mountinfo",
            &format!("36 25 0:50 / /mnt/nas rw - nfs4 {mount} rw\n"),
        );
        put("mnt/nas/file", "");
        let stat = format!(
            "{PID} (program) S 1 {PID} {PID} 0 -1 4194560 100 0 0 0 10 5 0 0 20 0 1 0 1000 10000000 500 18446744073709551615 0 \
             0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n"
        );
        put(&format!("proc/{PID}/stat"), &stat);
        put(
            &format!("proc/{PID}/cmdline"),
            &format!("program\0--run\0{}\0", self.argument),
        );
        put(
            &format!("proc/{PID}/cgroup"),
            "0::/system.slice/program.service\n",
        );
        root
    }
}

/// Every file under a directory, one behind the other.
pub fn contents(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            // What goes away meanwhile, and sockets, have nothing to read.
            all.extend(fs::read(path).unwrap_or_default());
        }
    }
    all
}

/// Whether bytes hold a text, or other bytes.
pub fn holds(bytes: &[u8], text: impl AsRef<[u8]>) -> bool {
    memchr::memmem::find(bytes, text.as_ref()).is_some()
}
