//! Walking operators: their inputs, their expressions, the registers that they fill.

use super::{Access, AggregateCall, Expr, KeyBounds, Node, Register, SortKey, WindowCall};
use crate::plan::FrameBound;

impl Node {
    /// Shows every direct input to `visit`.
    pub fn for_each_input<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        match self {
            Node::OneRow
            | Node::Nothing
            | Node::Scan(_)
            | Node::Values { .. }
            | Node::TableFunction { .. }
            | Node::Versions(_)
            | Node::Nested { .. }
            | Node::WorkingTable { .. } => {}
            Node::Filter { input, .. }
            | Node::Compute { input, .. }
            | Node::Sort { input, .. }
            | Node::Limit { input, .. }
            | Node::Distinct { input, .. } => visit(input),
            Node::Join(join) => {
                visit(&join.left);
                visit(&join.right);
            }
            Node::Aggregate(aggregate) => visit(&aggregate.input),
            Node::Window(window) => visit(&window.input),
            Node::Compound(compound) => {
                visit(&compound.left.0);
                visit(&compound.right.0);
            }
            Node::Recursive(recursive) => {
                visit(&recursive.seed.0);
                recursive.steps.iter().for_each(|(node, _)| visit(node));
            }
        }
    }

    /// As [`Node::for_each_input`], to change them.
    pub fn for_each_input_mut(&mut self, visit: &mut dyn FnMut(&mut Node)) {
        match self {
            Node::OneRow
            | Node::Nothing
            | Node::Scan(_)
            | Node::Values { .. }
            | Node::TableFunction { .. }
            | Node::Versions(_)
            | Node::Nested { .. }
            | Node::WorkingTable { .. } => {}
            Node::Filter { input, .. }
            | Node::Compute { input, .. }
            | Node::Sort { input, .. }
            | Node::Limit { input, .. }
            | Node::Distinct { input, .. } => visit(input),
            Node::Join(join) => {
                visit(&mut join.left);
                visit(&mut join.right);
            }
            Node::Aggregate(aggregate) => visit(&mut aggregate.input),
            Node::Window(window) => visit(&mut window.input),
            Node::Compound(compound) => {
                visit(&mut compound.left.0);
                visit(&mut compound.right.0);
            }
            Node::Recursive(recursive) => {
                visit(&mut recursive.seed.0);
                recursive.steps.iter_mut().for_each(|(node, _)| visit(node));
            }
        }
    }

    /// Shows this operator and all below it to `visit`, from the root down.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        let mut pending = vec![self];
        while let Some(node) = pending.pop() {
            visit(node);
            let from = pending.len();
            node.for_each_input(&mut |input| pending.push(input));
            pending[from..].reverse();
        }
    }

    /// Shows the operator's own expressions to `visit`, those of its inputs not.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Node::OneRow | Node::Nothing | Node::Distinct { .. } | Node::WorkingTable { .. } => {}
            Node::Versions(scan) => scan.access.for_each_expr(visit),
            Node::Scan(scan) => {
                scan.access.for_each_expr(visit);
                scan.filter.iter().for_each(visit);
            }
            Node::Values { rows, .. } => rows.iter().flatten().for_each(visit),
            Node::TableFunction { arguments, .. } => arguments.iter().for_each(visit),
            Node::Nested { query, .. } => query.arguments.iter().for_each(visit),
            Node::Filter { predicate, .. } => visit(predicate),
            Node::Compute { columns, .. } => columns.iter().for_each(|(_, expr)| visit(expr)),
            Node::Join(join) => {
                if let super::JoinMethod::Hash(keys) = &join.method {
                    for key in keys {
                        visit(&key.left);
                        visit(&key.right);
                    }
                }
                join.condition.iter().for_each(visit);
            }
            Node::Aggregate(aggregate) => {
                aggregate.keys.iter().for_each(|key| visit(&key.expr));
                aggregate.calls.iter().for_each(|call| call.for_each_expr(visit));
                aggregate.bare.iter().for_each(|(_, expr)| visit(expr));
            }
            Node::Window(window) => {
                window.partition_by.iter().for_each(|(expr, _)| visit(expr));
                window.order_by.iter().for_each(|key| visit(&key.expr));
                window.calls.iter().for_each(|call| call.for_each_expr(visit));
            }
            Node::Sort { keys, limit, .. } => {
                keys.iter().for_each(|key| visit(&key.expr));
                if let Some(limit) = limit {
                    limit.0.iter().chain(&limit.1).for_each(visit);
                }
            }
            Node::Limit { limit, offset, .. } => limit.iter().chain(offset).for_each(visit),
            Node::Compound(compound) => compound.left.1.iter().chain(&compound.right.1).for_each(visit),
            Node::Recursive(recursive) => {
                recursive.seed.1.iter().for_each(&mut *visit);
                recursive.steps.iter().for_each(|(_, columns)| columns.iter().for_each(&mut *visit));
                recursive.limit.iter().chain(&recursive.offset).for_each(visit);
            }
        }
    }

    /// The registers that rows of this operator have, sorted.
    #[must_use]
    pub fn registers_filled(&self) -> Vec<Register> {
        let mut filled = Vec::new();
        let mut pending = vec![self];
        while let Some(node) = pending.pop() {
            match node {
                Node::Scan(scan) => filled.extend(scan.columns.iter().map(|(_, register)| *register)),
                Node::Versions(scan) => filled.extend(scan.columns.iter().map(|(_, register)| *register)),
                Node::Values { registers, .. } => filled.extend(registers),
                Node::TableFunction { columns, .. }
                | Node::Nested { columns, .. }
                | Node::WorkingTable { columns, .. } => {
                    filled.extend(columns.iter().map(|(_, register)| *register));
                }
                Node::Compute { columns, .. } => filled.extend(columns.iter().map(|(register, _)| *register)),
                Node::Window(window) => filled.extend(window.calls.iter().map(|call| call.output)),
                Node::Aggregate(aggregate) => {
                    filled.extend(aggregate.keys.iter().map(|key| key.output));
                    filled.extend(aggregate.calls.iter().map(|call| call.output));
                    filled.extend(aggregate.bare.iter().map(|(register, _)| *register));
                    continue;
                }
                Node::Compound(compound) => {
                    filled.extend(compound.columns.iter().map(|(register, _)| *register));
                    continue;
                }
                Node::Recursive(recursive) => {
                    filled.extend(recursive.columns.iter().map(|(register, _)| *register));
                    continue;
                }
                _ => {}
            }
            node.for_each_input(&mut |input| pending.push(input));
        }
        filled.sort_unstable();
        filled.dedup();
        filled
    }

    /// The registers that its expressions or those below it read, sorted; what the tree fills itself is among them.
    #[must_use]
    pub fn registers_read(&self) -> Vec<Register> {
        let mut read = Vec::new();
        self.walk(&mut |node| {
            node.for_each_expr(&mut |expr| expr.add_registers(&mut read));
            if let Node::Distinct { keys, .. } = node {
                read.extend(keys.iter().map(|(register, _)| *register));
            }
        });
        read.sort_unstable();
        read.dedup();
        read
    }
}

