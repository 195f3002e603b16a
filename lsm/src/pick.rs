//! What to merge next: a pure function of what there is.
//!
//! ```text
//! level 0      as they were flushed: any ranges, the newest number holds the newest versions
//! levels 1-5   no two of a level overlap; each a tenth of the one below, those that would be too small stay empty
//! level 6      the bottom: nine tenths of all
//! ```
//!
//! Of one key the version in the shallower level is the newer one. In order of preference a job
//!
//! 1. drops segments of which nothing can be reached any more (history, and rows of tables that were dropped),
//! 2. moves a segment as deep as it overlaps nothing, without rewriting it: ranges that only grow at their end are written once,
//! 3. merges what is too much in its level into the next one, least overlap first,
//! 4. rewrites a segment for the garbage in it.
//!
//! The levels above the bottom hold a ninth of what it holds, level 0 a twentieth of what overlaps: so much can be superseded at most,
//! and garbage adds its own share. docs/rfcs/0015-leveled-compaction-by-a-pure-choice.md has the numbers.

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;

use crate::gone::Gone;
use crate::properties::SegmentProperties;

/// The deepest level.
pub const BOTTOM_LEVEL: u32 = 6;

/// What the choice needs to know about a segment: a part of its manifest row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SegmentMeta {
    /// Rises with every segment that is written: in level 0 the higher number holds the newer versions.
    pub id: u64,
    pub level: u32,
    pub min_key: Vec<u8>,
    pub max_key: Vec<u8>,
    pub bytes: u64,
    pub entries: u64,
    pub tombstones: u64,
    pub min_start: Timestamp,
    pub max_start: Timestamp,
    pub max_end: Timestamp,
    /// [`Policy::horizon`] when it was written by a merge, [`Timestamp::ZERO`] when by a flush: nothing that ended by then is left in it but
    /// for what pins keep. Set it back where a pin goes that lived within the segment's time.
    pub swept: Timestamp,
}

impl SegmentMeta {
    /// Of a segment in `level`.
    #[must_use]
    pub fn new(properties: &SegmentProperties, level: u32, swept: Timestamp) -> Self {
        SegmentMeta {
            id: properties.id,
            level,
            min_key: properties.min_key.clone(),
            max_key: properties.max_key.clone(),
            bytes: properties.bytes,
            entries: properties.entries,
            tombstones: properties.tombstones,
            min_start: properties.min_start,
            max_start: properties.max_start,
            max_end: properties.max_end,
            swept,
        }
    }
}

/// What segments hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Current rows: of a key only the newest version counts, and where it is a tombstone and nothing older lies below, not even that.
    Live,
    /// Displaced versions: all of a key count that somebody may ask for.
    History,
}

/// How segments are merged. The same for all of one set of segments.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the segments hold.
    pub contents: Contents,
    /// Whether something older lies below the bottom, a parent branch: tombstones stay then.
    pub parent: bool,
    /// Segments in level 0 from which on they are merged (default 4): so many a look-up asks.
    pub l0_count: usize,
    /// How many times larger than the level above a level is (default 10).
    pub ratio: u64,
    /// The size that merges cut segments at, in bytes (default 64 MiB). One of a quarter and more is worth moving as it is.
    pub segment_bytes: u64,
    /// The least size of a level between 0 and the bottom, in bytes, times `ratio` (default 256 MiB): below it there is none.
    pub base_bytes: u64,
    /// How much a job reads of level 0 at most, in bytes (default 1 GiB), unless a single segment is larger.
    pub max_job_bytes: u64,
    /// The share of garbage in a segment that makes it worth rewriting, in percent (default 15).
    pub garbage_percent: u64,
    /// What ended at or before this can't be asked for, but for what pins keep.
    pub horizon: Timestamp,
    /// Moments before the horizon that can be asked for, ascending.
    pub pins: Vec<Timestamp>,
    /// Live rows: ranges that were removed at once. One whose end lies before the horizon is taken out of segments that a merge has not swept
    /// since.
    pub gone: Vec<Gone>,
}

impl Policy {
    /// The defaults.
    #[must_use]
    pub fn new(contents: Contents) -> Self {
        Policy {
            contents,
            parent: false,
            l0_count: 4,
            ratio: 10,
            segment_bytes: 64 << 20,
            base_bytes: 256 << 20,
            max_job_bytes: 1 << 30,
            garbage_percent: 15,
            horizon: Timestamp::ZERO,
            pins: Vec::new(),
            gone: Vec::new(),
        }
    }
}

/// Something to do. What comes of it is one edit of the manifest: the inputs go, the outputs come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Nothing in these segments can be reached.
    Drop {
        /// Their numbers.
        segments: Vec<u64>,
    },
    /// A segment goes to a deeper level as it is; only its row changes.
    Move {
        /// Its number.
        segment: u64,
        /// Where to.
        level: u32,
    },
    /// Segments are merged into new ones.
    Merge {
        /// Their numbers.
        segments: Vec<u64>,
        /// The level of what comes of them.
        level: u32,
        /// Nothing older than they have lies anywhere: tombstones can go.
        bottom: bool,
    },
}

