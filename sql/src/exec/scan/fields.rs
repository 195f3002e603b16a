//! Reading what a scan wants out of the bytes of rows and index entries, straight into columns.

use dosql_base::Result;

use super::super::column::ColumnBuilder;
use super::super::context::ExecContext;
use super::super::row::{Row, eval};
use crate::catalog::layout::{self, IndexPlace};
use crate::catalog::schema::{Index, Place, Table};
use crate::codec::{LaidOutRow, RowLayouts, skip_key};
use crate::plan::{ColumnSource, PeriodColumn};
use crate::storage::{ReadPoint, Storage};
use crate::value::{Affinity, Value, ValueRef};

/// Where a column that a scan reads is found in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Rowid,
    /// A part of a WITHOUT ROWID table's key.
    Key(usize),
    /// A field of the row, of the column at this position.
    Field {
        field: usize,
        column: usize,
    },
    /// Computed from other columns.
    Virtual(usize),
    /// From when until when the row is as it is.
    Period(PeriodColumn),
}

impl Source {
    pub(crate) fn of(table: &Table, wanted: ColumnSource) -> Source {
        let column = match wanted {
            ColumnSource::Rowid => return Source::Rowid,
            ColumnSource::Period(column) => return Source::Period(column),
            ColumnSource::Column(column) => column,
        };
        match table.columns.get(column).map(|column| column.place) {
            Some(Place::Rowid) => Source::Rowid,
            Some(Place::Key(part)) => Source::Key(part),
            Some(Place::Row(field)) => Source::Field { field, column },
            Some(Place::Virtual) | None => Source::Virtual(column),
        }
    }
}

/// A row of a table as bytes, read field by field.
pub(crate) struct StoredRow<'r> {
    table: &'r Table,
    reader: Option<LaidOutRow<'r>>,
    rowid: i64,
    rare: Option<Box<Rare>>,
}

/// What few scans read.
struct Rare {
    /// The parts of the key of a WITHOUT ROWID table.
    key: Vec<Value>,
    /// All columns, where a virtual one is wanted.
    whole: Vec<Value>,
    /// From when until when it is as it is: [`PeriodColumn::ALL`], where one is wanted.
    period: Vec<Value>,
}

impl<'r> StoredRow<'r> {
    /// A row under its row id; `key` and `whole` say whether parts of the key or virtual columns will be read.
    #[inline(always)]
    pub(crate) fn new<S: Storage>(
        table: &'r Table,
        row_id: &'r [u8],
        row: &'r [u8],
        wants: Wants,
        layouts: Option<&'r mut RowLayouts>,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<StoredRow<'r>> {
        let reader = match layouts {
            _ if !wants.fields => None,
            Some(layouts) => Some(layouts.read(row)?),
            None => Some(LaidOutRow::of(row)?),
        };
        let rowid = if wants.rowid && !table.without_rowid { layout::rowid_of(row_id)? } else { 0 };
        let rare = if wants.key || wants.whole || wants.period.is_some() {
            Some(Rare::of(table, row_id, row, wants, cx)?)
        } else {
            None
        };
        Ok(StoredRow { table, reader, rowid, rare })
    }

    /// What a source gives.
    #[inline(always)]
    pub(crate) fn get(&self, source: Source) -> Result<ValueRef<'_>> {
        Ok(match source {
            Source::Rowid => ValueRef::Integer(self.rowid),
            Source::Field { field, column } => {
                let Some(row) = &self.reader else { return Ok(ValueRef::Null) };
                match row.column(field)? {
                    Some(value) => value,
                    None => self.absent(column),
                }
            }
            Source::Key(_) | Source::Virtual(_) | Source::Period(_) => self.get_rare(source),
        })
    }

    /// What a column reads as in a row that was written before it was added.
    #[cold]
    fn absent(&self, column: usize) -> ValueRef<'_> {
        self.table.columns.get(column).map_or(ValueRef::Null, |column| column.absent.as_ref())
    }

    fn get_rare(&self, source: Source) -> ValueRef<'_> {
        let value = self.rare.as_ref().and_then(|rare| match source {
            Source::Key(part) => rare.key.get(part),
            Source::Virtual(column) => rare.whole.get(column),
            Source::Period(column) => rare.period.get(column as usize),
            Source::Rowid | Source::Field { .. } => None,
        });
        value.map_or(ValueRef::Null, Value::as_ref)
    }
}

impl Rare {
    fn of<S: Storage>(
        table: &Table,
        row_id: &[u8],
        row: &[u8],
        wants: Wants,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Box<Rare>> {
        let key = if wants.key { layout::read_primary_key(table, row_id)? } else { Vec::new() };
        let whole = if wants.whole { whole_row(table, row_id, row, cx)? } else { Vec::new() };
        let mut period = Vec::new();
        if let Some(point) = wants.period {
            let mut key = Vec::with_capacity(24);
            layout::put_row_key(&mut key, table.space, row_id);
            let lifetime = cx.storage.lifetime(cx.point(point), &key)?;
            period.extend(PeriodColumn::ALL.map(|column| column.value(lifetime)));
        }
        Ok(Box::new(Rare { key, whole, period }))
    }
}

/// Which parts of a row are needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    pub(crate) fields: bool,
    pub(crate) rowid: bool,
    pub(crate) key: bool,
    pub(crate) whole: bool,
    /// The lifetime at this point.
    pub(crate) period: Option<ReadPoint>,
}

