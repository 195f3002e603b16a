//! INSERT, and the ON CONFLICT clause that is about the primary key.

use std::sync::Arc;

use dosql_base::Result;
use dosql_base::mutant::weakened;

use super::Done;
use super::row::Scratch;
use crate::catalog::layout;
use crate::catalog::schema::Table;
use crate::dml::machine::Machine;
use crate::dml::plan::{Input, InsertPlan, Row, UpsertPlan, UpsertTarget};
use crate::dml::source::rowid_of;
use crate::plan::Expr;
use crate::storage::Storage;
use crate::value::Value;

impl<S: Storage> Machine<'_, S> {
    pub(super) fn insert_values(
        &mut self,
        plan: &InsertPlan,
        values: &[Expr],
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let parameters = self.around.parameters;
        let value = |at: usize| match values.get(at) {
            Some(Expr::Literal(value)) => value.clone(),
            Some(Expr::Parameter(number)) => parameters.get(*number as usize).cloned().unwrap_or_default(),
            _ => Value::Null,
        };
        self.fill_row(plan, value, &mut scratch.row)?;
        self.insert_row(plan, scratch)
    }

    pub(super) fn insert_all(&mut self, plan: &InsertPlan, scratch: &mut Scratch) -> Result<Option<i64>> {
        let Some(source) = &plan.source else { return Ok(None) };
        let rows = self.gather(source, &[])?;
        let mut changed = 0;
        for row in rows {
            let value = |at: usize| row.get(at).cloned().unwrap_or_default();
            self.fill_row(plan, value, &mut scratch.row)?;
            if self.insert_row(plan, scratch)? == Done::StepBack {
                return Ok(None);
            }
            changed += 1;
        }
        Ok(Some(changed))
    }

    /// The row to insert, out of the source's values and defaults.
    pub(super) fn fill_row(
        &mut self,
        plan: &InsertPlan,
        value: impl Fn(usize) -> Value,
        row: &mut Row,
    ) -> Result<()> {
        row.clear();
        for (column, input) in plan.table.columns.iter().zip(&plan.inputs) {
            row.push(match (input, &column.default) {
                (Input::Source(at), _) => value(*at),
                (Input::Default, Some(default)) => self.evaluate(&default.expr, &[], &[])?,
                (Input::Default | Input::Generated, _) => Value::Null,
            });
        }
        row.push(plan.rowid.map(value).unwrap_or_default());
        Ok(())
    }

    /// Inserts the row in `scratch`, or does what ON CONFLICT says about the one that is there.
    pub(super) fn insert_row(&mut self, plan: &InsertPlan, scratch: &mut Scratch) -> Result<Done> {
        let table = &plan.table;
        let mut row = std::mem::take(&mut scratch.row);
        let done = self.insert_settled(plan, table, &mut row, scratch);
        scratch.row = row;
        done
    }

    pub(super) fn insert_settled(
        &mut self,
        plan: &InsertPlan,
        table: &Arc<Table>,
        row: &mut Row,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let given = table.without_rowid || !row.last().is_none_or(Value::is_null);
        if !given {
            let Some(next) = self.greatest_rowid(table.space)?.map_or(Some(1), |last| last.checked_add(1))
            else {
                return Ok(Done::StepBack);
            };
            let claimed = self.storage.claim_rowid(table, next)?;
            if let Some(rowid) = row.last_mut() {
                *rowid = Value::Integer(claimed);
            }
        }
        if !self.is_good(table, row)? || !self.has_parents(table, row, |_| true)? {
            return Ok(Done::StepBack);
        }
        scratch.row_id.clear();
        layout::put_row_id(&mut scratch.row_id, table, row, rowid_of(table, row));
        scratch.key.clear();
        layout::put_row_key(&mut scratch.key, table.space, &scratch.row_id);
        scratch.value.clear();
        layout::put_row(&mut scratch.value, table, row)?;
        if !self.storage.insert(&scratch.key, &scratch.value)? {
            return self.upsert_row(plan, row, scratch);
        }
        scratch.keys.clear();
        for n in 0..table.indexes.len() {
            if !self.put_entry(table, n, row, &scratch.row_id, true, &mut scratch.keys)? {
                return Ok(Done::StepBack);
            }
        }
        for key in scratch.keys.iter().filter(|_| !weakened("index-entry-missing")) {
            self.storage.put(key, &[])?;
        }
        if !table.without_rowid {
            self.counters.last_insert_rowid = rowid_of(table, row);
        }
        Ok(Done::Written)
    }

    /// A row with the primary key of `row` is there: carries out a plain ON CONFLICT clause.
    pub(super) fn upsert_row(&mut self, plan: &InsertPlan, row: &Row, scratch: &mut Scratch) -> Result<Done> {
        let table = &plan.table;
        let [UpsertPlan { target: UpsertTarget::Primary | UpsertTarget::Any, update }] =
            plan.upserts.as_slice()
        else {
            return Ok(Done::StepBack);
        };
        // Which of several conflicts counts is not for here, nor is a conflict beside that of the key.
        if table.indexes.iter().any(|index| index.unique) {
            return Ok(Done::StepBack);
        }
        let Some(update) = update else { return Ok(Done::Nothing) };
        if self.catalog.has_children(&table.name) {
            return Ok(Done::StepBack);
        }
        let Some(old) = self.fetch(table, &scratch.row_id)? else { return Ok(Done::StepBack) };
        let mut both = std::mem::take(&mut scratch.registers);
        both.clear();
        both.extend(old.iter().chain(row).cloned());
        let done = self.update_by(&both, update.filter.as_ref(), &update.sets, table, old, scratch);
        scratch.registers = both;
        done
    }
}