/// The most useful thing to do, if there is any. Deterministic. Doing it and asking again comes to an end, as long as no segments are
/// added and the horizon stays. Costs time in proportion to the segments, squared for those of level 0.
#[must_use]
pub fn pick(segments: &[SegmentMeta], policy: &Policy) -> Option<Job> {
    let state = State::new(segments, policy);
    state.unreachable().or_else(|| state.movable()).or_else(|| state.overfull()).or_else(|| state.garbage())
}

/// How much of a history segment is garbage, 0 to 1, as far as its times tell: as if versions ended evenly between the time it was swept
/// and the last end in it.
#[must_use]
pub fn expired_share(segment: &SegmentMeta, horizon: Timestamp) -> f64 {
    let from = segment.min_start.max(segment.swept).as_micros();
    let (end, horizon) = (segment.max_end.as_micros(), horizon.as_micros());
    if horizon <= from || end <= from {
        return 0.0;
    }
    ((horizon - from) as f64 / (end - from) as f64).min(1.0)
}

/// Keys from the first to the last, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hull<'a> {
    min: &'a [u8],
    max: &'a [u8],
}

impl<'a> Hull<'a> {
    fn of(segment: &'a SegmentMeta) -> Self {
        Hull { min: &segment.min_key, max: &segment.max_key }
    }

