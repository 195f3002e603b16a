//! Commits as changes: keys and values become rows of tables and entries of keyspaces, and what is not wanted falls away.

use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result, Timestamp};
use dosql_sql::catalog::layout::read_row_beside;
use dosql_sql::value::Value;

use super::change::{Change, EntryChange, Event, Op, RowChange, SchemaChange};
use super::filter::{Filter, Shown};
use super::raw::{Commit, Entry};
use super::schema::{Owner, Schemas};
use crate::bytes::Bytes;
use crate::engine::Handle;

/// Turns commits into what a subscriber sees of them.
pub(crate) struct Decoder {
    engine: Handle,
    pub(crate) schemas: Schemas,
    filter: Filter,
    branch: Arc<str>,
}

impl Decoder {
    pub(crate) fn new(engine: &Handle, schemas: Schemas, filter: Filter) -> Self {
        Decoder { engine: engine.clone(), schemas, filter, branch: Arc::from(engine.branch().name()) }
    }

    /// Tells the changes of a commit that are shown; a later commit than the last one.
    pub(crate) fn commit(&mut self, commit: &Commit, mut tell: impl FnMut(Change)) -> Result<()> {
        // Held back until it is known whether another follows.
        let (mut held, mut count) = (None, 0);
        for change in self.schemas.follow(&self.engine, commit)? {
            if self.shows(&change) {
                let change = self.change(commit.timestamp, count, false, Event::Schema(change));
                held.replace(change).into_iter().for_each(&mut tell);
                count += 1;
            }
        }
        for entry in &commit.entries {
            if let Some(event) = self.entry(entry, commit.timestamp)? {
                let change = self.change(commit.timestamp, count, false, event);
                held.replace(change).into_iter().for_each(&mut tell);
                count += 1;
            }
        }
        held.into_iter().for_each(|change| tell(Change { last: true, ..change }));
        Ok(())
    }

    /// Refuses a moment that the history of a table does not reach which is shown.
    pub(crate) fn check_reach(&self, at: Timestamp) -> Result<()> {
        let view = self.engine.view();
        if view.retention.is_plain() {
            return Ok(());
        }
        let shown = self.schemas.now.tables().filter(|table| self.filter.shows(table));
        for table in shown {
            self.engine.check_horizon_of(&view, table.space, &table.name, at)?;
            let erased = view.retention.floor(table.space).erased;
            if at < erased {
                return Err(rows_erased(&table.name, erased));
            }
        }
        Ok(())
    }

    /// A change with its place in its commit.
    pub(crate) fn change(&self, timestamp: Timestamp, position: u64, last: bool, event: Event) -> Change {
        Change { timestamp, position, last, branch: Arc::clone(&self.branch), event }
    }

    /// What there is in the schema, as far as it is shown.
    pub(crate) fn schema_now(&self) -> Vec<SchemaChange> {
        self.schemas.now.all().into_iter().filter(|change| self.shows(change)).collect()
    }

    fn shows(&self, change: &SchemaChange) -> bool {
        let old = change.old_name.as_ref().is_some_and(|name| self.filter.wanted.shows_table(name));
        old || self.filter.wanted.shows_table(&change.table)
    }

    /// What an entry of the map is to the subscriber; `None` where it is nothing.
    pub(crate) fn entry(&mut self, entry: &Entry, now: Timestamp) -> Result<Option<Event>> {
        match Owner::of(&entry.key) {
            Owner::Catalog => Ok(None),
            Owner::Keyspace(number, key) => {
                let named = self.schemas.keyspace(number);
                let shown = named.filter(|name| self.filter.wanted.shows_keyspace(name));
                Ok(shown.map(|name| entry_of_keyspace(name, key, entry)))
            }
            Owner::Table(space, row_id) => match self.filter.shown(&self.schemas.now, space)? {
                Some(shown) => self.row(&shown, row_id, entry, now),
                None => Ok(None),
            },
        }
    }

    fn row(&self, shown: &Shown, row_id: &[u8], entry: &Entry, now: Timestamp) -> Result<Option<Event>> {
        let decode = |bytes: &Option<Bytes>, other: &[Value]| match bytes {
            Some(bytes) => self.whole_row(shown, row_id, bytes, other, now),
            None => Ok(None),
        };
        let before = decode(&entry.before, &[])?;
        let after = decode(&entry.after, before.as_deref().unwrap_or_default())?;
        let Some(any) = after.as_ref().or(before.as_ref()) else { return Ok(None) };
        let key = shown.key.iter().map(|part| match part {
            Ok(Some(at)) => any[*at].clone(),
            Ok(None) => any[shown.source.columns.len()].clone(),
            Err(_) => Value::Null,
        });
        let key = key.collect();
        let visible = |mut row: Vec<Value>| {
            if shown.is_whole() {
                row.truncate(shown.positions.len());
                return row;
            }
            shown.positions.iter().map(|&at| row[at].clone()).collect::<Vec<_>>()
        };
        let (before, after) = (before.map(visible), after.map(visible));
        let mut changed = Vec::new();
        if let (Some(before), Some(after)) = (&before, &after) {
            changed.extend((0..before.len()).filter(|&at| before[at] != after[at]));
            if changed.is_empty() {
                return Ok(None);
            }
        }
        let op = op_of(before.is_some(), after.is_some());
        Ok(Some(Event::Row(RowChange { table: Arc::clone(&shown.table), op, key, before, after, changed })))
    }

    /// All columns of a row, then its rowid; `None` where it does not meet the condition.
    fn whole_row(
        &self,
        shown: &Shown,
        row_id: &[u8],
        bytes: &[u8],
        other: &[Value],
        now: Timestamp,
    ) -> Result<Option<Vec<Value>>> {
        let (mut row, rowid) = read_row_beside(&shown.source, row_id, bytes, other)?;
        row.push(Value::Integer(rowid));
        match &shown.condition {
            Some(condition) if !condition.is_true(&mut row, &self.engine.env, now)? => Ok(None),
            _ => Ok(Some(row)),
        }
    }
}

/// What is said to a feed that was not told of rows before they were erased.
fn rows_erased(table: &str, at: Timestamp) -> Error {
    let message = format!(
        "rows of {table} were erased at {at}, and what was before it can't be told any more; begin anew, with a snapshot"
    );
    Error::new(ErrorKind::InvalidInput, Code::AsOfExpired, message)
}

fn op_of(before: bool, after: bool) -> Op {
    match (before, after) {
        (true, true) => Op::Update,
        (true, false) => Op::Delete,
        (false, _) => Op::Insert,
    }
}

fn entry_of_keyspace(name: &Arc<str>, key: &[u8], entry: &Entry) -> Event {
    Event::Entry(EntryChange {
        keyspace: Arc::clone(name),
        op: op_of(entry.before.is_some(), entry.after.is_some()),
        key: key.to_vec(),
        before: entry.before.clone(),
        after: entry.after.clone(),
    })
}

impl Event {
    /// The same, of something that was there at the moment of a snapshot.
    pub(crate) fn of_snapshot(mut self) -> Event {
        match &mut self {
            Event::Row(row) => row.op = Op::Read,
            Event::Entry(entry) => entry.op = Op::Read,
            Event::Schema(_) | Event::Watermark => {}
        }
        self
    }
}
