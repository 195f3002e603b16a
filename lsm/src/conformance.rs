//! What every [`SegmentStore`] must do. An implementation's own test calls [`check`]; it panics where the store falls short.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::{ErrorKind, Result, Timestamp};

use crate::store::{MAX_NAME_BYTES, SegmentStore, Wanted, put_idempotent};
use crate::version::Kind;
use crate::{ReadOptions, SegmentReader, SegmentWriter, WriteOptions};

/// Brings near what a store wants.
pub type Fetch = Box<dyn Fn(&[Wanted])>;

/// A store, and how to fetch what it wants.
pub struct Subject {
    /// The store to check, empty.
    pub store: Arc<dyn SegmentStore>,
    /// How to fetch; nothing to do where the store never blocks.
    pub fetch: Fetch,
}

impl Subject {
    /// Calls `read` until it no longer has to wait.
    fn wait<T>(&self, mut read: impl FnMut() -> Result<T>) -> Result<T> {
        for _ in 0..1_000 {
            match read() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let wanted = self.store.wanted();
                    assert!(!wanted.is_empty(), "who would block says what it wants");
                    assert!(self.store.wanted().is_empty(), "what is wanted is handed out once");
                    (self.fetch)(&wanted);
                }
                result => return result,
            }
        }
        panic!("the store still blocks after everything it wanted was fetched");
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.wait(|| self.store.read(name, range.clone()))
    }

    fn sorted_list(&self, prefix: &str) -> Vec<String> {
        let mut names = self.store.list(prefix).expect("list succeeds");
        names.sort();
        names
    }
}

/// Runs every check, each on an empty store that `fresh` makes.
///
/// # Panics
/// Where the store does not do what [`SegmentStore`] promises.
pub fn check(fresh: &dyn Fn() -> Subject) {
    objects_read_back_by_ranges(&fresh());
    an_object_is_never_overwritten(&fresh());
    ranges_and_names_are_checked(&fresh());
    deleted_objects_are_gone(&fresh());
    lists_go_by_prefix(&fresh());
    a_segment_reads_back_from_it(&fresh());
}

