//! Names and images of containers: asked of Docker and Podman over their sockets, where these can be read.
//!
//! Each daemon is asked on a thread of its own, seldom: when a container appears that nobody has named yet, and once a
//! minute, since containers can be renamed. Between that, and while a daemon hangs or fails, its last answer holds.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::http::{self, HttpError};
use crate::linux::host_root::HostRoot;
use crate::worker::Worker;

/// How old a name may be.
const ASK_AGAIN: Duration = Duration::from_mins(1);
/// The first wait after a failure; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// How long a daemon may take; longer than a sample waits, since a late answer serves the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Daemons asked at most: each has a thread. Hosts have one or two, and one for each user of a rootless Podman.
const MOST_DAEMONS: usize = 16;
/// Directories that a `*` in a socket's path stands for at most.
const MOST_MATCHES: usize = 256;
/// Names and images are cut to this many characters; image names may have 255, and hashes.
const LONGEST_TEXT: usize = 400;

/// What one container is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Option<String>,
    pub(super) image: Option<String>,
    /// Whose socket told it.
    pub(super) runtime: &'static str,
}

/// Names by the containers' identities.
type Answer = HashMap<String, Named>;

struct Daemon {
    socket: PathBuf,
    worker: Worker<(), ()>,
    /// Where its thread leaves an answer, so that one that comes late is not lost.
    inbox: Arc<Mutex<Option<Result<Answer, HttpError>>>>,
    answer: Answer,
    ask_at: Option<Instant>,
    failures: u32,
    /// It was asked in this round.
    asked: bool,
}

/// Asks daemons, and remembers.
pub(super) struct Names {
    root: HostRoot,
    patterns: Vec<PathBuf>,
    daemons: Vec<Daemon>,
    look_at: Option<Instant>,
    /// Containers that all daemons were asked about.
    asked_for: HashSet<String>,
}

impl Names {
    /// `patterns` are paths of sockets under the root, in which `*` stands for any directory.
    pub(super) fn new(root: &HostRoot, patterns: &[PathBuf]) -> Self {
        Self {
            root: root.clone(),
            patterns: patterns.to_vec(),
            daemons: Vec::new(),
            look_at: None,
            asked_for: HashSet::new(),
        }
    }

    /// Asks the daemons that are due, if there is anything to ask. `ids` are the containers there are now.
    pub(super) fn start<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) {
        let ids: HashSet<&str> = ids.collect();
        self.asked_for.retain(|id| ids.contains(id.as_str()));
        if ids.is_empty() {
            return;
        }
        let is_new = ids.len() > self.asked_for.len();
        if is_new || self.look_at.is_none_or(|look_at| now >= look_at) {
            self.look_at = Some(now + ASK_AGAIN);
            self.find_daemons();
        }
        self.asked_for.extend(ids.into_iter().map(str::to_owned));
        for daemon in &mut self.daemons {
            let is_due = daemon.ask_at.is_none_or(|ask_at| now >= ask_at);
            daemon.asked = is_due || (is_new && daemon.failures == 0);
            if daemon.asked && daemon.worker.start(()).is_err() {
                daemon.asked = false;
                daemon.put_off(now);
            }
        }
    }

    /// Takes the answers in, waiting for them until `until`. Gives what to report: a daemon that is not there, or not
    /// ours to ask, is no failure.
    pub(super) fn finish(&mut self, now: Instant, until: Instant) -> Vec<String> {
        let mut reasons = Vec::new();
        for daemon in &mut self.daemons {
            let late = daemon.asked && daemon.worker.finish(until).is_err();
            match daemon.inbox.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(Ok(answer)) => {
                    daemon.answer = answer;
                    daemon.failures = 0;
                    daemon.ask_at = Some(now + ASK_AGAIN);
                    continue;
                }
                Some(Err(error)) => {
                    if !is_absent(&error) {
                        reasons.push(reason(&daemon.socket, &error));
                    }
                }
                None if late => reasons.push(reason(&daemon.socket, &"no answer yet")),
                None => continue,
            }
            daemon.put_off(now);
        }
        reasons
    }

    /// What a container is called, as far as anybody told.
    pub(super) fn named(&self, id: &str) -> Option<&Named> {
        self.daemons.iter().find_map(|daemon| daemon.answer.get(id))
    }

    /// Looks for sockets. One that can be reached by two paths is one daemon.
    fn find_daemons(&mut self) {
        let mut sockets: Vec<PathBuf> = Vec::new();
        for pattern in &self.patterns {
            for path in expand(&self.root, pattern) {
                if let Ok(socket) = fs::canonicalize(path)
                    && !sockets.contains(&socket)
                    && sockets.len() < MOST_DAEMONS
                {
                    sockets.push(socket);
                }
            }
        }
        self.daemons.retain(|daemon| sockets.contains(&daemon.socket));
        for socket in sockets {
            if !self.daemons.iter().any(|daemon| daemon.socket == socket) {
                self.daemons.push(Daemon::new(socket));
            }
        }
    }
}

