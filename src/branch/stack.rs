//! A scan of a branch: its own rows and those of the branches beneath, merged. Where several have a key, the uppermost is right.

use std::cmp::Ordering;

use dosql_base::{Result, Timestamp};
use dosql_btree::{Cursor, PageSnapshot};
use dosql_sql::{Direction, KeyRange};

use super::layers::{self, Beneath};
use super::merged::{MergedCursor, Piece};
use crate::history::past::{PastCursor, VersionSource};
use crate::tier::live::Live;
use crate::tier::versions::SegmentVersions;
use crate::view::View;

/// The merge. Positioned by [`Stack::seek`]; then [`Stack::key`] and [`Stack::advance`].
pub(crate) struct Stack {
    direction: Direction,
    range: KeyRange,
    /// The uppermost first.
    layers: Vec<Layer>,
    /// The one that holds the next entry.
    place: Option<usize>,
}

/// A position in one layer.
enum Layer {
    /// The branch's own rows of the present; whether it stands in the range.
    Tree(Cursor, bool),
    Past(PastCursor),
    /// Small layers, put together.
    Merged(MergedCursor),
    /// Rows in the segment store.
    Live(VersionSource<SegmentVersions>),
}

impl Stack {
    /// Over the stored keys of `range`, as of `at`.
    pub(crate) fn new(
        view: &View,
        beneath: &Beneath,
        at: Timestamp,
        range: &KeyRange,
        direction: Direction,
    ) -> Stack {
        let mut layers = Vec::with_capacity(1 + beneath.layers.len());
        if at >= view.timestamp {
            if !view.root.is_empty() {
                layers.push(Layer::Tree(view.pages.cursor(view.root), false));
            }
        } else if at > beneath.begins() {
            layers.push(Layer::Past(view.past(at, range, direction)));
        }
        let open = Opening { range, direction };
        open.live(&beneath.own, &view.pages, at, &mut layers);
        match beneath.pieces(at) {
            None => beneath.layers.iter().for_each(|layer| open.layer(layer, at, &mut layers)),
            Some(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Merged(merged) => layers.push(Layer::Merged(MergedCursor::new(merged, range))),
                        Piece::Layer(layer) => open.layer(&beneath.layers[*layer], at, &mut layers),
                    }
                }
            }
        }
        Stack { direction, range: range.clone(), layers, place: None }
    }

    /// Over these layers alone, as of the forks.
    pub(crate) fn of_layers(layers: &[layers::Layer], range: &KeyRange, direction: Direction) -> Stack {
        let open = Opening { range, direction };
        let mut opened = Vec::with_capacity(layers.len());
        layers.iter().for_each(|layer| open.layer(layer, Timestamp::MAX, &mut opened));
        Stack { direction, range: range.clone(), layers: opened, place: None }
    }

    /// To the first entry of the range in the direction of the scan at or past `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<()> {
        for layer in &mut self.layers {
            layer.seek(key, &self.range, self.direction)?;
        }
        self.choose();
        Ok(())
    }

    /// On to the next key: all layers that stand on this one move.
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(place) = self.place else { return Ok(()) };
        let (upper, lower) = self.layers.split_at_mut(place + 1);
        let Some(current) = upper.last_mut() else { return Ok(()) };
        for layer in lower {
            if layer.key().is_some() && layer.key() == current.key() {
                layer.advance(&self.range, self.direction)?;
            }
        }
        current.advance(&self.range, self.direction)?;
        self.choose();
        Ok(())
    }

    fn choose(&mut self) {
        let sooner = match self.direction {
            Direction::Forward => Ordering::Less,
            Direction::Backward => Ordering::Greater,
        };
        let mut best: Option<(usize, &[u8])> = None;
        for (place, layer) in self.layers.iter().enumerate() {
            if let Some(key) = layer.key()
                && best.is_none_or(|(_, other)| key.cmp(other) == sooner)
            {
                best = Some((place, key));
            }
        }
        self.place = best.map(|(place, _)| place);
    }

    /// The key that it stands on; `None` past the last.
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.layers.get(self.place?)?.key()
    }

    /// The value that it stands on; empty past the last.
    pub(crate) fn value(&self) -> Result<&[u8]> {
        match self.place.and_then(|place| self.layers.get(place)) {
            None => Ok(&[]),
            Some(Layer::Tree(tree, _)) => tree.value(),
            Some(Layer::Past(past)) => past.value(),
            Some(Layer::Merged(merged)) => Ok(merged.value()),
            Some(Layer::Live(live)) => live.value(),
        }
    }

    /// Whether the key that it stands on was deleted.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self.place.and_then(|place| self.layers.get(place)) {
            None => false,
            Some(Layer::Tree(tree, _)) => tree.is_tombstone(),
            Some(Layer::Past(past)) => past.is_tombstone(),
            Some(Layer::Merged(merged)) => merged.is_tombstone(),
            Some(Layer::Live(live)) => live.is_tombstone(),
        }
    }
}

/// How layers are scanned.
struct Opening<'r> {
    range: &'r KeyRange,
    direction: Direction,
}

impl Opening<'_> {
    /// A branch beneath, as of `at` where that is earlier than the fork.
    fn layer(&self, layer: &layers::Layer, at: Timestamp, into: &mut Vec<Layer>) {
        into.push(Layer::Past(layer.cursor(at, self.range, self.direction)));
        self.live(&layer.live, &layer.pages, at.min(layer.fork), into);
    }

    /// Rows in the segment store.
    fn live(&self, live: &Live, pages: &PageSnapshot, at: Timestamp, into: &mut Vec<Layer>) {
        let at = at.min(Timestamp::MAX.previous());
        let over = |it| Layer::Live(VersionSource::over(it, at, self.range, self.direction));
        into.extend(live.sequences(pages, self.range).into_iter().map(over));
    }
}

impl Layer {
    fn seek(&mut self, key: &[u8], range: &KeyRange, direction: Direction) -> Result<()> {
        match self {
            Layer::Past(past) => past.seek(key),
            Layer::Merged(merged) => {
                merged.seek(key, direction);
                Ok(())
            }
            Layer::Live(live) => live.seek(key),
            Layer::Tree(tree, here) => {
                *here = false;
                let found = match direction {
                    Direction::Forward => tree.seek(key)?,
                    Direction::Backward => tree.seek_for_prev(key)?,
                };
                *here = found && inside(tree.key(), range, direction);
                Ok(())
            }
        }
    }

    fn advance(&mut self, range: &KeyRange, direction: Direction) -> Result<()> {
        match self {
            Layer::Past(past) => past.advance(),
            Layer::Merged(merged) => {
                merged.advance(direction);
                Ok(())
            }
            Layer::Live(live) => live.advance(),
            Layer::Tree(tree, here) => {
                *here = false;
                let found = match direction {
                    Direction::Forward => tree.next()?,
                    Direction::Backward => tree.prev()?,
                };
                *here = found && inside(tree.key(), range, direction);
                Ok(())
            }
        }
    }

    fn key(&self) -> Option<&[u8]> {
        match self {
            Layer::Tree(tree, here) => here.then(|| tree.key()),
            Layer::Past(past) => past.key(),
            Layer::Merged(merged) => merged.key(),
            Layer::Live(live) => live.key(),
        }
    }
}

/// Whether a scan that came to `key` is still in its range. What it comes to before the range is for the caller to see.
fn inside(key: &[u8], range: &KeyRange, direction: Direction) -> bool {
    match direction {
        Direction::Forward => key < range.end.as_slice(),
        Direction::Backward => key >= range.start.as_slice(),
    }
}
