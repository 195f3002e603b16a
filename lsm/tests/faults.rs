//! Flushes, merges, uploads and deletes over a store that fails at every call in turn, in every way, and a process that dies there: what
//! was acknowledged stays readable, and nothing is left over.
//!
//! The engine in small: a manifest that is changed all at once, rows that leave the tree when a segment in the manifest holds them.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::at;
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_lsm::fault::{FaultSegmentStore, SegmentCall, SegmentFault};
use dosql_lsm::{
    BlockCache, Compaction, CompactionOptions, Contents, Job, Kind, MemorySegmentStore, MergeCursor, Policy,
    ReadOptions, Segment, SegmentMeta, SegmentReader, SegmentStore, SegmentWriter, Versions, WriteOptions,
    pick, put_idempotent,
};

/// What is in the hot store: changed all at once, and durable.
#[derive(Clone, Default)]
struct Hot {
    epoch: u64,
    rows: BTreeMap<u64, Row>,
    /// The newest version of rows that have not been flushed; none for a deleted one.
    tree: BTreeMap<u32, (u64, Option<u64>)>,
    clock: u64,
}

#[derive(Clone)]
struct Row {
    meta: SegmentMeta,
    tail: Arc<[u8]>,
}

fn name(id: u64) -> String {
    format!("{id:016x}")
}

/// A process.
struct Process<'a> {
    hot: &'a mut Hot,
    store: Arc<FaultSegmentStore>,
    next: u64,
}

impl<'a> Process<'a> {
    /// Takes the database over, and removes what earlier owners left behind.
    fn open(hot: &'a mut Hot, store: Arc<FaultSegmentStore>) -> Result<Self> {
        hot.epoch += 1;
        let mut process = Process { hot, store, next: 0 };
        // Names of this epoch are nobody else's: what is listed and not in the manifest is an orphan.
        let orphans: Vec<String> =
            process.store.list("")?.into_iter().filter(|listed| !process.knows(listed)).collect();
        process.store.delete(&orphans.iter().map(String::as_str).collect::<Vec<_>>())?;
        process.next = process.hot.epoch << 32;
        Ok(process)
    }

    fn knows(&self, listed: &str) -> bool {
        u64::from_str_radix(listed, 16).is_ok_and(|id| self.hot.rows.contains_key(&id))
    }

    fn new_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Stores a segment; an answer that was lost is asked for again.
    fn upload(&self, segment: &Segment) -> Result<()> {
        let put = || put_idempotent(&*self.store, &name(segment.properties.id), &segment.bytes);
        put().or_else(|error| if error.kind() == ErrorKind::Io { put() } else { Err(error) })
    }

    fn reader(&self, row: &Row) -> Result<Arc<SegmentReader>> {
        let options = ReadOptions { cache: Some(Arc::new(BlockCache::new(0))), ..ReadOptions::default() };
        let name = name(row.meta.id);
        SegmentReader::open_with(self.store.clone(), &name, row.meta.bytes, Some(row.tail.clone()), options)
    }

    /// Moves the tree's rows into a segment.
    fn flush(&mut self) -> Result<()> {
        let mut writer = SegmentWriter::new(options(self.new_id()));
        for (key, (start, value)) in &self.hot.tree {
            let kind = if value.is_some() { Kind::Put } else { Kind::Tombstone };
            let value = value.map(|value| value.to_be_bytes().to_vec()).unwrap_or_default();
            writer.add(&key.to_be_bytes(), at(*start), Timestamp::MAX, kind, &value)?;
        }
        let segment = writer.finish()?;
        self.upload(&segment)?;
        self.name(0, vec![segment]);
        self.hot.tree.clear();
        Ok(())
    }

    fn name(&mut self, level: u32, segments: Vec<Segment>) {
        for segment in segments {
            let meta = SegmentMeta::new(&segment.properties, level, Timestamp::ZERO);
            self.hot.rows.insert(meta.id, Row { meta, tail: segment.tail().into() });
        }
    }

