//! Writing what a merge came to: first every changed row is taken out, then those that stay are put in as INSERT would, so that rows may
//! swap what has to be unique. Triggers do not fire and foreign keys do not act; whether they hold is seen to at the end, for
//! the rows that were written.

use std::collections::BTreeSet;
use std::sync::Arc;

use dosql_base::{Code, Error, ErrorKind, Result};
use dosql_sql::Point;
use dosql_sql::catalog::layout::put_rowid_key;
use dosql_sql::catalog::schema::{Catalog, ForeignKey, Table};
use dosql_sql::value::Value;

use super::plan::Plan;
use super::{Merging, Write};
use crate::keyspace::Keyspace;

impl Merging {
    /// Writes all of it; returns how many rows and entries were changed.
    pub(super) fn apply(&self, plan: &Plan) -> Result<u64> {
        for write in plan.writes.iter().filter(|write| write.before.is_some()) {
            self.delete(write)?;
        }
        for write in &plan.writes {
            if let Some(after) = &write.after {
                self.insert(write, after)?;
            }
        }
        for (name, key, value) in &plan.entries {
            let keyspace = Keyspace::new(name)?;
            self.connection.with_transaction(|ours| match value {
                Some(value) => ours.put(&keyspace, key, value),
                None => ours.delete(&keyspace, key),
            })?;
        }
        self.check_foreign_keys(plan)?;
        Ok((plan.writes.len() + plan.entries.len()) as u64)
    }

    fn delete(&self, write: &Write) -> Result<()> {
        let table = &write.table;
        let (condition, key) = key_of(table, write.before.as_deref().unwrap_or_default(), write.rowid);
        let sql = format!("DELETE FROM {} WHERE {condition}", quoted(&table.name));
        self.connection.execute(&sql, key).map(|_| ())
    }

    fn insert(&self, write: &Write, after: &[Value]) -> Result<()> {
        let table = &write.table;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        if !table.without_rowid
            && table.rowid_alias.is_none()
            && let Some(rowid) = rowid_name(table)
            && self.is_free(table, write.rowid)?
        {
            names.push(rowid.to_owned());
            values.push(Value::Integer(write.rowid));
        }
        for (column, value) in table.columns.iter().zip(after) {
            if column.generated.is_none() {
                names.push(quoted(&column.name));
                values.push(value.clone());
            }
        }
        let holes = vec!["?"; names.len()].join(", ");
        let sql =
            format!("INSERT OR ABORT INTO {} ({}) VALUES ({holes})", quoted(&table.name), names.join(", "));
        self.connection.execute(&sql, values).map(|_| ())
    }

    /// Whether no row of this branch has the rowid; where one has, a row that is known by its primary key gets another.
    fn is_free(&self, table: &Table, rowid: i64) -> Result<bool> {
        let mut key = Vec::new();
        put_rowid_key(&mut key, table.space, rowid);
        self.connection.with_transaction(|ours| Ok(ours.raw_get(&key)?.is_none()))
    }

    /// Fails where a row that was written refers to none, or one that went or changed is still referred to.
    fn check_foreign_keys(&self, plan: &Plan) -> Result<()> {
        let catalog = self.connection.with_transaction(|ours| Catalog::load(ours, Point::Live, None))?;
        let mut checked = BTreeSet::new();
        for write in &plan.writes {
            if let Some(after) = &write.after {
                for key in &write.table.foreign_keys {
                    self.check_reference(&catalog, &write.table, key, after)?;
                }
            }
            let Some(before) = &write.before else { continue };
            for (child, number) in catalog.children_of_table(&write.table.name) {
                let key = &child.foreign_keys[number];
                let Some(held) = referred(&write.table, key, before) else { continue };
                let seen = (child.name.to_ascii_lowercase(), number, format!("{held:?}"));
                if checked.insert(seen) {
                    self.check_referrers(&catalog, &child, key, held)?;
                }
            }
        }
        Ok(())
    }

