//! Dead mounts are made with a condition: a question ends when the test lets it.

use std::collections::HashMap;
use std::sync::Condvar;
use std::thread;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const SPACE: Space = Space {
    total: 1_000,
    used: 300,
    available: 600,
    inodes: Some((400, 100)),
    is_read_only: true,
};

/// Which of the paths hang, and how often each path was asked. Each test has paths of its own.
static WORLD: (Mutex<World>, Condvar) = (Mutex::new(World::new()), Condvar::new());

struct World {
    dead: Vec<PathBuf>,
    asked: Option<HashMap<PathBuf, usize>>,
}

impl World {
    const fn new() -> Self {
        Self {
            dead: Vec::new(),
            asked: None,
        }
    }
}

fn stat(path: &Path) -> SpaceAnswer {
    let mut world = lock(&WORLD.0);
    *world
        .asked
        .get_or_insert_default()
        .entry(path.to_owned())
        .or_default() += 1;
    drop(
        WORLD
            .1
            .wait_while(world, |world| world.dead.contains(&path.to_owned()))
            .unwrap(),
    );
    if path.ends_with("gone") {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(Some(SPACE))
}

fn kill(path: &str) {
    lock(&WORLD.0).dead.push(path.into());
}

fn revive(path: &str) {
    lock(&WORLD.0).dead.retain(|dead| dead != Path::new(path));
    WORLD.1.notify_all();
}

fn times_asked(path: &str) -> usize {
    let world = lock(&WORLD.0);
    world
        .asked
        .as_ref()
        .and_then(|asked| asked.get(Path::new(path)).copied())
        .unwrap_or(0)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

fn mount(mount_point: &str, filesystem: &str) -> Mount {
    Mount {
        device_number: (0, 1),
        root: "/".to_owned(),
        mount_point: mount_point.to_owned(),
        filesystem: filesystem.to_owned(),
        source: String::new(),
    }
}

fn reader(mounts: &[Mount]) -> SpaceReader {
    let mut reader = SpaceReader::with_stat(PATIENCE, stat);
    reader.set_mounts(&HostRoot::new(Path::new("/")), mounts);
    reader
}

/// A round that gives up as soon as the thread has come to `dead`.
fn round_that_hangs_at(reader: &mut SpaceReader, dead: &str) {
    let before = times_asked(dead);
    reader.start();
    wait_until("the dead mount is asked", || times_asked(dead) > before);
    reader.finish(Instant::now());
}

fn round(reader: &mut SpaceReader) {
    reader.start();
    reader.finish(Instant::now() + PATIENCE);
}

fn has_space(reader: &SpaceReader) -> Vec<bool> {
    reader
        .known(Instant::now())
        .map(|known| known.space.is_some())
        .collect()
}

fn troubles(reader: &SpaceReader) -> Vec<Option<String>> {
    reader
        .known(Instant::now())
        .map(|known| known.trouble.map(str::to_owned))
        .collect()
}

#[test]
fn used_space_is_shown_as_df_does() {
    let mut entry = DiskMetrics::default();
    SPACE.fill(&mut entry);
    assert_eq!(entry.usage_percent, Some(33.33), "300 / (300 + 600), not of 1000");
    assert_eq!((entry.inodes_total, entry.inodes_used), (Some(400), Some(100)));
    assert_eq!(
        (entry.inode_usage_percent, entry.read_only),
        (Some(25.0), Some(1))
    );
    let mut entry = DiskMetrics::default();
    let without_inodes = Space {
        inodes: None,
        is_read_only: false,
        ..SPACE
    };
    without_inodes.fill(&mut entry);
    assert_eq!(
        (entry.inodes_total, entry.inode_usage_percent, entry.read_only),
        (None, None, Some(0))
    );
}

#[test]
fn this_machine_has_space() {
    let mut reader = SpaceReader::new(PATIENCE);
    reader.set_mounts(&HostRoot::new(Path::new("/")), &[mount("/", "ext4")]);
    round(&mut reader);
    let space = reader.known(Instant::now()).next().unwrap().space.unwrap();
    assert!(space.total >= space.used && space.total > 0);
}

#[test]
fn a_dead_mount_costs_itself_only_until_it_answers() {
    let mut reader = reader(&[
        mount("/a/dead", "nfs4"),
        mount("/a/local", "ext4"),
        mount("/a/gone", "ext4"),
        mount("/a/other", "fuse.sshfs"),
    ]);
    kill("/a/dead");
    round_that_hangs_at(&mut reader, "/a/dead");
    assert_eq!(
        has_space(&reader),
        [false, true, false, false],
        "those before it have answered"
    );
    let said = troubles(&reader);
    assert_eq!(said[0].as_deref(), Some("no answer within 20000 ms"));
    assert_eq!(said[1], None);
    assert!(
        said[2].as_ref().is_some_and(|error| error.contains("not found")),
        "{said:?}"
    );
    assert_eq!(said[3].as_deref(), Some("no time left after /a/dead"));

    // While it hangs, local file systems are read anew, and nobody else walks into it.
    let asked_local = times_asked("/a/local");
    for _ in 0..3 {
        round(&mut reader);
        assert_eq!(has_space(&reader), [false, true, false, false]);
        assert_eq!(
            troubles(&reader)[3].as_deref(),
            Some("not asked while /a/dead hangs")
        );
    }
    assert_eq!(times_asked("/a/local"), asked_local + 3);
    assert_eq!((times_asked("/a/dead"), times_asked("/a/other")), (1, 0));

    revive("/a/dead");
    let deadline = Instant::now() + PATIENCE;
    loop {
        round(&mut reader);
        if has_space(&reader) == [true, true, false, true] {
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", troubles(&reader));
        thread::yield_now();
    }
    assert_eq!(times_asked("/a/dead"), 2);
}

#[test]
fn a_second_hang_is_the_last_one() {
    let mut reader = reader(&[
        mount("/b/disk", "ext4"),
        mount("/b/nas", "nfs4"),
        mount("/b/other", "ext4"),
    ]);
    kill("/b/nas");
    round_that_hangs_at(&mut reader, "/b/nas");
    kill("/b/disk");
    round_that_hangs_at(&mut reader, "/b/disk");
    let (disk, other) = (times_asked("/b/disk"), times_asked("/b/other"));
    for _ in 0..3 {
        // Nobody is asked, so nobody is waited for, however far away the deadline is.
        round(&mut reader);
    }
    assert_eq!((times_asked("/b/disk"), times_asked("/b/other")), (disk, other));
    assert!(troubles(&reader).iter().all(Option::is_some));
    revive("/b/disk");
    wait_until("the disk's thread is free again", || {
        lock(&ASKED).iter().all(|(path, _)| !path.starts_with("/b/disk"))
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        round(&mut reader);
        if troubles(&reader)[0].is_none() {
            break;
        }
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    assert_eq!(
        troubles(&reader)[1].as_deref(),
        Some("no answer within 20000 ms, and none since")
    );
    revive("/b/nas");
}

#[test]
fn another_reader_does_not_walk_into_a_mount_that_holds_a_thread() {
    kill("/c/nas");
    let mounts = [mount("/c/nas", "nfs4"), mount("/c/disk", "ext4")];
    let mut first = reader(&mounts);
    round_that_hangs_at(&mut first, "/c/nas");
    let mut second = reader(&mounts);
    second.deadline = Duration::ZERO;
    round(&mut second);
    assert_eq!(times_asked("/c/nas"), 1);
    assert_eq!(has_space(&second), [false, true]);
    revive("/c/nas");
}

#[test]
fn what_was_known_is_shown_while_it_is_young_and_its_age_told_for_as_long_as_it_takes() {
    let mounts = [mount("/d/nas", "nfs4")];
    let mut reader = reader(&mounts);
    round(&mut reader);
    kill("/d/nas");
    round_that_hangs_at(&mut reader, "/d/nas");
    let soon = reader.known(Instant::now()).next().unwrap();
    assert_eq!(soon.space, Some(SPACE));
    assert!(soon.age.is_some() && soon.trouble.is_some());
    let later = reader
        .known(Instant::now() + Duration::from_secs(30))
        .next()
        .unwrap();
    assert_eq!(later.space, None);
    assert!(later.age.is_some_and(|age| age >= Duration::from_secs(30)));
    // A new list keeps what is known of the mounts that stay.
    reader.set_mounts(&HostRoot::new(Path::new("/")), &mounts);
    assert_eq!(has_space(&reader), [true]);
    revive("/d/nas");
}
