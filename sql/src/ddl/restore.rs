//! RESTORE TABLE and RESTORE DATABASE: makes the present what it was at a point, by ordinary writes. What the schema was then
//! comes back with the rows; only what differs is written.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::{Error, Result};

use crate::catalog::layout::{self, space_range};
use crate::catalog::schema::{Catalog, SpaceId, Table};
use crate::catalog::store::{
    CATALOG_SPACE, Object, ObjectKind, delete_object, put_object, read_counters, write_counters,
};
use crate::catalog::temp;
use crate::storage::{Direction, KeyRange, Point, Storage};
use crate::value::{Text, Value};

/// What is to be restored.
#[derive(Clone, Debug)]
pub(crate) struct Restore {
    /// The table; `None`: all of them, with views.
    pub(crate) table: Option<Text>,
    /// To what it was then.
    pub(crate) point: Point,
    /// The schema of then.
    pub(crate) catalog: Arc<Catalog>,
}

/// Keys that are compared at a time.
const CHUNK: usize = 1024;

/// Restores, and returns the number of rows that were changed. The caller keeps the storage's savepoint.
pub(crate) fn restore<S: Storage>(storage: &mut S, live: &Catalog, restore: &Restore) -> Result<i64> {
    let then: Vec<&Object> = restore.catalog.objects.iter().filter(|object| restore.means(object)).collect();
    let now: Vec<&Object> = live.objects.iter().filter(|object| restore.means(object)).collect();
    restore.check_names(live, &then)?;
    let mut changed = 0;
    for object in &now {
        if !then.iter().any(|other| other.sequence == object.sequence) {
            delete_object(storage, CATALOG_SPACE, object.sequence)?;
        }
        // A space that is no more is emptied; one that is still there is compared below.
        if object.space != 0 && !then.iter().any(|other| other.space == object.space) {
            changed += rows(object, clear(storage, object.space)?);
        }
    }
    for object in &then {
        if !now.contains(object) {
            put_object(storage, CATALOG_SPACE, object)?;
        }
        if object.space != 0 {
            changed += rows(object, bring_back(storage, object.space, restore.point)?);
        }
    }
    if restore.table.is_some() {
        restore.bring_back_sequence(storage, live)?;
    }
    let mut counters = read_counters(storage, Point::Live, CATALOG_SPACE)?;
    counters.version += 1;
    write_counters(storage, CATALOG_SPACE, &counters)?;
    Ok(changed)
}

/// Entries of indexes are no rows.
fn rows(object: &Object, entries: i64) -> i64 {
    if object.kind == ObjectKind::Table { entries } else { 0 }
}

impl Restore {
    /// Whether an object is restored.
    fn means(&self, object: &Object) -> bool {
        !temp::is_temporary(object.sequence)
            && self.table.as_ref().is_none_or(|table| object.table.eq_ignore_ascii_case(table))
    }

    /// Fails where something else has a name by now that is to come back.
    fn check_names(&self, live: &Catalog, then: &[&Object]) -> Result<()> {
        let relation = |object: &Object| object.kind != ObjectKind::Trigger;
        for object in then {
            let taken = live.objects.iter().find(|other| {
                !self.means(other)
                    && !temp::is_temporary(other.sequence)
                    && relation(other) == relation(object)
                    && other.name.eq_ignore_ascii_case(&object.name)
            });
            if let Some(taken) = taken {
                let (kind, name) = (taken.kind.name(), &taken.name);
                return Err(Error::invalid(format!(
                    "{kind} {name} stands in the way: drop or rename it first"
                )));
            }
        }
        Ok(())
    }

