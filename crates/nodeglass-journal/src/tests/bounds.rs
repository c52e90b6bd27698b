//! Age, room, and a disk that takes nothing.

use super::*;

/// A journal from which goes what is ten minutes old.
fn open_for_ten_minutes(directory: &Path) -> Journal {
    let config = JournalConfig {
        max_age: Duration::from_mins(10),
        ..config(directory)
    };
    open(config).0
}

#[test]
fn the_oldest_go_for_room_and_are_counted_with_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let config = JournalConfig {
        max_bytes: 256 << 10,
        ..config(directory.path())
    };
    let (journal, _) = open(config.clone());
    let start = Instant::now();
    // Each second another hundred processes, so that packing does not make room for everything.
    let wide = |number: u64| {
        let mut wide = (*sample(number)).clone();
        let pids = (0..100).map(|pid| ProcessEntry {
            pid: (number * 1_000 + pid) as u32,
            memory_bytes: Some(number * pid),
            ..Default::default()
        });
        wide.processes.top = pids.collect();
        Arc::new(wide)
    };
    for number in 0..1_000 {
        journal.append(&wide(number), Role::Owed, start + Duration::from_secs(number));
        assert!(
            journal.standing().disk_bytes <= config.max_bytes,
            "{:?}",
            journal.standing()
        );
    }
    let standing = journal.standing();
    assert_balanced(&standing);
    let lost = standing.books.evicted[&Reason::Full];
    assert!(lost > 0 && standing.books.lost() == lost, "{standing:?}");
    let gap = standing.books.gaps[0];
    assert_eq!((gap.from, gap.samples), (START, lost), "{gap:?}");
    assert_eq!(gap.to, START.plus(Duration::from_secs(lost - 1)));
    assert_eq!(numbers(&take_all(&journal))[0], lost);
    drop(journal);
    let (journal, _) = open(config);
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!(standing.books.sampled, 1_000, "the books survive");
    assert!(standing.books.evicted[&Reason::Full] >= lost);
}

#[test]
fn age_takes_what_both_clocks_call_old() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open_for_ten_minutes(directory.path());
    let start = Instant::now();
    append(&journal, Role::Owed, 0..100, start);
    // The wall clock is set forward a day: by it everything is old, and yet it is not.
    let day = 24 * 3600;
    for second in 0..700 {
        let at = start + Duration::from_secs(100 + second);
        journal.append(&sample(day + second), Role::Owed, at);
    }
    assert_eq!(
        journal.standing().books.lost(),
        0,
        "ten minutes have not passed since the segment was closed"
    );
    for second in 700..2_000 {
        let at = start + Duration::from_secs(100 + second);
        journal.append(&sample(day + second), Role::Owed, at);
    }
    let standing = journal.standing();
    assert_balanced(&standing);
    assert!(standing.books.evicted[&Reason::TooOld] >= 100, "{standing:?}");
}

#[test]
fn a_directory_that_cannot_be_used_makes_a_journal_in_memory_that_is_bounded() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("a file");
    fs::write(&file, "in the way").unwrap();
    let config = JournalConfig {
        max_memory_bytes: 64 << 10,
        ..config(&file.join("journal"))
    };
    let (journal, recovery) = open(config.clone());
    assert!(recovery.error.is_some());
    append(&journal, Role::Owed, 0..5_000, Instant::now());
    let standing = journal.standing();
    assert_balanced(&standing);
    assert!(
        standing.disk_error.is_some() && standing.memory_bytes <= config.max_memory_bytes,
        "{standing:?}"
    );
    let lost = standing.books.evicted[&Reason::Full];
    assert_eq!(
        numbers(&take_all(&journal)),
        (lost..5_000).collect::<Vec<_>>(),
        "the oldest went first"
    );

    // The way is clear: what is in memory moves to the disk.
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("journal")).unwrap();
    append(&journal, Role::Owed, 5_000..8_000, Instant::now());
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!((standing.disk_error, standing.memory_bytes), (None, 0));
    assert_eq!(standing.books.lost(), lost);
}

