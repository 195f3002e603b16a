//! The ordered map against a `BTreeMap`: random puts, tombstones and deletes of all sizes, snapshots at random versions,
//! cursors both ways, rollbacks, checkpoints, reopening, a cache that is far too small.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_btree::{
    MemoryPageStore, PageSnapshot, PageStore, PageWriter, Pages, PagesOptions, Root, Stop, Way,
};

type Value = (u64, Option<Vec<u8>>);
type Model = BTreeMap<Vec<u8>, Value>;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[derive(Clone, Copy)]
struct Mix {
    page_size: usize,
    keys: u32,
    key_len: usize,
    value_len: usize,
    delete_percent: u32,
}

fn key(rng: &mut fastrand::Rng, mix: &Mix) -> Vec<u8> {
    let mut key = rng.u32(0..mix.keys).to_be_bytes().to_vec();
    // A run of equal heads, keys that are prefixes of others, zero bytes and the empty key.
    let len =
        (u32::from_be_bytes(key[..4].try_into().unwrap()).wrapping_mul(2_654_435_761) as usize) % mix.key_len;
    let mut long = vec![b'k'; len.saturating_sub(4) / 2];
    long.append(&mut key);
    long.resize(len, 0);
    long
}

fn value(rng: &mut fastrand::Rng, mix: &Mix) -> Vec<u8> {
    let len = match rng.u32(0..100) {
        0 => rng.usize(0..mix.page_size * 5),
        1..5 => rng.usize(0..mix.page_size / 2),
        5..10 => 0,
        _ => rng.usize(0..mix.value_len),
    };
    let byte = rng.u8(..);
    (0..len).map(|i| byte.wrapping_add(i as u8)).collect()
}

