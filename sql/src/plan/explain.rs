//! EXPLAIN QUERY PLAN: a plan as lines of text, each under its parent, in SQLite's words where the plan is SQLite's
//! (<https://www.sqlite.org/eqp.html>) and in words of the same kind where it is not (hash joins).

use super::{
    Access, Aggregate, CompoundKind, Expr, Join, JoinKind, JoinMethod, KeyBounds, Node, Query, Recursive,
    Scan, TableFunction, VersionPart,
};
use crate::catalog::schema::{IndexColumn, IndexKey, Table};
use crate::storage::StateTable;

/// A line of the plan. Ids rise from 1; parent 0 is the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Line {
    pub id: i64,
    pub parent: i64,
    pub detail: String,
}

/// The plan of a query.
#[must_use]
pub fn explain(query: &Query) -> Vec<Line> {
    let mut lines = Lines::default();
    lines.query(query, 0, None);
    lines.0
}

#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn push(&mut self, parent: i64, detail: impl Into<String>) -> i64 {
        let id = self.0.len() as i64 + 1;
        self.0.push(Line { id, parent, detail: detail.into() });
        id
    }

    fn query(&mut self, query: &Query, parent: i64, title: Option<&str>) {
        let parent = title.map_or(parent, |title| self.push(parent, title));
        self.node(&query.root, parent);
        query.outputs.iter().for_each(|expr| self.expr(expr, parent));
    }

    fn node(&mut self, node: &Node, parent: i64) {
        match node {
            Node::OneRow => {
                self.push(parent, "SCAN CONSTANT ROW");
            }
            Node::Nothing => {
                self.push(parent, "NO ROWS");
            }
            Node::Scan(scan) => self.scan(scan, parent),
            Node::Values { rows, .. } => {
                let plural = if rows.len() == 1 { "" } else { "S" };
                self.push(parent, format!("SCAN {} CONSTANT ROW{plural}", rows.len()));
            }
            Node::TableFunction { function, .. } => {
                self.push(parent, format!("SCAN {} VIRTUAL TABLE", function_name(*function)));
            }
            Node::Nested { query, shared, .. } => {
                let title = if shared.is_some() { "MATERIALIZE" } else { "CO-ROUTINE" };
                self.query(&query.query, parent, Some(title));
            }
            Node::Filter { input, predicate } => {
                self.node(input, parent);
                self.expr(predicate, parent);
            }
            Node::Compute { input, columns } => {
                self.node(input, parent);
                columns.iter().for_each(|(_, expr)| self.expr(expr, parent));
            }
            Node::Join(join) => self.join(join, parent),
            Node::Aggregate(aggregate) => self.aggregate(aggregate, parent),
            Node::Window(window) => {
                self.node(&window.input, parent);
                if !window.partition_by.is_empty() || !window.order_by.is_empty() {
                    self.push(parent, "USE TEMP B-TREE FOR WINDOW");
                }
            }
            Node::Sort { input, .. } => {
                self.node(input, parent);
                self.push(parent, "USE TEMP B-TREE FOR ORDER BY");
            }
            Node::Limit { input, .. } => self.node(input, parent),
            Node::Distinct { input, .. } => {
                self.node(input, parent);
                self.push(parent, "USE TEMP B-TREE FOR DISTINCT");
            }
            Node::Compound(_) => {
                let compound = self.push(parent, "COMPOUND QUERY");
                self.compound(node, compound);
            }
            Node::Recursive(recursive) => self.recursive(recursive, parent),
            Node::WorkingTable { .. } => {
                self.push(parent, "SCAN WORKING TABLE");
            }
            Node::Versions(scan) => {
                let what = match scan.part {
                    VersionPart::Versions { .. } => "VERSIONS",
                    VersionPart::Diff { .. } => "CHANGES",
                };
                let of = format!("{what} OF {}", scan.table.name);
                self.push(parent, access(&of, &scan.table, &scan.access));
            }
        }
    }

    fn compound(&mut self, node: &Node, parent: i64) {
        let Node::Compound(compound) = node else {
            let left = self.push(parent, "LEFT-MOST SUBQUERY");
            return self.node(node, left);
        };
        self.compound(&compound.left.0, parent);
        let title = match compound.kind {
            CompoundKind::UnionAll => "UNION ALL",
            CompoundKind::Union => "UNION USING TEMP B-TREE",
            CompoundKind::Intersect => "INTERSECT USING TEMP B-TREE",
            CompoundKind::Except => "EXCEPT USING TEMP B-TREE",
        };
        let right = self.push(parent, title);
        self.node(&compound.right.0, right);
    }

    fn recursive(&mut self, recursive: &Recursive, parent: i64) {
        let setup = self.push(parent, "SETUP");
        self.node(&recursive.seed.0, setup);
        for (step, _) in &recursive.steps {
            let id = self.push(parent, "RECURSIVE STEP");
            self.node(step, id);
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate, parent: i64) {
        self.node(&aggregate.input, parent);
        if !aggregate.keys.is_empty() && !aggregate.sorted {
            self.push(parent, "USE HASH TABLE FOR GROUP BY");
        }
        for call in aggregate.calls.iter().filter(|call| call.distinct) {
            self.push(parent, format!("USE HASH TABLE FOR {:?}(DISTINCT)", call.kind).to_uppercase());
        }
    }

    fn join(&mut self, join: &Join, parent: i64) {
        self.node(&join.left, parent);
        let from = self.0.len();
        self.node(&join.right, parent);
        let how = match (&join.method, join.kind) {
            (JoinMethod::Hash(_), _) => " USING HASH JOIN",
            (JoinMethod::Cross, _) => " USING NESTED LOOP",
            (JoinMethod::Loop, _) => "",
        };
        let kind = match join.kind {
            JoinKind::Inner => "",
            JoinKind::Left => " LEFT-JOIN",
            JoinKind::Right => " RIGHT-JOIN",
            JoinKind::Full => " FULL-OUTER-JOIN",
            JoinKind::Semi => " SEMI-JOIN",
            JoinKind::Anti => " ANTI-JOIN",
        };
        if let Some(line) = self.0.get_mut(from) {
            line.detail.push_str(how);
            line.detail.push_str(kind);
        }
        if let Some(condition) = &join.condition {
            self.expr(condition, parent);
        }
    }

    fn scan(&mut self, scan: &Scan, parent: i64) {
        if let Access::Union(sides) = &scan.access {
            let or = self.push(parent, "MULTI-INDEX OR");
            for (index, side) in sides.iter().enumerate() {
                let id = self.push(or, format!("INDEX {}", index + 1));
                self.push(id, access(&scan.alias, &scan.table, side));
            }
        } else {
            self.push(parent, access(&scan.alias, &scan.table, &scan.access));
        }
        if let Some(filter) = &scan.filter {
            self.expr(filter, parent);
        }
    }

    /// The nested queries of an expression.
    fn expr(&mut self, expr: &Expr, parent: i64) {
        let mut nested = Vec::new();
        expr.any(|expr| {
            nested
                .extend(expr.subquery().cloned().map(|query| (query, matches!(expr, Expr::InQuery { .. }))));
            false
        });
        for (query, list) in nested {
            let correlated = if query.arguments.is_empty() { "" } else { "CORRELATED " };
            let kind = if list { "LIST" } else { "SCALAR" };
            self.query(&query.query, parent, Some(&format!("{correlated}{kind} SUBQUERY {}", query.id)));
        }
    }
}

