//! Segments in an object store that fails as such stores do.
#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used)]

mod common;
mod flaky;

use std::sync::Arc;
use std::time::Duration;

use common::{at, is_entry, model, write};
use dosql_base::{Entropy, Env, ErrorKind, ManualClock};
use dosql_lsm::conformance::{Subject, check};
use dosql_lsm::object::{Credentials, ObjectOptions, ObjectSegmentStore, Retries, segments_at};
use dosql_lsm::{
    Kind, MergeCursor, ReadOptions, SegmentReader, SegmentStore, SegmentWriter, Versions, WriteOptions,
    put_idempotent,
};
use flaky::{Fault, Flaky};
use object_store::ObjectStore;
use object_store::memory::InMemory;

struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0x55);
    }
}

fn options() -> ObjectOptions {
    let retries = Retries {
        attempts: 4,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        total: Duration::from_secs(20),
    };
    ObjectOptions {
        retries,
        ..ObjectOptions::new(Env::new(Arc::new(ManualClock::default()), Arc::new(Fixed)))
    }
}

/// Runs a future in this thread, without any runtime.
fn await_it<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

fn waiting(store: Arc<dyn ObjectStore>, options: ObjectOptions) -> Subject {
    let store = Arc::new(ObjectSegmentStore::waiting(store, "some/prefix", options).unwrap());
    let far = store.clone();
    Subject { store, fetch: Box::new(move |wanted| await_it(far.fetch(wanted)).unwrap()) }
}

fn blocking(store: Arc<dyn ObjectStore>, options: ObjectOptions) -> Subject {
    let store = Arc::new(ObjectSegmentStore::new(store, "some/prefix", options).unwrap());
    Subject { store, fetch: Box::new(|_| panic!("it waits by itself")) }
}

#[test]
fn an_object_store_conforms() {
    check(&|| blocking(Arc::new(InMemory::new()), options()));
    let in_parts =
        ObjectOptions { read_bytes: 1_000, multipart_bytes: 5_000, part_bytes: 3_000, ..options() };
    check(&|| blocking(Arc::new(InMemory::new()), in_parts.clone()));
}

#[test]
fn one_that_makes_its_callers_wait_conforms_too() {
    check(&|| waiting(Arc::new(InMemory::new()), options()));
}

#[test]
fn one_that_fails_at_every_third_request_conforms_as_well() {
    let options = || ObjectOptions { retries: Retries { attempts: 20, ..options().retries }, ..options() };
    for fault in [Fault::Refuse, Fault::LoseAnswer, Fault::CutShort] {
        check(&|| {
            let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
            flaky.fail_every(3, fault);
            blocking(flaky, options())
        });
        check(&|| {
            let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
            flaky.fail_every(3, fault);
            blocking(flaky, ObjectOptions { multipart_bytes: 50_000, part_bytes: 30_000, ..options() })
        });
    }
}

#[test]
fn a_store_that_stays_away_is_an_error_after_so_many_requests() {
    let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
    let store = ObjectSegmentStore::new(flaky.clone(), "", options()).unwrap();
    store.put("a", b"abc").unwrap();
    flaky.fail_every(1, Fault::Refuse);
    let before = flaky.requests();
    for result in [store.put("b", b"x"), store.delete(&["a"]), store.list("").map(|_| ())] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("4 times in a row"), "{error}");
    }
    assert_eq!(flaky.requests() - before, 12, "four requests a call");
    // A read that fails also asks whether the range was to blame.
    assert_eq!(store.read("a", 0..3).unwrap_err().kind(), ErrorKind::Io);
    flaky.heal();
    assert_eq!(store.read("a", 0..3).unwrap(), b"abc");
}

#[test]
fn a_request_without_an_answer_is_given_up_and_made_again() {
    let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
    let options = ObjectOptions { timeout: Duration::from_millis(20), ..options() };
    let store = ObjectSegmentStore::new(flaky.clone(), "", options).unwrap();
    flaky.fail_next(Fault::Hang);
    store.put("a", b"abc").unwrap();
    flaky.fail_next(Fault::Hang);
    assert_eq!(store.read("a", 0..3).unwrap(), b"abc");
}

