//! Readers and writers at the beat, over real sockets.

use std::net::TcpListener;
use std::task::{Wake, Waker};

use super::*;

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counter {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Both ends of a connection; the second does not block.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (theirs, ours)
}

fn seat_of(beat: &Arc<Beat>, stream: TcpStream) -> Seat {
    beat.is_on.store(true, Ordering::Relaxed);
    Seat::take(beat, stream).unwrap().unwrap()
}

fn read(seat: &Seat, waker: &Waker, room: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; room];
    let mut buffer = ReadBuf::new(&mut bytes);
    match seat.poll_read(&Context::from_waker(waker), &mut buffer) {
        Poll::Ready(read) => {
            read.unwrap();
            Some(buffer.filled().to_vec())
        }
        Poll::Pending => None,
    }
}

/// What comes is read once the beat says so, in parts if there is no room, and to the end.
#[test]
fn nothing_is_missed_between_two_beats() {
    let beat = Arc::new(Beat::new().unwrap());
    let mut events = Events::with_capacity(4);
    let woken = Arc::<Counter>::default();
    let waker = Waker::from(woken.clone());
    let (mut theirs, ours) = pair();
    let seat = seat_of(&beat, ours);
    assert_eq!(read(&seat, &waker, 8), None);

    theirs.write_all(b"good morning").unwrap();
    assert_eq!((read(&seat, &waker, 8), woken.count()), (None, 0));
    beat.turn(&mut events).unwrap();
    assert_eq!(woken.count(), 1);
    assert_eq!(read(&seat, &waker, 8).unwrap(), b"good mor");
    assert_eq!(
        read(&seat, &waker, 8).unwrap(),
        b"ning",
        "the kernel does not tell of it again"
    );
    assert_eq!(read(&seat, &waker, 8), None);

    // What comes between the last look and the beat, and the end that came with it.
    theirs.write_all(b"bye").unwrap();
    drop(theirs);
    beat.turn(&mut events).unwrap();
    assert_eq!(woken.count(), 2);
    assert_eq!(read(&seat, &waker, 8).unwrap(), b"bye");
    assert_eq!(read(&seat, &waker, 8).unwrap(), b"", "the end");
    drop(seat);
    assert!(beat.seats().ears.is_empty());
}

/// Who has more to write than the kernel takes is told when it takes more.
#[test]
fn whoever_waits_for_room_is_told() {
    let beat = Arc::new(Beat::new().unwrap());
    let mut events = Events::with_capacity(4);
    let woken = Arc::<Counter>::default();
    let waker = Waker::from(woken.clone());
    let (mut theirs, ours) = pair();
    let seat = seat_of(&beat, ours);
    let mut written = 0;
    let chunk = vec![7; 64 << 10];
    while let Poll::Ready(more) = seat.poll_write_bytes(&Context::from_waker(&waker), &chunk) {
        written += more.unwrap();
    }
    beat.turn(&mut events).unwrap();
    let before = woken.count();
    theirs.read_exact(&mut vec![0; written]).unwrap();
    // The kernel acknowledges what was read in its own time.
    while woken.count() == before {
        beat.turn(&mut events).unwrap();
        std::thread::yield_now();
    }
    assert!(
        seat.poll_write_bytes(&Context::from_waker(&waker), &chunk)
            .is_ready()
    );
}

#[test]
fn a_beat_is_as_long_as_it_takes_for_some_to_come() {
    let settled = |per_sec: f64| {
        let steps = 0..20;
        steps.fold(SHORTEST, |beat, _| {
            next(beat, (beat.as_secs_f64() * per_sec) as usize)
        })
    };
    assert_eq!(settled(0.0), LONGEST);
    assert_eq!(settled(50.0), LONGEST);
    let thousand = settled(500.0).as_secs_f64();
    assert!((0.09..0.11).contains(&thousand), "{thousand}");
    assert_eq!(settled(1e6), SHORTEST);
}

#[tokio::test]
async fn agents_are_read_together_while_there_are_many() {
    let (beat, stop) = (Arc::new(Beat::new().unwrap()), CancellationToken::new());
    let running = tokio::spawn(beat.clone().run(stop.clone()));
    let woken = Arc::<Counter>::default();
    let waker = Waker::from(woken.clone());
    let until = async |done: &dyn Fn() -> bool| {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    (1..MANY).for_each(|_| beat.enter());
    tokio::task::yield_now().await;
    assert!(!beat.is_on());
    beat.enter();
    until(&|| beat.is_on()).await;

    let (mut theirs, ours) = pair();
    let seat = seat_of(&beat, ours);
    assert_eq!(read(&seat, &waker, 8), None);
    theirs.write_all(b"one").unwrap();
    until(&|| woken.count() == 1).await;
    assert_eq!(read(&seat, &waker, 8).unwrap(), b"one");
    assert_eq!(read(&seat, &waker, 8), None);

    beat.leave();
    until(&|| !beat.is_on()).await;
    assert!(
        Seat::take(&beat, pair().1).unwrap().is_none(),
        "nobody would tell"
    );
    until(&|| woken.count() == 2).await;
    beat.enter();
    until(&|| beat.is_on()).await;
    assert_eq!(read(&seat, &waker, 8), None);
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(
        (woken.count(), beat.is_on()),
        (3, false),
        "who waited at the end is woken"
    );
}
