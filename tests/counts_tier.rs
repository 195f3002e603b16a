//! What moving rows into segments takes of memory, counted by the allocator.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use allocation_counter::measure;
use dosql::stores::SegmentStore;
use dosql::{Database, Durability, Maintenance, Options, Result, Storage};

const CACHE: usize = 16 << 20;

fn options() -> Options {
    Options {
        cache_bytes: CACHE,
        hot_budget: 16 << 20,
        dirty_bytes: 4 << 20,
        maintenance: Maintenance::Caller,
        durability: Durability::None,
        retention: 0,
        ..Options::default()
    }
}

/// Objects as files, so that none is in memory because it is stored.
struct Files {
    inner: Arc<dyn SegmentStore>,
    db: Mutex<Option<Database>>,
    longest: AtomicUsize,
    /// The most that was stored and not in the figures of the database.
    hidden: AtomicUsize,
}

impl SegmentStore for Files {
    fn put(&self, name: &str, _: &[u8]) -> Result<()> {
        panic!("{name} was to be stored from a buffer that the store can't hold on to");
    }

    fn put_shared(&self, name: &str, bytes: &Arc<Vec<u8>>) -> Result<()> {
        self.longest.fetch_max(bytes.len(), Ordering::Relaxed);
        let told = self.db.lock().unwrap().as_ref().map_or(0, |db| db.stats().memory.segments);
        self.hidden.fetch_max(bytes.len().saturating_sub(told), Ordering::Relaxed);
        self.inner.put(name, bytes)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
        self.inner.read(name, range)
    }

    fn delete(&self, names: &[&str]) -> Result<()> {
        self.inner.delete(names)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.inner.list(prefix)
    }
}

#[test]
fn rows_move_in_the_memory_that_is_kept_free_for_one_segment_and_the_figures_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::directory_with(directory.path().join("db"), &options()).unwrap();
    let inner = Arc::clone(&storage.segments);
    let (longest, hidden) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let files = Arc::new(Files { inner, db: Mutex::default(), longest, hidden });
    let memory = measure(|| {
        let db = Database::open(storage.with_segments(files.clone()), options()).unwrap();
        *files.db.lock().unwrap() = Some(db.clone());
        let space = db.keyspace("rows").unwrap();
        let mut random = fastrand::Rng::with_seed(6);
        for commit in 0..400u32 {
            db.write(|tx| {
                (0..200u32).try_for_each(|row| {
                    let value: [u8; 500] = std::array::from_fn(|_| random.u8(..));
                    tx.put(&space, (commit * 200 + row).to_be_bytes(), value)
                })
            })
            .unwrap();
        }
        // All that is left at once, however much there is.
        while !db.maintain(1usize << 30).unwrap().done {}
        assert!(db.segments().iter().map(|it| it.bytes).sum::<u64>() > CACHE as u64, "most of it has moved");
        files.db.lock().unwrap().take();
    });
    let longest = files.longest.load(Ordering::Relaxed);
    let share = memory.bytes_max as f64 / CACHE as f64;
    println!("{share:.2} of the memory for pages, segments of {longest} bytes at most");
    assert!(longest <= CACHE / 6 + (64 << 10), "a segment of {longest} bytes is longer than memory allows");
    // A twentieth above what was measured.
    assert!(share <= 1.05 * 1.27, "{share:.2} of the memory for pages");
    let hidden = files.hidden.load(Ordering::Relaxed);
    assert!(hidden <= 64 << 10, "{hidden} bytes of a segment are not in the figures");
}
