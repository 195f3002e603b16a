//! Every store of this crate passes the conformance checks; the file store keeps its files in order.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{append, commits, open_from};
use dosql_base::ErrorKind;
use dosql_wal::conformance::{Reopen, check};
use dosql_wal::fault::FaultLogStore;
use dosql_wal::{
    CrashDirectory, Directory, FileLogStore, LogPosition, LogStore, MIN_SEGMENT_BYTES, MemoryLogStore,
    SEGMENT_HEADER_BYTES,
};

fn shared(store: Arc<dyn LogStore>) -> Reopen {
    Box::new(move || Ok(store.clone()))
}

#[test]
fn the_memory_store_conforms() {
    check(&|| shared(Arc::new(MemoryLogStore::new())));
}

#[test]
fn the_fault_store_conforms_while_nothing_fails() {
    check(&|| shared(Arc::new(FaultLogStore::new(Arc::new(MemoryLogStore::new())))));
}

#[test]
fn the_file_store_conforms_in_a_simulated_directory_with_segments_of_any_size() {
    for bytes in [MIN_SEGMENT_BYTES, 5 * 4096, 1 << 20] {
        check(&|| {
            let directory = CrashDirectory::new();
            Box::new(move || Ok(Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), bytes)?) as _))
        });
    }
}

#[test]
fn the_file_store_conforms_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    check(&|| {
        count.set(count.get() + 1);
        let path = root.path().join(count.get().to_string());
        Box::new(move || Ok(Arc::new(FileLogStore::open(&path, 64 << 10)?) as _))
    });
}

/// A log of `count` commits in small segments, synced; its directory and end.
fn log_in(directory: &CrashDirectory, count: u64) -> LogPosition {
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES).unwrap());
    let (log, _) = open_from(store, LogPosition::ZERO, 0).unwrap();
    for commit in commits(count) {
        append(&log, &commit).unwrap();
    }
    log.sync(log.end().0).unwrap();
    log.end().0
}

fn segment_names(directory: &CrashDirectory) -> Vec<String> {
    let mut names = directory.list().unwrap();
    names.sort();
    names
}

fn reopen(directory: &CrashDirectory) -> dosql_base::Result<Vec<common::Commit>> {
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES)?);
    open_from(store, LogPosition::ZERO, 0).map(|(_, found)| found)
}

#[test]
fn a_missing_segment_is_corrupt_wherever_it_is() {
    let directory = CrashDirectory::new();
    log_in(&directory, 150);
    let names = segment_names(&directory);
    assert!(names.len() >= 4, "{names:?}");
    // The newest is left out: a log that ends a segment earlier can't be told from one that never got there, save by
    // what a later record says.
    for name in &names[..names.len() - 1] {
        let copy = directory.survivor(dosql_wal::Surviving::Everything);
        copy.remove(name).unwrap();
        assert_eq!(reopen(&copy).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
    }
}

#[test]
fn a_flipped_bit_in_a_segment_header_is_corrupt_or_unused() {
    let directory = CrashDirectory::new();
    log_in(&directory, 150);
    let written = reopen(&directory).unwrap();
    for name in segment_names(&directory) {
        for index in (0..80).chain([SEGMENT_HEADER_BYTES as usize - 1]) {
            let copy = directory.survivor(dosql_wal::Surviving::Everything);
            let mut bytes = copy.contents(&name).unwrap();
            bytes[index] ^= 8;
            copy.put(&name, bytes);
            match reopen(&copy) {
                Ok(found) => assert!(index >= 64 && found == written, "byte {index} of {name}"),
                Err(error) => {
                    assert!(
                        index < 64 && error.kind() == ErrorKind::Corrupt,
                        "byte {index} of {name}: {error}"
                    )
                }
            }
        }
    }
}

#[test]
fn a_truncated_segment_is_corrupt() {
    let directory = CrashDirectory::new();
    log_in(&directory, 150);
    for name in segment_names(&directory) {
        for len in [0, 10, 63, 64, 4096, MIN_SEGMENT_BYTES as usize - 1] {
            let copy = directory.survivor(dosql_wal::Surviving::Everything);
            copy.put(&name, copy.contents(&name).unwrap()[..len].to_vec());
            assert_eq!(reopen(&copy).unwrap_err().kind(), ErrorKind::Corrupt, "{name} cut at {len}");
        }
    }
}

#[test]
fn files_that_are_not_segments_are_left_alone() {
    let directory = CrashDirectory::new();
    for name in ["pages", "log-12", "log-00000000000", "log-new", "log-000000000x", "notes.txt"] {
        directory.put(name, b"mine".to_vec());
    }
    log_in(&directory, 60);
    assert_eq!(reopen(&directory).unwrap().len(), 60);
    assert_eq!(directory.contents("notes.txt").unwrap(), b"mine");
    assert_eq!(directory.contents("log-12").unwrap(), b"mine");
}

#[test]
fn trimmed_segments_are_recycled_and_not_piled_up() {
    let directory = CrashDirectory::new();
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES).unwrap());
    let (log, _) = open_from(store.clone(), LogPosition::ZERO, 0).unwrap();
    let mut most = 0;
    for commit in commits(600) {
        let end = append(&log, &commit).unwrap().end;
        log.sync(end).unwrap();
        log.trim(end).unwrap();
        most = most.max(segment_names(&directory).len());
    }
    assert!(most <= 3, "{most} files");
    assert!(log.end().0.get() > 10 * MIN_SEGMENT_BYTES, "the log went round many times");
}

