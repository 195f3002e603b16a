//! Whole pages as docs/FORMAT.md describes them: put together here by hand, byte for byte, and compared with what a checkpoint
//! writes. Where this fails, the format has changed and needs a version.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dosql_base::{Timestamp, checksum};
use dosql_btree::{MemoryPageStore, PageId, PageStore, PageWriter, Pages, PagesOptions, Root};

const PAGE: usize = 4096;
const LEAF: u8 = 1;
const INNER: u8 = 2;
const OVERFLOW: u8 = 3;
const FREE_LIST: u8 = 4;
const NO_HIGH: u16 = 1;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// Changes one tree in one commit of version 1000 and makes the first checkpoint.
fn written(change: impl FnOnce(&mut PageWriter<'_>, &mut Root)) -> (Arc<MemoryPageStore>, Root) {
    let store = Arc::new(MemoryPageStore::new(PAGE));
    let (pages, _) = Pages::open(store.clone(), PagesOptions { cache_bytes: 1 << 20 }).unwrap();
    let mut root = Root::EMPTY;
    let mut writer = pages.writer();
    writer.begin(at(1000));
    change(&mut writer, &mut root);
    writer.publish(at(1000)).unwrap();
    writer.checkpoint(b"user").unwrap();
    (store, root)
}

fn stored(store: &MemoryPageStore, id: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    store.read(PageId::new(id), &mut page).unwrap();
    page
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    page[at..at + bytes.len()].copy_from_slice(bytes);
}

/// A page with its header, of checkpoint 1 and version 1000; the checksum is still to come.
fn page(kind: u8, flags: u16, id: u64) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    put(&mut page, 0, &[kind, 1]);
    put(&mut page, 2, &flags.to_le_bytes());
    put(&mut page, 8, &id.to_le_bytes());
    put(&mut page, 16, &1u64.to_le_bytes());
    put(&mut page, 24, &1000u64.to_le_bytes());
    page
}

fn sealed(mut page: Vec<u8>) -> Vec<u8> {
    let id = u64::from_le_bytes(page[8..16].try_into().unwrap());
    let covered = [&page[..4], &page[8..]].concat();
    let sum = checksum((id as u32) ^ ((id >> 32) as u32), &covered);
    put(&mut page, 4, &sum.to_le_bytes());
    page
}

fn slot(head: &[u8; 4], offset: usize, tail_len: u16) -> Vec<u8> {
    [&head[..], &(offset as u16).to_le_bytes(), &tail_len.to_le_bytes()].concat()
}

#[test]
fn a_leaf_is_these_bytes() {
    let (store, root) = written(|writer, root| {
        writer.put(root, b"apricot", at(1000), b"red").unwrap();
        writer.put_tombstone(root, b"fig", at(998)).unwrap();
    });
    assert_eq!((root.page().get(), root.height(), root.entries(), root.epoch()), (1, 1, 2, 1));
    let mut leaf = page(LEAF, NO_HIGH, 1);
    put(&mut leaf, 32, &2u16.to_le_bytes());
    // The heap grows down: "cot" | version 1000 - 1000 | 3 << 2 | "red", then version 998 - 1000 | tombstone.
    let (first, second) = (PAGE - 8, PAGE - 10);
    put(&mut leaf, first, b"cot\x00\x0Cred");
    put(&mut leaf, second, &[3, 1]);
    put(&mut leaf, 36, &(second as u32).to_le_bytes());
    put(&mut leaf, 56, &1000u64.to_le_bytes());
    put(&mut leaf, 128, &slot(b"apri", first, 7));
    put(&mut leaf, 136, &slot(b"fig\0", second, 3));
    assert_eq!(stored(&store, 1), sealed(leaf));
}

#[test]
fn an_overflow_chain_and_the_reference_to_it_are_these_bytes() {
    let value: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
    let (store, root) = written(|writer, root| {
        writer.put(root, b"k", at(1000), &value).unwrap();
    });
    assert_eq!(root.page().get(), 1);
    // The last piece is written first, so that each knows the next: page 2 is the end of the chain.
    let mut leaf = page(LEAF, NO_HIGH, 1);
    put(&mut leaf, 32, &1u16.to_le_bytes());
    let entry =
        [&[0, 16 << 2 | 2][..], &[3, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0], &5000u32.to_le_bytes()].concat();
    put(&mut leaf, PAGE - 18, &entry);
    put(&mut leaf, 36, &((PAGE - 18) as u32).to_le_bytes());
    put(&mut leaf, 56, &1000u64.to_le_bytes());
    put(&mut leaf, 128, &slot(b"k\0\0\0", PAGE - 18, 1));
    assert_eq!(stored(&store, 1), sealed(leaf));
    let (head, tail) = value.split_at(PAGE - 48);
    let chain = |id: u64, next: u64, index: u32, payload: &[u8]| {
        let mut chain = page(OVERFLOW, 0, id);
        put(&mut chain, 32, &next.to_le_bytes());
        put(&mut chain, 40, &index.to_le_bytes());
        put(&mut chain, 44, &(payload.len() as u32).to_le_bytes());
        put(&mut chain, 48, payload);
        sealed(chain)
    };
    assert_eq!(stored(&store, 3), chain(3, 2, 0, head));
    assert_eq!(stored(&store, 2), chain(2, 0, 1, tail));
}

