//! Window frames: which rows of the partition each row's function sees.

use dosql_base::{Error, Result};

use super::super::column::Column;
use super::super::context::{ExecContext, Frame};
use super::super::row::{Row, eval};
use super::super::sort::put_sort_key;
use super::{Partition, is_number};
use crate::plan::{self, FrameBound, FrameExclude, FrameUnit, SortKey};
use crate::storage::Storage;
use crate::value::{Affinity, Value, ValueRef, arith};

/// The offsets of a frame's ends, evaluated.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    start: Value,
    end: Value,
}

impl Offsets {
    /// Evaluates them. Fails where they are negative or no numbers.
    pub(super) fn of<S: Storage>(
        frame: &plan::Frame,
        registers: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Offsets> {
        let mut offset = |bound: &FrameBound, which: &str| -> Result<Value> {
            let (FrameBound::Preceding(expr) | FrameBound::Following(expr)) = bound else {
                return Ok(Value::Null);
            };
            let value = eval(expr, &Row::bound(registers), cx)?.into_value();
            let value = Affinity::Numeric.apply(value);
            let (good, kind) = match (frame.unit, &value) {
                (FrameUnit::Range, Value::Integer(integer)) => (*integer >= 0, "number"),
                (FrameUnit::Range, Value::Real(real)) => (*real >= 0.0, "number"),
                (FrameUnit::Range, _) => (false, "number"),
                (_, Value::Integer(integer)) => (*integer >= 0, "integer"),
                _ => (false, "integer"),
            };
            if good {
                return Ok(value);
            }
            Err(Error::invalid(format!("frame {which} offset must be a non-negative {kind}")))
        };
        Ok(Offsets { start: offset(&frame.start, "starting")?, end: offset(&frame.end, "ending")? })
    }
}

/// What decides a row's frame.
pub(crate) struct Bounds<'a> {
    pub(super) partition: &'a Partition<'a>,
    pub(super) frame: &'a plan::Frame,
    pub(super) offsets: &'a Offsets,
    /// The first ORDER BY term and its values, for RANGE with offsets.
    pub(super) order: Option<(&'a SortKey, &'a Column)>,
}

fn count(offset: &Value) -> usize {
    match offset {
        Value::Integer(integer) => usize::try_from(*integer).unwrap_or(usize::MAX),
        _ => 0,
    }
}

impl Bounds<'_> {
    /// The rows from the first to the one past the last that the frame of a row spans, before EXCLUDE.
    pub(super) fn span(&self, row: usize) -> (usize, usize) {
        let len = self.partition.len;
        let start = match &self.frame.start {
            FrameBound::UnboundedPreceding => 0,
            FrameBound::UnboundedFollowing => len,
            FrameBound::CurrentRow => match self.frame.unit {
                FrameUnit::Rows => row,
                FrameUnit::Range | FrameUnit::Groups => self.partition.peers(row).0,
            },
            FrameBound::Preceding(_) => self.offset_start(row, &self.offsets.start, true),
            FrameBound::Following(_) => self.offset_start(row, &self.offsets.start, false),
        };
        let end = match &self.frame.end {
            FrameBound::UnboundedPreceding => 0,
            FrameBound::UnboundedFollowing => len,
            FrameBound::CurrentRow => match self.frame.unit {
                FrameUnit::Rows => row + 1,
                FrameUnit::Range | FrameUnit::Groups => self.partition.peers(row).1,
            },
            FrameBound::Preceding(_) => self.offset_end(row, &self.offsets.end, true),
            FrameBound::Following(_) => self.offset_end(row, &self.offsets.end, false),
        };
        (start.min(len), end.min(len).max(start.min(len)))
    }

    fn offset_start(&self, row: usize, offset: &Value, preceding: bool) -> usize {
        let by = count(offset);
        match self.frame.unit {
            FrameUnit::Rows if preceding => row.saturating_sub(by),
            FrameUnit::Rows => row.saturating_add(by),
            FrameUnit::Groups => {
                let group = self.partition.group[row] as usize;
                let group = if preceding { group.saturating_sub(by) } else { group.saturating_add(by) };
                self.partition.starts.get(group).copied().unwrap_or(self.partition.len)
            }
            FrameUnit::Range => match self.target(row, offset, preceding) {
                Some(target) => self.first_not_before(&target, false),
                None => self.partition.peers(row).0,
            },
        }
    }

    fn offset_end(&self, row: usize, offset: &Value, preceding: bool) -> usize {
        let by = count(offset);
        match self.frame.unit {
            FrameUnit::Rows if preceding => (row + 1).saturating_sub(by),
            FrameUnit::Rows => row.saturating_add(by).saturating_add(1),
            FrameUnit::Groups => {
                let group = self.partition.group[row] as usize;
                let group = if preceding { group.checked_sub(by) } else { Some(group.saturating_add(by)) };
                let end = |group: usize| {
                    self.partition.starts.get(group.saturating_add(1)).copied().unwrap_or(self.partition.len)
                };
                group.map_or(0, end)
            }
            FrameUnit::Range => match self.target(row, offset, preceding) {
                Some(target) => self.first_not_before(&target, true),
                None => self.partition.peers(row).1,
            },
        }
    }

    /// The sort key of the row's value moved by the offset; `None` where the value is no number: only peers count then.
    fn target(&self, row: usize, offset: &Value, preceding: bool) -> Option<Vec<u8>> {
        let (key, values) = self.order?;
        let at = self.partition.start + row;
        if !is_number(values, at) {
            return None;
        }
        let value: ValueRef<'_> = values.get(at);
        let target = if preceding == key.descending {
            arith::add(value, offset.as_ref())
        } else {
            arith::sub(value, offset.as_ref())
        };
        let mut bytes = Vec::with_capacity(16);
        put_sort_key(&mut bytes, key, target.as_ref());
        Some(bytes)
    }

    /// The first row whose order key is at or past `target`; with `past`, past it.
    fn first_not_before(&self, target: &[u8], past: bool) -> usize {
        let (mut low, mut high) = (0, self.partition.len);
        while low < high {
            let middle = (low + high) / 2;
            let key = self.partition.keys.order(self.partition.start + middle);
            let before = if past { key <= target } else { key < target };
            if before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The rows of the frame of a row as up to three runs: the span without what EXCLUDE takes out.
    pub(super) fn runs(&self, row: usize) -> [(usize, usize); 3] {
        let (start, end) = self.span(row);
        let (first, last) = self.partition.peers(row);
        let cut = |from: usize, to: usize| (from.clamp(start, end), to.clamp(start, end));
        match self.frame.exclude {
            FrameExclude::NoOthers => [(start, end), (end, end), (end, end)],
            FrameExclude::CurrentRow => [cut(start, row), cut(row + 1, end), (end, end)],
            FrameExclude::Group => [cut(start, first), cut(last, end), (end, end)],
            FrameExclude::Ties => [cut(start, first), cut(row, row + 1), cut(last, end)],
        }
    }
}
