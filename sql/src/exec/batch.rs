//! A batch of rows: what operators hand up.

use std::sync::Arc;

use super::column::{Column, ColumnBuilder, TRUE, Truth};
use crate::plan::Register;
use crate::value::{Value, ValueRef};

/// Rows as columns. Between operators a column's number is its register; in the results of a query it is the position of
/// the output. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    len: usize,
    columns: Vec<Option<Column>>,
}

impl Batch {
    /// How many rows it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many columns it has room for.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The value at a row and column below [`Batch::len`] and [`Batch::width`]; NULL outside.
    #[must_use]
    pub fn value(&self, row: usize, column: usize) -> ValueRef<'_> {
        match self.columns.get(column) {
            Some(Some(values)) if row < self.len => values.get(row),
            _ => ValueRef::Null,
        }
    }

    /// A batch of these rows, which are all of the same width.
    #[must_use]
    pub fn from_rows(rows: Vec<Vec<Value>>) -> Batch {
        let len = rows.len();
        let width = rows.first().map_or(0, Vec::len);
        let mut columns: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(len)).collect();
        for row in rows {
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let columns = columns.into_iter().map(|values| Some(Column::Any(Arc::new(values)))).collect();
        Batch { len, columns }
    }

    /// A batch of `len` rows with room for `width` columns, none of them filled.
    pub(crate) fn new(len: usize, width: usize) -> Batch {
        Batch { len, columns: vec![None; width] }
    }

    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self, len: usize, width: usize) {
        self.columns.clear();
        self.columns.resize(width, None);
        self.len = len;
    }

    pub(crate) fn column(&self, register: Register) -> Option<&Column> {
        self.columns.get(register.0 as usize)?.as_ref()
    }

    /// Fills a register; a register beyond the width makes room for itself.
    pub(crate) fn set(&mut self, register: Register, column: Column) {
        let index = register.0 as usize;
        if index >= self.columns.len() {
            self.columns.resize(index + 1, None);
        }
        self.columns[index] = Some(column);
    }

    /// The registers that are filled.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (Register, &Column)> {
        let filled = self.columns.iter().enumerate();
        filled.filter_map(|(index, column)| Some((Register(index as u32), column.as_ref()?)))
    }

    /// The rows of these numbers; [`super::column::NO_ROW`] gives NULLs.
    pub(crate) fn gather(&self, rows: &[u32]) -> Batch {
        let columns =
            self.columns.iter().map(|column| column.as_ref().map(|column| column.gather(rows))).collect();
        Batch { len: rows.len(), columns }
    }

    /// Certain registers of the rows of these numbers.
    pub(crate) fn gather_registers(&self, registers: &[Register], rows: &[u32]) -> Batch {
        let mut batch = Batch::new(rows.len(), 0);
        for register in registers {
            if let Some(column) = self.column(*register) {
                batch.set(*register, column.gather(rows));
            }
        }
        batch
    }

    /// The rows `start..end`.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Batch {
        if start == 0 && end == self.len {
            return self.clone();
        }
        let rows: Vec<u32> = (start as u32..end as u32).collect();
        self.gather(&rows)
    }

    /// The rows where the truth is TRUE.
    pub(crate) fn keep(self, truths: &[Truth]) -> Batch {
        let kept = truths.iter().filter(|truth| **truth == TRUE).count();
        if kept == self.len {
            return self;
        }
        let mut rows = Vec::with_capacity(kept);
        rows.extend((0..self.len as u32).filter(|&row| truths[row as usize] == TRUE));
        self.gather(&rows)
    }

    /// About how many bytes of memory its columns take.
    pub(crate) fn memory(&self) -> usize {
        self.columns.iter().flatten().map(Column::memory).sum()
    }
}

/// Rows that an operator keeps: certain registers of all the batches that it was given, as one column each.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    registers: Vec<Register>,
    builders: Vec<ColumnBuilder>,
    columns: Vec<Column>,
    len: usize,
}

impl Rows {
    /// Keeps these registers.
    pub(crate) fn new(registers: Vec<Register>) -> Rows {
        let builders = vec![ColumnBuilder::default(); registers.len()];
        Rows { registers, builders, columns: Vec::new(), len: 0 }
    }

    /// Rows that were built already.
    pub(crate) fn of(registers: Vec<Register>, builders: Vec<ColumnBuilder>, len: usize) -> Rows {
        let mut rows = Rows { registers, builders, columns: Vec::new(), len };
        rows.seal();
        rows
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn registers(&self) -> &[Register] {
        &self.registers
    }

    /// Whether row `row` holds exactly these values, type and all.
    pub(crate) fn is_row<'v>(&self, row: usize, mut values: impl Iterator<Item = ValueRef<'v>>) -> bool {
        self.builders.iter().all(|builder| values.next() == Some(builder.get(row)))
    }

    /// Forgets the rows.
    pub(crate) fn clear(&mut self) {
        self.builders = vec![ColumnBuilder::default(); self.registers.len()];
        self.columns.clear();
        self.len = 0;
    }

    /// Adds a batch; a register that it does not fill is NULL.
    pub(crate) fn append(&mut self, batch: &Batch) {
        for (register, builder) in self.registers.iter().zip(&mut self.builders) {
            builder.append(batch.column(*register).unwrap_or(&Column::NULL), batch.len);
        }
        self.len += batch.len;
    }

    /// Adds the rows of these numbers of a batch.
    pub(crate) fn append_rows(&mut self, batch: &Batch, rows: &[u32]) {
        for (register, builder) in self.registers.iter().zip(&mut self.builders) {
            builder.append_rows(batch.column(*register).unwrap_or(&Column::NULL), rows);
        }
        self.len += rows.len();
    }

    /// No more rows are added: they can be read now.
    pub(crate) fn seal(&mut self) {
        self.columns = self.builders.drain(..).map(ColumnBuilder::finish).collect();
    }

    /// Keeps only the rows of these numbers, in this order; more may be added.
    pub(crate) fn keep(&mut self, rows: &[u32]) {
        self.seal();
        let mut kept = Rows::new(std::mem::take(&mut self.registers));
        for (builder, column) in kept.builders.iter_mut().zip(&self.columns) {
            builder.append_rows(column, rows);
        }
        kept.len = rows.len();
        *self = kept;
    }

    /// All rows, sealed, as one batch.
    pub(crate) fn batch(&self, width: usize) -> Batch {
        let mut batch = Batch::new(self.len, width);
        for (register, column) in self.registers.iter().zip(&self.columns) {
            batch.set(*register, column.clone());
        }
        batch
    }

    /// Fills the registers of `batch` from the sealed rows of these numbers; [`super::column::NO_ROW`] gives NULLs.
    pub(crate) fn fill(&self, batch: &mut Batch, rows: &[u32]) {
        for (register, column) in self.registers.iter().zip(&self.columns) {
            batch.set(*register, column.gather(rows));
        }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        self.builders.iter().map(ColumnBuilder::memory).sum::<usize>()
            + self.columns.iter().map(Column::memory).sum::<usize>()
    }
}