fn objects_read_back_by_ranges(subject: &Subject) {
    let bytes: Vec<u8> = (0..100_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    subject.store.put("a-1.seg", &bytes).expect("put succeeds");
    subject.store.put("empty", b"").expect("an empty object is one too");
    for range in [0..100_000, 0..1, 99_999..100_000, 5_000..70_001, 7..7] {
        let expected = &bytes[range.start as usize..range.end as usize];
        assert_eq!(subject.read("a-1.seg", range).expect("read succeeds"), expected);
    }
    assert_eq!(subject.read("empty", 0..0).expect("read succeeds"), b"");
    let ranges = [90_000..90_010, 0..3, 7..7, 1..70_000, 99_999..100_000, 0..3];
    let parts = subject.wait(|| subject.store.get_ranges("a-1.seg", &ranges)).expect("they are read");
    let expected = ranges.clone().map(|range| bytes[range.start as usize..range.end as usize].to_vec());
    assert_eq!(parts, expected);
    let beyond = subject.wait(|| subject.store.get_ranges("a-1.seg", &[0..3, 99_999..100_001]));
    assert_eq!(beyond.expect_err("one runs over the end").kind(), ErrorKind::Corrupt);
    assert_eq!(subject.store.get_ranges("a-1.seg", &[]).expect("of nothing, nothing"), Vec::<Vec<u8>>::new());
}

fn an_object_is_never_overwritten(subject: &Subject) {
    subject.store.put("one", b"first").expect("put succeeds");
    for other in [&b"other"[..], b"first", b""] {
        let error = subject.store.put("one", other).expect_err("the name is taken");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(subject.read("one", 0..5).expect("read succeeds"), b"first");
    subject
        .wait(|| put_idempotent(&*subject.store, "one", b"first"))
        .expect("the same bytes again are no conflict");
    let error = subject.wait(|| put_idempotent(&*subject.store, "one", b"other"));
    assert_eq!(error.expect_err("other bytes are one").kind(), ErrorKind::Conflict);
}

fn ranges_and_names_are_checked(subject: &Subject) {
    subject.store.put("three", b"abc").expect("put succeeds");
    for range in [0..4, 3..4, 4..5, 0..u64::MAX, u64::MAX - 1..u64::MAX] {
        let error = subject.read("three", range).expect_err("the range runs over the end");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
    assert_eq!(subject.read("absent", 0..1).expect_err("nothing is there").kind(), ErrorKind::Corrupt);
    let long = "x".repeat(MAX_NAME_BYTES + 1);
    for name in ["", ".", "..", "../x", "a/b", ".hidden", "-x", "A", "a b", "nul\0", "\u{e4}", &long] {
        for result in [
            subject.store.put(name, b"x"),
            subject.store.read(name, 0..0).map(|_| ()),
            subject.store.delete(&[name]),
        ] {
            assert_eq!(result.expect_err("no such name").kind(), ErrorKind::InvalidInput, "{name:?}");
        }
    }
    subject.store.put(&long[1..], b"x").expect("the longest name is one");
}

fn deleted_objects_are_gone(subject: &Subject) {
    for name in ["x", "y", "z"] {
        subject.store.put(name, name.as_bytes()).expect("put succeeds");
        assert_eq!(subject.read(name, 0..1).expect("read succeeds"), name.as_bytes());
    }
    subject.store.delete(&["x", "z", "never-there"]).expect("delete succeeds");
    subject.store.delete(&["x"]).expect("a second time too");
    subject.store.delete(&[]).expect("and of nothing");
    assert_eq!(subject.sorted_list(""), ["y"]);
    assert_eq!(subject.read("y", 0..1).expect("read succeeds"), b"y");
    assert_eq!(subject.read("x", 0..1).expect_err("it is gone").kind(), ErrorKind::Corrupt);
    subject.store.put("x", b"again").expect("a name is free once its object is gone");
    assert_eq!(subject.read("x", 0..5).expect("read succeeds"), b"again");
}

fn lists_go_by_prefix(subject: &Subject) {
    assert_eq!(subject.sorted_list(""), Vec::<String>::new());
    for name in ["s-1", "s-10", "s-2", "t-1"] {
        subject.store.put(name, b"x").expect("put succeeds");
    }
    assert_eq!(subject.sorted_list("s-"), ["s-1", "s-10", "s-2"]);
    assert_eq!(subject.sorted_list("s-1"), ["s-1", "s-10"]);
    assert_eq!(subject.sorted_list("u"), Vec::<String>::new());
    assert_eq!(subject.sorted_list("").len(), 4);
}

fn a_segment_reads_back_from_it(subject: &Subject) {
    let mut writer =
        SegmentWriter::new(WriteOptions { block_bytes: 512, partition_blocks: 4, ..WriteOptions::new(9) });
    let (from, to) = (Timestamp::from_micros(5), Timestamp::from_micros(8));
    for i in 0..2_000u32 {
        writer.add(&i.to_be_bytes(), from, to, Kind::Put, &[i as u8; 20]).expect("the order is kept");
    }
    let segment = writer.finish().expect("the segment is not empty");
    subject.store.put("segment", &segment.bytes).expect("put succeeds");
    let size = segment.properties.bytes;
    let options = ReadOptions { tail_bytes: 64, ..ReadOptions::default() };
    let reader =
        subject.wait(|| SegmentReader::open(subject.store.clone(), "segment", size, options.clone()));
    let reader = reader.expect("the segment opens");
    assert_eq!(*reader.properties(), segment.properties);
    for i in (0..2_100u32).step_by(97) {
        let found = subject.wait(|| reader.get(&i.to_be_bytes(), from)).expect("get succeeds");
        assert_eq!(found.map(|found| found.value().to_vec()), (i < 2_000).then(|| vec![i as u8; 20]));
    }
    let mut cursor = reader.cursor();
    let mut seen = 0u32;
    while subject.wait(|| if seen == 0 { cursor.first() } else { cursor.next() }).expect("the cursor moves") {
        assert_eq!(cursor.entry().expect("it is on a version").key, seen.to_be_bytes());
        seen += 1;
    }
    assert_eq!(seen, 2_000);
}
