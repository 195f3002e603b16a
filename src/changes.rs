//! A sorted map from keys to new values, made to be filled fast: keys and values lie one after the other in an arena, and
//! short entries that point there are kept in order in a list of chunks.
//!
//! ```text
//! arena    blocks of bytes            key value key value ..   (never moved, so that places stay good)
//! entry    head | key | value         head: the first 16 bytes of the key, big-endian, so that most comparisons touch no arena
//! chunks   [entry ..] [entry ..] ..   each sorted, at most CHUNK long, none empty; heads of their first keys in an array
//! ```
//!
//! Ascending keys go to the end of a chunk, and a full chunk is not split for a key past its end: a load in key order costs a
//! copy. Keys out of order cost two short binary searches and the shift of half a chunk. Where nobody looks meanwhile, they can be
//! added as they come, and sorted in all at once.

use std::cmp::Ordering;
use std::ops::Bound;

use crate::arena::{Arena, Span};

/// The most entries of a chunk: half of them are moved on average by an insert in the middle.
const CHUNK: usize = 128;
/// Entries of a chunk that is made anew with all others: it has room for some more.
const FILL: usize = CHUNK / 4 * 3;
/// Sorting in at least this part of what is there makes all chunks anew, which costs as much as inserting that many one by one.
const MANY_PART: usize = 16;
/// Bytes of replaced values that are never worth tidying up.
const LITTLE_WASTE: usize = 1 << 16;

/// What a transaction does to a key: the new value, or `None` for a delete.
pub(crate) type Change<'a> = Option<&'a [u8]>;

/// A value in the arena, or a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored(Option<Span>);

impl Stored {
    /// The bytes of the value.
    pub(crate) fn len(self) -> usize {
        self.0.map_or(0, Span::len)
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    head: u128,
    key: Span,
    value: Stored,
}

/// The first bytes of a key as a number that orders as they do.
#[inline]
fn head_of(key: &[u8]) -> u128 {
    match key.first_chunk::<16>() {
        Some(head) => u128::from_be_bytes(*head),
        None => {
            let mut head = [0; 16];
            head[..key.len()].copy_from_slice(key);
            u128::from_be_bytes(head)
        }
    }
}

/// Changes in key order.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    arena: Arena,
    chunks: Vec<Vec<Entry>>,
    /// The head of each chunk's first key.
    firsts: Vec<u128>,
    /// Not in the chunks yet, in the order in which they came, but for what was sorted piece by piece.
    unsorted: Vec<Entry>,
    /// So many of them were.
    in_pieces: usize,
    len: usize,
    /// Bytes of the arena that nobody refers to.
    waste: usize,
    /// The chunk that was last inserted into: the next key often goes there too.
    last: usize,
}

/// Sorts entries whose keys are in `arena`; those of one key keep their order.
fn sort_entries(arena: &Arena, entries: &mut [Entry]) {
    let key = |entry: &Entry| arena.get(entry.key);
    entries.sort_by(|a, b| a.head.cmp(&b.head).then_with(|| key(a).cmp(key(b))));
}

/// A place in the order: a chunk, and an entry of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    chunk: usize,
    entry: usize,
}

