//! The choice of merges, over simulated segments: it ends, it keeps newer above older, and what it leaves is small.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use dosql_base::Timestamp;
use dosql_lsm::{BOTTOM_LEVEL, Contents, Gone, Job, Policy, SegmentMeta, pick};

const ROW: u64 = 100;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A row's start and end, and whether it is there. Live rows have no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    end: u64,
    present: bool,
}

/// By key, newest first.
type Rows = BTreeMap<(u64, std::cmp::Reverse<u64>), Version>;

/// Segments without bytes.
struct World {
    segments: BTreeMap<u64, (SegmentMeta, Rows)>,
    policy: Policy,
    next_id: u64,
    written: u64,
    jobs: u64,
}

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

impl World {
    fn new(policy: Policy) -> Self {
        World { segments: BTreeMap::new(), policy, next_id: 1, written: 0, jobs: 0 }
    }

    fn add(&mut self, rows: Rows, level: u32, swept: Timestamp) {
        let (Some((first, _)), Some((last, _))) = (rows.first_key_value(), rows.last_key_value()) else {
            return;
        };
        let starts = || rows.keys().map(|(_, start)| start.0);
        let meta = SegmentMeta {
            id: self.next_id,
            level,
            min_key: key(first.0),
            max_key: key(last.0),
            bytes: rows.len() as u64 * ROW,
            entries: rows.len() as u64,
            tombstones: rows.values().filter(|version| !version.present).count() as u64,
            min_start: at(starts().min().unwrap()),
            max_start: at(starts().max().unwrap()),
            max_end: at(rows.values().map(|version| version.end).max().unwrap()),
            swept,
        };
        self.segments.insert(self.next_id, (meta, rows));
        self.next_id += 1;
    }

    fn flush(&mut self, rows: Rows) {
        self.add(rows, 0, Timestamp::ZERO);
    }

    fn metas(&self) -> Vec<SegmentMeta> {
        self.segments.values().map(|(meta, _)| meta.clone()).collect()
    }

    fn bytes(&self) -> u64 {
        self.segments.values().map(|(meta, _)| meta.bytes).sum()
    }

    fn retains(&self, start: u64, end: u64) -> bool {
        let pinned = self.policy.pins.iter().any(|pin| start <= pin.as_micros() && pin.as_micros() < end);
        end > self.policy.horizon.as_micros() || pinned
    }

    /// Does all there is to do.
    fn settle(&mut self) {
        for _ in 0..2_000 {
            let metas = self.metas();
            let Some(job) = pick(&metas, &self.policy) else { return };
            self.jobs += 1;
            self.carry_out(job);
            // Every state in small worlds, some in large ones.
            if self.segments.len() < 40 || self.jobs.is_multiple_of(16) {
                self.check();
            }
        }
        panic!("it goes on for ever: {:?}", pick(&self.metas(), &self.policy));
    }

    fn carry_out(&mut self, job: Job) {
        match job {
            Job::Drop { segments } => {
                for id in segments {
                    let (_, rows) = self.segments.remove(&id).unwrap();
                    let gone = self.policy.gone.first().map_or(u64::MAX, |gone| gone.at.as_micros());
                    let end = |version: &Version| version.end.min(gone);
                    assert!(rows.iter().all(|((_, start), version)| !self.retains(start.0, end(version))));
                }
            }
            Job::Move { segment, level } => {
                let (meta, _) = self.segments.get_mut(&segment).unwrap();
                assert!(meta.level < level && level <= BOTTOM_LEVEL);
                meta.level = level;
            }
            Job::Merge { segments, level, bottom } => {
                let mut all = Rows::new();
                for id in segments {
                    all.extend(self.segments.remove(&id).unwrap().1);
                }
                let gone = self.policy.gone.clone();
                let is_gone = |number: u64, start: u64| {
                    gone.iter()
                        .any(|gone| gone.from <= key(number) && key(number) < gone.to && at(start) < gone.at)
                };
                let mut rows = self.merged(all, bottom);
                rows.retain(|(number, start), _| !is_gone(*number, start.0));
                let per_segment = (self.policy.segment_bytes / ROW) as usize;
                let rows: Vec<_> = rows.into_iter().collect();
                self.written += rows.len() as u64 * ROW;
                let mut rest = rows.as_slice();
                while !rest.is_empty() {
                    // Versions of a key stay together.
                    let mut cut = per_segment.min(rest.len());
                    while cut < rest.len() && rest[cut].0.0 == rest[cut - 1].0.0 {
                        cut += 1;
                    }
                    let horizon = self.policy.horizon;
                    self.add(rest[..cut].iter().copied().collect(), level, horizon);
                    rest = &rest[cut..];
                }
            }
        }
    }

