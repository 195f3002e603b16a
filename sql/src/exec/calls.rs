//! The state of one aggregate call over all groups: an accumulator a group, with DISTINCT and ORDER BY where the call has
//! them.

use dosql_base::Result;

use super::column::{Column, ColumnBuilder};
use super::context::ExecContext;
use super::keys::KeyTable;
use super::sort::put_sort_key;
use crate::func::{Accumulator, AggKind};
use crate::plan::AggregateCall;
use crate::storage::Storage;
use crate::value::{Value, ValueRef};

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    state: State,
    /// The arguments that each group has had, of a call with DISTINCT.
    distinct: Option<KeyTable>,
    /// Bytes that accumulators may have taken up.
    text: usize,
}

#[derive(Debug)]
enum State {
    /// count(*) and its like: rows a group.
    Rows(Vec<i64>),
    Each(Vec<Accumulator>),
    /// ORDER BY inside the call: the rows wait until all are there.
    Ordered {
        groups: usize,
        rows: Vec<Waiting>,
    },
}

#[derive(Debug)]
struct Waiting {
    group: u32,
    key: Vec<u8>,
    arguments: Vec<Value>,
}

impl Call {
    pub(crate) fn new(call: &AggregateCall) -> Call {
        let state = if !call.order_by.is_empty() {
            State::Ordered { groups: 0, rows: Vec::new() }
        } else if call.kind == AggKind::Count && call.arguments.is_empty() {
            State::Rows(Vec::new())
        } else {
            State::Each(Vec::new())
        };
        Call { state, distinct: call.distinct.then(KeyTable::default), text: 0 }
    }

    /// There are so many groups now.
    pub(crate) fn add_groups(&mut self, call: &AggregateCall, count: usize) {
        match &mut self.state {
            State::Rows(rows) => rows.resize(count, 0),
            State::Each(each) => each.resize_with(count, || Accumulator::new(call.kind, call.collation)),
            State::Ordered { groups, .. } => *groups = count,
        }
    }

    /// Adds the rows that `wanted` holds for, to the groups of these numbers.
    pub(crate) fn step<S: Storage>(
        &mut self,
        call: &AggregateCall,
        arguments: &[Column],
        order: &[Column],
        groups: &[u32],
        wanted: impl Fn(usize) -> bool,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        match &mut self.state {
            State::Rows(counts) => {
                for (row, group) in groups.iter().enumerate() {
                    counts[*group as usize] += i64::from(wanted(row));
                }
                Ok(())
            }
            State::Ordered { rows, .. } => {
                for (row, &group) in groups.iter().enumerate() {
                    if !wanted(row) || !is_new(&mut self.distinct, call, group, arguments, row) {
                        continue;
                    }
                    let mut key = Vec::new();
                    for (sort, column) in call.order_by.iter().zip(order) {
                        put_sort_key(&mut key, sort, column.get(row));
                    }
                    let arguments: Vec<Value> =
                        arguments.iter().map(|column| column.get(row).to_value()).collect();
                    self.text += key.len() + 64 + arguments.iter().map(Value::heap_size).sum::<usize>();
                    rows.push(Waiting { group, key, arguments });
                }
                Ok(())
            }
            State::Each(_) => self.step_noting(call, arguments, groups, wanted, cx, &mut |_, _, _| {}),
        }
    }