impl Access {
    /// Every expression in the bounds.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match self {
            Access::Full => {}
            Access::Primary(bounds) => KeyBounds::for_each_expr(bounds, visit),
            Access::Index { bounds, .. } => bounds.for_each_expr(visit),
            Access::Union(members) => members.iter().for_each(|member| member.for_each_expr(visit)),
        }
    }
}

impl AggregateCall {
    /// Every expression of the call.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        self.arguments.iter().chain(&self.filter).for_each(&mut *visit);
        self.order_by.iter().for_each(|key| visit(&key.expr));
    }
}

impl WindowCall {
    /// Every expression of the call.
    pub fn for_each_expr<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        self.arguments.iter().chain(&self.filter).for_each(&mut *visit);
        for bound in [&self.frame.start, &self.frame.end] {
            if let FrameBound::Preceding(expr) | FrameBound::Following(expr) = bound {
                visit(expr);
            }
        }
    }

    /// As [`WindowCall::for_each_expr`], to change them.
    pub fn for_each_expr_mut(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        self.arguments.iter_mut().chain(&mut self.filter).for_each(&mut *visit);
        for bound in [&mut self.frame.start, &mut self.frame.end] {
            if let FrameBound::Preceding(expr) | FrameBound::Following(expr) = bound {
                visit(expr);
            }
        }
    }
}

impl SortKey {
    /// Whether two keys order rows alike.
    #[must_use]
    pub fn same(&self, other: &SortKey) -> bool {
        self.collation == other.collation
            && self.descending == other.descending
            && self.nulls_first == other.nulls_first
            && self.expr.same(&other.expr)
    }
}
