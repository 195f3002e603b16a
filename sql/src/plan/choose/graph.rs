//! The relations and conjuncts of a FROM, and which relation each conjunct reads.

use std::collections::BTreeMap;

use super::{FromBlock, Relation, Source};
use crate::plan::{CompareOp, Expr, JoinKind, Node, Register, SortKey};
use crate::value::Value;

/// A set of relations, a bit each.
pub(super) type Set = u128;

/// The bit of a relation.
pub(super) fn bit(relation: usize) -> Set {
    1 << relation
}

/// A predicate that must hold, and what it reads.
#[derive(Debug)]
pub(super) struct Conjunct {
    pub(super) expr: Expr,
    /// The relations whose registers it reads.
    pub(super) reads: Set,
    /// The relation in whose ON it stands, if that is an outer join's; `None`: WHERE.
    pub(super) on: Option<usize>,
    /// Of an equality that can be hashed: what each side reads.
    pub(super) sides: Option<(Set, Set)>,
}

/// A FROM, ready to be searched.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) relations: Vec<Relation>,
    pub(super) conjuncts: Vec<Conjunct>,
    /// For each relation: those that must come before it.
    pub(super) after: Vec<Set>,
    pub(super) wanted_order: Vec<SortKey>,
    pub(super) limit: Option<u64>,
    /// A conjunct is never true.
    pub(super) empty: bool,
    owners: BTreeMap<Register, usize>,
}

impl Graph {
    pub(super) fn new(block: FromBlock) -> Graph {
        let mut relations = take_apart(block.relations);
        let owners = owners(&relations);
        strengthen(&mut relations, &block.filter, &owners);
        let mut graph = Graph {
            relations,
            conjuncts: Vec::new(),
            after: Vec::new(),
            wanted_order: block.wanted_order,
            limit: block.limit,
            empty: false,
            owners,
        };
        graph.gather(block.filter);
        super::arguments::from_conjuncts(&mut graph);
        graph.after = (0..graph.relations.len()).map(|index| graph.must_follow(index)).collect();
        graph
    }

    /// The relations whose registers `expr` reads.
    pub(super) fn reads(&self, expr: &Expr) -> Set {
        expr.registers_read()
            .iter()
            .filter_map(|register| self.owners.get(register))
            .fold(0, |set, &i| set | bit(i))
    }

    fn gather(&mut self, filter: Vec<Expr>) {
        let mut members = Vec::new();
        for expr in filter {
            let mut split = Vec::new();
            expr.split_and(&mut split);
            members.extend(split.into_iter().map(|expr| (expr, None)));
        }
        for index in 0..self.relations.len() {
            let on = std::mem::take(&mut self.relations[index].on);
            let owner = (index > 0 && self.relations[index].join != JoinKind::Inner).then_some(index);
            for expr in on {
                let mut split = Vec::new();
                expr.split_and(&mut split);
                members.extend(split.into_iter().map(|expr| (expr, owner)));
            }
        }
        let all = (0..self.relations.len()).fold(0, |set, index| set | bit(index));
        for (expr, on) in members {
            match (&expr, on) {
                (Expr::Literal(value), None) => {
                    self.empty |= crate::value::to_boolean(value.as_ref()) != Some(true);
                }
                _ => {
                    // What is random is tested last, once for every row that everything else lets through.
                    let reads = if expr.is_volatile() && on.is_none() { all } else { self.reads(&expr) };
                    let sides = self.equal_sides(&expr);
                    self.conjuncts.push(Conjunct { expr, reads, on, sides });
                }
            }
        }
    }

    fn equal_sides(&self, expr: &Expr) -> Option<(Set, Set)> {
        match expr {
            Expr::Compare { op: CompareOp::Equal, left, right, .. } if !expr.is_volatile() => {
                Some((self.reads(left), self.reads(right)))
            }
            _ => None,
        }
    }

    /// What must come before a relation: for an outer join what its ON reads (and the first relation, so that something
    /// does); for rows made from earlier relations, those; for CROSS JOIN all that is written before.
    fn must_follow(&self, index: usize) -> Set {
        let mut set = 0;
        let relation = &self.relations[index];
        if relation.join != JoinKind::Inner && index > 0 {
            let on = self.conjuncts.iter().filter(|conjunct| conjunct.on == Some(index));
            set |= on.fold(0, |set, conjunct| set | conjunct.reads);
            if set & !bit(index) == 0 {
                set |= bit(0);
            }
        }
        if let Source::Node { node, .. } = &relation.source {
            set |= self.node_reads(node) & !bit(index);
        }
        let crossed = (0..=index).rev().find(|&i| self.relations[i].keep_order);
        if let Some(crossed) = crossed {
            let upto = if crossed == index { index } else { crossed + 1 };
            set |= (0..upto).fold(0, |set, i| set | bit(i));
        }
        set & !bit(index)
    }

