//! The direct way of changes that touch nothing but their rows: no operators for one row, no stack of tasks, no copies of rows.
//!
//! It is tried first, and does only what is plain: rows that fulfil every constraint, of a table without triggers, that no
//! foreign key follows. As soon as anything else turns up it steps back: what it has written is undone, and the statement
//! goes the general way ([`Machine::run`]) from its beginning, which knows what to do and how to say it. So the two ways need
//! not agree on errors, conflicts or their order, but only on what becomes of rows that meet none.

use std::sync::Arc;

use dosql_base::{ErrorKind, Result};

use super::constraints::check_strict;
use super::foreign_key::child_key;
use super::machine::Machine;
use super::plan::{Change, DeletePlan, Input, InsertPlan, Row, SetTarget, UpdatePlan, UpsertPlan, UpsertTarget};
use super::programs::Programs;
use super::source::rowid_of;
use crate::catalog::layout;
use crate::catalog::schema::{Catalog, IndexKey, Table};
use crate::exec::point;
use crate::parse::ast::ConflictAction;
use crate::plan::{Expr, Node, Query};
use crate::storage::Storage;
use crate::value::{Affinity, Value};

/// How a statement can go the direct way; made with its plan.
#[derive(Clone, Debug)]
pub(crate) enum Direct {
    /// INSERT of one row of constants and parameters.
    Insert(Vec<Expr>),
    /// INSERT of the rows of a query.
    InsertAll,
    /// UPDATE of the row of one key.
    UpdateRow,
    /// UPDATE of the rows of a query.
    UpdateAll,
    /// DELETE of the row of one key.
    DeleteRow,
    /// DELETE of the rows of a query, of which only these columns are read.
    DeleteAll { source: Arc<Query>, columns: Vec<usize> },
}

/// Memory that is used again by the next statement.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    row: Row,
    registers: Vec<Value>,
    row_id: Vec<u8>,
    key: Vec<u8>,
    value: Vec<u8>,
    keys: Keys,
}

/// Keys, one after the other.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Ends the key whose bytes were appended.
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    fn memory(&self) -> usize {
        self.bytes.len() + size_of_val(self.ends.as_slice())
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Written,
    /// There is nothing to change.
    Nothing,
    /// It takes the general way.
    StepBack,
}

impl Direct {
    /// How a change goes the direct way; `None` where it can't.
    pub(crate) fn of(change: &Change, programs: &Programs, catalog: &Catalog) -> Option<Direct> {
        let table = change.table()?;
        let plain = table.generated.is_empty()
            && !table.made_up
            && programs.of(table).is_empty()
            && change.returning().is_none();
        if !plain {
            return None;
        }
        match change {
            Change::Insert(plan) => Direct::of_insert(plan),
            Change::Update(plan) if plan.view || plan.joined.is_some() => None,
            Change::Update(_) if catalog.has_children(&table.name) => None,
            Change::Update(plan) if point::is_row_of(&plan.source, table) => Some(Direct::UpdateRow),
            Change::Update(plan) => is_usual(plan.or).then_some(Direct::UpdateAll),
            Change::Delete(plan) if plan.view || catalog.has_children(&table.name) => None,
            Change::Delete(plan) if point::is_row_of(&plan.source, table) => Some(Direct::DeleteRow),
            Change::Delete(plan) => Some(Direct::of_delete(plan)),
            Change::Select(_) => None,
        }
    }

    fn of_insert(plan: &InsertPlan) -> Option<Direct> {
        if plan.view || plan.table.autoincrement {
            return None;
        }
        let values = match &plan.source {
            Some(source) => single_row(source),
            None => Some(Vec::new()),
        };
        let is_plain = |expr: &Expr| matches!(expr, Expr::Literal(_) | Expr::Parameter(_));
        match values {
            Some(values) if values.iter().all(is_plain) => Some(Direct::Insert(values)),
            // Of many rows one that is in the way would undo the work on all before it.
            _ => (is_usual(plan.or) && plan.upserts.is_empty()).then_some(Direct::InsertAll),
        }
    }

    fn of_delete(plan: &DeletePlan) -> Direct {
        let columns = columns_of_keys(&plan.table);
        let mut source = Query::clone(&plan.source);
        let wanted = columns.iter().map(|column| match *column {
            column if column == plan.table.columns.len() => 0,
            column => column + 1,
        });
        source.outputs = wanted.clone().filter_map(|at| plan.source.outputs.get(at).cloned()).collect();
        source.columns = wanted.filter_map(|at| plan.source.columns.get(at).cloned()).collect();
        source.prune();
        Direct::DeleteAll { source: Arc::new(source), columns }
    }
}

/// Whether a conflict ends the statement.
fn is_usual(or: Option<ConflictAction>) -> bool {
    matches!(or, None | Some(ConflictAction::Abort | ConflictAction::Rollback | ConflictAction::Fail))
}

