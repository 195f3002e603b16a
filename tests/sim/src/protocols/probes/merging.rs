//! Live segments flushed, moved and merged as the choice says, judged by all versions: the present, and a moment that is pinned.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::{Result, Timestamp};
use dosql_lsm::{
    Compaction, CompactionOptions, Contents, Found, Job, Kind, MemorySegmentStore, Policy, ReadOptions,
    Segment, SegmentMeta, SegmentReader, SegmentSet, SegmentStore, SegmentWriter, WriteOptions, pick,
};

use super::Tally;

const KEYS: u64 = 120;
const FLUSHES: u64 = 14;
/// The moment that is pinned.
const PIN: u64 = 8_000;

/// Versions of a key, the oldest first: their starts, and whether the row was there.
type Model = BTreeMap<u64, Vec<(u64, bool)>>;

struct World {
    store: Arc<MemorySegmentStore>,
    live: BTreeMap<u64, (SegmentMeta, Arc<SegmentReader>)>,
    history: BTreeMap<u64, (SegmentMeta, Arc<SegmentReader>)>,
    next_id: u64,
    random: u64,
    model: Model,
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn options(id: u64) -> WriteOptions {
    WriteOptions { block_bytes: 120, partition_blocks: 2, ..WriteOptions::new(id) }
}

impl World {
    fn new(seed: u64) -> Self {
        World {
            store: Arc::new(MemorySegmentStore::new()),
            live: BTreeMap::new(),
            history: BTreeMap::new(),
            next_id: 0,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            model: Model::new(),
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) % limit
    }

    fn add(&mut self, segment: &Segment, contents: Contents, level: u32) -> Result<()> {
        let id = segment.properties.id;
        let name = id.to_string();
        self.store.put(&name, &segment.bytes)?;
        let tail = Some(segment.tail().into());
        let size = segment.properties.bytes;
        let reader = SegmentReader::open_with(self.store.clone(), &name, size, tail, ReadOptions::default())?;
        let meta = SegmentMeta::new(&segment.properties, level, Timestamp::ZERO);
        let set = if contents == Contents::Live { &mut self.live } else { &mut self.history };
        set.insert(id, (meta, reader));
        Ok(())
    }

    /// Rows of a stretch of keys leave the tree.
    fn flush(&mut self, flush: u64) -> Result<()> {
        let (from, width) = (self.below(KEYS), 5 + self.below(25));
        self.next_id += 1;
        let mut writer = SegmentWriter::new(options(self.next_id));
        for key in from..from + width {
            if self.below(3) == 0 {
                continue;
            }
            let (start, there) = (flush * 1_000 + key, self.below(4) > 0);
            let (kind, value) =
                if there { (Kind::Put, start.to_be_bytes().to_vec()) } else { (Kind::Tombstone, Vec::new()) };
            writer.add(&key.to_be_bytes(), at(start), Timestamp::MAX, kind, &value)?;
            self.model.entry(key).or_default().push((start, there));
        }
        if writer.entries() == 0 { Ok(()) } else { self.add(&writer.finish()?, Contents::Live, 0) }
    }

    /// Does all that there is to do, and looks at everything after each job.
    fn settle(&mut self) -> Result<Vec<String>> {
        let policy =
            Policy { segment_bytes: 500, base_bytes: 400, l0_count: 3, ..Policy::new(Contents::Live) };
        for _ in 0..200 {
            let metas: Vec<SegmentMeta> = self.live.values().map(|(meta, _)| meta.clone()).collect();
            match pick(&metas, &policy) {
                None => return Ok(Vec::new()),
                Some(Job::Move { segment, level }) => {
                    if let Some((meta, _)) = self.live.get_mut(&segment) {
                        meta.level = level;
                    }
                }
                Some(Job::Merge { segments, level, bottom }) => self.merge(&segments, level, bottom)?,
                Some(Job::Drop { .. }) => return Ok(vec!["live rows expired".to_owned()]),
            }
            let mistakes = self.judge()?;
            if !mistakes.is_empty() {
                return Ok(mistakes);
            }
        }
        Ok(vec!["merging comes to no end".to_owned()])
    }

    fn merge(&mut self, inputs: &[u64], level: u32, bottom: bool) -> Result<()> {
        let readers = inputs.iter().filter_map(|id| self.live.remove(id)).map(|(_, reader)| reader).collect();
        let merging = CompactionOptions {
            segment_bytes: 500,
            write: options(0),
            ..CompactionOptions::new(Contents::Live, bottom)
        };
        let mut compaction = Compaction::new(readers, merging);
        let pinned = |_: &[u8], start: Timestamp, end: Timestamp| start <= at(PIN) && at(PIN) < end;
        while !compaction.is_finished() {
            compaction.step(200, &pinned, &mut || {
                self.next_id += 1;
                self.next_id
            })?;
        }
        for output in compaction.take_outputs() {
            let level = if output.contents == Contents::Live { level } else { 0 };
            self.add(&output.segment, output.contents, level)?;
        }
        Ok(())
    }

    /// What is found of a key at a moment, in history and among live rows.
    fn find(&self, key: u64, moment: Timestamp) -> Result<Option<(u64, bool)>> {
        let set = |all: &BTreeMap<u64, (SegmentMeta, Arc<SegmentReader>)>| {
            SegmentSet::new(all.values().map(|(meta, _)| meta.clone()))
        };
        let key = key.to_be_bytes();
        let present = set(&self.live).newest(&key, moment, &mut |meta| Ok(self.live[&meta.id].1.clone()))?;
        let past =
            set(&self.history).living(&key, moment, &mut |meta| Ok(self.history[&meta.id].1.clone()))?;
        let told = |found: Found| (found.start.as_micros(), found.kind == Kind::Put);
        Ok(present.map(told).max(past.map(told)))
    }

    fn judge(&self) -> Result<Vec<String>> {
        let mut mistakes = Vec::new();
        for (key, versions) in &self.model {
            for moment in [PIN, u64::MAX - 1] {
                let wanted = versions.iter().rev().find(|(start, _)| *start <= moment);
                let wanted = wanted.filter(|(_, there)| *there).copied();
                let found = self.find(*key, at(moment))?.filter(|(_, there)| *there);
                if found != wanted {
                    mistakes.push(format!("key {key} at {moment}: {found:?}, not {wanted:?}"));
                }
            }
        }
        // Nothing is kept that nobody can ask for.
        for (meta, _) in self.history.values() {
            if meta.max_end == Timestamp::MAX {
                mistakes.push("a superseded version has no end".to_owned());
            }
        }
        Ok(mistakes)
    }
}

pub(super) fn merges(tally: &mut Tally) {
    for seed in 1..=40 {
        let run = || {
            let mut world = World::new(seed);
            let work = |world: &mut World| -> Result<Vec<String>> {
                for flush in 1..=FLUSHES {
                    world.flush(flush)?;
                    let mistakes = if world.below(3) == 0 { world.settle()? } else { Vec::new() };
                    if !mistakes.is_empty() {
                        return Ok(mistakes);
                    }
                }
                world.judge()
            };
            work(&mut world).unwrap_or_else(|error| vec![format!("{error:?}")])
        };
        if !tally.case(|| format!("seed {seed}"), run) {
            return;
        }
    }
}
