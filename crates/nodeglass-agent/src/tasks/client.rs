//! Speaks to the socket of a running agent. Blocking, each step for [`PATIENCE`] at most.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Answer, Done, Refusal, Request};

/// A running agent answers within milliseconds; whoever waits has something else to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// A list of all tasks fits.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// Why a request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No agent answered.
    #[error("no agent answers at {}: is it running, with track_task_processes, and is this its user or root?", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The agent refused.
    #[error("the agent refused: {}", .0.message)]
    Refused(Refusal),
}

/// Asks, and waits for the answer.
///
/// # Errors
/// No agent answers, or it refuses.
pub fn ask(path: &Path, request: &Request) -> Result<Done, ClientError> {
    match exchange(path, request) {
        Ok(Answer::Ok(done)) => Ok(done),
        Ok(Answer::Error(refusal)) => Err(ClientError::Refused(refusal)),
        Err(source) => Err(ClientError::Unreachable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn exchange(path: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream.take(MAX_ANSWER_BYTES)).read_until(b'\n', &mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}
