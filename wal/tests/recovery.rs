//! What recovery accepts, drops and refuses.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Commit, append, commits, open};
use dosql_base::ErrorKind;
use dosql_wal::{
    Changes, CrashDirectory, Directory, FileLogStore, Log, LogOptions, LogPosition, LogStore,
    MIN_SEGMENT_BYTES, MemoryLogStore, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, Surviving,
};

/// A store with these commits, each synced on its own, and where each begins.
fn synced_one_by_one(commits: &[Commit]) -> (Arc<MemoryLogStore>, Vec<usize>) {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    let mut starts = Vec::new();
    for commit in commits {
        let appended = append(&log, commit).unwrap();
        log.sync(appended.end).unwrap();
        starts.push(appended.start.get() as usize);
    }
    (store, starts)
}

fn reopen(bytes: Vec<u8>) -> dosql_base::Result<Vec<Commit>> {
    let store = Arc::new(MemoryLogStore::from_bytes(LogPosition::ZERO, bytes));
    open(&store).map(|(_, commits)| commits)
}

#[test]
fn commits_come_back_in_order_after_a_restart() {
    let written = commits(20);
    let (store, _) = synced_one_by_one(&written);
    assert_eq!(open(&store).unwrap().1, written);
    assert_eq!(open(&store).unwrap().1, written, "opening twice changes nothing");
}

#[test]
fn a_tail_cut_at_any_byte_is_dropped_and_the_log_goes_on() {
    let written = commits(4);
    let (store, starts) = synced_one_by_one(&written);
    let bytes = store.to_bytes();
    for cut in 0..bytes.len() {
        let whole = starts.iter().skip(1).filter(|&&start| start <= cut).count();
        let store = Arc::new(MemoryLogStore::from_bytes(LogPosition::ZERO, bytes[..cut].to_vec()));
        let (log, found) = open(&store).unwrap();
        assert_eq!(found, written[..whole], "cut at {cut}");
        let more = Commit::put(1_000, 0, b"later", b"value");
        let end = append(&log, &more).unwrap().end;
        log.sync(end).unwrap();
        let mut expected = written[..whole].to_vec();
        expected.push(more);
        assert_eq!(open(&store).unwrap().1, expected, "appended after a cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_is_reported_or_was_in_the_last_record() {
    let written = commits(5);
    let (store, starts) = synced_one_by_one(&written);
    let bytes = store.to_bytes();
    let last = *starts.last().unwrap();
    for index in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[index] ^= bit;
            match reopen(damaged) {
                Err(error) => {
                    assert!(index < last, "byte {index} of the unclaimed tail: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {index}");
                }
                Ok(found) => {
                    assert!(index >= last, "byte {index} had been synced and known so");
                    assert_eq!(found, written[..4], "byte {index}");
                }
            }
        }
    }
}

#[test]
fn after_a_seal_a_flipped_bit_in_any_commit_is_reported() {
    let written = commits(3);
    let (store, _) = synced_one_by_one(&written);
    let (log, _) = open(&store).unwrap();
    let end = log.end().0.get() as usize;
    log.seal().unwrap();
    let sealed = log.end();
    log.seal().unwrap();
    assert_eq!(log.end(), sealed, "a second seal has nothing to say");
    let bytes = store.to_bytes();
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 4;
        match reopen(damaged) {
            Err(error) => assert!(index < end && error.kind() == ErrorKind::Corrupt, "byte {index}: {error}"),
            Ok(found) => assert!(index >= end && found == written, "byte {index}"),
        }
    }
    assert_eq!(open(&store).unwrap().1, written);
}

/// The bytes of three commits that were appended as one group, so that none of them knows another durable.
fn one_group(written: &[Commit]) -> (Vec<u8>, Vec<usize>) {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    let starts = written.iter().map(|commit| append(&log, commit).unwrap().start.get() as usize).collect();
    log.sync(log.end().0).unwrap();
    (store.to_bytes(), starts)
}

