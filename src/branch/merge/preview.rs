//! MERGE DRY RUN: what a merge would do, as rows.
//!
//! All is done but the commit, and then what the transaction would write is read off it. Where conflicts keep the merge from being done,
//! what is planned besides them is told instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dosql_base::Result;
use dosql_base::codec::get_ordered_u32;
use dosql_sql::Point;
use dosql_sql::catalog::layout::read_row;
use dosql_sql::catalog::schema::{Catalog, SpaceId, Table};
use dosql_sql::value::{Text, Value};

use super::plan::{Plan, keyspaces};
use super::stored::{self, bytes_to_json, key_to_json, row_to_json};
use super::{MergeConflict, Merging, OnConflict};
use crate::database::Database;
use crate::limits::FIRST_KEYSPACE;
use crate::transaction::Transaction;

/// What a merge would do.
#[derive(Default)]
pub(crate) struct Preview {
    /// Rows of `diff_type`, `table`, `key`, `base`, `ours`, `theirs`, `merged`.
    pub(crate) rows: Vec<Vec<Value>>,
    /// Rows and entries that it would change.
    pub(crate) changes: u64,
}

/// What is held under a table or keyspace and a key, before and after.
type Held = BTreeMap<(String, String), (Option<String>, Option<String>)>;

impl Database {
    /// What a merge of `from` would do; nothing of it is done. Fails as [`Database::merge`], but that conflicts are told and are no failure.
    pub(crate) fn preview_merge(&self, from: &str, on_conflict: OnConflict) -> Result<Preview> {
        Merging::begin(self, from)?.preview(on_conflict)
    }
}

impl Merging {
    fn preview(mut self, on_conflict: OnConflict) -> Result<Preview> {
        let mut preview = Preview::default();
        let changed = self.base.changed_keys(&self.from, self.theirs.snapshot())?;
        if changed.is_empty() {
            return Ok(preview);
        }
        let load = |ours: &mut Transaction| Catalog::load(ours, Point::Live, None);
        let before = self.connection.with_transaction(load)?;
        let mut conflicts = Vec::new();
        let mut held = None;
        if self.base.is_what_we_have(&self.into) {
            preview.changes = self.take_over(&changed)?;
        } else {
            self.merge_schema()?;
            let plan = Plan::make(&self, &changed, on_conflict, None)?;
            preview.changes = (plan.writes.len() + plan.entries.len()) as u64;
            if plan.waits {
                held = Some(planned(&plan));
            } else {
                self.apply(&plan)?;
            }
            conflicts = plan.conflicts;
        }
        let after = self.connection.with_transaction(load)?;
        schema_changes(&before, &after, &mut preview.rows);
        let open = held.is_some();
        let held = match held {
            Some(held) => held,
            None => self.connection.with_transaction(|ours| written(ours, &before, &after))?,
        };
        row_changes(held, &conflicts, open, &mut preview.rows);
        self.connection.roll_back_merge()?;
        Ok(preview)
    }
}

/// What a transaction would write.
fn written(ours: &mut Transaction, before: &Catalog, after: &Catalog) -> Result<Held> {
    let tables = |catalog: &Catalog| -> BTreeMap<SpaceId, Arc<Table>> {
        let stored = catalog.tables.values().filter(|table| !table.made_up && !table.temporary);
        stored.map(|table| (table.space, Arc::clone(table))).collect()
    };
    let (old, new, named) = (tables(before), tables(after), keyspaces(ours)?);
    let keys: Vec<Vec<u8>> = ours.writes.changes().keys().map(<[u8]>::to_vec).collect();
    let mut held = Held::new();
    for key in keys {
        let Some((space, len)) = get_ordered_u32(&key) else { continue };
        let (was, is) = (ours.raw_get_at(&key, ours.snapshot())?, ours.raw_get(&key)?);
        if space >= FIRST_KEYSPACE {
            let Some(name) = named.get(&space) else { continue };
            let json = |value: Option<_>| value.map(|value: crate::bytes::Bytes| bytes_to_json(&value));
            held.insert((name.clone(), bytes_to_json(&key[len..])), (json(was), json(is)));
            continue;
        }
        let Some(table) = new.get(&space).filter(|table| table.name.as_str() != stored::TABLE) else {
            continue;
        };
        let mut sides = [None, None];
        let mut place = None;
        for (side, (table, bytes)) in sides.iter_mut().zip([(old.get(&space), was), (Some(table), is)]) {
            if let (Some(table), Some(bytes)) = (table, bytes) {
                let (row, rowid) = read_row(table, &key[len..], &bytes)?;
                place = Some(key_to_json(table, &row, rowid));
                *side = Some(row_to_json(table, &row));
            }
        }
        let [was, is] = sides;
        if let Some(place) = place {
            // The same row may go from one rowid and come at another.
            let entry = held.entry((table.name.to_string(), place)).or_default();
            (entry.0, entry.1) = (entry.0.take().or(was), entry.1.take().or(is));
        }
    }
    Ok(held)
}

