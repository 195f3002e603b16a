//! Rowids that the database gives to new rows: where there are several branches, no two of them give the same one, so that rows which
//! were inserted on both are two rows when the branches are merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::codec::ordered_u32;
use dosql_base::sync::Mutex;
use dosql_base::{ErrorKind, Result};
use dosql_sql::Point;
use dosql_sql::catalog::layout;
use dosql_sql::catalog::schema::{Catalog, SpaceId, Table};
use dosql_sql::value::Text;

use crate::transaction::{Begin, Transaction};

/// The greatest rowid of each table that was given on any branch while there were several, or was there before. A table is known by its
/// number and its name: branches that make tables on their own give the same number to different ones.
pub(crate) type Rowids = Mutex<BTreeMap<SpaceId, Vec<(Text, i64)>>>;

impl Transaction {
    /// The rowid of a new row, where `next` would be the next on this branch: that, or a greater one that no branch has given yet. Nobody
    /// gives it again, be the row committed or not, until the database is closed.
    pub(crate) fn claim_rowid(&self, table: &Table, next: i64) -> Result<i64> {
        if self.engine.branches.read().len() < 2 {
            return Ok(next);
        }
        let mut rowids = self.engine.rowids.lock();
        let given = rowids.entry(table.space).or_default();
        let at = match given.iter().position(|(name, _)| name.eq_ignore_ascii_case(&table.name)) {
            Some(at) => at,
            None => {
                given.push((table.name.clone(), self.greatest_of_all_branches(table)?));
                given.len() - 1
            }
        };
        let last = &mut given[at].1;
        // Past the end of all numbers each branch is on its own.
        let claimed = last.checked_add(1).map_or(next, |free| free.max(next));
        *last = claimed.max(*last);
        Ok(claimed)
    }

    fn greatest_of_all_branches(&self, table: &Table) -> Result<i64> {
        let (prefix, len) = ordered_u32(table.space);
        let name = table.name.to_ascii_lowercase();
        let branches: Vec<_> = self.engine.branches.read().values().cloned().collect();
        let mut greatest = 0;
        for branch in branches {
            let read = match Transaction::begin(&self.engine.on(branch), Begin::Read) {
                Ok(read) => read,
                // Nobody merges what is over.
                Err(error) if error.kind() == ErrorKind::InvalidInput => continue,
                Err(error) => return Err(error),
            };
            let catalog = Catalog::load(&read, Point::Live, None)?;
            let same = |it: &&Arc<Table>| it.space == table.space && !it.without_rowid;
            if catalog.tables.get(name.as_str()).filter(same).is_none() {
                continue;
            }
            let rowid = |key: &[u8]| layout::rowid_of(layout::row_id(table.space, key)?);
            let last = read.raw_last(&prefix[..len], rowid)?.transpose()?;
            greatest = last.map_or(greatest, |last| greatest.max(last));
        }
        Ok(greatest)
    }
}
