//! Files that are damaged, missing, somebody else's, or left by a crash.

use super::*;

#[test]
fn every_byte_cut_or_flipped_costs_what_lay_behind_it_and_no_more() {
    let original = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(original.path()));
    let start = Instant::now();
    let ids = append(&journal, Role::Owed, 0..12, start);
    journal.acknowledge(&[run(&ids[..2])]);
    append(&journal, Role::Owed, 12..14, start);
    drop(journal);
    let path = segments(original.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let name = path.file_name().unwrap();

    for at in 0..whole.len() {
        for flipped in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let mut bytes = whole.clone();
            if flipped {
                bytes[at] ^= 0x55;
            } else {
                bytes.truncate(at);
            }
            fs::write(directory.path().join(name), &bytes).unwrap();
            let (journal, recovery) = open(config(directory.path()));
            let standing = journal.standing();
            assert_balanced(&standing);
            // What is there is a beginning of what was written, in order and unharmed.
            let taken = numbers(&take_all(&journal));
            let first = taken.first().copied().unwrap_or(0);
            assert!(
                first == 0 || first == 2,
                "the first two are stored, if that was readable"
            );
            assert_eq!(
                taken,
                (first..first + taken.len() as u64).collect::<Vec<_>>(),
                "at {at}, flipped: {flipped}"
            );
            assert!(recovery.damaged <= 1);
            if flipped {
                assert!(
                    recovery.damaged == 1 || recovery.cut_bytes > 0,
                    "at {at}: {recovery:?}"
                );
            }
            assert_eq!(
                append(&journal, Role::Owed, 100..101, start).len(),
                1,
                "and it goes on"
            );
        }
    }
}

#[test]
fn damage_between_segments_is_put_aside_counted_and_dated() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    append(&journal, Role::Owed, 0..2_500, Instant::now());
    drop(journal);
    let files = segments(directory.path());
    assert_eq!(files.len(), 3);
    let mut bytes = fs::read(&files[1]).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&files[1], bytes).unwrap();

    let (journal, recovery) = open(config(directory.path()));
    assert_eq!((recovery.damaged, recovery.lost), (1, 864), "{recovery:?}");
    assert!(files[1].with_extension("damaged").exists());
    let standing = journal.standing();
    assert_balanced(&standing);
    let gap = standing
        .books
        .gaps
        .iter()
        .find(|gap| gap.reason == Reason::Damaged)
        .unwrap();
    assert_eq!(
        (gap.from, gap.to),
        (sample(863).timestamp, sample(1_728).timestamp)
    );
    assert_eq!(
        numbers(&take_all(&journal)),
        (0..864).chain(1_728..2_500).collect::<Vec<_>>()
    );
}

#[test]
fn an_unreadable_newest_segment_costs_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    append(&journal, Role::Owed, 0..2_000, Instant::now());
    drop(journal);
    let last = segments(directory.path()).pop().unwrap();
    // A power failure left the file without its content; the one before is packed.
    fs::write(&last, b"").unwrap();
    let (journal, recovery) = open(config(directory.path()));
    assert_eq!((recovery.damaged, recovery.owed), (0, 2 * 864), "{recovery:?}");
    assert_balanced(&journal.standing());
    assert_eq!(numbers(&take_all(&journal)), (0..2 * 864).collect::<Vec<_>>());
}

#[test]
fn samples_behind_damage_in_the_newest_segment_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    append(&journal, Role::Owed, 0..500, Instant::now());
    drop(journal);
    let last = segments(directory.path()).pop().unwrap();
    let mut bytes = fs::read(&last).unwrap();
    let place = bytes.len() / 4;
    bytes[place] ^= 1;
    fs::write(&last, bytes).unwrap();
    let (journal, recovery) = open(config(directory.path()));
    let standing = journal.standing();
    assert_balanced(&standing);
    // The damaged record itself can't even be told to be a sample.
    assert_eq!((recovery.damaged, standing.books.damaged_segments), (1, 1));
    assert_eq!(standing.books.sampled, 499);
    assert_eq!(recovery.owed + recovery.lost, 499, "{recovery:?}");
    let gap = standing
        .books
        .gaps
        .iter()
        .find(|gap| gap.reason == Reason::Damaged)
        .unwrap();
    assert_eq!(gap.to, sample(499).timestamp);
}

#[test]
fn a_span_without_samples_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    append(&journal, Role::Owed, 0..5, Instant::now());
    let (from, to) = (sample(5).timestamp, sample(50).timestamp);
    journal.note_gap(Reason::Stopped, from, to, Instant::now());
    journal.crash();
    let (journal, _) = open(config(directory.path()));
    let gap = journal.standing().books.gaps[0];
    assert_eq!((gap.reason, gap.from, gap.to), (Reason::Stopped, from, to));
}

#[test]
fn a_directory_that_turns_up_later_keeps_what_was_in_it() {
    let parent = tempfile::tempdir().unwrap();
    let (path, aside) = (parent.path().join("journal"), parent.path().join("aside"));
    let (journal, _) = open(config(&path));
    append(&journal, Role::Owed, 0..2_000, Instant::now());
    drop(journal);
    // As a mount that is not there yet.
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, b"in the way").unwrap();
    let later = START.plus(Duration::from_secs(2_000));
    let (journal, recovery) = Journal::open(config(&path), later, Instant::now());
    assert!(recovery.error.is_some());
    let start = Instant::now();
    append(&journal, Role::Owed, 2_000..2_010, start);
    assert_eq!(journal.standing().buffered, 10);
    fs::remove_file(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    append(&journal, Role::Owed, 2_010..2_100, start);
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!(
        (standing.buffered, standing.memory_bytes, standing.disk_error),
        (2_100, 0, None)
    );
    drop(journal);
    let (journal, recovery) = Journal::open(config(&path), sample(2_100).timestamp, Instant::now());
    assert_eq!((recovery.owed, recovery.lost), (2_100, 0));
    assert_eq!(numbers(&take_all(&journal)), (0..2_100).collect::<Vec<_>>());
}

#[test]
fn two_agents_do_not_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _) = open(config(directory.path()));
    let (second, recovery) = open(config(directory.path()));
    assert!(recovery.error.unwrap().contains("another agent"));
    append(&first, Role::Owed, 0..5, Instant::now());
    append(&second, Role::Owed, 5..9, Instant::now());
    assert_eq!(numbers(&take_all(&first)), (0..5).collect::<Vec<_>>());
    assert_eq!(numbers(&take_all(&second)), (5..9).collect::<Vec<_>>());
}
