//! Which key of the parent a foreign key refers to, and what is wrong where there is none.

use std::sync::Arc;

use dosql_base::{Error, Result};

use super::plan::{Change, SetTarget, UpdatePlan};
use super::programs::table_key;
use crate::catalog::schema::{Catalog, ForeignKey, Index, IndexColumn, IndexKey, Table};
use crate::parse::ast::{ConflictAction, ForeignKeyAction};
use crate::value::Text;

/// How a parent's key is looked up.
pub(crate) struct ParentKey {
    pub(crate) table: Arc<Table>,
    /// The parent's columns in the order of the foreign key.
    pub(crate) columns: Vec<usize>,
    /// The unique index; `None`: the table's own key.
    pub(crate) index: Option<Arc<Index>>,
}

/// The parent of a foreign key. Fails where there is none, or it has no unique key on the columns.
pub(crate) fn parent_key(catalog: &Catalog, child: &Table, key: &ForeignKey) -> Result<ParentKey> {
    let mismatch = || {
        Error::invalid(format!("foreign key mismatch - \"{}\" referencing \"{}\"", child.name, key.parent))
    };
    let Some(table) = catalog.table(&key.parent).filter(|table| !table.made_up) else {
        if catalog.view(&key.parent).is_some() {
            return Err(mismatch());
        }
        return Err(Error::invalid(format!("no such table: main.{}", key.parent)));
    };
    let columns: Vec<usize> = if key.parent_columns.is_empty() {
        primary_key_columns(table)
    } else {
        let position = |name: &Text| table.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name));
        key.parent_columns.iter().map(position).collect::<Option<_>>().ok_or_else(mismatch)?
    };
    if columns.len() != key.columns.len() || columns.is_empty() {
        return Err(mismatch());
    }
    let natural = |part: &IndexColumn| match part.key {
        IndexKey::Column(column) => {
            columns.contains(&column) && table.columns[column].collation == part.collation
        }
        IndexKey::Rowid | IndexKey::Expr(_) => false,
    };
    let fits = |parts: &[IndexColumn]| parts.len() == columns.len() && parts.iter().all(natural);
    let own = if table.without_rowid {
        fits(&table.primary_key)
    } else {
        columns.len() == 1 && table.rowid_alias == Some(columns[0])
    };
    let index = match own {
        true => None,
        false => {
            let usable = |index: &&Arc<Index>| index.unique && index.filter.is_none() && fits(&index.columns);
            Some(Arc::clone(table.indexes.iter().find(usable).ok_or_else(mismatch)?))
        }
    };
    Ok(ParentKey { table: Arc::clone(table), columns, index })
}

/// The columns of a table's PRIMARY KEY, in its order.
pub(crate) fn primary_key_columns(table: &Table) -> Vec<usize> {
    let mut columns: Vec<usize> =
        (0..table.columns.len()).filter(|c| table.columns[*c].primary_key_position > 0).collect();
    columns.sort_by_key(|column| table.columns[*column].primary_key_position);
    columns
}

/// Fails where a foreign key that a change has to look at is wrongly defined: whatever rows there are, as in SQLite.
pub(crate) fn check_definitions(catalog: &Catalog, change: &Change) -> Result<()> {
    let (table, view) = match change {
        Change::Insert(plan) => (&plan.table, plan.view),
        Change::Update(plan) => (&plan.table, plan.view),
        Change::Delete(plan) => (&plan.table, plan.view),
        Change::Select(_) => return Ok(()),
    };
    if view {
        return Ok(());
    }
    let update = match change {
        Change::Update(plan) => Some(plan.as_ref()),
        _ => None,
    };
    for foreign in table.foreign_keys.iter().rev() {
        if update.is_none_or(|plan| foreign.columns.iter().any(|column| sets(plan, *column))) {
            parent_key(catalog, table, foreign)?;
        }
    }
    let removes = match change {
        Change::Insert(plan) => plan.or == Some(ConflictAction::Replace),
        _ => true,
    };
    if removes { check_children(catalog, table, update) } else { Ok(()) }
}

/// Checks the foreign keys that refer to a table, and those to the children that actions lead on to.
fn check_children(catalog: &Catalog, table: &Arc<Table>, mut update: Option<&UpdatePlan>) -> Result<()> {
    let (mut waiting, mut seen) = (vec![Arc::clone(table)], vec![table_key(table)]);
    while let Some(table) = waiting.pop() {
        for (child, number) in catalog.children_of_table(&table.name) {
            let Some(foreign) = child.foreign_keys.get(number) else { continue };
            if !update.is_none_or(|plan| changes_parent(plan, foreign)) {
                continue;
            }
            parent_key(catalog, &child, foreign)?;
            let key = table_key(&child);
            if (acts(foreign.on_delete) || acts(foreign.on_update)) && !seen.contains(&key) {
                seen.push(key);
                waiting.push(child);
            }
        }
        update = None;
    }
    Ok(())
}

/// Whether an action changes the children.
pub(crate) fn acts(action: ForeignKeyAction) -> bool {
    !matches!(action, ForeignKeyAction::NoAction | ForeignKeyAction::Restrict)
}

fn sets(plan: &UpdatePlan, column: usize) -> bool {
    plan.sets.iter().flatten().any(|target| match target {
        SetTarget::Column(set) => *set == column,
        SetTarget::Rowid => plan.table.rowid_alias == Some(column),
    })
}

/// Whether an update sets a column of the parent that a foreign key names.
fn changes_parent(plan: &UpdatePlan, foreign: &ForeignKey) -> bool {
    let named = |position: usize, name: &str| match foreign.parent_columns.as_slice() {
        [] => plan.table.columns[position].primary_key_position > 0,
        names => names.iter().any(|own| own.eq_ignore_ascii_case(name)),
    };
    plan.table.columns.iter().enumerate().any(|(at, column)| sets(plan, at) && named(at, &column.name))
}
