//! Closed segments in less room: the same samples, but for those that only the server was owed and has.

use super::*;

#[test]
fn packed_segments_hold_the_same_samples_in_less_room() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    let start = Instant::now();
    append(&journal, Role::Both, 0..2_000, start);
    let size = |path: &PathBuf| fs::metadata(path).unwrap().len();
    let files = segments(directory.path());
    assert_eq!(files.len(), 3);
    // The thread ends when the journal does, after its last job.
    drop(journal);
    let open_size = size(&files[2]) / (2_000 - 2 * 864);
    assert!(
        size(&files[0]) / 864 < open_size / 2,
        "{} of {open_size}",
        size(&files[0]) / 864
    );

    let (journal, recovery) = open(config(directory.path()));
    assert_eq!(
        (recovery.owed, recovery.segments, recovery.damaged),
        (2_000, 3, 0)
    );
    let taken = take_all(&journal);
    assert_eq!(numbers(&taken), (0..2_000).collect::<Vec<_>>());
    assert!(
        taken
            .iter()
            .zip(0..)
            .all(|((_, found), number)| *found == *sample(number))
    );
    let found = journal.history(&query(500, 1_900, "cpu.usage_percent"));
    assert_eq!(found.times.len(), 1_400);
    assert_eq!(found.values("cpu.usage_percent").unwrap()[7], Some(7.0));
}

/// Twenty-five minutes of a journal that samples each second and sends each fifth, all of it stored but what `keeps_back` says.
fn twenty_five_minutes(directory: &Path, keeps_back: impl Fn(u64) -> bool) {
    let (journal, _) = open(config(directory));
    let start = Instant::now();
    for number in 0..1_500 {
        append(&journal, Role::Local, number..number + 1, start);
        if number % 5 == 4 {
            let ids = append(&journal, Role::Owed, number..number + 1, start);
            take_all(&journal);
            if !keeps_back(number) {
                journal.acknowledge(&[run(&ids)]);
            }
        }
    }
}

fn owed_in(path: &Path) -> u64 {
    let mut owed = 0;
    let bytes = fs::read(path).unwrap();
    let all = |_: &nodeglass_model::catalogue::Metric, _: &str| true;
    crate::segment::read_samples(&bytes, Role::is_owed, &all, |_, _| owed += 1).unwrap();
    owed
}

#[test]
fn what_the_server_has_is_not_packed_for_it() {
    let directory = tempfile::tempdir().unwrap();
    // Sent and not settled: 104, 109 and 114.
    twenty_five_minutes(directory.path(), |number| (104..119).contains(&number));
    let files = segments(directory.path());
    assert_eq!(files.len(), 3);
    assert_eq!((owed_in(&files[0]), owed_in(&files[1])), (3, 0));

    let (journal, recovery) = open(config(directory.path()));
    assert_eq!((recovery.owed, recovery.lost), (3, 0));
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!((standing.books.sampled, standing.books.acknowledged), (300, 297));
    assert_eq!(numbers(&take_all(&journal)), [104, 109, 114]);
    let found = journal.history(&query(0, 1_500, "memory.used_bytes"));
    assert_eq!(found.times.len(), 1_500);
}

#[test]
fn what_was_not_packed_is_not_missed_when_the_newest_segment_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    twenty_five_minutes(directory.path(), |_| false);
    let files = segments(directory.path());
    fs::write(&files[2], b"").unwrap();
    let (journal, recovery) = open(config(directory.path()));
    assert_eq!((recovery.owed, recovery.lost), (0, 0), "{recovery:?}");
    let standing = journal.standing();
    assert_balanced(&standing);
    assert!(standing.books.acknowledged > 280, "{standing:?}");
}

#[test]
fn what_a_later_packing_left_out_is_not_missed_either() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = open(config(directory.path()));
    let start = Instant::now();
    append(&journal, Role::Local, 0..100, start);
    let ids = append(&journal, Role::Owed, 99..100, start);
    drop(journal);
    let oldest = segments(directory.path()).remove(0);
    let unpacked = fs::read(&oldest).unwrap();

    // The next life is told that the sample is stored, and ends before it has packed the segment.
    let (journal, _) = open(config(directory.path()));
    take_all(&journal);
    journal.acknowledge(&[run(&ids)]);
    append(&journal, Role::Local, 100..200, start);
    drop(journal);
    fs::write(&oldest, unpacked).unwrap();

    // The one after packs both segments, and of its own nothing is left.
    drop(open(config(directory.path())));
    assert_eq!(owed_in(&oldest), 0);
    fs::write(segments(directory.path()).pop().unwrap(), b"").unwrap();

    let (journal, recovery) = open(config(directory.path()));
    assert_eq!((recovery.owed, recovery.lost), (0, 0), "{recovery:?}");
    assert_balanced(&journal.standing());
    assert_eq!(journal.standing().books.acknowledged, 1);
}
