//! A table: columns, indexes, rows by id.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use dosql::Value;

/// A row: one value a column, the id first.
pub type Row = Vec<Value>;

/// What a column is declared as, and what is stored in it beside NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Integer,
    Text,
    Real,
    Blob,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub kind: Type,
    pub not_null: bool,
    pub default: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    pub columns: Vec<String>,
    pub unique: bool,
}

/// Its first column is `id INTEGER PRIMARY KEY`.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub without_rowid: bool,
    pub indexes: BTreeMap<String, Index>,
    pub rows: Arc<BTreeMap<i64, Arc<Row>>>,
}

impl Table {
    /// The place of a column.
    #[must_use]
    pub fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }

    /// The index that a column has to itself or leads.
    #[must_use]
    pub fn index_on(&self, column: &str) -> Option<&str> {
        let leads = |index: &Index| index.columns.first().is_some_and(|first| first == column);
        self.indexes.iter().find(|(_, index)| leads(index)).map(|(name, _)| name.as_str())
    }

    #[must_use]
    pub fn is_indexed(&self, column: &str) -> bool {
        self.indexes.values().any(|index| index.columns.iter().any(|known| known == column))
    }

    #[must_use]
    pub fn has_unique_index(&self) -> bool {
        self.indexes.values().any(|index| index.unique)
    }

    /// The ids of other rows that hold what a unique index allows once.
    #[must_use]
    pub fn clashes(&self, row: &Row, but: i64) -> Vec<i64> {
        let mut clashes = Vec::new();
        for index in self.indexes.values().filter(|index| index.unique) {
            let places: Vec<usize> = index.columns.iter().filter_map(|column| self.place(column)).collect();
            // A row that was made before a column has nothing there.
            if places.iter().any(|&place| row.get(place).is_none_or(|value| *value == Value::Null)) {
                continue;
            }
            let same = |other: &Row| places.iter().all(|&place| other.get(place) == row.get(place));
            clashes
                .extend(self.rows.iter().filter(|(id, other)| **id != but && same(other)).map(|(id, _)| *id));
        }
        clashes.sort_unstable();
        clashes.dedup();
        clashes
    }

    /// Whether two rows hold the same where a unique index allows it once.
    #[must_use]
    pub fn would_clash(&self, columns: &[String]) -> bool {
        let places: Vec<usize> = columns.iter().filter_map(|column| self.place(column)).collect();
        let key = |row: &Row| -> Vec<Value> { places.iter().map(|&place| row[place].clone()).collect() };
        let keys: Vec<Vec<Value>> = self.rows.values().map(|row| key(row)).collect();
        let sound = |key: &&Vec<Value>| !key.contains(&Value::Null);
        keys.iter().enumerate().filter(|(_, key)| sound(key)).any(|(i, key)| keys[..i].contains(key))
    }
}

/// How SQL orders two values of one type; `None` where one of them is NULL.
#[must_use]
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Blob(a), Value::Blob(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
