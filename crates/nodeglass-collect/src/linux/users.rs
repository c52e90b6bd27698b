//! Who is logged in: the records of logind, or `utmp` where there are none.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use super::host_root::HostRoot;
use super::scan::lines;

/// More users than this are not counted one by one.
const MOST_USERS: usize = 4096;

/// Records of logind and of `utmp` are read up to here; real ones are far smaller.
const MOST_BYTES: u64 = 1024 * 1024;

/// One record of `utmp` as glibc writes it: on 64-bit ARM with wider times.
const UTMP_RECORD: usize = if cfg!(target_arch = "aarch64") { 400 } else { 384 };
/// The type of a record of somebody who is logged in.
const USER_PROCESS: [u8; 2] = 7_i16.to_ne_bytes();
/// Where the user's name stands in it.
const UTMP_USER: std::ops::Range<usize> = 44..76;

/// How many users have a session; one with several counts once.
///
/// logind keeps a file for each user, also for those that only linger; those with sessions count. Where it knows of
/// nobody, `utmp` is asked. `None` if the host has neither.
pub(super) fn count_users(root: &HostRoot) -> Option<u32> {
    let by_logind = root.exists("run/systemd/users").then(|| {
        let users = root.list("run/systemd/users").into_iter().take(MOST_USERS);
        let with_session = users.filter(|user| {
            read(root, &format!("run/systemd/users/{user}")).is_some_and(|record| has_session(&record))
        });
        with_session.count() as u32
    });
    let by_utmp = || read(root, "run/utmp").map(|utmp| parse_utmp(&utmp));
    match by_logind {
        Some(0) => by_utmp().or(by_logind),
        None => by_utmp(),
        some => some,
    }
}

fn read(root: &HostRoot, relative: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(root.path(relative)).ok()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Whether the line `SESSIONS=` names any.
fn has_session(record: &[u8]) -> bool {
    lines(record)
        .filter_map(|line| line.strip_prefix(b"SESSIONS="))
        .any(|sessions| !sessions.trim_ascii().is_empty())
}

fn parse_utmp(utmp: &[u8]) -> u32 {
    let records = utmp.chunks_exact(UTMP_RECORD);
    let users: HashSet<&[u8]> = records
        .filter(|record| record.starts_with(&USER_PROCESS))
        .map(|record| {
            let user = &record[UTMP_USER];
            user.split(|byte| *byte == 0).next().unwrap_or(user)
        })
        .filter(|user| !user.is_empty())
        .collect();
    users.len() as u32
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn record(kind: i16, user: &str) -> Vec<u8> {
        let mut record = vec![0; UTMP_RECORD];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[UTMP_USER][..user.len()].copy_from_slice(user.as_bytes());
        record
    }

    #[test]
    fn users_with_sessions_count_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = HostRoot::new(directory.path());
        assert_eq!(count_users(&root), None, "neither logind nor utmp");

        // A boot record, two sessions of one user, one of another, and one that ended.
        let utmp = [
            record(2, "reboot"),
            record(7, "ada"),
            record(7, "ada"),
            record(7, "bob"),
            record(8, "eve"),
        ];
        let users = directory.path().join("run/systemd/users");
        fs::create_dir_all(&users).unwrap();
        assert_eq!(count_users(&root), Some(0));
        fs::write(directory.path().join("run/utmp"), utmp.concat()).unwrap();
        assert_eq!(count_users(&root), Some(2), "logind knows of nobody");

        fs::write(
            users.join("1000"),
            "NAME=ada\nSTATE=active\nSESSIONS=2 5\nSEATS=\n",
        )
        .unwrap();
        fs::write(
            users.join("1001"),
            "NAME=bob\nSTATE=lingering\nSESSIONS=\nONLINE_SESSIONS=\n",
        )
        .unwrap();
        assert_eq!(count_users(&root), Some(1), "bob only lingers");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
            prop_assert!(parse_utmp(&bytes) <= 2);
            has_session(&bytes);
        }
    }
}
