//! What a subscriber gets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};
use dosql_sql::value::{Text, Value};

use crate::bytes::Bytes;

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The commit that made it; of a row of the snapshot, the moment of that. It is the log sequence number as well as the time of
    /// the commit.
    pub timestamp: Timestamp,
    /// Its place among the changes of its commit that the feed shows, from 0. In a snapshot that was taken up again it counts from there.
    pub position: u64,
    /// Whether it is the last of its commit, or of the snapshot.
    pub last: bool,
    /// The branch that was committed to.
    pub branch: Arc<str>,
    /// What changed.
    pub event: Event,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A row of a table.
    Row(RowChange),
    /// An entry of a keyspace.
    Entry(EntryChange),
    /// The schema. Comes before the rows that the same commit changed.
    Schema(SchemaChange),
    /// Nothing: all commits up to the Timestamp were looked at. See [`super::Feed::watermarks`].
    Watermark,
}

/// What was done to a row or an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// It is new.
    Insert,
    /// It has other values.
    Update,
    /// It is gone.
    Delete,
    /// It was there at the moment of the snapshot.
    Read,
}

impl Op {
    /// `insert`, `update`, `delete` or `read`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Op::Insert => "insert",
            Op::Update => "update",
            Op::Delete => "delete",
            Op::Read => "read",
        }
    }
}

/// A row that changed. A new primary key makes it another row: one is deleted and one inserted.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// Its table, as it was at the commit.
    pub table: Arc<Table>,
    /// What was done to it.
    pub op: Op,
    /// Its primary key, or its rowid where there is none: the values of [`Table::key`]. NULL stands for what is marked PII and not
    /// asked for.
    pub key: Vec<Value>,
    /// The values before, of [`Table::columns`]; `None` where it is new or read.
    pub before: Option<Vec<Value>>,
    /// The values after; `None` where it is gone.
    pub after: Option<Vec<Value>>,
    /// Which of [`Table::columns`] an update changed, ascending.
    pub changed: Vec<usize>,
}

/// An entry of a keyspace that changed.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryChange {
    /// The keyspace's name.
    pub keyspace: Arc<str>,
    /// What was done to it.
    pub op: Op,
    /// Its key.
    pub key: Vec<u8>,
    /// The value before; `None` where it is new or read.
    pub before: Option<Bytes>,
    /// The value after; `None` where it is gone.
    pub after: Option<Bytes>,
}

/// A table as a feed shows it: without virtual generated columns, and without columns that were not asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: Text,
    /// The version of the schema that it is of.
    pub schema_version: u64,
    /// The columns of its rows.
    pub columns: Vec<Column>,
    /// The names of the columns of its key: the primary key, or `rowid`.
    pub key: Vec<Text>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: Text,
    /// The declared type as written, empty where there is none.
    pub declared_type: Text,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Marked as personal: its declared type has the word `PII`. Left out of feeds that don't name it.
    pub pii: bool,
}

/// What kind of thing of the schema changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Object {
    Table,
    Index,
    View,
    Trigger,
}

impl Object {
    /// `table`, `index`, `view` or `trigger`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Object::Table => "table",
            Object::Index => "index",
            Object::View => "view",
            Object::Trigger => "trigger",
        }
    }
}

/// A change of the schema. A table that is dropped takes its rows along without an event for each.
#[derive(Clone, Debug, PartialEq)]
pub struct SchemaChange {
    /// What was done: made (`Insert`), altered or renamed (`Update`), dropped (`Delete`), or there at the snapshot (`Read`).
    pub op: Op,
    /// What it was done to.
    pub object: Object,
    /// Its name after the change, or that of what was dropped.
    pub name: Text,
    /// Its name before, where that was another.
    pub old_name: Option<Text>,
    /// The table that an index or a trigger belongs to; a table's and a view's own name.
    pub table: Text,
    /// The statement that makes it as it is now; of what was dropped, as it was. Empty for the index of a constraint.
    pub sql: Text,
    /// The columns of a table after the change.
    pub columns: Vec<Column>,
    /// The version of the schema before and after.
    pub versions: (u64, u64),
}

/// Where a subscriber has got to, to come back to: everything before was delivered. As text it is the Timestamp's number, followed by
/// a colon and a key within a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last commit that was delivered to its end; 0 for none, which asks for everything.
    pub timestamp: Timestamp,
    /// Within the snapshot of that moment: where it goes on.
    pub(crate) snapshot: Option<Vec<u8>>,
}

impl From<Timestamp> for Position {
    fn from(timestamp: Timestamp) -> Self {
        Position { timestamp, snapshot: None }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp.as_micros())?;
        if let Some(key) = &self.snapshot {
            f.write_str(":")?;
            key.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::invalid(format!("{text:?} is no position in a feed; pass on what one said"));
        let (number, key) = match text.split_once(':') {
            Some((number, key)) => (number, Some(key)),
            None => (text, None),
        };
        let timestamp = Timestamp::from_micros(number.parse().map_err(|_| wrong())?);
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
            pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        let key = key.map(|key| key.as_bytes().chunks(2).map(byte).collect::<Option<Vec<u8>>>());
        let snapshot = key.map(|key| key.ok_or_else(wrong)).transpose()?;
        Ok(Position { timestamp, snapshot })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_what_is_none_is_refused() {
        for position in [
            Position::default(),
            Timestamp::from_micros(1_700_000_000_000_000).into(),
            Position { timestamp: Timestamp::from_micros(5), snapshot: Some(vec![0, 0xFB, 7]) },
            Position { timestamp: Timestamp::from_micros(5), snapshot: Some(vec![]) },
        ] {
            assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }
        for text in ["", "x", "-1", "1:0", "1:0g", "1:é", "1:00:00", "99999999999999999999"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
