//! The cheapest way to the rows of one table, given which other relations are bound already.
//!
//! Costs are in units of reading one row in order. Where nothing is known of a table it counts as large, so that an
//! index beats a scan, as in SQLite without ANALYZE (<https://www.sqlite.org/optoverview.html>).

use super::graph::{Graph, Set, bit, rejects_null};
use super::terms::{self, Part, Shape, Term};
use super::{IndexHint, Source, TableSource};
use crate::catalog::schema::{Index, IndexColumn, IndexKey, Place};
use crate::plan::{ColumnSource, Expr, KeyTerm, Register, SortKey};
use crate::value::{Affinity, Collation};

/// Rows of a table of which nothing is known.
const UNKNOWN_ROWS: f64 = 1_000_000.0;
/// The cost of finding the start of a range.
const SEEK: f64 = 5.0;
/// The cost of fetching a row that an index entry names.
const FETCH: f64 = 4.0;

/// How many places of a key several lists of values together may name. One list may be as long as it likes.
const MAX_COMBINED: f64 = 10_000.0;

/// A way to the rows of a table.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) kind: Kind,
    /// Rows that it yields for one row of what is bound.
    pub(super) rows: f64,
    /// What one run costs.
    pub(super) cost: f64,
    /// The rows come in the wanted order.
    pub(super) ordered: bool,
    pub(super) backward: bool,
    /// The conjuncts that it makes true, which need no test.
    pub(super) consumed: Vec<usize>,
}

/// How the rows are found. Numbers are positions in the relation's terms.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Full,
    Primary(Range),
    Index { index: usize, range: Range, covering: bool },
    Union(Vec<(Kind, Vec<Term>)>),
}

/// The terms that bound a key.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    pub(super) equal: Vec<usize>,
    pub(super) lower: Option<usize>,
    pub(super) upper: Option<usize>,
}

impl Range {
    fn terms(&self) -> impl Iterator<Item = usize> + '_ {
        self.equal.iter().copied().chain(self.lower).chain(self.upper)
    }

    fn is_empty(&self) -> bool {
        self.terms().next().is_none()
    }
}

/// How many rows a table is taken to have.
pub(super) fn table_rows(source: &TableSource) -> f64 {
    source.rows.map_or(UNKNOWN_ROWS, |rows| (rows as f64).max(1.0))
}

/// The cheapest path to `relation`'s rows when `bound` is bound. `order`: what the rows should be sorted by, and the cost of
/// sorting them otherwise.
pub(super) fn best(
    graph: &Graph,
    relation: usize,
    terms: &[Term],
    bound: Set,
    order: Option<&[SortKey]>,
) -> Option<Path> {
    let Source::Table(source) = &graph.relations[relation].source else {
        return None;
    };
    let search =
        Search { graph, relation, source, terms, bound, order: order.filter(|order| !order.is_empty()) };
    let mut paths = search.paths();
    if matches!(source.hint, IndexHint::Free | IndexHint::Changed) {
        paths.extend(search.unions());
    }
    let limit = graph.limit.map(|limit| limit as f64);
    paths.into_iter().min_by(|a, b| search.price(a, limit).total_cmp(&search.price(b, limit)))
}

struct Search<'a> {
    graph: &'a Graph,
    relation: usize,
    source: &'a TableSource,
    terms: &'a [Term],
    bound: Set,
    order: Option<&'a [SortKey]>,
}

