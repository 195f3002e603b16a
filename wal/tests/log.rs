//! Group commit, failures, and reading back.
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use common::{Commit, append, build, commits, open, open_from};
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_wal::fault::{Fault, FaultLogStore, Keep, LogCall};
use dosql_wal::{Log, LogCaps, LogOptions, LogPosition, LogStats, LogStore, MemoryLogStore, RecordBuilder};

fn faulty() -> Arc<FaultLogStore> {
    Arc::new(FaultLogStore::new(Arc::new(MemoryLogStore::new())))
}

fn io_error() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the device does not answer")
}

fn no_space() -> Error {
    Error::new(ErrorKind::NoSpace, Code::Full, "the device is full")
}

/// A store whose syncs wait until they are let through.
struct Gated {
    inner: MemoryLogStore,
    gate: Barrier,
    gated: AtomicU64,
    syncs: AtomicU64,
}

impl LogStore for Gated {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        self.inner.append(bytes)
    }
    fn sync(&self, upto: LogPosition) -> Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.gated.fetch_min(0, Ordering::SeqCst) == 1 {
            self.gate.wait();
            self.gate.wait();
        }
        self.inner.sync(upto)
    }
    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        self.inner.read_from(from, buffer)
    }
    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        self.inner.reserve(upto)
    }
    fn truncate(&self, end: LogPosition) -> Result<()> {
        self.inner.truncate(end)
    }
    fn trim(&self, before: LogPosition) -> Result<()> {
        self.inner.trim(before)
    }
    fn stats(&self) -> LogStats {
        self.inner.stats()
    }
    fn caps(&self) -> LogCaps {
        self.inner.caps()
    }
}

#[test]
fn all_who_come_while_a_sync_runs_share_the_next_one() {
    let (gated, syncs) = (AtomicU64::new(0), AtomicU64::new(0));
    let store = Arc::new(Gated { inner: MemoryLogStore::new(), gate: Barrier::new(2), gated, syncs });
    let (log, _) = open(&store).unwrap();
    store.gated.store(1, Ordering::SeqCst);
    let before = store.syncs.load(Ordering::SeqCst);
    let first = append(&log, &Commit::put(1, 0, b"key", b"value")).unwrap().end;
    std::thread::scope(|scope| {
        scope.spawn(|| log.sync(first).unwrap());
        store.gate.wait();
        // The first sync is under way; nothing that comes now is covered by it.
        for i in 2..10 {
            let end = append(&log, &Commit::put(i, 0, b"key", b"value")).unwrap().end;
            let log = &log;
            scope.spawn(move || {
                log.sync(end).unwrap();
                assert!(log.durable() >= end);
            });
        }
        assert_eq!(log.durable(), LogPosition::ZERO);
        store.gate.wait();
    });
    assert_eq!(store.syncs.load(Ordering::SeqCst) - before, 2);
}

#[test]
fn commits_from_many_threads_are_all_there_in_order() {
    let store = faulty();
    let (log, _) = open(&store).unwrap();
    let commit_lock = std::sync::Mutex::new(0u64);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let end = {
                        let mut clock = commit_lock.lock().unwrap();
                        *clock += 1;
                        append(&log, &Commit::put(*clock, 0, b"key", b"value")).unwrap().end
                    };
                    log.sync(end).unwrap();
                }
            });
        }
    });
    drop(log);
    store.crash();
    store.restart(Keep::Nothing).unwrap();
    let stamps: Vec<u64> = open(&store).unwrap().1.iter().map(|commit| commit.timestamp).collect();
    assert_eq!(stamps, (1..=400).collect::<Vec<_>>());
}

