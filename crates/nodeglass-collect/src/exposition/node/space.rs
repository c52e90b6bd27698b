//! `statvfs` on threads of its own: it hangs on dead mounts for as long as they are.
//!
//! One thread asks all file systems one after another. One that does not answer keeps the thread that asked it, so that
//! it is found out when it answers again, and another thread goes on with the rest.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{StatVfs, statvfs};

use crate::worker::{NoAnswer, Worker};

/// File systems that may hang at once, each with a thread; more count as broken until one of them answers.
const MOST_HUNG: usize = 16;

/// What one file system said; `None` where it did not, or could not.
pub(super) type Answer = Option<StatVfs>;

/// File systems to ask in order, and what those that were asked said.
#[derive(Clone)]
struct Job {
    paths: Arc<Vec<PathBuf>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Job {
    fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths: Arc::new(paths),
            answers: Arc::default(),
        }
    }

    fn answers(&self) -> Vec<Answer> {
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Asker = Worker<Job, ()>;

/// Asks file systems for their space.
pub(super) struct SpaceReader {
    deadline: Duration,
    stat: fn(&Path) -> Answer,
    asker: Asker,
    hung: Vec<(PathBuf, Asker)>,
}

impl SpaceReader {
    pub(super) fn new(deadline: Duration) -> Self {
        Self::with_stat(deadline, |path| statvfs(path).ok())
    }

    fn with_stat(deadline: Duration, stat: fn(&Path) -> Answer) -> Self {
        Self {
            deadline,
            stat,
            asker: asker(stat),
            hung: Vec::new(),
        }
    }

    /// The answers, one for each path.
    pub(super) fn read(&mut self, paths: &[PathBuf]) -> Vec<Answer> {
        // Those that answered in the meantime, or are no longer mounted, are asked like all others again.
        self.hung.retain_mut(|(path, asker)| {
            paths.contains(path)
                && asker
                    .start(Job::new(Vec::new()))
                    .is_err_and(|error| error == NoAnswer::Late)
        });
        let mut answers: Vec<Answer> = Vec::new();
        answers.resize_with(paths.len(), || None);
        let is_hung = |path: &PathBuf| self.hung.iter().any(|(hung, _)| hung == path);
        let mut places: Vec<usize> = (0..paths.len())
            .filter(|place| !is_hung(&paths[*place]))
            .collect();
        while !places.is_empty() && self.hung.len() < MOST_HUNG {
            let job = Job::new(places.iter().map(|place| paths[*place].clone()).collect());
            let finished = self
                .asker
                .start(job.clone())
                .and_then(|()| self.asker.finish(Instant::now() + self.deadline));
            let said = job.answers();
            let asked = said.len();
            for (place, answer) in places.iter().zip(said) {
                answers[*place] = answer;
            }
            match finished {
                Ok(()) => break,
                Err(NoAnswer::Ended) => self.asker = asker(self.stat),
                Err(NoAnswer::Late) => {
                    let thread = std::mem::replace(&mut self.asker, asker(self.stat));
                    if let Some(place) = places.get(asked) {
                        self.hung.push((paths[*place].clone(), thread));
                    }
                }
            }
            // The one that hung, or brought the thread down, has no answer.
            places.drain(..places.len().min(asked + 1));
        }
        answers
    }
}

fn asker(stat: fn(&Path) -> Answer) -> Asker {
    Worker::new("scrape-space", move || {
        move |job: Job| {
            for path in job.paths.iter() {
                let answer = stat(path);
                job.answers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(answer);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    static SERVER_IS_UP: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    fn stat(path: &Path) -> Answer {
        if path.ends_with("nas") {
            let up = SERVER_IS_UP.0.lock().unwrap();
            drop(SERVER_IS_UP.1.wait_while(up, |up| !*up).unwrap());
        }
        statvfs(Path::new("/")).ok().filter(|_| !path.ends_with("gone"))
    }

    #[test]
    fn a_dead_mount_costs_itself_alone_until_it_answers() {
        let paths = ["/", "/gone", "/nas", "/home"].map(PathBuf::from);
        let answered = |reader: &mut SpaceReader| {
            reader
                .read(&paths)
                .iter()
                .map(Option::is_some)
                .collect::<Vec<_>>()
        };
        let mut reader = SpaceReader::with_stat(Duration::from_millis(300), stat);
        assert_eq!(answered(&mut reader), [true, false, false, true]);
        assert_eq!(reader.hung.len(), 1);

        reader.deadline = PATIENCE;
        let began = Instant::now();
        assert_eq!(answered(&mut reader), [true, false, false, true]);
        assert!(
            began.elapsed() < PATIENCE,
            "a mount that hangs is not waited for again"
        );
        assert_eq!(reader.hung.len(), 1, "and not asked by another thread");

        *SERVER_IS_UP.0.lock().unwrap() = true;
        SERVER_IS_UP.1.notify_all();
        while answered(&mut reader) != [true, false, true, true] {
            assert!(began.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        assert!(reader.hung.is_empty());
    }
}
