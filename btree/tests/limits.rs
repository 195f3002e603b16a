//! The limits of pages, keys, values and meta blobs. See docs/LIMITS.md.

use std::sync::Arc;

use dosql_base::{ErrorKind, Timestamp};
use dosql_btree::{
    Batch, MAX_PAGE_SIZE, MIN_PAGE_SIZE, MemoryPageStore, PageId, PageStore, Pages, PagesOptions, Root,
    limits,
};

fn open(page_size: usize) -> dosql_base::Result<(Arc<Pages>, Vec<u8>)> {
    Pages::open(Arc::new(MemoryPageStore::new(page_size)), PagesOptions { cache_bytes: 1 << 20 })
}

#[test]
fn a_page_size_is_a_power_of_two_between_the_bounds() {
    for size in [MIN_PAGE_SIZE, 2 * MIN_PAGE_SIZE, MAX_PAGE_SIZE] {
        assert!(open(size).is_ok(), "{size}");
    }
    for size in [0, MIN_PAGE_SIZE / 2, MIN_PAGE_SIZE + 1, 3 * MIN_PAGE_SIZE, MAX_PAGE_SIZE * 2] {
        assert_eq!(open(size).err().map(|error| error.kind()), Some(ErrorKind::InvalidInput), "{size}");
    }
}

#[test]
fn keys_and_values_above_the_limits_are_refused_at_every_page_size() {
    for size in [MIN_PAGE_SIZE, 8192, 16384, 32768, MAX_PAGE_SIZE] {
        let (pages, _) = open(size).unwrap();
        let limits = limits(size);
        assert_eq!(pages.limits(), limits);
        let mut writer = pages.writer();
        let (mut root, at) = (Root::EMPTY, Timestamp::from_micros(1));
        writer.begin(at);
        for byte in 0..40 {
            writer
                .put(&mut root, &vec![byte; limits.max_key], at, &vec![byte; limits.max_inline_value])
                .unwrap();
        }
        let error = writer.put(&mut root, &vec![0; limits.max_key + 1], at, b"").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "key at {size}");
        let error = writer.put(&mut root, b"k", at, &vec![0; limits.max_value + 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "value at {size}");
        assert_eq!(root.entries(), 40);
        writer.publish(at).unwrap();
        assert_eq!(pages.latest().check(root).unwrap().entries, 40);
    }
}

#[test]
fn a_meta_blob_and_a_page_id_beyond_what_the_store_takes_are_refused() {
    let store = MemoryPageStore::new(MIN_PAGE_SIZE);
    let most = store.caps().max_meta;
    let batch = |meta: &[u8], frees: &[PageId]| store.commit(Batch { puts: &[], frees, meta });
    batch(&vec![0; most], &[]).unwrap();
    assert_eq!(batch(&vec![0; most + 1], &[]).unwrap_err().kind(), ErrorKind::Limit);
    batch(&[], &[PageId::MAX]).unwrap();
    let beyond = PageId::new(PageId::MAX.get() + 1);
    assert_eq!(batch(&[], &[beyond]).unwrap_err().kind(), ErrorKind::InvalidInput);
    let (pages, _) = open(MIN_PAGE_SIZE).unwrap();
    let error = pages.writer().checkpoint(&vec![0; most]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "the checkpoint's own 64 bytes count");
}