    /// The parent of a child's row must be there.
    fn check_reference(
        &self,
        catalog: &Catalog,
        child: &Table,
        key: &ForeignKey,
        row: &[Value],
    ) -> Result<()> {
        let values: Vec<Value> = key.columns.iter().map(|&at| row[at].clone()).collect();
        if values.contains(&Value::Null) || self.has_parent(catalog, key, &values)? {
            return Ok(());
        }
        Err(failed(child, key, &values))
    }

    fn has_parent(&self, catalog: &Catalog, key: &ForeignKey, values: &[Value]) -> Result<bool> {
        let Some(parent) = catalog.table(&key.parent) else { return Ok(false) };
        let columns = parent_columns(parent, key);
        let conditions: Vec<String> = columns.iter().map(|name| format!("{} = ?", quoted(name))).collect();
        let sql =
            format!("SELECT 1 FROM {} WHERE {} LIMIT 1", quoted(&parent.name), conditions.join(" AND "));
        self.connection.prepare_cached(&sql)?.exists(values)
    }

    /// Rows that refer to what a parent's row held must still have a parent.
    fn check_referrers(
        &self,
        catalog: &Catalog,
        child: &Arc<Table>,
        key: &ForeignKey,
        held: Vec<Value>,
    ) -> Result<()> {
        let names = key.columns.iter().map(|&at| format!("{} = ?", quoted(&child.columns[at].name)));
        let conditions: Vec<String> = names.collect();
        let sql = format!("SELECT 1 FROM {} WHERE {} LIMIT 1", quoted(&child.name), conditions.join(" AND "));
        let referred = self.connection.prepare_cached(&sql)?.exists(held.as_slice())?;
        if !referred || self.has_parent(catalog, key, &held)? {
            return Ok(());
        }
        Err(failed(child, key, &held))
    }
}

/// What a parent's row held in the columns that a foreign key refers to; `None` where no row can have referred to it.
fn referred(parent: &Table, key: &ForeignKey, row: &[Value]) -> Option<Vec<Value>> {
    let names = parent_columns(parent, key);
    let values = names.iter().map(|name| {
        let at = parent.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))?;
        row.get(at).filter(|value| **value != Value::Null).cloned()
    });
    values.collect()
}

/// The columns that a foreign key refers to: those named, or the primary key.
fn parent_columns(parent: &Table, key: &ForeignKey) -> Vec<String> {
    if !key.parent_columns.is_empty() {
        return key.parent_columns.iter().map(ToString::to_string).collect();
    }
    let mut columns: Vec<_> =
        parent.columns.iter().filter(|column| column.primary_key_position > 0).collect();
    columns.sort_by_key(|column| column.primary_key_position);
    columns.iter().map(|column| column.name.to_string()).collect()
}

fn failed(child: &Table, key: &ForeignKey, values: &[Value]) -> Error {
    let message = format!(
        "FOREIGN KEY constraint failed: after the merge a row of {} would refer to {} {values:?}, which is not there",
        child.name, key.parent
    );
    Error::new(ErrorKind::Constraint, Code::ConstraintForeignKey, message)
}

/// The condition that finds a row, and its parameters.
fn key_of(table: &Table, row: &[Value], rowid: i64) -> (String, Vec<Value>) {
    if !table.without_rowid {
        let name = match table.rowid_alias {
            Some(at) => quoted(&table.columns[at].name),
            None => rowid_name(table).unwrap_or("rowid").to_owned(),
        };
        return (format!("{name} = ?"), vec![Value::Integer(rowid)]);
    }
    let keys = table.columns.iter().zip(row).filter(|(column, _)| column.primary_key_position > 0);
    let (names, values): (Vec<String>, Vec<Value>) =
        keys.map(|(column, value)| (format!("{} = ?", quoted(&column.name)), value.clone())).unzip();
    (names.join(" AND "), values)
}

/// A name of the rowid that no column has taken.
fn rowid_name(table: &Table) -> Option<&'static str> {
    let free = |name: &&&str| !table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].iter().find(free).copied()
}

/// A name as SQL takes it whatever it is.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
