//! Queries inside expressions: scalar, EXISTS and IN. Each has a slot in the statement that keeps its operators and its last
//! result; with arguments it also remembers the results of arguments that come again.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use dosql_base::{Error, Result};

use super::batch::Batch;
use super::column::{Column, Truth, UNKNOWN};
use super::context::{ExecContext, Val};
use super::inset::InSet;
use super::registers;
use super::row::{Row, eval};
use super::run::QueryRun;
use crate::plan::{Comparison, Expr, Subquery};
use crate::storage::Storage;
use crate::value::{Value, ValueRef};

/// More results of one subquery are not remembered.
const MEMO_ROWS: usize = 8192;
/// After so many lookups that found nothing ten times as often as something, remembering is given up.
const MEMO_TRIAL: u32 = 512;

/// What a statement keeps of one subquery.
pub(crate) struct Slot<S: Storage> {
    run: QueryRun<S>,
    arguments: Vec<Value>,
    stage: Stage,
    /// The first row, of a scalar query or EXISTS.
    row: Option<Vec<Value>>,
    /// The members, of IN.
    set: InSet,
    memo: Memo,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Running,
    Done,
}

#[derive(Default)]
struct Memo {
    rows: HashMap<Vec<u8>, Option<Vec<Value>>, FixedState>,
    /// The key of the last lookup.
    key: Vec<u8>,
    lookups: u32,
    hits: u32,
    off: bool,
}

impl Memo {
    /// Whether the result of these arguments is known.
    fn find(&mut self, key: &[u8]) -> bool {
        if self.off {
            return false;
        }
        if self.lookups >= MEMO_TRIAL && self.hits < self.lookups / 10 {
            self.off = true;
            self.rows = HashMap::default();
            return false;
        }
        self.lookups += 1;
        let found = self.rows.contains_key(key);
        self.hits += u32::from(found);
        found
    }
}

impl<S: Storage> Slot<S> {
    fn new(subquery: &Subquery) -> Box<Slot<S>> {
        let off = subquery.arguments.is_empty() || registers::query_is_volatile(&subquery.query);
        Box::new(Slot {
            run: QueryRun::new(subquery.query.clone(), Vec::new()),
            arguments: Vec::new(),
            stage: Stage::Idle,
            row: None,
            set: InSet::new(),
            memo: Memo { off, ..Memo::default() },
        })
    }

    /// Forgets results: the data may have changed.
    pub(crate) fn forget(&mut self) {
        self.stage = Stage::Idle;
        self.memo.rows.clear();
    }

    fn start(&mut self, arguments: Vec<Value>) {
        self.run.reset(arguments.clone());
        self.arguments = arguments;
        self.row = None;
        self.set = InSet::new();
        self.stage = Stage::Running;
    }

    /// The first row.
    fn first_row(&mut self, arguments: Vec<Value>, cx: &mut ExecContext<'_, S>) -> Result<Option<&[Value]>> {
        if self.stage == Stage::Done && same(&self.arguments, &arguments) {
            return Ok(self.row.as_deref());
        }
        let mut key = std::mem::take(&mut self.memo.key);
        key.clear();
        if !self.memo.off {
            put_exact(&mut key, &arguments);
        }
        let known = self.memo.find(&key);
        if !known {
            if self.stage != Stage::Running || !same(&self.arguments, &arguments) {
                self.start(arguments);
            }
            let first = self.run.next_up_to(1, cx)?;
            let row =
                |batch: &Batch| (0..batch.width()).map(|column| batch.value(0, column).to_value()).collect();
            self.row = first.map(row);
            self.stage = Stage::Done;
            if !self.memo.off && self.memo.rows.len() < MEMO_ROWS {
                self.memo.rows.insert(key, self.row.clone());
            } else {
                self.memo.key = key;
            }
            return Ok(self.row.as_deref());
        }
        self.memo.key = key;
        Ok(self.memo.rows.get(&self.memo.key).and_then(Option::as_deref))
    }