#[test]
fn a_whole_record_after_a_torn_one_of_the_same_group_is_dropped_with_it() {
    let written = commits(3);
    let (mut bytes, starts) = one_group(&written);
    bytes[starts[1] + RECORD_HEADER_BYTES] ^= 1;
    assert_eq!(reopen(bytes).unwrap(), written[..1]);
}

#[test]
fn a_dropped_record_never_comes_back_even_when_its_predecessor_is_written_again() {
    let written = commits(3);
    let store = Arc::new(Keeping(MemoryLogStore::new()));
    let (log, _) = open(&store).unwrap();
    let first = append(&log, &written[0]).unwrap();
    log.sync(first.end).unwrap();
    // Twice the second is torn while the third, of the same group, is whole; each time the same two are written again,
    // byte for byte but for their generation.
    for _ in 0..2 {
        let (log, found) = open(&store).unwrap();
        assert_eq!(found, written[..1]);
        let second = append(&log, &written[1]).unwrap();
        append(&log, &written[2]).unwrap();
        log.sync(log.end().0).unwrap();
        assert_eq!(open(&store).unwrap().1, written);
        store.flip(second.start.get() as usize + RECORD_HEADER_BYTES);
    }
    let (log, found) = open(&store).unwrap();
    assert_eq!(found, written[..1]);
    let second = append(&log, &written[1]).unwrap();
    log.sync(second.end).unwrap();
    assert_eq!(open(&store).unwrap().1, written[..2]);
}

#[test]
fn a_log_that_does_not_continue_the_checkpoint_is_corrupt() {
    let (store, starts) = synced_one_by_one(&commits(5));
    for &start in &starts[..4] {
        let from = LogPosition::new(start as u64);
        let opened =
            Log::open(store.clone(), from, 0xBAD, LogOptions::default(), |_| panic!("not its record"));
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

/// A store that, as files do, keeps what lies beyond the end and overwrites it in place.
struct Keeping(MemoryLogStore);

impl Keeping {
    fn flip(&self, index: usize) {
        let mut image = self.0.to_bytes();
        image[index] ^= 1;
        self.0.truncate(LogPosition::ZERO).unwrap();
        self.0.append(&image).unwrap();
    }
}

impl LogStore for Keeping {
    fn append(&self, bytes: &[u8]) -> dosql_base::Result<LogPosition> {
        let end = END.with(std::cell::Cell::get);
        let mut image = self.0.to_bytes();
        let upto = end + bytes.len();
        image.resize(image.len().max(upto), 0);
        image[end..upto].copy_from_slice(bytes);
        self.0.truncate(LogPosition::ZERO)?;
        self.0.append(&image)?;
        END.with(|cell| cell.set(upto));
        Ok(LogPosition::new(upto as u64))
    }
    fn sync(&self, _: LogPosition) -> dosql_base::Result<()> {
        Ok(())
    }
    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> dosql_base::Result<usize> {
        self.0.read_from(from, buffer)
    }
    fn reserve(&self, upto: LogPosition) -> dosql_base::Result<LogPosition> {
        Ok(upto)
    }
    fn truncate(&self, end: LogPosition) -> dosql_base::Result<()> {
        END.with(|cell| cell.set(end.get() as usize));
        Ok(())
    }
    fn trim(&self, _: LogPosition) -> dosql_base::Result<()> {
        Ok(())
    }
    fn stats(&self) -> dosql_wal::LogStats {
        self.0.stats()
    }
    fn caps(&self) -> dosql_wal::LogCaps {
        self.0.caps()
    }
}

thread_local! {
    static END: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[test]
fn recovery_starts_at_the_checkpoint_and_trims_before_it() {
    let written = commits(6);
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    let mut checkpoint = log.end();
    for (i, commit) in written.iter().enumerate() {
        append(&log, commit).unwrap();
        if i == 2 {
            checkpoint = log.end();
        }
    }
    log.sync(log.end().0).unwrap();
    log.trim(checkpoint.0).unwrap();
    assert_eq!(log.stats().start, checkpoint.0);
    let mut found = Vec::new();
    let visit = |record: &dosql_wal::Record<'_>| {
        found.push(Commit::of(record)?);
        Ok(())
    };
    let opened = Log::open(store.clone(), checkpoint.0, checkpoint.1, LogOptions::default(), visit).unwrap();
    assert_eq!(found, written[3..]);
    assert_eq!(opened.1.commits, 3);
    let lost = Log::open(store, LogPosition::ZERO, 0, LogOptions::default(), |_| Ok(()));
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::Corrupt, "a trimmed position can't be recovered from");
}

#[test]
fn what_follows_a_checkpoint_that_is_lost_follows_the_records_before_it() {
    let written = commits(4);
    let store = Arc::new(MemoryLogStore::new());
    // Two openings, so that the second writes with a generation above the first's.
    for commit in &written[..2] {
        let (log, _) = open(&store).unwrap();
        append(&log, commit).unwrap();
        log.sync(log.end().0).unwrap();
    }
    let (log, _) = open(&store).unwrap();
    append(&log, &written[2]).unwrap();
    log.sync(log.end().0).unwrap();
    let (from, chain) = log.end();
    // A checkpoint here; the next process finds nothing after it.
    let options = LogOptions { generation: log.generation(), ..LogOptions::default() };
    drop(log);
    let (log, found) =
        Log::open(store.clone(), from, chain, options, |_| panic!("nothing is there")).unwrap();
    assert_eq!(found.commits, 0);
    append(&log, &written[3]).unwrap();
    log.sync(log.end().0).unwrap();
    drop(log);
    // The checkpoint turns out not to be durable: all is read from the start.
    assert_eq!(open(&store).unwrap().1, written);
}

#[test]
fn an_error_while_replaying_stops_the_opening() {
    let (store, _) = synced_one_by_one(&commits(2));
    let opened = Log::open(store, LogPosition::ZERO, 0, LogOptions::default(), |_| {
        Err(dosql_base::Error::limit("no memory"))
    });
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_record_body_of_noise_is_an_error_and_not_a_panic() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut refused = 0;
    for _ in 0..5_000 {
        let noise: Vec<u8> = (0..random.usize(1..40)).map(|_| random.u8(..)).collect();
        refused += usize::from(common::drain(Changes::of(&noise)).is_err());
    }
    assert!(refused > 1_000);
}

#[test]
fn space_of_noise_is_an_empty_log() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut bytes = Vec::new();
    for _ in 0..4_000 {
        bytes.push(random.u8(..));
    }
    assert_eq!(reopen(bytes).unwrap(), Vec::new());
}

