//! The stores under the conformance suite, and the file store in the face of damage and misuse.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dosql_base::{Code, ErrorKind};
use dosql_btree::fault::{CrashFile, FaultPageStore};
use dosql_btree::{Batch, FilePageStore, MemoryPageStore, PageId, PageStore, conformance};

#[test]
fn the_memory_store_conforms() {
    conformance::run(&mut || {
        let store: Arc<dyn PageStore> = Arc::new(MemoryPageStore::new(4096));
        Box::new(move || Ok(Arc::clone(&store)))
    })
    .unwrap();
}

#[test]
fn the_fault_store_conforms_while_it_is_told_nothing() {
    conformance::run(&mut || {
        let store: Arc<dyn PageStore> = Arc::new(FaultPageStore::new(Arc::new(MemoryPageStore::new(4096))));
        Box::new(move || Ok(Arc::clone(&store)))
    })
    .unwrap();
}

#[test]
fn the_file_store_conforms_at_every_page_size() {
    for page_size in [4096, 8192, 65536] {
        let dir = tempfile::tempdir().unwrap();
        let mut count = 0;
        conformance::run(&mut || {
            count += 1;
            let path = dir.path().join(format!("pages-{count}"));
            Box::new(move || Ok(Arc::new(FilePageStore::open(&path, page_size)?)))
        })
        .unwrap();
    }
}

fn put(store: &FilePageStore, id: u64, frees: &[u64]) -> dosql_base::Result<()> {
    let page = vec![id as u8; store.page_size()];
    let frees: Vec<PageId> = frees.iter().map(|&id| PageId::new(id)).collect();
    store.commit(Batch { puts: &[(PageId::new(id), &page)], frees: &frees, meta: b"meta" })
}

fn open(file: &CrashFile) -> dosql_base::Result<FilePageStore> {
    FilePageStore::with_file(Box::new(file.clone()), 4096, "test file")
}

#[test]
fn a_page_that_a_durable_state_refers_to_is_never_overwritten() {
    let store = open(&CrashFile::new()).unwrap();
    put(&store, 1, &[]).unwrap();
    put(&store, 2, &[1]).unwrap();
    assert_eq!(put(&store, 1, &[]).unwrap_err().code(), Code::Misuse);
    put(&store, 3, &[]).unwrap();
    put(&store, 1, &[]).unwrap();
}

#[test]
fn an_existing_file_keeps_its_page_size() {
    let file = CrashFile::new();
    put(&open(&file).unwrap(), 1, &[]).unwrap();
    let store = FilePageStore::with_file(Box::new(file), 65536, "test file").unwrap();
    assert_eq!(store.page_size(), 4096);
    assert_eq!(store.meta().unwrap().as_deref(), Some(&b"meta"[..]));
}

#[test]
fn something_else_is_not_a_database_and_is_left_alone() {
    for bytes in [b"hello".to_vec(), vec![0; 1000], vec![1; 300_000]] {
        let file = CrashFile::holding(bytes.clone());
        assert_eq!(open(&file).err().unwrap().code(), Code::NotADb);
        assert_eq!(file.bytes(), bytes);
    }
}

#[test]
fn a_file_cut_short_at_any_length_is_corrupt_or_an_earlier_state() {
    let file = CrashFile::new();
    let store = open(&file).unwrap();
    put(&store, 1, &[]).unwrap();
    put(&store, 70, &[]).unwrap();
    let bytes = file.bytes();
    for len in (0..bytes.len()).step_by(977) {
        let cut = CrashFile::holding(bytes[..len].to_vec());
        match open(&cut) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
            // Growth beyond the last page holds nothing; with slot 1 cut off, slot 0 alone decides.
            Ok(store) => assert!(len == 0 || len >= 72 * 4096 || store.meta().unwrap().is_none()),
        }
    }
}

#[test]
fn a_failed_sync_closes_the_store() {
    let file = CrashFile::new();
    let store = open(&file).unwrap();
    put(&store, 1, &[]).unwrap();
    for sync in 0..2 {
        let file = CrashFile::holding(file.bytes());
        let store = open(&file).unwrap();
        // A copy of the slot that was found, then write, sync, write, sync.
        file.fail_sync_at(file.calls() + 2 + 2 * sync);
        assert_eq!(put(&store, 2, &[]).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(put(&store, 3, &[]).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(store.meta().unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(store.read(PageId::new(1), &mut [0; 4096]).unwrap_err().kind(), ErrorKind::Closed);
    }
}

#[test]
fn space_of_pages_that_are_free_is_given_back_and_no_crash_costs_another_page() {
    let (file, ids) =
        (CrashFile::new(), |range: std::ops::Range<u64>| range.map(PageId::new).collect::<Vec<_>>());
    let store = open(&file).unwrap();
    let page = vec![7; 4096];
    let puts: Vec<(PageId, &[u8])> = ids(1..90).into_iter().map(|id| (id, &page[..])).collect();
    store.commit(Batch { puts: &puts, frees: &[], meta: b"one" }).unwrap();
    store.commit(Batch { puts: &[], frees: &ids(1..60), meta: b"two" }).unwrap();
    store.discard(&ids(1..60)).unwrap();
    let holes =
        |file: &CrashFile| file.bytes().chunks(4096).skip(2).take(89).filter(|page| page[0] == 0).count();
    assert_eq!(holes(&file), 0, "the state before has them");
    store.commit(Batch { puts: &[], frees: &[], meta: b"three" }).unwrap();
    store.discard(&ids(1..60)).unwrap();
    assert_eq!(holes(&file), 59);
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let store = open(&file.crash(&mut || random.bool())).unwrap();
        assert_eq!(store.meta().unwrap().unwrap(), b"three");
        let mut found = vec![0; 4096];
        for id in ids(60..90) {
            store.read(id, &mut found).unwrap();
            assert_eq!(found, page);
        }
    }
    // A hole is written again like any other place.
    store.commit(Batch { puts: &puts[..5], frees: &[], meta: b"four" }).unwrap();
    store.discard(&ids(1..60)).unwrap();
    assert_eq!(holes(&file), 54);
}
