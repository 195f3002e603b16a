//! Which conjuncts can be looked up in a key: `column = value` and its like.

use super::graph::{Graph, Set, bit};
use super::{Source, TableSource};
use crate::catalog::schema::{IndexKey, Table};
use crate::plan::{Bound, ColumnSource, CompareOp, Comparison, Expr, KeyTerm, LikeKind, Register, Subquery};
use crate::value::{Affinity, Collation, Value};

/// What a term bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Column(usize),
    Rowid,
    /// The n-th part of the m-th index, an expression.
    IndexExpr(usize, usize),
}

/// How a term bounds it.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Equal(KeyTerm),
    Lower(Bound, bool),
    Upper(Bound, bool),
}

/// A conjunct, or half of one, as a bound on a part of a key.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) conjunct: usize,
    pub(super) part: Part,
    pub(super) shape: Shape,
    /// The collation it compares with; `None`: any will do.
    pub(super) collation: Option<Collation>,
    /// The relations that its value reads.
    pub(super) needs: Set,
    /// Looking it up is as good as testing it.
    pub(super) exact: bool,
    /// About how many values an IN has.
    pub(super) values: f64,
}

/// The terms that bound a relation's keys.
pub(super) fn of_relation(graph: &Graph, relation: usize) -> Vec<Term> {
    let Source::Table(source) = &graph.relations[relation].source else {
        return Vec::new();
    };
    let outer = graph.relations[relation].join != crate::plan::JoinKind::Inner && relation > 0;
    let mut terms = Vec::new();
    for (index, conjunct) in graph.conjuncts.iter().enumerate() {
        let usable = if outer { conjunct.on == Some(relation) } else { conjunct.on.is_none() };
        if usable && conjunct.reads & bit(relation) != 0 {
            let mut finder = Finder { graph, source, relation, conjunct: index, terms: &mut terms };
            finder.find(&conjunct.expr);
        }
    }
    terms
}

/// The terms of one expression on its own: a side of an OR.
pub(super) fn of_expr(graph: &Graph, relation: usize, expr: &Expr) -> Vec<Term> {
    let Source::Table(source) = &graph.relations[relation].source else {
        return Vec::new();
    };
    let mut terms = Vec::new();
    let mut pending = vec![expr];
    while let Some(expr) = pending.pop() {
        if let Expr::And(left, right) = expr {
            pending.extend([&**left, &**right]);
            continue;
        }
        Finder { graph, source, relation, conjunct: usize::MAX, terms: &mut terms }.find(expr);
    }
    terms
}

struct Finder<'a> {
    graph: &'a Graph,
    source: &'a TableSource,
    relation: usize,
    conjunct: usize,
    terms: &'a mut Vec<Term>,
}

