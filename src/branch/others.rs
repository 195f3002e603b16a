//! Reading other branches in a transaction: `FOR SYSTEM_TIME AS OF BRANCH`.
//!
//! Another branch is read as it was when the transaction first asked for it, so that all of the transaction sees the same. What is
//! read there is not checked when the transaction commits.

use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp};
use dosql_sql::value::{Text, Value, format_instant};
use dosql_sql::{Direction, KeyRange, Point};

use crate::bytes::Bytes;
use crate::engine::Handle;
use crate::readers::Reader;
use crate::scan::{Lend, Scan};
use crate::transaction::{Transaction, visit_noted};

impl Transaction {
    /// Another branch, to be read.
    pub(crate) fn other_branch(&self, name: &str) -> Result<Point> {
        self.check_open()?;
        let branch = self.engine.branch_named(name)?;
        if branch.number == self.engine.branch().number {
            return Ok(Point::Past(self.snapshot()));
        }
        let mut others = self.others.borrow_mut();
        if !others.iter().any(|(number, _)| *number == branch.number) {
            others.push((branch.number, self.engine.readers.add(branch.view(), Timestamp::MAX)));
        }
        Ok(Point::Branch(branch.number))
    }

    fn other(&self, branch: u32) -> Result<Arc<Reader>> {
        self.check_open()?;
        let others = self.others.borrow();
        let found = others.iter().find(|(number, _)| *number == branch).map(|(_, reader)| Arc::clone(reader));
        found.ok_or_else(|| Error::invalid("the branch was named in another transaction; run it again"))
    }

    pub(crate) fn scan_branch(&self, branch: u32, range: KeyRange, direction: Direction) -> Result<Scan> {
        let reader = self.other(branch)?;
        let sight = reader.sight();
        Ok(Scan::new(&sight.view, sight.at, range.into(), direction, sight.generation))
    }

    pub(crate) fn visit_branch(
        &self,
        branch: u32,
        scan: &mut Scan,
        limit: usize,
        lend: &mut Lend<'_>,
    ) -> Result<bool> {
        {
            let reader = self.other(branch)?;
            let sight = reader.sight();
            scan.rebase(&sight.view, sight.generation);
        }
        visit_noted(None, scan, None, limit, lend)
    }

    pub(crate) fn get_of_branch(&self, branch: u32, key: &[u8]) -> Result<Option<Bytes>> {
        let reader = self.other(branch)?;
        let sight = reader.sight();
        sight.view.get(key, sight.at)
    }

    pub(crate) fn lifetime_on_branch(
        &self,
        branch: u32,
        key: &[u8],
    ) -> Result<Option<(Timestamp, Timestamp)>> {
        let reader = self.other(branch)?;
        let (view, at) = {
            let sight = reader.sight();
            (Arc::clone(&sight.view), sight.at)
        };
        view.lifetime(key, at, at)
    }
}

impl Handle {
    /// The rows of `dosql_branches`: name, parent, fork, created, head, protected, expires, current.
    pub(crate) fn branch_rows(&self) -> Vec<Vec<Value>> {
        let number = |at: Timestamp| Value::Integer(i64::try_from(at.as_micros()).unwrap_or(i64::MAX));
        let time =
            |at: Option<Timestamp>| at.map_or(Value::Null, |at| Value::Text(Text::from(format_instant(at))));
        let current = self.branch().name();
        let row = |branch: crate::BranchInfo| {
            vec![
                Value::Text(Text::new(&branch.name)),
                branch.parent.map_or(Value::Null, |name| Value::Text(Text::new(&name))),
                branch.fork.map_or(Value::Null, number),
                time(branch.created),
                number(branch.head),
                Value::Integer(i64::from(branch.protected)),
                time(branch.expires),
                Value::Integer(i64::from(branch.name == current)),
            ]
        };
        self.list_branches().into_iter().map(row).collect()
    }
}