    /// As [`Call::step`], telling for each row whether it gave min() or max() its value.
    pub(crate) fn step_noting<S: Storage>(
        &mut self,
        call: &AggregateCall,
        arguments: &[Column],
        groups: &[u32],
        wanted: impl Fn(usize) -> bool,
        cx: &mut ExecContext<'_, S>,
        note: &mut dyn FnMut(usize, usize, bool),
    ) -> Result<()> {
        let State::Each(each) = &mut self.state else { return Ok(()) };
        cx.functions.json = call.json;
        if !matches!(call.kind, AggKind::Count | AggKind::Sum | AggKind::Total | AggKind::Avg) {
            self.text += arguments.iter().map(Column::memory).sum::<usize>();
        }
        if whole_columns(each, &self.distinct, arguments, groups, &wanted) {
            return Ok(());
        }
        let extreme = matches!(call.kind, AggKind::Min | AggKind::Max);
        for (row, &group) in groups.iter().enumerate() {
            let accumulator = &mut each[group as usize];
            if !wanted(row) || !is_new(&mut self.distinct, call, group, arguments, row) {
                note(row, group as usize, false);
                continue;
            }
            match arguments {
                [] => accumulator.step(&mut cx.functions, &[])?,
                [one] => accumulator.step(&mut cx.functions, &[one.get(row)])?,
                many => {
                    let values: smallvec::SmallVec<[ValueRef<'_>; 4]> =
                        many.iter().map(|column| column.get(row)).collect();
                    accumulator.step(&mut cx.functions, &values)?;
                }
            }
            if extreme {
                // NULLs count as long as there is nothing else.
                let null = arguments.first().is_some_and(|column| column.get(row).is_null());
                let took = accumulator.took_last() || (null && accumulator.finish()?.is_null());
                note(row, group as usize, took);
            }
        }
        Ok(())
    }

    /// The result of each group.
    pub(crate) fn finish<S: Storage>(
        &mut self,
        call: &AggregateCall,
        count: usize,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<ColumnBuilder> {
        let mut results = ColumnBuilder::default();
        match &mut self.state {
            State::Rows(counts) => counts.iter().for_each(|rows| results.push(ValueRef::Integer(*rows))),
            State::Each(each) => {
                for accumulator in each.iter() {
                    results.push(accumulator.finish()?.as_ref());
                }
            }
            State::Ordered { rows, .. } => {
                rows.sort_by(|a, b| a.group.cmp(&b.group).then_with(|| a.key.cmp(&b.key)));
                cx.functions.json = call.json;
                let mut rows = rows.iter().peekable();
                for group in 0..count as u32 {
                    let mut accumulator = Accumulator::new(call.kind, call.collation);
                    while let Some(row) = rows.next_if(|row| row.group == group) {
                        let values: smallvec::SmallVec<[ValueRef<'_>; 4]> =
                            row.arguments.iter().map(Value::as_ref).collect();
                        accumulator.step(&mut cx.functions, &values)?;
                    }
                    results.push(accumulator.finish()?.as_ref());
                }
            }
        }
        Ok(results)
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let state = match &self.state {
            State::Rows(counts) => counts.len() * 8,
            State::Each(each) => each.len() * size_of::<Accumulator>(),
            State::Ordered { .. } => 0,
        };
        state + self.text + self.distinct.as_ref().map_or(0, KeyTable::memory)
    }
}

/// Adds all rows of a typed column without NULLs to the one group there is; false where that is not how it is.
fn whole_columns(
    each: &mut [Accumulator],
    distinct: &Option<KeyTable>,
    arguments: &[Column],
    groups: &[u32],
    wanted: &impl Fn(usize) -> bool,
) -> bool {
    let ([one], [column], None) = (each, arguments, distinct) else { return false };
    if !(0..groups.len()).all(wanted) {
        return false;
    }
    match column {
        Column::Int(ints) if ints.nulls.none() => one.step_integers(&ints.values),
        Column::Real(reals) if reals.nulls.none() => one.step_reals(&reals.values),
        _ => false,
    }
}

/// Whether a row of a call with DISTINCT has arguments that its group has not had; true without DISTINCT.
fn is_new(
    distinct: &mut Option<KeyTable>,
    call: &AggregateCall,
    group: u32,
    arguments: &[Column],
    row: usize,
) -> bool {
    let Some(seen) = distinct else { return true };
    let mut columns: smallvec::SmallVec<[_; 2]> = smallvec::SmallVec::new();
    columns.extend(arguments.iter().map(|column| (column, call.collation)));
    seen.insert_in_group(group, &columns, row).1
}
