//! Foreign keys. A change that may break one notes a **suspect**: the key that a child needs. Suspects are looked at when the
//! statement ends, or at COMMIT where the constraint is deferred: a suspect is a violation if no parent has the key and a child
//! still has it. What happened in between does not matter, so nothing has to be counted, and a suspect of changes
//! that were rolled back does no harm.

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::{Code, Error, Result};

use super::machine::{Machine, Task};
use super::op::{Kind, RowOp};
use super::parent::{ParentKey, parent_key};
use super::plan::SetTarget;
use crate::catalog::cells::Cells;
use crate::catalog::layout;
use crate::catalog::load::lower;
use crate::catalog::schema::{ForeignKey, Index, IndexColumn, IndexKey, Table};
use crate::parse::ast::ForeignKeyAction;
use crate::storage::{Direction, Point, Storage};
use crate::value::{Affinity, Text, Value, ValueRef, compare};

/// A key that a child row refers to and that perhaps no parent has.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspect {
    /// The child table's lower-case name.
    child: Text,
    /// Which of its foreign keys.
    number: usize,
    /// The parent key.
    key: Vec<Value>,
}

/// What a foreign-key action does to the children that it finds, one after the other.
pub(crate) struct ChildrenTask {
    child: Arc<Table>,
    action: ForeignKeyAction,
    sets: Vec<(SetTarget, Value)>,
    rows: std::vec::IntoIter<Vec<u8>>,
    depth: u32,
    level: usize,
}

pub(crate) fn foreign_key_failed() -> Error {
    Error::constraint(Code::ConstraintForeignKey, "FOREIGN KEY constraint failed")
}

