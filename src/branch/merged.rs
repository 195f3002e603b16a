//! Small layers of a chain of branches, put together in memory: what many branches changed a little is found in one place, however many
//! they are.
//!
//! ```text
//! layers    b31 | b30 | .. | b17 | b16, large | b15 | .. | b1 | main, large
//! pieces    merged               | layer      | merged        | layer
//! ```
//!
//! What lies beneath a branch never changes, so this is made once, when reads have shown that it pays, and kept as long as the layers
//! are. It holds what the layers say as of the forks; who reads earlier moments asks them one by one.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::Result;
use dosql_base::mutant::weakened;
use dosql_sql::{Direction, KeyRange};

use super::layers::Layer;
use super::stack::Stack;
use crate::bytes::Bytes;

/// Entries of a layer, of its tree and its history, above which it stays by itself.
const SMALL: u64 = 1024;
/// Entries and bytes of what is put together; then the next begins.
const MOST_ENTRIES: usize = 1024;
const MOST_BYTES: usize = 64 << 10;

/// A key, and what it holds.
type Entry = (Box<[u8]>, Option<Arc<[u8]>>);

/// What several layers say, the uppermost of them that says anything of a key.
#[derive(Default)]
pub(crate) struct Merged {
    /// In the order of their keys; `None` says that the key was deleted.
    entries: Vec<Entry>,
}

/// What is asked in turn.
pub(crate) enum Piece {
    Merged(Arc<Merged>),
    /// A layer, by its place.
    Layer(usize),
}

/// Puts small neighbours together; `None` where nothing comes of it.
pub(crate) fn pieces(layers: &[Layer]) -> Result<Option<Vec<Piece>>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < layers.len() {
        let small = layers[at..].iter().take_while(|layer| is_small(layer)).count();
        let merged = if small > 1 { merge(layers, at..at + small)? } else { None };
        match merged {
            Some((merged, taken)) => {
                pieces.push(Piece::Merged(Arc::new(merged)));
                at += taken;
            }
            None => {
                pieces.push(Piece::Layer(at));
                at += 1;
            }
        }
    }
    Ok((pieces.len() < layers.len()).then_some(pieces))
}

fn is_small(layer: &Layer) -> bool {
    let history: u64 = layer.history.runs.iter().map(|run| run.entries).sum();
    layer.live.is_empty()
        && layer.root.entries().saturating_add(history) <= SMALL
        && layer.history.memory() <= MOST_BYTES
}

/// As many layers as there is room for, and how many they are.
fn merge(layers: &[Layer], small: Range<usize>) -> Result<Option<(Merged, usize)>> {
    let mut count = small.len();
    while count > 1 {
        if let Some(merged) = merge_all(&layers[small.start..small.start + count])? {
            return Ok(Some((merged, count)));
        }
        count /= 2;
    }
    Ok(None)
}

/// All of these layers; `None` where they say too much.
fn merge_all(layers: &[Layer]) -> Result<Option<Merged>> {
    let everything = KeyRange { start: Vec::new(), end: vec![0xFF; 8] };
    let mut stack = Stack::of_layers(layers, &everything, Direction::Forward);
    stack.seek(&[])?;
    let (mut merged, mut bytes) = (Merged::default(), 0);
    while let Some(key) = stack.key() {
        let value = if stack.is_tombstone() { None } else { Some(Arc::from(stack.value()?)) };
        bytes += key.len() + value.as_ref().map_or(0, |value: &Arc<[u8]>| value.len());
        if bytes > MOST_BYTES || merged.entries.len() >= MOST_ENTRIES {
            return Ok(None);
        }
        if value.is_some() || !weakened("deletion-lost-in-merged-layers") {
            merged.entries.push((key.into(), value));
        }
        stack.advance()?;
    }
    Ok(Some(merged))
}

impl Merged {
    /// As [`Layer::get`].
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let at = self.entries.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        Some(self.entries[at].1.as_ref().map(|value| Bytes::shared(Arc::clone(value))))
    }
}

/// A position in what was put together.
pub(crate) struct MergedCursor {
    merged: Arc<Merged>,
    /// Of the entries that lie in the range.
    range: Range<usize>,
    /// In the direction of travel; outside of the range at its end.
    at: Option<usize>,
}

impl MergedCursor {
    pub(crate) fn new(merged: &Arc<Merged>, range: &KeyRange) -> MergedCursor {
        let before = |key: &[u8]| merged.entries.partition_point(|(known, _)| **known < *key);
        let (start, end) = (before(&range.start), before(&range.end));
        MergedCursor { merged: Arc::clone(merged), range: start..end.max(start), at: None }
    }

    /// To the first entry in the direction at or past `key`.
    pub(crate) fn seek(&mut self, key: &[u8], direction: Direction) {
        let entries = &self.merged.entries;
        self.at = match direction {
            Direction::Forward => {
                Some(entries.partition_point(|(known, _)| **known < *key).max(self.range.start))
            }
            Direction::Backward => {
                entries.partition_point(|(known, _)| **known <= *key).min(self.range.end).checked_sub(1)
            }
        };
    }

    pub(crate) fn advance(&mut self, direction: Direction) {
        self.at = match direction {
            Direction::Forward => self.at.map(|at| at + 1),
            Direction::Backward => self.at.and_then(|at| at.checked_sub(1)),
        };
    }

    fn entry(&self) -> Option<&Entry> {
        let at = self.at.filter(|at| self.range.contains(at))?;
        self.merged.entries.get(at)
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.entry().map(|(key, _)| &**key)
    }

    /// Empty where it says that the key was deleted.
    pub(crate) fn value(&self) -> &[u8] {
        self.entry().and_then(|(_, value)| value.as_deref()).unwrap_or_default()
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.entry().is_some_and(|(_, value)| value.is_none())
    }
}
