//! Queries: joins, groups, windows, compounds, CTEs.

use super::change::fields;
use super::expr::Field;
use super::schema::{Kind, Table};
use super::{AFTER_TABLE, Generator};

/// FROM with its text and the columns that it brings into scope.
pub struct From {
    pub sql: String,
    pub fields: Vec<Field>,
}

impl Generator {
    /// A query and the kinds of its columns. `outer` are the columns that it may also name.
    pub fn select(&mut self, depth: usize, outer: &[Field]) -> (String, Vec<Kind>) {
        if depth > 0 && self.one_in(7) {
            return self.compound(depth, outer);
        }
        if depth > 0 && self.one_in(8) {
            return self.with(depth);
        }
        let core = self.random.u8(..10);
        let (sql, kinds) = match core {
            0..=2 => self.grouped(depth, outer),
            3 => self.windowed(depth),
            _ => self.plain(depth, outer),
        };
        let sql = self.ordered(sql, kinds.len());
        (sql, kinds)
    }

    /// A query with an order that leaves nothing open, and perhaps a LIMIT.
    fn ordered(&mut self, sql: String, width: usize) -> String {
        if !self.one_in(3) {
            return sql;
        }
        let terms: Vec<String> = (1..=width)
            .map(|column| {
                let way = self.pick(&["", "", " DESC", " NULLS LAST", " DESC NULLS FIRST", " ASC"]);
                format!("{column} COLLATE BINARY{way}")
            })
            .collect();
        let limit = match self.random.u8(..5) {
            0 | 1 => String::new(),
            2 => format!(" LIMIT {}", self.random.u8(..6)),
            3 => format!(" LIMIT {} OFFSET {}", self.random.u8(1..6), self.random.u8(..4)),
            _ => format!(" LIMIT {}, {}", self.random.u8(..4), self.random.u8(1..6)),
        };
        format!("{sql} ORDER BY {}{limit}", terms.join(", "))
    }

    fn columns(&mut self, scope: &[Field]) -> (String, Vec<Kind>) {
        let mut kinds = Vec::new();
        let mut list = Vec::new();
        for _ in 0..self.random.usize(1..=4) {
            let kind = self.kind();
            list.push(self.expr(scope, kind, 2));
            kinds.push(kind);
        }
        (list.join(", "), kinds)
    }

    fn plain(&mut self, depth: usize, outer: &[Field]) -> (String, Vec<Kind>) {
        let from = self.from(depth);
        let mut scope = from.fields;
        scope.extend_from_slice(outer);
        let (list, kinds) = self.columns(&scope);
        let filter =
            if self.one_in(4) { String::new() } else { format!(" WHERE {}", self.predicate(&scope, 3)) };
        let distinct = if self.one_in(6) { "DISTINCT " } else { "" };
        (format!("SELECT {distinct}{list} FROM {}{filter}", from.sql), kinds)
    }

    fn aggregate(&mut self, scope: &[Field]) -> (String, Kind) {
        let kind = self.kind();
        let value = self.expr(scope, kind, 1);
        let filter = if self.one_in(6) {
            format!(" FILTER (WHERE {})", self.predicate(scope, 1))
        } else {
            String::new()
        };
        match self.random.u8(..10) {
            0 | 1 => (format!("count(*){filter}"), Kind::Int),
            2 => (format!("count({value}){filter}"), Kind::Int),
            3 => (format!("count(DISTINCT {value}){filter}"), Kind::Int),
            4 => (format!("min({value}){filter}"), kind),
            5 => (format!("max({value}){filter}"), kind),
            6 => {
                let value = self.expr(scope, Kind::Int, 1);
                (format!("sum({value}){filter}"), Kind::Int)
            }
            7 => {
                let value = self.expr(scope, Kind::Real, 1);
                let f = self.pick(&["total", "avg", "sum"]);
                (format!("{f}({value}){filter}"), Kind::Real)
            }
            8 => {
                let value = self.expr(scope, Kind::Int, 0);
                let f = self.pick(&["sum", "avg", "count"]);
                (format!("{f}(DISTINCT {value}){filter}"), Kind::Int)
            }
            _ => {
                let value = self.leaf(scope, Kind::Text);
                (format!("group_concat({value}, ',' ORDER BY {value} COLLATE BINARY){filter}"), Kind::Text)
            }
        }
    }

