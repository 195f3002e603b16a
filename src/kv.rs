//! Reading and writing keyspaces in a transaction.

use std::collections::VecDeque;
use std::ops::{Bound, ControlFlow, RangeBounds};

use dosql_base::codec::prefix_successor;
use dosql_base::{Error, Result, Timestamp};
use dosql_sql::Direction;

use crate::bytes::Bytes;
use crate::keyspace::{self, FullKey, Keyspace, Known, NEXT_NUMBER, full_key};
use crate::limits::{END_OF_KEYSPACES, FIRST_KEYSPACE};
use crate::scan::{Bounds, Scan};
use crate::transaction::Transaction;

/// A key and its value, owned.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Entries that an iterator fetches at a time, at most; it begins with one and doubles.
const MOST_AT_A_TIME: usize = 256;

impl Transaction {
    /// The value of `key` in `keyspace`; `None` where it has none.
    pub fn get(&self, keyspace: &Keyspace, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        match self.number(keyspace)? {
            Some(number) => self.raw_get(&full_key(number, key.as_ref())),
            None => Ok(None),
        }
    }

    /// The values of many keys in `keyspace`, in the order of `keys`; `None` for each that has none. Any order will do, and a key may
    /// come twice. Ascending keys cost least: those that lie close together are found by one way down the tree. All or nothing: an error
    /// (`WouldBlock` too) is that of the first key that fails.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Option<Bytes>>> {
        let keys = keys.into_iter();
        match self.number(keyspace)? {
            Some(number) => self.raw_get_many(keys.map(|key| full_key(number, key.as_ref()))),
            None => Ok(keys.map(|_| None).collect()),
        }
    }

    /// Whether `key` has a value in `keyspace`.
    pub fn contains(&self, keyspace: &Keyspace, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.get(keyspace, key)?.is_some())
    }

    /// Sets `key` in `keyspace`, which is created if this is its first write.
    pub fn put(&mut self, keyspace: &Keyspace, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let number = self.number_or_create(keyspace)?;
        self.raw_put(&full_key(number, key.as_ref()), value.as_ref())
    }

    /// Removes `key` from `keyspace`, if it is there.
    pub fn delete(&mut self, keyspace: &Keyspace, key: impl AsRef<[u8]>) -> Result<()> {
        let number = self.number_or_create(keyspace)?;
        self.raw_delete(&full_key(number, key.as_ref()))
    }

    /// The entries of `keyspace` whose keys lie within `bounds`, lowest first.
    pub fn range<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        bounds: impl RangeBounds<K>,
    ) -> Result<Range<'_>> {
        self.scan(keyspace, bounds.start_bound(), bounds.end_bound(), Direction::Forward)
    }

    /// The entries of `keyspace` whose keys lie within `bounds`, highest first.
    pub fn range_rev<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        bounds: impl RangeBounds<K>,
    ) -> Result<Range<'_>> {
        self.scan(keyspace, bounds.start_bound(), bounds.end_bound(), Direction::Backward)
    }

    /// All entries of `keyspace`, lowest key first.
    pub fn iter(&self, keyspace: &Keyspace) -> Result<Range<'_>> {
        self.range::<&[u8]>(keyspace, ..)
    }

    /// The entries of `keyspace` whose keys start with `prefix`, lowest first.
    pub fn prefix(&self, keyspace: &Keyspace, prefix: impl AsRef<[u8]>) -> Result<Range<'_>> {
        let prefix = prefix.as_ref();
        let end = prefix_successor(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan(keyspace, Bound::Included(&prefix), end.as_ref(), Direction::Forward)
    }

    fn scan<K: AsRef<[u8]>>(
        &self,
        keyspace: &Keyspace,
        start: Bound<&K>,
        end: Bound<&K>,
        direction: Direction,
    ) -> Result<Range<'_>> {
        let Some(number) = self.number(keyspace)? else {
            return Ok(Range { transaction: self, scan: None, prefix: 0, ahead: VecDeque::new(), fetch: 1 });
        };
        let range = key_range(number, start.map(AsRef::as_ref), end.map(AsRef::as_ref))?;
        let scan = Some(self.scan_of(range, direction, Timestamp::MAX));
        let prefix = keyspace::prefix_len(number);
        Ok(Range { transaction: self, scan, prefix, ahead: VecDeque::new(), fetch: 1 })
    }

    /// The number of `keyspace`, if this transaction sees one.
    fn number(&self, keyspace: &Keyspace) -> Result<Option<u32>> {
        match keyspace.number(self.engine.branch().number) {
            // One that is newer than what a transaction sees holds nothing for it, as long as it has not made one itself.
            Some((number, _)) if !self.has_writes() => Ok(Some(number)),
            _ => self.number_seen(keyspace),
        }
    }

    /// As `number`, for one that may make keyspaces itself: to it, the number of one that others have made since it began is free.
    fn number_seen(&self, keyspace: &Keyspace) -> Result<Option<u32>> {
        let known = keyspace.number(self.engine.branch().number);
        if let Some((number, _)) = known.filter(|(_, since)| *since <= self.snapshot()) {
            return Ok(Some(number));
        }
        let key = keyspace.catalog_key();
        let Some(row) = self.raw_get(&key)? else { return Ok(None) };
        let number = keyspace::decode_number(&row)?;
        // One that this transaction makes itself may come to nothing.
        if self.writes.get(&key).is_none() {
            keyspace.remember(Known { number, since: self.snapshot(), branch: self.engine.branch().number });
        }
        Ok(Some(number))
    }

    fn number_or_create(&mut self, keyspace: &Keyspace) -> Result<u32> {
        if let Some(number) = self.number_seen(keyspace)? {
            return Ok(number);
        }
        let next = self.raw_get(NEXT_NUMBER)?;
        let number = next.map_or(Ok(FIRST_KEYSPACE), |row| keyspace::decode_number(&row))?;
        let after = number.checked_add(1).filter(|&after| after <= END_OF_KEYSPACES);
        let after = after.ok_or_else(|| Error::limit("the numbers of keyspaces are used up"))?;
        self.raw_put(NEXT_NUMBER, &keyspace::encode_number(after))?;
        self.raw_put(&keyspace.catalog_key(), &keyspace::encode_number(number))?;
        Ok(number)
    }
}

