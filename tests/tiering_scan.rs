//! Scans of cold rows: few long reads, the next ones under way, and no row missed where one has to be waited for.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::ops::Range;
use std::sync::{Arc, Mutex};

use dosql::stores::{BlockingSegmentStore, SegmentStore, Wanted};
use dosql::{Database, ErrorKind, Keyspace, Maintenance, Options, Result, Storage};

const ROWS: u32 = 30_000;

fn options() -> Options {
    Options {
        page_size: 4096,
        cache_bytes: 4 << 20,
        maintenance: Maintenance::Caller,
        hot_budget: 64 << 10,
        segment_bytes: 256 << 10,
        ..Options::default()
    }
}

/// A row of a hundred bytes that don't compress.
fn value(i: u32) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(u64::from(i));
    (0..100).map(|_| random.u8(..)).collect()
}

/// What lies in segments but for the last rows, as it is in `storage`.
fn cold(storage: &Storage) -> Database {
    let db = Database::open(storage.share(), options()).unwrap();
    let space = db.keyspace("rows").unwrap();
    for first in (0..ROWS).step_by(1_000) {
        let rows = first..first + 1_000;
        db.write(|tx| rows.clone().try_for_each(|i| tx.put(&space, i.to_be_bytes(), value(i)))).unwrap();
    }
    while !db.maintain(4usize << 20).unwrap().done {}
    assert!(db.segments().len() >= 10, "{:?}", db.storage());
    db
}

/// Notes what is asked of the store.
struct Noted {
    inner: Arc<dyn SegmentStore>,
    reads: Mutex<Vec<(String, Range<u64>)>>,
    told: Mutex<Vec<(String, Range<u64>)>>,
}

impl SegmentStore for Noted {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.inner.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.reads.lock().unwrap().push((name.to_owned(), range.clone()));
        self.inner.read(name, range)
    }

    fn prefetch(&self, name: &str, range: Range<u64>) {
        self.told.lock().unwrap().push((name.to_owned(), range));
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.inner.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(prefix)
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.inner.wanted()
    }
}

fn keys(db: &Database, space: &Keyspace, forward: bool) -> Vec<u32> {
    let tx = db.read().unwrap();
    let key = |pair: Result<dosql::Pair>| u32::from_be_bytes(pair.unwrap().0[..].try_into().unwrap());
    let range = if forward { tx.iter(space) } else { tx.range_rev::<&[u8]>(space, ..) };
    range.unwrap().map(key).collect()
}

#[test]
fn a_scan_through_segments_has_the_next_windows_under_way_and_reads_nothing_twice() {
    let storage = Storage::memory_with(&options());
    cold(&storage).close().unwrap();
    for forward in [true, false] {
        let (reads, told) = Default::default();
        let noted = Arc::new(Noted { inner: storage.segments.clone(), reads, told });
        let far = storage.share().with_segments(noted.clone());
        let db = Database::open(far, options()).unwrap();
        let space = db.keyspace("rows").unwrap();
        let expected: Vec<u32> = if forward { (0..ROWS).collect() } else { (0..ROWS).rev().collect() };
        assert_eq!(keys(&db, &space, forward), expected);
        let (reads, told) = (noted.reads.lock().unwrap().clone(), noted.told.lock().unwrap().clone());
        let bytes: u64 = reads.iter().map(|(_, range)| range.end - range.start).sum();
        let stored: u64 = db.segments().iter().map(|segment| segment.bytes).sum();
        assert!(bytes <= stored, "{bytes} bytes read of {stored}");
        let most = stored.div_ceil(48 << 10) + db.segments().len() as u64 + 6;
        assert!(reads.len() as u64 <= most, "{} reads for {stored} bytes", reads.len());
        let unforeseen = reads.iter().filter(|read| !told.contains(read)).count();
        assert!(unforeseen <= 6, "{unforeseen} of {} reads were not under way before", reads.len());
        assert!(told.iter().all(|range| reads.contains(range)), "what was fetched ahead was read");
        db.close().unwrap();
    }
}

#[test]
fn a_scan_that_has_to_wait_at_each_window_goes_on_where_it_was() {
    let storage = Storage::memory_with(&options());
    cold(&storage).close().unwrap();
    let blocking = Arc::new(BlockingSegmentStore::new(storage.segments.clone(), 4096, 1 << 20));
    let db = Database::open(storage.share().with_segments(blocking.clone()), options()).unwrap();
    let space = db.keyspace("rows").unwrap();
    for forward in [true, false] {
        blocking.evict_all();
        let tx = db.read().unwrap();
        let range = if forward { tx.iter(&space) } else { tx.range_rev::<&[u8]>(&space, ..) };
        let (mut range, mut seen, mut waits) = (range.unwrap(), 0, 0);
        loop {
            match range.next() {
                None => break,
                Some(Ok((key, row))) => {
                    let expected = if forward { seen } else { ROWS - 1 - seen };
                    assert_eq!(key[..], expected.to_be_bytes(), "row {seen}, after {waits} waits");
                    assert_eq!(row[..], value(expected));
                    seen += 1;
                }
                Some(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    waits += 1;
                    blocking.fetch(&db.wanted());
                }
            }
        }
        assert_eq!(seen, ROWS);
        assert!(waits > 10, "{waits} waits");
    }
}