    fn merged(&self, all: Rows, bottom: bool) -> Rows {
        let mut merged = Rows::new();
        let mut last = None;
        for ((key, start), version) in all {
            let newest = last.replace(key) != Some(key);
            let kept = match self.policy.contents {
                Contents::Live => newest && (version.present || !bottom),
                Contents::History => self.retains(start.0, version.end),
            };
            if kept {
                merged.insert((key, start), version);
            }
        }
        merged
    }

    /// Below level 0 nothing overlaps; what lies above is newer.
    fn check(&self) {
        let metas = self.metas();
        for a in metas.iter().filter(|meta| meta.level > 0) {
            for b in metas.iter().filter(|b| b.level == a.level && b.id != a.id) {
                assert!(a.max_key < b.min_key || b.max_key < a.min_key, "{a:?} overlaps {b:?}");
            }
        }
        if self.policy.contents == Contents::Live {
            let mut order: Vec<&(SegmentMeta, Rows)> = self.segments.values().collect();
            order.sort_by_key(|(meta, _)| (meta.level, std::cmp::Reverse(meta.id)));
            let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
            for (meta, rows) in order {
                for (key, start) in rows.keys() {
                    let above = seen.entry(*key).or_insert(start.0);
                    assert!(*above >= start.0, "key {key} is older above {meta:?}");
                }
            }
        }
    }

    /// What a reader of the present finds.
    fn present(&self) -> BTreeMap<u64, u64> {
        let mut newest: BTreeMap<u64, (u64, bool)> = BTreeMap::new();
        for ((key, start), version) in self.segments.values().flat_map(|(_, rows)| rows) {
            let held = newest.entry(*key).or_insert((start.0, version.present));
            if start.0 > held.0 {
                *held = (start.0, version.present);
            }
        }
        newest.into_iter().filter(|(_, held)| held.1).map(|(key, held)| (key, held.0)).collect()
    }
}

fn policy(contents: Contents) -> Policy {
    // Levels of tens of segments, as for hundreds of gigabytes.
    Policy { segment_bytes: 200 * ROW, base_bytes: 1_000 * ROW, ..Policy::new(contents) }
}

fn live_row(key: u64, start: u64, present: bool) -> ((u64, std::cmp::Reverse<u64>), Version) {
    ((key, std::cmp::Reverse(start)), Version { end: u64::MAX, present })
}

/// Updates all over `keys`, `flushes` times; how much more than the live rows is stored at worst, and how often a row is written.
fn churn(keys: u64, flushes: u64, deletes: u32, seed: u64) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new(policy(Contents::Live));
    let mut model: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut worst, mut flushed) = (0.0f64, 0);
    for flush in 0..flushes {
        let first = flush == 0;
        let numbers: Vec<u64> =
            if first { (0..keys).collect() } else { (0..150).map(|_| random.u64(..keys)).collect() };
        let mut rows: BTreeMap<u64, bool> = BTreeMap::new();
        for number in numbers {
            rows.insert(number, first || random.u32(..100) >= deletes);
        }
        flushed += rows.len() as u64 * ROW;
        for (&number, &present) in &rows {
            if present {
                model.insert(number, flush + 1)
            } else {
                model.remove(&number)
            };
        }
        world.flush(rows.into_iter().map(|(number, present)| live_row(number, flush + 1, present)).collect());
        world.settle();
        assert_eq!(world.present(), model);
        if flush * 10 > flushes {
            worst = worst.max(world.bytes() as f64 / (model.len() as u64 * ROW) as f64);
        }
    }
    (worst, world.written as f64 / flushed as f64)
}

