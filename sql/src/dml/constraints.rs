//! What a row must fulfil before it is written: types, NOT NULL, CHECK, uniqueness; and what is done where it does not.

use std::sync::Arc;

use dosql_base::{Code, Error, Result};

use super::machine::{Machine, Undo};
use super::op::{Kind, RowOp, full};
use super::plan::{Row, UpsertTarget};
use super::source::rowid_of;
use super::write::Entries;
use crate::catalog::layout;
use crate::catalog::load::lower;
use crate::catalog::schema::{Column, Index, IndexKey, IndexOrigin, Table};
use crate::parse::ast::ConflictAction;
use crate::storage::{Point, Storage};
use crate::value::{Affinity, Value, ValueRef};

/// What is to be done with a row.
pub(crate) enum Verdict {
    /// Write it, with these index entries.
    Write(Entries),
    /// Leave it out.
    Skip,
    /// Remove these rows first and look again.
    Replace(Vec<Vec<u8>>),
    /// Carry out the n-th ON CONFLICT clause on this row.
    Upsert { clause: usize, row_id: Vec<u8> },
}

/// A uniqueness constraint.
#[derive(Clone)]
enum Unique {
    Primary,
    Index(usize),
}

impl<S: Storage> Machine<'_, S> {
    /// Gives a row its final values: affinities, the rowid, generated columns. A missing rowid is left open where `open`.
    pub(crate) fn settle_row(&mut self, table: &Arc<Table>, row: &mut Row, open: bool) -> Result<()> {
        let columns = table.columns.len();
        for (position, column) in table.columns.iter().enumerate() {
            if table.rowid_alias == Some(position) {
                continue;
            }
            if let Some(slot) = row.get_mut(position) {
                if !column.affinity.keeps(slot.as_ref()) {
                    *slot = column.affinity.apply(std::mem::take(slot));
                }
                // Zero has no sign once it is stored.
                if matches!(slot, Value::Real(real) if *real == 0.0) {
                    *slot = Value::Real(0.0);
                }
            }
        }
        if table.without_rowid {
            row[columns] = Value::Null;
        } else if !(open && row[columns].is_null()) {
            let rowid = Affinity::Integer.apply(std::mem::take(&mut row[columns]));
            let Value::Integer(rowid) = rowid else {
                return Err(mismatch());
            };
            row[columns] = Value::Integer(rowid);
        }
        if let Some(alias) = table.rowid_alias {
            row[alias] = row[columns].clone();
        }
        self.compute_generated(table, row, false)
    }

    /// Computes the generated columns of a row; only the virtual ones of a row that was `stored`.
    pub(crate) fn compute_generated(
        &mut self,
        table: &Arc<Table>,
        row: &mut Row,
        stored: bool,
    ) -> Result<()> {
        for position in &table.generated {
            let column = &table.columns[*position];
            if let Some(generated) = &column.generated
                && !(stored && generated.stored)
            {
                let value = self.evaluate(&generated.expr, row, &[])?;
                row[*position] = column.affinity.apply(value);
            }
        }
        Ok(())
    }

    /// Checks a row that is to be inserted, or that an update leads to.
    pub(super) fn check_row(&mut self, op: &mut RowOp) -> Result<Verdict> {
        let table = Arc::clone(&op.table);
        if op.kind == Kind::Insert {
            self.give_rowid(op)?;
        }
        if !self.check_columns(op, &table)? {
            return Ok(Verdict::Skip);
        }
        let checks = if self.settings.ignore_checks { &[][..] } else { &table.checks };
        for check in checks {
            if self.truth(&check.expr, &op.new, &[])? != Some(false) {
                continue;
            }
            // REPLACE can't mend a CHECK.
            let action = match op.or {
                Some(ConflictAction::Replace) | None => ConflictAction::Abort,
                Some(action) => action,
            };
            let message = format!("CHECK constraint failed: {}", check.name);
            if self.violated(action, Code::ConstraintCheck, message)? {
                return Ok(Verdict::Skip);
            }
        }
        self.check_unique(op, &table)
    }

    /// NOT NULL, then STRICT types; false where the row is left out.
    fn check_columns(&mut self, op: &mut RowOp, table: &Arc<Table>) -> Result<bool> {
        let mut replaced = vec![false; table.columns.len()];
        for (position, column) in table.columns.iter().enumerate() {
            let Some(not_null) = column.not_null else { continue };
            if column.generated.is_some() || !op.new[position].is_null() {
                continue;
            }
            let action = op.or.or(not_null.conflict).unwrap_or(ConflictAction::Abort);
            if let (ConflictAction::Replace, Some(default)) = (action, &column.default) {
                let value = self.evaluate(&default.expr, &[], &[])?;
                op.new[position] = column.affinity.apply(value);
                replaced[position] = true;
            } else if self.is_null(table, column, action)? {
                return Ok(false);
            }
        }
        if replaced.contains(&true) {
            self.compute_generated(table, &mut op.new, false)?;
        }
        // What waits for the others: generated columns, and those whose default is NULL too.
        for (position, column) in table.columns.iter().enumerate() {
            let Some(not_null) = column.not_null else { continue };
            if op.new[position].is_null() && (column.generated.is_some() || replaced[position]) {
                let action = op.or.or(not_null.conflict).unwrap_or(ConflictAction::Abort);
                if self.is_null(table, column, action)? {
                    return Ok(false);
                }
            }
        }
        if table.strict {
            for (column, value) in table.columns.iter().zip(&op.new) {
                check_strict(table, column, value.as_ref())?;
            }
        }
        Ok(true)
    }

    /// A NOT NULL column without a value: true where the row is just left out, else an error.
    fn is_null(&mut self, table: &Table, column: &Column, action: ConflictAction) -> Result<bool> {
        let message = format!("NOT NULL constraint failed: {}.{}", table.name, column.name);
        self.violated(action, Code::ConstraintNotNull, message)
    }

    /// A violated constraint: true where the row is just left out, else an error.
    fn violated(&mut self, action: ConflictAction, code: Code, message: String) -> Result<bool> {
        self.undo = match action {
            ConflictAction::Ignore => return Ok(true),
            ConflictAction::Fail => Undo::Nothing,
            ConflictAction::Rollback => Undo::Transaction,
            ConflictAction::Abort | ConflictAction::Replace => Undo::Statement,
        };
        Err(Error::constraint(code, message))
    }

    fn check_unique(&mut self, op: &RowOp, table: &Arc<Table>) -> Result<Verdict> {
        let mut row_id = Vec::with_capacity(16);
        layout::put_row_id(&mut row_id, table, &op.new, rowid_of(table, &op.new));
        let entries = self.entries_of(table, &op.new, row_id)?;
        let mut victims: Vec<Vec<u8>> = Vec::new();
        for (unique, action) in unique_order(op, table) {
            let found = match &unique {
                Unique::Primary => self.primary_conflict(op, table, &entries.row_id)?,
                Unique::Index(n) => self.index_conflict(op, &table.indexes[*n], &entries, *n)?,
            };
            let Some(found) = found else { continue };
            if let Some(clause) = upsert_clause(op, table, &unique) {
                return Ok(Verdict::Upsert { clause, row_id: found });
            }
            // A row that came back (a trigger put it there) is not removed again.
            if action == ConflictAction::Replace && !op.replaced {
                if !victims.contains(&found) {
                    victims.push(found);
                }
                continue;
            }
            let (code, message) = unique_message(table, &unique);
            if self.violated(action, code, message)? {
                return Ok(Verdict::Skip);
            }
        }
        if victims.is_empty() { Ok(Verdict::Write(entries)) } else { Ok(Verdict::Replace(victims)) }
    }

    /// The row id of the row that has this one's primary key already.
    fn primary_conflict(&self, op: &RowOp, table: &Table, row_id: &[u8]) -> Result<Option<Vec<u8>>> {
        if op.kind == Kind::Insert && !table.without_rowid && !op.rowid_given {
            return Ok(None);
        }
        if op.kind == Kind::Update && row_id == op.old_id {
            return Ok(None);
        }
        let mut key = Vec::with_capacity(row_id.len() + 5);
        layout::put_row_key(&mut key, table.space, row_id);
        let found = self.storage.get(Point::Live, &key, |_| ())?;
        Ok(found.map(|()| row_id.to_vec()))
    }

    /// The row id of a row with the same entry in a unique index.
    fn index_conflict(
        &self,
        op: &RowOp,
        index: &Index,
        entries: &Entries,
        n: usize,
    ) -> Result<Option<Vec<u8>>> {
        let Some(Some(entry)) = entries.entries.get(n) else { return Ok(None) };
        if entry.has_null {
            return Ok(None);
        }
        let prefix = entry.key[..entry.columns_end].to_vec();
        let own: &[u8] = if op.kind == Kind::Update { &op.old_id } else { &[] };
        self.entry_with_prefix(index, prefix, own)
    }

    /// Gives a row to insert its rowid where it has none yet.
    fn give_rowid(&mut self, op: &mut RowOp) -> Result<()> {
        let table = &op.table;
        let columns = table.columns.len();
        if table.without_rowid {
            return Ok(());
        }
        if op.table.autoincrement && op.rowid_given {
            // Even a row that is left out uses its rowid up.
            let rowid = rowid_of(&op.table, &op.new);
            self.raise_sequence(&Arc::clone(&op.table), rowid)?;
        }
        let table = &op.table;
        if !op.rowid_given && op.new[columns].is_null() {
            let rowid = self.new_rowid(&Arc::clone(table))?;
            op.new[columns] = Value::Integer(rowid);
            if let Some(alias) = op.table.rowid_alias {
                op.new[alias] = Value::Integer(rowid);
                let table = Arc::clone(&op.table);
                self.compute_generated(&table, &mut op.new, false)?;
            }
        }
        Ok(())
    }

    /// The rowid after the greatest; a random free one where that is the last there is.
    fn new_rowid(&mut self, table: &Arc<Table>) -> Result<i64> {
        let greatest = self.greatest_rowid(table.space)?;
        if table.autoincrement {
            let used = self.sequence_of(table)?;
            let next = greatest.unwrap_or(0).max(used).max(0).checked_add(1).ok_or_else(full)?;
            let next = self.storage.claim_rowid(table, next)?;
            self.raise_sequence(table, next)?;
            return Ok(next);
        }
        match greatest.map_or(Some(1), |greatest| greatest.checked_add(1)) {
            Some(next) => self.storage.claim_rowid(table, next),
            None => self.random_rowid(table),
        }
    }

    fn random_rowid(&mut self, table: &Table) -> Result<i64> {
        for _ in 0..100 {
            let rowid = (self.around.env.random_u64() >> 2) as i64 + 1;
            let mut key = Vec::with_capacity(16);
            layout::put_rowid_key(&mut key, table.space, rowid);
            if self.storage.get(Point::Live, &key, |_| ())?.is_none() {
                return Ok(rowid);
            }
        }
        Err(full())
    }
}