#[test]
fn a_log_whose_newest_file_is_gone_from_within_a_record_is_corrupt() {
    let room = MIN_SEGMENT_BYTES - SEGMENT_HEADER_BYTES;
    for in_the_first in [16, 40, RECORD_HEADER_BYTES as u64, 60, 300] {
        let directory = CrashDirectory::new();
        let open_in = |directory: &CrashDirectory| {
            let store = FileLogStore::open_in(Arc::new(directory.clone()), 0).unwrap();
            common::open_from(Arc::new(store), LogPosition::ZERO, 0)
        };
        let (log, _) = open_in(&directory).unwrap();
        let filler = |len: u64| Commit::put(100, 0, b"k", &vec![1; len as usize]);
        // The first record is as long as it takes for the second to begin so many bytes before the end of the file.
        let overhead = common::build(&filler(3_000)).encoded_len() as u64 - 3_000;
        let first = append(&log, &filler(room - in_the_first - overhead)).unwrap();
        assert_eq!(first.end.get(), room - in_the_first);
        let second = append(&log, &Commit::put(101, 0, b"k", &[2; 600])).unwrap();
        log.sync(second.end).unwrap();

        let damaged = directory.survivor(Surviving::Everything);
        assert_eq!(open_in(&damaged).unwrap().1.len(), 2);
        damaged.remove("log-0000000001").unwrap();
        let error = open_in(&damaged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{in_the_first}: {error}");
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
