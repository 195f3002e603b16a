//! What a merge does to every row: the keys that changed, as rows of tables and entries of keyspaces, each merged by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dosql_base::codec::get_ordered_u32;
use dosql_base::{Error, Result};
use dosql_sql::Point;
use dosql_sql::catalog::layout::{self, put_row_key, read_row, rowid_of};
use dosql_sql::catalog::schema::{Catalog, Index, Place, SpaceId, Table};
use dosql_sql::value::Value;

use super::keyed::{find, key_of, primary_index};
use super::rows::{Cells, Outcome, merge};
use super::stored::{self, Resolutions};
use super::{MergeConflict, Merging, OnConflict, Write};
use crate::bytes::Bytes;
use crate::keyspace;
use crate::limits::FIRST_KEYSPACE;
use crate::transaction::Transaction;

/// What is to be written.
pub(super) struct Plan {
    pub(super) writes: Vec<Write>,
    /// Entries of keyspaces: the name, the key, and what it is to hold.
    pub(super) entries: Vec<(String, Vec<u8>, Option<Vec<u8>>)>,
    pub(super) conflicts: Vec<MergeConflict>,
    /// Whether there are conflicts that keep it from being done.
    pub(super) waits: bool,
}

/// A table on both sides.
struct Sides {
    base: Option<Arc<Table>>,
    ours: Arc<Table>,
    theirs: Arc<Table>,
    adds: Vec<bool>,
    /// The index of our primary key, where both sides have one besides the rowid, of as many parts.
    primary: Option<Arc<Index>>,
}

/// A row of one side, in the order of our columns, and its rowid.
type Found = Option<(Cells, i64)>;

impl Sides {
    fn read_theirs(&self, row_id: &[u8], stored: Option<Bytes>) -> Result<Found> {
        read(stored, row_id, &self.theirs, &self.ours, None)
    }

    fn read_base(&self, row_id: &[u8], stored: Option<Bytes>) -> Result<Found> {
        match &self.base {
            None => Ok(None),
            Some(before) => read(stored, row_id, before, &self.ours, Some(&self.theirs)),
        }
    }

    fn read_ours(&self, row_id: &[u8], stored: Option<Bytes>) -> Result<Found> {
        read(stored, row_id, &self.ours, &self.ours, None)
    }
}

impl Plan {
    /// Merges every row that the other branch changed. The schema is merged already.
    pub(super) fn make(
        merging: &Merging,
        changed: &[Vec<u8>],
        on_conflict: OnConflict,
        resolutions: Option<&Resolutions>,
    ) -> Result<Plan> {
        let load = |side: &Transaction| Catalog::load(side, Point::Live, None);
        let (base, theirs) = (load(&merging.base.read)?, load(&merging.theirs)?);
        let ours = merging.connection.with_transaction(|ours| load(ours))?;
        let tables = tables(&base, &ours, &theirs);
        let primary = |(space, sides): (&SpaceId, &Sides)| {
            let index = primary_index(&sides.theirs).filter(|_| sides.primary.is_some())?;
            Some((index.space, *space))
        };
        let mut planner = Planner {
            merging,
            primaries: tables.iter().filter_map(primary).collect(),
            tables,
            keyspaces: keyspaces(&merging.theirs)?,
            keyed: BTreeSet::new(),
            on_conflict,
            resolutions,
            plan: Plan { writes: Vec::new(), entries: Vec::new(), conflicts: Vec::new(), waits: false },
        };
        for key in changed {
            planner.key(key)?;
        }
        planner.keyed_rows()?;
        Ok(planner.plan)
    }
}