    fn with(self, other: Hull<'a>) -> Hull<'a> {
        Hull { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    fn overlaps(&self, segment: &SegmentMeta) -> bool {
        self.min <= segment.max_key.as_slice() && segment.min_key.as_slice() <= self.max
    }
}

struct State<'a> {
    policy: &'a Policy,
    /// By level: 0 by number, the others by key.
    levels: Vec<Vec<&'a SegmentMeta>>,
    bytes: Vec<u64>,
    /// Where what leaves level 0 goes: the highest level, unless something is on its way down, which is not overtaken.
    base: u32,
    /// The shallowest level below 0 that is not to be empty.
    highest: u32,
    /// The largest level's size.
    largest: u64,
}

impl<'a> State<'a> {
    fn new(segments: &'a [SegmentMeta], policy: &'a Policy) -> Self {
        let mut levels = vec![Vec::new(); BOTTOM_LEVEL as usize + 1];
        for segment in segments {
            levels[segment.level.min(BOTTOM_LEVEL) as usize].push(segment);
        }
        levels[0].sort_by_key(|segment| segment.id);
        for level in &mut levels[1..] {
            level.sort_by(|a, b| a.min_key.cmp(&b.min_key).then(a.id.cmp(&b.id)));
        }
        let bytes: Vec<u64> =
            levels.iter().map(|level| level.iter().map(|segment| segment.bytes).sum()).collect();
        let largest = bytes[1..].iter().copied().max().unwrap_or(0);
        let (mut highest, mut size) = (BOTTOM_LEVEL, largest);
        while size > policy.base_bytes && highest > 1 {
            highest -= 1;
            size /= policy.ratio.max(2);
        }
        let shallowest = (1..=BOTTOM_LEVEL).find(|&level| !levels[level as usize].is_empty());
        let base = shallowest.unwrap_or(BOTTOM_LEVEL).min(highest);
        State { policy, levels, bytes, base, highest, largest }
    }

    fn level(&self, level: u32) -> &[&'a SegmentMeta] {
        &self.levels[level as usize]
    }

    fn overlapping(&self, level: u32, hull: Hull<'_>) -> impl Iterator<Item = &'a SegmentMeta> {
        let all = self.level(level);
        // Below level 0 none overlaps another, so that last keys ascend as first keys do.
        let from =
            if level == 0 { 0 } else { all.partition_point(|segment| segment.max_key.as_slice() < hull.min) };
        let to = if level == 0 {
            all.len()
        } else {
            all.partition_point(|segment| segment.min_key.as_slice() <= hull.max)
        };
        let near = all.get(from..to).unwrap_or_default();
        near.iter().copied().filter(move |segment| hull.overlaps(segment))
    }

    fn nothing_below(&self, level: u32, hull: Hull<'_>) -> bool {
        (level + 1..=BOTTOM_LEVEL).all(|below| self.overlapping(below, hull).next().is_none())
    }

    /// Segments all of whose versions ended before the horizon, and between pins.
    fn unreachable(&self) -> Option<Job> {
        let end = |segment: &SegmentMeta| match self.policy.contents {
            Contents::History => Some(segment.max_end),
            Contents::Live => {
                let all = self.policy.gone.iter().filter(|gone| gone.is_all_of(segment));
                all.map(|gone| gone.at).min()
            }
        };
        let gone = |segment: &&&SegmentMeta| {
            let pins = &self.policy.pins;
            let next = pins.get(pins.partition_point(|&pin| pin < segment.min_start));
            end(segment).is_some_and(|end| end <= self.policy.horizon && next.is_none_or(|&pin| pin >= end))
        };
        let segments: Vec<u64> =
            self.levels.iter().flatten().filter(gone).map(|segment| segment.id).collect();
        (!segments.is_empty()).then_some(Job::Drop { segments })
    }

    /// Whether a live segment has rows of a range that is gone and out of reach.
    fn has_gone(&self, segment: &SegmentMeta) -> bool {
        let sweeps = |gone: &&Gone| gone.at <= self.policy.horizon && segment.swept < gone.at;
        // Level 0 is in the order of its numbers, and a rewritten segment has a new one.
        segment.level > 0 && self.policy.gone.iter().filter(sweeps).any(|gone| gone.is_some_of(segment))
    }

    /// How deep a segment can go without meeting another.
    fn depth(&self, segment: &SegmentMeta) -> u32 {
        let hull = Hull::of(segment);
        let older = |other: &&&SegmentMeta| other.id < segment.id && hull.overlaps(other);
        let overtakes = segment.level == 0 && self.level(0).iter().any(|other| older(&other));
        if overtakes && !weakened("older-segment-overtaken") {
            return 0;
        }
        let free = |level: &u32| self.overlapping(*level, hull).next().is_none();
        let deepest = (segment.level + 1..=BOTTOM_LEVEL).take_while(free).last();
        // A level that is to be empty would only hand it on.
        deepest.filter(|&level| level >= self.highest).unwrap_or(segment.level)
    }

    fn movable(&self) -> Option<Job> {
        let large = |segment: &&&SegmentMeta| segment.bytes >= self.policy.segment_bytes / 4;
        let above = self.levels[..BOTTOM_LEVEL as usize].iter().flatten();
        above.filter(large).find_map(|segment| {
            let level = self.depth(segment);
            (level > segment.level).then_some(Job::Move { segment: segment.id, level })
        })
    }

    /// How much fuller than it should be a level is: from 1 on something has to go.
    fn score(&self, level: u32) -> f64 {
        let bytes = self.bytes[level as usize];
        if level == 0 {
            let count = self.level(0).len() as f64 / self.policy.l0_count.max(1) as f64;
            let share = self.overlapping_l0() as f64 * 20.0 / self.largest.max(1) as f64;
            return if self.policy.contents == Contents::Live { count.max(share) } else { count };
        }
        if level < self.highest {
            return bytes as f64;
        }
        let depth = BOTTOM_LEVEL - level;
        let target = self.largest / self.policy.ratio.max(2).saturating_pow(depth);
        bytes as f64 / target.max(1) as f64
    }

    /// Bytes of level 0 that may supersede something.
    fn overlapping_l0(&self) -> u64 {
        let level = self.level(0);
        let meets = |segment: &&&SegmentMeta| {
            let hull = Hull::of(segment);
            level.iter().any(|other| other.id != segment.id && hull.overlaps(other))
                || !self.nothing_below(0, hull)
        };
        // A tombstone is garbage together with what it hides.
        let weight = |segment: &&SegmentMeta| {
            let doubled = u128::from(segment.bytes) * u128::from(segment.tombstones);
            segment.bytes + u64::try_from(doubled / u128::from(segment.entries.max(1))).unwrap_or(0)
        };
        level.iter().filter(meets).map(weight).sum()
    }

    fn overfull(&self) -> Option<Job> {
        let scores = (0..BOTTOM_LEVEL).map(|level| (level, self.score(level)));
        let full = scores.filter(|&(level, score)| score >= 1.0 && !self.level(level).is_empty());
        let (level, _) = full.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        if level == 0 {
            return self.merge_l0();
        }
        // Least to rewrite for what gets out of the way.
        let cost = |segment: &&SegmentMeta| {
            let below: u64 = self.overlapping(level + 1, Hull::of(segment)).map(|below| below.bytes).sum();
            (u128::from(below) << 32) / u128::from(segment.bytes.max(1))
        };
        let segment = self.level(level).iter().copied().min_by_key(|segment| (cost(segment), segment.id))?;
        Some(self.merge(vec![segment], level + 1))
    }

    /// The oldest segment of level 0, all that overlap it, and neighbours that cost nothing more.
    fn merge_l0(&self) -> Option<Job> {
        let oldest = *self.level(0).first()?;
        let mut inputs = self.cluster(oldest);
        let reach = |hull: Hull<'a>| self.overlapping(self.base, hull).count();
        for &segment in self.level(0) {
            if inputs.iter().any(|input| input.id == segment.id) {
                continue;
            }
            let more = self.cluster(segment);
            let (old, new) = (hull_of(&inputs)?, hull_of(&more)?);
            let crossed = |other: &&&SegmentMeta| {
                old.with(new).overlaps(other) && !inputs.iter().chain(&more).any(|input| input.id == other.id)
            };
            let total = size_of_all(&inputs) + size_of_all(&more);
            let apart = !more.iter().any(|one| inputs.iter().any(|input| input.id == one.id));
            if apart
                && total <= self.policy.max_job_bytes
                && reach(old.with(new)) <= reach(old)
                && !self.level(0).iter().any(|other| crossed(&other))
            {
                inputs.extend(more);
            }
        }
        Some(self.merge(inputs, self.base))
    }

    /// A segment of level 0 with all that overlap it or each other, the oldest first, as far as a job may read.
    fn cluster(&self, segment: &'a SegmentMeta) -> Vec<&'a SegmentMeta> {
        let mut hull = Hull::of(segment);
        loop {
            let grown = self.overlapping(0, hull).fold(hull, |hull, other| hull.with(Hull::of(other)));
            if grown == hull {
                break;
            }
            hull = grown;
        }
        let mut total = 0;
        let within = |other: &&SegmentMeta| {
            total += other.bytes;
            total == other.bytes || total <= self.policy.max_job_bytes
        };
        self.overlapping(0, hull).take_while(within).collect()
    }

    /// The job that brings `inputs`, which lie above, to `level`.
    fn merge(&self, mut inputs: Vec<&'a SegmentMeta>, level: u32) -> Job {
        let Some(mut hull) = hull_of(&inputs) else { return Job::Drop { segments: Vec::new() } };
        let added: Vec<&SegmentMeta> = self.overlapping(level, hull).collect();
        if !weakened("overlapped-segment-left-out") {
            inputs.extend(&added);
        }
        hull = added.iter().fold(hull, |hull, added| hull.with(Hull::of(added)));
        self.add_small_neighbours(&mut inputs, &mut hull, level);
        if let [segment] = inputs.as_slice()
            && segment.level < level
        {
            return Job::Move { segment: segment.id, level: self.depth(segment).max(level) };
        }
        self.rewrite(&inputs, hull, level)
    }

    fn rewrite(&self, inputs: &[&SegmentMeta], hull: Hull<'_>, level: u32) -> Job {
        let bottom = !self.policy.parent && self.nothing_below(level, hull);
        Job::Merge { segments: inputs.iter().map(|segment| segment.id).collect(), level, bottom }
    }

    /// Takes in segments beside the hull that are small, and no larger than all there is so far: as often as a segment doubles it is
    /// written anew, not more.
    fn add_small_neighbours(&self, inputs: &mut Vec<&'a SegmentMeta>, hull: &mut Hull<'a>, level: u32) {
        loop {
            let total = size_of_all(inputs);
            let small = |segment: &&SegmentMeta| {
                segment.bytes <= total && segment.bytes + total <= self.policy.segment_bytes
            };
            let peers = self.level(level);
            let before = peers.iter().copied().rfind(|peer| peer.max_key.as_slice() < hull.min).filter(small);
            let after = peers.iter().copied().find(|peer| peer.min_key.as_slice() > hull.max).filter(small);
            let Some(neighbour) = before.or(after) else { return };
            *hull = hull.with(Hull::of(neighbour));
            inputs.push(neighbour);
        }
    }

    /// The segment with the most garbage, if that is much.
    fn garbage(&self) -> Option<Job> {
        let least = self.policy.garbage_percent.max(1) as f64 / 100.0;
        let share = |segment: &SegmentMeta| match self.policy.contents {
            Contents::History => expired_share(segment, self.policy.horizon),
            Contents::Live if self.has_gone(segment) => 1.0,
            Contents::Live if self.policy.parent || segment.level == 0 => 0.0,
            Contents::Live if !self.nothing_below(segment.level, Hull::of(segment)) => 0.0,
            Contents::Live => segment.tombstones as f64 / segment.entries.max(1) as f64,
        };
        let all = self.levels.iter().flatten().map(|&segment| (segment, share(segment)));
        let full = all.filter(|&(_, share)| share >= least);
        let (segment, _) = full.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let (mut inputs, mut hull) = (vec![segment], Hull::of(segment));
        if segment.level > 0 {
            self.add_small_neighbours(&mut inputs, &mut hull, segment.level);
        }
        Some(self.rewrite(&inputs, hull, segment.level))
    }
}

fn hull_of<'a>(segments: &[&'a SegmentMeta]) -> Option<Hull<'a>> {
    segments.iter().map(|segment| Hull::of(segment)).reduce(Hull::with)
}

fn size_of_all(segments: &[&SegmentMeta]) -> u64 {
    segments.iter().map(|segment| segment.bytes).sum()
}
