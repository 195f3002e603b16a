//! A store of the near side of another: what an embedder with an asynchronous client of its own writes.
#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::sync::Arc;

use dosql_base::{ErrorKind, Result};
use dosql_lsm::conformance::{Subject, check};
use dosql_lsm::{MemorySegmentStore, NearBuffer, SegmentStore, Wanted, validate_name};

struct Store {
    far: MemorySegmentStore,
    near: NearBuffer,
}

impl SegmentStore for Store {
    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.far.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        validate_name(name)?;
        Ok(self.near.read(name, &[range])?.pop().unwrap_or_default())
    }

    fn get_ranges(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        validate_name(name)?;
        self.near.read(name, ranges)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.near.forget(names);
        self.far.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.far.list(prefix)
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.near.wanted()
    }
}

fn fetch(store: &Store, wanted: &[Wanted]) {
    for Wanted { name, range } in NearBuffer::requests(wanted) {
        let bytes = store.far.read(&name, range.clone());
        store.near.arrived(name, range, bytes);
    }
}

#[test]
fn a_store_of_a_near_buffer_conforms() {
    check(&|| {
        let store = Arc::new(Store { far: MemorySegmentStore::new(), near: NearBuffer::new(1 << 20) });
        let far = store.clone();
        Subject { store, fetch: Box::new(move |wanted| fetch(&far, wanted)) }
    });
}

#[test]
fn what_is_wanted_of_one_object_is_few_requests() {
    let wish = |name: &str, range: Range<u64>| Wanted { name: name.to_string(), range };
    let wanted =
        [wish("b", 0..10), wish("a", 50_000..50_010), wish("a", 0..10), wish("a", 9_000_000..9_000_001)];
    let requests = NearBuffer::requests(&wanted);
    assert_eq!(requests, [wish("a", 0..50_010), wish("a", 9_000_000..9_000_001), wish("b", 0..10)]);
}

#[test]
fn what_came_first_goes_first_and_what_could_not_be_had_is_told_once() {
    let store = Store { far: MemorySegmentStore::new(), near: NearBuffer::new(100) };
    store.put("a", &[7; 1_000]).unwrap();
    let kind = |range| store.read("a", range).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind(0..101), Err(ErrorKind::Limit));
    for range in [0..60, 100..160, 990..1_010] {
        assert_eq!(kind(range), Err(ErrorKind::WouldBlock));
        fetch(&store, &store.wanted());
    }
    assert_eq!((kind(100..160), kind(0..60)), (Ok(()), Err(ErrorKind::WouldBlock)));
    assert_eq!((kind(990..1_010), kind(990..1_010)), (Err(ErrorKind::Corrupt), Err(ErrorKind::WouldBlock)));
}