fn assert_same(snapshot: &PageSnapshot, root: Root, model: &Model) {
    let checked = snapshot.check(root).unwrap();
    assert_eq!(checked.entries, model.len() as u64);
    let mut cursor = snapshot.cursor(root);
    let mut seen = 0;
    let mut expected = model.iter();
    cursor.seek_first().unwrap();
    let stop = cursor
        .visit(Way::Up, None, |item| {
            let (key, (version, value)) = expected.next().unwrap();
            assert_eq!(item.key, key);
            assert_eq!(item.version, at(*version));
            assert_eq!(item.tombstone, value.is_none());
            assert_eq!(item.value, value.as_deref().unwrap_or_default());
            seen += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((stop, seen), (Stop::Bound, model.len()));
    assert!(!cursor.is_valid());
    if let Some((bound, _)) = model.iter().nth(model.len() / 3) {
        let mut expected = model.range(bound.clone()..).rev();
        cursor.seek_last().unwrap();
        let stop = cursor
            .visit(Way::Down, Some(bound), |item| {
                assert_eq!(Some(item.key), expected.next().map(|(key, _)| key.as_slice()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((stop, expected.next()), (Stop::Bound, None));
        let mut expected = model.range(..bound.clone());
        cursor.seek_first().unwrap();
        cursor
            .visit(Way::Up, Some(bound), |item| {
                assert_eq!(Some(item.key), expected.next().map(|(key, _)| key.as_slice()));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((expected.next(), cursor.key()), (None, bound.as_slice()));
    }
    let mut more = cursor.seek_last().unwrap();
    for (key, (version, value)) in model.iter().rev() {
        assert!(more);
        assert_eq!(cursor.key(), key);
        assert_eq!(cursor.version(), at(*version));
        assert_eq!(cursor.value().unwrap(), value.as_deref().unwrap_or_default());
        more = cursor.prev().unwrap();
    }
    assert!(!more);
}

fn assert_same_around(snapshot: &PageSnapshot, root: Root, model: &Model, key: &[u8]) {
    let found = snapshot.get(root, key).unwrap();
    let found = found.map(|e| (e.version().as_micros(), (!e.is_tombstone()).then(|| e.value().to_vec())));
    assert_eq!(found.as_ref(), model.get(key));
    let mut cursor = snapshot.cursor(root);
    let mut after = model.range::<[u8], _>((Bound::Included(key), Bound::Unbounded));
    let mut more = cursor.seek(key).unwrap();
    for _ in 0..5 {
        let next = after.next();
        assert_eq!(more.then(|| cursor.key()), next.map(|(key, _)| key.as_slice()));
        more = cursor.next().unwrap();
    }
    let mut before = model.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).rev();
    let mut more = cursor.seek_for_prev(key).unwrap();
    for _ in 0..5 {
        let next = before.next();
        assert_eq!(more.then(|| cursor.key()), next.map(|(key, _)| key.as_slice()));
        more = cursor.prev().unwrap();
    }
}

fn change(
    writer: &mut PageWriter<'_>,
    root: &mut Root,
    model: &mut Model,
    rng: &mut fastrand::Rng,
    mix: &Mix,
    v: u64,
) {
    let key = key(rng, mix);
    let displaced = if rng.u32(0..100) < mix.delete_percent {
        let old = model.remove(&key);
        (writer.delete(root, &key).unwrap(), old)
    } else if rng.u32(0..20) == 0 {
        (writer.put_tombstone(root, &key, at(v)).unwrap(), model.insert(key.clone(), (v, None)))
    } else {
        let old = model.get(&key).cloned();
        let repeated = old.as_ref().and_then(|(_, value)| value.clone()).filter(|_| rng.u32(0..8) == 0);
        let value = repeated.unwrap_or_else(|| value(rng, mix));
        let displaced = writer.put(root, &key, at(v), &value).unwrap();
        // What is there already keeps its version.
        if old.as_ref().and_then(|(_, value)| value.as_ref()) != Some(&value) {
            model.insert(key.clone(), (v, Some(value)));
        }
        (displaced, old)
    };
    let (got, expected) = displaced;
    let got = got.map(|d| (d.version.as_micros(), (!d.tombstone).then(|| d.value.to_vec())));
    assert_eq!(got, expected);
    if rng.u8(0..8) == 0 {
        let read = writer.get(*root, &key).unwrap();
        assert_eq!(read.map(|entry| entry.version().as_micros()), model.get(&key).map(|(v, _)| *v));
    }
}

fn run(seed: u64, mix: Mix, rounds: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let store: Arc<dyn PageStore> = Arc::new(MemoryPageStore::new(mix.page_size));
    let options = PagesOptions { cache_bytes: mix.page_size * 24 };
    let (mut pages, _) = Pages::open(Arc::clone(&store), options).unwrap();
    let mut root = Root::EMPTY;
    let mut model = Model::new();
    let mut durable = (root, model.clone(), 0);
    let mut pinned: Vec<(PageSnapshot, Root, Model)> = Vec::new();
    let mut version = 0;
    for _ in 0..rounds {
        version += 1 + rng.u64(0..1000);
        let (mut next_root, mut next_model) = (root, model.clone());
        {
            let mut writer = pages.writer();
            writer.begin(at(version));
            for _ in 0..rng.usize(1..60) {
                change(&mut writer, &mut next_root, &mut next_model, &mut rng, &mix, version);
            }
            if rng.u8(0..8) == 0 {
                writer.rollback();
            } else {
                writer.publish(at(version)).unwrap();
                (root, model) = (next_root, next_model);
            }
        }
        match rng.u8(0..10) {
            0..3 => pinned.push((pages.latest(), root, model.clone())),
            3..5 if !pinned.is_empty() => {
                let (snapshot, root, model) = pinned.swap_remove(rng.usize(0..pinned.len()));
                assert_same(&snapshot, root, &model);
            }
            5 => {
                pages.writer().checkpoint(&root.to_bytes()).unwrap();
                durable = (root, model.clone(), pages.published().as_micros());
                assert_eq!(pages.dirty_bytes(), 0);
            }
            6 if rng.bool() => {
                pinned.clear();
                let (reopened, meta) = Pages::open(Arc::clone(&store), options).unwrap();
                pages = reopened;
                (root, model, version) = durable.clone();
                let stored = if meta.is_empty() { Root::EMPTY } else { Root::from_bytes(&meta).unwrap() };
                assert_eq!(stored, root);
            }
            _ => {}
        }
        let snapshot = pages.latest();
        for _ in 0..3 {
            assert_same_around(&snapshot, root, &model, &key(&mut rng, &mix));
        }
        if let Some((snapshot, root, model)) = pinned.first() {
            assert_same_around(snapshot, *root, model, &key(&mut rng, &mix));
        }
    }
    for (snapshot, root, model) in &pinned {
        assert_same(snapshot, *root, model);
    }
    assert_same(&pages.latest(), root, &model);
    pinned.clear();
    assert_eq!(pages.stats().snapshots, 0);
    assert_eq!(pages.stats().pinned_bytes, 0);
    assert_no_leak(&pages, root);
}

/// Every page is in the tree, free, or in the free list.
fn assert_no_leak(pages: &Arc<Pages>, root: Root) {
    for _ in 0..4 {
        pages.writer().checkpoint(&root.to_bytes()).unwrap();
    }
    let checked = pages.latest().check(root).unwrap();
    let stats = pages.stats();
    let in_tree = checked.leaves + checked.inner + checked.overflow;
    assert!(stats.pages_used >= in_tree && stats.pages_used <= in_tree + 2, "{stats:?} {checked:?}");
}

#[test]
fn the_map_agrees_with_a_model_for_small_entries() {
    let mix = Mix { page_size: 4096, keys: 5000, key_len: 40, value_len: 100, delete_percent: 20 };
    for seed in 0..24 {
        run(seed, mix, 160);
    }
}

#[test]
fn the_map_agrees_with_a_model_for_keys_and_values_of_every_length() {
    let mix = Mix { page_size: 4096, keys: 3000, key_len: 643, value_len: 1025, delete_percent: 30 };
    for seed in 100..108 {
        run(seed, mix, 160);
    }
}

#[test]
fn the_map_agrees_with_a_model_while_it_shrinks() {
    let mix = Mix { page_size: 4096, keys: 800, key_len: 100, value_len: 300, delete_percent: 60 };
    for seed in 200..212 {
        run(seed, mix, 160);
    }
}

#[test]
fn the_map_agrees_with_a_model_on_the_largest_pages() {
    let mix = Mix { page_size: 65536, keys: 5000, key_len: 10_882, value_len: 16_385, delete_percent: 30 };
    run(30, mix, 60);
}

#[test]
fn ascending_and_descending_inserts_fill_pages_well() {
    for descending in [false, true] {
        let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap();
        let mut root = Root::EMPTY;
        let mut writer = pages.writer();
        writer.begin(at(1));
        for i in 0..20_000u32 {
            let i = if descending { 20_000 - i } else { i };
            writer.set(&mut root, &i.to_be_bytes(), at(1), &[7; 40]).unwrap();
        }
        writer.publish(at(1)).unwrap();
        drop(writer);
        let checked = pages.latest().check(root).unwrap();
        let fill = checked.leaf_bytes as f64 / (checked.leaves * 4096) as f64;
        assert!(fill > if descending { 0.5 } else { 0.95 }, "{fill}");
    }
}

#[test]
fn deleting_everything_frees_every_page() {
    let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap();
    let mut root = Root::EMPTY;
    let mut keys: Vec<u32> = (0..20_000).collect();
    let mut rng = fastrand::Rng::with_seed(5);
    rng.shuffle(&mut keys);
    let mut writer = pages.writer();
    for (version, chunk) in (1..).zip(keys.chunks(1000)) {
        writer.begin(at(version));
        for key in chunk {
            writer.set(&mut root, &key.to_be_bytes(), at(version), &[7; 60]).unwrap();
        }
        writer.publish(at(version)).unwrap();
    }
    writer.checkpoint(&[]).unwrap();
    rng.shuffle(&mut keys);
    for (version, chunk) in (100..).zip(keys.chunks(1000)) {
        writer.begin(at(version));
        for key in chunk {
            assert!(writer.remove(&mut root, &key.to_be_bytes()).unwrap());
        }
        writer.publish(at(version)).unwrap();
    }
    drop(writer);
    assert_eq!(root, Root::EMPTY);
    assert_no_leak(&pages, root);
}

#[test]
fn a_bulk_load_makes_full_pages_and_can_be_freed() {
    for (count, long) in [(0u32, false), (1, false), (30_000, false), (3000, true)] {
        let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap();
        let mut writer = pages.writer();
        writer.begin(at(9));
        let mut entries = (0..count).map(|i| {
            let mut key = format!("table/{}/", i / 100).into_bytes();
            key.extend(i.to_be_bytes());
            key.resize(key.len() + if long { i as usize % 600 } else { 0 }, b'x');
            (i, key)
        });
        let sorted: BTreeMap<Vec<u8>, u32> = entries.by_ref().map(|(i, key)| (key, i)).collect();
        let mut next = sorted.iter();
        let root = writer
            .bulk_load(|| {
                let len = |i: u32| if long { (i as usize * 37) % 3000 } else { 30 };
                Ok(next.next().map(|(key, &i)| (key, at(u64::from(i)), vec![i as u8; len(i)])))
            })
            .unwrap();
        writer.publish(at(9)).unwrap();
        assert_eq!(root.entries(), u64::from(count));
        let snapshot = pages.latest();
        let checked = snapshot.check(root).unwrap();
        if count > 1 && !long {
            assert!(checked.leaf_bytes as f64 / (checked.leaves * 4096) as f64 > 0.95, "{checked:?}");
        }
        for (key, i) in &sorted {
            assert_eq!(snapshot.get(root, key).unwrap().unwrap().version(), at(u64::from(*i)));
        }
        drop(snapshot);
        let mut changed = root;
        writer.begin(at(10));
        for (key, _) in sorted.iter().step_by(3) {
            writer.put(&mut changed, key, at(10), b"new").unwrap();
            let mut beside = key.clone();
            beside.push(0);
            if beside.len() <= pages.limits().max_key {
                writer.put(&mut changed, &beside, at(10), &[1; 200]).unwrap();
            }
        }
        writer.publish(at(10)).unwrap();
        pages.latest().check(changed).unwrap();
        writer.begin(at(11));
        writer.free_tree(changed).unwrap();
        writer.publish(at(11)).unwrap();
        drop(writer);
        assert_no_leak(&pages, Root::EMPTY);
    }
}

#[test]
fn oversized_keys_and_values_are_refused_and_change_nothing() {
    let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap();
    let limits = pages.limits();
    let mut writer = pages.writer();
    writer.begin(at(1));
    let mut root = Root::EMPTY;
    writer.put(&mut root, &vec![1; limits.max_key], at(1), &vec![2; limits.max_inline_value]).unwrap();
    let before = root;
    assert!(writer.put(&mut root, &vec![1; limits.max_key + 1], at(1), b"").is_err());
    assert!(writer.put(&mut root, b"k", at(1), &vec![0; limits.max_value + 1]).is_err());
    assert_eq!(root, before);
    writer.put(&mut root, b"k", at(1), &vec![3; limits.max_value]).unwrap();
    writer.publish(at(1)).unwrap();
    let snapshot = pages.latest();
    assert_eq!(snapshot.get(root, b"k").unwrap().unwrap().value(), vec![3; limits.max_value]);
    assert_eq!(snapshot.check(root).unwrap().entries, 2);
}

#[test]
fn a_version_can_be_pinned_only_while_its_images_are_there() {
    let (pages, _) = Pages::open(Arc::new(MemoryPageStore::new(4096)), PagesOptions::default()).unwrap();
    let mut root = Root::EMPTY;
    let mut publish = |version: u64| {
        let mut writer = pages.writer();
        writer.begin(at(version));
        writer.set(&mut root, b"k", at(version), &version.to_le_bytes()).unwrap();
        writer.publish(at(version)).unwrap();
        assert!(writer.publish(at(version)).is_err());
        root
    };
    let old_root = publish(1);
    let old = pages.latest();
    let root = publish(2);
    let again = pages.snapshot(at(1)).unwrap();
    drop(old);
    assert_eq!(again.get(old_root, b"k").unwrap().unwrap().value(), 1u64.to_le_bytes());
    drop(again);
    assert!(pages.snapshot(at(1)).is_err());
    assert!(pages.snapshot(at(3)).is_err());
    assert_eq!(pages.snapshot(at(2)).unwrap().get(root, b"k").unwrap().unwrap().value(), 2u64.to_le_bytes());
}