impl<S: Storage> Machine<'_, S> {
    /// As [`parent_key`].
    pub(crate) fn parent_key(&self, child: &Table, key: &ForeignKey) -> Result<ParentKey> {
        parent_key(self.catalog, child, key)
    }

    /// Whether a parent row has this key.
    pub(crate) fn parent_exists(&self, parent: &ParentKey, key: &[Value]) -> Result<bool> {
        let table = &parent.table;
        let value_of = |part: &IndexColumn| {
            let IndexKey::Column(column) = part.key else { return Value::Null };
            let at = parent.columns.iter().position(|c| *c == column);
            at.and_then(|at| key.get(at)).cloned().unwrap_or_default()
        };
        let mut bytes = Vec::with_capacity(32);
        match &parent.index {
            Some(index) => {
                layout::put_space(&mut bytes, index.space);
                for part in &index.columns {
                    layout::put_part(&mut bytes, part, value_of(part).as_ref());
                }
                Ok(self.entry_with_prefix(index, bytes, &[])?.is_some())
            }
            None if table.without_rowid => {
                layout::put_space(&mut bytes, table.space);
                for part in &table.primary_key {
                    layout::put_part(&mut bytes, part, value_of(part).as_ref());
                }
                Ok(self.storage.get(Point::Live, &bytes, |_| ())?.is_some())
            }
            None => {
                let Some(Value::Integer(rowid)) = key.first() else { return Ok(false) };
                layout::put_rowid_key(&mut bytes, table.space, *rowid);
                Ok(self.storage.get(Point::Live, &bytes, |_| ())?.is_some())
            }
        }
    }

    /// The row ids of the children that have this parent key; only the first where `one`.
    pub(crate) fn children_of(
        &mut self,
        child: &Arc<Table>,
        foreign: &ForeignKey,
        parent: &ParentKey,
        key: &[Value],
        one: bool,
    ) -> Result<Vec<Vec<u8>>> {
        let (mut found, mut perhaps) = (Vec::new(), Vec::new());
        let Some((index, ranges)) = child_index(child, foreign, parent, key) else {
            let all = self.row_ids(child.space)?;
            self.keep_children(child, foreign, parent, key, one, all, &mut found)?;
            return Ok(found);
        };
        for (prefix, exact) in ranges {
            let to = if exact { &mut found } else { &mut perhaps };
            let mut cursor =
                self.storage.open_cursor(Point::Live, layout::prefix_range(prefix), Direction::Forward)?;
            let enough = |found: &Vec<Vec<u8>>| one && exact && !found.is_empty();
            loop {
                let done = self.storage.visit(&mut cursor, usize::MAX, &mut |key, _| {
                    to.push(layout::index_row_id(&index, key)?.to_vec());
                    Ok(if enough(to) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })?;
                if enough(to) {
                    return Ok(found);
                }
                if done {
                    break;
                }
            }
        }
        self.keep_children(child, foreign, parent, key, one, perhaps, &mut found)?;
        Ok(found)
    }

    /// Adds those of some rows that have the parent key.
    #[allow(clippy::too_many_arguments)]
    fn keep_children(
        &mut self,
        child: &Arc<Table>,
        foreign: &ForeignKey,
        parent: &ParentKey,
        key: &[Value],
        one: bool,
        perhaps: Vec<Vec<u8>>,
        found: &mut Vec<Vec<u8>>,
    ) -> Result<()> {
        for row_id in perhaps {
            if let Some(row) = self.fetch(child, &row_id)?
                && child_key(foreign, parent, &row).is_some_and(|own| same_key(parent, &own, key))
            {
                found.push(row_id);
                if one {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Looks for the parents of a row that was inserted or updated.
    pub(super) fn check_child(&mut self, op: &RowOp) -> Result<()> {
        if op.kind == Kind::Delete {
            return Ok(());
        }
        for (number, foreign) in op.table.foreign_keys.iter().enumerate() {
            if op.kind == Kind::Update && !foreign.columns.iter().any(|column| op.sets_column(*column)) {
                continue;
            }
            let parent = self.parent_key(&op.table, foreign)?;
            let Some(key) = child_key(foreign, &parent, &op.new) else { continue };
            if !self.parent_exists(&parent, &key)? {
                let suspect = Suspect { child: lower(&op.table.name), number, key };
                self.suspect(suspect, foreign.deferred);
            }
        }
        Ok(())
    }

    fn suspect(&mut self, suspect: Suspect, deferred: bool) {
        let list = if deferred || self.settings.defer_foreign_keys {
            &mut self.deferred
        } else {
            &mut self.suspects
        };
        if !list.contains(&suspect) {
            list.push(suspect);
        }
    }

    /// What has to be done to the children of a row that was deleted or got another key.
    pub(super) fn parent_actions(&mut self, op: &RowOp) -> Result<Vec<Task>> {
        let mut actions = Vec::new();
        if op.kind == Kind::Insert {
            return Ok(actions);
        }
        for (child, number) in self.catalog.children_of_table(&op.table.name) {
            let Some(foreign) = child.foreign_keys.get(number) else { continue };
            let parent = match self.parent_key(&child, foreign) {
                Ok(parent) => parent,
                // A table can be dropped whatever its children say of its columns.
                Err(_) if self.dropping => continue,
                Err(error) => return Err(error),
            };
            let key: Vec<Value> = parent.columns.iter().map(|c| op.old[*c].clone()).collect();
            if key.iter().any(Value::is_null) {
                continue;
            }
            let action = if op.kind == Kind::Delete {
                foreign.on_delete
            } else {
                let new: Vec<Value> = parent.columns.iter().map(|c| op.new[*c].clone()).collect();
                if same_key(&parent, &key, &new) {
                    continue;
                }
                foreign.on_update
            };
            let one = matches!(action, ForeignKeyAction::NoAction | ForeignKeyAction::Restrict);
            let children = self.children_of(&child, foreign, &parent, &key, one)?;
            if children.is_empty() {
                continue;
            }
            match action {
                ForeignKeyAction::NoAction => {
                    let suspect = Suspect { child: lower(&child.name), number, key };
                    self.suspect(suspect, foreign.deferred);
                }
                ForeignKeyAction::Restrict => {
                    return Err(Error::constraint(Code::ConstraintTrigger, "FOREIGN KEY constraint failed"));
                }
                ForeignKeyAction::Cascade | ForeignKeyAction::SetNull | ForeignKeyAction::SetDefault => {
                    Self::check_depth(op.depth + 1)?;
                    let sets = self.action_sets(action, &child, foreign, &parent, op)?;
                    actions.push(Task::Children(Box::new(ChildrenTask {
                        child: Arc::clone(&child),
                        action: if op.kind == Kind::Delete { action } else { ForeignKeyAction::SetDefault },
                        sets,
                        rows: children.into_iter(),
                        depth: op.depth + 1,
                        level: op.level,
                    })));
                }
            }
        }
        actions.reverse();
        Ok(actions)
    }

    /// What the children's columns are set to.
    fn action_sets(
        &mut self,
        action: ForeignKeyAction,
        child: &Arc<Table>,
        foreign: &ForeignKey,
        parent: &ParentKey,
        op: &RowOp,
    ) -> Result<Vec<(SetTarget, Value)>> {
        let mut sets = Vec::with_capacity(foreign.columns.len());
        for (column, parent_column) in foreign.columns.iter().zip(&parent.columns) {
            let value = match action {
                ForeignKeyAction::Cascade if op.kind == Kind::Update => op.new[*parent_column].clone(),
                ForeignKeyAction::SetDefault => match &child.columns[*column].default {
                    Some(default) => self.evaluate(&Arc::clone(&default.expr), &[], &[])?,
                    None => Value::Null,
                },
                _ => Value::Null,
            };
            sets.push((SetTarget::Column(*column), value));
        }
        Ok(sets)
    }

    pub(super) fn next_child(&mut self, mut task: Box<ChildrenTask>) -> Result<()> {
        let Some(row_id) = task.rows.next() else { return Ok(()) };
        let kind = if task.action == ForeignKeyAction::Cascade { Kind::Delete } else { Kind::Update };
        let mut op = RowOp::new(kind, &task.child);
        op.old_id = row_id;
        op.refetch = true;
        op.by_foreign_key = true;
        op.sets = if kind == Kind::Update { task.sets.clone() } else { Vec::new() };
        op.depth = task.depth;
        op.level = task.level;
        self.tasks.push(Task::Children(task));
        self.advance(Box::new(op))
    }

    /// Fails where a suspect of this statement is a violation.
    pub(super) fn check_suspects(&mut self) -> Result<()> {
        for suspect in std::mem::take(&mut self.suspects) {
            if self.is_violated(&suspect)? {
                return Err(foreign_key_failed());
            }
        }
        Ok(())
    }

    /// Whether a child has a key that no parent has.
    pub(crate) fn is_violated(&mut self, suspect: &Suspect) -> Result<bool> {
        let Some(child) = self.catalog.tables.get(&suspect.child).cloned() else { return Ok(false) };
        let Some(foreign) = child.foreign_keys.get(suspect.number) else { return Ok(false) };
        if self.catalog.table(&foreign.parent).is_none() {
            // The parent was dropped: whoever still refers to it does so in vain.
            let any = self.row_ids(child.space)?;
            for row_id in any {
                let row = self.fetch(&child, &row_id)?.unwrap_or_default();
                if foreign.columns.iter().all(|c| row.get(*c).is_some_and(|v| !v.is_null())) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let parent = self.parent_key(&child, foreign)?;
        if suspect.key.len() != parent.columns.len() || self.parent_exists(&parent, &suspect.key)? {
            return Ok(false);
        }
        Ok(!self.children_of(&child, foreign, &parent, &suspect.key, true)?.is_empty())
    }
}

/// The parent key that a child row refers to; `None` where a column of it is NULL.
pub(crate) fn child_key(
    foreign: &ForeignKey,
    parent: &ParentKey,
    row: &(impl Cells + ?Sized),
) -> Option<Vec<Value>> {
    let mut key = Vec::with_capacity(foreign.columns.len());
    for (column, parent_column) in foreign.columns.iter().zip(&parent.columns) {
        let value = row.cell(*column);
        if value.is_null() {
            return None;
        }
        key.push(parent.table.columns[*parent_column].affinity.apply(value.to_value()));
    }
    Some(key)
}

fn same_key(parent: &ParentKey, a: &[Value], b: &[Value]) -> bool {
    let columns = parent.columns.iter().map(|column| parent.table.columns[*column].collation);
    a.iter().zip(b).zip(columns).all(|((a, b), collation)| compare(a.as_ref(), b.as_ref(), collation).is_eq())
}

/// An index and prefixes of its entries, each with whether all rows there have the key.
type IndexLookups = (Arc<Index>, Vec<(Vec<u8>, bool)>);

/// An index of the child that finds its rows by the foreign key, and the prefixes of the entries wanted, each with whether all
/// rows there have the key.
fn child_index(
    child: &Table,
    foreign: &ForeignKey,
    parent: &ParentKey,
    key: &[Value],
) -> Option<IndexLookups> {
    let width = foreign.columns.len();
    let position = |part: &IndexColumn| match part.key {
        IndexKey::Column(column) => {
            let at = foreign.columns.iter().position(|c| *c == column)?;
            let wanted = parent.table.columns[*parent.columns.get(at)?].collation;
            (wanted == part.collation).then_some(at)
        }
        IndexKey::Rowid | IndexKey::Expr(_) => None,
    };
    let index = child.indexes.iter().find(|index| {
        index.filter.is_none()
            && index.columns.len() >= width
            && (0..width).all(|at| index.columns[..width].iter().any(|part| position(part) == Some(at)))
    })?;
    let affinities = foreign.columns.iter().zip(&parent.columns);
    let mut affinities = affinities
        .map(|(own, theirs)| (child.columns[*own].affinity, parent.table.columns[*theirs].affinity));
    let mut prefix = Vec::with_capacity(32);
    layout::put_space(&mut prefix, index.space);
    let space = prefix.len();
    for part in &index.columns[..width] {
        layout::put_part(&mut prefix, part, key.get(position(part)?)?.as_ref());
    }
    // The child's value is compared as the parent's column would store it. Where both columns store a value alike, the entry is
    // the key's.
    let alike = |(own, theirs): (Affinity, Affinity)| {
        own == theirs || theirs == Affinity::Blob || (own.is_numeric() && theirs.is_numeric())
    };
    if affinities.clone().all(alike) {
        return Some((Arc::clone(index), vec![(prefix, true)]));
    }
    // A child without a type may also hold the number as text.
    if let (1, Some((Affinity::Blob, theirs))) = (width, affinities.next())
        && theirs.is_numeric()
    {
        let mut text = prefix[..space].to_vec();
        layout::put_part(&mut text, &index.columns[0], ValueRef::Text(""));
        text.truncate(space + 1);
        return Some((Arc::clone(index), vec![(prefix, true), (text, false)]));
    }
    None
}