#[test]
fn a_lost_answer_is_told_from_a_taken_name() {
    for multipart_bytes in [1 << 20, 10] {
        let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
        let options = ObjectOptions { multipart_bytes, part_bytes: 40, ..options() };
        let store = ObjectSegmentStore::new(flaky.clone(), "p", options).unwrap();
        flaky.fail_next(Fault::LoseAnswer);
        store.put("a", &[1; 100]).unwrap();
        assert_eq!(store.put("a", &[1; 100]).unwrap_err().kind(), ErrorKind::Conflict, "it was there before");
        // Somebody else was first, and the first request fails for another reason.
        flaky.fail_next(Fault::Refuse);
        assert_eq!(store.put("a", &[2; 100]).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(store.read("a", 0..100).unwrap(), [1; 100]);
        put_idempotent(&store, "a", &[1; 100]).unwrap();
        assert_eq!(put_idempotent(&store, "a", &[1; 99]).unwrap_err().kind(), ErrorKind::Conflict);
    }
}

#[test]
fn ranges_are_joined_and_long_ones_read_in_parts() {
    let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
    let store = ObjectSegmentStore::new(flaky.clone(), "", options()).unwrap();
    let bytes: Vec<u8> = (0..20_000_000u32).map(|i| (i >> 7) as u8).collect();
    store.put("a", &bytes).unwrap();
    let costs = |ranges: &[std::ops::Range<u64>]| {
        let before = flaky.requests();
        let parts = store.get_ranges("a", ranges).unwrap();
        for (range, part) in ranges.iter().zip(parts) {
            assert!(part == bytes[range.start as usize..range.end as usize]);
        }
        flaky.requests() - before
    };
    assert_eq!(costs(&[0..10, 60_000..60_010, 100_000..101_000]), 1);
    assert_eq!(costs(&[0..10, 1_000_000..1_000_010]), 2);
    assert_eq!(costs(&[0..20_000_000, 5..6]), 3, "8 MiB with a request");
    assert!(flaky.most_at_once() >= 3, "side by side");
}

#[test]
fn it_works_within_an_async_runtime_and_outlives_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = ObjectSegmentStore::waiting(Arc::new(InMemory::new()), "", options()).unwrap();
        store.put("a", b"abc").unwrap();
        store.upload("b", b"defg".to_vec()).await.unwrap();
        assert_eq!(store.upload("b", b"defg".to_vec()).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(store.read("b", 1..3).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(store.get_ranges("a", &[0..1, 2..9]).unwrap_err().kind(), ErrorKind::WouldBlock);
        store.fetch(&store.wanted()).await.unwrap();
        assert_eq!(store.read("b", 1..3).unwrap(), b"ef");
        let error = store.get_ranges("a", &[0..1, 2..9]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "why it can't be had is told once");
        assert_eq!(store.read("a", 0..1).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn what_is_near_keeps_to_its_room() {
    let options = ObjectOptions { near_bytes: 1_000, ..options() };
    let store = ObjectSegmentStore::waiting(Arc::new(InMemory::new()), "", options).unwrap();
    store.put("a", &[7; 10_000]).unwrap();
    let kind = |range| store.read("a", range).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind(0..1_001), Err(ErrorKind::Limit));
    for start in [0, 1_000, 200_000] {
        let _ = kind(start..start + 600);
    }
    await_it(store.fetch(&store.wanted())).unwrap();
    assert_eq!((kind(1_000..1_600), kind(200_000..200_600)), (Ok(()), Err(ErrorKind::Corrupt)));
}

#[test]
fn segments_read_from_it_as_from_memory() {
    let model = model(20, 400);
    let options = WriteOptions { block_bytes: 2_000, partition_blocks: 4, ..WriteOptions::new(3) };
    let segment = write(&model, options);
    let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
    let subject = waiting(flaky.clone(), self::options());
    subject.store.put("segment", &segment.bytes).unwrap();
    flaky.fail_every(3, Fault::CutShort);
    let size = segment.properties.bytes;
    let tail = Some(segment.tail().into());
    let reader =
        SegmentReader::open_with(subject.store.clone(), "segment", size, tail, ReadOptions::default())
            .unwrap();
    let mut cursor = MergeCursor::new(vec![reader], Versions::All);
    let mut wait = |first: bool| loop {
        match if first { cursor.first() } else { cursor.next() } {
            Err(error) if error.kind() == ErrorKind::WouldBlock => (subject.fetch)(&subject.store.wanted()),
            result => {
                assert!(result.is_ok());
                break cursor.clone();
            }
        }
    };
    for (index, ((key, start), version)) in model.iter().enumerate() {
        let cursor = wait(index == 0);
        let entry = cursor.entry().unwrap();
        assert!(is_entry(entry, key, start.0, version) && entry.start == at(start.0));
    }
}

#[test]
fn stores_are_opened_by_address() {
    let open = |address: &str| segments_at(address, options()).map(|_| ()).map_err(|error| error.kind());
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}/segments", directory.path().display());
    for address in [
        "memory://",
        &file,
        "s3://bucket?region=auto",
        "s3://bucket/a/b?endpoint=https://x.example&region=auto",
    ] {
        assert_eq!(open(address), Ok(()), "{address}");
    }
    segments_at(&file, options()).unwrap().put("a", b"x").unwrap();
    assert!(directory.path().join("segments/a").exists());
    for address in ["", "bucket", "s3://", "ftp://x", "s3://bucket?colour=red", "file://relative"] {
        assert_eq!(open(address), Err(ErrorKind::InvalidInput), "{address}");
    }
    let key = Credentials::Key { id: "me".into(), secret: "hidden".into(), token: None };
    assert!(!format!("{:?}", ObjectOptions { credentials: key, ..options() }).contains("hidden"));
}

#[test]
fn a_long_scan_has_the_next_window_under_way_and_asks_for_nothing_twice() {
    let mut writer = SegmentWriter::new(WriteOptions { compress: false, ..WriteOptions::new(3) });
    for i in 0..60_000u32 {
        writer.add(&i.to_be_bytes(), at(1), at(9), Kind::Put, &[i as u8; 60]).unwrap();
    }
    let segment = writer.finish().unwrap();
    let flaky = Arc::new(Flaky::new(Arc::new(InMemory::new())));
    let store = Arc::new(ObjectSegmentStore::new(flaky.clone(), "", options()).unwrap());
    store.put("segment", &segment.bytes).unwrap();
    let costs = [true, false].map(|forward| {
        let before = flaky.requests();
        let tail = Some(segment.tail().into());
        let read = ReadOptions { readahead: 256 << 10, ..ReadOptions::default() };
        let reader = SegmentReader::open_with(store.clone(), "segment", segment.properties.bytes, tail, read);
        let mut cursor = reader.unwrap().cursor();
        let mut more = if forward { cursor.first() } else { cursor.last() }.unwrap();
        let mut seen = 0;
        while more {
            seen += 1;
            more = if forward { cursor.next() } else { cursor.prev() }.unwrap();
        }
        assert_eq!(seen, 60_000);
        flaky.requests() - before
    });
    let windows = (segment.bytes.len() as u64).div_ceil(240 << 10) + 5;
    assert!(costs.iter().all(|&cost| cost <= windows), "{costs:?} requests, {windows} windows");
    assert!(flaky.most_at_once() >= 2, "two windows at a time");
    // What was expected and can't be had is asked for again, and the scan goes on.
    flaky.fail_every(3, Fault::CutShort);
    let reader =
        SegmentReader::open(store, "segment", segment.properties.bytes, ReadOptions::default()).unwrap();
    let mut cursor = reader.cursor();
    let mut seen = u32::from(cursor.first().unwrap());
    while cursor.next().unwrap() {
        seen += 1;
    }
    assert_eq!(seen, 60_000);
}