/// The expressions of a query that gives just one row, of no table.
fn single_row(query: &Query) -> Option<Vec<Expr>> {
    match &query.root {
        Node::OneRow => Some(query.outputs.clone()),
        Node::Values { rows, registers } => match rows.as_slice() {
            [row] => query
                .outputs
                .iter()
                .map(|output| match output {
                    Expr::Register(register) => {
                        let at = registers.iter().position(|known| known == register)?;
                        row.get(at).cloned()
                    }
                    _ => None,
                })
                .collect(),
            _ => None,
        },
        _ => None,
    }
}

/// The columns that the keys of a row and of its index entries are made of; the rowid counts as the one after the last.
fn columns_of_keys(table: &Table) -> Vec<usize> {
    let mut columns = Vec::new();
    let mut add = |key: &IndexKey| match key {
        IndexKey::Column(column) => columns.push(*column),
        IndexKey::Rowid => columns.push(table.columns.len()),
        IndexKey::Expr(_) => columns.extend(0..=table.columns.len()),
    };
    if !table.without_rowid {
        add(&IndexKey::Rowid);
    }
    table.primary_key.iter().for_each(|part| add(&part.key));
    for index in &table.indexes {
        index.columns.iter().for_each(|part| add(&part.key));
        if index.filter.is_some() {
            add(&IndexKey::Expr(Arc::new(Expr::Literal(Value::Null))));
        }
    }
    columns.sort_unstable();
    columns.dedup();
    if table.without_rowid {
        columns.retain(|column| *column != table.columns.len());
    }
    columns
}

