//! Reads inside the commit, puts and tombstones.

use dosql_base::{Result, Timestamp};

use super::PageWriter;
use super::delta::Wanted;
use super::overflow::write_overflow;
use crate::page::leaf::{Kind, OverflowRef, Prelude};
use crate::page::node_mut::{NodeMut, Shape};
use crate::{Displaced, Entry, Root, Was};

/// What a change found in place of the key.
pub(super) struct Found {
    pub(super) was: Was,
    /// The overflow pages of its value.
    pub(super) chain: Vec<(u64, Timestamp)>,
    pub(super) chain_epoch: u64,
}

impl PageWriter<'_> {
    /// The entry of `key`, unpublished changes included.
    ///
    /// # Errors
    /// `WouldBlock`, `Corrupt`, `Io`.
    pub fn get(&mut self, root: Root, key: &[u8]) -> Result<Option<Entry>> {
        if root.page.is_none() {
            return Ok(None);
        }
        self.locate(&root, key, 0)?;
        if let Some(found) = self.delta_of(key) {
            return Ok(found);
        }
        let Ok(slot) = self.node_at(self.last())?.search(key) else { return Ok(None) };
        let mut value = Vec::new();
        let Was { version, tombstone } = self.found(slot, Some(&mut value))?.was;
        Ok(Some(Entry { version, tombstone, value: crate::entry::Value::Owned(value.into()) }))
    }

    /// Sets `key` to `value`; returns what was there. Where that is the same value nothing changes, its version included.
    /// After `WouldBlock` the tree holds what it held (`root` may have moved: keep it); after another error roll back.
    ///
    /// # Errors
    /// `Limit` for an oversized key or value; `WouldBlock`, `Corrupt`, `Io`.
    pub fn put(
        &mut self,
        root: &mut Root,
        key: &[u8],
        version: Timestamp,
        value: &[u8],
    ) -> Result<Option<Displaced>> {
        let mut displaced = Vec::new();
        let was = self.put_keeping(root, key, version, value, &mut displaced)?;
        Ok(was.map(|was| was.with(displaced)))
    }

    /// As [`PageWriter::put`]; the value that was there is appended to `displaced`.
    ///
    /// # Errors
    /// As [`PageWriter::put`].
    pub fn put_keeping(
        &mut self,
        root: &mut Root,
        key: &[u8],
        version: Timestamp,
        value: &[u8],
        displaced: &mut Vec<u8>,
    ) -> Result<Option<Was>> {
        self.upsert(root, key, version, Some(value), Some(displaced))
    }

    /// As [`PageWriter::put`] where nobody needs the value that was there; returns whether there was one. The same value again is of
    /// this version too.
    ///
    /// # Errors
    /// As [`PageWriter::put`].
    pub fn set(&mut self, root: &mut Root, key: &[u8], version: Timestamp, value: &[u8]) -> Result<bool> {
        Ok(self.upsert(root, key, version, Some(value), None)?.is_some())
    }

    /// Sets `key` to a tombstone: an entry that says "deleted".
    ///
    /// # Errors
    /// As [`PageWriter::put`].
    pub fn put_tombstone(
        &mut self,
        root: &mut Root,
        key: &[u8],
        version: Timestamp,
    ) -> Result<Option<Displaced>> {
        let mut displaced = Vec::new();
        let was = self.upsert(root, key, version, None, Some(&mut displaced))?;
        Ok(was.map(|was| was.with(displaced)))
    }

    /// What stands in `slot` of the leaf at the end of the path; its value is appended to `value` where it is wanted.
    pub(super) fn found(&self, slot: usize, value: Option<&mut Vec<u8>>) -> Result<Found> {
        let entry = self.node_at(self.last())?.leaf_value(slot);
        let was = Was { version: entry.version, tombstone: entry.kind == Kind::Tombstone };
        let mut found = Found { was, chain: Vec::new(), chain_epoch: 0 };
        let reference = OverflowRef::from_bytes(entry.bytes).filter(|_| entry.kind == Kind::Overflow);
        if let Some(reference) = reference {
            found.chain_epoch = reference.epoch;
            found.chain = self.read_overflow(reference, value)?;
        } else if let Some(value) = value {
            value.extend_from_slice(entry.bytes);
        }
        Ok(found)
    }

    /// Sets `key` to `value`, or to a tombstone. What it was, if it was there; its value is appended to `displaced` where it is
    /// wanted, and then nothing is written where it is `value` already.
    fn upsert(
        &mut self,
        root: &mut Root,
        key: &[u8],
        version: Timestamp,
        value: Option<&[u8]>,
        mut displaced: Option<&mut Vec<u8>>,
    ) -> Result<Option<Was>> {
        self.check_key(key)?;
        self.check_value(value.unwrap_or_default())?;
        self.state.inserted = false;
        if root.page.is_none() {
            *root = self.new_tree(version)?;
        }
        if let Some(slot) = self.next_of_run(root, key) {
            return self.write_entry(root, key, slot, None, (version, value));
        }
        self.descend(root, key, 0)?;
        if let Some(wanted) = self.inline(version, value)
            && let Some(was) = self.change_by_delta(key, wanted, displaced.as_deref_mut())
        {
            root.entries += u64::from(was.is_none());
            return Ok(was);
        }
        let from = displaced.as_deref().map_or(0, Vec::len);
        let (slot, found) = self.seek_to_change(root, key, displaced.as_deref_mut())?;
        let before = displaced.as_deref().and_then(|displaced| displaced.get(from..));
        match found {
            Some(found) if !found.was.tombstone && value.is_some() && before == value => Ok(Some(found.was)),
            found => self.write_entry(root, key, slot, found, (version, value)),
        }
    }

    /// Writes an entry into `slot` of the leaf at the end of the path, in the place of what was found there, if anything was. What it was.
    fn write_entry(
        &mut self,
        root: &mut Root,
        key: &[u8],
        slot: usize,
        found: Option<Found>,
        (version, value): (Timestamp, Option<&[u8]>),
    ) -> Result<Option<Was>> {
        let reference;
        let (kind, bytes) = match value {
            None => (Kind::Tombstone, &[][..]),
            Some(value) if value.len() > self.pages.limits().max_inline_value => {
                reference = write_overflow(self, value)?.to_bytes();
                (Kind::Overflow, &reference[..])
            }
            Some(value) => (Kind::Inline, value),
        };
        let d = self.last();
        let prelude = Prelude::new(self.node_at(d)?.header.base.get(), version, kind, bytes.len());
        let parts = [prelude.as_slice(), bytes];
        let Some(found) = found else {
            self.insert(root, key, slot, parts)?;
            root.entries += 1;
            return Ok(None);
        };
        if !self.private_at(d)?.replace(slot, parts) {
            self.private_at(d)?.remove(slot);
            self.insert(root, key, slot, parts)?;
        }
        for (id, since) in found.chain {
            self.retire(id, found.chain_epoch, since);
        }
        Ok(Some(found.was))
    }

    /// What a leaf is to hold for a value, or for a tombstone; `None` where the value takes overflow pages.
    fn inline<'v>(&self, version: Timestamp, value: Option<&'v [u8]>) -> Option<Wanted<'v>> {
        match value {
            None => Some(Wanted::Entry(version, Kind::Tombstone, &[])),
            Some(value) if value.len() > self.pages.limits().max_inline_value => None,
            Some(value) => Some(Wanted::Entry(version, Kind::Inline, value)),
        }
    }

    /// Makes the leaf at the end of the path private, to which `key` belongs; where in it the key is or belongs, and what is there.
    fn seek_to_change(
        &mut self,
        root: &mut Root,
        key: &[u8],
        displaced: Option<&mut Vec<u8>>,
    ) -> Result<(usize, Option<Found>)> {
        // The leaf will change in any case: it is copied before it is searched, so that the search finds it in cache.
        self.touch(root)?;
        self.check_covers(key)?;
        match self.node_at(self.last())?.search(key) {
            Ok(slot) => Ok((slot, Some(self.found(slot, displaced)?))),
            Err(slot) => Ok((slot, None)),
        }
    }

    /// The slot after the last insert, where `key` comes next: a run of new keys goes on without a search.
    fn next_of_run(&self, root: &Root, key: &[u8]) -> Option<usize> {
        let (leaf, slot) = self.state.last_insert;
        let here = self.state.path_root == root.page.get()
            && self.state.path.last().is_some_and(|step| step.id == leaf && step.image.is_none());
        if !here {
            return None;
        }
        self.node_at(self.last()).ok().filter(|node| node.is_gap(slot + 1, key)).map(|_| slot + 1)
    }

    /// A tree of one empty leaf.
    fn new_tree(&mut self, version: Timestamp) -> Result<Root> {
        let epoch = self.state.epoch;
        let page = self.create(|id, bytes| {
            let base = version.as_micros();
            NodeMut::init(bytes, Shape { id, epoch, level: 0, base, low: &[], high: None });
        })?;
        Ok(self.root_at(page, 1, 0))
    }

    /// Inserts an entry at `slot` of the leaf at the end of the path, splitting it until there is room.
    fn insert(&mut self, root: &mut Root, key: &[u8], mut slot: usize, parts: [&[u8]; 2]) -> Result<()> {
        loop {
            let d = self.last();
            let mut leaf = self.private_at(d)?;
            let prefix = leaf.node().prefix_len();
            if leaf.insert(slot, &key[prefix..], parts) {
                self.state.last_insert = (self.state.path[d].id, slot);
                self.state.inserted = true;
                return Ok(());
            }
            self.split_leaf(root, key, slot, parts[0].len() + parts[1].len())?;
            self.locate(root, key, 0)?;
            slot = self.node_at(self.last())?.search(key).unwrap_or_else(|slot| slot);
        }
    }
}
