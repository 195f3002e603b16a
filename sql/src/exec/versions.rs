//! Versions of rows: those of a period, and what differs from one moment to another.

use std::cmp::Ordering;
use std::fmt;

use dosql_base::{ErrorKind, Result, Timestamp};

use super::batch::Batch;
use super::column::ColumnBuilder;
use super::context::{ExecContext, Frame};
use super::row::Row;
use super::scan::{compute_virtual, own_ranges};
use crate::catalog::layout;
use crate::catalog::schema::Table;
use crate::plan::{PeriodColumn, VersionPart, VersionScan};
use crate::storage::{KeyRange, Storage, Versions};
use crate::value::Value;

/// Walks through versions, range by range of keys.
#[derive(Default)]
pub(crate) struct VersionsOp {
    walk: Option<Box<dyn Versions>>,
    /// The ranges of keys that are still to be walked through, the next one last.
    ranges: Vec<KeyRange>,
    opened: bool,
    /// Of a difference: the row that is being compared.
    pair: Pair,
}

/// A row at two moments.
#[derive(Default)]
struct Pair {
    key: Vec<u8>,
    before: Option<(Timestamp, Vec<u8>)>,
    after: Option<(Timestamp, Vec<u8>)>,
}

/// A value of each column.
type Line = Vec<Value>;

impl fmt::Debug for VersionsOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionsOp").field("ranges", &self.ranges).finish_non_exhaustive()
    }
}

impl VersionsOp {
    pub(crate) fn next<S: Storage>(
        &mut self,
        scan: &VersionScan,
        want: usize,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        cx.check_interrupt()?;
        if !self.opened {
            self.open(scan, frame, cx)?;
        }
        let mut builders = vec![ColumnBuilder::default(); scan.columns.len()];
        let mut len = 0;
        while len < want {
            let line = match self.line(scan, cx) {
                Ok(Some(line)) => line,
                Ok(None) => break,
                // What was made is handed on; the next call blocks.
                Err(error) if error.kind() == ErrorKind::WouldBlock && len > 0 => break,
                Err(error) => return Err(error),
            };
            for ((column, _), builder) in scan.columns.iter().zip(&mut builders) {
                builder.push(line.get(*column).unwrap_or(&Value::Null).as_ref());
            }
            len += 1;
        }
        if len == 0 {
            return Ok(None);
        }
        let mut batch = Batch::new(len, 0);
        for ((_, register), builder) in scan.columns.iter().zip(builders) {
            batch.set(*register, builder.finish());
        }
        Ok(Some(batch))
    }

    fn open<S: Storage>(
        &mut self,
        scan: &VersionScan,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        if !matches!(scan.part, VersionPart::Versions { from, to } if from > to) {
            self.ranges = own_ranges(&scan.table, &scan.access, &Row::bound(frame), cx)?;
            self.ranges.reverse();
        }
        self.opened = true;
        Ok(())
    }

    pub(crate) fn rewind(&mut self) {
        *self = VersionsOp::default();
    }

    fn line<S: Storage>(&mut self, scan: &VersionScan, cx: &mut ExecContext<'_, S>) -> Result<Option<Line>> {
        while let Some(range) = self.ranges.last() {
            if self.walk.is_none() {
                self.walk = Some(match scan.part {
                    VersionPart::Versions { from, to } => cx.storage.versions(range, from, to)?,
                    // A difference is the same whichever of its ends is the earlier.
                    VersionPart::Diff { from, to } => {
                        cx.storage.changed_versions(range, from.min(to), to.max(from))?
                    }
                });
            }
            let line = match scan.part {
                VersionPart::Versions { .. } => self.version(&scan.table, cx)?,
                VersionPart::Diff { from, to } => self.difference(&scan.table, from, to, cx)?,
            };
            if line.is_some() {
                return Ok(line);
            }
        }
        Ok(None)
    }

    /// The walk has come to its end.
    fn end_range(&mut self) {
        self.walk = None;
        self.ranges.pop();
    }

    fn version<S: Storage>(&mut self, table: &Table, cx: &mut ExecContext<'_, S>) -> Result<Option<Line>> {
        let Some(walk) = &mut self.walk else { return Ok(None) };
        let Some(version) = walk.next()? else {
            self.end_range();
            return Ok(None);
        };
        let (mut line, rowid) = read(table, version.key, version.value, cx)?;
        let lifetime = Some((version.start, version.end));
        line.extend(PeriodColumn::ALL.map(|column| column.value(lifetime)));
        line.push(Value::Integer(rowid));
        Ok(Some(line))
    }

    /// The next row of the range that is not the same at both moments.
    fn difference<S: Storage>(
        &mut self,
        table: &Table,
        from: Timestamp,
        to: Timestamp,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Line>> {
        loop {
            let Some(walk) = &mut self.walk else { return Ok(None) };
            let next = walk.next()?;
            let ended = next.is_none();
            let finished = match next {
                Some(version) if version.key == self.pair.key.as_slice() => {
                    self.pair.add(version.start, version.end, version.value, from, to);
                    continue;
                }
                Some(version) => {
                    let mut pair = Pair { key: version.key.to_vec(), ..Pair::default() };
                    pair.add(version.start, version.end, version.value, from, to);
                    std::mem::replace(&mut self.pair, pair)
                }
                None => std::mem::take(&mut self.pair),
            };
            if ended {
                self.end_range();
            }
            let line = finished.line(table, cx)?;
            if line.is_some() || ended {
                return Ok(line);
            }
        }
    }
}

impl Pair {
    fn add(&mut self, start: Timestamp, end: Timestamp, value: &[u8], from: Timestamp, to: Timestamp) {
        // The present, which has no number of its own, is where nothing has ended.
        let covers = |at: Timestamp| start <= at && (at < end || end == Timestamp::MAX);
        if covers(from) {
            self.before = Some((start, value.to_vec()));
        }
        if covers(to) {
            self.after = Some((start, value.to_vec()));
        }
    }

    /// What differs; `None` where nothing does.
    fn line<S: Storage>(self, table: &Table, cx: &mut ExecContext<'_, S>) -> Result<Option<Line>> {
        let width = table.columns.len();
        let none = || vec![Value::Null; width];
        let kind = match (&self.before, &self.after) {
            (None, None) => return Ok(None),
            (Some(before), Some(after)) if before.0.cmp(&after.0) == Ordering::Equal => return Ok(None),
            (Some(before), Some(after)) if before.1 == after.1 => return Ok(None),
            (Some(_), Some(_)) => "modified",
            (None, Some(_)) => "added",
            (Some(_), None) => "removed",
        };
        let mut line = vec![Value::text(kind)];
        for side in [&self.before, &self.after] {
            line.extend(match side {
                Some((_, value)) => read(table, &self.key, value, cx)?.0,
                None => none(),
            });
        }
        Ok(Some(line))
    }
}

/// The columns of a row and its rowid, out of its complete key and its value.
fn read<S: Storage>(
    table: &Table,
    key: &[u8],
    value: &[u8],
    cx: &mut ExecContext<'_, S>,
) -> Result<(Line, i64)> {
    let (mut values, rowid) = layout::read_row(table, layout::row_id(table.space, key)?, value)?;
    compute_virtual(table, &mut values, cx)?;
    Ok((values, rowid))
}