pub(crate) fn mismatch() -> Error {
    Error::new(dosql_base::ErrorKind::InvalidInput, Code::Mismatch, "datatype mismatch")
}

/// The uniqueness constraints in the order in which they are checked, each with what a conflict does: those of ON CONFLICT
/// clauses in their order, then the others, then those that replace.
fn unique_order(op: &RowOp, table: &Table) -> Vec<(Unique, ConflictAction)> {
    let action = |own: Option<ConflictAction>| op.or.or(own).unwrap_or(ConflictAction::Abort);
    // SQLite keeps the indexes of a table newest first, the key of a WITHOUT ROWID table among them.
    let unique = table.indexes.iter().enumerate().rev().filter(|(_, index)| index.unique);
    let mut order: Vec<_> = unique.map(|(n, index)| (Unique::Index(n), action(index.conflict))).collect();
    let newer = |(unique, _): &(Unique, ConflictAction)| {
        table.without_rowid && matches!(unique, Unique::Index(n) if *n >= table.primary_key_rank)
    };
    let place = order.iter().take_while(|entry| newer(entry)).count();
    order.insert(place, (Unique::Primary, action(table.primary_key_conflict)));
    order.sort_by_key(|(unique, action)| {
        let clause = upsert_clause(op, table, unique).unwrap_or(usize::MAX);
        (clause, clause == usize::MAX && *action == ConflictAction::Replace)
    });
    order
}

