//! ERASE FROM t WHERE ..: which rows, and their deletion. What becomes of their versions: [`crate::erase`].

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_sql::catalog::layout::{put_row_id, put_row_key};
use dosql_sql::catalog::schema::{Catalog, IndexKey, SpaceId, Table};
use dosql_sql::catalog::store::{ObjectKind, objects_range, read_object};
use dosql_sql::parse::parse_one;
use dosql_sql::value::Value;
use dosql_sql::{Point, Storage};

use super::core::{Core, SqlRun, Started, Stepped};
use crate::database::Database;
use crate::engine::Handle;
use crate::erase::{Erasure, Indexes};
use crate::long_keys::KeyForm;
use crate::transaction::Transaction;

/// The keys of rows, by the ids that they have in storage.
type Rows = BTreeMap<Vec<u8>, Vec<Value>>;

/// What is to be erased on one branch.
struct Found {
    table: Arc<Table>,
    indexes: Indexes,
    rows: Rows,
}

impl Found {
    fn erasure(self, engine: &Handle, upto: Timestamp) -> Erasure {
        let (form, table, row_ids) =
            (KeyForm::of(&engine.pages), self.table.space, self.rows.into_keys().collect());
        Erasure { form, table, row_ids, indexes: self.indexes, upto, cover: None }
    }
}

fn is_no_table(error: &dosql_base::Error, name: &str) -> bool {
    error.message() == no_table(name)
}

fn no_table(name: &str) -> String {
    format!("no such table: {name}")
}

impl Core {
    /// Erases the rows of which a version that is still there meets the condition. Returns how many of them there are now.
    ///
    /// The rows are deleted on all branches, each in a transaction of its own. All are open before the first is committed, so that what
    /// any of them refuses is done on none.
    pub(super) fn erase(&mut self, table: &str, condition: &str, parameters: Vec<Value>) -> Result<i64> {
        self.refuse_inside("erase rows")?;
        let engine = self.database.0.clone();
        engine.check_writable()?;
        let own = engine.branch().number;
        let mut changes = 0;
        let mut branches: BTreeMap<u32, (Core, Found)> = BTreeMap::new();
        // Parents come before their children.
        for branch in engine.all_branches() {
            let mut core = Core::new(Database(engine.on(Arc::clone(&branch))));
            core.begin_erase()?;
            let beneath = engine.ancestors(&branch);
            let inherited = beneath.first().and_then(|(parent, at)| Some((branches.get(parent)?, *at)));
            let inherited = inherited.map_or_else(Rows::new, |((core, found), at)| core.seen_at(found, at));
            match core.delete_matching(table, condition, &parameters, inherited) {
                Ok((found, count)) => {
                    changes += if branch.number == own { count } else { 0 };
                    branches.insert(branch.number, (core, found));
                }
                // There is no such table there.
                Err(error) if branch.number != own && is_no_table(&error, table) => {}
                Err(error) => return Err(error),
            }
        }
        let mut erasures = BTreeMap::new();
        for (number, (mut core, found)) in branches {
            core.commit()?;
            if !found.rows.is_empty() {
                erasures.insert(number, found.erasure(&engine, core.database.last_commit()));
            }
        }
        if !erasures.is_empty() {
            engine.erase(erasures)?;
        }
        Ok(changes)
    }

    /// A transaction that writes, also on branches that are protected, or dropped and needed by others.
    fn begin_erase(&mut self) -> Result<()> {
        let patience = self.session.settings.busy_timeout;
        let transaction = Transaction::begin_erase(&self.database.0, patience)?;
        self.go_on_in(transaction);
        Ok(())
    }

    /// Those of the rows that a branch sees which forks off this one at a moment.
    fn seen_at(&self, found: &Found, fork: Timestamp) -> Rows {
        let Some(open) = &self.open else { return Rows::new() };
        let is_there = |id: &[u8]| {
            let mut key = Vec::new();
            put_row_key(&mut key, found.table.space, id);
            matches!(open.transaction.get(Point::Past(fork), &key, |_| ()), Ok(Some(())))
        };
        let seen = found.rows.iter().filter(|(id, _)| is_there(id));
        seen.map(|(id, row)| (id.clone(), row.clone())).collect()
    }

