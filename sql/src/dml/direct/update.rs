//! UPDATE and DELETE.

use std::sync::Arc;

use dosql_base::Result;
use smallvec::SmallVec;

use super::Done;
use super::patch::Patch;
use super::row::{Found, Keys, Lent, Made, Scratch, put_made, rowid_for, settle};
use crate::catalog::layout;
use crate::catalog::schema::{Index, IndexKey, Table};
use crate::dml::machine::Machine;
use crate::dml::plan::{SetTarget, UpdatePlan};
use crate::dml::source::too_many;
use crate::exec::{Val, point};
use crate::plan::Query;
use crate::storage::Storage;
use crate::value::{Value, ValueRef};

/// Values to set, each with its place in the row.
pub(super) type Sets<'v> = SmallVec<[(usize, Val<'v>); 4]>;

impl<S: Storage> Machine<'_, S> {
    /// Writes a row, whose row id and key are in `scratch`, with these values set.
    pub(super) fn replace_row(
        &mut self,
        table: &Table,
        old: Found<'_>,
        sets: &Sets<'_>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let Some(stored) = old.to_patch else { return self.replace_whole(table, old.row, sets, scratch) };
        if let Some(done) = self.patch(table, stored, old.row, sets, scratch)? {
            return Ok(done);
        }
        self.with_stored(table, None, stored, scratch, |machine, old, scratch| {
            machine.replace_whole(table, old.row, sets, scratch)
        })
    }

    fn replace_whole(
        &mut self,
        table: &Table,
        old: &[ValueRef<'_>],
        sets: &Sets<'_>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let mut made = Made::new();
        let mut new = Lent::from_slice(old);
        for (position, value) in sets {
            new[*position] = value.get();
        }
        if !table.without_rowid {
            let columns = table.columns.len();
            let Some(rowid) = rowid_for(new[columns]) else { return Ok(Done::StepBack) };
            new[columns] = rowid;
            if let Some(alias) = table.rowid_alias {
                new[alias] = rowid;
            }
        }
        for (position, (column, slot)) in table.columns.iter().zip(&mut new).enumerate() {
            *slot = settle(column, position, *slot, &mut made);
        }
        put_made(&mut new, &made);
        self.write_over(table, old, &new, scratch)
    }

    /// Writes `new` over `old`, whose row id and key are in `scratch`.
    fn write_over(
        &mut self,
        table: &Table,
        old: &[ValueRef<'_>],
        new: &[ValueRef<'_>],
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let changed = |column: usize| old.get(column) != new.get(column);
        if !self.is_good(table, new)? || !self.has_parents(table, new, changed)? {
            return Ok(Done::StepBack);
        }
        // A row that moves to another key may meet one there.
        if moves(table, old, new, scratch) {
            return Ok(Done::StepBack);
        }
        scratch.value.clear();
        layout::put_row(&mut scratch.value, table, new)?;
        self.storage.put(&scratch.key, &scratch.value)?;
        self.move_entries(table, old, new, scratch)
    }

    /// Writes the index entries of `new` instead of those of `old`, where they differ.
    pub(super) fn move_entries(
        &mut self,
        table: &Table,
        old: &[ValueRef<'_>],
        new: &[ValueRef<'_>],
        scratch: &mut Scratch,
    ) -> Result<Done> {
        for (n, index) in table.indexes.iter().enumerate() {
            if !is_touched(index, |column| old.get(column) != new.get(column)) {
                continue;
            }
            if index.unique {
                return Ok(Done::StepBack);
            }
            for (row, put) in [(old, false), (new, true)] {
                scratch.keys.clear();
                self.put_entry(table, n, row, &scratch.row_id, false, &mut scratch.keys)?;
                for key in scratch.keys.iter() {
                    if put { self.storage.put(key, &[])? } else { self.storage.delete(key)? }
                }
            }
        }
        Ok(Done::Written)
    }

    /// Looks up the row of the one key that a query asks for, and calls `change` with it and the registers as the query fills
    /// them; nothing is done where there is none or the query does not want it.
    fn change_row(
        &mut self,
        table: &Arc<Table>,
        query: &Query,
        patch: Option<&Patch>,
        scratch: &mut Scratch,
        change: impl FnOnce(&mut Self, Found<'_>, &[Value], &mut Scratch) -> Result<Done>,
    ) -> Result<Done> {
        let mut registers = std::mem::take(&mut scratch.registers);
        let done = self.change_found(table, query, patch, &mut registers, scratch, change);
        scratch.registers = registers;
        done
    }

    fn change_found(
        &mut self,
        table: &Arc<Table>,
        query: &Query,
        patch: Option<&Patch>,
        registers: &mut Vec<Value>,
        scratch: &mut Scratch,
        change: impl FnOnce(&mut Self, Found<'_>, &[Value], &mut Scratch) -> Result<Done>,
    ) -> Result<Done> {
        let Some(found) = point::Point::of(query) else { return Ok(Done::Nothing) };
        registers.clear();
        registers.resize(query.registers as usize, Value::Null);
        scratch.row_id.clear();
        for (number, bound) in found.bounds().enumerate() {
            let value = self.evaluate(&bound.expr, registers, &[])?;
            let value = match bound.affinity {
                Some(affinity) => affinity.apply(value),
                None => value,
            };
            if !point::put_row_id(table, &mut scratch.row_id, number, value.as_ref()) {
                return Ok(Done::Nothing);
            }
        }
        scratch.set_key(table);
        let done = self.with_row(table, patch, scratch, |machine, old, scratch| {
            for (column, register) in found.columns() {
                if let (Some(slot), Some(value)) = (registers.get_mut(register.0 as usize), old.row.get(column))
                {
                    *slot = value.to_value();
                }
            }
            if !machine.is_wanted(&found, registers)? {
                return Ok(Done::Nothing);
            }
            change(machine, old, registers, scratch)
        })?;
        Ok(done.unwrap_or(Done::Nothing))
    }

    /// Does what stands above a lookup; whether that lets the row through.
    fn is_wanted(&mut self, found: &point::Point<'_>, registers: &mut [Value]) -> Result<bool> {
        for step in found.steps() {
            match step {
                point::Step::Filter(filter) => {
                    if self.truth(filter, registers, &[])? != Some(true) {
                        return Ok(false);
                    }
                }
                point::Step::Compute(register, expr) => {
                    let value = self.evaluate(expr, registers, &[])?;
                    if let Some(slot) = registers.get_mut(register.0 as usize) {
                        *slot = value;
                    }
                }
            }
        }
        Ok(true)
    }

    /// Changes the row of one key, in its place where that can be; `source` gives the values to set.
    pub(super) fn update_row(
        &mut self,
        plan: &UpdatePlan,
        source: &Query,
        patch: Option<&Patch>,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let table = &plan.table;
        self.change_row(table, source, patch, scratch, |machine, old, registers, scratch| {
            let mut sets = Sets::new();
            for (target, expr) in plan.sets.iter().zip(&source.outputs) {
                if let Some(target) = target {
                    let value = machine.evaluate(expr, registers, &[])?;
                    sets.push((position_of(table, *target), Val::Own(value)));
                }
            }
            machine.replace_row(table, old, &sets, scratch)
        })
    }

    pub(super) fn update_all(&mut self, plan: &UpdatePlan, scratch: &mut Scratch) -> Result<Option<i64>> {
        let table = &plan.table;
        let width = table.columns.len();
        let rows = self.gather(&plan.source, &[])?;
        let mut changed = 0;
        for row in &rows {
            let (row, values) = row.split_at((width + 1).min(row.len()));
            let [rowid, columns @ ..] = row else { return Ok(None) };
            let mut old: Lent<'_> = columns.iter().map(Value::as_ref).collect();
            old.push(rowid.as_ref());
            let mut sets = Sets::new();
            for (target, value) in plan.sets.iter().zip(values) {
                if let Some(target) = target {
                    sets.push((position_of(table, *target), Val::Ref(value.as_ref())));
                }
            }
            scratch.set_row(table, &old);
            if self.replace_whole(table, &old, &sets, scratch)? != Done::Written {
                return Ok(None);
            }
            changed += 1;
        }
        Ok(Some(changed))
    }

    pub(super) fn delete_one(
        &mut self,
        table: &Arc<Table>,
        source: &Query,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        self.change_row(table, source, None, scratch, |machine, old, _, scratch| {
            scratch.keys.clear();
            machine.add_keys(table, old.row, &mut scratch.row_id, &mut scratch.keys)?;
            for key in scratch.keys.iter() {
                machine.storage.delete(key)?;
            }
            Ok(Done::Written)
        })
    }

    pub(super) fn delete_all(
        &mut self,
        table: &Arc<Table>,
        source: &Arc<Query>,
        columns: &[usize],
        scratch: &mut Scratch,
    ) -> Result<Option<i64>> {
        // The keys are gathered first, so that what is deleted can't disturb what is read.
        let mut keys = Keys::default();
        let mut changed = 0;
        let limit = self.around.limits.memory;
        self.each_batch(source, &[], |machine, batch| {
            let mut row: Lent<'_> = SmallVec::from_elem(ValueRef::Null, table.columns.len() + 1);
            for at in 0..batch.len() {
                for (n, column) in columns.iter().enumerate() {
                    row[*column] = batch.value(at, n);
                }
                machine.add_keys(table, &row, &mut scratch.row_id, &mut keys)?;
            }
            changed += batch.len() as i64;
            if keys.memory() > limit { Err(too_many(limit)) } else { Ok(()) }
        })?;
        for key in keys.iter() {
            self.storage.delete(key)?;
        }
        Ok(Some(changed))
    }
}

/// Whether a row gets another key than that in `scratch`, which is `old`'s.
fn moves(table: &Table, old: &[ValueRef<'_>], new: &[ValueRef<'_>], scratch: &mut Scratch) -> bool {
    if !table.without_rowid {
        return old.last() != new.last();
    }
    scratch.value.clear();
    layout::put_row_id(&mut scratch.value, table, new, 0);
    scratch.value != scratch.row_id
}

/// Whether a row's entry in an index may become another where these columns change.
fn is_touched(index: &Index, changed: impl Fn(usize) -> bool) -> bool {
    let touched = |key: &IndexKey| match key {
        IndexKey::Column(column) => changed(*column),
        IndexKey::Rowid => false,
        IndexKey::Expr(_) => true,
    };
    index.filter.is_some() || index.columns.iter().any(|part| touched(&part.key))
}

/// Where an assignment goes in a row: a column, or the rowid, also where a column stands for it.
pub(super) fn position_of(table: &Table, target: SetTarget) -> usize {
    let columns = table.columns.len();
    match target {
        SetTarget::Column(position) if table.rowid_alias == Some(position) => columns,
        SetTarget::Column(position) => position,
        SetTarget::Rowid => columns,
    }
}