#[test]
fn a_clock_that_was_ahead_does_not_keep_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open_for_ten_minutes(directory.path());
    let start = Instant::now();
    let day = 24 * 3600;
    for second in 0..6_000 {
        let number = if second < 100 { day + second } else { second };
        journal.append(&sample(number), Role::Owed, start + Duration::from_secs(second));
    }
    let standing = journal.standing();
    assert_balanced(&standing);
    assert!(standing.buffered < 3 * 864, "{standing:?}");
}

#[test]
fn a_sample_larger_than_the_bound_does_not_stop_the_journal() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("a file");
    fs::write(&file, "in the way").unwrap();
    let config = JournalConfig {
        max_memory_bytes: 64 << 10,
        ..config(&file.join("journal"))
    };
    let (journal, _) = open(config);
    let mut wide = (*sample(1)).clone();
    let processes = (0..4_000).map(|pid| ProcessEntry {
        pid,
        name: format!("process number {pid}"),
        ..Default::default()
    });
    wide.processes.top = processes.collect();
    for second in 0..3 {
        journal.append(
            &Arc::new(wide.clone()),
            Role::Owed,
            Instant::now() + Duration::from_secs(second),
        );
    }
    assert_balanced(&journal.standing());
}

#[test]
fn what_goes_while_it_is_handed_out_is_lost_only_until_the_server_says_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open_for_ten_minutes(directory.path());
    let start = Instant::now();
    let ids = append(&journal, Role::Owed, 0..10, start);
    let mut handed_out = Vec::new();
    journal.take_backlog(100, |id, _| {
        handed_out.push(id);
        if handed_out.len() == 4 {
            append(&journal, Role::Local, 10..2_000, start);
            assert_eq!(journal.standing().books.lost(), 10);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(handed_out, ids[..4], "the others are gone");
    journal.acknowledge(&[run(&handed_out)]);
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!((standing.books.lost(), standing.books.acknowledged), (6, 4));

    // One that is refused on its way out is not sent.
    append(&journal, Role::Owed, 2_000..2_001, start);
    journal.take_backlog(100, |id, _| {
        journal.reject(id, "too_large");
        ControlFlow::Continue(())
    });
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!((standing.buffered, standing.books.sent), (0, 4));

    // One that is not sent after all waits again, or is as lost as the others if it went meanwhile.
    let ids = append(&journal, Role::Owed, 2_001..2_003, start);
    journal.take_backlog(100, |_, _| ControlFlow::Break(()));
    assert_eq!(
        (journal.standing().buffered, journal.standing().books.sent),
        (2, 4)
    );
    journal.take_backlog(100, |id, _| {
        assert_eq!(id, ids[0]);
        append(&journal, Role::Local, 2_003..4_000, start);
        ControlFlow::Break(())
    });
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!(
        (standing.buffered, standing.books.lost(), standing.books.sent),
        (0, 8, 4)
    );
}

#[test]
fn what_was_sent_before_it_went_is_lost_only_until_the_server_says_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open_for_ten_minutes(directory.path());
    let start = Instant::now();
    let ids = append(&journal, Role::Owed, 0..10, start);
    assert_eq!(take_all(&journal).len(), 10);
    append(&journal, Role::Local, 10..2_000, start);
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!(standing.books.lost(), 10);
    journal.acknowledge(&[run(&ids[..7])]);
    let standing = journal.standing();
    assert_balanced(&standing);
    assert_eq!((standing.books.lost(), standing.books.acknowledged), (3, 7));
    assert_eq!(standing.books.gaps[0].samples, 3);
    // Once the session is over nothing more is heard of them.
    journal.send_again();
    journal.acknowledge(&[run(&ids)]);
    assert_eq!(journal.standing().books.lost(), 3);
}
