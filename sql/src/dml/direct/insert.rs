//! INSERT, and the ON CONFLICT clause that is about the primary key.

use dosql_base::Result;
use dosql_base::mutant::weakened;

use super::Done;
use super::patch::Patch;
use super::row::{Found, Lent, Made, Scratch, put_made, rowid_for, settle, settled};
use super::update::{Sets, position_of};
use crate::catalog::cells::Cells;
use crate::catalog::layout;
use crate::catalog::schema::Table;
use crate::dml::machine::{Machine, plain};
use crate::dml::plan::{Input, InsertPlan, UpsertPlan, UpsertSet, UpsertTarget};
use crate::dml::source::rowid_of;
use crate::exec::Val;
use crate::plan::Expr;
use crate::storage::Storage;
use crate::value::{Value, ValueRef};

impl<S: Storage> Machine<'_, S> {
    pub(super) fn insert_values(
        &mut self,
        plan: &InsertPlan,
        values: &[Expr],
        patch: Option<&Patch>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let parameters = self.around.parameters;
        let value = |at: usize| match values.get(at) {
            Some(Expr::Literal(value)) => value.as_ref(),
            Some(Expr::Parameter(number)) => parameters.cell(*number as usize),
            _ => ValueRef::Null,
        };
        self.insert_row(plan, value, patch, scratch)
    }

    pub(super) fn insert_all(&mut self, plan: &InsertPlan, scratch: &mut Scratch) -> Result<Option<i64>> {
        let Some(source) = &plan.source else { return Ok(None) };
        let rows = self.gather(source, &[])?;
        let mut changed = 0;
        for row in rows {
            if self.insert_row(plan, |at| row.cell(at), None, scratch)? == Done::StepBack {
                return Ok(None);
            }
            changed += 1;
        }
        Ok(Some(changed))
    }

    /// Inserts the row of these values of the source, or does what ON CONFLICT says about the one that is there.
    fn insert_row<'v>(
        &mut self,
        plan: &InsertPlan,
        value: impl Fn(usize) -> ValueRef<'v>,
        patch: Option<&Patch>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let table = &plan.table;
        let Some(rowid) = self.rowid_of_new(table, plan.rowid.map_or(ValueRef::Null, &value))? else {
            return Ok(Done::StepBack);
        };
        let mut made = Made::new();
        let mut row = Lent::new();
        for (position, (column, input)) in table.columns.iter().zip(&plan.inputs).enumerate() {
            let value = match (input, &column.default) {
                _ if table.rowid_alias == Some(position) => rowid,
                (Input::Source(at), _) => settle(column, position, value(*at), &mut made),
                (Input::Default, Some(default)) => {
                    let default = self.evaluate(&default.expr, &[], &[])?;
                    made.push((position, settled(column.affinity, default)));
                    ValueRef::Null
                }
                (Input::Default | Input::Generated, _) => ValueRef::Null,
            };
            row.push(value);
        }
        row.push(rowid);
        put_made(&mut row, &made);
        self.insert_settled(plan, &row, patch, scratch)
    }

    /// The rowid of a new row for which `given` was given, NULL WITHOUT ROWID; `None` where it takes the general way to find one.
    fn rowid_of_new(&mut self, table: &Table, given: ValueRef<'_>) -> Result<Option<ValueRef<'static>>> {
        if table.without_rowid {
            return Ok(Some(ValueRef::Null));
        }
        if !given.is_null() {
            return Ok(rowid_for(given));
        }
        let next = self.greatest_rowid(table.space)?.map_or(Some(1), |last| last.checked_add(1));
        let Some(next) = next else { return Ok(None) };
        Ok(Some(ValueRef::Integer(self.storage.claim_rowid(table, next)?)))
    }

    fn insert_settled(
        &mut self,
        plan: &InsertPlan,
        row: &[ValueRef<'_>],
        patch: Option<&Patch>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let table = &plan.table;
        if !self.is_good(table, row)? || !self.has_parents(table, row, |_| true)? {
            return Ok(Done::StepBack);
        }
        scratch.set_row(table, row);
        scratch.value.clear();
        layout::put_row(&mut scratch.value, table, row)?;
        if !self.storage.insert(&scratch.key, &scratch.value)? {
            return self.upsert_row(plan, row, patch, scratch);
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

    /// A row with the primary key of `row` is there, and its key in `scratch`: carries out a plain ON CONFLICT clause.
    fn upsert_row(
        &mut self,
        plan: &InsertPlan,
        row: &[ValueRef<'_>],
        patch: Option<&Patch>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
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
        let done = self.with_row(table, patch, scratch, |machine, old, scratch| {
            machine.update_by(table, update, old, row, scratch)
        })?;
        Ok(done.unwrap_or(Done::StepBack))
    }

    /// Changes `old`, whose keys are in `scratch`, as DO UPDATE says, for `row` that was to be inserted.
    fn update_by(
        &mut self,
        table: &Table,
        update: &UpsertSet,
        old: Found<'_>,
        row: &[ValueRef<'_>],
        scratch: &mut Scratch,
    ) -> Result<Done> {
        // Both rows as values of their own, for expressions that are more than plain.
        let mut both = std::mem::take(&mut scratch.registers);
        both.clear();
        let needs_both = update.filter.is_some() || !update.sets.iter().all(|(_, expr)| is_plain(expr));
        if needs_both {
            both.extend(old.row.iter().chain(row).map(|value| value.to_value()));
        }
        let done = self.update_with(table, update, old, row, &both, scratch);
        scratch.registers = both;
        done
    }

    fn update_with(
        &mut self,
        table: &Table,
        UpsertSet { sets, filter }: &UpsertSet,
        old: Found<'_>,
        row: &[ValueRef<'_>],
        both: &[Value],
        scratch: &mut Scratch,
    ) -> Result<Done> {
        if let Some(filter) = filter
            && self.truth(filter, both, &[])? != Some(true)
        {
            return Ok(Done::Nothing);
        }
        let parameters = self.around.parameters;
        let width = old.row.len();
        let cell = |at: usize| if at < width { old.row[at] } else { row.cell(at - width) };
        let mut values = Sets::new();
        for (target, expr) in sets {
            let value = match plain(expr, cell, parameters) {
                Some(value) => value,
                None => Val::Own(self.evaluate(expr, both, &[])?),
            };
            values.push((position_of(table, *target), value));
        }
        self.replace_row(table, old, &values, scratch)
    }
}

/// Whether [`plain`] gives the value of an expression.
fn is_plain(expr: &Expr) -> bool {
    plain(expr, |_| ValueRef::Null, &[]).is_some()
}
