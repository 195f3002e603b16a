//! ERASE FROM t WHERE ..: which rows, and their deletion. What becomes of their versions: [`crate::erase`].

use std::collections::BTreeSet;
use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_sql::catalog::layout::put_row_id;
use dosql_sql::catalog::schema::{Catalog, IndexKey, SpaceId, Table};
use dosql_sql::catalog::store::{ObjectKind, objects_range, read_object};
use dosql_sql::parse::ast::BeginMode;
use dosql_sql::parse::parse_one;
use dosql_sql::value::Value;
use dosql_sql::{Point, Storage};

use super::core::{Core, SqlRun, Stepped};
use crate::erase::{Erasure, Indexes};
use crate::long_keys::KeyForm;

impl Core {
    /// Erases the rows of which a version that is still there meets the condition. Returns how many of them there are now.
    pub(super) fn erase(&mut self, table: &str, condition: &str, parameters: Vec<Value>) -> Result<i64> {
        self.refuse_inside("erase rows")?;
        self.database.0.check_erasable(self.database.0.branch().number)?;
        self.begin(BeginMode::Immediate)?;
        let found = self.delete_matching(table, condition, parameters);
        let (mut erasure, changes) = match found {
            Ok(found) => found,
            Err(error) => {
                self.end();
                return Err(error);
            }
        };
        if let Err(error) = self.commit() {
            if self.open.is_some() {
                self.end();
            }
            return Err(error);
        }
        if !erasure.row_ids.is_empty() {
            erasure.upto = self.database.last_commit();
            self.database.0.erase(erasure)?;
        }
        Ok(changes)
    }

    /// Finds the rows and deletes those that are there now.
    fn delete_matching(
        &mut self,
        name: &str,
        condition: &str,
        parameters: Vec<Value>,
    ) -> Result<(Erasure, i64)> {
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
        let rows = self.rows_of(&find, parameters)?.0;
        let equal: Vec<String> =
            columns.iter().enumerate().map(|(at, column)| format!("{column} = ?{}", at + 1)).collect();
        let delete = format!("DELETE FROM main.{named} WHERE {}", equal.join(" AND "));
        let (mut row_ids, mut changes) = (BTreeSet::new(), 0);
        for row in rows {
            let mut values = vec![Value::Null; table.columns.len()];
            let mut rowid = 0;
            if table.without_rowid {
                key.iter().zip(&row).for_each(|(&at, value)| values[at] = value.clone());
            } else if let Some(Value::Integer(number)) = row.first() {
                rowid = *number;
            }
            let mut id = Vec::new();
            put_row_id(&mut id, &table, &values, rowid);
            changes += self.rows_of(&delete, row)?.1;
            row_ids.insert(id);
        }
        let form = KeyForm::of(&self.database.0.pages);
        let upto = Timestamp::ZERO;
        Ok((Erasure { form, table: table.space, row_ids, indexes, upto }, changes))
    }

    /// A table, and all indexes that it has or had.
    fn table_and_indexes(&mut self, name: &str) -> Result<(Arc<Table>, Indexes)> {
        let Some(open) = &self.open else { return Err(super::core::misuse("the transaction has ended")) };
        let storage = &open.transaction;
        let live = self.session.catalog(storage)?;
        let table = live.table_in(Some("main"), name).cloned();
        let table = table.ok_or_else(|| dosql_base::Error::invalid(format!("no such table: {name}")))?;
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
        let mut started = self.start(&mut run)?;
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
