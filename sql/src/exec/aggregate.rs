//! GROUP BY and aggregates: groups by a hash table of their keys, one accumulator a group and call. Groups come out in the
//! order of their keys, or, where the input is sorted already, as they came.

use dosql_base::Result;

use super::batch::{Batch, Rows};
use super::calls::Call;
use super::column::{Column, ColumnBuilder, TRUE};
use super::context::{Charge, ExecContext, Frame};
use super::keys::{KeyColumn, KeyTable};
use super::operator::{Build, Operator, take_input};
use super::vector;
use crate::plan::{Aggregate, Register};
use crate::storage::Storage;
use crate::value::Value;

/// GROUP BY.
pub(crate) struct AggregateOp<S: Storage> {
    pub(crate) input: Operator<S>,
    groups: KeyTable,
    ids: Vec<u32>,
    /// How many groups there are.
    count: usize,
    /// The keys of each group, as its first row had them.
    keys: Vec<ColumnBuilder>,
    calls: Vec<Call>,
    /// The bare columns of each group.
    bare: Vec<Vec<Value>>,
    pending: Option<Batch>,
    results: Option<Rows>,
    order: Vec<u32>,
    given: usize,
    started: bool,
    charge: Charge,
}

/// What a batch gives to aggregate.
struct Inputs {
    keys: Vec<Column>,
    /// For each call its arguments, and the rows that its FILTER leaves.
    arguments: Vec<(Vec<Column>, Option<Vec<u8>>)>,
    /// For each call the columns of its ORDER BY.
    orders: Vec<Vec<Column>>,
    bare: Vec<Column>,
}

impl<S: Storage> AggregateOp<S> {
    pub(crate) fn build(aggregate: &Aggregate, build: &Build<'_>) -> AggregateOp<S> {
        let mut needed = super::registers::RegisterSet::default();
        needed.add_all(aggregate.keys.iter().map(|key| &key.expr));
        needed.add_all(aggregate.bare.iter().map(|(_, expr)| expr));
        for call in &aggregate.calls {
            needed.add_all(call.arguments.iter().chain(&call.filter));
            needed.add_all(call.order_by.iter().map(|key| &key.expr));
        }
        AggregateOp {
            input: Operator::build(&aggregate.input, &build.with(&needed)),
            groups: KeyTable::default(),
            ids: Vec::new(),
            count: 0,
            keys: Vec::new(),
            calls: Vec::new(),
            bare: Vec::new(),
            pending: None,
            results: None,
            order: Vec::new(),
            given: 0,
            started: false,
            charge: Charge::default(),
        }
    }

    fn start(&mut self, aggregate: &Aggregate) {
        self.started = true;
        self.groups.clear();
        self.count = 0;
        self.keys = vec![ColumnBuilder::default(); aggregate.keys.len()];
        self.calls = aggregate.calls.iter().map(Call::new).collect();
        self.bare = Vec::new();
        if aggregate.keys.is_empty() {
            // One group of all rows, even of none.
            self.add_groups(aggregate, 1);
        }
    }

    fn add_groups(&mut self, aggregate: &Aggregate, count: usize) {
        self.count = count;
        for (state, call) in self.calls.iter_mut().zip(&aggregate.calls) {
            state.add_groups(call, count);
        }
    }