    fn grouped(&mut self, depth: usize, outer: &[Field]) -> (String, Vec<Kind>) {
        let from = self.from(depth);
        let mut scope = from.fields.clone();
        scope.extend_from_slice(outer);
        let mut groups = Vec::new();
        let mut kinds = Vec::new();
        for _ in 0..self.random.usize(0..=2) {
            let kind = self.kind();
            // Never a bare number: that would be a column of the result.
            let group =
                if self.one_in(3) { self.expr(&from.fields, kind, 1) } else { self.leaf(&from.fields, kind) };
            if from.fields.iter().any(|field| group.contains(&field.name)) && !group.contains("SELECT") {
                groups.push(group);
                kinds.push(kind);
            }
        }
        let mut list = groups.clone();
        for _ in 0..self.random.usize(1..=3) {
            let (sql, kind) = self.aggregate(&scope);
            list.push(sql);
            kinds.push(kind);
        }
        let filter =
            if self.one_in(2) { String::new() } else { format!(" WHERE {}", self.predicate(&scope, 2)) };
        let mut sql = format!("SELECT {} FROM {}{filter}", list.join(", "), from.sql);
        if !groups.is_empty() {
            sql += &format!(" GROUP BY {}", groups.join(", "));
            if self.one_in(3) {
                let (aggregate, kind) = self.aggregate(&scope);
                let (op, bound) = (self.pick(&["=", ">", "<=", "<>", "IS NOT"]), self.literal(kind));
                sql += &format!(" HAVING {aggregate} {op} {bound}");
            }
        }
        (sql, kinds)
    }

    fn windowed(&mut self, depth: usize) -> (String, Vec<Kind>) {
        let from = self.from(depth);
        let scope = &from.fields;
        let total: Vec<String> = scope
            .iter()
            .map(|field| {
                format!("{} COLLATE BINARY{}", field.name, self.pick(&["", "", " DESC", " NULLS LAST"]))
            })
            .collect();
        let total = total.join(", ");
        let mut list: Vec<String> = Vec::new();
        let mut kinds = Vec::new();
        for field in scope.iter().take(6) {
            list.push(field.name.clone());
            kinds.push(field.kind);
        }
        for _ in 0..self.random.usize(1..=2) {
            let (sql, kind) = self.window_function(scope, &total);
            list.push(sql);
            kinds.push(kind);
        }
        let filter =
            if self.one_in(2) { String::new() } else { format!(" WHERE {}", self.predicate(scope, 1)) };
        (format!("SELECT {} FROM {}{filter}", list.join(", "), from.sql), kinds)
    }