    fn maintain(&mut self) -> Result<()> {
        let policy =
            Policy { segment_bytes: 600, base_bytes: 1 << 20, l0_count: 3, ..Policy::new(Contents::Live) };
        loop {
            let metas: Vec<SegmentMeta> = self.hot.rows.values().map(|row| row.meta.clone()).collect();
            match pick(&metas, &policy) {
                None => return Ok(()),
                Some(Job::Move { segment, level }) => {
                    self.hot.rows.get_mut(&segment).unwrap().meta.level = level
                }
                Some(Job::Merge { segments, level, bottom }) => self.merge(&segments, level, bottom)?,
                Some(Job::Drop { .. }) => panic!("live rows expire never"),
            }
        }
    }

    fn merge(&mut self, inputs: &[u64], level: u32, bottom: bool) -> Result<()> {
        let readers: Result<Vec<_>> = inputs.iter().map(|id| self.reader(&self.hot.rows[id])).collect();
        let merging = CompactionOptions {
            segment_bytes: 600,
            write: options(0),
            ..CompactionOptions::new(Contents::Live, bottom)
        };
        let mut compaction = Compaction::new(readers?, merging);
        let mut outputs = Vec::new();
        while !compaction.is_finished() {
            let nothing = |_: &[u8], _, _| false;
            compaction.step(300, &nothing, &mut || self.new_id())?;
            for output in compaction.take_outputs() {
                self.upload(&output.segment)?;
                outputs.push(output.segment);
            }
        }
        // One edit: the inputs go, the outputs come.
        inputs.iter().for_each(|id| drop(self.hot.rows.remove(id)));
        self.name(level, outputs);
        // What is not removed now is an orphan of the next process.
        let names: Vec<String> = inputs.iter().map(|&id| name(id)).collect();
        self.store.delete(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// All rows, out of tree and segments.
    fn read(&self) -> Result<BTreeMap<u32, u64>> {
        let readers: Result<Vec<_>> = self.hot.rows.values().map(|row| self.reader(row)).collect();
        let mut cursor = MergeCursor::new(readers?, Versions::NewestAt(Timestamp::MAX));
        let mut rows = BTreeMap::new();
        let mut more = cursor.first()?;
        while more {
            let entry = cursor.entry().unwrap();
            let key = u32::from_be_bytes(entry.key.try_into().unwrap());
            if entry.kind == Kind::Put {
                rows.insert(key, u64::from_be_bytes(entry.value.try_into().unwrap()));
            }
            more = cursor.next()?;
        }
        for (key, (_, value)) in &self.hot.tree {
            match value {
                Some(value) => drop(rows.insert(*key, *value)),
                None => drop(rows.remove(key)),
            }
        }
        Ok(rows)
    }
}

fn options(id: u64) -> WriteOptions {
    WriteOptions { block_bytes: 150, partition_blocks: 2, ..WriteOptions::new(id) }
}

/// The workload; whatever fails, the process dies, and the next one goes on. Returns what was acknowledged.
fn run(hot: &mut Hot, store: &Arc<FaultSegmentStore>) -> BTreeMap<u32, u64> {
    let mut model = BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..12u64 {
        for _ in 0..25 {
            // Half at the end, half anywhere; commits go to the log and the tree, and never fail here.
            let key = if random.bool() { (round * 25) as u32 + random.u32(..25) } else { random.u32(..300) };
            hot.clock += 1;
            let value = (random.u32(..4) > 0).then_some(hot.clock);
            hot.tree.insert(key, (hot.clock, value));
            match value {
                Some(value) => drop(model.insert(key, value)),
                None => drop(model.remove(&key)),
            }
        }
        for _ in 0..6 {
            let done = Process::open(hot, store.clone()).and_then(|mut process| {
                if !process.hot.tree.is_empty() {
                    process.flush()?;
                }
                process.maintain()
            });
            if done.is_ok() {
                break;
            }
        }
    }
    model
}

fn fresh() -> (Hot, Arc<FaultSegmentStore>) {
    (Hot::default(), Arc::new(FaultSegmentStore::new(Arc::new(MemorySegmentStore::new()))))
}

/// Once nothing fails any more: all is there, and nothing else.
fn check(hot: &mut Hot, store: &Arc<FaultSegmentStore>, model: &BTreeMap<u32, u64>, what: &str) {
    store.heal();
    store.land();
    let process = Process::open(hot, store.clone()).unwrap();
    assert_eq!(process.read().unwrap(), *model, "{what}");
    let listed: BTreeSet<String> = store.list("").unwrap().into_iter().collect();
    let named: BTreeSet<String> = hot.rows.keys().map(|&id| name(id)).collect();
    assert_eq!(listed, named, "{what}: orphans or missing objects");
}

fn lost() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the connection was reset")
}

/// Runs the workload with this fault at each call of this kind.
fn fail_everywhere(call: SegmentCall, fault: &SegmentFault, sticky: bool) -> u64 {
    let mut nth = 0;
    loop {
        let (mut hot, store) = fresh();
        store.inject(call, nth, sticky, fault.clone());
        let model = run(&mut hot, &store);
        let reached = store.faults() > 0;
        check(&mut hot, &store, &model, &format!("{call:?} {nth}, {fault:?}"));
        if !reached {
            return nth;
        }
        nth += 1;
    }
}

#[test]
fn without_faults_all_is_there_and_merges_happen() {
    let (mut hot, store) = fresh();
    let model = run(&mut hot, &store);
    assert!(hot.rows.values().any(|row| row.meta.level > 0) && hot.rows.len() > 3);
    check(&mut hot, &store, &model, "no fault");
}

#[test]
fn a_put_that_fails_loses_its_answer_or_arrives_late_loses_no_row() {
    for fault in [
        SegmentFault::Before(lost()),
        SegmentFault::After(lost()),
        SegmentFault::Late(1, lost()),
        SegmentFault::Late(40, lost()),
    ] {
        assert!(fail_everywhere(SegmentCall::Put, &fault, false) > 20);
    }
}

#[test]
fn a_read_that_fails_comes_short_wrong_or_empty_handed_loses_no_row() {
    let faults = [
        SegmentFault::Before(lost()),
        SegmentFault::Short(1),
        SegmentFault::Wrong(77),
        SegmentFault::Missing,
    ];
    for fault in faults {
        assert!(fail_everywhere(SegmentCall::Read, &fault, false) > 20);
    }
}

#[test]
fn a_delete_that_fails_or_comes_late_takes_nothing_that_is_needed_and_leaves_nothing() {
    for fault in [SegmentFault::Before(lost()), SegmentFault::After(lost()), SegmentFault::Late(30, lost())] {
        assert!(fail_everywhere(SegmentCall::Delete, &fault, false) > 10);
    }
}

#[test]
fn a_list_that_fails_or_is_stale_harms_nothing() {
    for fault in [SegmentFault::Before(lost()), SegmentFault::Stale, SegmentFault::Missing] {
        assert!(fail_everywhere(SegmentCall::List, &fault, false) > 10);
    }
}

#[test]
fn a_store_that_is_away_from_some_call_on_loses_no_row() {
    for call in [SegmentCall::Put, SegmentCall::Read, SegmentCall::Delete, SegmentCall::List] {
        assert!(fail_everywhere(call, &SegmentFault::Before(lost()), true) > 10);
    }
}

#[test]
fn a_missing_or_damaged_segment_says_which_and_the_others_stay_readable() {
    let (mut hot, store) = fresh();
    run(&mut hot, &store);
    let process = Process::open(&mut hot, store.clone()).unwrap();
    let rows: Vec<Row> = process.hot.rows.values().cloned().collect();
    assert!(rows.len() > 3);
    let gone = &rows[1];
    store.delete(&[&name(gone.meta.id)]).unwrap();
    let error = process.read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&name(gone.meta.id)), "{error}");
    for row in rows.iter().filter(|row| row.meta.id != gone.meta.id) {
        let mut cursor = process.reader(row).unwrap().cursor();
        let mut count = u64::from(cursor.first().unwrap());
        while cursor.next().unwrap() {
            count += 1;
        }
        assert_eq!(count, row.meta.entries);
    }
    // Of the missing one it is known which keys it held.
    assert!(gone.meta.min_key <= gone.meta.max_key);
    let absent = process.reader(gone).unwrap().get(b"no such key", at(1)).unwrap();
    assert!(absent.is_none(), "its tail answers for keys that it never had");
}
