//! The direct way of point queries: a lookup by primary key, filters and computed columns over one row, no operators.

use dosql_base::Result;

use super::batch::Batch;
use super::column::Column;
use super::context::{ExecContext, Frame};
use super::row::{Row, eval, truth};
use super::scan::{Source, StoredRow, Wants, is_point, put_point_key};
use crate::catalog::layout;
use crate::plan::{Access, Expr, KeyTerm, Node, Query, Register, Scan};
use crate::storage::Storage;
use crate::value::Value;

/// What a direct query keeps between its runs.
#[derive(Debug)]
pub(crate) struct Direct {
    sources: Vec<(Source, Register)>,
    wants: Wants,
    key: Vec<u8>,
}

/// What stands above the scan, from the scan up.
enum Above<'q> {
    Filter(&'q Expr),
    Compute(&'q [(Register, Expr)]),
}

/// The scan of a query that can go the direct way, and what stands above it.
fn take_apart<'q>(root: &'q Node, above: &mut smallvec::SmallVec<[Above<'q>; 2]>) -> Option<&'q Scan> {
    let mut node = root;
    loop {
        match node {
            Node::Filter { input, predicate } => {
                above.push(Above::Filter(predicate));
                node = input;
            }
            Node::Compute { input, columns } => {
                above.push(Above::Compute(columns));
                node = input;
            }
            Node::Scan(scan) => return Some(scan).filter(|scan| is_point(scan)),
            _ => return None,
        }
    }
}

impl Direct {
    /// How a query goes the direct way; `None` where it can't.
    pub(crate) fn of(query: &Query) -> Option<Direct> {
        let mut above = smallvec::SmallVec::new();
        let scan = take_apart(&query.root, &mut above)?;
        let sources: Vec<(Source, Register)> = scan
            .columns
            .iter()
            .map(|(source, register)| (Source::of(&scan.table, *source), *register))
            .collect();
        let wants = Wants::of(sources.iter().map(|(source, _)| *source));
        Some(Direct { sources, wants, key: Vec::new() })
    }

    /// Looks the row up and makes the results of it; whether there are any.
    pub(crate) fn run<S: Storage>(
        &mut self,
        query: &Query,
        frame: &mut Frame,
        results: &mut Batch,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<bool> {
        let mut above = smallvec::SmallVec::new();
        let Some(scan) = take_apart(&query.root, &mut above) else { return Ok(false) };
        if !self.make_key(scan, frame, cx)? {
            return Ok(false);
        }
        let storage = cx.storage;
        let (sources, wants, key) = (&self.sources, self.wants, &self.key);
        let row_id = layout::row_id(scan.table.space, key)?;
        let found = storage.get(scan.point, key, |row| -> Result<()> {
            let row = StoredRow::new(&scan.table, row_id, row, wants, None, cx)?;
            for (source, register) in sources {
                if let Some(slot) = frame.bound.get_mut(register.0 as usize) {
                    *slot = row.get(*source)?.to_value();
                }
            }
            Ok(())
        })?;
        let Some(read) = found else { return Ok(false) };
        read?;
        if let Some(filter) = &scan.filter
            && truth(filter, &Row::bound(frame), cx)? != Some(true)
        {
            return Ok(false);
        }
        for part in above.iter().rev() {
            match part {
                Above::Filter(predicate) => {
                    if truth(predicate, &Row::bound(frame), cx)? != Some(true) {
                        return Ok(false);
                    }
                }
                Above::Compute(columns) => {
                    for (register, expr) in *columns {
                        let value = eval(expr, &Row::bound(frame), cx)?.into_value();
                        if let Some(slot) = frame.bound.get_mut(register.0 as usize) {
                            *slot = value;
                        }
                    }
                }
            }
        }
        results.clear(1, query.outputs.len());
        for (at, output) in query.outputs.iter().enumerate() {
            let value = eval(output, &Row::bound(frame), cx)?.into_value();
            results.set(Register(at as u32), Column::Const(value));
        }
        Ok(true)
    }

    /// Makes the key to look up; whether there can be one.
    fn make_key<S: Storage>(
        &mut self,
        scan: &Scan,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<bool> {
        let Access::Primary(bounds) = &scan.access else { return Ok(false) };
        self.key.clear();
        for (number, term) in bounds.equal.iter().enumerate() {
            let KeyTerm::Equal(bound) = term else { return Ok(false) };
            let value = eval(&bound.expr, &Row::bound(frame), cx)?;
            let converted = bound.affinity.and_then(|affinity| affinity.convert(value.get()));
            let value = converted.as_ref().map_or(value.get(), Value::as_ref);
            if !put_point_key(scan, &mut self.key, number, value) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