/// What a plan that can't be carried out would do besides its conflicts.
fn planned(plan: &Plan) -> Held {
    let rows = plan.writes.iter().filter_map(|write| {
        let json = |row: &Option<Vec<Value>>| row.as_ref().map(|row| row_to_json(&write.table, row));
        let any = write.after.as_ref().or(write.before.as_ref())?;
        let key = key_to_json(&write.table, any, write.rowid);
        Some(((write.table.name.to_string(), key), (json(&write.before), json(&write.after))))
    });
    let entries = plan.entries.iter().map(|(keyspace, key, value)| {
        ((keyspace.clone(), bytes_to_json(key)), (None, value.as_deref().map(bytes_to_json)))
    });
    rows.chain(entries).collect()
}

fn row_changes(mut held: Held, conflicts: &[MergeConflict], open: bool, rows: &mut Vec<Vec<Value>>) {
    let told: BTreeSet<(String, String)> =
        conflicts.iter().map(|conflict| (conflict.table.clone(), conflict.key.clone())).collect();
    for conflict in conflicts {
        let settled = held.remove(&(conflict.table.clone(), conflict.key.clone()));
        let merged = match settled {
            _ if open => None,
            Some((_, after)) => after,
            None => conflict.ours.clone(),
        };
        let sides = [&conflict.base, &conflict.ours, &conflict.theirs, &merged].map(Option::as_deref);
        rows.push(row("conflict", &conflict.table, Some(&conflict.key), sides));
    }
    for ((table, key), (before, after)) in held.into_iter().filter(|(place, _)| !told.contains(place)) {
        if before != after {
            let what = diff_type(before.is_some(), after.is_some());
            rows.push(row(what, &table, Some(&key), [None, before.as_deref(), None, after.as_deref()]));
        }
    }
}

/// What becomes of tables, indexes, views and triggers: without a key, what they are is their SQL.
fn schema_changes(before: &Catalog, after: &Catalog, rows: &mut Vec<Vec<Value>>) {
    let objects = |catalog: &Catalog| -> BTreeMap<u32, (Text, Text)> {
        let written = catalog.objects.iter().filter(|object| !object.sql.is_empty());
        written.map(|object| (object.sequence, (object.name.clone(), object.sql.clone()))).collect()
    };
    let (old, new) = (objects(before), objects(after));
    let sequences: BTreeSet<&u32> = old.keys().chain(new.keys()).collect();
    for sequence in sequences {
        let (was, is) = (old.get(sequence), new.get(sequence));
        if let Some((name, _)) = is.or(was).filter(|_| was != is) {
            let sql = |side: Option<&'_ (Text, Text)>| side.map(|(_, sql)| sql.to_string());
            let (was, is) = (sql(was), sql(is));
            let what = diff_type(was.is_some(), is.is_some());
            rows.push(row(what, name, None, [None, was.as_deref(), None, is.as_deref()]));
        }
    }
}

fn diff_type(before: bool, after: bool) -> &'static str {
    match (before, after) {
        (false, _) => "added",
        (true, true) => "modified",
        (true, false) => "removed",
    }
}

fn row(what: &str, table: &str, key: Option<&str>, sides: [Option<&str>; 4]) -> Vec<Value> {
    let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(Text::new(text)));
    let head = [Some(what), Some(table), key];
    head.into_iter().chain(sides).map(text).collect()
}