    pub(crate) fn next(
        &mut self,
        aggregate: &Aggregate,
        want: usize,
        frame: &mut Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Option<Batch>> {
        if self.results.is_none() {
            if !self.started {
                self.start(aggregate);
            }
            self.load(aggregate, frame, cx)?;
            self.finish(aggregate, cx)?;
        }
        let Some(results) = &self.results else { return Ok(None) };
        let end = self.order.len().min(self.given + want);
        if self.given >= end {
            return Ok(None);
        }
        let mut batch = Batch::new(end - self.given, 0);
        results.fill(&mut batch, &self.order[self.given..end]);
        self.given = end;
        Ok(Some(batch))
    }

    fn load(&mut self, aggregate: &Aggregate, frame: &mut Frame, cx: &mut ExecContext<'_, S>) -> Result<()> {
        let node = &aggregate.input;
        while let Some(batch) =
            take_input(&mut self.pending, &mut self.input, node, cx.limits.batch_rows, frame, cx)?
        {
            match Inputs::of(aggregate, &batch, frame, cx) {
                Ok(inputs) => self.add(aggregate, &inputs, batch.len(), cx)?,
                Err(error) => {
                    self.pending = Some(batch);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Adds the rows of a batch to their groups.
    fn add(
        &mut self,
        aggregate: &Aggregate,
        inputs: &Inputs,
        len: usize,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        let mut ids = std::mem::take(&mut self.ids);
        let before = if aggregate.keys.is_empty() {
            ids.clear();
            ids.resize(len, 0);
            self.bare.len()
        } else {
            let columns: Vec<KeyColumn<'_>> = inputs
                .keys
                .iter()
                .zip(&aggregate.keys)
                .map(|(column, key)| (column, key.collation))
                .collect();
            let before = self.count;
            self.groups.insert_rows(&columns, len, &mut ids);
            let count = self.groups.len();
            if count > before {
                self.note_keys(inputs, &ids);
                self.add_groups(aggregate, count);
            }
            before
        };
        for (at, (state, call)) in self.calls.iter_mut().zip(&aggregate.calls).enumerate() {
            let (arguments, filter) = &inputs.arguments[at];
            let rows = |row: usize| filter.as_ref().is_none_or(|truths| truths[row] == TRUE);
            if aggregate.bare_from == Some(at) && !aggregate.bare.is_empty() {
                let bare = &mut self.bare;
                state.step_noting(call, arguments, &ids, rows, cx, &mut |row, group, took| {
                    note_bare(bare, &inputs.bare, row, group, took);
                })?;
            } else {
                state.step(call, arguments, &inputs.orders[at], &ids, rows, cx)?;
            }
        }
        if aggregate.bare_from.is_none() && !aggregate.bare.is_empty() && before < self.count.max(1) {
            for (row, group) in ids.iter().enumerate() {
                note_bare(&mut self.bare, &inputs.bare, row, *group as usize, false);
            }
        }
        self.ids = ids;
        let calls: usize = self.calls.iter().map(Call::memory).sum();
        self.charge.set(self.groups.memory() + self.count * 32 + calls, cx)
    }

    /// Keeps the keys of groups that are new.
    fn note_keys(&mut self, inputs: &Inputs, ids: &[u32]) {
        let mut next = self.count as u32;
        for (row, id) in ids.iter().enumerate() {
            if *id == next {
                for (builder, column) in self.keys.iter_mut().zip(&inputs.keys) {
                    builder.push(column.get(row));
                }
                next += 1;
            }
        }
    }

    /// Makes the results of all groups.
    fn finish(&mut self, aggregate: &Aggregate, cx: &mut ExecContext<'_, S>) -> Result<()> {
        self.order = if aggregate.keys.is_empty() || aggregate.sorted {
            (0..self.count as u32).collect()
        } else {
            self.groups.sorted()
        };
        let mut registers: Vec<Register> = aggregate.keys.iter().map(|key| key.output).collect();
        let mut builders = std::mem::take(&mut self.keys);
        for (state, call) in self.calls.iter_mut().zip(&aggregate.calls) {
            registers.push(call.output);
            builders.push(state.finish(call, self.count, cx)?);
        }
        for (at, (register, _)) in aggregate.bare.iter().enumerate() {
            let mut builder = ColumnBuilder::default();
            for group in 0..self.count {
                let value = self.bare.get(group).and_then(|values| values.get(at));
                builder.push(value.map_or(crate::value::ValueRef::Null, Value::as_ref));
            }
            registers.push(*register);
            builders.push(builder);
        }
        self.results = Some(Rows::of(registers, builders, self.count));
        Ok(())
    }

    pub(crate) fn rewind(&mut self) {
        self.started = false;
        self.pending = None;
        self.results = None;
        self.given = 0;
        self.charge.release();
        self.input.rewind();
    }
}

/// Keeps a row's bare columns for its group, where it has none yet or `took` says that this row counts.
fn note_bare(bare: &mut Vec<Vec<Value>>, columns: &[Column], row: usize, group: usize, took: bool) {
    if bare.len() <= group {
        bare.resize(group + 1, Vec::new());
    }
    let kept = &mut bare[group];
    if kept.is_empty() || took {
        kept.clear();
        kept.extend(columns.iter().map(|column| column.get(row).to_value()));
    }
}

impl Inputs {
    fn of<S: Storage>(
        aggregate: &Aggregate,
        batch: &Batch,
        frame: &Frame,
        cx: &mut ExecContext<'_, S>,
    ) -> Result<Inputs> {
        let keys = vector::columns(aggregate.keys.iter().map(|key| &key.expr), batch, frame, cx)?;
        let mut arguments = Vec::with_capacity(aggregate.calls.len());
        let mut orders = Vec::with_capacity(aggregate.calls.len());
        for call in &aggregate.calls {
            let filter = match &call.filter {
                Some(filter) => Some(vector::truths(filter, batch, frame, cx)?),
                None => None,
            };
            arguments.push((vector::columns(call.arguments.iter(), batch, frame, cx)?, filter));
            orders.push(vector::columns(call.order_by.iter().map(|key| &key.expr), batch, frame, cx)?);
        }
        let bare = vector::columns(aggregate.bare.iter().map(|(_, expr)| expr), batch, frame, cx)?;
        Ok(Inputs { keys, arguments, orders, bare })
    }
}
