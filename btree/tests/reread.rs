//! Pages that were read and sound, were dropped from memory, and are damaged in their file before they are read again.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

mod common;

use std::sync::Arc;

use common::reseal;
use dosql_base::{ErrorKind, Timestamp};
use dosql_btree::fault::CrashFile;
use dosql_btree::{FilePageStore, Pages, PagesOptions, RawFile, Root};

const PAGE: usize = 4096;
/// Pages that fit in memory. The tree has four times as many.
const ROOM: usize = 64;
/// Sixteen to a leaf.
const ENTRIES: u64 = 4_096;

struct Reread {
    file: CrashFile,
    pages: Arc<Pages>,
    root: Root,
}

impl Reread {
    /// A tree of which every leaf was in memory once, in a process that wrote it, or in one that only read it.
    fn new(reopened: bool) -> Reread {
        let (file, version) = (CrashFile::new(), Timestamp::from_micros(1));
        let open = || {
            let store = FilePageStore::with_file(Box::new(file.clone()), PAGE, "test file").unwrap();
            Pages::open(Arc::new(store), PagesOptions { cache_bytes: ROOM * PAGE }).unwrap().0
        };
        let (mut pages, mut root) = (open(), Root::EMPTY);
        let mut writer = pages.writer();
        writer.begin(version);
        for n in 0..ENTRIES {
            writer.set(&mut root, &n.to_be_bytes(), version, &[7; 200]).unwrap();
        }
        writer.publish(version).unwrap();
        writer.checkpoint(&root.to_bytes()).unwrap();
        drop(writer);
        if reopened {
            pages = open();
        }
        let it = Reread { file, pages, root };
        for _ in 0..2 {
            assert_eq!(it.read_all(), (0, 0));
        }
        it
    }

    /// How many entries can't be read for damage, and how many have another value.
    fn read_all(&self) -> (u64, u64) {
        let (snapshot, mut damaged, mut changed) = (self.pages.latest(), 0, 0);
        for n in 0..ENTRIES {
            match snapshot.get(self.root, &n.to_be_bytes()) {
                Ok(entry) => changed += u64::from(entry.unwrap().value() != [7; 200]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt);
                    damaged += 1;
                }
            }
        }
        (damaged, changed)
    }

    /// Changes every leaf in the file.
    fn damage(&self, change: impl Fn(&mut [u8])) {
        let mut bytes = self.file.bytes();
        for (at, page) in bytes.chunks_mut(PAGE).enumerate().skip(2).filter(|(_, page)| page[0] == 1) {
            change(page);
            assert_eq!(self.file.write_at(page, (at * PAGE) as u64).unwrap(), PAGE);
        }
    }
}

/// But for what is in memory, and that is right.
const MOST: u64 = ENTRIES / 2;

#[test]
fn a_page_that_was_sound_and_is_read_again_is_found_to_be_damaged() {
    for reopened in [false, true] {
        for byte in [0, 1, 4, 7, 8, 16, 24, 32, 36, 70, 130, 2_000, PAGE - 1] {
            let it = Reread::new(reopened);
            it.damage(|page| page[byte] ^= 1);
            let (damaged, changed) = it.read_all();
            assert!(damaged > MOST && changed == 0, "byte {byte}: {damaged}, {changed}");
        }
    }
}

#[test]
fn a_page_that_was_sound_and_comes_back_malformed_with_a_right_checksum_is_found() {
    for reopened in [false, true] {
        // The count of slots, where the heap starts, a hint, the offset of an entry.
        for byte in [32, 37, 64, 133] {
            let it = Reread::new(reopened);
            it.damage(|page| {
                page[byte] ^= 0x10;
                reseal(page);
            });
            let (damaged, changed) = it.read_all();
            assert!(damaged > MOST && changed == 0, "byte {byte}: {damaged}, {changed}");
        }
    }
}

#[test]
fn a_page_that_was_sound_and_is_replaced_by_an_older_one_is_found() {
    let it = Reread::new(false);
    it.damage(|page| {
        page[16] ^= 3;
        reseal(page);
    });
    let (damaged, changed) = it.read_all();
    assert!(damaged > MOST && changed == 0, "{damaged}, {changed}");
}