impl Daemon {
    fn new(socket: PathBuf) -> Self {
        let inbox = Arc::new(Mutex::new(None));
        let (outbox, path) = (Arc::clone(&inbox), socket.clone());
        let worker = Worker::new("nodeglass-names", move || {
            let (outbox, path) = (Arc::clone(&outbox), path.clone());
            move |()| {
                let answer = ask(&path);
                *outbox.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            }
        });
        Self {
            socket,
            worker,
            inbox,
            answer: Answer::new(),
            ask_at: None,
            failures: 0,
            asked: false,
        }
    }

    fn put_off(&mut self, now: Instant) {
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.failures));
        self.ask_at = Some(now + wait.min(LONGEST_WAIT));
        self.failures = self.failures.saturating_add(1);
    }
}

fn reason(socket: &Path, error: &dyn std::fmt::Display) -> String {
    format!(
        "names of containers from {} are left out: {error}",
        socket.display()
    )
}

/// No daemon listens, or it is not ours to ask: names come from the control groups then, and that is no failure.
fn is_absent(error: &HttpError) -> bool {
    let HttpError::Io(error) = error else {
        return false;
    };
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ConnectionRefused
    )
}

/// The paths under the root that a pattern stands for.
fn expand(root: &HostRoot, pattern: &Path) -> Vec<PathBuf> {
    let mut paths = vec![root.path("")];
    for component in pattern.iter().filter(|component| *component != "/") {
        if component != "*" {
            for path in &mut paths {
                path.push(component);
            }
            continue;
        }
        paths = paths
            .iter()
            .filter_map(|path| fs::read_dir(path).ok())
            .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
            .take(MOST_MATCHES)
            .collect();
        paths.sort();
    }
    paths
}

/// One container of the answer to `GET /containers/json`, which Docker and Podman give alike.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    image: Option<String>,
}

/// Asks a daemon for the containers that run. The path names no version: each daemon takes its own, and the newer
/// ones refuse old ones.
fn ask(socket: &Path) -> Result<Answer, HttpError> {
    let body = http::get(socket, "/containers/json", PATIENCE)?;
    let is_podman = socket.to_string_lossy().contains("podman");
    let runtime = if is_podman { "podman" } else { "docker" };
    parse_list(&body, runtime).ok_or(HttpError::Malformed("it is no list of containers"))
}

fn parse_list(body: &[u8], runtime: &'static str) -> Option<Answer> {
    let listed: Vec<Listed> = serde_json::from_slice(body).ok()?;
    let named = listed.into_iter().map(|container| {
        // Old links add names like `/other/alias`; its own has no slash but the first.
        let names = container.names.unwrap_or_default();
        let mut own = names.iter().map(|name| name.trim_start_matches('/'));
        let known = Named {
            name: own.find(|name| !name.contains('/')).and_then(clean),
            image: container.image.as_deref().and_then(clean),
            runtime,
        };
        (container.id, known)
    });
    Some(named.collect())
}

/// A text of a daemon as a label: without control characters, and not too long; `None` if nothing is left.
fn clean(text: &str) -> Option<String> {
    let clean: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_TEXT)
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

#[cfg(test)]
mod tests;