#[test]
fn a_root_with_two_leaves_their_fences_prefix_and_hints_are_these_bytes() {
    let key = |i: u32| format!("key{i:04}").into_bytes();
    let (store, root) = written(|writer, root| {
        for i in 0..350 {
            writer.put(root, &key(i), at(1000), b"").unwrap();
        }
    });
    assert_eq!(root.height(), 2);
    let inner = stored(&store, root.page().get());
    let number = |page: &[u8], at: usize| usize::from(u16::from_le_bytes([page[at], page[at + 1]]));
    let (first_slot, second_slot) = (number(&inner, 132), number(&inner, 140));
    let separator = {
        let mut separator = inner[136..140].to_vec();
        separator.extend_from_slice(&inner[second_slot..second_slot + number(&inner, 142) - 4]);
        separator
    };
    let id = |at: usize| u64::from_le_bytes([&inner[at..at + 6], &[0, 0]].concat().try_into().unwrap());
    let rest = separator.len() - 4;
    let (left_id, right_id) = (id(first_slot), id(second_slot + rest));
    assert_ne!(left_id, right_id);

    // A child is page id and epoch, 48 bits each; the first stands for the low fence and has an empty key.
    let child = |id: u64| [&id.to_le_bytes()[..6], &1u64.to_le_bytes()[..6]].concat();
    let mut expected = page(INNER, NO_HIGH, root.page().get());
    put(&mut expected, 32, &2u16.to_le_bytes());
    let heap = PAGE - 12 - 12 - rest;
    put(&mut expected, 36, &(heap as u32).to_le_bytes());
    expected[42] = 1;
    put(&mut expected, 56, &inner[56..64]);
    put(&mut expected, PAGE - 12, &child(left_id));
    put(&mut expected, heap, &[&separator[4..], &child(right_id)].concat());
    put(&mut expected, 128, &slot(&[0; 4], PAGE - 12, 0));
    let head = [separator[0], separator[1], separator[2], separator[3]];
    put(&mut expected, 136, &slot(&head, heap, separator.len() as u16));
    assert_eq!(inner, sealed(expected));

    // The left leaf ends at the separator, the right one begins there: its fence is the last thing in its heap.
    let (left, right) = (stored(&store, left_id), stored(&store, right_id));
    assert_eq!((left[0], right[0], number(&left, 2), number(&right, 2)), (LEAF, LEAF, 0, NO_HIGH.into()));
    let fence = PAGE - separator.len();
    assert_eq!((number(&left, 44), number(&left, 46)), (0, 0), "no low fence");
    assert_eq!((number(&left, 48), number(&left, 50)), (fence, separator.len()));
    assert_eq!((number(&right, 44), number(&right, 46)), (fence, separator.len()));
    assert_eq!((number(&right, 48), number(&right, 50)), (0, 0), "no high fence");
    assert_eq!((&left[fence..], &right[fence..]), (&separator[..], &separator[..]));
    assert_eq!((number(&left, 34), number(&right, 34)), (0, 0), "a fence is missing, so no prefix is cut");
    let count = number(&left, 32);
    assert!(count > 32);
    for hint in 0..16 {
        let slot = 128 + 8 * ((hint + 1) * (count / 17));
        let head = u32::from_be_bytes(left[slot..slot + 4].try_into().unwrap());
        assert_eq!(left[64 + 4 * hint..68 + 4 * hint], head.to_le_bytes(), "hint {hint}");
    }
}

#[test]
fn between_two_fences_their_common_prefix_is_cut_from_every_key() {
    let (store, root) = written(|writer, root| {
        for i in 0..2000u32 {
            writer.put(root, format!("key{i:04}").as_bytes(), at(1000), b"").unwrap();
        }
    });
    let inner = stored(&store, root.page().get());
    let offset = usize::from(u16::from_le_bytes([inner[140], inner[141]]));
    let rest = usize::from(u16::from_le_bytes([inner[142], inner[143]])) - 4;
    let id =
        u64::from_le_bytes([&inner[offset + rest..offset + rest + 6], &[0, 0]].concat().try_into().unwrap());
    let leaf = stored(&store, id);
    let number = |at: usize| usize::from(u16::from_le_bytes([leaf[at], leaf[at + 1]]));
    let (low, high) = (&leaf[number(44)..][..number(46)], &leaf[number(48)..][..number(50)]);
    let prefix = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    assert!(prefix >= 3 && number(34) == prefix, "{prefix} {}", number(34));
    let tail = number(134);
    assert_eq!(tail, 7 - prefix);
    assert_eq!(&leaf[128..128 + tail.min(4)], &low[prefix..][..tail.min(low.len() - prefix).min(4)]);
}

#[test]
fn the_free_list_is_these_bytes() {
    let (store, root) = written(|writer, root| {
        writer.put(root, b"k", at(1000), b"v").unwrap();
    });
    let (pages, _) = Pages::open(store.clone(), PagesOptions { cache_bytes: 1 << 20 }).unwrap();
    let mut root = root;
    let mut writer = pages.writer();
    writer.begin(at(2000));
    writer.put(&mut root, b"k", at(2000), b"w").unwrap();
    writer.publish(at(2000)).unwrap();
    writer.checkpoint(b"user").unwrap();
    // Page 1 was the leaf and page 2 the free list of the first checkpoint; both are free after the next. Nothing is free now.
    let meta = store.meta().unwrap().unwrap();
    let first = u64::from_le_bytes([&meta[40..46], &[0, 0]].concat().try_into().unwrap());
    assert_eq!(meta[46..52], [2, 0, 0, 0, 0, 0], "it is of checkpoint 2");
    let list = [0, 2, 1, 1];
    assert_eq!(meta[52..56], (list.len() as u32).to_le_bytes());
    let mut expected = page(FREE_LIST, 0, first);
    put(&mut expected, 16, &2u64.to_le_bytes());
    put(&mut expected, 24, &2000u64.to_le_bytes());
    put(&mut expected, 44, &(list.len() as u32).to_le_bytes());
    put(&mut expected, 48, &list);
    assert_eq!(stored(&store, first), sealed(expected));
    assert_eq!(&meta[64..], b"user");
}