#[test]
fn what_updates_supersede_is_less_than_a_fifth_of_what_lives() {
    for (keys, seed) in [(20_000, 1), (5_000, 2)] {
        let (amplification, rewritten) = churn(keys, 200, 0, seed);
        assert!(amplification < 1.2, "{amplification:.3} times the live rows, {keys} keys");
        assert!(rewritten < 10.0, "{rewritten:.1} times written, {keys} keys");
    }
}

#[test]
fn deleted_rows_go_with_their_tombstones() {
    let (amplification, _) = churn(8_000, 200, 50, 3);
    assert!(amplification < 1.2, "{amplification:.3} times the live rows");
    // All is deleted in the end: nothing stays.
    let mut world = World::new(policy(Contents::Live));
    world.flush((0..3_000).map(|number| live_row(number, 1, true)).collect());
    world.settle();
    for flush in 0..10 {
        let range = flush * 300..(flush + 1) * 300;
        world.flush(range.map(|number| live_row(number, 2 + flush, false)).collect());
        world.settle();
    }
    assert!(world.present().is_empty());
    assert!(world.bytes() < 400 * ROW, "{} bytes are left of nothing", world.bytes());
}

#[test]
fn tombstones_over_a_parent_stay() {
    let mut world = World::new(Policy { parent: true, ..policy(Contents::Live) });
    for flush in 0..6 {
        world.flush((0..300).map(|number| live_row(number, flush + 1, false)).collect());
        world.settle();
    }
    let tombstones: u64 = world.metas().iter().map(|meta| meta.tombstones).sum();
    assert!((300..=600).contains(&tombstones), "{tombstones}");
}

#[test]
fn ranges_that_grow_at_their_end_are_written_once() {
    let mut world = World::new(policy(Contents::Live));
    // Ten tables, of which each flush extends one.
    for flush in 0..300u64 {
        let table = flush % 10 * 1_000_000;
        let rows = (0..120).map(|i| live_row(table + flush * 120 + i, flush + 1, true));
        world.flush(rows.collect());
        world.settle();
    }
    assert_eq!(world.written, 0, "nothing was rewritten");
    assert!(world.metas().iter().all(|meta| meta.level == BOTTOM_LEVEL));
}

#[test]
fn small_flushes_are_gathered_and_written_a_few_times() {
    let mut world = World::new(policy(Contents::Live));
    for flush in 0..1_000u64 {
        world.flush((0..10).map(|i| live_row(flush * 10 + i, flush + 1, true)).collect());
        world.settle();
    }
    let segments = world.segments.len();
    assert!(segments < 120, "{segments} segments for the bytes of 50");
    let rewritten = world.written as f64 / (10_000 * ROW) as f64;
    assert!(rewritten < 4.0, "{rewritten:.1} times written");
}

#[test]
fn history_beyond_the_horizon_goes_and_what_is_pinned_stays() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut world = World::new(Policy { pins: vec![at(50_500)], ..policy(Contents::History) });
    let mut all = Rows::new();
    let mut last: BTreeMap<u64, u64> = (0..3_000).map(|number| (number, 0)).collect();
    let mut worst = 0.0f64;
    for flush in 1..=250u64 {
        // What this flush displaced; some of it had lived long.
        let mut rows = Rows::new();
        for _ in 0..150 {
            let (number, end) = (random.u64(..3_000), flush * 1_000 + random.u64(..1_000));
            let start = last[&number];
            if start < end {
                rows.insert((number, std::cmp::Reverse(start)), Version { end, present: true });
                last.insert(number, end);
            }
        }
        all.extend(rows.clone());
        world.flush(rows);
        world.policy.horizon = at(flush.saturating_sub(100) * 1_000);
        world.settle();
        let required = all.iter().filter(|((_, start), version)| world.retains(start.0, version.end)).count();
        let stored: Rows = world.segments.values().flat_map(|(_, rows)| rows.clone()).collect();
        assert!(all.iter().all(|(place, version)| {
            !world.retains(place.1.0, version.end) || stored.get(place) == Some(version)
        }));
        if flush > 150 {
            worst = worst.max(world.bytes() as f64 / (required as u64 * ROW) as f64);
        }
    }
    assert!(worst < 1.2, "{worst:.3} times what can be asked for");
    let rewritten = world.written as f64 / (250.0 * 150.0 * ROW as f64);
    assert!(rewritten < 25.0, "{rewritten:.1} times written");
}