impl Changes {
    /// How many keys are changed.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn compare(&self, entry: &Entry, head: u128, key: &[u8]) -> Ordering {
        entry.head.cmp(&head).then_with(|| self.arena.get(entry.key).cmp(key))
    }

    /// Whether a key belongs into this chunk, or would be put there.
    #[inline]
    fn belongs(&self, chunk: usize, head: u128, key: &[u8]) -> bool {
        let after_first = |chunk: usize| match (self.firsts.get(chunk), self.chunks.get(chunk)) {
            (Some(first), Some(entries)) => match first.cmp(&head) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => {
                    entries.first().is_some_and(|entry| self.compare(entry, head, key) != Ordering::Greater)
                }
            },
            _ => false,
        };
        after_first(chunk) && !after_first(chunk + 1)
    }

    /// The last chunk whose first key is at or before `key`; the first chunk where there is none.
    #[inline]
    fn chunk_of(&self, head: u128, key: &[u8]) -> usize {
        if self.belongs(self.last, head, key) {
            return self.last;
        }
        let mut after = self.firsts.partition_point(|first| *first < head);
        while self.firsts.get(after) == Some(&head)
            && self.chunks[after]
                .first()
                .is_some_and(|entry| self.compare(entry, head, key) != Ordering::Greater)
        {
            after += 1;
        }
        after.saturating_sub(1)
    }

    /// Where `key` is, or would be.
    #[inline]
    fn locate(&self, key: &[u8]) -> (Place, bool) {
        self.locate_by(head_of(key), key)
    }

    /// As [`Changes::locate`], of a key that begins with `head`: it is looked at only where another begins so too.
    #[inline]
    fn locate_by(&self, head: u128, key: &[u8]) -> (Place, bool) {
        let chunk = self.chunk_of(head, key);
        let Some(entries) = self.chunks.get(chunk) else {
            return (Place { chunk, entry: 0 }, false);
        };
        // Past the end is where ascending keys go.
        if entries.last().is_some_and(|entry| self.compare(entry, head, key) == Ordering::Less) {
            return (Place { chunk, entry: entries.len() }, false);
        }
        match entries.binary_search_by(|entry| self.compare(entry, head, key)) {
            Ok(entry) => (Place { chunk, entry }, true),
            Err(entry) => (Place { chunk, entry }, false),
        }
    }

    #[inline]
    fn value(&self, stored: Stored) -> Change<'_> {
        stored.0.map(|span| self.arena.get(span))
    }

    /// What is done to `key`, if anything.
    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<Change<'_>> {
        if self.is_empty() {
            return None;
        }
        let (place, found) = self.locate(key);
        found.then(|| self.value(self.chunks[place.chunk][place.entry].value))
    }

    pub(crate) fn contains_key(&self, key: &[u8]) -> bool {
        !self.is_empty() && self.locate(key).1
    }

    /// Changes `key`; returns the key as it is kept and what was to be done to it before, both for [`Changes::restore`] where
    /// `keep` is set.
    pub(crate) fn insert(&mut self, key: &[u8], value: Change<'_>, keep: bool) -> (Key, Option<Stored>) {
        let (place, found) = self.locate(key);
        if found {
            let kept = Key(self.chunks[place.chunk][place.entry].key);
            return (kept, Some(self.overwrite(place, value, keep)));
        }
        let entry = self.store(key, value);
        self.insert_entry(place, entry);
        (Key(entry.key), None)
    }

    /// Puts a change into the arena: key and value side by side, in one block where they fit.
    fn store(&mut self, key: &[u8], value: Change<'_>) -> Entry {
        self.arena.room(key.len() + value.map_or(0, <[u8]>::len));
        let key_at = self.arena.add(key);
        let value = Stored(value.map(|value| self.arena.add(value)));
        Entry { head: head_of(key), key: key_at, value }
    }

    /// Changes `key` without finding its place. That is not among what can be looked up before [`Changes::sort`] was called.
    pub(crate) fn append(&mut self, key: &[u8], value: Change<'_>) {
        let entry = self.store(key, value);
        self.unsorted.push(entry);
    }

    /// How many changes were appended and not sorted in.
    pub(crate) fn unsorted(&self) -> usize {
        self.unsorted.len()
    }

    /// Sorts what was appended last among itself, where that is so much: then [`Changes::sort`], which may have to sort much more, only has to
    /// merge it.
    pub(crate) fn sort_piece(&mut self, piece: usize) {
        if let Some(last) = self.unsorted.get_mut(self.in_pieces..).filter(|last| last.len() >= piece) {
            sort_entries(&self.arena, last);
            self.in_pieces = self.unsorted.len();
        }
    }

    /// Sorts in what was appended. Of several changes of a key the last one stands.
    pub(crate) fn sort(&mut self) {
        let mut unsorted = std::mem::take(&mut self.unsorted);
        self.in_pieces = 0;
        sort_entries(&self.arena, &mut unsorted);
        if unsorted.len() > self.len / MANY_PART {
            self.make_anew(unsorted);
            return;
        }
        for entry in unsorted.drain(..) {
            let (place, found) = self.locate_by(entry.head, self.arena.get(entry.key));
            if found {
                self.chunks[place.chunk][place.entry].value = entry.value;
            } else {
                self.insert_entry(place, entry);
            }
        }
        self.unsorted = unsorted;
    }

    /// Makes all chunks anew, of what is in them and of sorted entries.
    fn make_anew(&mut self, mut sorted: Vec<Entry>) {
        let mut all: Vec<Entry> = self.chunks.drain(..).flatten().collect();
        all.append(&mut sorted);
        // What is sorted in parts is merged.
        sort_entries(&self.arena, &mut all);
        all.dedup_by(|later, kept| {
            let same = later.head == kept.head && self.arena.get(later.key) == self.arena.get(kept.key);
            if same {
                kept.value = later.value;
            }
            same
        });
        (self.len, self.last) = (all.len(), 0);
        self.firsts = all.iter().step_by(FILL).map(|entry| entry.head).collect();
        self.chunks = all.chunks(FILL).map(<[Entry]>::to_vec).collect();
    }

    fn overwrite(&mut self, place: Place, value: Change<'_>, keep: bool) -> Stored {
        let before = self.chunks[place.chunk][place.entry].value;
        let stored = match (value, before.0) {
            (Some(value), Some(span)) if !keep && value.len() <= span.len() => {
                self.waste += span.len() - value.len();
                Stored(Some(self.arena.replace(span, value)))
            }
            (value, _) => {
                self.waste += before.len();
                Stored(value.map(|value| self.arena.add(value)))
            }
        };
        self.chunks[place.chunk][place.entry].value = stored;
        before
    }

    fn insert_entry(&mut self, place: Place, entry: Entry) {
        let Place { mut chunk, entry: mut at } = place;
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
            self.firsts.push(entry.head);
        }
        if self.chunks[chunk].len() >= CHUNK {
            // Half of them move to a new chunk, or none where the key comes after them all.
            let split = if at == CHUNK { CHUNK } else { CHUNK / 2 };
            let mut upper = Vec::with_capacity(CHUNK);
            upper.extend(self.chunks[chunk].drain(split..));
            let first = upper.first().map_or(entry.head, |entry| entry.head);
            self.chunks.insert(chunk + 1, upper);
            self.firsts.insert(chunk + 1, first);
            if at > split || at == CHUNK {
                (chunk, at) = (chunk + 1, at - split);
            }
        }
        self.chunks[chunk].insert(at, entry);
        if at == 0 {
            self.firsts[chunk] = entry.head;
        }
        self.last = chunk;
    }

    /// Puts back what [`Changes::insert`] returned with `keep` set; returns the bytes of the value that it takes the place of.
    pub(crate) fn restore(&mut self, key: Key, before: Option<Stored>) -> usize {
        let (place, found) = self.locate(self.arena.get(key.0));
        if !found {
            return 0;
        }
        let entries = &mut self.chunks[place.chunk];
        let undone = entries[place.entry].value.len();
        match before {
            Some(before) => {
                entries[place.entry].value = before;
                self.waste = self.waste.saturating_sub(before.len());
            }
            None => {
                entries.remove(place.entry);
                self.len -= 1;
                match entries.first() {
                    Some(first) => self.firsts[place.chunk] = first.head,
                    None => {
                        self.chunks.remove(place.chunk);
                        self.firsts.remove(place.chunk);
                    }
                }
                self.waste += key.len();
            }
        }
        self.waste += undone;
        undone
    }

    /// Copies what is still used into a new arena where much is not. Invalidates what is kept to be restored.
    pub(crate) fn tidy(&mut self) {
        let held: usize = self.arena.held();
        if self.waste <= LITTLE_WASTE || self.waste <= held / 2 {
            return;
        }
        let mut arena = Arena::with_room(held - self.waste.min(held));
        for entry in self.chunks.iter_mut().flatten() {
            entry.key = arena.add(self.arena.get(entry.key));
            entry.value = Stored(entry.value.0.map(|span| arena.add(self.arena.get(span))));
        }
        self.arena = arena;
        self.waste = 0;
    }

    /// All changes in key order.
    pub(crate) fn iter(&self) -> Range<'_> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The changed keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(|(key, _)| key)
    }

    /// The changes within bounds; none where they contradict each other.
    pub(crate) fn range(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Range<'_> {
        let from = match start {
            Bound::Unbounded => Place { chunk: 0, entry: 0 },
            Bound::Included(key) => self.locate(key).0,
            Bound::Excluded(key) => self.past(key),
        };
        let to = match end {
            Bound::Unbounded => Place { chunk: self.chunks.len(), entry: 0 },
            Bound::Included(key) => self.past(key),
            Bound::Excluded(key) => self.locate(key).0,
        };
        Range { changes: self, from, to }
    }

    /// The place after `key`.
    fn past(&self, key: &[u8]) -> Place {
        let (mut place, found) = self.locate(key);
        place.entry += usize::from(found);
        place
    }

    fn entry_at(&self, place: Place) -> Option<(&[u8], Change<'_>)> {
        let entry = self.chunks.get(place.chunk)?.get(place.entry)?;
        Some((self.arena.get(entry.key), self.value(entry.value)))
    }
}