    /// What an AUTOINCREMENT table that was dropped had counted to: its rowids are not given again.
    fn bring_back_sequence<S: Storage>(&self, storage: &mut S, live: &Catalog) -> Result<()> {
        let (Some(name), Some(then), Some(now)) =
            (&self.table, self.catalog.sequence_table(false), live.sequence_table(false))
        else {
            return Ok(());
        };
        let row = |catalog: &Table, key: &[u8], value: &[u8]| {
            let row_id = layout::row_id(catalog.space, key)?;
            Ok::<_, Error>(layout::read_row(catalog, row_id, value)?.0)
        };
        let is_named =
            |row: &[Value]| matches!(row.first(), Some(Value::Text(text)) if text.eq_ignore_ascii_case(name));
        let (_, present) = page(storage, Point::Live, space_range(now.space), usize::MAX)?;
        for (key, value) in &present {
            if is_named(&row(now, key, value)?) {
                return Ok(());
            }
        }
        let (_, past) = page(storage, self.point, space_range(then.space), usize::MAX)?;
        for (key, value) in past {
            if is_named(&row(then, &key, &value)?) {
                let last = present.iter().map(|(key, _)| key.as_slice()).max();
                let rowid = match last {
                    Some(key) => layout::rowid_of(layout::row_id(now.space, key)?)? + 1,
                    None => 1,
                };
                let mut key = Vec::new();
                layout::put_rowid_key(&mut key, now.space, rowid);
                return storage.put(&key, &value);
            }
        }
        Ok(())
    }
}

/// An entry of the map.
type Entry = (Vec<u8>, Vec<u8>);

/// The first entries of a range at a point, up to `limit`, and whether these are all.
fn page<S: Storage>(storage: &S, point: Point, range: KeyRange, limit: usize) -> Result<(bool, Vec<Entry>)> {
    let mut cursor = storage.open_cursor(point, range, Direction::Forward)?;
    let mut entries = Vec::new();
    loop {
        let left = limit - entries.len();
        let done = storage.visit(&mut cursor, left, &mut |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        if done || entries.len() >= limit {
            return Ok((done, entries));
        }
    }
}

/// Removes everything in a space; how many entries there were.
fn clear<S: Storage>(storage: &mut S, space: SpaceId) -> Result<i64> {
    let mut removed = 0;
    loop {
        let (done, entries) = page(storage, Point::Live, space_range(space), CHUNK)?;
        for (key, _) in &entries {
            storage.delete(key)?;
            removed += 1;
        }
        if done {
            return Ok(removed);
        }
    }
}

/// Makes a space what it was at a point; how many entries differed. One walk through both, side by side.
fn bring_back<S: Storage>(storage: &mut S, space: SpaceId, point: Point) -> Result<i64> {
    let KeyRange { mut start, end } = space_range(space);
    let mut changed = 0;
    loop {
        let range = || KeyRange { start: start.clone(), end: end.clone() };
        let (past_done, past) = page(storage, point, range(), CHUNK)?;
        let (live_done, live) = page(storage, Point::Live, range(), CHUNK)?;
        // Up to the lesser of the last keys, both pages hold everything.
        let bound = match (past_done, live_done) {
            (true, true) => None,
            (false, true) => past.last(),
            (true, false) => live.last(),
            (false, false) => past.last().min(live.last()),
        };
        let bound = bound.map(|(key, _)| key.clone());
        let within = |entry: &&Entry| bound.as_ref().is_none_or(|bound| entry.0 <= *bound);
        let (mut past, mut live) =
            (past.iter().filter(within).peekable(), live.iter().filter(within).peekable());
        loop {
            match (past.peek(), live.peek()) {
                (None, None) => break,
                (Some(then), Some(now)) if then.0 == now.0 => {
                    if then.1 != now.1 {
                        storage.put(&then.0, &then.1)?;
                        changed += 1;
                    }
                    past.next();
                    live.next();
                }
                (Some(then), now) if now.is_none_or(|now| then.0 < now.0) => {
                    storage.put(&then.0, &then.1)?;
                    changed += 1;
                    past.next();
                }
                (_, Some(now)) => {
                    storage.delete(&now.0)?;
                    changed += 1;
                    live.next();
                }
                (Some(_), None) => break,
            }
        }
        match bound {
            None => return Ok(changed),
            Some(bound) => start = [bound.as_slice(), &[0]].concat(),
        }
    }
}