fn function_name(function: TableFunction) -> &'static str {
    match function {
        TableFunction::JsonEach => "json_each",
        TableFunction::JsonTree => "json_tree",
        TableFunction::GenerateSeries => "generate_series",
        TableFunction::Pragma(_) => "pragma",
        TableFunction::Schema => "sqlite_schema",
        TableFunction::Log => "dosql_log",
        TableFunction::State(StateTable::Tags) => "dosql_tags",
        TableFunction::State(StateTable::Pins) => "dosql_pins",
        TableFunction::State(StateTable::Branches) => "dosql_branches",
        TableFunction::State(StateTable::Feeds) => "dosql_feeds",
        TableFunction::State(StateTable::Segments) => "dosql_segments",
        TableFunction::State(StateTable::Storage) => "dosql_storage",
    }
}

/// `SCAN t`, `SEARCH t USING INDEX i (a=? AND b>?)` and their like.
fn access(alias: &str, table: &Table, access: &Access) -> String {
    match access {
        Access::Full | Access::Union(_) => format!("SCAN {alias}"),
        Access::Primary(bounds) if table.without_rowid => {
            format!("SEARCH {alias} USING PRIMARY KEY ({})", terms(bounds, &names(table, &table.primary_key)))
        }
        Access::Primary(bounds) => {
            format!("SEARCH {alias} USING INTEGER PRIMARY KEY ({})", terms(bounds, &["rowid".to_owned()]))
        }
        Access::Index { index, bounds, covering } => {
            let covering = if *covering { "COVERING " } else { "" };
            let terms = terms(bounds, &names(table, &index.columns));
            if terms.is_empty() {
                format!("SCAN {alias} USING {covering}INDEX {}", index.name)
            } else {
                format!("SEARCH {alias} USING {covering}INDEX {} ({terms})", index.name)
            }
        }
    }
}

fn names(table: &Table, columns: &[IndexColumn]) -> Vec<String> {
    let name = |column: &IndexColumn| match &column.key {
        IndexKey::Column(column) => {
            table.columns.get(*column).map_or_else(String::new, |column| column.name.to_string())
        }
        IndexKey::Rowid => "rowid".to_owned(),
        IndexKey::Expr(_) => "<expr>".to_owned(),
    };
    columns.iter().map(name).collect()
}

fn terms(bounds: &KeyBounds, names: &[String]) -> String {
    let mut terms: Vec<String> = Vec::new();
    terms.extend(names.iter().take(bounds.equal.len()).map(|name| format!("{name}=?")));
    let next = names.get(bounds.equal.len()).map_or("", String::as_str);
    if bounds.lower.is_some() {
        terms.push(format!("{next}>?"));
    }
    if bounds.upper.is_some() {
        terms.push(format!("{next}<?"));
    }
    terms.join(" AND ")
}
