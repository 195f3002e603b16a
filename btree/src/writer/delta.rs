//! Changing an entry of a leaf by a delta beside its image ([`crate::deltas`]), instead of in a copy of the leaf.

use dosql_base::Timestamp;
use dosql_base::sync::atomic::Ordering;

use super::PageWriter;
use crate::deltas::{Change, Delta, Deltas, HEAP};
use crate::page::format::{SLOT, SLOTS_AT};
use crate::page::leaf::{Kind, LeafValue, Prelude};
use crate::page::node::{Node, rest_len};
use crate::snapshot::delta_entry;
use crate::table::Image;
use crate::{Entry, Was};

/// What is to become of a key.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'a> {
    Entry(Timestamp, Kind, &'a [u8]),
    Nothing,
}

impl Wanted<'_> {
    /// Whether this value is there already.
    fn is(self, there: LeafValue<'_>) -> bool {
        let Wanted::Entry(_, Kind::Inline, bytes) = self else { return false };
        there.kind == Kind::Inline && there.bytes == bytes
    }
}

/// The entry of `key` in a leaf, as of its last delta.
fn standing<'a>(image: &'a Image, leaf: Node<'a>, tail: &[u8]) -> Option<LeafValue<'a>> {
    let base = leaf.header.base.get();
    match image.deltas().and_then(|deltas| deltas.find(tail, Timestamp::MAX, base)) {
        Some(Delta::Entry(value, _)) => Some(value),
        Some(Delta::Gone) => None,
        None => leaf.search_tail(tail).ok().map(|slot| leaf.leaf_value(slot)),
    }
}

/// Whether a leaf is so empty without some bytes of it that it should be merged with another.
pub(super) fn is_underfull(leaf: Node<'_>, without: usize) -> bool {
    let used = leaf.used().saturating_sub(SLOTS_AT + without);
    used * 3 < leaf.bytes.len() - SLOTS_AT
}

/// Notes what is wanted beside the image of a leaf, where `before` stands. False where that will not do.
#[inline]
fn note(
    image: &Image,
    leaf: Node<'_>,
    tail: &[u8],
    wanted: Wanted<'_>,
    before: Option<LeafValue<'_>>,
    published: Timestamp,
) -> bool {
    if before.is_some_and(|before| before.kind == Kind::Overflow) {
        return false;
    }
    let with_key = |payload: usize| SLOT + rest_len(tail.len()) + payload;
    let prelude;
    let change = match wanted {
        Wanted::Nothing => {
            let frees = with_key(before.map_or(0, |before| before.size));
            if is_underfull(leaf, frees + image.deltas().map_or(0, Deltas::freed)) {
                return false;
            }
            Change::Remove { frees }
        }
        Wanted::Entry(version, kind, bytes) => {
            prelude = Prelude::new(leaf.header.base.get(), version, kind, bytes.len());
            let payload = [prelude.as_slice(), bytes];
            let size = payload[0].len() + payload[1].len();
            if size + rest_len(tail.len()) > HEAP {
                return false;
            }
            let needs = before.map_or_else(|| with_key(size), |before| size.saturating_sub(before.size));
            Change::Put { payload, needs }
        }
    };
    image.begin_deltas().append(leaf, tail, change, published)
}

impl PageWriter<'_> {
    /// What the deltas of the leaf at the end of the path say about `key`; `None` where they say nothing.
    pub(super) fn delta_of(&self, key: &[u8]) -> Option<Option<Entry>> {
        let image = self.state.path.last()?.image.as_ref()?;
        delta_entry(image, Node::try_new(image)?, key, Timestamp::MAX)
    }

    /// Changes the entry of `key` in the leaf at the end of the path by a delta, where that will do: the leaf was changed since the last
    /// checkpoint began, and not in this commit, and no value in overflow pages is concerned. Changes nothing where what is wanted is there, and
    /// somebody keeps what was. What was there, whose value is appended to `displaced` where that is wanted; `None` where nothing was changed,
    /// and the leaf has to be copied.
    #[inline]
    pub(super) fn change_by_delta(
        &mut self,
        key: &[u8],
        wanted: Wanted<'_>,
        displaced: Option<&mut Vec<u8>>,
    ) -> Option<Option<Was>> {
        let state = &mut *self.state;
        let published = state.publishing?;
        let step = state.path.last()?;
        let image = step.image.as_ref()?;
        let in_epoch = step.epoch == state.epoch;
        if !in_epoch && displaced.is_none() {
            return None;
        }
        let leaf = Node::try_new(image).filter(|leaf| leaf.is_leaf() && leaf.covers(key))?;
        let tail = &key[leaf.prefix_len()..];
        let before = standing(image, leaf, tail);
        if before.is_none() && matches!(wanted, Wanted::Nothing) {
            return Some(None);
        }
        let was =
            before.map(|before| Was { version: before.version, tombstone: before.kind == Kind::Tombstone });
        let same = displaced.is_some() && before.is_some_and(|before| wanted.is(before));
        if !same && (!in_epoch || !note(image, leaf, tail, wanted, before, published)) {
            return None;
        }
        if let (Some(displaced), Some(before)) = (displaced, before) {
            displaced.extend_from_slice(before.bytes);
        }
        if same {
            return Some(was);
        }
        if was.is_none() {
            (state.last_insert, state.inserted) = ((step.id, 0), true);
        }
        if state.noted.last() != Some(&step.id) {
            state.noted.push(step.id);
        }
        self.pages.gauges.deltas.fetch_add(1, Ordering::Relaxed);
        Some(was)
    }
}
