//! Many segments read as one, judged by a `BTreeMap`; and what a merge of them leaves.
#![allow(clippy::unwrap_used)]

mod common;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Model, at, is_entry, model, write};
use dosql_base::{ErrorKind, Result, Timestamp};
use dosql_lsm::{
    BlockCache, BlockingSegmentStore, Compaction, CompactionOptions, Contents, Gone, Kind,
    MemorySegmentStore, MergeCursor, Output, ReadOptions, SegmentReader, SegmentStore, Versions,
    WriteOptions,
};

const BLOCK: u64 = 1 << 10;

fn options(id: u64) -> WriteOptions {
    WriteOptions { block_bytes: 400, partition_blocks: 3, ..WriteOptions::new(id) }
}

/// The model's versions dealt out to `count` segments, some of them twice; or cut into ranges of keys.
fn deal(model: &Model, count: usize, seed: u64) -> Vec<Model> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut parts = vec![Model::new(); count];
    let per_range = model.len() / 3 + 1;
    for (index, (place, version)) in model.iter().enumerate() {
        for _ in 0..if random.u32(..8) == 0 { 2 } else { 1 } {
            // The last three parts lie apart, but for a key whose versions two of them share.
            let part = if count > 4 && random.bool() {
                count - 3 + index / per_range
            } else {
                random.usize(..count)
            };
            parts[part].insert(place.clone(), version.clone());
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn near(parts: &[Model]) -> Arc<MemorySegmentStore> {
    let store = Arc::new(MemorySegmentStore::new());
    for (index, part) in parts.iter().enumerate() {
        store.put(&index.to_string(), &write(part, options(index as u64)).bytes).unwrap();
    }
    store
}

fn open(store: Arc<dyn SegmentStore>, parts: &[Model], cache: usize) -> Vec<Arc<SegmentReader>> {
    let readahead = if cache == 0 { 1_000 } else { 4_000 };
    let cache = Arc::new(BlockCache::new(cache));
    let open = |(index, part): (usize, &Model)| {
        let segment = write(part, options(index as u64));
        let read = ReadOptions { cache: Some(cache.clone()), readahead, ..ReadOptions::default() };
        let (size, tail) = (segment.properties.bytes, Some(segment.tail().into()));
        SegmentReader::open_with(store.clone(), &index.to_string(), size, tail, read).unwrap()
    };
    parts.iter().enumerate().map(open).collect()
}

/// Of each key the newest version that had begun at `t`.
fn newest_at(model: &Model, t: u64) -> Model {
    let mut newest = Model::new();
    for ((key, start), version) in model.iter().filter(|((_, start), _)| start.0 <= t) {
        let first =
            newest.range((key.clone(), Reverse(u64::MAX))..).next().is_none_or(|((k, _), _)| k != key);
        if first {
            newest.insert((key.clone(), *start), version.clone());
        }
    }
    newest
}

type Row<'a> = (&'a (Vec<u8>, Reverse<u64>), &'a common::Version);

fn is(cursor: &MergeCursor, expected: Option<Row<'_>>) {
    match (cursor.entry(), expected) {
        (None, None) => {}
        (Some(entry), Some(((key, start), version))) => {
            assert!(is_entry(entry, key, start.0, version), "{entry:?}, not {key:?} {start:?} {version:?}");
        }
        (entry, expected) => panic!("{entry:?}, not {expected:?}"),
    }
}

fn views() -> Vec<Versions> {
    let mut views = vec![Versions::All, Versions::NewestAt(Timestamp::MAX)];
    views.extend([500, 400_000, 700_000].map(|t| Versions::NewestAt(at(t))));
    views
}

fn seen(model: &Model, view: Versions) -> Model {
    match view {
        Versions::All => model.clone(),
        Versions::NewestAt(t) => newest_at(model, t.as_micros()),
    }
}

#[test]
fn many_segments_read_as_one_both_ways() {
    for (seed, count) in [(1, 1), (2, 2), (3, 7), (4, 12)] {
        let model = model(seed, 250);
        let parts = deal(&model, count, seed);
        let readers = open(near(&parts), &parts, 100_000);
        for view in views() {
            let seen = seen(&model, view);
            let mut cursor = MergeCursor::new(readers.clone(), view);
            assert!(cursor.entry().is_none() && !cursor.next().unwrap() && !cursor.prev().unwrap());
            let mut more = cursor.first().unwrap();
            for expected in &seen {
                is(&cursor, Some(expected));
                assert!(more);
                more = cursor.next().unwrap();
            }
            assert!(!more && cursor.entry().is_none() && !cursor.next().unwrap());
            let mut more = cursor.last().unwrap();
            for expected in seen.iter().rev() {
                is(&cursor, Some(expected));
                assert!(more);
                more = cursor.prev().unwrap();
            }
            assert!(!more && !cursor.prev().unwrap());
        }
    }
}

#[test]
fn a_merged_cursor_seeks_and_turns_where_the_model_does() {
    let model = model(5, 200);
    let parts = deal(&model, 8, 5);
    let readers = open(near(&parts), &parts, 100_000);
    let keys: Vec<&Vec<u8>> = model.keys().map(|(key, _)| key).collect();
    let mut random = fastrand::Rng::with_seed(5);
    for view in views() {
        let seen = seen(&model, view);
        let mut cursor = MergeCursor::new(readers.clone(), view);
        for round in 0..250 {
            let mut key = keys[random.usize(..keys.len())].clone();
            match round % 4 {
                0 => key.push(0),
                1 => drop(key.pop()),
                _ => {}
            }
            let t = if view == Versions::All { random.u64(..1_200_000) } else { u64::MAX };
            let mut here = if random.bool() {
                cursor.seek(&key, at(t)).unwrap();
                seen.range((key.clone(), Reverse(t))..).next()
            } else {
                cursor.seek_before(&key).unwrap();
                seen.range(..(key.clone(), Reverse(u64::MAX))).next_back()
            };
            is(&cursor, here);
            for _ in 0..20 {
                let Some((place, _)) = here else { break };
                here = if random.u32(..3) > 0 {
                    cursor.next().unwrap();
                    seen.range((std::ops::Bound::Excluded(place.clone()), std::ops::Bound::Unbounded)).next()
                } else {
                    cursor.prev().unwrap();
                    seen.range(..place.clone()).next_back()
                };
                is(&cursor, here);
            }
        }
    }
}

/// Calls until it need not wait.
fn wait<T>(store: &BlockingSegmentStore, mut call: impl FnMut() -> Result<T>) -> T {
    for _ in 0..10_000 {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(store.fetch_wanted() > 0),
            result => return result.unwrap(),
        }
    }
    panic!("it waits for ever");
}

#[test]
fn a_merged_cursor_over_far_segments_shows_the_same() {
    let model = model(6, 150);
    let parts = deal(&model, 6, 6);
    // Room for what one call needs, and for hardly more.
    for room in [64 * BLOCK, 4_096 * BLOCK] {
        let far = Arc::new(BlockingSegmentStore::new(near(&parts), BLOCK, room));
        let readers = open(far.clone(), &parts, 0);
        for view in views() {
            let seen = seen(&model, view);
            let mut cursor = MergeCursor::new(readers.clone(), view);
            wait(&far, || cursor.first());
            for expected in &seen {
                is(&cursor, Some(expected));
                wait(&far, || cursor.next());
            }
            wait(&far, || cursor.last());
            for expected in seen.iter().rev() {
                is(&cursor, Some(expected));
                wait(&far, || cursor.prev());
            }
        }
        assert!(far.blocked() > 10, "{}", far.blocked());
    }
}

/// Runs a merge in steps of `budget` bytes.
fn merge(
    readers: Vec<Arc<SegmentReader>>,
    options: CompactionOptions,
    budget: u64,
    keep: &dyn Fn(&[u8], Timestamp, Timestamp) -> bool,
    store: Option<&BlockingSegmentStore>,
) -> Vec<Output> {
    let mut compaction = Compaction::new(readers, options);
    let mut outputs = Vec::new();
    let mut next_id = 1_000;
    let mut new_id = || {
        next_id += 1;
        next_id
    };
    loop {
        match compaction.step(budget, &keep, &mut new_id) {
            Ok(progress) if progress.finished => break,
            Ok(progress) => assert!(progress.bytes > 0, "each step goes on"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(store.unwrap().fetch_wanted() > 0),
            Err(error) => panic!("{error}"),
        }
        outputs.extend(compaction.take_outputs());
    }
    outputs.extend(compaction.take_outputs());
    let mut ids: Vec<u64> = outputs.iter().map(|output| output.segment.properties.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), outputs.len(), "each has a number of its own");
    outputs
}

/// What the outputs of a kind hold, in the order of the outputs.
fn contents(outputs: &[Output], kind: Contents) -> Vec<(Vec<u8>, u64, common::Version)> {
    let mut all = Vec::new();
    for output in outputs.iter().filter(|output| output.contents == kind) {
        let mut cursor = common::open(&output.segment.bytes).unwrap().cursor();
        let mut more = cursor.first().unwrap();
        while more {
            let entry = cursor.entry().unwrap();
            let version = (entry.end.as_micros(), entry.kind, entry.value.to_vec());
            all.push((entry.key.to_vec(), entry.start.as_micros(), version));
            more = cursor.next().unwrap();
        }
    }
    all
}

fn small(contents: Contents, bottom: bool) -> CompactionOptions {
    CompactionOptions { segment_bytes: 4_000, write: options(0), ..CompactionOptions::new(contents, bottom) }
}

#[test]
fn history_keeps_what_can_be_asked_for_and_nothing_else() {
    let model = model(7, 250);
    let parts = deal(&model, 7, 7);
    let keep = |_: &[u8], start: Timestamp, end: Timestamp| {
        start <= at(300_000) && at(300_000) < end || end > at(600_000)
    };
    let expected: Vec<_> = model
        .iter()
        .filter(|((_, start), version)| keep(b"", at(start.0), at(version.0)))
        .map(|((key, start), version)| (key.clone(), start.0, version.clone()))
        .collect();
    assert!(expected.len() * 3 > model.len() && expected.len() * 4 < model.len() * 3);
    for budget in [1, 1_000, u64::MAX] {
        let readers = open(near(&parts), &parts, 0);
        let options = CompactionOptions { segment_bytes: 30_000, ..small(Contents::History, false) };
        let outputs = merge(readers, options, budget, &keep, None);
        assert_eq!(contents(&outputs, Contents::History), expected);
        assert!(contents(&outputs, Contents::Live).is_empty());
        assert!(outputs.len() > 1, "{} outputs", outputs.len());
        for pair in outputs.windows(2) {
            let [before, after] = [&pair[0].segment.properties, &pair[1].segment.properties];
            assert!(before.max_key < after.min_key, "versions of a key stay together");
        }
    }
}

#[test]
fn a_merge_of_far_segments_loses_and_repeats_nothing_however_little_is_near() {
    let model = model(8, 600);
    let parts = deal(&model, 6, 8);
    let expected: Vec<_> =
        model.iter().map(|((key, start), version)| (key.clone(), start.0, version.clone())).collect();
    for budget in [1, 3_000, u64::MAX] {
        let far = Arc::new(BlockingSegmentStore::new(near(&parts), BLOCK, 64 * BLOCK));
        let readers = open(far.clone(), &parts, 0);
        let outputs = merge(readers, small(Contents::History, false), budget, &|_, _, _| true, Some(&far));
        assert_eq!(contents(&outputs, Contents::History), expected);
        assert!(far.blocked() > 10, "{}", far.blocked());
    }
}

#[test]
fn one_key_of_many_versions_is_spread_over_outputs_only_when_it_must() {
    let mut model = Model::new();
    for start in 0..4_000 {
        model.insert((b"k".to_vec(), Reverse(start * 10 + 1)), (start * 10 + 5, Kind::Put, vec![7; 10]));
    }
    let parts = [model.clone()];
    let options = CompactionOptions {
        write: WriteOptions { compress: false, ..options(0) },
        ..small(Contents::History, false)
    };
    let outputs = merge(open(near(&parts), &parts, 0), options, 10_000, &|_, _, _| true, None);
    assert!(outputs.len() > 1, "an output is built in memory");
    assert!(outputs[..outputs.len() - 1].iter().all(|output| output.segment.bytes.len() > 16_000));
    let read: Vec<u64> = contents(&outputs, Contents::History).iter().map(|entry| entry.1).collect();
    let expected: Vec<u64> = model.keys().map(|(_, start)| start.0).collect();
    assert_eq!(read, expected);
    // And such outputs read as one again.
    let store = Arc::new(MemorySegmentStore::new());
    let open = |output: &Output| {
        let name = output.segment.properties.id.to_string();
        store.put(&name, &output.segment.bytes).unwrap();
        let size = output.segment.properties.bytes;
        SegmentReader::open(store.clone(), &name, size, ReadOptions::default()).unwrap()
    };
    let mut cursor = MergeCursor::new(outputs.iter().map(open).collect(), Versions::All);
    let mut more = cursor.first().unwrap();
    for start in expected {
        assert!(more && cursor.entry().unwrap().start == at(start));
        more = cursor.next().unwrap();
    }
    assert!(!more);
}

/// Live rows as flushes leave them: one version of a key in a segment, none with an end.
fn live(seed: u64) -> Vec<Model> {
    let mut random = fastrand::Rng::with_seed(seed);
    let flush = |flush: u64| {
        let row = |_| {
            let key = format!("row {:03}", random.u32(..400)).into_bytes();
            let kind = if random.u32(..4) == 0 { Kind::Tombstone } else { Kind::Put };
            let value =
                if kind == Kind::Put { format!("{flush} {:?}", key).into_bytes() } else { Vec::new() };
            let start = flush * 1_000 + random.u64(..900);
            ((key, Reverse(start)), (u64::MAX, kind, value))
        };
        let rows: BTreeMap<Vec<u8>, _> =
            (0..150).map(row).map(|(place, version)| (place.0.clone(), (place, version))).collect();
        rows.into_values().collect()
    };
    (1..7).map(flush).collect()
}

#[test]
fn of_live_rows_the_newest_stays_and_what_it_superseded_becomes_history_while_somebody_may_ask() {
    let parts = live(9);
    let mut all = Model::new();
    parts.iter().for_each(|part| all.extend(part.clone()));
    for bottom in [false, true] {
        for pinned in [None, Some(3_500)] {
            let keep = |_: &[u8], start: Timestamp, end: Timestamp| {
                pinned.is_some_and(|pin| start <= at(pin) && at(pin) < end)
            };
            let readers = open(near(&parts), &parts, 0);
            let outputs = merge(readers, small(Contents::Live, bottom), 2_000, &keep, None);
            let mut newest = newest_at(&all, u64::MAX);
            newest.retain(|_, version| !bottom || version.1 == Kind::Put);
            let expected: Vec<_> = newest
                .iter()
                .map(|((key, start), version)| (key.clone(), start.0, version.clone()))
                .collect();
            assert_eq!(contents(&outputs, Contents::Live), expected);
            let history = contents(&outputs, Contents::History);
            let Some(pin) = pinned else {
                assert!(history.is_empty());
                continue;
            };
            assert!(history.len() > 50);
            // Whoever asks for the pinned moment finds what was there before, in history or among live rows.
            let then = newest_at(&all, pin);
            for ((key, start), version) in &then {
                let past =
                    history.iter().find(|(k, start, version)| k == key && *start <= pin && pin < version.0);
                let present = expected.iter().find(|(k, start, _)| k == key && *start <= pin);
                match past.or(present) {
                    Some(found) => {
                        assert_eq!((found.1, &found.2.1, &found.2.2), (start.0, &version.1, &version.2))
                    }
                    None => assert!(bottom && version.1 == Kind::Tombstone),
                }
            }
            assert!(history.iter().all(|(key, start, _)| then.contains_key(&(key.clone(), Reverse(*start)))));
        }
    }
}

#[test]
fn superseded_live_rows_stay_beside_what_superseded_them_where_that_is_wanted() {
    let parts = live(9);
    let mut all = Model::new();
    parts.iter().for_each(|part| all.extend(part.clone()));
    let keep = |_: &[u8], start: Timestamp, end: Timestamp| start <= at(3_500) && at(3_500) < end;
    let options = CompactionOptions { beside: true, ..small(Contents::Live, false) };
    let outputs = merge(open(near(&parts), &parts, 0), options, 2_000, &keep, None);
    assert!(contents(&outputs, Contents::History).is_empty());
    let (newest, then) = (newest_at(&all, u64::MAX), newest_at(&all, 3_500));
    let expected: Vec<_> = all
        .iter()
        .filter(|(place, _)| newest.contains_key(place) || then.contains_key(place))
        .map(|((key, start), version)| (key.clone(), start.0, version))
        .collect();
    let found = contents(&outputs, Contents::Live);
    assert!(found.len() > newest.len() && found.len() == expected.len());
    for ((key, start, version), (k, s, expected)) in found.iter().zip(expected) {
        assert_eq!((key, start, version.1, &version.2), (&k, &s, expected.1, &expected.2));
        // It ends where the one that superseded it begins.
        let next = all.range((k.clone(), Reverse(u64::MAX))..(k.clone(), Reverse(s))).next_back();
        assert_eq!(version.0, next.map_or(u64::MAX, |((_, next), _)| next.0));
    }
}

#[test]
fn rows_of_a_dropped_table_become_history_while_somebody_may_ask_and_nothing_after() {
    let parts = live(10);
    let mut all = Model::new();
    parts.iter().for_each(|part| all.extend(part.clone()));
    let gone = Gone { from: b"row 100".to_vec(), to: b"row 200".to_vec(), at: at(5_000) };
    let within = |key: &[u8], start: u64| key >= &b"row 100"[..] && key < &b"row 200"[..] && start < 5_000;
    for pinned in [None, Some(4_700)] {
        let keep = move |_: &[u8], start: Timestamp, end: Timestamp| {
            pinned.is_some_and(|pin| start <= at(pin) && at(pin) < end)
        };
        let merging = small(Contents::Live, true);
        let mut compaction =
            Compaction::new(open(near(&parts), &parts, 0), merging).without(vec![gone.clone()]);
        let mut id = 0;
        while !compaction.is_finished() {
            compaction
                .step(1_000, &keep, &mut || {
                    id += 1;
                    id
                })
                .unwrap();
        }
        let outputs = compaction.take_outputs();
        let mut newest = newest_at(&all, u64::MAX);
        newest.retain(|(key, start), version| version.1 == Kind::Put && !within(key, start.0));
        let expected: Vec<_> =
            newest.iter().map(|((key, start), version)| (key.clone(), start.0, version.clone())).collect();
        assert_eq!(contents(&outputs, Contents::Live), expected);
        let history = contents(&outputs, Contents::History);
        assert_eq!(history.is_empty(), pinned.is_none());
        let then = newest_at(&all, 4_700);
        for ((key, start), version) in
            then.iter().filter(|((key, start), _)| pinned.is_some() && within(key, start.0))
        {
            let found = history.iter().find(|(k, s, _)| (k, s) == (key, &start.0));
            assert_eq!(found.is_some(), version.1 == Kind::Put);
            assert!(found.is_none_or(|found| found.2.0 <= 5_000), "it ended with its table");
        }
    }
}

#[test]
fn where_everything_is_gone_nothing_is_written() {
    let gone = |key: &str| ((key.as_bytes().to_vec(), Reverse(5)), (u64::MAX, Kind::Tombstone, Vec::new()));
    let parts = [Model::from([gone("a"), gone("b")]), Model::from([gone("b")])];
    let outputs =
        merge(open(near(&parts), &parts, 0), small(Contents::Live, true), 100, &|_, _, _| true, None);
    assert!(outputs.is_empty());
    assert!(merge(Vec::new(), small(Contents::Live, true), 100, &|_, _, _| true, None).is_empty());
}

#[test]
fn outputs_end_where_a_table_does() {
    fn table(key: &[u8]) -> &[u8] {
        key.split(|&byte| byte == b'/').next().unwrap_or_default()
    }
    let row = |i: u32| {
        ((format!("{}/{i:05}", i / 100).into_bytes(), Reverse(1)), (u64::MAX, Kind::Put, vec![i as u8; 30]))
    };
    let parts = [(0..1_000).map(row).collect::<Model>()];
    let options = CompactionOptions {
        segment_bytes: 100_000,
        boundary: Some(|before, after| table(before) != table(after)),
        ..small(Contents::Live, true)
    };
    let outputs = merge(open(near(&parts), &parts, 0), options, 1_000, &|_, _, _| true, None);
    assert_eq!(outputs.len(), 10);
    for output in outputs {
        assert_eq!(table(&output.segment.properties.min_key), table(&output.segment.properties.max_key));
    }
}

#[test]
fn of_two_accounts_of_a_version_the_one_that_knows_its_end_counts() {
    let version = |end| Model::from([((b"k".to_vec(), Reverse(50)), (end, Kind::Put, b"v".to_vec()))]);
    let later = Model::from([((b"k".to_vec(), Reverse(100)), (200, Kind::Put, b"w".to_vec()))]);
    for parts in [[version(200), version(100), later.clone()], [later, version(100), version(200)]] {
        let outputs =
            merge(open(near(&parts), &parts, 0), small(Contents::History, false), 100, &|_, _, _| true, None);
        let ends: Vec<(u64, u64)> =
            contents(&outputs, Contents::History).iter().map(|entry| (entry.1, entry.2.0)).collect();
        assert_eq!(ends, [(100, 200), (50, 100)]);
    }
}
