//! Every store of this crate passes the conformance checks.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind};
use dosql_lsm::conformance::{Subject, check};
use dosql_lsm::fault::{FaultSegmentStore, SegmentCall, SegmentFault};
use dosql_lsm::{
    BlockingSegmentStore, DirectorySegmentStore, MemorySegmentStore, SegmentStore, Wanted, put_idempotent,
};

fn near(store: Arc<dyn SegmentStore>) -> Subject {
    Subject { store, fetch: Box::new(|_| panic!("a store at hand never blocks")) }
}

#[test]
fn the_memory_store_conforms() {
    check(&|| near(Arc::new(MemorySegmentStore::new())));
}

#[test]
fn the_directory_store_conforms() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    check(&|| {
        count.set(count.get() + 1);
        near(Arc::new(DirectorySegmentStore::open(root.path().join(count.get().to_string())).unwrap()))
    });
}

#[test]
fn a_store_far_away_conforms() {
    check(&|| {
        let store = Arc::new(FaultSegmentStore::far(Arc::new(MemorySegmentStore::new())));
        let far = store.clone();
        Subject { store, fetch: Box::new(move |wanted| far.fetch(wanted)) }
    });
}

#[test]
fn objects_in_a_directory_are_there_after_a_restart_and_half_written_ones_are_not() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("segments");
    DirectorySegmentStore::open(&path).unwrap().put("whole", b"bytes").unwrap();
    fs::write(path.join(".7.tmp"), b"half").unwrap();
    fs::write(path.join("README.TXT"), b"not ours").unwrap();
    let store = DirectorySegmentStore::open(&path).unwrap();
    assert_eq!(store.read("whole", 0..5).unwrap(), b"bytes");
    assert_eq!(store.list("").unwrap(), ["whole"]);
    let mut names: Vec<String> =
        fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["README.TXT", "whole"]);
}

#[test]
fn many_puts_of_one_name_have_one_winner() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectorySegmentStore::open(root.path()).unwrap();
    let won: Vec<u8> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u8)
            .map(|i| {
                scope.spawn({
                    let store = &store;
                    move || store.put("one", &[i; 9]).map(|()| i)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
    });
    assert_eq!(won.len(), 1);
    assert_eq!(store.read("one", 0..9).unwrap(), [won[0]; 9]);
}

#[test]
fn a_put_whose_answer_was_lost_succeeds_when_tried_again() {
    let store = FaultSegmentStore::new(Arc::new(MemorySegmentStore::new()));
    let io = Error::new(ErrorKind::Io, Code::IoErr, "the connection was reset");
    store.inject(SegmentCall::Put, 0, false, SegmentFault::After(io.clone()));
    assert_eq!(put_idempotent(&store, "one", b"bytes").unwrap_err().kind(), ErrorKind::Io);
    put_idempotent(&store, "one", b"bytes").unwrap();
    assert_eq!(put_idempotent(&store, "one", b"other").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(put_idempotent(&store, "one", b"byte").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(put_idempotent(&store, "one", b"bytes and more").unwrap_err().kind(), ErrorKind::Conflict);
    store.inject(SegmentCall::Put, 0, false, SegmentFault::Before(io));
    assert!(put_idempotent(&store, "two", b"bytes").is_err());
    assert_eq!(store.list("").unwrap(), ["one"]);
}

#[test]
fn a_stale_list_misses_and_invents_names() {
    let store = FaultSegmentStore::new(Arc::new(MemorySegmentStore::new()));
    for name in ["a", "b"] {
        store.put(name, b"x").unwrap();
    }
    store.inject(SegmentCall::List, 0, false, SegmentFault::Stale);
    assert_eq!(store.list("").unwrap(), ["a", "deleted-long-ago"]);
    assert_eq!(store.list("").unwrap(), ["a", "b"]);
}

fn lost() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the answer was lost")
}

#[test]
fn a_late_put_arrives_after_its_error_and_never_overwrites() {
    let store = FaultSegmentStore::new(Arc::new(MemorySegmentStore::new()));
    store.inject(SegmentCall::Put, 0, false, SegmentFault::Late(1, lost()));
    assert_eq!(store.put("a", b"late").unwrap_err().kind(), ErrorKind::Io);
    assert!(store.list("").unwrap().is_empty(), "it is still under way");
    assert_eq!(store.list("").unwrap(), ["a"]);
    assert_eq!(store.read("a", 0..4).unwrap(), b"late");
    // Who tries again while it is under way is first; what arrives then changes nothing.
    store.inject(SegmentCall::Put, 0, false, SegmentFault::Late(5, lost()));
    assert!(store.put("b", b"late").is_err());
    store.put("b", b"second").unwrap();
    store.land();
    assert_eq!(store.read("b", 0..6).unwrap(), b"second");
    // The same bytes again are no conflict, whichever of the two was first.
    store.inject(SegmentCall::Put, 0, false, SegmentFault::Late(0, lost()));
    assert!(store.put("c", b"same").is_err());
    put_idempotent(&store, "c", b"same").unwrap();
}

#[test]
fn a_late_delete_takes_what_was_put_after_its_error() {
    let store = FaultSegmentStore::new(Arc::new(MemorySegmentStore::new()));
    store.put("a", b"1").unwrap();
    store.inject(SegmentCall::Delete, 0, false, SegmentFault::Late(1, lost()));
    assert!(store.delete(&["a"]).is_err());
    assert_eq!(store.read("a", 0..1).unwrap(), b"1");
    assert!(store.read("a", 0..1).is_err());
}

#[test]
fn a_store_that_can_fail_conforms_while_it_does_not() {
    check(&|| near(Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new())))));
}

#[test]
fn a_store_that_makes_one_wait_conforms_and_forgets_what_was_fetched_first() {
    check(&|| {
        let store =
            Arc::new(BlockingSegmentStore::new(Arc::new(MemorySegmentStore::new()), 1 << 10, 1 << 20));
        let far = store.clone();
        Subject { store, fetch: Box::new(move |wanted| far.fetch(wanted)) }
    });
    let near = Arc::new(MemorySegmentStore::new());
    near.put("a", &[7; 1_000]).unwrap();
    let store = BlockingSegmentStore::new(near, 100, 200);
    let blocks =
        |range: std::ops::Range<u64>| store.read("a", range).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(blocks(50..150), Err(ErrorKind::WouldBlock));
    assert_eq!(store.wanted(), [Wanted { name: "a".into(), range: 50..150 }]);
    assert_eq!(blocks(50..150), Err(ErrorKind::WouldBlock));
    assert_eq!(store.fetch_wanted(), 1);
    assert_eq!((blocks(0..200), store.fetches(), store.blocked()), (Ok(()), 2, 2));
    assert_eq!(blocks(201..202), Err(ErrorKind::WouldBlock));
    store.fetch_wanted();
    assert_eq!((blocks(100..300), blocks(0..1)), (Ok(()), Err(ErrorKind::WouldBlock)));
    assert_eq!(blocks(0..201), Err(ErrorKind::Limit), "three blocks are never near at once");
    assert_eq!(store.wanted().len(), 1);
    let parts = |ranges: &[std::ops::Range<u64>]| store.get_ranges("a", ranges).map_err(|error| error.kind());
    assert_eq!(parts(&[110..112, 290..291]), Ok(vec![vec![7; 2], vec![7]]));
    assert_eq!(parts(&[10..12, 990..1_000]), Err(ErrorKind::WouldBlock));
    assert_eq!(store.fetch_wanted(), 2, "all that is missing is wanted at once");
    assert_eq!(parts(&[10..12, 990..1_000]), Ok(vec![vec![7; 2], vec![7; 10]]));
}