/// A key in the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key(Span);

impl Key {
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }
}

/// Changes in key order, from either end.
#[derive(Clone, Debug)]
pub(crate) struct Range<'a> {
    changes: &'a Changes,
    from: Place,
    to: Place,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], Change<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        if self.changes.chunks.get(self.from.chunk).is_some_and(|chunk| self.from.entry >= chunk.len()) {
            self.from = Place { chunk: self.from.chunk + 1, entry: 0 };
            if self.from >= self.to {
                return None;
            }
        }
        let item = self.changes.entry_at(self.from)?;
        self.from.entry += 1;
        Some(item)
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        if self.to.entry == 0 {
            let chunk = self.to.chunk.checked_sub(1)?;
            self.to = Place { chunk, entry: self.changes.chunks[chunk].len() };
            if self.from >= self.to {
                return None;
            }
        }
        self.to.entry -= 1;
        self.changes.entry_at(self.to)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Model = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn check(changes: &Changes, model: &Model) {
        assert_eq!(changes.len(), model.len());
        let want: Vec<_> = model.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        assert_eq!(changes.iter().collect::<Vec<_>>(), want);
        let mut back: Vec<_> = changes.iter().rev().collect();
        back.reverse();
        assert_eq!(back, want);
    }

    fn key(random: &mut fastrand::Rng, wide: bool) -> Vec<u8> {
        // Few heads, so that whole keys are compared too; and short keys, some of them prefixes of others.
        if wide {
            return random.u64(..).to_be_bytes().to_vec();
        }
        let mut key = b"a common head".to_vec();
        key.truncate(random.usize(6..=13));
        key.extend_from_slice(&random.u16(..2000).to_be_bytes());
        key
    }

    #[test]
    fn what_is_appended_in_any_order_is_found_once_it_is_sorted_in() {
        for wide in [false, true] {
            let mut random = fastrand::Rng::with_seed(7);
            let (mut changes, mut model) = (Changes::default(), Model::new());
            for round in 1..=20 {
                for n in 0..random.usize(..round * 20) {
                    let (key, value) = (key(&mut random, wide), (n % 5 != 0).then(|| vec![n as u8; n % 50]));
                    changes.append(&key, value.as_deref());
                    model.insert(key, value);
                    changes.sort_piece(random.usize(1..100));
                }
                changes.sort();
                assert_eq!(changes.unsorted(), 0);
                check(&changes, &model);
            }
        }
    }

    #[test]
    fn it_is_a_sorted_map_with_ranges_from_both_ends_and_undo() {
        for seed in 0..30 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut changes, mut model) = (Changes::default(), Model::new());
            for step in 0..4000u32 {
                let key = if seed % 3 == 0 {
                    (step / 2).to_be_bytes().to_vec()
                } else {
                    key(&mut random, seed % 3 == 1)
                };
                let value = random.bool().then(|| vec![step as u8; random.usize(..40)]);
                let before = model.insert(key.clone(), value.clone());
                let keep = random.bool();
                let (place, held) = changes.insert(&key, value.as_deref(), keep);
                assert_eq!(held.map(Stored::len), before.as_ref().map(|v| v.as_ref().map_or(0, Vec::len)));
                if keep && random.u8(..4) == 0 {
                    changes.restore(place, held);
                    match before {
                        Some(before) => model.insert(key.clone(), before),
                        None => model.remove(&key),
                    };
                }
                assert_eq!(changes.get(&key).map(|v| v.map(<[u8]>::to_vec)), model.get(&key).cloned());
                changes.tidy();
            }
            check(&changes, &model);
            for _ in 0..200 {
                let (a, b) = (key(&mut random, seed % 3 == 1), key(&mut random, seed % 3 == 1));
                let bounds = (Bound::Excluded(a.as_slice()), Bound::Included(b.as_slice()));
                let found: Vec<_> = changes.range(bounds.0, bounds.1).map(|(key, _)| key.to_vec()).collect();
                let want: Vec<_> = if a < b {
                    model.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect()
                } else {
                    Vec::new()
                };
                assert_eq!(found, want, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_key_that_is_changed_again_and_again_does_not_grow_the_arena_for_ever() {
        let mut changes = Changes::default();
        for n in 0..100_000usize {
            changes.insert(b"key", Some(&[7; 100][..n % 100]), true);
            changes.tidy();
        }
        let held: usize = changes.arena.capacity();
        assert!(held < 4 * LITTLE_WASTE, "{held}");
    }
}