#[test]
fn a_failed_sync_closes_the_log_for_all_and_keeps_what_was_durable() {
    let store = faulty();
    let (log, _) = open(&store).unwrap();
    let written = commits(4);
    let first = append(&log, &written[0]).unwrap();
    log.sync(first.end).unwrap();
    store.inject(LogCall::Sync, 0, false, Fault::Fail(io_error()));
    let second = append(&log, &written[1]).unwrap();
    assert_eq!(log.sync(second.end).unwrap_err().kind(), ErrorKind::Io);
    for _ in 0..2 {
        assert_eq!(
            log.sync(second.end).unwrap_err().kind(),
            ErrorKind::Closed,
            "a failed sync is never retried"
        );
        assert_eq!(append(&log, &written[2]).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(log.flush().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(log.seal().unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(log.durable(), first.end);
    log.sync(first.end).unwrap();
    drop(log);
    store.crash();
    store.restart(Keep::Nothing).unwrap();
    assert_eq!(open(&store).unwrap().1, written[..1]);
}

#[test]
fn everyone_who_waits_for_a_sync_that_fails_is_told() {
    let store = faulty();
    let (log, _) = open(&store).unwrap();
    store.inject(LogCall::Sync, 0, true, Fault::Fail(io_error()));
    let ends: Vec<LogPosition> = commits(6).iter().map(|commit| append(&log, commit).unwrap().end).collect();
    let told = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for end in ends {
            let (log, told) = (&log, &told);
            scope.spawn(move || {
                let error = log.sync(end).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Closed), "{error}");
                told.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!(told.load(Ordering::Relaxed), 6);
    assert_eq!(store.calls(LogCall::Sync), 1, "the one that failed, none after");
}

#[test]
fn a_torn_write_closes_the_log_and_leaves_whole_commits() {
    let written = commits(3);
    let whole = build(&written[0]).encoded_len();
    for kept in [0, 1, 51, 52, whole - 1, whole, whole + 60] {
        let store = faulty();
        let (log, _) = open(&store).unwrap();
        store.inject(LogCall::Append, 0, false, Fault::Torn(kept, io_error()));
        let end = written.iter().map(|commit| append(&log, commit).unwrap().end).max().unwrap();
        assert_eq!(log.sync(end).unwrap_err().kind(), ErrorKind::Io);
        drop(log);
        let (log, found) = open(&store).unwrap();
        assert_eq!(found, written[..usize::from(kept >= whole)], "{kept} bytes were written");
        append(&log, &written[2]).unwrap();
        log.sync(log.end().0).unwrap();
        assert_eq!(open(&store).unwrap().1.last(), written.last());
    }
}

#[test]
fn a_full_device_refuses_the_commit_and_the_log_stays_usable() {
    let store = faulty();
    let (log, _) = open(&store).unwrap();
    let written = commits(2);
    store.inject(LogCall::Reserve, 0, true, Fault::Fail(no_space()));
    let before = log.end();
    for _ in 0..3 {
        assert_eq!(append(&log, &written[0]).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(log.end(), before);
    }
    store.heal();
    for commit in &written {
        append(&log, commit).unwrap();
    }
    log.sync(log.end().0).unwrap();
    assert_eq!(open(&store).unwrap().1, written);
}

#[test]
fn short_reads_change_nothing() {
    let store = faulty();
    let (log, _) = open(&store).unwrap();
    let written = commits(8);
    for commit in &written {
        append(&log, commit).unwrap();
    }
    log.sync(log.end().0).unwrap();
    store.inject(LogCall::Read, 0, true, Fault::Short);
    assert_eq!(open(&store).unwrap().1, written);
}

#[test]
fn a_read_error_while_recovering_fails_the_opening_at_every_read() {
    let store = faulty();
    let (log, _) = open(&store).unwrap();
    for commit in commits(4) {
        append(&log, &commit).unwrap();
    }
    log.sync(log.end().0).unwrap();
    let before = store.calls(LogCall::Read);
    open(&store).unwrap();
    for nth in 0..store.calls(LogCall::Read) - before {
        store.inject(LogCall::Read, nth, false, Fault::Fail(io_error()));
        assert_eq!(open(&store).unwrap_err().kind(), ErrorKind::Io, "read {nth}");
        store.heal();
    }
    assert_eq!(open(&store).unwrap().1, commits(4));
}

#[test]
fn a_crash_keeps_every_synced_commit_whatever_else_it_keeps() {
    let written = commits(12);
    for seed in 0..200 {
        let store = faulty();
        let (log, _) = open(&store).unwrap();
        let mut synced = 0;
        for (i, commit) in written.iter().enumerate() {
            append(&log, commit).unwrap();
            if i % 5 == 2 {
                log.sync(log.end().0).unwrap();
                synced = i + 1;
            } else if i % 2 == 0 {
                log.flush().unwrap();
            }
        }
        drop(log);
        store.crash();
        store
            .restart(if seed % 4 == 0 { Keep::Prefix(seed as usize * 3) } else { Keep::Sectors(seed) })
            .unwrap();
        let (_, found) = open(&store).unwrap();
        assert!(found.len() >= synced && written.starts_with(&found), "seed {seed}");
    }
}

#[test]
fn only_durable_commits_are_read_and_reading_resumes_where_it_stopped() {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    let written = commits(10);
    for commit in &written[..7] {
        append(&log, commit).unwrap();
    }
    log.seal().unwrap();
    for commit in &written[7..] {
        append(&log, commit).unwrap();
    }
    log.flush().unwrap();
    let mut seen = Vec::new();
    let (mut at, mut chain) = (LogPosition::ZERO, 0);
    for _ in 0..9 {
        (at, chain) = log
            .read(at, chain, |record| {
                seen.push(Commit::of(record)?);
                Ok(ControlFlow::Break(()))
            })
            .unwrap();
    }
    assert_eq!(seen, written[..7], "what is not durable is not shown");
    log.sync(log.end().0).unwrap();
    let visit = |record: &dosql_wal::Record<'_>| {
        seen.push(Commit::of(record)?);
        Ok(ControlFlow::Continue(()))
    };
    assert_eq!(log.read(at, chain, visit).unwrap(), log.end());
    assert_eq!(seen, written);
    let error = log.read(LogPosition::ZERO, 1, |_| Ok(ControlFlow::Continue(()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "a wrong chain is noticed");
}

#[test]
fn a_large_commit_passes_through_and_its_buffer_is_given_back() {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    let large = Commit::put(1, 0, b"key", &vec![7; 5 << 20]);
    append(&log, &large).unwrap();
    let small = Commit::put(2, 0, b"key", b"small");
    append(&log, &small).unwrap();
    log.sync(log.end().0).unwrap();
    assert_eq!(open(&store).unwrap().1, [large, small]);
}

#[test]
fn what_is_buffered_is_bounded() {
    let store = Arc::new(MemoryLogStore::new());
    let options = LogOptions { buffer_bytes: 1_000, ..LogOptions::default() };
    let (log, _) = Log::open(store.clone(), LogPosition::ZERO, 0, options, |_| Ok(())).unwrap();
    let mut appended = 0;
    for commit in commits(60) {
        appended += build(&commit).encoded_len() as u64;
        append(&log, &commit).unwrap();
        assert!(store.stats().appended_bytes + 1_000 > appended);
    }
}

#[test]
fn a_position_that_was_never_written_can_not_be_synced() {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    assert_eq!(log.sync(LogPosition::new(1)).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn records_must_be_finished_and_their_keys_must_ascend() {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open_from(store, LogPosition::ZERO, 0).unwrap();
    let mut builder = RecordBuilder::new();
    builder.begin(Timestamp::from_micros(5), 1);
    builder.put(b"b", b"1").unwrap();
    assert_eq!(log.append(&builder).unwrap_err().kind(), ErrorKind::InvalidInput);
    for key in [b"a", b"b"] {
        assert_eq!(builder.delete(key).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    builder.delete(b"ba").unwrap();
    builder.finish();
    log.append(&builder).unwrap();
}

#[test]
fn a_record_is_these_bytes() {
    let store = Arc::new(MemoryLogStore::new());
    let (log, _) = open(&store).unwrap();
    let mut builder = RecordBuilder::new();
    builder.begin(Timestamp::from_micros(0x0506), 9);
    builder.set_flags(0x0102);
    builder.put(b"key1", b"abc").unwrap();
    builder.delete(b"key22").unwrap();
    builder.note(b"n").unwrap();
    builder.finish();
    log.append(&builder).unwrap();
    log.seal().unwrap();
    let bytes = store.to_bytes();
    let body = b"\x00\x10key1\x03abc\x03\x0922\x00\x06n";
    assert_eq!(&bytes[52..52 + body.len()], body);
    let sum = |bytes: &[u8]| dosql_base::checksum(0, bytes).to_le_bytes();
    assert_eq!(bytes[..4], sum(&bytes[4..52]));
    assert_eq!(bytes[4..24], [0; 20], "first of its chain, at position 0, nothing durable");
    assert_eq!(bytes[24..32], 0x0506u64.to_le_bytes());
    assert_eq!(bytes[32..36], (body.len() as u32).to_le_bytes());
    assert_eq!(bytes[36..40], sum(body));
    assert_eq!(bytes[40..52], [9, 0, 0, 0, 1, 0, 0, 0, 1, 0, 2, 1]);
    let mark = &bytes[52 + body.len()..];
    assert_eq!(mark.len(), 52);
    assert_eq!(mark[4..8], bytes[..4], "the mark chains to the commit");
    let end = (bytes.len() as u64 - 52).to_le_bytes();
    assert_eq!(
        (&mark[8..16], &mark[16..24]),
        (&end[..], &end[..]),
        "it stands there and says that all before is durable"
    );
    assert_eq!(mark[48], 2);
}
