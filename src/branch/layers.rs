//! What a branch sees where its own tree says nothing: its parent as of the fork, beneath that the parent's parent as of the
//! earlier fork, and so on.
//!
//! Beneath the tree of a branch, main included, lie also its own rows in the segment store ([`Live`]), before those of its parent.
//!
//! Nothing of that changes any more, so it is gathered once and shared by all views of the branch. It pins the page images of
//! the moment at which it was gathered; a checkpoint gathers it anew.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use dosql_base::{Result, Timestamp};
use dosql_btree::{Entry, PageSnapshot, Root};
use dosql_sql::{Direction, KeyRange};

use super::merged::{Piece, pieces};
use crate::bytes::Bytes;
use crate::history::History;
use crate::history::past::PastCursor;
use crate::tier::live::Live;

/// See the module's description.
pub(crate) struct Beneath {
    /// The rows of the branch itself in the segment store.
    pub(crate) own: Arc<Live>,
    /// The branches beneath, the nearest first.
    pub(crate) spans: Vec<Span>,
    /// Those of them that hold anything.
    pub(crate) layers: Vec<Layer>,
    /// Reads so far, until they have shown that it pays to put layers together.
    asked: AtomicU32,
    /// What is asked instead of the layers as of the forks and later; empty where that is no better.
    pieces: OnceLock<Vec<Piece>>,
}

/// Reads of a chain after which its small layers are put together.
const PAYS_AFTER: u32 = 16;

/// A stretch of time in which a branch reads another.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The branch that is read.
    pub(crate) branch: u32,
    /// Up to here.
    pub(crate) fork: Timestamp,
    /// See [`crate::view::View::floor`].
    pub(crate) floor: Timestamp,
    /// See [`crate::view::View::pins`].
    pub(crate) pins: Arc<[Timestamp]>,
}

/// The rows of one branch as of a moment.
#[derive(Clone)]
pub(crate) struct Layer {
    /// The branch.
    pub(crate) branch: u32,
    pub(crate) pages: PageSnapshot,
    pub(crate) root: Root,
    pub(crate) history: History,
    /// Those in the segment store.
    pub(crate) live: Arc<Live>,
    /// The branch above sees it as of here.
    pub(crate) fork: Timestamp,
    /// The last commit that the root contains: what memtables tell of later times is current in it.
    pub(crate) known: Timestamp,
}

impl Beneath {
    /// What lies beneath a branch that forks off another, of which this is all there is and `parents` is beneath it.
    pub(crate) fn fork(span: Span, layer: Layer, parents: Option<&Beneath>) -> Beneath {
        let empty = layer.root.is_empty() && layer.history.is_empty() && layer.live.is_empty();
        let forked = span.fork;
        let mut beneath = Beneath::of(Arc::default(), vec![span], Vec::new());
        beneath.layers.extend((!empty).then_some(layer));
        if let Some(parents) = parents {
            let before = |fork: Timestamp| fork.min(forked);
            let spans = parents.spans.iter().map(|it| Span { fork: before(it.fork), ..it.clone() });
            beneath.spans.extend(spans);
            let layers = parents.layers.iter().map(|it| Layer { fork: before(it.fork), ..it.clone() });
            beneath.layers.extend(layers);
        }
        beneath
    }

    /// What lies beneath a branch with such rows in the segment store, on top of what its parents have; `None` where that is nothing.
    pub(crate) fn under(own: Arc<Live>, parents: Option<Arc<Beneath>>) -> Option<Arc<Beneath>> {
        if own.is_empty() {
            return parents;
        }
        let (spans, layers) =
            parents.map(|parents| (parents.spans.clone(), parents.layers.clone())).unwrap_or_default();
        Some(Arc::new(Beneath::of(own, spans, layers)))
    }

    fn of(own: Arc<Live>, spans: Vec<Span>, layers: Vec<Layer>) -> Beneath {
        Beneath { own, spans, layers, asked: AtomicU32::new(0), pieces: OnceLock::new() }
    }

    /// Whether `key` may be held beneath: where it is deleted, that has to be said.
    #[inline]
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        !self.spans.is_empty() || self.own.covers(key)
    }

    /// Whether nothing in the range of stored keys is held beneath.
    pub(crate) fn is_clear_of(&self, range: &KeyRange) -> bool {
        self.spans.is_empty() && self.own.is_clear_of(range)
    }

    /// The moment at which the branch above begins.
    pub(crate) fn begins(&self) -> Timestamp {
        self.spans.first().map_or(Timestamp::ZERO, |span| span.fork)
    }

    /// What is stored under a stored key, as of `at` where that is earlier than the forks. `pages` are those of the branch itself.
    pub(crate) fn get(&self, pages: &PageSnapshot, key: &[u8], at: Timestamp) -> Result<Option<Bytes>> {
        if let Some(found) = self.own.get(pages, key, at)? {
            return Ok(found);
        }
        if let Some(pieces) = self.pieces(at) {
            for piece in pieces {
                let found = match piece {
                    Piece::Merged(merged) => merged.get(key),
                    Piece::Layer(layer) => self.layers[*layer].get(key, at)?,
                };
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            return Ok(None);
        }
        for layer in &self.layers {
            if let Some(found) = layer.get(key, at)? {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// What is to be asked in turn as of `at`, where that is not simply the layers.
    #[inline]
    pub(crate) fn pieces(&self, at: Timestamp) -> Option<&[Piece]> {
        if self.layers.len() < 3 || at < self.layers[0].fork {
            return None;
        }
        let made = self.pieces.get().or_else(|| self.make_pieces())?;
        (!made.is_empty()).then_some(made)
    }

    #[cold]
    fn make_pieces(&self) -> Option<&Vec<Piece>> {
        if self.asked.fetch_add(1, Ordering::Relaxed) < PAYS_AFTER {
            return None;
        }
        // Where a page can't be read now, the layers are asked, which says so, and this is tried again.
        let pieces = pieces(&self.layers).ok()?;
        Some(self.pieces.get_or_init(|| pieces.unwrap_or_default()))
    }

    /// About how many entries lie in a range of stored keys.
    pub(crate) fn estimate(&self, range: &KeyRange) -> Result<u64> {
        let count = |layer: &Layer| -> Result<u64> {
            let rows = layer.pages.estimate(layer.root, &range.start, &range.end)?;
            Ok(rows.saturating_add(layer.live.estimate(range)))
        };
        let own = self.own.estimate(range);
        self.layers.iter().try_fold(own, |sum, layer| Ok(sum.saturating_add(count(layer)?)))
    }
}

impl Layer {
    /// What the layer says of a stored key: nothing, that it was deleted (`Some(None)`), or what it held.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], at: Timestamp) -> Result<Option<Option<Bytes>>> {
        let at = at.min(self.fork);
        match self.pages.get(self.root, key)? {
            Some(entry) if entry.version() <= at => Ok(Some(held(entry))),
            _ => match self.history.get(&self.pages, key, at)? {
                None => self.live.get(&self.pages, key, at),
                found => Ok(found),
            },
        }
    }

    /// A scan of it, over stored keys.
    pub(crate) fn cursor(&self, at: Timestamp, range: &KeyRange, direction: Direction) -> PastCursor {
        PastCursor::new(&self.pages, self.root, &self.history, at.min(self.fork), range, direction)
    }
}

fn held(entry: Entry) -> Option<Bytes> {
    (!entry.is_tombstone()).then(|| Bytes::page(entry))
}
