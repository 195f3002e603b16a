//! The direct way of point queries: a lookup by primary key, filters and computed columns over one row, no operators.

use dosql_base::Result;

use super::batch::Batch;
use super::column::Column;
use super::context::{ExecContext, Frame};
use super::point::{Point, Step, put_row_id};
use super::row::{Row, eval, truth};
use super::scan::{Source, StoredRow, Wants};
use crate::catalog::layout;
use crate::plan::{Query, Register};
use crate::storage::Storage;
use crate::value::Value;

/// What a direct query keeps between its runs.
#[derive(Debug)]
pub(crate) struct Direct {
    sources: Vec<(Source, Register)>,
    wants: Wants,
    key: Vec<u8>,
}

impl Direct {
    /// How a query goes the direct way; `None` where it can't.
    pub(crate) fn of(query: &Query) -> Option<Direct> {
        let scan = Point::of(query)?.scan;
        let sources: Vec<(Source, Register)> = scan
            .columns
            .iter()
            .map(|(source, register)| (Source::of(&scan.table, *source), *register))
            .collect();
        let wants = Wants::of(scan.point, sources.iter().map(|(source, _)| *source));
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
        let Some(point) = Point::of(query) else { return Ok(false) };
        let scan = point.scan;
        if !self.make_key(&point, frame, cx)? {
            return Ok(false);
        }
        let storage = cx.storage;
        let (sources, wants, key) = (&self.sources, self.wants, &self.key);
        let row_id = layout::row_id(scan.table.space, key)?;
        let found = storage.get(cx.point(scan.point), key, |row| -> Result<()> {
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
        for step in point.steps() {
            match step {
                Step::Filter(predicate) => {
                    if truth(predicate, &Row::bound(frame), cx)? != Some(true) {
                        return Ok(false);
                    }
                }
                Step::Compute(register, expr) => {
                    let value = eval(expr, &Row::bound(frame), cx)?.into_value();
                    if let Some(slot) = frame.bound.get_mut(register.0 as usize) {
                        *slot = value;
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
        point: &Point<'_>,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<bool> {
        let table = &point.scan.table;
        self.key.clear();
        layout::put_space(&mut self.key, table.space);
        for (number, bound) in point.bounds().enumerate() {
            let value = eval(&bound.expr, &Row::bound(frame), cx)?;
            let converted = bound.affinity.and_then(|affinity| affinity.convert(value.get()));
            let value = converted.as_ref().map_or(value.get(), Value::as_ref);
            if !put_row_id(table, &mut self.key, number, value) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
