//! The stored entries that a scan goes over, in the order of their keys.
//!
//! Stored keys are in that order already but within a group of long ones (see [`crate::long_keys`]). When the source comes to
//! one, it reads the whole group and gives its keys in order, as many at a time as fit [`GROUP_BYTES`].

use std::collections::BTreeMap;

use dosql_base::{Result, Timestamp};
use dosql_btree::Cursor;
use dosql_sql::Direction;

use crate::branch::layers::Beneath;
use crate::branch::stack::Stack;
use crate::history::past::PastCursor;
use crate::long_keys::KeyForm;
use crate::scan::Bounds;
use crate::view::View;

/// Bytes of a group that are kept at a time; more takes further passes over it.
const GROUP_BYTES: usize = 4 << 20;

/// A position among the entries of a view. Moves answer whether there is an entry to stand on; after one that fails the source has to be
/// put somewhere anew, unless it is [`Source::leaves`].
pub(crate) struct Source {
    raw: Raw,
    form: KeyForm,
    direction: Direction,
    group: Option<Group>,
}

/// Where the stored entries come from.
#[allow(clippy::large_enum_variant, reason = "nearly all scans are of the tree: no allocation for them")]
enum Raw {
    /// The tree as it is in the view.
    Tree(Cursor),
    /// The tree and history, as they were before it.
    Past(Box<PastCursor>),
    /// A branch, and what lies beneath it.
    Stack(Box<Stack>),
}

/// Part of a group, in the order of the scan.
struct Group {
    shared: Vec<u8>,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    at: usize,
    /// Whether the group goes on after these.
    more: bool,
    /// Whether the stored entries go on after the group.
    beyond: bool,
}

impl Source {
    pub(crate) fn new(view: &View, at: Timestamp, range: &Bounds, direction: Direction) -> Self {
        let form = view.key_form();
        let present = at >= view.timestamp;
        let clear = |beneath: &Beneath| present && beneath.is_clear_of(&form.stored_range(&range.to_range()));
        let raw = if let Some(beneath) = view.beneath.as_deref().filter(|beneath| !clear(beneath)) {
            let range = form.stored_range(&range.to_range());
            Raw::Stack(Box::new(Stack::new(view, beneath, at, &range, direction)))
        } else if at < view.timestamp {
            Raw::Past(Box::new(view.past(at, &form.stored_range(&range.to_range()), direction)))
        } else {
            Raw::Tree(view.pages.cursor(view.root))
        };
        Source { raw, form, direction, group: None }
    }

    /// The cursor of the tree, where the scan may run through its leaves: up to the first key of a group ([`KeyForm::group`]).
    pub(crate) fn leaves(&mut self) -> Option<(&mut Cursor, KeyForm)> {
        match &mut self.raw {
            Raw::Tree(tree) if self.group.is_none() => Some((tree, self.form)),
            _ => None,
        }
    }

    /// To the first entry at or past `key` in the direction of the scan.
    pub(crate) fn seek(&mut self, key: &[u8]) -> Result<bool> {
        self.group = None;
        let found = match (self.form.group(key), self.direction) {
            (None, _) => self.raw.seek(key, self.direction)?,
            (Some(shared), Direction::Forward) => self.raw.seek(shared, self.direction)?,
            (Some(shared), Direction::Backward) => self.raw.seek(&above(shared), self.direction)?,
        };
        self.enter(found, Some((key, true)))
    }

    /// To the next entry.
    pub(crate) fn step(&mut self) -> Result<bool> {
        let Some(group) = &mut self.group else {
            let found = self.raw.step(self.direction)?;
            return self.enter(found, None);
        };
        if group.at + 1 < group.entries.len() {
            group.at += 1;
            return Ok(true);
        }
        let Some(group) = self.group.take() else { return Ok(false) };
        if !group.more {
            return self.enter(group.beyond, None);
        }
        let last = &group.entries[group.at].0;
        self.load(group.shared, Some((last, false)))
    }

    pub(crate) fn key(&self) -> &[u8] {
        match &self.group {
            Some(group) => &group.entries[group.at].0,
            None => self.raw.key(),
        }
    }

    pub(crate) fn value(&self) -> Result<&[u8]> {
        match &self.group {
            Some(group) => Ok(&group.entries[group.at].1),
            None => self.raw.value(),
        }
    }

