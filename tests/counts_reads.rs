//! What reads cost in numbers that depend on no machine: allocations for fixed work. They may fall, and the numbers here with
//! them; whoever makes them rise should know.

#![allow(unsafe_code, reason = "an allocator that counts is one")]
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;

use dosql::{Database, Keyspace, Options, Storage};

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: as the caller says.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const ENTRIES: u64 = 20_000;

fn key(i: u64) -> [u8; 24] {
    let mut key = [0; 24];
    for (part, chunk) in key.chunks_mut(8).enumerate() {
        let mixed = (i + part as u64 * 7919).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        chunk.copy_from_slice(&mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9).to_be_bytes());
    }
    key
}

/// A keyspace with entries in no order, all of them in the cache.
fn filled() -> (Database, Keyspace) {
    let database = Database::open(Storage::memory(), Options::default()).unwrap();
    let keyspace = database.keyspace("counted").unwrap();
    let ids: Vec<u64> = (0..ENTRIES).collect();
    for ids in ids.chunks(1000) {
        database.write(|tx| ids.iter().try_for_each(|&i| tx.put(&keyspace, key(i), [7; 150]))).unwrap();
    }
    // The handle learns the keyspace's number from a commit.
    let keyspace = database.keyspace(keyspace.name()).unwrap();
    (database, keyspace)
}

/// Allocations of one of `times` rounds of `work`.
fn allocations(times: u64, mut work: impl FnMut(u64)) -> f64 {
    let before = ASKED.get();
    (0..times).for_each(&mut work);
    (ASKED.get() - before) as f64 / times as f64
}

#[test]
fn a_get_allocates_nothing() {
    let (database, keyspace) = filled();
    let snapshot = database.read().unwrap();
    let get = |i: u64| assert_eq!(snapshot.get(&keyspace, key(i * 7 % ENTRIES)).unwrap().unwrap()[0], 7);
    (0..1000).for_each(get);
    assert_eq!(allocations(1000, get), 0.0, "a key that is there");
    let miss = |i: u64| assert!(snapshot.get(&keyspace, key(ENTRIES + i)).unwrap().is_none());
    assert_eq!(allocations(1000, miss), 0.0, "a key that is not there");
}

#[test]
fn a_transaction_of_one_get_allocates_once() {
    let (database, keyspace) = filled();
    let get = |i: u64| {
        let snapshot = database.read().unwrap();
        assert_eq!(snapshot.get(&keyspace, key(i * 7 % ENTRIES)).unwrap().unwrap()[0], 7);
    };
    (0..1000).for_each(get);
    assert_eq!(allocations(1000, get), 1.0);
}

#[test]
fn a_seek_and_ten_entries_allocate_nothing() {
    let (database, keyspace) = filled();
    let snapshot = database.read().unwrap();
    let seek = |i: u64| {
        let (from, mut left) = (key(i * 7 % ENTRIES), 10);
        let mut range = snapshot.range(&keyspace, from..).unwrap();
        range
            .visit(|_, value| {
                assert_eq!(value[0], 7);
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
    };
    (0..1000).for_each(seek);
    assert_eq!(allocations(1000, seek), 0.0);
}

#[test]
fn a_scan_allocates_nothing_for_its_entries() {
    let (database, keyspace) = filled();
    let snapshot = database.read().unwrap();
    let scan = |backward: bool| {
        let mut count = 0;
        let mut range = match backward {
            false => snapshot.iter(&keyspace).unwrap(),
            true => snapshot.range_rev::<&[u8]>(&keyspace, ..).unwrap(),
        };
        range
            .visit(|_, _| {
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(count, ENTRIES);
    };
    scan(false);
    assert_eq!(allocations(2, |round| scan(round == 1)), 0.0);
}

#[test]
fn an_iterator_allocates_the_key_and_the_value_of_each_entry() {
    let (database, keyspace) = filled();
    let snapshot = database.read().unwrap();
    let each = allocations(1, |_| {
        let pairs = snapshot.iter(&keyspace).unwrap();
        assert_eq!(
            pairs.map(Result::unwrap).filter(|(key, value)| key.len() + value.len() == 174).count(),
            20_000
        );
    });
    let most = 2.0 * ENTRIES as f64 + 16.0;
    assert!(each <= most, "{each} allocations, not {most}");
}

#[test]
fn many_gets_at_once_allocate_only_their_answer() {
    let (database, keyspace) = filled();
    let snapshot = database.read().unwrap();
    let mut keys: Vec<_> = (0..1000).map(key).collect();
    keys.sort_unstable();
    let many = |_| assert!(snapshot.get_many(&keyspace, &keys).unwrap().iter().all(Option::is_some));
    many(0);
    let each = allocations(1, many);
    assert!(each <= 12.0, "{each} allocations: more than a growing answer takes");
}
