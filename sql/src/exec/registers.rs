//! Which registers somebody above an operator reads: what it must fill or keep, and no more.

use crate::func::{Kind, Volatility};
use crate::plan::{Expr, Node, Query, Register};

/// A set of registers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RegisterSet(Vec<u64>);

impl RegisterSet {
    pub(crate) fn insert(&mut self, register: Register) {
        let word = register.0 as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (register.0 % 64);
    }

    pub(crate) fn contains(&self, register: Register) -> bool {
        self.0.get(register.0 as usize / 64).is_some_and(|word| word >> (register.0 % 64) & 1 == 1)
    }

    /// With what an expression reads.
    pub(crate) fn add(&mut self, expr: &Expr) {
        expr.any(|part| {
            if let Expr::Register(register) = part {
                self.insert(*register);
            }
            false
        });
    }

    pub(crate) fn add_all<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        exprs.into_iter().for_each(|expr| self.add(expr));
    }

    /// Of these registers, those in the set.
    pub(crate) fn filter(&self, registers: impl IntoIterator<Item = Register>) -> Vec<Register> {
        registers.into_iter().filter(|register| self.contains(*register)).collect()
    }
}

/// Whether a tree of operators reads no register that it does not fill itself.
pub(crate) fn is_independent(node: &Node) -> bool {
    let filled = node.registers_filled();
    let mut working = Vec::new();
    let mut recursive = Vec::new();
    node.walk(&mut |part| match part {
        Node::WorkingTable { id, .. } => working.push(*id),
        Node::Recursive(part) => recursive.push(part.id),
        _ => {}
    });
    working.iter().all(|id| recursive.contains(id))
        && node.registers_read().iter().all(|register| filled.binary_search(register).is_ok())
}

/// Whether a query gives other rows each time it runs, for the same arguments and data.
pub(crate) fn query_is_volatile(query: &Query) -> bool {
    let mut queries = vec![query];
    while let Some(query) = queries.pop() {
        let mut volatile = false;
        let mut look = |expr: &Expr, queries: &mut Vec<&Query>| {
            let _ = queries;
            expr.any(|part| {
                volatile |= matches!(part, Expr::Function { function, .. }
                    if matches!(function.kind, Kind::Scalar { volatility: Volatility::Volatile, .. }));
                volatile
            });
        };
        let mut exprs: Vec<&Expr> = query.outputs.iter().collect();
        query.root.walk(&mut |node| node.for_each_expr(&mut |expr| exprs.push(expr)));
        for expr in exprs {
            look(expr, &mut queries);
            let _ = expr.walk(&mut |part| {
                if let Some(nested) = part.subquery() {
                    queries.push(&nested.query);
                }
                std::ops::ControlFlow::Continue(())
            });
        }
        query.root.walk(&mut |node| {
            if let Node::Nested { query, .. } = node {
                queries.push(&query.query);
            }
        });
        if volatile {
            return true;
        }
    }
    false
}
