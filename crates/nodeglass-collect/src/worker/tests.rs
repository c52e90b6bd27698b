//! Hangs are made with channels: a job ends when the test lets it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{NoAnswer, Worker};

const PATIENCE: Duration = Duration::from_secs(20);

struct Rig {
    worker: Worker<u32, u32>,
    release: Sender<()>,
    threads: Arc<AtomicUsize>,
    jobs: Arc<AtomicUsize>,
}

impl Rig {
    fn ask(&mut self, job: u32, until: Instant) -> Result<u32, NoAnswer> {
        self.worker.start(job)?;
        self.worker.finish(until)
    }
}

/// A worker that doubles numbers; zero hangs until `release`, and 13 panics.
fn rig() -> Rig {
    let (release, gate) = channel();
    let gate: Arc<Mutex<Receiver<()>>> = Arc::new(Mutex::new(gate));
    let threads = Arc::new(AtomicUsize::new(0));
    let jobs = Arc::new(AtomicUsize::new(0));
    let (counted, done) = (Arc::clone(&threads), Arc::clone(&jobs));
    let worker = Worker::new("test-worker", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
        move |number: u32| {
            done.fetch_add(1, Ordering::SeqCst);
            assert_ne!(number, 13, "an unlucky job");
            if number == 0 {
                gate.lock().unwrap().recv().unwrap();
            }
            number * 2
        }
    });
    Rig {
        worker,
        release,
        threads,
        jobs,
    }
}

fn soon() -> Instant {
    Instant::now() + PATIENCE
}

#[test]
fn a_job_that_hangs_costs_one_deadline_and_no_second_thread() {
    let mut rig = rig();
    assert_eq!(rig.ask(4, soon()), Ok(8));
    assert_eq!(rig.ask(0, Instant::now()), Err(NoAnswer::Late));

    // While it hangs nobody waits again: a deadline far away returns at once.
    let asked = Instant::now();
    for _ in 0..2 {
        assert_eq!(rig.ask(5, soon()), Err(NoAnswer::Late));
        assert_eq!(rig.worker.finish(soon()), Err(NoAnswer::Late));
    }
    assert!(asked.elapsed() < PATIENCE);
    assert_eq!(rig.threads.load(Ordering::SeqCst), 1);

    rig.release.send(()).unwrap();
    let deadline = soon();
    let answer = loop {
        let answer = rig.ask(6, soon());
        if answer != Err(NoAnswer::Late) || Instant::now() > deadline {
            break answer;
        }
        thread::yield_now();
    };
    assert_eq!(answer, Ok(12), "the late answer, 0, is thrown away");
    assert_eq!(rig.threads.load(Ordering::SeqCst), 1);
    assert_eq!(rig.jobs.load(Ordering::SeqCst), 3, "4, 0 and 6: 5 was never sent");
}

#[test]
fn a_job_that_panics_is_replaced_by_a_new_thread() {
    let mut rig = rig();
    assert_eq!(rig.ask(13, soon()), Err(NoAnswer::Ended));
    assert_eq!(rig.ask(1, soon()), Ok(2));
    assert_eq!(rig.threads.load(Ordering::SeqCst), 2);
}
