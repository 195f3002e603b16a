//! What moving rows into segments takes of memory, counted by the allocator.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use allocation_counter::measure;
use dosql::stores::SegmentStore;
use dosql::{Database, Maintenance, Options, Result, Storage};

const CACHE: usize = 4 << 20;

fn options() -> Options {
    Options {
        cache_bytes: CACHE,
        hot_budget: 512 << 10,
        dirty_bytes: 1 << 20,
        maintenance: Maintenance::Caller,
        retention: 0,
        ..Options::default()
    }
}

/// A store that takes objects and keeps none: what is in memory is the database's own.
#[derive(Default)]
struct Nowhere {
    db: Mutex<Option<Database>>,
    longest: AtomicUsize,
    /// The most that was stored and not in the figures of the database.
    hidden: AtomicUsize,
}

impl SegmentStore for Nowhere {
    fn put(&self, name: &str, _: &[u8]) -> Result<()> {
        panic!("{name} was to be stored from a buffer of its own");
    }

    fn put_shared(&self, _: &str, bytes: &Arc<Vec<u8>>) -> Result<()> {
        self.longest.fetch_max(bytes.len(), Ordering::Relaxed);
        let told = self.db.lock().unwrap().as_ref().map_or(0, |db| db.stats().memory.segments);
        self.hidden.fetch_max(bytes.len().saturating_sub(told), Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, name: &str, _: Range<u64>) -> Result<Vec<u8>> {
        panic!("{name} was read, though it is only written over");
    }

    fn delete(&self, _: &[&str]) -> Result<()> {
        Ok(())
    }

    fn list(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

#[test]
fn rows_move_in_the_memory_that_is_kept_free_for_one_segment_and_the_figures_say_so() {
    let nowhere = Arc::new(Nowhere::default());
    let storage = Storage::memory_with(&options()).with_segments(nowhere.clone());
    let db = Database::open(storage, options()).unwrap();
    *nowhere.db.lock().unwrap() = Some(db.clone());
    let space = db.keyspace("rows").unwrap();
    let mut random = fastrand::Rng::with_seed(6);
    for commit in 0..60u32 {
        let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(500).collect();
        db.write(|tx| {
            (0..100u32).try_for_each(|row| tx.put(&space, (commit * 100 + row).to_be_bytes(), &value[..]))
        })
        .unwrap();
    }
    db.checkpoint().unwrap();
    let memory = measure(|| {
        // All at once, however much there is.
        let moved = db.maintain(1usize << 30).unwrap();
        assert!(moved.done && moved.bytes > 2 << 20, "{moved:?}");
    });
    let longest = nowhere.longest.load(Ordering::Relaxed);
    println!("at most {} more, segments of {longest} at most", memory.bytes_max);
    assert!(longest <= CACHE / 4 + (64 << 10), "segments are no longer than memory allows");
    assert!(memory.bytes_max <= CACHE as u64 / 2, "{} bytes more while rows moved", memory.bytes_max);
    let hidden = nowhere.hidden.load(Ordering::Relaxed);
    assert!(hidden <= 64 << 10, "{hidden} bytes of a segment are not in the figures");
    assert_eq!(db.stats().memory.segments, 0, "what was stored is not counted any more");
    nowhere.db.lock().unwrap().take();
}
