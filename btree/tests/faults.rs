//! Faults of the store seen through the page table: nothing is lost, nothing is half done, nothing panics.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dosql_base::{ErrorKind, Timestamp};
use dosql_btree::fault::{Fault, FaultPageStore};
use dosql_btree::{MemoryPageStore, PageStore, Pages, PagesOptions, Root, Way};

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

const COUNT: u32 = 3000;

fn value(i: u32, round: u64) -> Vec<u8> {
    vec![(i as u8) ^ (round as u8); if i.is_multiple_of(500) { 10_000 } else { 50 }]
}

/// A checkpointed tree on a store that can fail, with a cache of a few pages.
fn setup() -> (Arc<FaultPageStore>, Arc<Pages>, Root) {
    let store = Arc::new(FaultPageStore::new(Arc::new(MemoryPageStore::new(4096))));
    let options = PagesOptions { cache_bytes: 8 * 4096 };
    let (pages, _) = Pages::open(Arc::clone(&store) as Arc<dyn PageStore>, options).unwrap();
    let mut root = Root::EMPTY;
    let mut writer = pages.writer();
    writer.begin(at(1));
    for i in 0..COUNT {
        writer.set(&mut root, &i.to_be_bytes(), at(1), &value(i, 1)).unwrap();
    }
    writer.publish(at(1)).unwrap();
    writer.checkpoint(&root.to_bytes()).unwrap();
    drop(writer);
    (store, pages, root)
}

#[test]
fn a_read_that_fails_once_gives_an_error_and_succeeds_when_asked_again() {
    let (store, pages, root) = setup();
    for (fault, kind) in [
        (Fault::ReadError, ErrorKind::Io),
        (Fault::WouldBlock, ErrorKind::WouldBlock),
        (Fault::ReadShort, ErrorKind::Corrupt),
        (Fault::ReadFlip(300), ErrorKind::Corrupt),
        (Fault::ReadFlip(0), ErrorKind::Corrupt),
    ] {
        let snapshot = pages.latest();
        let mut cursor = snapshot.cursor(root);
        let mut seen = 0;
        let mut errors = 0;
        let mut started = false;
        for attempt in 0..100_000 {
            if seen == COUNT {
                break;
            }
            store.fail(fault, attempt % 2, false);
            let result = if started {
                let mut left = 40;
                let visited = cursor.visit(Way::Up, None, |item| {
                    if left == 0 {
                        return std::ops::ControlFlow::Break(());
                    }
                    left -= 1;
                    assert_eq!(item.key, seen.to_be_bytes());
                    assert_eq!(item.value, value(seen, 1));
                    seen += 1;
                    std::ops::ControlFlow::Continue(())
                });
                visited.map(|_| ())
            } else {
                cursor.seek_first().map(|found| started = found)
            };
            if let Err(error) = result {
                assert_eq!(error.kind(), kind, "{error}");
                errors += 1;
            }
        }
        assert_eq!(seen, COUNT);
        assert!(errors > 10, "{errors}");
        store.heal();
        assert_eq!(snapshot.check(root).unwrap().entries, u64::from(COUNT));
    }
}

#[test]
fn a_commit_interrupted_by_a_wait_goes_on_and_one_that_fails_rolls_back_whole() {
    for fault in [Fault::WouldBlock, Fault::ReadError] {
        let (store, pages, root) = setup();
        let mut rng = fastrand::Rng::with_seed(3);
        let mut changed = root;
        let mut waits = 0;
        let mut writer = pages.writer();
        writer.begin(at(2));
        for i in (0..COUNT).step_by(2) {
            let i = i * 7 % COUNT;
            let key = i.to_be_bytes();
            loop {
                store.fail(fault, rng.u64(0..2), false);
                let result = match i % 4 {
                    0 => writer.set(&mut changed, &key, at(2), &value(i, 2)).map(drop),
                    _ => writer.remove(&mut changed, &key).map(drop),
                };
                match result {
                    Ok(()) => break,
                    Err(_) if fault == Fault::WouldBlock => {}
                    Err(_) => {
                        store.heal();
                        writer.rollback();
                        changed = root;
                    }
                }
                waits += 1;
                assert!(waits < 100_000);
                if fault == Fault::ReadError && waits > 20 {
                    break;
                }
            }
        }
        assert!(waits > 20);
        store.heal();
        if fault == Fault::ReadError {
            writer.rollback();
            drop(writer);
            assert_eq!(pages.latest().check(root).unwrap().entries, u64::from(COUNT));
            continue;
        }
        writer.publish(at(2)).unwrap();
        drop(writer);
        let snapshot = pages.latest();
        snapshot.check(changed).unwrap();
        for i in 0..COUNT {
            let found = snapshot.get(changed, &i.to_be_bytes()).unwrap().map(|entry| entry.value().to_vec());
            let expected = match i % 4 {
                0 => Some(value(i, 2)),
                2 => None,
                _ => Some(value(i, 1)),
            };
            assert_eq!(found, expected, "{i}");
        }
    }
}

