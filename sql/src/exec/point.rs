//! Queries that look up the row of one key: what the direct ways of queries and of changes have in common.

use super::scan::exact_rowid;
use crate::catalog::layout;
use crate::catalog::schema::Table;
use crate::codec::encode_rowid;
use crate::plan::{Access, Bound, ColumnSource, Expr, KeyBounds, KeyTerm, Node, Query, Register, Scan};
use crate::storage::{self, ReadPoint};
use crate::value::ValueRef;

/// A lookup by primary key, with nothing above it but filters and computed columns.
pub(crate) struct Point<'q> {
    pub(crate) scan: &'q Scan,
    /// What stands above the scan, from the top down.
    above: smallvec::SmallVec<[&'q Node; 2]>,
}

/// What is done to the row, in order.
pub(crate) enum Step<'q> {
    /// It counts only where this is true.
    Filter(&'q Expr),
    /// Fills a register.
    Compute(Register, &'q Expr),
}

impl<'q> Point<'q> {
    /// `None` where the query is another.
    pub(crate) fn of(query: &'q Query) -> Option<Point<'q>> {
        let mut above = smallvec::SmallVec::new();
        let mut node = &query.root;
        loop {
            match node {
                Node::Filter { input, .. } | Node::Compute { input, .. } => {
                    above.push(node);
                    node = input;
                }
                Node::Scan(scan) => return is_point(scan).then_some(Point { scan, above }),
                _ => return None,
            }
        }
    }

    /// The values of the key's parts.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &'q Bound> + use<'q> {
        let equal = match &self.scan.access {
            Access::Primary(bounds) => bounds.equal.as_slice(),
            _ => &[],
        };
        equal.iter().filter_map(|term| match term {
            KeyTerm::Equal(bound) => Some(bound),
            _ => None,
        })
    }

    /// What is read of the row, the rowid as the column after the last, and the registers that it goes to.
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, Register)> + use<'q> {
        let rowid = self.scan.table.columns.len();
        self.scan.columns.iter().map(move |(source, register)| match source {
            ColumnSource::Column(column) => (*column, *register),
            ColumnSource::Rowid => (rowid, *register),
            // What a change reads has none.
            ColumnSource::Period(_) => (usize::MAX, *register),
        })
    }

    /// What is done to the row that was found.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'q>> + '_ {
        let above = self.above.iter().rev().flat_map(|node| {
            let (filter, columns) = match node {
                Node::Filter { predicate, .. } => (Some(predicate), &[][..]),
                Node::Compute { columns, .. } => (None, columns.as_slice()),
                _ => (None, &[][..]),
            };
            let columns = columns.iter().map(|(register, expr)| Step::Compute(*register, expr));
            filter.into_iter().map(Step::Filter).chain(columns)
        });
        self.scan.filter.iter().map(Step::Filter).chain(above)
    }
}

/// Whether a query gives the present row of one key of `table`, and reads nothing else.
pub(crate) fn is_row_of(query: &Query, table: &Table) -> bool {
    let Some(point) = Point::of(query) else { return false };
    let steps = point.steps().map(|step| match step {
        Step::Filter(expr) | Step::Compute(_, expr) => expr,
    });
    point.scan.table.space == table.space
        && point.scan.point == ReadPoint::Known(storage::Point::Live)
        && !steps.chain(&query.outputs).any(Expr::has_subquery)
        && !point.bounds().any(|bound| bound.expr.has_subquery())
}

/// Whether a scan looks up one key, which it makes of one value for each part.
pub(crate) fn is_point(scan: &Scan) -> bool {
    let Access::Primary(KeyBounds { equal, lower: None, upper: None }) = &scan.access else { return false };
    let parts = if scan.table.without_rowid { scan.table.primary_key.len() } else { 1 };
    equal.len() == parts && equal.iter().all(|term| matches!(term, KeyTerm::Equal(_)))
}

/// Appends a part of the row id that a point scan looks up; whether there can be such a row.
pub(crate) fn put_row_id(table: &Table, row_id: &mut Vec<u8>, part: usize, value: ValueRef<'_>) -> bool {
    if value.is_null() {
        return false;
    }
    if !table.without_rowid {
        let Some(rowid) = exact_rowid(value) else { return false };
        encode_rowid(row_id, rowid);
        return true;
    }
    if let Some(column) = table.primary_key.get(part) {
        layout::put_part(row_id, column, value);
    }
    true
}
