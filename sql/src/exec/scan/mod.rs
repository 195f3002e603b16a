//! Scans of a table: all of it, ranges of its keys, ranges of an index with or without a look at the rows, and unions.
//!
//! ```text
//! bounds ──▶ probes ──▶ rows of a range ─────────────▶ tests ──▶ columns ──▶ the rest of the filter
//!                  └──▶ entries ──▶ row ids ──▶ rows ──▲
//!                             └──▶ (covering) ─────────▲
//! ```
//!
//! Only the columns that are read above are decoded, straight from the bytes that the storage lends; tests that compare
//! a column with a constant run on those bytes before.

mod bounds;
mod fields;
mod quick;

use std::ops::ControlFlow;

use dosql_base::{Error, ErrorKind, Result};
use foldhash::fast::FixedState;
use hashbrown::HashSet;

use bounds::Probe;
pub(crate) use bounds::{exact_rowid, own_ranges};
pub(crate) use fields::{Sink, Source, StoredRow, Wants, compute_virtual};

use super::batch::Batch;
use super::context::{ExecContext, Frame};
use super::operator::Build;
use super::row::Row;
use super::vector;
use crate::catalog::layout;
use crate::catalog::schema::{Index, Table};
use crate::codec::RowLayouts;
use crate::plan::{Access, ColumnSource, Expr, Register, Scan};
use crate::storage::{Direction, KeyRange, Storage};
use crate::value::{Value, ValueRef};
use fields::EntryReader;
use quick::Test;

/// A batch is handed up before it has more bytes of text than this.
const BATCH_BYTES: usize = 4 << 20;
/// Entries to look at between two looks at the interrupt flag.
const VISIT_ROWS: usize = 16_384;

/// A scan of one table.
pub(crate) struct ScanOp<S: Storage> {
    /// The registers that are read above or by the filter.
    all: Vec<Register>,
    /// Where each of them is found.
    sources: Vec<Source>,
    /// Which of them go into the batch, and their registers.
    fill: Vec<usize>,
    registers: Vec<Register>,
    wants: Wants,
    /// For each access (of a union, else one) how its index entries are read; `None`: by way of the row.
    entries: Vec<Option<EntryReader>>,
    opened: bool,
    /// Nothing is left to pull.
    ended: bool,
    tests: Vec<Test>,
    probes: Vec<Probe>,
    /// The probe that is under way, and its cursor where it is a range.
    at: usize,
    cursor: Option<S::Cursor>,
    /// Row ids that an index gave, whose rows are still to be read: those from `fetched` on.
    found: Vec<Vec<u8>>,
    fetched: usize,
    /// The row ids that a union has given.
    seen: HashSet<Vec<u8>, FixedState>,
    layouts: RowLayouts,
    /// Rows for which the rest of the filter has to be evaluated again.
    pending: Option<Batch>,
}

impl<S: Storage> ScanOp<S> {
    pub(crate) fn build(scan: &Scan, build: &Build<'_>) -> ScanOp<S> {
        let mut read = build.needed.clone();
        read.add_all(&scan.filter);
        let columns = || scan.columns.iter().filter(|(_, register)| read.contains(*register));
        let wanted: Vec<ColumnSource> = columns().map(|(source, _)| *source).collect();
        let all: Vec<Register> = columns().map(|(_, register)| *register).collect();
        let sources: Vec<Source> = wanted.iter().map(|source| Source::of(&scan.table, *source)).collect();
        // What the early tests alone read is not kept.
        let mut filled = build.needed.clone();
        if let Some(filter) = &scan.filter {
            filled.add_all(quick::split(filter, &all).rest);
        }
        let fill: Vec<usize> = (0..all.len()).filter(|&at| filled.contains(all[at])).collect();
        let accesses = match &scan.access {
            Access::Union(accesses) => accesses.as_slice(),
            single => std::slice::from_ref(single),
        };
        let single = accesses.len() == 1;
        let entry_reader = |access: &Access| match access {
            Access::Index { index, .. } if single => EntryReader::of(&scan.table, index, &wanted),
            _ => None,
        };
        ScanOp {
            registers: fill.iter().map(|&at| all[at]).collect(),
            all,
            fill,
            wants: Wants::of(scan.point, sources.iter().copied()),
            entries: accesses.iter().map(entry_reader).collect(),
            sources,
            opened: false,
            ended: false,
            tests: Vec::new(),
            probes: Vec::new(),
            at: 0,
            cursor: None,
            found: Vec::new(),
            fetched: 0,
            seen: HashSet::default(),
            layouts: RowLayouts::default(),
            pending: None,
        }
    }