    /// Has the members at hand when it returns.
    fn members(
        &mut self,
        arguments: Vec<Value>,
        rules: &[Comparison],
        cx: &mut ExecContext<'_, S>,
    ) -> Result<()> {
        if self.stage != Stage::Idle && same(&self.arguments, &arguments) {
            if self.stage == Stage::Done {
                return Ok(());
            }
        } else {
            self.start(arguments);
        }
        while let Some(batch) = self.run.next(cx)? {
            for row in 0..batch.len() {
                let member: smallvec::SmallVec<[ValueRef<'_>; 2]> =
                    (0..rules.len()).map(|column| batch.value(row, column)).collect();
                self.set.insert(rules, &member);
            }
            check_members(self.set.memory(), cx)?;
        }
        self.stage = Stage::Done;
        Ok(())
    }
}

/// Fails where the members of an IN need more memory than the statement may use.
fn check_members<S: Storage>(bytes: usize, cx: &ExecContext<'_, S>) -> Result<()> {
    if bytes <= cx.limits.memory {
        return Ok(());
    }
    Err(Error::limit(format!(
        "the members of an IN need more than {} bytes of memory: ask for fewer, or raise the limit",
        cx.limits.memory
    )))
}

/// Whether two argument lists are the same in type and content.
fn same(a: &[Value], b: &[Value]) -> bool {
    a == b
}

/// Arguments as bytes that differ wherever the values do, in type or content.
fn put_exact(out: &mut Vec<u8>, values: &[Value]) {
    for value in values {
        match value {
            Value::Null => out.push(0),
            Value::Integer(integer) => {
                out.push(1);
                out.extend_from_slice(&integer.to_le_bytes());
            }
            Value::Real(real) => {
                out.push(2);
                out.extend_from_slice(&real.to_bits().to_le_bytes());
            }
            Value::Text(text) => {
                out.push(3);
                dosql_base::codec::put_bytes(out, text.as_bytes());
            }
            Value::Blob(bytes) => {
                out.push(4);
                dosql_base::codec::put_bytes(out, bytes);
            }
        }
    }
}

/// Evaluates the arguments, takes the slot of a subquery out of the statement, works with it, and puts it back.
fn with_slot<S: Storage, R>(
    subquery: &Subquery,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
    work: impl FnOnce(&mut Slot<S>, Vec<Value>, &mut ExecContext<'_, S>) -> Result<R>,
) -> Result<R> {
    let arguments = arguments(&subquery.arguments, row, cx)?;
    let index = subquery.id as usize;
    if index >= cx.state.slots.len() {
        if index > 100_000 {
            return Err(Error::limit("too many subqueries in one statement"));
        }
        cx.state.slots.resize_with(index + 1, || None);
    }
    let slot = cx.state.slots[index].take();
    // Another statement that shares this state may have used the number.
    let slot = slot.filter(|slot| Arc::ptr_eq(slot.run.query(), &subquery.query));
    let mut slot = slot.unwrap_or_else(|| Slot::new(subquery));
    let result = nested(cx, |cx| work(&mut slot, arguments, cx));
    cx.state.slots[index] = Some(slot);
    result
}

/// The values of a subquery's arguments in a row.
pub(crate) fn arguments<S: Storage>(
    arguments: &[Expr],
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Value>> {
    arguments.iter().map(|argument| Ok(eval(argument, row, cx)?.into_value())).collect()
}

/// Runs something one level of queries deeper. Fails where that is too deep.
pub(crate) fn nested<S: Storage, R>(
    cx: &mut ExecContext<'_, S>,
    work: impl FnOnce(&mut ExecContext<'_, S>) -> Result<R>,
) -> Result<R> {
    if cx.state.depth >= cx.limits.depth {
        return Err(Error::limit(format!("queries are nested more than {} deep", cx.limits.depth)));
    }
    cx.state.depth += 1;
    let result = work(cx);
    cx.state.depth -= 1;
    result
}

/// A column of the first row, NULL where there is none.
pub(crate) fn scalar<S: Storage>(
    subquery: &Subquery,
    column: u32,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Value> {
    with_slot(subquery, row, cx, |slot, arguments, cx| {
        let first = slot.first_row(arguments, cx)?;
        Ok(first.and_then(|row| row.get(column as usize)).cloned().unwrap_or_default())
    })
}

/// Whether there is a row.
pub(crate) fn exists<S: Storage>(
    subquery: &Subquery,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<bool> {
    with_slot(subquery, row, cx, |slot, arguments, cx| Ok(slot.first_row(arguments, cx)?.is_some()))
}

/// Whether the operands are among the rows; `None` is NULL.
pub(crate) fn contains<S: Storage>(
    operands: &[Expr],
    rules: &[Comparison],
    subquery: &Subquery,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Option<bool>> {
    if let ([operand], [rule]) = (operands, rules) {
        let value: Val<'_> = eval(operand, row, cx)?;
        return with_slot(subquery, row, cx, |slot, arguments, cx| {
            slot.members(arguments, rules, cx)?;
            Ok(slot.set.test_one(rule, value.get()))
        });
    }
    let values = arguments(operands, row, cx)?;
    with_slot(subquery, row, cx, |slot, arguments, cx| {
        slot.members(arguments, rules, cx)?;
        Ok(slot.set.test(rules, &values))
    })
}

/// As [`contains`] for every value of a column, of a query without arguments.
pub(crate) fn contains_all<S: Storage>(
    operand: &Column,
    len: usize,
    rules: &[Comparison],
    subquery: &Subquery,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<Truth>> {
    let Some(rule) = rules.first() else { return Ok(vec![UNKNOWN; len]) };
    with_slot(subquery, row, cx, |slot, arguments, cx| {
        slot.members(arguments, rules, cx)?;
        let test = |row| slot.set.test_one(rule, operand.get(row)).map_or(UNKNOWN, Truth::from);
        Ok((0..len).map(test).collect())
    })
}

/// Every value of a subquery's first column, for a lookup of each.
pub(crate) fn column_values<S: Storage>(
    subquery: &Subquery,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
    mut value: impl FnMut(ValueRef<'_>),
) -> Result<()> {
    let mut values: Vec<Value> = Vec::new();
    with_slot(subquery, row, cx, |slot, arguments, cx| {
        slot.start(arguments);
        slot.stage = Stage::Idle;
        while let Some(batch) = slot.run.next(cx)? {
            values.extend((0..batch.len()).map(|row| batch.value(row, 0).to_value()));
            check_members(values.len() * (size_of::<Value>() + 16), cx)?;
        }
        Ok(())
    })?;
    values.iter().for_each(|member| value(member.as_ref()));
    Ok(())
}
