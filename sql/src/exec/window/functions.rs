//! Window functions over one partition: rankings by position, values by offset or frame, aggregates that slide.

use std::cmp::Ordering;
use std::collections::VecDeque;

use dosql_base::{Error, Result};

use super::super::column::{Column, ColumnBuilder};
use super::super::context::ExecContext;
use super::{Bounds, CallColumns};
use crate::func::{Accumulator, AggKind, WindowKind};
use crate::plan::{FrameBound, FrameExclude, WindowCall, WindowFunction};
use crate::storage::Storage;
use crate::value::{Affinity, Value, ValueRef, compare, to_boolean};

/// Computes a call for every row of a partition.
pub(super) fn compute<S: Storage>(
    call: &WindowCall,
    bounds: &Bounds<'_>,
    columns: &CallColumns,
    results: &mut ColumnBuilder,
    cx: &mut ExecContext<'_, S>,
) -> Result<()> {
    match call.function {
        WindowFunction::Ranking(kind) => {
            for row in 0..bounds.partition.len {
                ranking(kind, row, bounds, &columns.arguments, results)?;
            }
            Ok(())
        }
        WindowFunction::Aggregate(AggKind::Min) if slides(bounds) => {
            extremes(Ordering::Less, call, bounds, columns, results);
            Ok(())
        }
        WindowFunction::Aggregate(AggKind::Max) if slides(bounds) => {
            extremes(Ordering::Greater, call, bounds, columns, results);
            Ok(())
        }
        WindowFunction::Aggregate(kind) => aggregate(kind, call, bounds, columns, results, cx),
    }
}

fn ranking(
    kind: WindowKind,
    row: usize,
    bounds: &Bounds<'_>,
    arguments: &[Column],
    results: &mut ColumnBuilder,
) -> Result<()> {
    let partition = bounds.partition;
    let (first, last) = partition.peers(row);
    let len = partition.len;
    let integer = |value: usize| ValueRef::Integer(value as i64);
    match kind {
        WindowKind::RowNumber => results.push(integer(row + 1)),
        WindowKind::Rank => results.push(integer(first + 1)),
        WindowKind::DenseRank => results.push(integer(partition.group[row] as usize + 1)),
        WindowKind::PercentRank => {
            results.push(ValueRef::Real(if len < 2 { 0.0 } else { first as f64 / (len - 1) as f64 }));
        }
        WindowKind::CumeDist => results.push(ValueRef::Real(last as f64 / len as f64)),
        WindowKind::Ntile => {
            // One number of tiles for all of a partition: what its first row says.
            let at = partition.start;
            let tiles = positive(arguments.first(), at, "argument of ntile must be a positive integer")?;
            results.push(integer(tile(row, len, tiles)));
        }
        WindowKind::Lag => results.push(shifted(arguments, partition.start, row, len, true)),
        WindowKind::Lead => results.push(shifted(arguments, partition.start, row, len, false)),
        WindowKind::FirstValue | WindowKind::LastValue | WindowKind::NthValue => {
            let number = match kind {
                WindowKind::NthValue => {
                    let at = partition.start + row;
                    positive(arguments.get(1), at, "second argument to nth_value must be a positive integer")?
                }
                _ => 1,
            };
            let runs = bounds.runs(row);
            let found = if kind == WindowKind::LastValue {
                runs.iter().rev().find(|(start, end)| start < end).map(|(_, end)| end - 1)
            } else {
                nth(&runs, number - 1)
            };
            let value = found.and_then(|found| Some(arguments.first()?.get(partition.start + found)));
            results.push(value.unwrap_or(ValueRef::Null));
        }
    }
    Ok(())
}

/// The number of the tile of a row when `len` rows are dealt out to `tiles`, the first ones one row larger.
fn tile(row: usize, len: usize, tiles: usize) -> usize {
    let (size, larger) = (len / tiles, len % tiles);
    let in_larger = larger * (size + 1);
    if row < in_larger { row / (size + 1) + 1 } else { larger + (row - in_larger) / size.max(1) + 1 }
}

fn nth(runs: &[(usize, usize)], mut number: usize) -> Option<usize> {
    for &(start, end) in runs {
        if number < end - start {
            return Some(start + number);
        }
        number -= end - start;
    }
    None
}

fn positive(column: Option<&Column>, row: usize, message: &str) -> Result<usize> {
    let value = column.map_or(Value::Null, |column| column.get(row).to_value());
    match Affinity::Integer.apply(value) {
        Value::Integer(integer) if integer > 0 => Ok(usize::try_from(integer).unwrap_or(usize::MAX)),
        _ => Err(Error::invalid(message)),
    }
}

/// lag() and lead(): the value of another row of the partition, or the default. As in SQLite, lag() never looks ahead.
fn shifted<'c>(arguments: &'c [Column], start: usize, row: usize, len: usize, back: bool) -> ValueRef<'c> {
    let at = start + row;
    let offset = match arguments.get(1).map(|column| column.get(at)) {
        Some(ValueRef::Null) => None,
        Some(value) => Some(crate::value::to_integer(value)),
        None => Some(1),
    };
    let offset = match offset {
        // The row after this one is read already; those behind it lag() does not see, as in SQLite.
        Some(offset) if back => (offset >= -1).then_some(offset.saturating_neg()),
        other => other,
    };
    let other = offset.and_then(|offset| (row as i64).checked_add(offset));
    let other = other.and_then(|other| usize::try_from(other).ok());
    match other.filter(|other| *other < len) {
        Some(other) => arguments.first().map_or(ValueRef::Null, |column| column.get(start + other)),
        None => arguments.get(2).map_or(ValueRef::Null, |column| column.get(at)),
    }
}