/// The ON CONFLICT clause that handles a conflict with this constraint.
fn upsert_clause(op: &RowOp, table: &Table, unique: &Unique) -> Option<usize> {
    let (plan, _) = op.insert.as_ref()?;
    plan.upserts.iter().position(|clause| match (&clause.target, unique) {
        (UpsertTarget::Any, _) | (UpsertTarget::Primary, Unique::Primary) => true,
        (UpsertTarget::Index(name), Unique::Index(n)) => *name == lower(&table.indexes[*n].name),
        _ => false,
    })
}

fn unique_message(table: &Table, unique: &Unique) -> (Code, String) {
    let named = |columns: Vec<&str>| {
        let names: Vec<String> = columns.iter().map(|column| format!("{}.{column}", table.name)).collect();
        format!("UNIQUE constraint failed: {}", names.join(", "))
    };
    let column_name = |key: &IndexKey| match key {
        IndexKey::Column(column) => table.columns.get(*column).map(|column| column.name.as_str()),
        IndexKey::Rowid | IndexKey::Expr(_) => None,
    };
    match unique {
        Unique::Primary if table.without_rowid => {
            let names = table.primary_key.iter().filter_map(|part| column_name(&part.key)).collect();
            (Code::ConstraintPrimaryKey, named(names))
        }
        Unique::Primary => match table.rowid_alias {
            Some(alias) => (Code::ConstraintPrimaryKey, named(vec![&table.columns[alias].name])),
            None => (Code::ConstraintRowId, named(vec!["rowid"])),
        },
        Unique::Index(n) => {
            let index = &table.indexes[*n];
            let code = match index.origin {
                IndexOrigin::PrimaryKey => Code::ConstraintPrimaryKey,
                IndexOrigin::Created | IndexOrigin::Unique => Code::ConstraintUnique,
            };
            (code, unique_index_message(table, index))
        }
    }
}