/// Bounds on the caller's keys as a range of complete keys.
fn key_range(number: u32, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Result<Bounds> {
    let past = |key: &[u8]| {
        let mut full = full_key(number, key);
        full.push(0);
        full
    };
    let start: FullKey = match start {
        Bound::Unbounded => full_key(number, &[]),
        Bound::Included(key) => full_key(number, key),
        Bound::Excluded(key) => past(key),
    };
    let end: FullKey = match end {
        Bound::Unbounded => {
            let next = number.checked_add(1);
            full_key(next.ok_or_else(|| Error::limit("the numbers of keyspaces are used up"))?, &[])
        }
        Bound::Included(key) => past(key),
        Bound::Excluded(key) => full_key(number, key),
    };
    Ok(Bounds { start, end })
}

/// A scan of a keyspace: an iterator of owned pairs, or [`Range::visit`] to be lent them. After an error (`WouldBlock` too) it
/// stands where it stood.
pub struct Range<'t> {
    transaction: &'t Transaction,
    /// `None` where the keyspace does not exist.
    scan: Option<Scan>,
    /// Bytes of the keyspace's number, in front of every key.
    prefix: usize,
    ahead: VecDeque<Pair>,
    fetch: usize,
}

impl Range<'_> {
    /// Lends every remaining entry to `entry` in order, until it breaks.
    pub fn visit(&mut self, mut entry: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        while let Some((key, value)) = self.ahead.pop_front() {
            if entry(&key, &value).is_break() {
                return Ok(());
            }
        }
        let Some(scan) = &mut self.scan else {
            return Ok(());
        };
        let (prefix, mut stopped) = (self.prefix, false);
        // A visit ends early where the caller stops it, or where the next block is not here yet.
        while !stopped {
            let done = self.transaction.raw_visit(scan, usize::MAX, &mut |key, value| {
                let verdict = entry(&key[prefix..], value);
                stopped = verdict.is_break();
                Ok(verdict)
            })?;
            stopped |= done;
        }
        Ok(())
    }

    fn fetch(&mut self) -> Result<()> {
        let Some(scan) = &mut self.scan else {
            return Ok(());
        };
        let (prefix, ahead) = (self.prefix, &mut self.ahead);
        self.transaction.raw_visit(scan, self.fetch, &mut |key, value| {
            ahead.push_back((key[prefix..].to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        self.fetch = (self.fetch * 2).min(MOST_AT_A_TIME);
        Ok(())
    }
}

impl Iterator for Range<'_> {
    type Item = Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ahead.is_empty()
            && let Err(error) = self.fetch()
        {
            return Some(Err(error));
        }
        self.ahead.pop_front().map(Ok)
    }
}
