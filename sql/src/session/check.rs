//! PRAGMA foreign_key_check and integrity_check: looks at every row.

use std::sync::Arc;

use dosql_base::{Error, Result};

use crate::catalog::schema::Table;
use crate::dml::foreign_key::{child_key, foreign_key_failed};
use crate::dml::machine::Machine;
use crate::storage::Storage;
use crate::value::{Text, Value};

/// How many faults integrity_check lists unless told.
const MAX_FAULTS: usize = 100;

/// Rows without a parent: table, rowid, parent, number of the foreign key.
pub(super) fn foreign_key_check<S: Storage>(
    machine: &mut Machine<'_, S>,
    only: Option<&str>,
) -> Result<Vec<Vec<Value>>> {
    let catalog = machine.catalog;
    if let Some(only) = only.filter(|only| catalog.table(only).is_none()) {
        return Err(Error::invalid(format!("no such table: {only}")));
    }
    let mut faults = Vec::new();
    for table in catalog.tables.values().filter(|table| !table.made_up && !table.foreign_keys.is_empty()) {
        if only.is_none_or(|only| table.name.eq_ignore_ascii_case(only)) {
            check_parents(machine, table, &mut faults)?;
        }
    }
    Ok(faults)
}

/// Fails where a row of a table, or of one that refers to it, lacks a parent.
pub(super) fn check_around<S: Storage>(machine: &mut Machine<'_, S>, table: &str) -> Result<()> {
    let children = machine.catalog.children_of_table(table);
    let names = children.into_iter().map(|(child, _)| child.name.clone());
    for name in std::iter::once(Text::new(table)).chain(names) {
        if !foreign_key_check(machine, Some(&name))?.is_empty() {
            return Err(foreign_key_failed());
        }
    }
    Ok(())
}

/// Notes the rows of a table that lack a parent, each with its foreign keys in the order of `foreign_key_list`.
fn check_parents<S: Storage>(
    machine: &mut Machine<'_, S>,
    table: &Arc<Table>,
    faults: &mut Vec<Vec<Value>>,
) -> Result<()> {
    let mut keys = Vec::with_capacity(table.foreign_keys.len());
    for foreign in table.foreign_keys.iter().rev() {
        let parent = match machine.catalog.table(&foreign.parent) {
            Some(_) => Some(machine.parent_key(table, foreign)?),
            None => None,
        };
        keys.push((foreign, parent));
    }
    for row_id in machine.row_ids(table.space)? {
        let Some(row) = machine.fetch(table, &row_id)? else { continue };
        for ((foreign, parent), id) in keys.iter().zip(0i64..) {
            let lost = match parent {
                Some(parent) => match child_key(foreign, parent, &row) {
                    Some(key) => !machine.parent_exists(parent, &key)?,
                    None => false,
                },
                None => foreign.columns.iter().all(|column| !row[*column].is_null()),
            };
            if lost {
                let rowid = row.last().cloned().unwrap_or_default();
                let (name, parent) = (table.name.clone(), foreign.parent.clone());
                faults.push(vec![Value::Text(name), rowid, Value::Text(parent), Value::Integer(id)]);
            }
        }
    }
    Ok(())
}

/// Faults of tables and their indexes as lines of text; `ok` where there are none. `argument` is a table or how many
/// faults to list.
pub(super) fn integrity_check<S: Storage>(
    machine: &mut Machine<'_, S>,
    argument: Option<&str>,
) -> Result<Vec<Vec<Value>>> {
    let limit = argument.and_then(|text| text.parse::<usize>().ok());
    let only = argument.filter(|_| limit.is_none());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(MAX_FAULTS);
    let mut faults = Vec::new();
    for table in machine.catalog.tables.values().filter(|table| !table.made_up) {
        if only.is_none_or(|only| table.name.eq_ignore_ascii_case(only)) {
            check_table(machine, table, limit, &mut faults)?;
        }
    }
    if faults.is_empty() {
        faults.push("ok".to_owned());
    }
    faults.truncate(limit);
    Ok(faults.into_iter().map(|fault| vec![Value::from(fault)]).collect())
}

fn check_table<S: Storage>(
    machine: &mut Machine<'_, S>,
    table: &Arc<Table>,
    limit: usize,
    faults: &mut Vec<String>,
) -> Result<()> {
    let mut expected = vec![0usize; table.indexes.len()];
    for (number, row_id) in machine.row_ids(table.space)?.into_iter().enumerate() {
        if faults.len() >= limit {
            return Ok(());
        }
        let Some(row) = machine.fetch(table, &row_id)? else { continue };
        for (position, column) in table.columns.iter().enumerate() {
            if column.not_null.is_some() && row[position].is_null() {
                faults.push(format!("NULL value in {}.{}", table.name, column.name));
            }
        }
        for check in &table.checks {
            if machine.truth(&check.expr, &row, &[])? == Some(false) {
                faults.push(format!("CHECK constraint failed in {}", table.name));
            }
        }
        let entries = machine.entries_of(table, &row, row_id)?;
        for (n, entry) in entries.entries.iter().enumerate() {
            let Some(entry) = entry else { continue };
            expected[n] += 1;
            if !machine.has_key(&entry.key)? {
                faults.push(format!("row {} missing from index {}", number + 1, table.indexes[n].name));
            }
        }
    }
    for (index, expected) in table.indexes.iter().zip(expected) {
        let found = machine.row_ids(index.space)?.len();
        if found > expected {
            faults.push(format!("wrong # of entries in index {}", index.name));
        }
        if index.unique {
            check_unique(machine, index, faults)?;
        }
    }
    Ok(())
}

/// Notes twins in a unique index.
fn check_unique<S: Storage>(
    machine: &Machine<'_, S>,
    index: &crate::catalog::schema::Index,
    faults: &mut Vec<String>,
) -> Result<()> {
    let mut last: Option<Vec<u8>> = None;
    for entry in machine.row_ids(index.space)? {
        let (columns, has_null) = crate::catalog::layout::index_columns(index, &entry)?;
        if !has_null && last.as_deref() == Some(columns) {
            faults.push(format!("non-unique entry in index {}", index.name));
        }
        last = Some(columns.to_vec());
    }
    Ok(())
}
