//! What every [`LogStore`] must do. An implementation's own test calls [`check`]; it panics where the store falls short.

use std::sync::Arc;

use dosql_base::{ErrorKind, Result, Timestamp};

use crate::{Log, LogOptions, LogPosition, LogStore, RecordBuilder};

/// Opens one log, the same each time it is called: a restart.
pub type Reopen = Box<dyn Fn() -> Result<Arc<dyn LogStore>>>;

/// Runs every check, each on a new, empty log that `fresh` makes.
///
/// # Panics
/// Where the store does not do what [`LogStore`] promises.
pub fn check(fresh: &dyn Fn() -> Reopen) {
    new_log_is_empty(fresh());
    bytes_read_back_where_they_were_appended(fresh());
    synced_bytes_are_there_after_a_restart(fresh());
    truncation_sets_where_the_log_goes_on(fresh());
    trimming_keeps_what_is_wanted(fresh());
    positions_beyond_the_end_are_refused(fresh());
    reserved_room_is_used(fresh());
    a_log_recovers_from_it(fresh());
}

fn open(reopen: &Reopen) -> Arc<dyn LogStore> {
    reopen().expect("the store opens")
}

fn ready(reopen: &Reopen, end: LogPosition) -> Arc<dyn LogStore> {
    let store = open(reopen);
    store.truncate(end).expect("the store takes its end");
    store
}

/// Bytes that differ from place to place.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31).wrapping_add((i >> 8) as u8) ^ seed).collect()
}

fn read(store: &dyn LogStore, from: LogPosition, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        let at = from.advance(filled).expect("a position within 64 bits");
        match store.read_from(at, &mut bytes[filled..]).expect("the log reads back") {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    bytes
}

fn new_log_is_empty(reopen: Reopen) {
    let store = open(&reopen);
    assert!(read(&*store, LogPosition::ZERO, 4096).iter().all(|&byte| byte == 0), "a new log holds nothing");
}

fn bytes_read_back_where_they_were_appended(reopen: Reopen) {
    let store = ready(&reopen, LogPosition::ZERO);
    let mut expected = Vec::new();
    for (i, len) in [1, 52, 4096, 70_000, 3].into_iter().enumerate() {
        let bytes = pattern(len, i as u8);
        expected.extend_from_slice(&bytes);
        let end = store.append(&bytes).expect("append succeeds");
        assert_eq!(end.get(), expected.len() as u64, "append returns the position of the end");
    }
    assert_eq!(read(&*store, LogPosition::ZERO, expected.len()), expected);
    let middle = LogPosition::new(60_000);
    assert_eq!(read(&*store, middle, 200), expected[60_000..60_200]);
    assert_eq!(store.stats().end.get(), expected.len() as u64);
    assert_eq!(store.stats().appended_bytes, expected.len() as u64);
}

fn synced_bytes_are_there_after_a_restart(reopen: Reopen) {
    let bytes = pattern(20_000, 9);
    let store = ready(&reopen, LogPosition::ZERO);
    let end = store.append(&bytes).expect("append succeeds");
    store.sync(end).expect("sync succeeds");
    drop(store);
    assert_eq!(read(&*open(&reopen), LogPosition::ZERO, bytes.len()), bytes);
}

fn truncation_sets_where_the_log_goes_on(reopen: Reopen) {
    let store = ready(&reopen, LogPosition::ZERO);
    let end = store.append(&pattern(9_000, 1)).expect("append succeeds");
    store.sync(end).expect("sync succeeds");
    drop(store);
    let store = ready(&reopen, LogPosition::new(5_000));
    let end = store.append(b"instead").expect("append succeeds");
    assert_eq!(end.get(), 5_007);
    store.sync(end).expect("sync succeeds");
    drop(store);
    let mut expected = pattern(9_000, 1)[..5_000].to_vec();
    expected.extend_from_slice(b"instead");
    assert_eq!(read(&*open(&reopen), LogPosition::ZERO, 5_007), expected);
}

fn trimming_keeps_what_is_wanted(reopen: Reopen) {
    let mut end = LogPosition::ZERO;
    let mut allocated = Vec::new();
    for round in 0..240u8 {
        let store = ready(&reopen, end);
        let start = end;
        let bytes = pattern(15_000, round);
        end = store.append(&bytes).expect("append succeeds");
        store.sync(end).expect("sync succeeds");
        let kept = start.advance(7_000).expect("a position within 64 bits");
        store.trim(kept).expect("trim succeeds");
        assert!(store.stats().start <= kept);
        assert_eq!(read(&*store, kept, 8_000), bytes[7_000..], "round {round}");
        drop(store);
        let store = open(&reopen);
        assert_eq!(read(&*store, kept, 8_000), bytes[7_000..], "round {round}, after a restart");
        allocated.push(store.stats().allocated);
    }
    // A store may let its room grow with the log at first; then it stays.
    let (early, late) = allocated.split_at(160);
    assert!(
        late.iter().max() <= early.iter().max().map(|most| most * 2).as_ref(),
        "trimmed space is used again"
    );
}

fn positions_beyond_the_end_are_refused(reopen: Reopen) {
    let store = ready(&reopen, LogPosition::ZERO);
    let end = store.append(b"abc").expect("append succeeds");
    store.sync(end).expect("sync succeeds");
    let far = LogPosition::new(1 << 40);
    let error = store.read_from(far, &mut [0; 8]).expect_err("nothing was ever there");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    drop(store);
    let error = open(&reopen).truncate(far).expect_err("a log that reached so far is missing its end");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

fn reserved_room_is_used(reopen: Reopen) {
    let store = ready(&reopen, LogPosition::ZERO);
    let wanted = LogPosition::new(50_000);
    let room = store.reserve(wanted).expect("there is room");
    assert!(room >= wanted);
    let before = store.stats().allocated;
    store.append(&pattern(50_000, 2)).expect("append succeeds");
    assert!(before == 0 || store.stats().allocated >= before);
    assert_eq!(read(&*store, LogPosition::ZERO, 50_000), pattern(50_000, 2));
}

fn a_log_recovers_from_it(reopen: Reopen) {
    let mut place = (LogPosition::ZERO, 0);
    let mut written = 0u64;
    for round in 0..6u64 {
        let mut seen = Vec::new();
        let (log, found) = Log::open(open(&reopen), place.0, place.1, LogOptions::default(), |record| {
            seen.push(record.timestamp.as_micros());
            Ok(())
        })
        .expect("the log recovers");
        assert_eq!(found.commits, if round == 0 { 0 } else { 30 });
        assert_eq!(seen, (written - found.commits + 1..=written).collect::<Vec<_>>());
        place = log.end();
        log.trim(place.0).expect("trim succeeds");
        let mut builder = RecordBuilder::new();
        for _ in 0..30 {
            written += 1;
            builder.begin(Timestamp::from_micros(written), 0);
            builder.put(&written.to_be_bytes(), &pattern(written as usize * 40, 3)).expect("keys ascend");
            builder.finish();
            log.append(&builder).expect("append succeeds");
        }
        log.sync(log.end().0).expect("sync succeeds");
    }
}
