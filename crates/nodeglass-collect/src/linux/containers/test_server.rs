//! For tests: a small HTTP server on a Unix socket, which speaks as Docker and Podman do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// Answers one request on its stream.
type Answer = Box<dyn FnMut(&str, &mut UnixStream) + Send>;

/// Serves one connection after the other until it is dropped.
pub(super) struct Server {
    directory: Option<TempDir>,
    socket: std::path::PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    /// The connection that is being served, so that one which hangs can be ended.
    current: Arc<Mutex<Option<UnixStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens in a directory of its own.
    pub(super) fn start(answer: Answer) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self::start_at(&directory.path().join("docker.sock"), answer);
        server.directory = Some(directory);
        server
    }

    pub(super) fn start_at(socket: &Path, mut answer: Answer) -> Self {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let current = Arc::new(Mutex::new(None));
        let (seen, stopped, served) = (Arc::clone(&requests), Arc::clone(&stop), Arc::clone(&current));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                *served.lock().unwrap() = stream.try_clone().ok();
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let request = read_request(&stream);
                seen.lock().unwrap().push(request.clone());
                answer(&request, &mut stream);
                // The client sees the end only when every copy is closed.
                served.lock().unwrap().take();
            }
        });
        Self {
            directory: None,
            socket: socket.to_owned(),
            requests,
            stop,
            current,
            thread: Some(thread),
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Heads of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(stream) = self.current.lock().unwrap().take() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(stream: &UnixStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

/// Always the same bytes. A client that hangs up early is none of the server's business.
pub(super) fn always(reply: &[u8]) -> Answer {
    let reply = reply.to_vec();
    Box::new(move |_, stream| {
        let _ = stream.write_all(&reply);
    })
}

/// Never a byte, for as long as the client stays.
pub(super) fn hang() -> Answer {
    Box::new(|_, stream| {
        let _ = stream.read(&mut [0]);
    })
}

/// The list of containers at its path, and 404 elsewhere; in chunks as Docker sends long ones, or with a length.
pub(super) fn daemon(json: impl Fn() -> String + Send + 'static, chunked: bool) -> Answer {
    Box::new(move |request, stream| {
        let json = json();
        let reply = if !request.starts_with("GET /containers/json ") {
            let message = "{\"message\":\"page not found\"}";
            format!(
                "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{message}",
                message.len()
            )
        } else if chunked {
            let (first, second) = json.split_at(json.len() / 2);
            let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
            format!(
                "HTTP/1.1 200 OK\r\nApi-Version: 1.43\r\nContent-Type: application/json\r\nServer: Docker/24.0.7 (linux)\r\nTransfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
                chunk(first),
                chunk(second)
            )
        } else {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
                json.len()
            )
        };
        let _ = stream.write_all(reply.as_bytes());
    })
}
