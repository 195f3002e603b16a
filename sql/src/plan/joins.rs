//! Joins in the order as written: where each predicate is tested and how each relation finds its matches.
//!
//! A predicate of WHERE or of an inner ON sinks from where it is stated to the first join after which all that it reads is
//! there; it may pass inner joins and, as it reads the left side only, left joins, but no right or full join.

use super::access::{push_filter, scan};
use super::choose::{FromBlock, Planned, Relation, Source};
use super::{
    Access, ColumnSource, CompareOp, Expr, HashKey, Join, JoinKind, JoinMethod, Node, Register, SortKey,
};

/// Plans a FROM and its WHERE.
pub(super) fn plan(block: FromBlock) -> Planned {
    let FromBlock { relations, filter, wanted_order, .. } = block;
    if relations.is_empty() {
        let node = filtered(Node::OneRow, filter);
        return Planned { node, ordered: false };
    }
    let fills: Vec<Vec<Register>> = relations.iter().map(|relation| filled(&relation.source)).collect();
    let kinds: Vec<JoinKind> = relations.iter().map(|relation| relation.join).collect();
    let mut places = Places::new(relations.len());
    let mut sources = Vec::with_capacity(relations.len());
    for (at, Relation { source, join, on, .. }) in relations.into_iter().enumerate() {
        for predicate in on {
            match join {
                _ if at == 0 => places.sink(predicate, 0, &kinds, &fills),
                JoinKind::Inner => places.sink(predicate, at, &kinds, &fills),
                JoinKind::Left if reads_none(&predicate, &fills[..at]) => places.below[at].push(predicate),
                _ => places.on[at].push(predicate),
            }
        }
        sources.push(source);
    }
    let last = sources.len() - 1;
    for predicate in filter {
        places.sink(predicate, last, &kinds, &fills);
    }
    let mut left_registers: Vec<Register> = Vec::new();
    let mut result: Option<(Node, bool)> = None;
    for (at, source) in sources.into_iter().enumerate() {
        let below = std::mem::take(&mut places.below[at]);
        let on = std::mem::take(&mut places.on[at]);
        let above = std::mem::take(&mut places.above[at]);
        result = Some(match result {
            None => {
                let (node, ordered) = first(source, below, if last == 0 { &wanted_order } else { &[] });
                (filtered(node, above), ordered)
            }
            Some((left, _)) => {
                let node = join(left, &left_registers, source, &fills[at], kinds[at], below, on);
                (filtered(node, above), false)
            }
        });
        left_registers.extend(&fills[at]);
    }
    let (node, ordered) = result.unwrap_or((Node::OneRow, false));
    Planned { node, ordered }
}

/// Where predicates go: into a relation, into the condition of its join, above its join.
struct Places {
    below: Vec<Vec<Expr>>,
    on: Vec<Vec<Expr>>,
    above: Vec<Vec<Expr>>,
}

impl Places {
    fn new(relations: usize) -> Self {
        let empty = vec![Vec::new(); relations];
        Places { below: empty.clone(), on: empty.clone(), above: empty }
    }

    fn sink(&mut self, predicate: Expr, stated: usize, kinds: &[JoinKind], fills: &[Vec<Register>]) {
        if predicate.is_volatile() {
            self.above[stated].push(predicate);
            return;
        }
        let read = predicate.registers_read();
        let reads = |at: usize| fills[at].iter().any(|own| read.binary_search(own).is_ok());
        let needs = (0..fills.len()).rev().find(|at| reads(*at)).unwrap_or(0);
        let mut level = stated;
        while level > needs && matches!(kinds[level], JoinKind::Inner | JoinKind::Left) {
            level -= 1;
        }
        let alone = !(0..level).any(reads);
        if level == 0 || (kinds[level] == JoinKind::Inner && level == needs && alone) {
            self.below[level].push(predicate);
        } else if kinds[level] == JoinKind::Inner {
            self.on[level].push(predicate);
        } else {
            self.above[level].push(predicate);
        }
    }
}

fn reads_none(predicate: &Expr, fills: &[Vec<Register>]) -> bool {
    let read = predicate.registers_read();
    !fills.iter().flatten().any(|own| read.binary_search(own).is_ok())
}