impl Wants {
    pub(crate) fn of(point: ReadPoint, sources: impl Iterator<Item = Source>) -> Wants {
        let mut wants = Wants::default();
        for source in sources {
            match source {
                Source::Rowid => wants.rowid = true,
                Source::Key(_) => wants.key = true,
                Source::Virtual(_) => wants.whole = true,
                Source::Field { .. } => wants.fields = true,
                Source::Period(_) => wants.period = Some(point),
            }
        }
        wants
    }
}

/// All columns of a row, virtual ones computed.
fn whole_row<S: Storage>(
    table: &Table,
    row_id: &[u8],
    row: &[u8],
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Value>> {
    let (mut values, _) = layout::read_row(table, row_id, row)?;
    compute_virtual(table, &mut values, cx)?;
    Ok(values)
}

/// Computes the virtual columns of a row whose other columns are in `values`, by position.
pub(crate) fn compute_virtual<S: Storage>(
    table: &Table,
    values: &mut [Value],
    cx: &mut ExecContext<'_, S>,
) -> Result<()> {
    for &column in &table.generated {
        let Some(definition) = table.columns.get(column) else { continue };
        let (Place::Virtual, Some(generated)) = (definition.place, &definition.generated) else { continue };
        let row = Row { batch: None, bound: values, outer: &[] };
        let value = eval(&generated.expr, &row, cx)?.into_value();
        if let Some(slot) = values.get_mut(column) {
            *slot = definition.affinity.apply(value);
        }
    }
    Ok(())
}

/// Reads an index entry that has all that a scan wants.
pub(crate) struct EntryReader {
    /// For each wanted column its place and its affinity.
    places: Vec<(IndexPlace, Affinity)>,
    parts: usize,
    /// Whether a part of the primary key at the end is wanted.
    tail: bool,
}

impl EntryReader {
    /// `None` where the entries of `index` do not have all `wanted` columns.
    pub(crate) fn of(table: &Table, index: &Index, wanted: &[ColumnSource]) -> Option<EntryReader> {
        let mut places = Vec::with_capacity(wanted.len());
        for &source in wanted {
            let affinity = match source {
                ColumnSource::Rowid | ColumnSource::Period(_) => Affinity::Integer,
                ColumnSource::Column(column) => table.columns.get(column)?.affinity,
            };
            places.push((layout::index_place(table, index, source)?, affinity));
        }
        let parts = places.iter().filter_map(|(place, _)| match place {
            IndexPlace::Part(part) => Some(part + 1),
            _ => None,
        });
        let tail = places.iter().any(|(place, _)| matches!(place, IndexPlace::RowIdPart(_)));
        Some(EntryReader { parts: parts.max().unwrap_or(0), places, tail })
    }

    /// Reads the wanted columns of an entry: `key` without its space, and the row id at its end.
    pub(crate) fn read(
        &self,
        table: &Table,
        index: &Index,
        key: &[u8],
        row_id: &[u8],
        out: &mut Vec<Value>,
    ) -> Result<()> {
        let mut starts: smallvec::SmallVec<[&[u8]; 8]> = smallvec::SmallVec::new();
        let mut rest = key;
        for part in index.columns.iter().take(self.parts) {
            starts.push(rest);
            rest = &rest[skip_key(rest, part.descending)?..];
        }
        let tail = if self.tail { layout::read_primary_key(table, row_id)? } else { Vec::new() };
        out.clear();
        for &(place, affinity) in &self.places {
            out.push(match place {
                IndexPlace::Part(part) => match (starts.get(part), index.columns.get(part)) {
                    (Some(start), Some(column)) => layout::read_part(start, column, affinity)?.0,
                    _ => Value::Null,
                },
                IndexPlace::Rowid => Value::Integer(layout::rowid_of(row_id)?),
                IndexPlace::RowIdPart(part) => tail.get(part).cloned().unwrap_or_default(),
            });
        }
        Ok(())
    }
}

/// Columns under construction.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    pub(crate) builders: Vec<ColumnBuilder>,
    pub(crate) rows: usize,
}

impl Sink {
    pub(crate) fn new(columns: usize) -> Sink {
        Sink { builders: vec![ColumnBuilder::default(); columns], rows: 0 }
    }

    /// Takes back all rows from `rows` on.
    pub(crate) fn truncate(&mut self, rows: usize) {
        for builder in &mut self.builders {
            builder.truncate(rows);
        }
        self.rows = rows;
    }
}