/// What a violated unique index says.
pub(crate) fn unique_index_message(table: &Table, index: &Index) -> String {
    let mut names = Vec::with_capacity(index.columns.len());
    for part in &index.columns {
        match part.key {
            IndexKey::Column(column) => names.push(format!("{}.{}", table.name, table.columns[column].name)),
            IndexKey::Rowid | IndexKey::Expr(_) => {
                return format!("UNIQUE constraint failed: index '{}'", index.name);
            }
        }
    }
    format!("UNIQUE constraint failed: {}", names.join(", "))
}

/// Fails where a STRICT table does not take a value of this type.
pub(crate) fn check_strict(table: &Table, column: &Column, value: ValueRef<'_>) -> Result<()> {
    let is = |name: &str| column.declared_type.eq_ignore_ascii_case(name);
    let fits = match value {
        ValueRef::Null => true,
        _ if is("INT") || is("INTEGER") => matches!(value, ValueRef::Integer(_)),
        _ if is("REAL") => matches!(value, ValueRef::Real(_)),
        _ if is("TEXT") => matches!(value, ValueRef::Text(_)),
        _ if is("BLOB") => matches!(value, ValueRef::Blob(_)),
        // ANY takes all.
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let declared = column.declared_type.to_ascii_uppercase();
    let kind = value.type_name().to_ascii_uppercase();
    let message = format!("cannot store {kind} value in {declared} column {}.{}", table.name, column.name);
    Err(Error::constraint(Code::ConstraintDatatype, message))
}