impl Finder<'_> {
    fn find(&mut self, expr: &Expr) {
        match expr {
            Expr::Compare { op, rule, left, right } => {
                self.compare(*op, rule.left, rule.right, rule.collation, left, right);
                self.compare(op.mirrored(), rule.right, rule.left, rule.collation, right, left);
            }
            Expr::IsNull { not: false, operand } => {
                let null = Bound { expr: Expr::Literal(Value::Null), affinity: None };
                for part in self.parts(operand) {
                    self.push(part, Shape::Equal(KeyTerm::Is(null.clone())), None, 0, true, 1.0);
                }
            }
            Expr::Between { not: false, operand, low, low_rule, high, high_rule } => {
                self.compare(
                    CompareOp::GreaterEqual,
                    low_rule.left,
                    low_rule.right,
                    low_rule.collation,
                    operand,
                    low,
                );
                self.compare(
                    CompareOp::LessEqual,
                    high_rule.left,
                    high_rule.right,
                    high_rule.collation,
                    operand,
                    high,
                );
            }
            Expr::InList { not: false, operand, rule, list } => self.in_list(operand, rule, list),
            Expr::InQuery { not: false, operands, rules, query } => {
                if let ([operand], [rule]) = (operands.as_slice(), rules.as_slice()) {
                    self.in_query(operand, rule, query);
                }
            }
            Expr::Like { kind, not: false, operand, pattern, escape: None } => {
                self.like(*kind, operand, pattern)
            }
            _ => {}
        }
    }

    fn compare(
        &mut self,
        op: CompareOp,
        key_affinity: Option<Affinity>,
        value_affinity: Option<Affinity>,
        collation: Collation,
        key: &Expr,
        value: &Expr,
    ) {
        let needs = self.graph.reads(value);
        if needs & bit(self.relation) != 0 || value.is_volatile() {
            return;
        }
        let bound = Bound { expr: value.clone(), affinity: value_affinity };
        for part in self.parts(key) {
            if !self.keeps_values(part, key_affinity) {
                continue;
            }
            let shape = match op {
                CompareOp::Equal => Shape::Equal(KeyTerm::Equal(bound.clone())),
                CompareOp::Is => Shape::Equal(KeyTerm::Is(bound.clone())),
                CompareOp::Greater => Shape::Lower(bound.clone(), false),
                CompareOp::GreaterEqual => Shape::Lower(bound.clone(), true),
                CompareOp::Less => Shape::Upper(bound.clone(), false),
                CompareOp::LessEqual => Shape::Upper(bound.clone(), true),
                CompareOp::NotEqual | CompareOp::IsNot => continue,
            };
            // A rowid range bounded by a real or a text is tested again: cheap, and right for any bound.
            let exact = part != Part::Rowid || matches!(shape, Shape::Equal(_));
            self.push(part, shape, Some(collation), needs, exact, 1.0);
        }
    }

    fn in_list(&mut self, operand: &Expr, rule: &Comparison, list: &[Expr]) {
        let needs = list.iter().fold(0, |set, member| set | self.graph.reads(member));
        if needs & bit(self.relation) != 0 || list.iter().any(Expr::is_volatile) {
            return;
        }
        for part in self.parts(operand) {
            if self.keeps_values(part, rule.left) {
                let bounds =
                    list.iter().map(|expr| Bound { expr: expr.clone(), affinity: rule.right }).collect();
                let values = list.len() as f64;
                self.push(part, Shape::Equal(KeyTerm::In(bounds)), Some(rule.collation), needs, true, values);
            }
        }
    }

    fn in_query(&mut self, operand: &Expr, rule: &Comparison, query: &Subquery) {
        let needs = query.arguments.iter().fold(0, |set, argument| set | self.graph.reads(argument));
        if needs & bit(self.relation) != 0 {
            return;
        }
        for part in self.parts(operand) {
            if self.keeps_values(part, rule.left) {
                let term = KeyTerm::InQuery { query: query.clone(), affinity: rule.right };
                self.push(part, Shape::Equal(term), Some(rule.collation), needs, true, 25.0);
            }
        }
    }

    /// `x LIKE 'abc%'` lies between `abc` and `abd`, in an index that compares as LIKE does.
    fn like(&mut self, kind: LikeKind, operand: &Expr, pattern: &Expr) {
        let Expr::Literal(Value::Text(pattern)) = pattern else {
            return;
        };
        let glob = kind == LikeKind::Glob;
        let folds = kind == LikeKind::Like;
        let wild: &[char] = if glob { &['*', '?', '['] } else { &['%', '_'] };
        let prefix = &pattern[..pattern.find(wild).unwrap_or(pattern.len())];
        // What looks like a number could be one in a column without type; and a non-ASCII tail has no simple successor.
        let usable = !prefix.is_empty() && prefix.is_ascii() && !prefix.ends_with('\u{7f}');
        let Some(last) = prefix.chars().last().filter(|_| usable) else {
            return;
        };
        let (prefix, last) = if !folds {
            (prefix.to_owned(), last)
        } else {
            (prefix.to_ascii_lowercase(), last.to_ascii_lowercase())
        };
        let collation = if folds { Collation::NoCase } else { Collation::Binary };
        let mut above = prefix[..prefix.len() - 1].to_owned();
        above.push(char::from(last as u8 + 1));
        for part in self.parts(operand) {
            let Part::Column(column) = part else { continue };
            if self.source.table.columns[column].affinity != Affinity::Text {
                continue;
            }
            let bound = |text: &str| Bound { expr: Expr::Literal(Value::Text(text.into())), affinity: None };
            self.push(part, Shape::Lower(bound(&prefix), true), Some(collation), 0, false, 1.0);
            self.push(part, Shape::Upper(bound(&above), false), Some(collation), 0, false, 1.0);
        }
    }

    fn push(
        &mut self,
        part: Part,
        shape: Shape,
        collation: Option<Collation>,
        needs: Set,
        exact: bool,
        values: f64,
    ) {
        self.terms.push(Term { conjunct: self.conjunct, part, shape, collation, needs, exact, values });
    }

    /// Whether applying `affinity` to what the key holds changes nothing, so that key order is comparison order.
    fn keeps_values(&self, part: Part, affinity: Option<Affinity>) -> bool {
        let numeric = |affinity| matches!(affinity, Affinity::Integer | Affinity::Real | Affinity::Numeric);
        let Some(applied) = affinity else { return true };
        match part {
            Part::Rowid => numeric(applied),
            Part::Column(column) => {
                let own = self.source.table.columns[column].affinity;
                applied == Affinity::Blob || own == applied || numeric(own) && numeric(applied)
            }
            Part::IndexExpr(..) => false,
        }
    }

    /// The parts of keys that `expr` is.
    fn parts(&self, expr: &Expr) -> Vec<Part> {
        if let Expr::Register(register) = expr {
            return column_of(self.source, *register).into_iter().collect();
        }
        let table = &self.source.table;
        let mut parts = Vec::new();
        for (at, index) in table.indexes.iter().enumerate() {
            for (position, column) in index.columns.iter().enumerate() {
                if let IndexKey::Expr(key) = &column.key
                    && same(key, expr, self.source)
                {
                    parts.push(Part::IndexExpr(at, position));
                }
            }
        }
        parts
    }
}

/// The column of the table that a register holds.
pub(super) fn column_of(source: &TableSource, register: Register) -> Option<Part> {
    let (column, _) = source.columns.iter().find(|(_, filled)| *filled == register)?;
    Some(match column {
        ColumnSource::Rowid => Part::Rowid,
        ColumnSource::Period(_) => return None,
        ColumnSource::Column(column) => plain(&source.table, *column),
    })
}

/// A column, or the rowid where it is another name of it.
pub(super) fn plain(table: &Table, column: usize) -> Part {
    if table.rowid_alias == Some(column) { Part::Rowid } else { Part::Column(column) }
}

/// Whether `schema`, over the table's columns by position, says the same as `expr`, over the query's registers.
pub(super) fn same(schema: &Expr, expr: &Expr, source: &TableSource) -> bool {
    let register_of = |position: Register| {
        let position = position.0 as usize;
        let part =
            if position == source.table.columns.len() { Part::Rowid } else { plain(&source.table, position) };
        source
            .columns
            .iter()
            .map(|(_, register)| *register)
            .find(|register| column_of(source, *register) == Some(part))
    };
    let mut missing = false;
    let mut mapped = schema.clone();
    mapped.replace(&mut |expr| match expr {
        Expr::Register(position) => {
            let register = register_of(*position);
            missing |= register.is_none();
            register.map(Expr::Register)
        }
        _ => None,
    });
    !missing && mapped.same(expr)
}
