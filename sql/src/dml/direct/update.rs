//! UPDATE and DELETE.

use std::sync::Arc;

use dosql_base::Result;

use super::Done;
use super::row::{Keys, Scratch};
use crate::catalog::layout;
use crate::catalog::schema::{IndexKey, Table};
use crate::dml::machine::Machine;
use crate::dml::plan::{DeletePlan, Row, SetTarget, UpdatePlan};
use crate::dml::source::{rowid_of, too_many};
use crate::plan::{Expr, Query};
use crate::storage::Storage;
use crate::value::Value;

impl<S: Storage> Machine<'_, S> {
    /// Sets columns of `old`, whose row id is in `scratch`, to expressions over `registers`.
    pub(super) fn update_by(
        &mut self,
        registers: &[Value],
        filter: Option<&Expr>,
        sets: &[(SetTarget, Expr)],
        table: &Arc<Table>,
        old: Row,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        if let Some(filter) = filter
            && self.truth(filter, registers, &[])? != Some(true)
        {
            return Ok(Done::Nothing);
        }
        let mut new = std::mem::take(&mut scratch.row);
        new.clear();
        new.extend(old.iter().cloned());
        for (target, expr) in sets {
            set(table, &mut new, *target, self.evaluate(expr, registers, &[])?);
        }
        let done = self.replace_row(table, &old, &mut new, scratch);
        scratch.row = new;
        done
    }

    /// Writes `new` over `old`, whose row id is in `scratch`.
    pub(super) fn replace_row(
        &mut self,
        table: &Arc<Table>,
        old: &Row,
        new: &mut Row,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let changed = |column: usize, new: &Row| old.get(column) != new.get(column);
        if !self.is_good(table, new)? || !self.has_parents(table, new, |column| changed(column, new))? {
            return Ok(Done::StepBack);
        }
        scratch.key.clear();
        layout::put_space(&mut scratch.key, table.space);
        let start = scratch.key.len();
        layout::put_row_id(&mut scratch.key, table, new, rowid_of(table, new));
        // A row that moves to another key may meet one there.
        if scratch.key[start..] != scratch.row_id {
            return Ok(Done::StepBack);
        }
        scratch.value.clear();
        layout::put_row(&mut scratch.value, table, new)?;
        self.storage.put(&scratch.key, &scratch.value)?;
        for (n, index) in table.indexes.iter().enumerate() {
            let touched = |key: &IndexKey| match key {
                IndexKey::Column(column) => changed(*column, new),
                IndexKey::Rowid => false,
                IndexKey::Expr(_) => true,
            };
            if index.filter.is_none() && !index.columns.iter().any(|part| touched(&part.key)) {
                continue;
            }
            if index.unique {
                return Ok(Done::StepBack);
            }
            for (row, put) in [(old, false), (&*new, true)] {
                scratch.keys.clear();
                self.put_entry(table, n, row, &scratch.row_id, false, &mut scratch.keys)?;
                for key in scratch.keys.iter() {
                    if put { self.storage.put(key, &[])? } else { self.storage.delete(key)? }
                }
            }
        }
        Ok(Done::Written)
    }

    pub(super) fn update_row(&mut self, plan: &UpdatePlan, scratch: &mut Scratch) -> Result<Done> {
        let table = &plan.table;
        let mut registers = std::mem::take(&mut scratch.registers);
        let old = self.find_row(table, &plan.source, &mut registers, scratch);
        let done = match old {
            Ok(Some(old)) => self.update_found(plan, &registers, old, scratch),
            Ok(None) => Ok(Done::Nothing),
            Err(error) => Err(error),
        };
        scratch.registers = registers;
        done
    }

    pub(super) fn update_found(
        &mut self,
        plan: &UpdatePlan,
        registers: &[Value],
        old: Row,
        scratch: &mut Scratch,
    ) -> Result<Done> {
        let table = &plan.table;
        let values = plan.source.outputs.get(table.columns.len() + 1..).unwrap_or_default();
        let mut new = std::mem::take(&mut scratch.row);
        new.clear();
        new.extend(old.iter().cloned());
        for (target, expr) in plan.sets.iter().zip(values) {
            if let Some(target) = target {
                set(table, &mut new, *target, self.evaluate(expr, registers, &[])?);
            }
        }
        let done = self.replace_row(table, &old, &mut new, scratch);
        scratch.row = new;
        done
    }

    pub(super) fn update_all(&mut self, plan: &UpdatePlan, scratch: &mut Scratch) -> Result<Option<i64>> {
        let table = &plan.table;
        let width = table.columns.len();
        let rows = self.gather(&plan.source, &[])?;
        let mut new = Row::new();
        let mut changed = 0;
        for mut old in rows {
            let values = old.split_off((width + 1).min(old.len()));
            old.rotate_left(1);
            new.clear();
            new.extend(old.iter().cloned());
            for (target, value) in plan.sets.iter().zip(values) {
                if let Some(target) = target {
                    set(table, &mut new, *target, value);
                }
            }
            scratch.row_id.clear();
            layout::put_row_id(&mut scratch.row_id, table, &old, rowid_of(table, &old));
            if self.replace_row(table, &old, &mut new, scratch)? != Done::Written {
                return Ok(None);
            }
            changed += 1;
        }
        Ok(Some(changed))
    }

    pub(super) fn delete_one(&mut self, plan: &DeletePlan, scratch: &mut Scratch) -> Result<Done> {
        let table = &plan.table;
        let mut registers = std::mem::take(&mut scratch.registers);
        let old = self.find_row(table, &plan.source, &mut registers, scratch);
        scratch.registers = registers;
        let Some(old) = old? else { return Ok(Done::Nothing) };
        self.keys_of(table, &old, scratch)?;
        for key in scratch.keys.iter() {
            self.storage.delete(key)?;
        }
        Ok(Done::Written)
    }

    /// Appends the keys of a row and of its index entries.
    pub(super) fn keys_of(&mut self, table: &Arc<Table>, row: &Row, scratch: &mut Scratch) -> Result<()> {
        scratch.keys.clear();
        self.add_keys(table, row, &mut scratch.row_id, &mut scratch.keys)
    }

    pub(super) fn add_keys(
        &mut self,
        table: &Arc<Table>,
        row: &Row,
        row_id: &mut Vec<u8>,
        keys: &mut Keys,
    ) -> Result<()> {
        row_id.clear();
        layout::put_row_id(row_id, table, row, rowid_of(table, row));
        layout::put_row_key(&mut keys.bytes, table.space, row_id);
        keys.end();
        for n in 0..table.indexes.len() {
            self.put_entry(table, n, row, row_id, false, keys)?;
        }
        Ok(())
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
        let mut row = vec![Value::Null; table.columns.len() + 1];
        let mut changed = 0;
        let limit = self.around.limits.memory;
        self.each_batch(source, &[], |machine, batch| {
            for at in 0..batch.len() {
                for (n, column) in columns.iter().enumerate() {
                    row[*column] = batch.value(at, n).to_value();
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

/// Sets a column of a row, or its rowid; the two are one where the column stands for it.
fn set(table: &Table, row: &mut Row, target: SetTarget, value: Value) {
    let columns = table.columns.len();
    let position = match target {
        SetTarget::Column(position) if table.rowid_alias == Some(position) => columns,
        SetTarget::Column(position) => position,
        SetTarget::Rowid => columns,
    };
    if let Some(slot) = row.get_mut(position) {
        *slot = value;
    }
}
