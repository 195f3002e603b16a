//! A page store that has to fetch: every call answers `WouldBlock` until what it wants is there, nothing changes meanwhile, and the
//! same call made again gives what a store that has everything gives.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dosql::stores::{Batch, Caps, PageId, PageStore, StoreStats};
use dosql::{Database, Error, ErrorKind, Options, Result, Storage};
use parking_lot::Mutex;

/// Answers a read only where it was asked for the page before, since the last batch.
struct SlowPages {
    inner: Arc<dyn PageStore>,
    fetched: Mutex<BTreeSet<PageId>>,
    blocked: AtomicU64,
}

impl PageStore for SlowPages {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        if !self.fetched.lock().insert(id) {
            return self.inner.read(id, buf);
        }
        self.blocked.fetch_add(1, Ordering::Relaxed);
        Err(Error::would_block("the page is on its way"))
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        self.fetched.lock().clear();
        self.inner.commit(batch)
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.inner.meta()
    }

    fn stats(&self) -> StoreStats {
        self.inner.stats()
    }

    fn caps(&self) -> Caps {
        Caps { may_block: true, ..self.inner.caps() }
    }
}

/// Asks until the answer is something else than `WouldBlock`.
fn again<R>(mut ask: impl FnMut() -> Result<R>) -> R {
    for _ in 0..2_000 {
        match ask() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            result => return result.unwrap(),
        }
    }
    panic!("it never comes")
}

fn value(n: u32, round: u32) -> Vec<u8> {
    vec![(n + round) as u8; 20 + (n as usize * 37) % 200]
}

#[test]
fn a_store_that_must_fetch_gives_the_same_answers() {
    // Far less memory than pages, so that they come and go.
    let options = Options { page_size: 4096, cache_bytes: 128 << 10, ..Options::default() };
    let memory = Storage::memory_with(&options);
    let slow = Arc::new(SlowPages {
        inner: memory.pages.clone(),
        fetched: Mutex::default(),
        blocked: AtomicU64::new(0),
    });
    let storage = || Storage::new(slow.clone(), memory.log.clone(), memory.segments.clone());
    let db = again(|| Database::open(storage(), options.clone()));
    let space = again(|| db.keyspace("space"));
    let mut moments = Vec::new();
    for round in 0..4u32 {
        let mut tx = db.begin_write().unwrap();
        for n in (0..1_500u32).filter(|n| round == 0 || n % 5 == round) {
            again(|| tx.put(&space, n.to_be_bytes(), value(n, round)));
        }
        moments.push(again(|| tx.commit()));
        again(|| db.checkpoint());
    }
    drop(db);
    let before = slow.blocked.load(Ordering::Relaxed);
    let db = again(|| Database::open(storage(), options.clone()));
    for (round, at) in moments.iter().enumerate() {
        let read = db.read_at(*at).unwrap();
        let expected =
            |n: u32| value(n, if (1..5).contains(&(n % 5)) && n % 5 <= round as u32 { n % 5 } else { 0 });
        for n in (0..1_500u32).step_by(7) {
            assert_eq!(*again(|| read.get(&space, n.to_be_bytes())).unwrap(), *expected(n));
        }
        for backward in [false, true] {
            let range = if backward { read.range_rev::<&[u8]>(&space, ..) } else { read.iter(&space) };
            let (mut range, mut found) = (range.unwrap(), Vec::new());
            while let Some(pair) = again(|| range.next().transpose()) {
                found.push(pair);
            }
            if backward {
                found.reverse();
            }
            let all: Vec<_> = (0..1_500u32).map(|n| (n.to_be_bytes().to_vec(), expected(n))).collect();
            assert!(found == all, "as of {at}, backward {backward}");
        }
    }
    assert!(slow.blocked.load(Ordering::Relaxed) > before + 30);
    assert!(again(|| db.verify()).is_sound());
}
