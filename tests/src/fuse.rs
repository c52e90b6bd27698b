//! A file system in the test's own hands that never says how much space it has, as a dead network mount does not.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::namespace::{try_within, within};

/// What the kernel asks: those that are answered, and those that want no answer.
const GETATTR: u32 = 3;
const STATFS: u32 = 17;
const INIT: u32 = 26;
const UNANSWERED: [u32; 3] = [2, 36, 42];
/// `ENOSYS`, as the protocol wants it.
const NOT_IMPLEMENTED: i32 = -38;
/// `struct fuse_in_header`.
const HEADER_BYTES: usize = 40;
/// A directory that everybody may read.
const DIRECTORY_MODE: u32 = 0o040_755;

/// The file system, mounted in the namespace of a process.
#[derive(Debug)]
pub struct HungMount {
    pid: u32,
    mount_point: String,
    asked: Arc<AtomicUsize>,
    answering: Option<JoinHandle<()>>,
}

impl HungMount {
    /// Mounts it where only the process and its children see it.
    ///
    /// # Panics
    /// There is no FUSE, or we may not mount.
    pub async fn mount(pid: u32, mount_point: &str) -> Self {
        let device = File::options().read(true).write(true).open("/dev/fuse");
        let device = device.expect("this test needs /dev/fuse, and the right to open it");
        let ours = device.try_clone().expect("a second hold of it");
        let asked = Arc::new(AtomicUsize::new(0));
        let answering = {
            let asked = asked.clone();
            thread::spawn(move || answer(ours, &asked))
        };
        // The device is the mounting program's standard input, so that it has a number that can be named.
        let script = format!(
            "mkdir -p {mount_point} && mount -i -t fuse.hung -o fd=0,rootmode=40000,user_id=0,group_id=0 hung {mount_point}"
        );
        let output = try_within(pid, &script, Stdio::from(device)).await;
        assert!(
            output.status.success(),
            "this test needs the right to mount FUSE file systems: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self {
            pid,
            mount_point: mount_point.to_owned(),
            asked,
            answering: Some(answering),
        }
    }

    /// How often somebody asked for its space; nobody was answered.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends the connection: whoever waits for an answer gets an error. Then unmounts it.
    ///
    /// # Panics
    /// The kernel does not let us.
    pub async fn abort(&mut self) {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.pid)).expect("its mounts");
        let line = mounts
            .lines()
            .find(|line| line.contains(&format!(" {} ", self.mount_point)))
            .expect("the mount");
        let device = line.split(' ').nth(2).expect("its number");
        let number = device.trim_start_matches("0:");
        let control = format!("{}.control", self.mount_point);
        let script = format!(
            "mkdir -p {control} && mount -t fusectl none {control} && echo 1 > {control}/{number}/abort && umount {control}"
        );
        within(self.pid, &script).await;
        let answering = self.answering.take().expect("aborted once");
        tokio::task::spawn_blocking(|| answering.join())
            .await
            .expect("a thread to wait in")
            .expect("the file system's thread ends with its connection");
        within(self.pid, &format!("umount -l {}", self.mount_point)).await;
    }
}

/// Answers the kernel until the connection ends.
fn answer(mut device: File, asked: &AtomicUsize) {
    // The kernel wants room for its largest request, and gives one whole request at a time.
    let mut request = vec![0; 256 << 10];
    loop {
        let read = match device.read(&mut request) {
            Ok(read) if read >= HEADER_BYTES => read,
            Err(error) if is_passing(&error) => continue,
            _ => return,
        };
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let (opcode, unique) = (number(4), &request[8..16]);
        debug_assert!(read <= request.len());
        let body = match opcode {
            STATFS => {
                asked.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            INIT => Ok(init()),
            GETATTR => Ok(attributes()),
            other if UNANSWERED.contains(&other) => continue,
            _ => Err(NOT_IMPLEMENTED),
        };
        let (error, body) = match body {
            Ok(body) => (0, body),
            Err(error) => (error, Vec::new()),
        };
        let mut reply = Vec::with_capacity(16 + body.len());
        reply.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        reply.extend_from_slice(&i32::to_ne_bytes(error));
        reply.extend_from_slice(unique);
        reply.extend_from_slice(&body);
        // A request that was taken back meanwhile is no longer there to be answered.
        let _ = device.write(&reply);
    }
}

/// Before it is mounted, and between two requests, there is nothing to read.
fn is_passing(error: &io::Error) -> bool {
    let passing = matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::PermissionDenied
    );
    if passing {
        thread::yield_now();
    }
    passing
}

/// `struct fuse_init_out`: version 7.31, and the smallest of everything.
fn init() -> Vec<u8> {
    let mut body = Vec::new();
    for number in [7_u32, 31, 0, 0] {
        body.extend_from_slice(&number.to_ne_bytes());
    }
    // Requests in the background, and when that many are a congestion.
    for number in [16_u16, 12] {
        body.extend_from_slice(&number.to_ne_bytes());
    }
    for number in [4_096_u32, 1] {
        body.extend_from_slice(&number.to_ne_bytes());
    }
    body.resize(64, 0);
    body
}

/// `struct fuse_attr_out` of an empty directory, for ever valid.
fn attributes() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&u64::from(u32::MAX).to_ne_bytes());
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&1_u64.to_ne_bytes());
    // Size, blocks, and three times with their nanoseconds.
    body.extend_from_slice(&[0; 5 * 8 + 3 * 4]);
    for number in [DIRECTORY_MODE, 2, 0, 0, 0, 4_096, 0] {
        body.extend_from_slice(&number.to_ne_bytes());
    }
    body
}