#[test]
fn a_failed_checkpoint_leaves_everything_readable_and_can_be_made_again() {
    for fault in [Fault::NoSpace, Fault::Torn(3), Fault::AnswerLost] {
        let (store, pages, root) = setup();
        let mut changed = root;
        for version in 2..6 {
            let mut writer = pages.writer();
            writer.begin(at(version));
            for i in 0..200 {
                let i = i * 13 % COUNT;
                writer.set(&mut changed, &i.to_be_bytes(), at(version), &value(i, version)).unwrap();
            }
            writer.publish(at(version)).unwrap();
            store.fail(fault, 0, false);
            assert!(writer.checkpoint(&changed.to_bytes()).is_err());
            drop(writer);
            assert!(pages.dirty_bytes() > 0);
            pages.latest().check(changed).unwrap();
        }
        if fault != Fault::AnswerLost {
            let (reopened, meta) =
                Pages::open(Arc::clone(&store) as Arc<dyn PageStore>, PagesOptions::default()).unwrap();
            assert_eq!(Root::from_bytes(&meta).unwrap(), root);
            reopened.latest().check(root).unwrap();
            drop(reopened);
        }
        pages.writer().checkpoint(&changed.to_bytes()).unwrap();
        let (reopened, meta) =
            Pages::open(Arc::clone(&store) as Arc<dyn PageStore>, PagesOptions::default()).unwrap();
        assert_eq!(Root::from_bytes(&meta).unwrap(), changed);
        let snapshot = reopened.latest();
        snapshot.check(changed).unwrap();
        assert_eq!(snapshot.get(changed, &13u32.to_be_bytes()).unwrap().unwrap().value(), value(13, 5));
    }
}

#[test]
fn lost_writes_are_noticed_and_a_crash_loses_only_what_was_not_checkpointed() {
    for fault in [Fault::WritesLost, Fault::Crash] {
        let (store, pages, root) = setup();
        let mut changed = root;
        let mut writer = pages.writer();
        writer.begin(at(2));
        for i in 0..COUNT {
            writer.set(&mut changed, &i.to_be_bytes(), at(2), &value(i, 2)).unwrap();
        }
        writer.publish(at(2)).unwrap();
        store.fail(fault, 0, false);
        assert_eq!(writer.checkpoint(&changed.to_bytes()).is_ok(), fault == Fault::WritesLost);
        drop(writer);
        store.heal();
        let (reopened, meta) =
            Pages::open(Arc::clone(&store) as Arc<dyn PageStore>, PagesOptions::default()).unwrap();
        assert_eq!(Root::from_bytes(&meta).unwrap(), root);
        reopened.latest().check(root).unwrap();
        assert_eq!(reopened.latest().check(changed).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_removal_that_has_to_wait_for_its_long_value_has_changed_nothing_beside_deltas_too() {
    let (store, pages, mut root) = setup();
    for (version, i) in [(2, 501u32), (3, 502)] {
        let mut writer = pages.writer();
        writer.begin(at(version));
        writer.set(&mut root, &i.to_be_bytes(), at(version), &value(i, version)).unwrap();
        writer.publish(at(version)).unwrap();
    }
    let before = pages.stats();
    assert_eq!(before.deltas, 1);
    let mut writer = pages.writer();
    writer.begin(at(4));
    let mut changed = root;
    store.fail(Fault::WouldBlock, 0, false);
    let result = writer.delete(&mut changed, &500u32.to_be_bytes());
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((changed, pages.stats().copies), (root, before.copies));
    store.heal();
    let displaced = writer.delete(&mut changed, &500u32.to_be_bytes()).unwrap().unwrap();
    assert_eq!(displaced.value[..], value(500, 1));
    writer.publish(at(4)).unwrap();
    drop(writer);
    let snapshot = pages.latest();
    assert_eq!(snapshot.check(changed).unwrap().entries, u64::from(COUNT - 1));
    let seen = |i: u32| snapshot.get(changed, &i.to_be_bytes()).unwrap().map(|entry| entry.value().to_vec());
    assert_eq!([500, 501, 502].map(seen), [None, Some(value(501, 2)), Some(value(502, 3))]);
}