    /// The relations whose registers a source reads.
    pub(super) fn node_reads(&self, node: &Node) -> Set {
        node.registers_read()
            .iter()
            .filter_map(|register| self.owners.get(register))
            .fold(0, |set, &i| set | bit(i))
    }

    /// The registers that a relation fills.
    pub(super) fn registers(&self, relation: usize) -> Vec<Register> {
        self.owners.iter().filter(|(_, owner)| **owner == relation).map(|(register, _)| *register).collect()
    }
}

/// Parenthesised inner joins of inner joins are as if the parentheses were not there.
fn take_apart(relations: Vec<Relation>) -> Vec<Relation> {
    let mut flat = Vec::new();
    for (index, relation) in relations.into_iter().enumerate() {
        match relation.source {
            Source::Block(block)
                if (relation.join == JoinKind::Inner || index == 0)
                    && block
                        .relations
                        .iter()
                        .skip(1)
                        .all(|r| matches!(r.join, JoinKind::Inner | JoinKind::Left)) =>
            {
                let mut on = relation.on;
                on.extend(block.filter);
                for (inner, mut member) in take_apart(block.relations).into_iter().enumerate() {
                    if inner == 0 {
                        member.join = JoinKind::Inner;
                        member.keep_order |= relation.keep_order;
                        member.on.append(&mut on);
                    }
                    flat.push(member);
                }
            }
            source => flat.push(Relation { source, ..relation }),
        }
    }
    flat
}

/// The registers that a source fills.
pub(super) fn filled(source: &Source) -> Vec<Register> {
    match source {
        Source::Table(table) => table.columns.iter().map(|(_, register)| *register).collect(),
        Source::Node { registers, .. } => registers.clone(),
        Source::Block(block) => {
            block.relations.iter().flat_map(|relation| filled(&relation.source)).collect()
        }
    }
}

fn owners(relations: &[Relation]) -> BTreeMap<Register, usize> {
    let mut owners = BTreeMap::new();
    for (index, relation) in relations.iter().enumerate() {
        owners.extend(filled(&relation.source).into_iter().map(|register| (register, index)));
    }
    owners
}

/// A LEFT JOIN whose made-up NULL rows the WHERE (or a later inner join's ON) drops anyway is an inner join.
fn strengthen(relations: &mut [Relation], filter: &[Expr], owners: &BTreeMap<Register, usize>) {
    loop {
        let wheres = || {
            let on = relations.iter().enumerate().filter(|(i, r)| *i == 0 || r.join == JoinKind::Inner);
            filter.iter().chain(on.flat_map(|(_, r)| &r.on))
        };
        let found = (1..relations.len()).find(|&index| {
            relations[index].join == JoinKind::Left
                && wheres().any(|expr| rejects_null(expr, &|register| owners.get(&register) == Some(&index)))
        });
        match found {
            Some(index) => relations[index].join = JoinKind::Inner,
            None => return,
        }
    }
}

/// Whether `expr` is never true where the registers that `null` picks are NULL. Errs on the side of no.
pub(super) fn rejects_null(expr: &Expr, null: &dyn Fn(Register) -> bool) -> bool {
    match expr {
        Expr::And(left, right) => rejects_null(left, null) || rejects_null(right, null),
        Expr::Or(left, right) => rejects_null(left, null) && rejects_null(right, null),
        Expr::Compare { op: CompareOp::Is | CompareOp::IsNot, .. } => false,
        Expr::Compare { left, right, .. } => strict(left, null) || strict(right, null),
        Expr::IsNull { not: true, operand } => strict(operand, null),
        Expr::Between { not: false, operand, .. } | Expr::InList { not: false, operand, .. } => {
            strict(operand, null)
        }
        Expr::Like { operand, pattern, .. } => strict(operand, null) || strict(pattern, null),
        Expr::Literal(Value::Null) => true,
        Expr::Register(register) => null(*register),
        _ => false,
    }
}

/// Whether `expr` is NULL where the registers that `null` picks are.
fn strict(expr: &Expr, null: &dyn Fn(Register) -> bool) -> bool {
    match expr {
        Expr::Register(register) => null(*register),
        Expr::Affinity { operand, .. }
        | Expr::Cast { operand, .. }
        | Expr::Negate(operand)
        | Expr::BitNot(operand) => strict(operand, null),
        Expr::Arithmetic { left, right, .. } => strict(left, null) || strict(right, null),
        _ => false,
    }
}