    /// The registers that it fills.
    pub(crate) fn registers(&self) -> &[Register] {
        &self.registers
    }

    /// The next rows that pass the whole filter.
    pub(crate) fn next(
        &mut self,
        scan: &Scan,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        let mut ask = want;
        loop {
            let batch = match self.pending.take() {
                Some(batch) => batch,
                None => {
                    if !self.opened {
                        self.open(scan, &Row::bound(frame), true, cx)?;
                    }
                    if self.ended {
                        return Ok(None);
                    }
                    let mut sink = Sink::new(self.registers.len());
                    self.ended = !self.pull(scan, ask, &mut sink, cx)?;
                    if sink.rows == 0 {
                        continue;
                    }
                    self.batch(sink)
                }
            };
            if scan.filter.is_none() {
                return Ok(Some(batch));
            }
            match self.filter_rest(scan, batch.clone(), frame, cx) {
                Ok(kept) if kept.is_empty() => {}
                Ok(kept) => return Ok(Some(kept)),
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            }
            ask = (ask * 4).min(cx.limits.batch_rows);
        }
    }

    /// The rows for which what is left of the filter after the early tests is true.
    fn filter_rest(
        &self,
        scan: &Scan,
        mut batch: Batch,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Batch> {
        let Some(filter) = &scan.filter else { return Ok(batch) };
        for expr in quick::split(filter, &self.all).rest {
            let truths = vector::truths(expr, &batch, frame, cx)?;
            batch = batch.keep(&truths);
            if batch.is_empty() {
                break;
            }
        }
        Ok(batch)
    }

    pub(crate) fn batch(&self, sink: Sink) -> Batch {
        let mut batch = Batch::new(sink.rows, 0);
        for (register, builder) in self.registers.iter().zip(sink.builders) {
            batch.set(*register, builder.finish());
        }
        batch
    }

    pub(crate) fn rewind(&mut self) {
        self.opened = false;
        self.ended = false;
        self.pending = None;
        self.cursor = None;
        self.found.clear();
        self.fetched = 0;
        self.seen.clear();
    }

    /// Finds out what to look up, from the bounds as they are in `row`; `quick`: takes the early tests out of the filter.
    pub(crate) fn open(
        &mut self,
        scan: &Scan,
        row: &Row<'_>,
        quick: bool,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        self.rewind();
        self.tests.clear();
        if let (Some(filter), true) = (&scan.filter, quick) {
            for (at, ask) in &quick::split(filter, &self.all).quick {
                self.tests.push(Test::new(self.sources[*at], ask, row, cx)?);
            }
        }
        bounds::probes(&scan.table, &scan.access, scan.backward, row, cx, &mut self.probes)?;
        self.at = 0;
        self.opened = true;
        Ok(())
    }

    /// Appends up to about `want` rows that pass the early tests to `sink`; whether there may be more. Where the storage
    /// blocks after some rows, those are given and the next call will block.
    pub(crate) fn pull(
        &mut self,
        scan: &Scan,
        want: usize,
        sink: &mut Sink,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<bool> {
        let start = sink.rows;
        let end = start + want;
        while sink.rows < end {
            cx.check_interrupt()?;
            let before = sink.rows;
            let done = self.pull_some(scan, end, sink, cx);
            match done {
                Ok(true) => return Ok(false),
                Ok(false) => {}
                Err(error) => {
                    sink.truncate(before);
                    if error.kind() == ErrorKind::WouldBlock && before > start {
                        return Ok(true);
                    }
                    return Err(error);
                }
            }
        }
        Ok(true)
    }

    /// One visit of the storage; whether nothing is left.
    fn pull_some(
        &mut self,
        scan: &Scan,
        end: usize,
        sink: &mut Sink,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<bool> {
        if self.fetched < self.found.len() {
            self.fetch(scan, end, sink, cx)?;
            return Ok(false);
        }
        self.found.clear();
        self.fetched = 0;
        match self.probes.get(self.at) {
            None => return Ok(true),
            Some(Probe::Row(_)) => self.get_row(scan, sink, cx)?,
            Some(Probe::Rows(_)) => self.visit_rows(scan, end, sink, cx)?,
            Some(Probe::Entries { access, .. }) => {
                let access = *access;
                self.visit_entries(scan, access, end, sink, cx)?;
            }
        }
        Ok(false)
    }

    fn get_row(&mut self, scan: &Scan, sink: &mut Sink, cx: &mut ExecContext<'_, S>) -> Result<()> {
        let Some(Probe::Row(key)) = self.probes.get(self.at) else { return Ok(()) };
        let row_id = layout::row_id(scan.table.space, key)?;
        if !self.seen.contains(row_id) {
            let union = matches!(scan.access, Access::Union(_));
            let mut reader = Reader {
                table: &scan.table,
                sources: &self.sources,
                fill: &self.fill,
                tests: &self.tests,
                wants: self.wants,
                layouts: &mut self.layouts,
            };
            let storage = cx.storage;
            if let Some(read) =
                storage.get(cx.point(scan.point), key, |row| reader.take(row_id, row, sink, cx))?
            {
                read?;
            }
            if union {
                self.seen.insert(row_id.to_vec());
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Appends the row of a key, if there is one, whatever the filter says.
    pub(crate) fn lookup(
        &mut self,
        scan: &Scan,
        key: &[u8],
        sink: &mut Sink,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let row_id = layout::row_id(scan.table.space, key)?;
        let mut reader = Reader {
            table: &scan.table,
            sources: &self.sources,
            fill: &self.fill,
            tests: &[],
            wants: self.wants,
            layouts: &mut self.layouts,
        };
        let storage = cx.storage;
        match storage.get(cx.point(scan.point), key, |row| reader.take(row_id, row, sink, cx))? {
            Some(read) => read,
            None => Ok(()),
        }
    }

    fn visit_rows(
        &mut self,
        scan: &Scan,
        end: usize,
        sink: &mut Sink,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let Some(Probe::Rows(range)) = self.probes.get_mut(self.at) else { return Ok(()) };
        let storage = cx.storage;
        let direction = if scan.backward { Direction::Backward } else { Direction::Forward };
        if self.cursor.is_none() {
            self.cursor = Some(storage.open_cursor(cx.point(scan.point), take_range(range), direction)?);
        }
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let union = matches!(scan.access, Access::Union(_));
        let mut reader = Reader {
            table: &scan.table,
            sources: &self.sources,
            fill: &self.fill,
            tests: &self.tests,
            wants: self.wants,
            layouts: &mut self.layouts,
        };
        let mut new = Vec::new();
        let seen = &self.seen;
        let space = scan.table.space;
        let wants = self.wants;
        let by_id = union || wants.rowid || wants.key || wants.whole || wants.period.is_some();
        let done = storage.visit(cursor, VISIT_ROWS, &mut |key, row| {
            let row_id = if by_id { layout::row_id(space, key)? } else { &[] };
            if union {
                if seen.contains(row_id) {
                    return Ok(ControlFlow::Continue(()));
                }
                new.push(row_id.to_vec());
            }
            reader.take(row_id, row, sink, cx)?;
            Ok(if is_full(sink, end) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        self.seen.extend(new);
        if done {
            self.cursor = None;
            self.at += 1;
        }
        Ok(())
    }

    fn visit_entries(
        &mut self,
        scan: &Scan,
        access: usize,
        end: usize,
        sink: &mut Sink,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let Some(Probe::Entries { range, .. }) = self.probes.get_mut(self.at) else { return Ok(()) };
        let Some(index) = index_of(&scan.access, access) else { return Ok(()) };
        let storage = cx.storage;
        let direction = if scan.backward { Direction::Backward } else { Direction::Forward };
        if self.cursor.is_none() {
            self.cursor = Some(storage.open_cursor(cx.point(scan.point), take_range(range), direction)?);
        }
        let Some(cursor) = &mut self.cursor else { return Ok(()) };
        let entries = self.entries.get(access).and_then(Option::as_ref);
        let union = matches!(scan.access, Access::Union(_));
        let (tests, sources, fill, seen) = (&self.tests, &self.sources, &self.fill, &self.seen);
        let (mut values, mut found): (Vec<Value>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let room = end - sink.rows;
        let done = storage.visit(cursor, VISIT_ROWS, &mut |key, _| {
            let row_id = layout::index_row_id(index, key)?;
            if let Some(entries) = entries {
                let key = layout::row_id(index.space, key)?;
                entries.read(&scan.table, index, key, row_id, &mut values)?;
                take_values(sources, fill, tests, &values, sink);
            } else if !union || !seen.contains(row_id) {
                found.push(row_id.to_vec());
            }
            let full = found.len() >= room || is_full(sink, end);
            Ok(if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if union {
            found.retain(|row_id| self.seen.insert(row_id.clone()));
        }
        self.found = found;
        if done {
            self.cursor = None;
            self.at += 1;
        }
        Ok(())
    }

    /// Reads rows that an index has found. Where the storage blocks, it is asked for all of them before this gives up, so
    /// that it can fetch them at once.
    fn fetch(&mut self, scan: &Scan, end: usize, sink: &mut Sink, cx: &mut ExecContext<'_, S>) -> Result<()> {
        let mut reader = Reader {
            table: &scan.table,
            sources: &self.sources,
            fill: &self.fill,
            tests: &self.tests,
            wants: self.wants,
            layouts: &mut self.layouts,
        };
        let storage = cx.storage;
        let mut key = Vec::with_capacity(24);
        let first = self.fetched;
        while let Some(row_id) = self.found.get(self.fetched) {
            if is_full(sink, end) {
                return Ok(());
            }
            key.clear();
            layout::put_row_key(&mut key, scan.table.space, row_id);
            match storage.get(cx.point(scan.point), &key, |row| reader.take(row_id, row, sink, cx)) {
                Ok(Some(read)) => read?,
                Ok(None) => {
                    let what = format!("an index of {} has an entry without a row", scan.table.name);
                    return Err(Error::corrupt(what, format!("table {}", scan.table.name)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    for row_id in &self.found[self.fetched + 1..] {
                        key.clear();
                        layout::put_row_key(&mut key, scan.table.space, row_id);
                        let _ = storage.get(cx.point(scan.point), &key, |_| ());
                    }
                    return if self.fetched > first { Ok(()) } else { Err(error) };
                }
                Err(error) => return Err(error),
            }
            self.fetched += 1;
        }
        Ok(())
    }
}

/// Reads rows into a sink.
struct Reader<'r> {
    table: &'r Table,
    sources: &'r [Source],
    fill: &'r [usize],
    tests: &'r [Test],
    wants: Wants,
    layouts: &'r mut RowLayouts,
}

impl Reader<'_> {
    #[inline]
    fn take<S: Storage>(
        &mut self,
        row_id: &[u8],
        row: &[u8],
        sink: &mut Sink,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let row = StoredRow::new(self.table, row_id, row, self.wants, Some(self.layouts), cx)?;
        if !quick::all_pass(self.tests, &row)? {
            return Ok(());
        }
        for (at, builder) in self.fill.iter().zip(&mut sink.builders) {
            builder.push(row.get(self.sources[*at])?);
        }
        sink.rows += 1;
        Ok(())
    }
}

fn take_values(sources: &[Source], fill: &[usize], tests: &[Test], values: &[Value], sink: &mut Sink) {
    let passes = |test: &Test| {
        let at = sources.iter().position(|source| *source == test.source);
        at.and_then(|at| values.get(at)).is_none_or(|value| test.passes(value.as_ref()))
    };
    if tests.iter().all(passes) {
        for (at, builder) in fill.iter().zip(&mut sink.builders) {
            builder.push(values.get(*at).map_or(ValueRef::Null, Value::as_ref));
        }
        sink.rows += 1;
    }
}

/// The range of a probe that is opened, once: opening reads nothing, so that it is not asked for again.
fn take_range(range: &mut KeyRange) -> KeyRange {
    KeyRange { start: std::mem::take(&mut range.start), end: std::mem::take(&mut range.end) }
}

fn is_full(sink: &Sink, end: usize) -> bool {
    sink.rows >= end
        || (sink.rows.is_multiple_of(64) && sink.builders.iter().any(|b| b.memory() > BATCH_BYTES))
}

fn index_of(access: &Access, number: usize) -> Option<&Index> {
    let access = match access {
        Access::Union(accesses) => accesses.get(number)?,
        single => single,
    };
    match access {
        Access::Index { index, .. } => Some(index),
        _ => None,
    }
}

/// Whether a filter has nothing but early tests.
pub(crate) fn is_quick(filter: &Expr, registers: &[Register]) -> bool {
    quick::split(filter, registers).rest.is_empty()
}