impl<S: Storage> Machine<'_, S> {
    /// Tries the direct way; false where the statement has to take the general one, and nothing has changed.
    pub(crate) fn run_direct(
        &mut self,
        change: &Change,
        direct: &Direct,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        let several = match (direct, change.table()) {
            (Direct::InsertAll | Direct::UpdateAll | Direct::DeleteAll { .. }, _) => true,
            (_, Some(table)) => !table.indexes.is_empty(),
            (_, None) => false,
        };
        // A single write that fails leaves nothing to undo.
        let mark = if several { Some(self.storage.savepoint()?) } else { None };
        let before = self.counters;
        let changed = self.change_rows(change, direct, scratch);
        if let Some(mark) = mark {
            if !matches!(changed, Ok(Some(_))) {
                self.storage.rollback_to(mark)?;
            }
            self.storage.release(mark)?;
        }
        match changed {
            Ok(Some(changed)) => {
                self.counters.changes = changed;
                self.counters.total_changes += changed;
                Ok(true)
            }
            Ok(None) => {
                self.counters = before;
                Ok(false)
            }
            // Whatever can't be computed, the general way finds out at the right row.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.counters = before;
                Ok(false)
            }
            Err(error) => {
                self.counters = before;
                Err(error)
            }
        }
    }

    /// Changes the rows and returns how many; `None` to step back.
    fn change_rows(&mut self, change: &Change, direct: &Direct, scratch: &mut Scratch) -> Result<Option<i64>> {
        let count = |done| match done {
            Done::Written => Some(1),
            Done::Nothing => Some(0),
            Done::StepBack => None,
        };
        match (change, direct) {
            (Change::Insert(plan), Direct::Insert(values)) => {
                let done = self.insert_values(plan, values, scratch)?;
                Ok(count(done))
            }
            (Change::Insert(plan), Direct::InsertAll) => self.insert_all(plan, scratch),
            (Change::Update(plan), Direct::UpdateRow) => {
                let done = self.update_row(plan, scratch)?;
                Ok(count(done))
            }
            (Change::Update(plan), Direct::UpdateAll) => self.update_all(plan, scratch),
            (Change::Delete(plan), Direct::DeleteRow) => {
                let done = self.delete_one(plan, scratch)?;
                Ok(count(done))
            }
            (Change::Delete(plan), Direct::DeleteAll { source, columns }) => {
                self.delete_all(&plan.table, source, columns, scratch)
            }
            _ => Ok(None),
        }
    }

    // ---- INSERT

    fn insert_values(&mut self, plan: &InsertPlan, values: &[Expr], scratch: &mut Scratch) -> Result<Done> {
        let parameters = self.around.parameters;
        let value = |at: usize| match values.get(at) {
            Some(Expr::Literal(value)) => value.clone(),
            Some(Expr::Parameter(number)) => parameters.get(*number as usize).cloned().unwrap_or_default(),
            _ => Value::Null,
        };
        self.fill_row(plan, value, &mut scratch.row)?;
        self.insert_row(plan, scratch)
    }

    fn insert_all(&mut self, plan: &InsertPlan, scratch: &mut Scratch) -> Result<Option<i64>> {
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
    fn fill_row(&mut self, plan: &InsertPlan, value: impl Fn(usize) -> Value, row: &mut Row) -> Result<()> {
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
    fn insert_row(&mut self, plan: &InsertPlan, scratch: &mut Scratch) -> Result<Done> {
        let table = &plan.table;
        let mut row = std::mem::take(&mut scratch.row);
        let done = self.insert_settled(plan, table, &mut row, scratch);
        scratch.row = row;
        done
    }

    fn insert_settled(
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
            if let Some(rowid) = row.last_mut() {
                *rowid = Value::Integer(next);
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
        for key in scratch.keys.iter() {
            self.storage.put(key, &[])?;
        }
        if !table.without_rowid {
            self.counters.last_insert_rowid = rowid_of(table, row);
        }
        Ok(Done::Written)
    }

    /// A row with the primary key of `row` is there: carries out a plain ON CONFLICT clause.
    fn upsert_row(&mut self, plan: &InsertPlan, row: &Row, scratch: &mut Scratch) -> Result<Done> {
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

    // ---- UPDATE

    /// Sets columns of `old`, whose row id is in `scratch`, to expressions over `registers`.
    fn update_by(
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
    fn replace_row(
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

    fn update_row(&mut self, plan: &UpdatePlan, scratch: &mut Scratch) -> Result<Done> {
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

    fn update_found(
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

    fn update_all(&mut self, plan: &UpdatePlan, scratch: &mut Scratch) -> Result<Option<i64>> {
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

    // ---- DELETE

    fn delete_one(&mut self, plan: &DeletePlan, scratch: &mut Scratch) -> Result<Done> {
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
    fn keys_of(&mut self, table: &Arc<Table>, row: &Row, scratch: &mut Scratch) -> Result<()> {
        scratch.keys.clear();
        self.add_keys(table, row, &mut scratch.row_id, &mut scratch.keys)
    }

    fn add_keys(
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

    fn delete_all(
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
            if keys.memory() > limit { Err(super::source::too_many(limit)) } else { Ok(()) }
        })?;
        for key in keys.iter() {
            self.storage.delete(key)?;
        }
        Ok(Some(changed))
    }

    // ---- what they share

    /// Looks up the row of the one key that a query asks for, and leaves its row id in `scratch`; `None` where there is none or
    /// the query does not want it. The registers are filled as the query fills them.
    fn find_row(
        &mut self,
        table: &Arc<Table>,
        query: &Query,
        registers: &mut Vec<Value>,
        scratch: &mut Scratch,
    ) -> Result<Option<Row>> {
        let Some(found) = point::Point::of(query) else { return Ok(None) };
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
                return Ok(None);
            }
        }
        let Some(row) = self.fetch(table, &scratch.row_id)? else { return Ok(None) };
        for (column, register) in found.columns() {
            if let (Some(slot), Some(value)) = (registers.get_mut(register.0 as usize), row.get(column)) {
                *slot = value.clone();
            }
        }
        for step in found.steps() {
            match step {
                point::Step::Filter(filter) => {
                    if self.truth(filter, registers, &[])? != Some(true) {
                        return Ok(None);
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
        Ok(Some(row))
    }

    /// Gives a row its final values; whether it fulfils all that can be seen of the row alone.
    fn is_good(&mut self, table: &Arc<Table>, row: &mut Row) -> Result<bool> {
        if !table.without_rowid {
            let columns = table.columns.len();
            let rowid = Affinity::Integer.apply(std::mem::take(&mut row[columns]));
            if !matches!(rowid, Value::Integer(_)) {
                return Ok(false);
            }
            row[columns] = rowid;
        }
        self.settle_row(table, row, false)?;
        for (column, value) in table.columns.iter().zip(row.iter()) {
            if column.not_null.is_some() && value.is_null() {
                return Ok(false);
            }
            if table.strict && check_strict(table, column, value.as_ref()).is_err() {
                return Ok(false);
            }
        }
        if !self.settings.ignore_checks {
            for check in &table.checks {
                if self.truth(&check.expr, row, &[])? == Some(false) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether the parents are there that a row refers to by columns that are `set`.
    fn has_parents(&mut self, table: &Table, row: &Row, set: impl Fn(usize) -> bool) -> Result<bool> {
        if !self.settings.foreign_keys {
            return Ok(true);
        }
        for foreign in &table.foreign_keys {
            if !foreign.columns.iter().any(|column| set(*column)) {
                continue;
            }
            let parent = self.parent_key(table, foreign)?;
            if let Some(key) = child_key(table, foreign, &parent, row)
                && !self.parent_exists(&parent, &key)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends the entry of a row in the n-th index, if it has one; false where `new` and it must be unique and is not.
    fn put_entry(
        &mut self,
        table: &Arc<Table>,
        n: usize,
        row: &Row,
        row_id: &[u8],
        new: bool,
        keys: &mut Keys,
    ) -> Result<bool> {
        let index = &table.indexes[n];
        let start = keys.bytes.len();
        let Some((columns_end, has_null)) = self.write_entry(table, index, row, row_id, &mut keys.bytes)?
        else {
            return Ok(true);
        };
        if new && index.unique && !has_null {
            let prefix = keys.bytes[start..columns_end].to_vec();
            if self.entry_with_prefix(index, prefix, &[])?.is_some() {
                return Ok(false);
            }
        }
        keys.end();
        Ok(true)
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
