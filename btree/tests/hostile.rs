//! Pages that somebody has tampered with, checksum included: whatever they say, nothing panics and nothing runs forever.
#![allow(clippy::unwrap_used)]

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::reseal;
use dosql_base::{Result, Timestamp};
use dosql_btree::fault::CrashFile;
use dosql_btree::{FilePageStore, Pages, PagesOptions, Root, Way};

const PAGE: usize = 4096;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn open(file: &CrashFile) -> Result<(Arc<Pages>, Root)> {
    let store = FilePageStore::with_file(Box::new(file.clone()), PAGE, "test file")?;
    let (pages, meta) = Pages::open(Arc::new(store), PagesOptions { cache_bytes: 1 << 20 })?;
    let root = Root::from_bytes(&meta)?;
    Ok((pages, root))
}

fn key(i: u32) -> Vec<u8> {
    let mut key = i.wrapping_mul(2_654_435_761).to_be_bytes().to_vec();
    key.resize(4 + (i % 40) as usize, b'x');
    key
}

/// A file of two checkpoints, so that there are pages of several epochs and a free list.
fn build() -> Vec<u8> {
    let file = CrashFile::new();
    let store = FilePageStore::with_file(Box::new(file.clone()), PAGE, "test file").unwrap();
    let (pages, _) = Pages::open(Arc::new(store), PagesOptions::default()).unwrap();
    let mut root = Root::EMPTY;
    for version in 1..=3 {
        let mut writer = pages.writer();
        writer.begin(at(version));
        for i in 0..1500 {
            let len = if i % 400 == 0 { 9000 } else { 30 + i as usize % 100 };
            writer.set(&mut root, &key(i * version as u32), at(version), &vec![i as u8; len]).unwrap();
        }
        writer.publish(at(version)).unwrap();
        writer.checkpoint(&root.to_bytes()).unwrap();
    }
    file.bytes()
}

/// Everything that can be done with a tree.
fn exercise(file: &CrashFile) -> Result<()> {
    let (pages, root) = open(file)?;
    let snapshot = pages.latest();
    let checked = snapshot.check(root);
    let mut cursor = snapshot.cursor(root);
    let mut seen = 0;
    let _ = cursor.seek_first();
    let mut left = 20_000;
    let _ = cursor.visit(Way::Up, None, |item| {
        seen += item.key.len() + item.value.len();
        left -= 1;
        if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let _ = cursor.seek_last();
    for _ in 0..3000 {
        let _ = cursor.value();
        if !cursor.prev().unwrap_or(false) {
            break;
        }
    }
    let mut changed = root;
    let mut writer = pages.writer();
    for round in 0..3u64 {
        let mut before = changed;
        writer.begin(at(10 + round));
        for i in 0..600u32 {
            let i = i * 7 + round as u32;
            let _ = snapshot.get(root, &key(i));
            let result = match i % 3 {
                0 => writer.set(&mut changed, &key(i), at(10 + round), &[1; 150]).map(drop),
                1 => writer.remove(&mut changed, &key(i)).map(drop),
                _ => writer.put(&mut changed, &key(i * 31), at(10 + round), &[2; 20]).map(drop),
            };
            if result.is_err() {
                writer.rollback();
                changed = before;
            }
        }
        writer.publish(at(10 + round))?;
        before = changed;
        let _ = before;
        writer.checkpoint(&changed.to_bytes())?;
    }
    writer.begin(at(20));
    if writer.free_tree(changed).is_ok() {
        writer.publish(at(20))?;
    }
    checked.map(drop)
}

#[test]
fn tampered_pages_never_cause_a_panic() {
    let bytes = build();
    exercise(&CrashFile::holding(bytes.clone())).unwrap();
    let pages = bytes.len() / PAGE;
    let mut noticed = 0;
    for seed in 0..120u64 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut tampered = bytes.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(2..pages) * PAGE;
            let page = &mut tampered[at..at + PAGE];
            for _ in 0..rng.usize(1..4) {
                // Headers and slots more often than the heap.
                let span = [32, 64, 128, 512, PAGE][rng.usize(0..5)];
                let byte = rng.usize(0..span);
                page[byte] = match rng.u8(0..4) {
                    0 => page[byte] ^ (1 << rng.u8(0..8)),
                    1 => 0,
                    2 => 0xFF,
                    _ => rng.u8(..),
                };
            }
            if rng.u8(0..4) == 0 {
                // A sound page in the place of another.
                let from = rng.usize(2..pages) * PAGE;
                let id = tampered[at + 8..at + 16].to_vec();
                tampered.copy_within(from..from + PAGE, at);
                tampered[at + 8..at + 16].copy_from_slice(&id);
            }
            reseal(&mut tampered[at..at + PAGE]);
        }
        noticed += u64::from(exercise(&CrashFile::holding(tampered)).is_err());
    }
    assert!(noticed > 50, "{noticed}");
}