    pub(crate) fn is_tombstone(&self) -> bool {
        self.group.is_none() && self.raw.is_tombstone()
    }

    /// Reads the group that the stored entries have come to, if they have. Of its keys those count that are past the limit, or at it
    /// where that is included.
    fn enter(&mut self, found: bool, limit: Option<(&[u8], bool)>) -> Result<bool> {
        if !found {
            return Ok(false);
        }
        match self.form.group(self.raw.key()) {
            None => Ok(true),
            Some(shared) => {
                let shared = shared.to_vec();
                self.load(shared, limit)
            }
        }
    }

    fn load(&mut self, shared: Vec<u8>, limit: Option<(&[u8], bool)>) -> Result<bool> {
        let mut found = match self.direction {
            Direction::Forward => self.raw.seek(&shared, self.direction)?,
            Direction::Backward => self.raw.seek(&above(&shared), self.direction)?,
        };
        let (mut kept, mut bytes, mut more) = (BTreeMap::new(), 0, false);
        while found && self.raw.key().starts_with(&shared) {
            if !self.raw.is_tombstone() {
                for (key, value) in self.form.entries(self.raw.key(), self.raw.value()?)? {
                    if self.is_past(&key, limit) {
                        bytes += key.len() + value.len();
                        kept.insert(key.into_owned(), value.to_vec());
                    }
                }
            }
            while bytes > GROUP_BYTES && kept.len() > 1 {
                let farthest = match self.direction {
                    Direction::Forward => kept.pop_last(),
                    Direction::Backward => kept.pop_first(),
                };
                bytes -= farthest.map_or(0, |(key, value)| key.len() + value.len());
                more = true;
            }
            found = self.raw.step(self.direction)?;
        }
        if kept.is_empty() {
            return self.enter(found, None);
        }
        let mut entries: Vec<_> = kept.into_iter().collect();
        if self.direction == Direction::Backward {
            entries.reverse();
        }
        self.group = Some(Group { shared, entries, at: 0, more, beyond: found });
        Ok(true)
    }

    fn is_past(&self, key: &[u8], limit: Option<(&[u8], bool)>) -> bool {
        limit.is_none_or(|(limit, included)| {
            (included && key == limit)
                || match self.direction {
                    Direction::Forward => key > limit,
                    Direction::Backward => key < limit,
                }
        })
    }
}

/// Above every stored key of a group, and below all that follow it.
fn above(shared: &[u8]) -> Vec<u8> {
    [shared, &[0xFF; 9]].concat()
}

impl Raw {
    /// To the first entry at or past `key`.
    fn seek(&mut self, key: &[u8], direction: Direction) -> Result<bool> {
        match (self, direction) {
            (Raw::Tree(tree), Direction::Forward) => tree.seek(key),
            (Raw::Tree(tree), Direction::Backward) => tree.seek_for_prev(key),
            (Raw::Past(past), _) => {
                past.seek(key)?;
                Ok(past.key().is_some())
            }
            (Raw::Stack(stack), _) => {
                stack.seek(key)?;
                Ok(stack.key().is_some())
            }
        }
    }

    fn step(&mut self, direction: Direction) -> Result<bool> {
        match (self, direction) {
            (Raw::Tree(tree), Direction::Forward) => tree.next(),
            (Raw::Tree(tree), Direction::Backward) => tree.prev(),
            (Raw::Past(past), _) => {
                past.advance()?;
                Ok(past.key().is_some())
            }
            (Raw::Stack(stack), _) => {
                stack.advance()?;
                Ok(stack.key().is_some())
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Raw::Tree(tree) => tree.key(),
            Raw::Past(past) => past.key().unwrap_or_default(),
            Raw::Stack(stack) => stack.key().unwrap_or_default(),
        }
    }

    fn value(&self) -> Result<&[u8]> {
        match self {
            Raw::Tree(tree) => tree.value(),
            Raw::Past(past) => past.value(),
            Raw::Stack(stack) => stack.value(),
        }
    }

    fn is_tombstone(&self) -> bool {
        match self {
            Raw::Tree(tree) => tree.is_tombstone(),
            Raw::Past(past) => past.is_tombstone(),
            Raw::Stack(stack) => stack.is_tombstone(),
        }
    }
}
