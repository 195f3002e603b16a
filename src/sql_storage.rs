//! What SQL asks of storage, answered by a transaction.

use std::sync::Arc;

use dosql_base::{Result, Timestamp};
use dosql_sql::catalog::schema::{SpaceId, Table};
use dosql_sql::value::Value;
use dosql_sql::{CatalogStamp, Direction, KeyRange, Point, StateTable, Storage, Versions, Visitor};

use crate::pins::state_row;
use crate::scan::Scan;
use crate::tags;
use crate::transaction::Transaction;

/// The position of a scan that SQL has under way.
pub struct SqlCursor {
    scan: Scan,
    point: Point,
}

impl Storage for Transaction {
    type Cursor = SqlCursor;

    fn open_cursor(&self, point: Point, range: KeyRange, direction: Direction) -> Result<SqlCursor> {
        Ok(match point {
            Point::Live => SqlCursor { scan: self.raw_scan(range, direction), point },
            Point::Past(at) => SqlCursor { scan: self.raw_scan_at(range, direction, at), point },
            Point::Branch(branch) => SqlCursor { scan: self.scan_branch(branch, range, direction)?, point },
        })
    }

    fn visit(&self, cursor: &mut SqlCursor, limit: usize, entry: &mut Visitor<'_>) -> Result<bool> {
        match cursor.point {
            Point::Live => self.raw_visit(&mut cursor.scan, limit, entry),
            Point::Past(_) => self.raw_visit_past(&mut cursor.scan, limit, entry),
            Point::Branch(branch) => self.visit_branch(branch, &mut cursor.scan, limit, entry),
        }
    }

    fn seek(&self, cursor: &mut SqlCursor, key: &[u8]) -> Result<()> {
        cursor.scan.skip_to(key);
        Ok(())
    }

    fn get<R>(&self, point: Point, key: &[u8], value: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        match point {
            Point::Live => self.raw_with(key, value),
            Point::Past(at) => Ok(self.raw_get_at(key, at)?.map(|found| value(&found))),
            Point::Branch(branch) => Ok(self.get_of_branch(branch, key)?.map(|found| value(&found))),
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.raw_put(key, value)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.raw_insert(key, value)
    }

    fn last_key<R>(&self, space: &[u8], key: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.raw_last(space, key)
    }

    fn claim_rowid(&self, table: &Table, next: i64) -> Result<i64> {
        Transaction::claim_rowid(self, table, next)
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.raw_delete(key)
    }

    fn savepoint(&mut self) -> Result<u64> {
        Transaction::savepoint(self)
    }

    fn rollback_to(&mut self, mark: u64) -> Result<()> {
        Transaction::rollback_to(self, mark)
    }

    fn release(&mut self, mark: u64) -> Result<()> {
        Transaction::release(self, mark)
    }

    fn estimate(&self, range: &KeyRange) -> Result<u64> {
        self.raw_estimate(range)
    }

    fn catalog_stamp(&self) -> Option<CatalogStamp> {
        Transaction::catalog_stamp(self)
    }

    fn horizon(&self) -> Timestamp {
        let view = Arc::clone(&self.reader.sight().view);
        self.engine.reach(&view)
    }

    fn horizon_of(&self, space: SpaceId) -> Timestamp {
        let view = Arc::clone(&self.reader.sight().view);
        self.engine.horizon_of(&view, space)
    }

    fn check_reach(&self, point: Point, space: SpaceId, name: &str) -> Result<()> {
        match point {
            Point::Live | Point::Branch(_) => Ok(()),
            Point::Past(at) => self.engine.check_horizon_of(&self.reader.sight().view, space, name, at),
        }
    }

    fn tag(&self, name: &str) -> Result<Option<Timestamp>> {
        let view = Arc::clone(&self.reader.sight().view);
        let tag = tags::find(&view.tags, name);
        Ok(tag.filter(|tag| view.read_at(tag.at).branch == tag.branch).map(|tag| tag.at))
    }

    fn lifetime(&self, point: Point, key: &[u8]) -> Result<Option<(Timestamp, Timestamp)>> {
        let at = match point {
            Point::Live if self.writes.get(key).is_some() => return Ok(None),
            Point::Live => Timestamp::MAX,
            Point::Past(at) => at,
            Point::Branch(branch) => return self.lifetime_on_branch(branch, key),
        };
        self.raw_lifetime(key, at)
    }

    fn versions(&self, range: &KeyRange, from: Timestamp, to: Timestamp) -> Result<Box<dyn Versions>> {
        self.raw_versions(range, from, to).map(|walk| -> Box<dyn Versions> { Box::new(walk) })
    }

    fn changed_versions(
        &self,
        range: &KeyRange,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Box<dyn Versions>> {
        let walk = self.raw_versions(range, from, to)?;
        Ok(Box::new(walk.skipping(self.engine.unchanged_since(from))))
    }

    fn state_rows(&self, table: StateTable) -> Result<Vec<Vec<Value>>> {
        let view = Arc::clone(&self.reader.sight().view);
        match table {
            StateTable::Tags => {
                let own = view.tags.iter().filter(|tag| view.read_at(tag.at).branch == tag.branch);
                Ok(own.map(|tag| state_row(&[&tag.name], tag.at)).collect())
            }
            StateTable::Branches => Ok(self.engine.branch_rows()),
            StateTable::Pins => Ok(self.engine.pins(&view)),
            StateTable::Feeds => Ok(self.engine.feed_rows()),
            StateTable::Segments => Ok(self.engine.segment_rows()),
            StateTable::Storage => self.engine.storage_rows(),
        }
    }

    fn resolve_branch(&self, name: &str) -> Result<Point> {
        self.other_branch(name)
    }

    fn resolve_point(&self, wanted: Timestamp) -> Result<Point> {
        Ok(Point::Past(self.past_point(wanted)?))
    }

    fn resolve_point_now(&self, wanted: Timestamp, now: Timestamp) -> Result<Point> {
        Ok(Point::Past(self.past_point_now(wanted, now)?))
    }
}
