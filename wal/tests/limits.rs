//! The log's limits are refused where they are met, and leave it usable. See docs/LIMITS.md.

use dosql_base::{ErrorKind, Timestamp};
use dosql_wal::{
    CrashDirectory, FileLogStore, LogPosition, LogStore, MAX_BODY_BYTES, MIN_SEGMENT_BYTES, RecordBuilder,
};

#[test]
fn a_record_above_a_gibibyte_is_refused_and_the_builder_goes_on() {
    let mut builder = RecordBuilder::new();
    builder.begin(Timestamp::from_micros(1), 0);
    builder.put(b"a", b"1").unwrap();
    let before = builder.encoded_len();
    let huge = vec![0; MAX_BODY_BYTES];
    assert_eq!(builder.put(b"b", &huge).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(builder.note(&huge).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(builder.delete(&huge).unwrap_err().kind(), ErrorKind::Limit);
    assert_eq!(builder.encoded_len(), before, "nothing of it was taken");
    builder.put(b"b", b"2").unwrap();
}

#[test]
fn positions_end_where_64_bits_do() {
    let last = LogPosition::new(u64::MAX - 1);
    assert_eq!(last.advance(1).unwrap(), LogPosition::new(u64::MAX));
    assert_eq!(last.advance(2).unwrap_err().kind(), ErrorKind::Limit);
}

#[test]
fn a_segment_smaller_than_the_least_gets_the_least() {
    let store = FileLogStore::open_in(std::sync::Arc::new(CrashDirectory::new()), 1).unwrap();
    store.truncate(LogPosition::ZERO).unwrap();
    store.reserve(LogPosition::new(1)).unwrap();
    assert_eq!(store.stats().allocated, MIN_SEGMENT_BYTES);
}