#[test]
fn shrinking_removes_the_files_that_were_kept_to_be_used_again_and_nothing_else() {
    let directory = CrashDirectory::new();
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES).unwrap());
    let (log, _) = open_from(store, LogPosition::ZERO, 0).unwrap();
    for commit in commits(600) {
        append(&log, &commit).unwrap();
    }
    let (end, chain) = log.end();
    log.sync(end).unwrap();
    log.trim(end).unwrap();
    log.seal().unwrap();
    assert!(segment_names(&directory).len() > 2);
    log.shrink().unwrap();
    assert_eq!(segment_names(&directory).len(), 1);
    drop(log);
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES).unwrap());
    let (log, found) = open_from(store, end, chain).unwrap();
    assert!(found.is_empty());
    append(&log, &commits(1)[0]).unwrap();
    log.sync(log.end().0).unwrap();
}

#[test]
fn another_segment_size_applies_to_new_segments_only() {
    let directory = CrashDirectory::new();
    log_in(&directory, 100);
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), 16 * 4096).unwrap());
    let (log, found) = open_from(store, LogPosition::ZERO, 0).unwrap();
    assert_eq!(found, commits(100));
    for commit in commits(400) {
        append(&log, &commit).unwrap();
    }
    log.sync(log.end().0).unwrap();
    assert_eq!(reopen(&directory).unwrap().len(), 500);
}

#[test]
fn a_steady_log_makes_one_write_and_one_sync_a_commit() {
    let directory = CrashDirectory::new();
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), 1 << 20).unwrap());
    let (log, _) = open_from(store, LogPosition::ZERO, 0).unwrap();
    log.reserve(100_000).unwrap();
    let before = directory.operations();
    for commit in commits(50) {
        let end = append(&log, &commit).unwrap().end;
        log.sync(end).unwrap();
    }
    assert_eq!(directory.operations() - before, 100);
    let before = directory.operations();
    for commit in commits(50) {
        append(&log, &commit).unwrap();
    }
    assert_eq!(directory.operations(), before, "a commit that is not synced costs no call at all");
    log.flush().unwrap();
    assert_eq!(directory.operations(), before + 1);
}

#[test]
fn appending_before_recovery_is_refused() {
    let store = FileLogStore::open_in(Arc::new(CrashDirectory::new()), MIN_SEGMENT_BYTES).unwrap();
    assert_eq!(store.append(b"x").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_recovery_found_outlives_the_machine_even_if_it_was_never_synced_before() {
    let directory = CrashDirectory::new();
    let end = log_in(&directory, 5);
    let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES).unwrap());
    let (log, _) = open_from(store, LogPosition::ZERO, 0).unwrap();
    for commit in commits(3) {
        append(&log, &commit).unwrap();
    }
    log.flush().unwrap();
    assert!(log.end().0 > end);
    // The process ends; another one reads the three from the system's cache, and shows them to the world.
    drop(log);
    assert_eq!(reopen(&directory).unwrap().len(), 8);
    assert_eq!(reopen(&directory.survivor(dosql_wal::Surviving::Nothing)).unwrap().len(), 8);
}
