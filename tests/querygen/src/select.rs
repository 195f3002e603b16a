//! Queries: joins, groups, windows, compounds, CTEs.

use crate::change::fields;
use crate::expr::Field;
use crate::schema::{Kind, Table};
use crate::{AFTER_TABLE, Generator};

/// FROM with its text and the columns that it brings into scope.
pub struct From {
    pub sql: String,
    pub fields: Vec<Field>,
}

/// A query with groups, without HAVING.
pub struct Group {
    pub sql: String,
    pub kinds: Vec<Kind>,
    pub scope: Vec<Field>,
    pub grouped: bool,
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
            3 if self.one_in(4) => self.windowed_groups(depth),
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
        let terms = if self.one_in(3) { self.shuffled(terms) } else { terms };
        let limit = match self.random.u8(..5) {
            0 | 1 => String::new(),
            2 => format!(" LIMIT {}", self.random.u8(..6)),
            3 => format!(" LIMIT {} OFFSET {}", self.random.u8(1..6), self.random.u8(..4)),
            _ => format!(" LIMIT {}, {}", self.random.u8(..4), self.random.u8(1..6)),
        };
        format!("{sql} ORDER BY {}{limit}", terms.join(", "))
    }

    fn shuffled<T>(&mut self, mut from: Vec<T>) -> Vec<T> {
        self.random.shuffle(&mut from);
        from
    }

    pub fn columns(&mut self, scope: &[Field]) -> (String, Vec<Kind>) {
        let mut kinds = Vec::new();
        let mut list = Vec::new();
        for _ in 0..self.random.usize(1..=4) {
            let kind = self.kind();
            list.push(self.expr(scope, kind, 2));
            kinds.push(kind);
        }
        (list.join(", "), kinds)
    }

    pub fn plain(&mut self, depth: usize, outer: &[Field]) -> (String, Vec<Kind>) {
        let from = self.from(depth);
        let mut scope = from.fields;
        scope.extend_from_slice(outer);
        let (list, kinds) = self.columns(&scope);
        let filter =
            if self.one_in(4) { String::new() } else { format!(" WHERE {}", self.predicate(&scope, 3)) };
        let distinct = if self.one_in(6) { "DISTINCT " } else { "" };
        (format!("SELECT {distinct}{list} FROM {}{filter}", from.sql), kinds)
    }

    pub fn aggregate(&mut self, scope: &[Field]) -> (String, Kind) {
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
                let call = match self.random.u8(..5) {
                    0 => format!("json_group_array('' || {value} ORDER BY {value} COLLATE BINARY)"),
                    1 => format!("string_agg({value}, '-' ORDER BY {value} COLLATE BINARY DESC)"),
                    2 => format!("json_group_object('k' || {value}, 1 ORDER BY {value} COLLATE BINARY)"),
                    3 => format!("group_concat(DISTINCT {value} ORDER BY {value} COLLATE BINARY)"),
                    _ => format!("group_concat({value}, ',' ORDER BY {value} COLLATE BINARY)"),
                };
                (format!("{call}{filter}"), Kind::Text)
            }
        }
    }

    /// A query with groups, up to where HAVING may stand.
    pub fn group(&mut self, depth: usize, outer: &[Field]) -> Group {
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
        let grouped = !groups.is_empty();
        if grouped {
            sql += &format!(" GROUP BY {}", groups.join(", "));
        }
        Group { sql, kinds, scope, grouped }
    }

    /// A condition on groups.
    pub fn having(&mut self, scope: &[Field]) -> String {
        let (aggregate, kind) = self.aggregate(scope);
        let (op, bound) = (self.pick(&["=", ">", "<=", "<>", "IS NOT"]), self.literal(kind));
        format!("{aggregate} {op} {bound}")
    }

    fn grouped(&mut self, depth: usize, outer: &[Field]) -> (String, Vec<Kind>) {
        let Group { mut sql, kinds, scope, grouped } = self.group(depth, outer);
        if grouped && self.one_in(3) {
            sql += &format!(" HAVING {}", self.having(&scope));
        }
        (sql, kinds)
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
                vec![Field { name: format!("{name}.n"), kind: Kind::Int, short: true }],
                fields(&table, &format!("{}.", table.name)),
            ]
            .concat();
            let (list, kinds) = self.columns(&scope);
            let test = self.predicate(&scope, 2);
            let union = self.pick(&["UNION ALL", "UNION"]);
            let tail = match self.random.u8(..4) {
                0 => format!(" LIMIT {}", self.random.u8(..6)),
                1 => format!(" ORDER BY 1 DESC LIMIT {}", self.random.u8(1..6)),
                _ => String::new(),
            };
            let seed =
                if self.one_in(3) { format!("VALUES ({start}), (7)") } else { format!("SELECT {start}") };
            return (
                format!(
                    "WITH RECURSIVE {name}(n) AS ({seed} {union} SELECT n + {step} FROM {name} WHERE n < 9{tail}) SELECT {list} FROM {name}, {}{AFTER_TABLE} WHERE {test}",
                    table.name
                ),
                kinds,
            );
        }
        let (inner, inner_kinds) = self.within(|within| within.select(depth - 1, &[]));
        let columns: Vec<String> = (0..inner_kinds.len()).map(|index| format!("m{index}")).collect();
        let hint = self.pick(&["", "", "MATERIALIZED ", "NOT MATERIALIZED "]);
        let field = |alias: &str| {
            let named = columns.iter().zip(&inner_kinds);
            named
                .map(|(column, kind)| Field { name: format!("{alias}.{column}"), kind: *kind, short: false })
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
        let table = self.random.usize(..self.tables.len());
        self.small_select_of(table, outer, kinds, aggregate)
    }

    /// The same over this table.
    pub fn small_select_of(
        &mut self,
        table: usize,
        outer: &[Field],
        kinds: &[Kind],
        aggregate: Option<&str>,
    ) -> String {
        let table = self.tables[table].clone();
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
        let sql = format!("SELECT {} FROM {} AS {alias}{AFTER_TABLE}{filter}", list.join(", "), table.name);
        if aggregate.is_none() && kinds.len() == 1 && self.one_in(8) {
            let limit = self.random.u8(1..4);
            return format!("SELECT * FROM ({sql} ORDER BY 1 COLLATE BINARY LIMIT {limit})");
        }
        sql
    }

    /// One to three sources, joined.
    pub fn from(&mut self, depth: usize) -> From {
        let mut from = self.source(depth);
        for _ in 0..self.pick(&[0, 0, 0, 1, 1, 1, 2, 2]).min(self.most_joined - 1) {
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
            4 if self.one_in(3) => {
                format!("{left} NATURAL {} {right}", self.pick(&["JOIN", "LEFT JOIN", "JOIN"]))
            }
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
                let (sql, kinds) = self.within(|within| within.select(depth - 1, &[]));
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
                let fields = columns.map(|(n, kind)| Field {
                    name: format!("{alias}.column{}", n + 1),
                    kind: *kind,
                    short: true,
                });
                From { sql: format!("(VALUES {}) AS {alias}", rows.join(", ")), fields: fields.collect() }
            }
            4 if self.one_in(2) => self.each(&alias),
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

    /// The members of a document as rows.
    fn each(&mut self, alias: &str) -> From {
        let call = self.pick(&[
            "json_each('[1,\"a\",null,2.5,[3]]')",
            "json_each('{\"a\":1,\"b\":{\"c\":2}}')",
            "json_tree('{\"a\":[1,{\"b\":2}],\"c\":\"x\"}')",
            "json_each('{\"a\":[5,6]}', '$.a')",
            "json_tree('[[1,2],[3]]', '$[0]')",
            "json_each('7')",
            "json_each(NULL)",
        ]);
        let columns = [
            ("key", Kind::Text),
            ("value", Kind::Int),
            ("type", Kind::Text),
            ("atom", Kind::Int),
            ("fullkey", Kind::Text),
            ("path", Kind::Text),
        ];
        let fields = columns.map(|(name, kind)| Field { name: format!("{alias}.{name}"), kind, short: true });
        From { sql: format!("{call} AS {alias}"), fields: fields.to_vec() }
    }

    fn derived(&mut self, sql: &str, kinds: &[Kind], alias: &str) -> From {
        // Columns of a subquery have no names that one could rely on, unless a CTE gives them.
        let columns: Vec<String> = (0..kinds.len()).map(|index| format!("q{index}")).collect();
        let name = self.name("w");
        let sql = format!("(WITH {name}({}) AS ({sql}) SELECT * FROM {name}) AS {alias}", columns.join(", "));
        let named = columns.iter().zip(kinds);
        let fields = named.map(|(column, kind)| Field {
            name: format!("{alias}.{column}"),
            kind: *kind,
            short: false,
        });
        From { sql, fields: fields.collect() }
    }

    fn table_source(&mut self, table: &Table, alias: &str, end: &str) -> From {
        From { sql: format!("{} AS {alias}{end}", table.name), fields: fields(table, &format!("{alias}.")) }
    }
}