    /// Finds the rows and deletes those that are there now.
    fn delete_matching(
        &mut self,
        name: &str,
        condition: &str,
        parameters: &[Value],
        inherited: Rows,
    ) -> Result<(Found, i64)> {
        let (table, indexes) = self.table_and_indexes(name)?;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let key: Vec<usize> = table
            .primary_key
            .iter()
            .filter_map(|part| match part.key {
                IndexKey::Column(column) => Some(column),
                IndexKey::Rowid | IndexKey::Expr(_) => None,
            })
            .collect();
        let columns: Vec<String> = match table.without_rowid {
            true => key.iter().map(|&at| quoted(&table.columns[at].name)).collect(),
            false => vec!["rowid".to_owned()],
        };
        let (named, literal) = (quoted(name), format!("'{}'", name.replace('\'', "''")));
        let find = format!(
            "SELECT DISTINCT {} FROM dosql_kept({literal}) AS {named} WHERE ({condition})",
            columns.join(", ")
        );
        let mut matching = self.rows_of(&find, parameters.to_vec())?.0;
        matching.extend(inherited.into_values());
        let equal: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1)).collect();
        let delete = format!("DELETE FROM main.{named} WHERE {}", equal.join(" AND "));
        let (mut rows, mut changes) = (Rows::new(), 0);
        for row in matching {
            let mut values = vec![Value::Null; table.columns.len()];
            let mut rowid = 0;
            if table.without_rowid {
                key.iter().zip(&row).for_each(|(&at, value)| values[at] = value.clone());
            } else if let Some(Value::Integer(number)) = row.first() {
                rowid = *number;
            }
            let mut id = Vec::new();
            put_row_id(&mut id, &table, &values, rowid);
            changes += self.rows_of(&delete, row.clone())?.1;
            rows.insert(id, row);
        }
        Ok((Found { table, indexes, rows }, changes))
    }

    /// A table, and all indexes that it has or had.
    fn table_and_indexes(&mut self, name: &str) -> Result<(Arc<Table>, Indexes)> {
        let Some(open) = &self.open else { return Err(super::core::misuse("the transaction has ended")) };
        let storage = &open.transaction;
        let live = self.session.catalog(storage)?;
        let table = live.table_in(Some("main"), name).cloned();
        let table = table.ok_or_else(|| dosql_base::Error::invalid(no_table(name)))?;
        let mut indexes = Indexes::new();
        let known = table.indexes.iter().map(|index| (index.space, Some(Arc::clone(index))));
        indexes.extend(known);
        let mut walk = storage.versions(&objects_range(), Timestamp::ZERO, Timestamp::MAX)?;
        let mut dropped: Vec<(SpaceId, Timestamp)> = Vec::new();
        while let Some(version) = walk.next()? {
            let object = read_object(version.key, version.value)?;
            if object.kind == ObjectKind::Index && !live.objects.iter().any(|it| it.space == object.space) {
                dropped.push((object.space, version.start));
            }
        }
        for (space, at) in dropped {
            let then = Catalog::load(storage, Point::Past(at), Some(&live)).ok();
            let of = |catalog: &Catalog| {
                let tables = catalog.tables.values().filter(|it| !it.made_up);
                let mut all = tables.flat_map(|it| it.indexes.iter().map(move |index| (it.space, index)));
                all.find(|(_, index)| index.space == space).map(|(owner, index)| (owner, Arc::clone(index)))
            };
            match then.as_ref().and_then(of) {
                Some((owner, index)) if owner == table.space => drop(indexes.insert(space, Some(index))),
                // Another table's.
                Some(_) => {}
                None => drop(indexes.entry(space).or_insert(None)),
            }
        }
        Ok((table, indexes))
    }

    /// Runs one statement in the open transaction; its rows, and how many it changed.
    fn rows_of(&mut self, sql: &str, parameters: Vec<Value>) -> Result<(Vec<Vec<Value>>, i64)> {
        let text: Arc<str> = Arc::from(sql);
        let prepared = self.prepare(&text, parse_one(sql)?)?;
        let mut run = SqlRun::new(prepared, parameters, Timestamp::ZERO);
        let mut started = Started::default();
        self.start(&mut run, &mut started)?;
        let mut rows = Vec::new();
        loop {
            match self.step(&mut run, &mut started)? {
                Stepped::Rows(len) => {
                    let batch = run.batch();
                    let row =
                        |at| (0..batch.width()).map(|column| batch.value(at, column).to_value()).collect();
                    rows.extend((0..len).map(row));
                }
                Stepped::Done(outcome) => return Ok((rows, outcome.changes)),
            }
        }
    }
}