/// The tables of the other branch whose rows are merged, by their numbers there.
fn tables(base: &Catalog, ours: &Catalog, theirs: &Catalog) -> BTreeMap<SpaceId, Sides> {
    let mut tables = BTreeMap::new();
    let parts = |table: &Table| primary_index(table).map(|index| index.columns.len());
    let real = theirs.tables.iter().filter(|(_, table)| !table.made_up && !table.temporary);
    for (name, table) in real {
        let internal = name.starts_with("sqlite_") || name.as_str() == stored::TABLE;
        let Some(our) = ours.tables.get(name).filter(|_| !internal) else { continue };
        let before = base.tables.values().find(|before| before.space == table.space);
        let sides = Sides {
            base: before.map(Arc::clone),
            adds: our.columns.iter().map(|column| column.merge_add).collect(),
            primary: primary_index(our).filter(|index| parts(table) == Some(index.columns.len())).cloned(),
            ours: Arc::clone(our),
            theirs: Arc::clone(table),
        };
        tables.insert(table.space, sides);
    }
    tables
}

/// The names of the keyspaces that a transaction sees, by number.
pub(super) fn keyspaces(side: &Transaction) -> Result<BTreeMap<u32, String>> {
    let mut names = BTreeMap::new();
    let mut scan = side.raw_scan(keyspace::catalog_range(), dosql_sql::Direction::Forward);
    loop {
        let done = side.raw_visit(&mut scan, usize::MAX, &mut |key, value| {
            if let Some(name) = keyspace::name_in_catalog(key) {
                names.insert(keyspace::decode_number(value)?, name.to_owned());
            }
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        if done {
            return Ok(names);
        }
    }
}

struct Planner<'m> {
    merging: &'m Merging,
    tables: BTreeMap<SpaceId, Sides>,
    /// The tables of the other branch by the numbers of the indexes of primary keys besides the rowid.
    primaries: BTreeMap<SpaceId, SpaceId>,
    keyspaces: BTreeMap<u32, String>,
    /// Rows that are known by a primary key besides their rowid: the number of the table on the other branch, and the key.
    keyed: BTreeSet<(SpaceId, Vec<u8>)>,
    on_conflict: OnConflict,
    resolutions: Option<&'m Resolutions>,
    plan: Plan,
}

impl Planner<'_> {
    fn key(&mut self, key: &[u8]) -> Result<()> {
        let Some((space, len)) = get_ordered_u32(key) else { return Ok(()) };
        if space >= FIRST_KEYSPACE {
            return self.entry(key, space, len);
        }
        if let Some(table) = self.primaries.get(&space) {
            return self.entry_of_primary(key, len, *table);
        }
        match self.tables.remove(&space) {
            None => Ok(()),
            Some(sides) => {
                let done = self.row(key, &sides);
                self.tables.insert(space, sides);
                done
            }
        }
    }

    fn row(&mut self, key: &[u8], sides: &Sides) -> Result<()> {
        let row_id = layout::row_id(sides.theirs.space, key)?.to_vec();
        let mut our_key = Vec::new();
        put_row_key(&mut our_key, sides.ours.space, &row_id);
        let stored = self.merging.connection.with_transaction(|ours| ours.raw_get(&our_key))?;
        let mut ours = sides.read_ours(&row_id, stored)?;
        let mut theirs = sides.read_theirs(&row_id, self.merging.theirs.raw_get(key)?)?;
        let mut base = sides.read_base(&row_id, self.merging.base.read.raw_get(key)?)?;
        if let Some(index) = &sides.primary {
            let keyed = theirs.as_ref().and_then(|(row, _)| key_of(index, row));
            self.keyed.extend(keyed.map(|key| (sides.theirs.space, key)));
            // By their rowids only those are known that have no whole key.
            for found in [&mut ours, &mut theirs, &mut base] {
                found.take_if(|(row, _)| key_of(index, row).is_some());
            }
        }
        self.merge_row(sides, &base, &ours, &theirs)
    }

    /// Notes the row of an entry of a primary key's index that came or went.
    fn entry_of_primary(&mut self, key: &[u8], prefix: usize, table: SpaceId) -> Result<()> {
        let sides = self.tables.get(&table);
        if let Some(index) = sides.and_then(|sides| primary_index(&sides.theirs)) {
            let (columns, has_null) = layout::index_columns(index, &key[prefix..])?;
            if !has_null {
                self.keyed.insert((table, columns.to_vec()));
            }
        }
        Ok(())
    }

    /// Merges the rows that a primary key besides the rowid tells apart, each once.
    fn keyed_rows(&mut self) -> Result<()> {
        for (space, key) in std::mem::take(&mut self.keyed) {
            let Some(sides) = self.tables.remove(&space) else { continue };
            let done = self.keyed_row(&key, &sides);
            self.tables.insert(space, sides);
            done?;
        }
        Ok(())
    }

    fn keyed_row(&mut self, key: &[u8], sides: &Sides) -> Result<()> {
        let find_in = |side: &Transaction, table: &Table| match primary_index(table) {
            Some(index) => find(side, table, index, key),
            None => Ok(None),
        };
        let theirs = match find_in(&self.merging.theirs, &sides.theirs)? {
            Some((row_id, row)) => sides.read_theirs(&row_id, Some(row))?,
            None => None,
        };
        let before = sides.base.as_deref();
        let base = match before.map(|table| find_in(&self.merging.base.read, table)).transpose()?.flatten() {
            Some((row_id, row)) => sides.read_base(&row_id, Some(row))?,
            None => None,
        };
        let ours = match self.merging.connection.with_transaction(|ours| find_in(ours, &sides.ours))? {
            Some((row_id, row)) => sides.read_ours(&row_id, Some(row))?,
            None => None,
        };
        self.merge_row(sides, &base, &ours, &theirs)
    }

    /// Merges three states of a row.
    fn merge_row(&mut self, sides: &Sides, base: &Found, ours: &Found, theirs: &Found) -> Result<()> {
        let rowid = [ours, theirs, base].into_iter().flatten().next().map_or(0, |found| found.1);
        let cells = |found: &Found| found.as_ref().map(|(cells, _)| cells.clone());
        let (base, ours, theirs) = (cells(base), cells(ours), cells(theirs));
        let conflict = || {
            let json = |row: &Option<Cells>| row.as_ref().map(|row| stored::row_to_json(&sides.ours, row));
            let any = [&theirs, &ours, &base].into_iter().flatten().next();
            MergeConflict {
                table: sides.ours.name.to_string(),
                key: stored::key_to_json(&sides.ours, any.map_or(&[][..], Vec::as_slice), rowid),
                base: json(&base),
                ours: json(&ours),
                theirs: json(&theirs),
            }
        };
        let outcome = merge(base.as_ref(), ours.as_ref(), theirs.as_ref(), &sides.adds);
        let written = |text: &str, ours: &Option<Cells>| stored::row_of_json(&sides.ours, text, ours);
        let Some(after) = self.settle(outcome, conflict, written)? else { return Ok(()) };
        if after != ours {
            let table = Arc::clone(&sides.ours);
            self.plan.writes.push(Write { table, rowid, before: ours, after });
        }
        Ok(())
    }

    /// An entry of a keyspace: it is merged as a whole.
    fn entry(&mut self, key: &[u8], number: u32, prefix: usize) -> Result<()> {
        let Some(name) = self.keyspaces.get(&number).cloned() else { return Ok(()) };
        let known = crate::Keyspace::new(&name)?;
        let user_key = &key[prefix..];
        let theirs = self.merging.theirs.raw_get(key)?;
        let base = self.merging.base.read.get(&known, user_key)?;
        let ours = self.merging.connection.with_transaction(|ours| ours.get(&known, user_key))?;
        let row = |value: &Option<Bytes>| value.as_ref().map(|value| vec![stored::blob(value)]);
        let conflict = || {
            let json = |value: &Option<Bytes>| value.as_ref().map(|value| stored::bytes_to_json(value));
            MergeConflict {
                table: name.clone(),
                key: stored::bytes_to_json(user_key),
                base: json(&base),
                ours: json(&ours),
                theirs: json(&theirs),
            }
        };
        let outcome = merge(row(&base).as_ref(), row(&ours).as_ref(), row(&theirs).as_ref(), &[]);
        let written = |_: &str, _: &Option<Cells>| {
            Err(Error::invalid("an entry of a keyspace is resolved by 'ours' or 'theirs'"))
        };
        let Some(after) = self.settle(outcome, conflict, written)? else { return Ok(()) };
        let after = after.and_then(|mut row| match row.pop() {
            Some(Value::Blob(bytes)) => Some(bytes.to_vec()),
            _ => None,
        });
        if after.as_deref() != ours.as_deref() {
            self.plan.entries.push((name, user_key.to_vec(), after));
        }
        Ok(())
    }

    /// What a row is to be after the merge; `None` where it stays as it is, or the merge has to wait.
    fn settle(
        &mut self,
        outcome: Outcome,
        conflict: impl FnOnce() -> MergeConflict,
        written: impl FnOnce(&str, &Option<Cells>) -> Result<Cells>,
    ) -> Result<Option<Option<Cells>>> {
        let (if_ours, if_theirs) = match outcome {
            Outcome::Keep => return Ok(None),
            Outcome::Take(after) => return Ok(Some(after)),
            Outcome::Conflict { ours, theirs } => (ours, theirs),
        };
        let conflict = conflict();
        let side = self.resolve(&conflict, |text| written(text, &if_ours))?;
        self.plan.conflicts.push(conflict);
        Ok(side.map(|side| match side {
            Side::Ours => if_ours,
            Side::Theirs => if_theirs,
            Side::Written(row) => Some(row),
        }))
    }

    /// Which side wins; `None` where nobody has said, so that the merge has to wait.
    fn resolve(
        &mut self,
        conflict: &MergeConflict,
        written: impl FnOnce(&str) -> Result<Cells>,
    ) -> Result<Option<Side>> {
        match self.on_conflict {
            OnConflict::Ours => return Ok(Some(Side::Ours)),
            OnConflict::Theirs => return Ok(Some(Side::Theirs)),
            OnConflict::Abort | OnConflict::Store => {}
        }
        let Some(resolution) = self.resolutions.and_then(|known| known.of(conflict)) else {
            self.plan.waits = true;
            return Ok(None);
        };
        Ok(Some(match resolution {
            text if text.eq_ignore_ascii_case("ours") => Side::Ours,
            text if text.eq_ignore_ascii_case("theirs") => Side::Theirs,
            text => Side::Written(written(text)?),
        }))
    }
}

/// What a conflict was resolved by.
enum Side {
    Ours,
    Theirs,
    Written(Cells),
}

/// The row of one side in the order of the columns of `ours`, which it is found in by name. A column that the side has not yet reads
/// as in rows from before it was added, there or in `later`.
fn read(
    stored: Option<Bytes>,
    row_id: &[u8],
    table: &Table,
    ours: &Table,
    later: Option<&Table>,
) -> Result<Found> {
    let Some(stored) = stored else { return Ok(None) };
    let (values, rowid) = read_row(table, row_id, &stored)?;
    let rowid = if table.without_rowid { 0 } else { rowid_of(row_id).unwrap_or(rowid) };
    let column = |table: &Table, name: &str| {
        table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    };
    let cell = |wanted: &dosql_sql::catalog::schema::Column| {
        if wanted.place == Place::Virtual || wanted.generated.is_some() {
            return Value::Null;
        }
        if let Some(at) = column(table, &wanted.name) {
            return values.get(at).cloned().unwrap_or(Value::Null);
        }
        let added = later.and_then(|later| column(later, &wanted.name).map(|at| &later.columns[at]));
        added.unwrap_or(wanted).absent.clone()
    };
    Ok(Some((ours.columns.iter().map(cell).collect(), rowid)))
}
