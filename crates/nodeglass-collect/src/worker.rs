//! A thread for jobs that may hang: it is asked, waited for until a deadline, and left alone when it does not answer.
//!
//! There is never more than one thread to a worker, and never more than one job in it. A hung job costs its own answer
//! and nothing else; when it ends after all, the worker takes jobs again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Instant;

/// One job is under way at most: it is only sent to a thread that answered the one before.
const JOBS: usize = 1;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The job, this one or an earlier one, did not end by the deadline.
    #[error("no answer")]
    Late,
    /// The thread could not be started, or the job panicked.
    #[error("its thread ended")]
    Ended,
}

struct Thread<Job, Answer> {
    jobs: SyncSender<Job>,
    answers: Receiver<Answer>,
    /// A job was sent and its answer not received yet.
    busy: bool,
    /// The answer to come belongs to a job that nobody waits for any more.
    given_up: bool,
}

/// A named thread that does one kind of job. It is started with the first job and ends with the worker.
pub(crate) struct Worker<Job, Answer> {
    name: &'static str,
    make: Box<dyn Fn() -> Box<dyn FnMut(Job) -> Answer + Send> + Send>,
    thread: Option<Thread<Job, Answer>>,
}

impl<Job: Send + 'static, Answer: Send + 'static> Worker<Job, Answer> {
    /// A worker whose thread, when it is started, does its jobs with what `make` makes.
    pub(crate) fn new<Do>(name: &'static str, make: impl Fn() -> Do + Send + 'static) -> Self
    where
        Do: FnMut(Job) -> Answer + Send + 'static,
    {
        Self {
            name,
            make: Box::new(move || Box::new(make())),
            thread: None,
        }
    }

    /// Sends a job; [`Worker::finish`] waits for its answer.
    ///
    /// # Errors
    /// `Late` if an earlier job still hangs: this one is not sent.
    pub(crate) fn start(&mut self, job: Job) -> Result<(), NoAnswer> {
        if !self.is_idle() {
            return Err(NoAnswer::Late);
        }
        if self.thread.is_none() {
            self.thread = Some(self.spawn().ok_or(NoAnswer::Ended)?);
        }
        let thread = self.thread.as_mut().ok_or(NoAnswer::Ended)?;
        if thread.jobs.send(job).is_err() {
            self.thread = None;
            return Err(NoAnswer::Ended);
        }
        thread.busy = true;
        Ok(())
    }

    /// Whether no job is under way. An answer that came after its deadline is old: it is thrown away.
    pub(crate) fn is_idle(&mut self) -> bool {
        let Some(thread) = self.thread.as_mut().filter(|thread| thread.busy) else {
            return true;
        };
        match thread.answers.try_recv() {
            Ok(_) => (thread.busy, thread.given_up) = (false, false),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => self.thread = None,
        }
        true
    }

    /// Waits for the answer to the job that was sent last.
    ///
    /// # Errors
    /// `Late` if the deadline passes first; later calls don't wait again for the same job.
    pub(crate) fn finish(&mut self, until: Instant) -> Result<Answer, NoAnswer> {
        let thread = self.thread.as_mut().ok_or(NoAnswer::Ended)?;
        if !thread.busy || thread.given_up {
            return Err(NoAnswer::Late);
        }
        match thread
            .answers
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            Ok(answer) => {
                thread.busy = false;
                Ok(answer)
            }
            Err(RecvTimeoutError::Timeout) => {
                thread.given_up = true;
                Err(NoAnswer::Late)
            }
            Err(RecvTimeoutError::Disconnected) => {
                self.thread = None;
                Err(NoAnswer::Ended)
            }
        }
    }

    fn spawn(&self) -> Option<Thread<Job, Answer>> {
        let (jobs, inbox) = sync_channel::<Job>(JOBS);
        let (outbox, answers) = sync_channel(JOBS);
        let mut work = (self.make)();
        thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || {
                for job in inbox {
                    if outbox.send(work(job)).is_err() {
                        return;
                    }
                }
            })
            .ok()?;
        Some(Thread {
            jobs,
            answers,
            busy: false,
            given_up: false,
        })
    }
}

#[cfg(test)]
mod tests;
