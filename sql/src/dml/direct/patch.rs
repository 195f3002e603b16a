//! Changes of a row in its place: of what is stored only that is looked at which the statement reads, and what it sets goes where
//! the old value was.

use dosql_base::Result;

use super::Done;
use super::row::{Lent, Made, Scratch, is_good_in, put_made, settle};
use super::update::{Sets, position_of};
use crate::catalog::schema::{IndexKey, Place, Table};
use crate::codec::patch_row;
use crate::dml::machine::Machine;
use crate::dml::plan::{SetTarget, UpsertSet};
use crate::exec::point::Point;
use crate::plan::{Expr, Query};
use crate::storage::Storage;
use crate::value::ValueRef;

/// How a change can be made in its place; made with its plan.
#[derive(Clone, Debug)]
pub(crate) struct Patch {
    /// The columns to read: those of its expressions, and all of the indexes whose entries it may change.
    pub(super) columns: Vec<usize>,
    /// It may change entries of indexes.
    pub(super) moves_entries: bool,
}

impl Patch {
    /// Of an UPDATE whose source is a lookup of one key.
    pub(super) fn of_update(table: &Table, source: &Query, sets: &[Option<SetTarget>]) -> Option<Patch> {
        let read = Point::of(source)?.columns().map(|(column, _)| column).collect();
        Patch::of(table, read, sets.iter().flatten())
    }

    /// Of an ON CONFLICT DO UPDATE.
    pub(super) fn of_upsert(table: &Table, UpsertSet { sets, filter }: &UpsertSet) -> Option<Patch> {
        let exprs = || sets.iter().map(|(_, expr)| expr).chain(filter);
        if exprs().any(Expr::has_subquery) {
            return None;
        }
        // Those of `excluded` come after those of the row, and are nothing to read.
        let read = exprs().flat_map(Expr::registers_read).map(|register| register.0 as usize);
        let read = read.filter(|at| *at < table.columns.len()).collect();
        Patch::of(table, read, sets.iter().map(|(target, _)| target))
    }

    /// `None` where more of the row has to be known to tell whether it may be changed, or where its key may change.
    fn of<'t>(
        table: &Table,
        mut columns: Vec<usize>,
        sets: impl Iterator<Item = &'t SetTarget>,
    ) -> Option<Patch> {
        let sets: Vec<usize> = sets.map(|target| position_of(table, *target)).collect();
        let in_row = |at: &usize| matches!(table.columns.get(*at).map(|c| c.place), Some(Place::Row(_)));
        let is_set = |column: &usize| sets.contains(column);
        let simple = !table.without_rowid
            && table.checks.is_empty()
            && sets.iter().all(in_row)
            && !table.foreign_keys.iter().any(|foreign| foreign.columns.iter().any(is_set));
        if !simple {
            return None;
        }
        let mut moves_entries = false;
        for index in &table.indexes {
            if index.filter.is_some() {
                return None;
            }
            let mut touched = false;
            for part in &index.columns {
                match &part.key {
                    IndexKey::Column(column) => touched |= is_set(column),
                    IndexKey::Rowid => {}
                    IndexKey::Expr(_) => return None,
                }
            }
            if touched {
                moves_entries = true;
                columns.extend(index.columns.iter().filter_map(|part| match part.key {
                    IndexKey::Column(column) => Some(column),
                    IndexKey::Rowid | IndexKey::Expr(_) => None,
                }));
            }
        }
        columns.sort_unstable();
        columns.dedup();
        Some(Patch { columns, moves_entries })
    }
}

impl<S: Storage> Machine<'_, S> {
    /// Sets values in their places in a row, whose bytes are `stored`, of which `old` holds what was to be read, and whose row id and key
    /// are in `scratch`; `None`, and nothing has changed, where one does not fit.
    pub(super) fn patch(
        &mut self,
        table: &Table,
        stored: &[u8],
        old: &[ValueRef<'_>],
        sets: &Sets<'_>,
        scratch: &mut Scratch,
    ) -> Result<Option<Done>> {
        let mut made = Made::new();
        let mut new = Lent::from_slice(old);
        for (position, value) in sets {
            new[*position] = value.get();
        }
        for (position, _) in sets {
            new[*position] = settle(&table.columns[*position], *position, new[*position], &mut made);
        }
        put_made(&mut new, &made);
        scratch.value.clear();
        scratch.value.extend_from_slice(stored);
        for (position, _) in sets {
            let (column, value) = (&table.columns[*position], new[*position]);
            if !is_good_in(table, column, value) {
                return Ok(Some(Done::StepBack));
            }
            let Place::Row(field) = column.place else { return Ok(None) };
            if !patch_row(&mut scratch.value, field, value)? {
                return Ok(None);
            }
        }
        self.storage.put(&scratch.key, &scratch.value)?;
        self.move_entries(table, old, &new, scratch).map(Some)
    }
}
