//! The rows of one moment, a few at a time, in the order of their keys.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_sql::{Direction, KeyRange};

use super::raw::Entry;
use super::schema::first_data_key;
use crate::bytes::Bytes;
use crate::engine::Handle;
use crate::transaction::{Begin, Transaction};

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 << 10;

/// A snapshot that is being read. It holds nothing between two reads: history keeps its moment, for as long as that is retained.
pub(crate) struct Snapshot {
    pub(crate) at: Timestamp,
    /// The first key that was not read yet.
    pub(crate) from: Vec<u8>,
}

impl Snapshot {
    /// Of the moment `at`, from the first row on or from `from`.
    pub(crate) fn new(at: Timestamp, from: Option<Vec<u8>>) -> Self {
        Snapshot { at, from: from.unwrap_or_else(first_data_key) }
    }

    /// The next rows; none at the end.
    pub(crate) fn next(&mut self, engine: &Handle) -> Result<Vec<Entry>> {
        let transaction = Transaction::begin(engine, Begin::ReadAt(self.at))?;
        // No key begins with this byte.
        let range = KeyRange { start: self.from.clone(), end: vec![0xFF] };
        let mut scan = transaction.raw_scan(range, Direction::Forward);
        let (mut entries, mut bytes) = (Vec::new(), 0);
        transaction.raw_visit(&mut scan, usize::MAX, &mut |key, value| {
            bytes += key.len() + value.len();
            let after = Some(Bytes::shared(Arc::from(value)));
            entries.push(Entry { key: key.to_vec(), before: None, after });
            Ok(if bytes < READ_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if let Some(last) = entries.last() {
            self.from.clone_from(&last.key);
            self.from.push(0);
        }
        Ok(entries)
    }
}