fn filled(source: &Source) -> Vec<Register> {
    match source {
        Source::Table(table) => table.columns.iter().map(|(_, register)| *register).collect(),
        Source::Node { registers, .. } => registers.clone(),
        Source::Block(block) => block.relations.iter().flat_map(|inner| filled(&inner.source)).collect(),
    }
}

fn filtered(node: Node, predicates: Vec<Expr>) -> Node {
    match Expr::join_and(predicates) {
        Some(predicate) => Node::Filter { input: Box::new(node), predicate },
        None => node,
    }
}

fn first(source: Source, below: Vec<Expr>, wanted: &[SortKey]) -> (Node, bool) {
    let Source::Table(table) = source else { return (relation(source, below), false) };
    let mut scan = scan(&table, below).scan;
    let by_rowid = |register: Register| {
        table.columns.iter().any(|(column, own)| {
            *own == register
                && match column {
                    ColumnSource::Rowid => true,
                    ColumnSource::Column(column) => table.table.rowid_alias == Some(*column),
                }
        })
    };
    let mut ordered = false;
    if let Some(SortKey { expr: Expr::Register(register), descending, .. }) = wanted.first()
        && by_rowid(*register)
        && matches!(&scan.access, Access::Full | Access::Primary(_))
        && !table.table.without_rowid
    {
        scan.backward = *descending;
        ordered = true;
    }
    (Node::Scan(scan), ordered)
}

fn relation(source: Source, below: Vec<Expr>) -> Node {
    match source {
        Source::Table(table) => Node::Scan(scan(&table, below).scan),
        Source::Node { mut node, .. } => {
            below.into_iter().for_each(|predicate| push_filter(&mut node, predicate));
            node
        }
        Source::Block(mut block) => {
            block.filter.extend(below);
            plan(*block).node
        }
    }
}

fn join(
    left: Node,
    left_registers: &[Register],
    source: Source,
    right_registers: &[Register],
    kind: JoinKind,
    below: Vec<Expr>,
    on: Vec<Expr>,
) -> Node {
    let make = |right: Node, method: JoinMethod, condition: Vec<Expr>| {
        Node::Join(Box::new(Join {
            kind,
            left,
            right,
            method,
            condition: Expr::join_and(condition),
            left_registers: left_registers.to_vec(),
            right_registers: right_registers.to_vec(),
        }))
    };
    if matches!(kind, JoinKind::Inner | JoinKind::Left) {
        if let Source::Table(table) = &source {
            let mut all = below.clone();
            all.extend(on.iter().cloned());
            let choice = scan(table, all);
            let alone = scan(table, below.clone());
            if choice.equal > alone.equal {
                return make(Node::Scan(choice.scan), JoinMethod::Loop, Vec::new());
            }
        }
        if let Source::Node { node, .. } = &source
            && node.registers_read().iter().any(|register| left_registers.contains(register))
        {
            return make(relation(source, below), JoinMethod::Loop, on);
        }
    }
    let right = relation(source, below);
    let (keys, rest) = hash_keys(on, left_registers, right_registers);
    if keys.is_empty() {
        make(right, JoinMethod::Cross, rest)
    } else {
        make(right, JoinMethod::Hash(keys), rest)
    }
}

fn hash_keys(on: Vec<Expr>, left: &[Register], right: &[Register]) -> (Vec<HashKey>, Vec<Expr>) {
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for predicate in on {
        match predicate {
            Expr::Compare { op: CompareOp::Equal, rule, left: a, right: b } => {
                let within = |expr: &Expr, side: &[Register], other: &[Register]| {
                    let read = expr.registers_read();
                    read.iter().any(|register| side.contains(register))
                        && !read.iter().any(|register| other.contains(register))
                };
                if within(&a, left, right) && within(&b, right, left) {
                    keys.push(HashKey { left: *a, right: *b, rule });
                } else if within(&a, right, left) && within(&b, left, right) {
                    let rule = super::Comparison { left: rule.right, right: rule.left, ..rule };
                    keys.push(HashKey { left: *b, right: *a, rule });
                } else {
                    rest.push(Expr::Compare { op: CompareOp::Equal, rule, left: a, right: b });
                }
            }
            predicate => rest.push(predicate),
        }
    }
    (keys, rest)
}