#[test]
fn history_that_nobody_can_reach_is_dropped_unread() {
    let mut world = World::new(policy(Contents::History));
    for flush in 0..20u64 {
        let version = |i| {
            (
                (flush * 1_000 + i, std::cmp::Reverse(flush * 100)),
                Version { end: flush * 100 + 50, present: true },
            )
        };
        world.flush((0..100).map(version).collect());
    }
    world.settle();
    world.written = 0;
    world.policy.horizon = at(10_000);
    world.settle();
    assert_eq!((world.segments.len(), world.written), (0, 0));
}

#[test]
fn a_dropped_table_goes_once_nobody_can_ask_for_it() {
    let mut world = World::new(policy(Contents::Live));
    for flush in 0..40u64 {
        world.flush((0..200).map(|i| live_row(flush * 200 + i, flush * 2 + 1, true)).collect());
        // Some of it anywhere.
        world.flush((0..20).map(|i| live_row((i * 397 + flush * 31) % 8_000, flush * 2 + 2, true)).collect());
        world.settle();
    }
    let before = world.bytes();
    let gone = Gone { from: key(2_050), to: key(6_050), at: at(1_000) };
    world.policy.gone = vec![gone.clone()];
    world.settle();
    assert_eq!(world.bytes(), before, "it can still be asked for");
    (world.written, world.policy.horizon) = (0, at(2_000));
    world.settle();
    let left =
        |world: &World| world.present().into_keys().filter(|number| (2_050..6_050).contains(number)).count();
    // What is in level 0 waits for its turn.
    assert!(left(&world) < 60, "{} rows are left", left(&world));
    assert!(world.present().len() >= 4_000);
    assert!(
        world.written < before / 2,
        "most of it was dropped unread: {} of {before} written",
        world.written
    );
    // A table that came after under the same keys stays.
    world.flush((3_000..3_300).map(|number| live_row(number, 3_000, true)).collect());
    world.settle();
    assert!(left(&world) >= 300);
}

#[test]
fn any_state_comes_to_rest() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let contents = if random.bool() { Contents::Live } else { Contents::History };
        let mut world = World::new(Policy {
            parent: random.u32(..4) == 0,
            l0_count: random.usize(1..6),
            ratio: random.u64(2..12),
            segment_bytes: random.u64(5..300) * ROW,
            base_bytes: random.u64(1..3_000) * ROW,
            max_job_bytes: random.u64(1..2_000) * ROW,
            garbage_percent: random.u64(1..60),
            horizon: at(random.u64(..3_000)),
            pins: vec![at(random.u64(..500)), at(random.u64(500..1_000))],
            gone: vec![Gone {
                from: key(random.u64(..2_000)),
                to: key(random.u64(1_000..4_000)),
                at: at(random.u64(..3_000)),
            }],
            ..policy(contents)
        });
        let keys = random.u64(1..4_000);
        for flush in 0..random.u64(1..40) {
            let (from, width) = (random.u64(..keys), random.u64(1..keys + 1));
            let mut rows = Rows::new();
            for _ in 0..random.u64(1..200) {
                let number = from + random.u64(..width);
                let start = flush * 100 + random.u64(..100);
                let end = if contents == Contents::Live { u64::MAX } else { start + random.u64(1..400) };
                let held = rows.range((number, std::cmp::Reverse(u64::MAX))..).next();
                let again = held.is_some_and(|(place, _)| place.0 == number);
                if contents == Contents::History || !again {
                    rows.insert(
                        (number, std::cmp::Reverse(start)),
                        Version { end, present: random.u32(..4) > 0 },
                    );
                }
            }
            world.flush(rows);
            if random.bool() {
                world.settle();
            }
        }
        world.settle();
    }
}
