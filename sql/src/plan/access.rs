//! How a table's rows are found: which of its keys the predicates bound, and what is left to test.

use std::sync::Arc;

use super::choose::{IndexHint, TableSource};
use super::{
    Access, Bound, ColumnSource, CompareOp, Comparison, Expr, KeyBounds, KeyTerm, Node, Register, Scan,
};
use crate::catalog::schema::{Index, IndexColumn, IndexKey, Table};
use crate::value::{Collation, Value};

/// A scan of a table and how good its access is.
pub(super) struct Choice {
    /// The scan, with the predicates that its bounds don't answer as its filter.
    pub(super) scan: Scan,
    /// How many leading parts of a key are bound by equality.
    pub(super) equal: usize,
}

/// What a predicate says about one column.
struct Term<'e> {
    column: ColumnSource,
    collation: Collation,
    predicate: usize,
    test: Test<'e>,
}

enum Test<'e> {
    Equal(Bound),
    Is(Bound),
    In(&'e [Expr], Comparison),
    Query(&'e Expr),
    Above(Bound, bool),
    Below(Bound, bool),
}

/// Chooses an access to `source` for rows that pass all `predicates`, which may read registers of an enclosing join's left
/// row.
pub(super) fn scan(source: &TableSource, predicates: Vec<Expr>) -> Choice {
    let terms = terms(source, &predicates);
    let mut best = Candidate::full().max(primary(source, &terms));
    if source.hint != IndexHint::None {
        for index in &source.table.indexes {
            let wanted =
                matches!(&source.hint, IndexHint::Use(name) if index.name.eq_ignore_ascii_case(name));
            if index.filter.is_some() {
                continue;
            }
            let mut candidate = by_index(source, index, &terms);
            if wanted {
                candidate.score = u32::MAX;
            }
            best = best.max(candidate);
        }
    }
    let Candidate { access, used, equal, .. } = best;
    drop(terms);
    let rest = predicates
        .into_iter()
        .enumerate()
        .filter(|(at, _)| !used.contains(at))
        .map(|(_, predicate)| predicate)
        .collect();
    let scan = Scan {
        table: source.table.clone(),
        alias: source.alias.clone(),
        point: source.point,
        columns: source.columns.clone(),
        access,
        filter: Expr::join_and(rest),
        backward: false,
    };
    Choice { scan, equal }
}

struct Candidate {
    access: Access,
    /// The predicates that the bounds answer wholly.
    used: Vec<usize>,
    equal: usize,
    score: u32,
}

impl Candidate {
    fn full() -> Self {
        Candidate { access: Access::Full, used: Vec::new(), equal: 0, score: 0 }
    }

    fn max(self, other: Candidate) -> Candidate {
        if other.score > self.score { other } else { self }
    }
}

fn primary(source: &TableSource, terms: &[Term<'_>]) -> Candidate {
    let table = &source.table;
    let parts: Vec<(ColumnSource, Collation, bool)> = if table.without_rowid {
        table.primary_key.iter().filter_map(|part| part_of(table, part)).collect()
    } else {
        vec![(ColumnSource::Rowid, Collation::Binary, false)]
    };
    let (bounds, used, score) = bounds(&parts, terms, true);
    if score == 0 {
        return Candidate::full();
    }
    let equal = bounds.equal.len();
    Candidate { access: Access::Primary(bounds), used, equal, score: score + 2 }
}

fn by_index(source: &TableSource, index: &Arc<Index>, terms: &[Term<'_>]) -> Candidate {
    let parts: Vec<_> = index.columns.iter().map_while(|part| part_of(&source.table, part)).collect();
    let (bounds, used, score) = bounds(&parts, terms, index.unique && parts.len() == index.columns.len());
    let equal = bounds.equal.len();
    Candidate { access: Access::Index { index: index.clone(), bounds, covering: false }, used, equal, score }
}

fn part_of(table: &Table, part: &IndexColumn) -> Option<(ColumnSource, Collation, bool)> {
    let column = match part.key {
        IndexKey::Column(column) if table.rowid_alias == Some(column) => ColumnSource::Rowid,
        IndexKey::Column(column) => ColumnSource::Column(column),
        IndexKey::Rowid => ColumnSource::Rowid,
        IndexKey::Expr(_) => return None,
    };
    Some((column, part.collation, part.descending))
}

/// The bounds that `terms` put on a key of these parts, the predicates that they answer, and a score: 0 for none.
fn bounds(
    parts: &[(ColumnSource, Collation, bool)],
    terms: &[Term<'_>],
    unique: bool,
) -> (KeyBounds, Vec<usize>, u32) {
    let mut bounds = KeyBounds::default();
    let mut used = Vec::new();
    for (column, collation, _) in parts {
        let fits = |term: &&Term<'_>| term.column == *column && term.collation == *collation;
        let found = terms.iter().filter(fits).find_map(|term| Some((term, key_term(&term.test)?)));
        let Some((term, key)) = found else { break };
        bounds.equal.push(key);
        used.push(term.predicate);
    }
    let equal = bounds.equal.len();
    if unique && equal == parts.len() && equal > 0 {
        return (bounds, used, 1000);
    }
    let mut score = u32::try_from(equal).unwrap_or(u32::MAX / 16) * 10;
    if let Some((column, collation, false)) = parts.get(equal) {
        for term in terms.iter().filter(|term| term.column == *column && term.collation == *collation) {
            match &term.test {
                Test::Above(bound, inclusive) if bounds.lower.is_none() => {
                    bounds.lower = Some((bound.clone(), *inclusive));
                }
                Test::Below(bound, inclusive) if bounds.upper.is_none() => {
                    bounds.upper = Some((bound.clone(), *inclusive));
                }
                _ => continue,
            }
            score += 3;
            // A range alone lets NULLs in at its open lower end, and BETWEEN has two halves: the test stays.
        }
    }
    (bounds, used, score)
}

fn key_term(test: &Test<'_>) -> Option<KeyTerm> {
    match test {
        Test::Equal(bound) => Some(KeyTerm::Equal(bound.clone())),
        Test::Is(bound) => Some(KeyTerm::Is(bound.clone())),
        Test::In(list, rule) => Some(KeyTerm::In(
            list.iter().map(|expr| Bound { expr: expr.clone(), affinity: rule.right }).collect(),
        )),
        Test::Query(Expr::InQuery { query, rules, .. }) => {
            Some(KeyTerm::InQuery { query: query.clone(), affinity: rules.first()?.right })
        }
        _ => None,
    }
}

fn terms<'e>(source: &TableSource, predicates: &'e [Expr]) -> Vec<Term<'e>> {
    let mut terms = Vec::new();
    let column = |expr: &Expr| own_column(source, expr);
    let fixed = |expr: &Expr| {
        !expr.is_volatile() && !expr.any(|e| matches!(e, Expr::Register(r) if owns(source, *r)))
    };
    for (predicate, expr) in predicates.iter().enumerate() {
        let mut add = |column, collation, test| terms.push(Term { column, collation, predicate, test });
        match expr {
            Expr::Compare { op, rule, left, right } => {
                if let Some(found) = column(left)
                    && rule.left.is_none()
                    && fixed(right)
                    && let Some(test) =
                        compare_test(*op, Bound { expr: (**right).clone(), affinity: rule.right })
                {
                    add(found, rule.collation, test);
                }
                if let Some(found) = column(right)
                    && rule.right.is_none()
                    && fixed(left)
                    && let Some(test) =
                        compare_test(op.mirrored(), Bound { expr: (**left).clone(), affinity: rule.left })
                {
                    add(found, rule.collation, test);
                }
            }
            Expr::IsNull { not: false, operand } => {
                if let Some(found) = column(operand) {
                    let bound = Bound { expr: Expr::Literal(Value::Null), affinity: None };
                    for collation in [Collation::Binary, Collation::NoCase, Collation::RTrim] {
                        add(found, collation, Test::Is(bound.clone()));
                    }
                }
            }
            Expr::Between { not: false, operand, low, low_rule, high, high_rule } => {
                if let Some(found) = column(operand) {
                    if low_rule.left.is_none() && fixed(low) {
                        let bound = Bound { expr: (**low).clone(), affinity: low_rule.right };
                        add(found, low_rule.collation, Test::Above(bound, true));
                    }
                    if high_rule.left.is_none() && fixed(high) {
                        let bound = Bound { expr: (**high).clone(), affinity: high_rule.right };
                        add(found, high_rule.collation, Test::Below(bound, true));
                    }
                }
            }
            Expr::InList { not: false, operand, rule, list } => {
                if let Some(found) = column(operand)
                    && rule.left.is_none()
                    && list.iter().all(fixed)
                {
                    add(found, rule.collation, Test::In(list, *rule));
                }
            }
            Expr::InQuery { not: false, operands, rules, query } => {
                if let ([operand], [rule]) = (operands.as_slice(), rules.as_slice())
                    && let Some(found) = column(operand)
                    && rule.left.is_none()
                    && query.arguments.iter().all(fixed)
                {
                    add(found, rule.collation, Test::Query(expr));
                }
            }
            _ => {}
        }
    }
    terms
}

fn compare_test<'e>(op: CompareOp, bound: Bound) -> Option<Test<'e>> {
    Some(match op {
        CompareOp::Equal => Test::Equal(bound),
        CompareOp::Is => Test::Is(bound),
        CompareOp::Greater => Test::Above(bound, false),
        CompareOp::GreaterEqual => Test::Above(bound, true),
        CompareOp::Less => Test::Below(bound, false),
        CompareOp::LessEqual => Test::Below(bound, true),
        CompareOp::NotEqual | CompareOp::IsNot => return None,
    })
}

fn owns(source: &TableSource, register: Register) -> bool {
    source.columns.iter().any(|(_, own)| *own == register)
}

fn own_column(source: &TableSource, expr: &Expr) -> Option<ColumnSource> {
    let Expr::Register(register) = expr else { return None };
    let (column, _) = source.columns.iter().find(|(_, own)| own == register)?;
    Some(match column {
        ColumnSource::Column(column) if source.table.rowid_alias == Some(*column) => ColumnSource::Rowid,
        column => *column,
    })
}

/// Puts a predicate as far down as it may go without changing what the rows are.
pub(super) fn push_filter(node: &mut Node, predicate: Expr) {
    let read = predicate.registers_read();
    let passes = match node {
        Node::Sort { limit: None, .. } => true,
        Node::Compute { columns, .. } => {
            !predicate.is_volatile() && !columns.iter().any(|(own, _)| read.binary_search(own).is_ok())
        }
        _ => false,
    };
    match node {
        Node::Sort { input, .. } | Node::Compute { input, .. } if passes => push_filter(input, predicate),
        Node::Filter { predicate: other, .. } => {
            let first = std::mem::replace(other, Expr::Literal(Value::Null));
            *other = Expr::And(Box::new(first), Box::new(predicate));
        }
        _ => {
            let input = Box::new(std::mem::replace(node, Node::Nothing));
            *node = Node::Filter { input, predicate };
        }
    }
}
