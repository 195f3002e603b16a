//! Large batches, which are brought to the device part by part.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dosql_base::ErrorKind;
use dosql_btree::fault::CrashFile;
use dosql_btree::{Batch, FilePageStore, PageId, PageStore, RawFile};

const PAGE: usize = 8192;

/// Notes what is to be brought to the device; fails the call of a number.
#[derive(Clone)]
struct Noting {
    file: CrashFile,
    calls: Arc<Mutex<Vec<(u64, u64, bool)>>>,
    fails: Arc<AtomicU64>,
}

impl Noting {
    fn failing_at(call: u64) -> Noting {
        Noting { file: CrashFile::new(), calls: Arc::default(), fails: Arc::new(AtomicU64::new(call)) }
    }
}

impl RawFile for Noting {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn write_back(&self, offset: u64, len: u64, wait: bool) -> io::Result<()> {
        let mut calls = self.calls.lock().unwrap();
        calls.push((offset, len, wait));
        if calls.len() as u64 == self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("the device is gone"));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

/// Commits so many pages, every other one free.
fn commit(file: &Noting, pages: u64) -> (FilePageStore, dosql_base::Result<()>) {
    let store = FilePageStore::with_file(Box::new(file.clone()), PAGE, "test file").unwrap();
    let page = vec![7; PAGE];
    let puts: Vec<(PageId, &[u8])> = (1..=pages).map(|n| (PageId::new(2 * n), &page[..])).collect();
    let result = store.commit(Batch { puts: &puts, frees: &[], meta: b"meta" });
    (store, result)
}

#[test]
fn a_small_batch_is_left_to_the_sync() {
    let file = Noting::failing_at(0);
    commit(&file, 50).1.unwrap();
    assert_eq!(*file.calls.lock().unwrap(), []);
}

#[test]
fn a_large_batch_is_handed_on_part_by_part_and_at_most_two_are_under_way() {
    let file = Noting::failing_at(0);
    commit(&file, 2048).1.unwrap();
    let calls = file.calls.lock().unwrap();
    let begun: Vec<_> = calls.iter().filter(|call| !call.2).map(|call| (call.0, call.1)).collect();
    let ended: Vec<_> = calls.iter().filter(|call| call.2).map(|call| (call.0, call.1)).collect();
    assert_eq!(begun.len(), 32, "of 512 KiB each");
    assert_eq!(ended, begun[..31], "each but the last is waited for once the next was handed on");
    assert!(begun.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
}

#[test]
fn a_part_that_does_not_reach_the_device_closes_the_store_and_leaves_the_state_before() {
    for call in [1, 2, 3, 7, 30, 61, 62, 63] {
        let file = Noting::failing_at(call);
        let (store, result) = commit(&file, 2048);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
        let again = store.commit(Batch { puts: &[], frees: &[], meta: b"more" });
        assert_eq!(again.unwrap_err().kind(), ErrorKind::Closed);
        drop(store);
        let store = FilePageStore::with_file(Box::new(file), PAGE, "test file").unwrap();
        assert_eq!(store.meta().unwrap(), None);
    }
}
