//! The right side of IN as a set, with what three-valued logic needs to know of its NULLs.

use super::compare::{self, keeps};
use super::keys::KeyTable;
use crate::plan::{CompareOp, Comparison};
use crate::value::{Value, ValueRef};

/// Members of `x IN (..)` or `(x, y) IN (SELECT ..)`.
#[derive(Debug, Default)]
pub(crate) struct InSet {
    /// Members without NULLs, as the rules' right affinities make them.
    table: KeyTable,
    /// Members of several columns of which some are NULL: they may make a miss unknown.
    partial: Vec<Vec<Value>>,
    /// Whether a member of one column is NULL.
    null: bool,
    /// All members of several columns, for a left side that has NULLs.
    rows: Vec<Vec<Value>>,
    empty: bool,
}

impl InSet {
    pub(crate) fn new() -> InSet {
        InSet { empty: true, ..InSet::default() }
    }

    /// Adds a member.
    pub(crate) fn insert(&mut self, rules: &[Comparison], member: &[ValueRef<'_>]) {
        self.empty = false;
        let member: Vec<Value> = member
            .iter()
            .zip(rules)
            .map(|(&value, rule)| {
                let converted = rule.right.and_then(|affinity| affinity.convert(value));
                converted.unwrap_or_else(|| value.to_value())
            })
            .collect();
        if member.iter().any(Value::is_null) {
            if member.len() == 1 {
                self.null = true;
            } else {
                self.partial.push(member);
            }
            return;
        }
        if let ([value], [rule]) = (member.as_slice(), rules) {
            self.table.insert_one(value.as_ref(), rule.collation);
            return;
        }
        let values = member.iter().zip(rules).map(|(value, rule)| (value.as_ref(), rule.collation));
        let (_, new) = self.table.insert_values(values);
        if new {
            self.rows.push(member);
        }
    }

    /// Whether a single value is in; `None` is NULL.
    pub(crate) fn test_one(&self, rule: &Comparison, value: ValueRef<'_>) -> Option<bool> {
        if self.empty {
            return Some(false);
        }
        if value.is_null() {
            return None;
        }
        let converted = if keeps(rule.left, value) {
            None
        } else {
            rule.left.and_then(|affinity| affinity.convert(value))
        };
        let value = converted.as_ref().map_or(value, |value| value.as_ref());
        match self.table.holds(value, rule.collation) {
            true => Some(true),
            false if self.null => None,
            false => Some(false),
        }
    }

    /// Whether a row is in; `None` is NULL.
    pub(crate) fn test(&self, rules: &[Comparison], row: &[Value]) -> Option<bool> {
        if let ([rule], [value]) = (rules, row) {
            return self.test_one(rule, value.as_ref());
        }
        if self.partial.is_empty() && !row.iter().any(Value::is_null) {
            let apply = |(value, rule): (&Value, &Comparison)| {
                let converted = rule.left.and_then(|affinity| affinity.convert(value.as_ref()));
                converted.unwrap_or_else(|| value.clone())
            };
            let row: Vec<Value> = row.iter().zip(rules).map(apply).collect();
            let values = row.iter().zip(rules).map(|(value, rule)| (value.as_ref(), rule.collation));
            return Some(self.table.holds_row(values));
        }
        let mut unknown = false;
        for member in self.rows.iter().chain(&self.partial) {
            let pairs = rules.iter().zip(row.iter().zip(member)).map(|(rule, (a, b))| {
                let (a, b) = (a.as_ref(), b.as_ref());
                let ordering = (!a.is_null() && !b.is_null()).then(|| compare::order(rule, a, b));
                Ok::<_, std::convert::Infallible>((ordering, a.is_null() && b.is_null()))
            });
            let Ok(equal) = compare::test_rows(CompareOp::Equal, pairs);
            match equal {
                Some(true) => return Some(true),
                Some(false) => {}
                None => unknown = true,
            }
        }
        if unknown { None } else { Some(false) }
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let rows = self.rows.iter().chain(&self.partial);
        self.table.memory() + rows.map(|row| row.len() * 40).sum::<usize>()
    }
}