/// Whether both ends of the frame only ever move forward and nothing is taken out of its middle.
fn slides(bounds: &Bounds<'_>) -> bool {
    bounds.frame.exclude == FrameExclude::NoOthers
}

fn wanted(columns: &CallColumns, at: usize) -> bool {
    columns.filter.as_ref().is_none_or(|filter| to_boolean(filter.get(at)) == Some(true))
}

/// min() and max(): a queue of the rows that can still become the result (Lemire, "Streaming maximum-minimum filter",
/// 2006), so that each row is looked at a constant number of times.
fn extremes(
    better: Ordering,
    call: &WindowCall,
    bounds: &Bounds<'_>,
    columns: &CallColumns,
    results: &mut ColumnBuilder,
) {
    let Some(values) = columns.arguments.first() else { return };
    // Of equal values the last counts where the frame's start moves, as in SQLite, else the first.
    let last_counts = !matches!(bounds.frame.start, FrameBound::UnboundedPreceding);
    let base = bounds.partition.start;
    let mut queue: VecDeque<usize> = VecDeque::new();
    let (mut from, mut to) = (0, 0);
    for row in 0..bounds.partition.len {
        let (start, end) = bounds.span(row);
        if start < from || end < to {
            queue.clear();
            to = start;
        }
        to = to.max(start);
        while to < end {
            let value = values.get(base + to);
            if !value.is_null() && wanted(columns, base + to) {
                while let Some(&last) = queue.back() {
                    let order = compare(value, values.get(base + last), call.collation);
                    if order != better && !(last_counts && order == Ordering::Equal) {
                        break;
                    }
                    queue.pop_back();
                }
                queue.push_back(to);
            }
            to += 1;
        }
        while queue.front().is_some_and(|first| *first < start) {
            queue.pop_front();
        }
        from = start;
        results.push(queue.front().map_or(ValueRef::Null, |first| values.get(base + first)));
    }
}

/// Any aggregate: rows are added as they enter the frame and taken away as they leave it, where the aggregate can do
/// that; else the frame is added anew.
fn aggregate<S: Storage>(
    kind: AggKind,
    call: &WindowCall,
    bounds: &Bounds<'_>,
    columns: &CallColumns,
    results: &mut ColumnBuilder,
    cx: &mut ExecContext<'_, S>,
) -> Result<()> {
    cx.functions.json = call.json;
    let base = bounds.partition.start;
    let mut frame = Sliding { columns, base, accumulator: Accumulator::new(kind, call.collation) };
    let mut spans = [(0, 0); 3];
    let mut result = frame.accumulator.finish()?;
    for row in 0..bounds.partition.len {
        let runs = bounds.runs(row);
        if runs != spans || row == 0 {
            let ((from, to), (start, end)) = (spans[0], runs[0]);
            let one = |runs: &[(usize, usize); 3]| runs[1..].iter().all(|(start, end)| start == end);
            let grows = one(&spans) && one(&runs) && row > 0 && start >= from && end >= to && start <= to;
            // With EXCLUDE every frame is summed anew, as in SQLite: a real that has left it leaves no trace.
            let slides = frame.accumulator.can_invert() && bounds.frame.exclude == FrameExclude::NoOthers;
            if grows && (start == from || slides) {
                frame.remove(from, start, cx)?;
                frame.add(to, end, cx)?;
            } else {
                frame.accumulator = Accumulator::new(kind, call.collation);
                for (start, end) in runs {
                    frame.add(start, end, cx)?;
                }
            }
            spans = runs;
            result = frame.accumulator.finish()?;
        }
        results.push(result.as_ref());
    }
    Ok(())
}

struct Sliding<'a> {
    columns: &'a CallColumns,
    base: usize,
    accumulator: Accumulator,
}

impl Sliding<'_> {
    fn add<S: Storage>(&mut self, start: usize, end: usize, cx: &mut ExecContext<'_, S>) -> Result<()> {
        for at in self.base + start..self.base + end {
            if wanted(self.columns, at) {
                let columns = self.columns;
                let values: smallvec::SmallVec<[ValueRef<'_>; 4]> =
                    columns.arguments.iter().map(|column| column.get(at)).collect();
                self.accumulator.step(&mut cx.functions, &values)?;
            }
        }
        Ok(())
    }

    fn remove<S: Storage>(&mut self, start: usize, end: usize, cx: &mut ExecContext<'_, S>) -> Result<()> {
        for at in self.base + start..self.base + end {
            if wanted(self.columns, at) {
                let columns = self.columns;
                let values: smallvec::SmallVec<[ValueRef<'_>; 4]> =
                    columns.arguments.iter().map(|column| column.get(at)).collect();
                self.accumulator.inverse(&mut cx.functions, &values)?;
            }
        }
        Ok(())
    }
}