    fn window_function(&mut self, scope: &[Field], total: &str) -> (String, Kind) {
        let kind = self.kind();
        let value = self.expr(scope, kind, 1);
        let partition = if self.one_in(2) {
            let column = self.leaf(scope, kind);
            format!("PARTITION BY {column} ")
        } else {
            String::new()
        };
        let int = self.leaf(scope, Kind::Int);
        let (call, kind) = match self.random.u8(..12) {
            0 => ("row_number()".to_owned(), Kind::Int),
            1 => (self.pick(&["rank()", "dense_rank()"]).to_owned(), Kind::Int),
            2 => (self.pick(&["percent_rank()", "cume_dist()"]).to_owned(), Kind::Real),
            3 => (format!("ntile({})", self.random.u8(1..4)), Kind::Int),
            4 => (format!("lag({value}{})", self.pick(&["", ", 1", ", 2, 7", ", 0"])), kind),
            5 => (format!("lead({value}{})", self.pick(&["", ", 1", ", 2, 'x'"])), kind),
            6 => (format!("{}({value})", self.pick(&["first_value", "last_value"])), kind),
            7 => (format!("nth_value({value}, {})", self.random.u8(1..4)), kind),
            8 => (format!("sum({int})"), Kind::Int),
            9 => (format!("count({value})"), Kind::Int),
            10 => (format!("{}({value})", self.pick(&["min", "max"])), kind),
            _ => (format!("avg({int})"), Kind::Real),
        };
        let frame = match self.random.u8(..6) {
            0..=2 => String::new(),
            _ => {
                let unit = self.pick(&["ROWS", "ROWS", "GROUPS", "RANGE"]);
                let bounds = if unit == "RANGE" {
                    self.pick(&[
                        "BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                        "CURRENT ROW",
                        "BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                    ])
                } else {
                    self.pick(&[
                        "BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                        "BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
                        "BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                        "2 PRECEDING",
                        "BETWEEN 1 FOLLOWING AND 2 FOLLOWING",
                        "BETWEEN 2 PRECEDING AND 1 PRECEDING",
                        "BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                    ])
                };
                let exclude =
                    self.pick(&["", "", "", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"]);
                format!(" {unit} {bounds}{exclude}")
            }
        };
        (format!("{call} OVER ({partition}ORDER BY {total}{frame})"), kind)
    }

    fn compound(&mut self, depth: usize, outer: &[Field]) -> (String, Vec<Kind>) {
        let kinds: Vec<Kind> = (0..self.random.usize(1..=3)).map(|_| self.kind()).collect();
        let mut sql = self.small_select(outer, &kinds, None);
        for _ in 0..self.random.usize(1..=3) {
            let op = self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
            let next = if self.one_in(6) {
                let values: Vec<String> = kinds.iter().map(|kind| self.literal(*kind)).collect();
                format!("SELECT * FROM (VALUES ({}))", values.join(", "))
            } else {
                self.small_select(outer, &kinds, None)
            };
            sql = format!("{sql} {op} {next}");
        }
        let _ = depth;
        let width = kinds.len();
        (self.ordered(sql, width), kinds)
    }

    fn with(&mut self, depth: usize) -> (String, Vec<Kind>) {
        let name = self.name("w");
        if self.one_in(3) {
            let (start, step) = (self.random.u8(..3), self.random.u8(1..3));
            let table = self.tables[self.random.usize(..self.tables.len())].clone();
            let scope = [
                vec![Field { name: format!("{name}.n"), kind: Kind::Int }],
                fields(&table, &format!("{}.", table.name)),
            ]
            .concat();
            let (list, kinds) = self.columns(&scope);
            let test = self.predicate(&scope, 2);
            let union = self.pick(&["UNION ALL", "UNION"]);
            return (
                format!(
                    "WITH RECURSIVE {name}(n) AS (SELECT {start} {union} SELECT n + {step} FROM {name} WHERE n < 9) SELECT {list} FROM {name}, {}{AFTER_TABLE} WHERE {test}",
                    table.name
                ),
                kinds,
            );
        }
        let (inner, inner_kinds) = self.select(depth - 1, &[]);
        let columns: Vec<String> = (0..inner_kinds.len()).map(|index| format!("m{index}")).collect();
        let hint = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let field = |alias: &str| {
            let named = columns.iter().zip(&inner_kinds);
            named
                .map(|(column, kind)| Field { name: format!("{alias}.{column}"), kind: *kind })
                .collect::<Vec<_>>()
        };
        let (x, y) = (self.name("x"), self.name("x"));
        let twice = self.one_in(2);
        let mut scope = field(&x);
        let mut from = format!("{name} AS {x}");
        if twice {
            scope.extend(field(&y));
            from += &format!(
                " {} {name} AS {y} ON {}",
                self.pick(&["JOIN", "LEFT JOIN"]),
                self.predicate(&scope, 1)
            );
        }
        let (list, kinds) = self.columns(&scope);
        let test = self.predicate(&scope, 2);
        let sql = format!(
            "WITH {name}({}) AS {hint}({inner}) SELECT {list} FROM {from} WHERE {test}",
            columns.join(", ")
        );
        (sql, kinds)
    }

    /// A query over one table that gives columns of these kinds; with `aggregate`, one row of one column.
    pub fn small_select(&mut self, outer: &[Field], kinds: &[Kind], aggregate: Option<&str>) -> String {
        let table = self.tables[self.random.usize(..self.tables.len())].clone();
        let alias = self.name("s");
        let inner = fields(&table, &format!("{alias}."));
        let list: Vec<String> = kinds
            .iter()
            .map(|kind| {
                let value =
                    if self.one_in(3) { self.expr(&inner, *kind, 1) } else { self.leaf(&inner, *kind) };
                aggregate.map_or(value.clone(), |aggregate| format!("{aggregate}({value})"))
            })
            .collect();
        let mut scope = inner;
        scope.extend_from_slice(outer);
        let filter =
            if self.one_in(5) { String::new() } else { format!(" WHERE {}", self.predicate(&scope, 1)) };
        format!("SELECT {} FROM {} AS {alias}{AFTER_TABLE}{filter}", list.join(", "), table.name)
    }

    /// One to three sources, joined.
    pub fn from(&mut self, depth: usize) -> From {
        let mut from = self.source(depth);
        for _ in 0..self.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 3]) {
            let next = self.source(depth);
            from = self.join(from, next);
        }
        from
    }

    fn join(&mut self, left: From, right: From) -> From {
        let mut fields = left.fields;
        let shared = right
            .fields
            .iter()
            .filter_map(|field| field.name.split('.').next_back().map(str::to_owned))
            .find(|column| {
                fields.iter().filter(|field| field.name.ends_with(&format!(".{column}"))).count() == 1
            });
        fields.extend(right.fields);
        let (left, right) = (left.sql, right.sql);
        let sql = match self.random.u8(..12) {
            0 => format!("{left}, {right}"),
            1 => format!("{left} CROSS JOIN {right}"),
            2 | 3 if shared.is_some() => {
                let kind = self.pick(&["JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN"]);
                format!("{left} {kind} {right} USING ({})", shared.unwrap_or_default())
            }
            _ => {
                let kind = self.pick(&[
                    "JOIN",
                    "JOIN",
                    "INNER JOIN",
                    "LEFT JOIN",
                    "LEFT JOIN",
                    "RIGHT JOIN",
                    "FULL JOIN",
                ]);
                let test = self.on(&fields);
                format!("{left} {kind} {right} ON {test}")
            }
        };
        From { sql, fields }
    }

    fn on(&mut self, fields: &[Field]) -> String {
        if self.one_in(3) {
            return self.predicate(fields, 1);
        }
        let a = fields[self.random.usize(..fields.len())].clone();
        let others: Vec<&Field> = fields
            .iter()
            .filter(|b| b.kind == a.kind && b.name.split('.').next() != a.name.split('.').next())
            .collect();
        if others.is_empty() {
            return self.predicate(fields, 1);
        }
        let b = others[self.random.usize(..others.len())].name.clone();
        let more = if self.one_in(3) { format!(" AND {}", self.predicate(fields, 1)) } else { String::new() };
        format!("{} = {b}{more}", a.name)
    }

    fn source(&mut self, depth: usize) -> From {
        let alias = self.name("x");
        match self.random.u8(..14) {
            0 | 1 if depth > 0 => {
                let (sql, kinds) = self.select(depth - 1, &[]);
                self.derived(&sql, &kinds, &alias)
            }
            2 => {
                let kinds: Vec<Kind> = (0..self.random.usize(1..3)).map(|_| self.kind()).collect();
                let rows: Vec<String> = (0..self.random.usize(1..4))
                    .map(|_| {
                        let values: Vec<String> = kinds.iter().map(|kind| self.literal(*kind)).collect();
                        format!("({})", values.join(", "))
                    })
                    .collect();
                let columns = kinds.iter().enumerate();
                let fields =
                    columns.map(|(n, kind)| Field { name: format!("{alias}.column{}", n + 1), kind: *kind });
                From { sql: format!("(VALUES {}) AS {alias}", rows.join(", ")), fields: fields.collect() }
            }
            3 if !self.views.is_empty() => {
                let view = self.views[self.random.usize(..self.views.len())].clone();
                self.table_source(&view, &alias, "")
            }
            _ => {
                let table = self.tables[self.random.usize(..self.tables.len())].clone();
                self.table_source(&table, &alias, &AFTER_TABLE.to_string())
            }
        }
    }

    fn derived(&mut self, sql: &str, kinds: &[Kind], alias: &str) -> From {
        // Columns of a subquery have no names that one could rely on, unless a CTE gives them.
        let columns: Vec<String> = (0..kinds.len()).map(|index| format!("q{index}")).collect();
        let name = self.name("w");
        let sql = format!("(WITH {name}({}) AS ({sql}) SELECT * FROM {name}) AS {alias}", columns.join(", "));
        let named = columns.iter().zip(kinds);
        let fields = named.map(|(column, kind)| Field { name: format!("{alias}.{column}"), kind: *kind });
        From { sql, fields: fields.collect() }
    }

    fn table_source(&mut self, table: &Table, alias: &str, end: &str) -> From {
        From { sql: format!("{} AS {alias}{end}", table.name), fields: fields(table, &format!("{alias}.")) }
    }
}
