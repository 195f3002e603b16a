//! UPDATE and DELETE.

use std::sync::Arc;

use dosql_base::Result;
use smallvec::SmallVec;

use super::Done;
use super::patch::Patch;
use super::row::{Found, Keys, Lent, Made, Scratch, put_made, rowid_for, settle};
use crate::catalog::cells::Cells;
use crate::catalog::layout;
use crate::catalog::schema::{Index, IndexKey, Table};
use crate::dml::machine::{Machine, plain};
use crate::dml::plan::{SetTarget, UpdatePlan};
use crate::dml::source::too_many;
use crate::exec::Val;
use crate::exec::point::{Point, Step, put_row_id};
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

    /// Looks up the row of the one key that a query asks for, and calls `change` with it; nothing is done where there is none or the
    /// query does not want it. The registers are filled where something stands above the lookup.
    fn change_row(
        &mut self,
        table: &Table,
        found: &Point<'_>,
        patch: Option<&Patch>,
        scratch: &mut Scratch,
        change: impl FnOnce(&mut Self, Found<'_>, &mut Vec<Value>, &mut Scratch) -> Result<Done>,
    ) -> Result<Done> {
        if !self.set_key_of(table, found, scratch)? {
            return Ok(Done::Nothing);
        }
        let mut registers = std::mem::take(&mut scratch.registers);
        registers.clear();
        let done = self.with_row(table, patch, scratch, |machine, old, scratch| {
            if found.steps().next().is_some() {
                fill(&mut registers, found, old.row);
                if !machine.is_wanted(found, &mut registers)? {
                    return Ok(Done::Nothing);
                }
            }
            change(machine, old, &mut registers, scratch)
        });
        scratch.registers = registers;
        done.map(|done| done.unwrap_or(Done::Nothing))
    }

    /// Sets row id and key to those that a lookup asks for; whether there can be such a row.
    fn set_key_of(&mut self, table: &Table, found: &Point<'_>, scratch: &mut Scratch) -> Result<bool> {
        let parameters = self.around.parameters;
        scratch.row_id.clear();
        for (number, bound) in found.bounds().enumerate() {
            let value = match plain(&bound.expr, |_| ValueRef::Null, parameters) {
                Some(value) => value,
                None => Val::Own(self.evaluate(&bound.expr, &[], &[])?),
            };
            let converted = bound.affinity.and_then(|affinity| affinity.convert(value.get()));
            let value = converted.as_ref().map_or(value.get(), Value::as_ref);
            if !put_row_id(table, &mut scratch.row_id, number, value) {
                return Ok(false);
            }
        }
        scratch.set_key(table);
        Ok(true)
    }

    /// Does what stands above a lookup; whether that lets the row through.
    fn is_wanted(&mut self, found: &Point<'_>, registers: &mut Vec<Value>) -> Result<bool> {
        for step in found.steps() {
            match step {
                Step::Filter(filter) => {
                    if self.truth(filter, registers, &[])? != Some(true) {
                        return Ok(false);
                    }
                }
                Step::Compute(register, expr) => {
                    let value = self.evaluate(expr, registers, &[])?;
                    let at = register.0 as usize;
                    if registers.len() <= at {
                        registers.resize(at + 1, Value::Null);
                    }
                    registers[at] = value;
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
        let parameters = self.around.parameters;
        let Some(found) = Point::of(source) else { return Ok(Done::StepBack) };
        self.change_row(table, &found, patch, scratch, |machine, old, registers, scratch| {
            // What stands above the lookup may fill registers that are no columns.
            let reads_row = registers.is_empty();
            let mut sets = Sets::new();
            for (target, expr) in plan.sets.iter().zip(&source.outputs) {
                let Some(target) = target else { continue };
                let at_hand = match reads_row {
                    true => plain(expr, |register| cell_of(&found, old.row, register), parameters),
                    false => None,
                };
                let value = match at_hand {
                    Some(value) => value,
                    None => {
                        if registers.is_empty() {
                            fill(registers, &found, old.row);
                        }
                        Val::Own(machine.evaluate(expr, registers, &[])?)
                    }
                };
                sets.push((position_of(table, *target), value));
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
        table: &Table,
        source: &Query,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let Some(found) = Point::of(source) else { return Ok(Done::StepBack) };
        self.change_row(table, &found, None, scratch, |machine, old, _, scratch| {
            let Scratch { row_id, keys, entries, .. } = scratch;
            keys.clear();
            entries.clear();
            machine.add_keys(table, old.row, row_id, keys, entries)?;
            machine.delete_keys(keys)?;
            machine.delete_keys(entries)?;
            Ok(Done::Written)
        })
    }

    fn delete_keys(&mut self, keys: &Keys) -> Result<()> {
        keys.iter().try_for_each(|key| self.storage.delete(key))
    }

    pub(super) fn delete_all(
        &mut self,
        table: &Table,
        source: &Arc<Query>,
        columns: &[usize],
        scratch: &mut Scratch,
    ) -> Result<Option<i64>> {
        // The keys are gathered first, so that what is deleted can't disturb what is read. Those of the rows are deleted first, in
        // their order: keys that ascend cost the storage the least.
        let (mut keys, mut entries) = (Keys::default(), Keys::default());
        let mut changed = 0;
        let limit = self.around.limits.memory;
        self.each_batch(source, &[], |machine, batch| {
            let mut row: Lent<'_> = SmallVec::from_elem(ValueRef::Null, table.columns.len() + 1);
            for at in 0..batch.len() {
                for (n, column) in columns.iter().enumerate() {
                    row[*column] = batch.value(at, n);
                }
                machine.add_keys(table, &row, &mut scratch.row_id, &mut keys, &mut entries)?;
            }
            changed += batch.len() as i64;
            if keys.memory() + entries.memory() > limit { Err(too_many(limit)) } else { Ok(()) }
        })?;
        self.delete_keys(&keys)?;
        self.delete_keys(&entries)?;
        Ok(Some(changed))
    }
}

/// The value of a register that a lookup fills; NULL for others.
#[inline]
fn cell_of<'v>(found: &Point<'_>, row: &[ValueRef<'v>], register: usize) -> ValueRef<'v> {
    let column = found.columns().find(|(_, filled)| filled.0 as usize == register);
    column.and_then(|(column, _)| row.get(column).copied()).unwrap_or_default()
}

/// Fills the registers of a lookup's query from its row.
fn fill(registers: &mut Vec<Value>, found: &Point<'_>, row: &[ValueRef<'_>]) {
    for (column, register) in found.columns() {
        let at = register.0 as usize;
        if registers.len() <= at {
            registers.resize(at + 1, Value::Null);
        }
        registers[at] = row.cell(column).to_value();
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