impl Search<'_> {
    /// The cost of a path with what sorting its rows would cost.
    fn price(&self, path: &Path, limit: Option<f64>) -> f64 {
        if self.order.is_none() {
            return path.cost;
        }
        if path.ordered {
            return path.cost * limit.map_or(1.0, |limit| (limit / path.rows.max(1.0)).min(1.0));
        }
        path.cost + path.rows * path.rows.max(2.0).log2() * 0.3
    }

    fn paths(&self) -> Vec<Path> {
        let table = &self.source.table;
        let mut paths = Vec::new();
        if let IndexHint::Use(name) = &self.source.hint {
            let found = table.indexes.iter().position(|index| index.name.eq_ignore_ascii_case(name));
            paths.extend(found.map(|at| self.index_path(at)));
            return paths;
        }
        paths.push(self.primary_path());
        if self.source.hint != IndexHint::None {
            let usable = |at: &usize| self.filter_holds(&table.indexes[*at]);
            paths.extend((0..table.indexes.len()).filter(usable).map(|at| self.index_path(at)).filter(
                |path| {
                    // A full walk of an index helps only where it covers, or gives the order.
                    let walks = self.source.hint != IndexHint::Changed;
                    !matches!(&path.kind, Kind::Index { range, covering, .. }
                    if range.is_empty() && !path.ordered && !(*covering && walks))
                },
            ));
        }
        paths
    }

    fn usable(&self, term: &Term) -> bool {
        term.needs & !self.bound == 0 && term.needs & bit(self.relation) == 0
    }

    fn primary_path(&self) -> Path {
        let rowid = [IndexColumn { key: IndexKey::Rowid, collation: Collation::Binary, descending: false }];
        let table = &self.source.table;
        let columns: &[IndexColumn] = if table.without_rowid { &table.primary_key } else { &rowid };
        let range = self.range(columns, None);
        let (rows, seeks) = self.estimate(&range, columns.len(), true);
        let (ordered, backward) = self.order_of(columns, &range);
        let kind = if range.is_empty() { Kind::Full } else { Kind::Primary(range.clone()) };
        Path { kind, rows, cost: seeks * SEEK + rows, ordered, backward, consumed: self.consumed(&range) }
    }

    fn index_path(&self, at: usize) -> Path {
        let index = &self.source.table.indexes[at];
        let range = self.range(&index.columns, Some(at));
        let (rows, seeks) = self.estimate(&range, index.columns.len(), index.unique);
        let covering = self.covers(index);
        let (ordered, backward) = self.order_of(&index.columns, &range);
        let each = if covering { 0.9 } else { 1.0 + FETCH };
        let cost = seeks * SEEK + rows * each;
        let consumed = self.consumed(&range);
        Path { kind: Kind::Index { index: at, range, covering }, rows, cost, ordered, backward, consumed }
    }

    /// The longest run of equal leading parts, then a range on the next.
    fn range(&self, columns: &[IndexColumn], index: Option<usize>) -> Range {
        let mut range = Range::default();
        for (position, column) in columns.iter().enumerate() {
            let fits = |shape: fn(&Shape) -> bool| {
                self.terms.iter().position(|term| {
                    shape(&term.shape)
                        && self.usable(term)
                        && self.bounds(term.part, column, index, position)
                        && (term.part == Part::Rowid || term.collation.is_none_or(|c| c == column.collation))
                })
            };
            if let Some(term) = fits(|shape| matches!(shape, Shape::Equal(_))) {
                if self.multiplies(&range.equal, &self.terms[term]) {
                    break;
                }
                range.equal.push(term);
                continue;
            }
            range.lower = fits(|shape| matches!(shape, Shape::Lower(..)));
            range.upper = fits(|shape| matches!(shape, Shape::Upper(..)));
            break;
        }
        range
    }

    /// Whether the values of a further part, each behind each of those before, are too many to be looked up one by one.
    fn multiplies(&self, before: &[usize], term: &Term) -> bool {
        let unknown = |term: &Term| matches!(term.shape, Shape::Equal(KeyTerm::InQuery { .. }));
        let lists = before.iter().map(|&at| &self.terms[at]).filter(|term| term.values > 1.0);
        let combined: f64 = lists.clone().map(|term| term.values).product();
        let several = term.values > 1.0 && combined > 1.0;
        several && (combined * term.values > MAX_COMBINED || unknown(term) || lists.into_iter().any(unknown))
    }

    fn bounds(&self, part: Part, column: &IndexColumn, index: Option<usize>, position: usize) -> bool {
        match &column.key {
            IndexKey::Column(column) => part == terms::plain(&self.source.table, *column),
            IndexKey::Rowid => part == Part::Rowid,
            IndexKey::Expr(_) => index.is_some_and(|index| part == Part::IndexExpr(index, position)),
        }
    }

    /// About how many rows a range holds, and in how many places.
    fn estimate(&self, range: &Range, columns: usize, unique: bool) -> (f64, f64) {
        let total = table_rows(self.source);
        let seeks: f64 = range.equal.iter().map(|&term| self.terms[term].values.max(1.0)).product();
        let mut rows = match range.equal.len() {
            0 => total,
            n if n == columns && unique => 1.0,
            n => {
                // As SQLite guesses: ten rows for one equal part, fewer for more; a small table has fewer still.
                let each = [10.0, 8.0, 6.0, 4.0][n.min(4) - 1];
                f64::min(each, total / 4.0).max(1.0)
            }
        };
        match (range.lower, range.upper) {
            (Some(_), Some(_)) => rows /= 16.0,
            (None, None) => {}
            _ => rows /= 4.0,
        }
        ((rows * seeks).clamp(1.0, total.max(1.0)), seeks)
    }

    /// The conjuncts all of whose terms are in the range and exact.
    fn consumed(&self, range: &Range) -> Vec<usize> {
        let used: Vec<usize> = range.terms().collect();
        let mut consumed: Vec<usize> = used.iter().map(|&term| self.terms[term].conjunct).collect();
        consumed.sort_unstable();
        consumed.dedup();
        // A range without a lower end lets NULLs in: its test stays.
        let open = range.upper.filter(|_| range.lower.is_none()).map(|term| self.terms[term].conjunct);
        consumed.retain(|&conjunct| {
            if open == Some(conjunct) {
                return false;
            }
            let halves = match &self.graph.conjuncts.get(conjunct).map(|conjunct| &conjunct.expr) {
                Some(Expr::Between { .. } | Expr::Like { .. }) => 2,
                _ => 1,
            };
            let mine = used.iter().filter(|&&term| self.terms[term].conjunct == conjunct);
            mine.clone().count() >= halves && mine.into_iter().all(|&term| self.terms[term].exact)
        });
        consumed
    }

    /// Whether an index entry holds every column that is read.
    fn covers(&self, index: &Index) -> bool {
        let table = &self.source.table;
        self.source.columns.iter().all(|(column, _)| match column {
            ColumnSource::Rowid => true,
            ColumnSource::Period(_) => false,
            ColumnSource::Column(column) => {
                let held = index.columns.iter().any(|part| {
                    matches!(part.key, IndexKey::Column(c) if c == *column)
                        && part.collation == Collation::Binary
                        && table.columns[*column].affinity != Affinity::Blob
                });
                held || matches!(table.columns[*column].place, Place::Rowid | Place::Key(_))
            }
        })
    }

    /// Whether a partial index holds every row that is wanted.
    fn filter_holds(&self, index: &Index) -> bool {
        let Some(filter) = &index.filter else {
            return true;
        };
        let outer =
            self.relation > 0 && self.graph.relations[self.relation].join != crate::plan::JoinKind::Inner;
        let wanted = |on: Option<usize>| if outer { on == Some(self.relation) } else { on.is_none() };
        let mut members = Vec::new();
        Expr::clone(filter).split_and(&mut members);
        members.iter().all(|member| {
            self.graph.conjuncts.iter().filter(|conjunct| wanted(conjunct.on)).any(|conjunct| {
                terms::same(member, &conjunct.expr, self.source)
                    || self.implies_not_null(member, &conjunct.expr)
            })
        })
    }

    /// `column IS NOT NULL` holds wherever a comparison with the column does.
    fn implies_not_null(&self, member: &Expr, conjunct: &Expr) -> bool {
        let Expr::IsNull { not: true, operand } = member else {
            return false;
        };
        let Expr::Register(position) = **operand else {
            return false;
        };
        let part = terms::plain(&self.source.table, position.0 as usize);
        rejects_null(conjunct, &|register: Register| terms::column_of(self.source, register) == Some(part))
    }

    /// Whether walking the key gives the wanted order, and in which direction.
    fn order_of(&self, columns: &[IndexColumn], range: &Range) -> (bool, bool) {
        // Of versions several share a key, in no order that anybody asks for.
        let Some(order) = self.order.filter(|_| self.source.versions.is_none()) else {
            return (false, false);
        };
        // Several values of an equal part: each value's rows are in order, all of them are not.
        if range.equal.iter().any(|&term| self.terms[term].values > 1.0) {
            return (false, false);
        }
        let mut parts = columns.iter().enumerate();
        let mut backward = None;
        let mut past_end = false;
        for key in order {
            // After the rowid, which no two rows share, further keys decide nothing; but rows of other tables repeat it.
            if self.is_fixed(key, columns, range) || (past_end && self.is_own(&key.expr)) {
                continue;
            }
            if past_end {
                return (false, false);
            }
            let next = parts.find(|(position, _)| *position >= range.equal.len());
            let Some((_, column)) = next else {
                // All parts are used up: only the rowid, which orders the entries of an index, can follow.
                if !(self.is_rowid(&key.expr) && backward != Some(!key.descending)) {
                    return (false, false);
                }
                backward = Some(key.descending);
                past_end = true;
                continue;
            };
            let matches = self.key_is(&key.expr, column)
                && (column.collation == key.collation || self.is_rowid(&key.expr));
            let reversed = key.descending != column.descending;
            let nulls_fit = key.nulls_first != key.descending;
            if !matches || !nulls_fit || backward.is_some_and(|backward| backward != reversed) {
                return (false, false);
            }
            backward = Some(reversed);
            past_end = matches!(column.key, IndexKey::Rowid);
        }
        (true, backward.unwrap_or(false))
    }

    /// Whether an expression reads this table and nothing else.
    fn is_own(&self, expr: &Expr) -> bool {
        expr.registers_read().iter().all(|register| terms::column_of(self.source, *register).is_some())
    }

    fn is_rowid(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Register(register) if terms::column_of(self.source, *register) == Some(Part::Rowid))
    }

    /// Whether a sort key has one value in all rows of the range.
    fn is_fixed(&self, key: &SortKey, columns: &[IndexColumn], range: &Range) -> bool {
        // What is equal under the index's collation may differ under the key's.
        let fixes = |column: &IndexColumn| {
            self.key_is(&key.expr, column)
                && (column.collation == key.collation || column.collation == Collation::Binary)
        };
        key.expr.is_constant() || columns[..range.equal.len()].iter().any(fixes)
    }

    fn key_is(&self, expr: &Expr, column: &IndexColumn) -> bool {
        match (&column.key, expr) {
            (IndexKey::Expr(key), expr) => terms::same(key, expr, self.source),
            (IndexKey::Column(column), Expr::Register(register)) => {
                terms::column_of(self.source, *register) == Some(terms::plain(&self.source.table, *column))
            }
            (IndexKey::Rowid, expr) => self.is_rowid(expr),
            _ => false,
        }
    }

    /// OR of lookups: the union of the rows of each side.
    fn unions(&self) -> Option<Path> {
        let outer =
            self.relation > 0 && self.graph.relations[self.relation].join != crate::plan::JoinKind::Inner;
        let wanted = |on: Option<usize>| if outer { on == Some(self.relation) } else { on.is_none() };
        let ors = self.graph.conjuncts.iter().filter(|conjunct| {
            wanted(conjunct.on)
                && matches!(conjunct.expr, Expr::Or(..))
                && conjunct.reads & bit(self.relation) != 0
        });
        ors.filter_map(|conjunct| self.union(&conjunct.expr)).min_by(|a, b| a.cost.total_cmp(&b.cost))
    }

    fn union(&self, or: &Expr) -> Option<Path> {
        let mut sides = Vec::new();
        let mut pending = vec![or];
        while let Some(expr) = pending.pop() {
            match expr {
                Expr::Or(left, right) => pending.extend([&**right, &**left]),
                side => sides.push(side),
            }
        }
        let (mut kinds, mut rows, mut cost) = (Vec::new(), 0.0, 0.0);
        for side in sides {
            let terms = terms::of_expr(self.graph, self.relation, side);
            let search = Search { terms: &terms, order: None, ..*self };
            let best = search
                .paths()
                .into_iter()
                .filter(|path| !path.is_full())
                .min_by(|a, b| a.cost.total_cmp(&b.cost))?;
            rows += best.rows;
            cost += best.cost + best.rows;
            kinds.push((best.kind, terms));
        }
        let rows = rows.min(table_rows(self.source));
        Some(Path {
            kind: Kind::Union(kinds),
            rows,
            cost,
            ordered: false,
            backward: false,
            consumed: Vec::new(),
        })
    }
}

impl Path {
    fn is_full(&self) -> bool {
        match &self.kind {
            Kind::Full => true,
            Kind::Index { range, .. } | Kind::Primary(range) => range.is_empty(),
            Kind::Union(_) => false,
        }
    }
}
