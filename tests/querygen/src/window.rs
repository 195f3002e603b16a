//! Queries with window functions.

use crate::Generator;
use crate::expr::Field;
use crate::schema::Kind;

impl Generator {
    pub fn windowed(&mut self, depth: usize) -> (String, Vec<Kind>) {
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
        let named = self.one_in(4).then(|| self.partition(scope));
        for _ in 0..self.random.usize(1..=3) {
            let (function, kind) = match &named {
                None if self.one_in(5) => self.ranged(scope),
                Some(_) if self.one_in(2) => {
                    let (call, kind) = self.window_call(scope);
                    (format!("{call} OVER (named ORDER BY {total}{})", self.frame()), kind)
                }
                _ => {
                    let (call, kind) = self.window_call(scope);
                    let partition =
                        if self.one_in(2) { format!("{} ", self.partition(scope)) } else { String::new() };
                    (format!("{call} OVER ({partition}ORDER BY {total}{})", self.frame()), kind)
                }
            };
            list.push(function);
            kinds.push(kind);
        }
        let filter =
            if self.one_in(2) { String::new() } else { format!(" WHERE {}", self.predicate(scope, 1)) };
        let named = named.map_or(String::new(), |partition| format!(" WINDOW named AS ({partition})"));
        (format!("SELECT {} FROM {}{filter}{named}", list.join(", "), from.sql), kinds)
    }

    /// Windows over groups: their functions see the aggregates.
    pub fn windowed_groups(&mut self, depth: usize) -> (String, Vec<Kind>) {
        let from = self.from(depth);
        let field = from.fields[self.random.usize(..from.fields.len())].clone();
        let (aggregate, kind) = self.aggregate(&from.fields);
        let name = &field.name;
        let call =
            self.pick(&["sum(count(*))", "max(count(*))", "rank()", "count(*)", "lag(count(*), 1, -1)"]);
        let order = self.pick(&["", " DESC", " NULLS LAST"]);
        let sql = format!(
            "SELECT {name}, {aggregate}, {call} OVER (ORDER BY {name}{order}) FROM {} GROUP BY {name}",
            from.sql
        );
        (sql, vec![field.kind, kind, Kind::Int])
    }

    fn partition(&mut self, scope: &[Field]) -> String {
        let kind = self.kind();
        format!("PARTITION BY {}", self.leaf(scope, kind))
    }

    /// An aggregate over a frame by distance, over one number: nothing that leans on the order of equal rows.
    fn ranged(&mut self, scope: &[Field]) -> (String, Kind) {
        let (by, value) = (self.leaf(scope, Kind::Int), self.leaf(scope, Kind::Int));
        let bounds = self.pick(&[
            "BETWEEN 1 PRECEDING AND 1 FOLLOWING",
            "BETWEEN 2 PRECEDING AND CURRENT ROW",
            "BETWEEN CURRENT ROW AND 3 FOLLOWING",
            "BETWEEN 1.5 PRECEDING AND 0.5 FOLLOWING",
            "BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
            "BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING",
            "BETWEEN 3 PRECEDING AND 2 PRECEDING",
        ]);
        let partition = if self.one_in(2) { format!("{} ", self.partition(scope)) } else { String::new() };
        let way = self.pick(&["", " DESC", " NULLS LAST", " DESC NULLS FIRST"]);
        let exclude = self.pick(&["", "", " EXCLUDE GROUP", " EXCLUDE NO OTHERS"]);
        let call = self.pick(&["sum", "count", "min", "max", "avg", "total"]);
        (format!("{call}({value}) OVER ({partition}ORDER BY {by}{way} RANGE {bounds}{exclude})"), Kind::Real)
    }

    fn frame(&mut self) -> String {
        let unit = match self.random.u8(..7) {
            0..=2 => return String::new(),
            3 => "GROUPS",
            4 => "RANGE",
            _ => "ROWS",
        };
        let bounds = if unit == "RANGE" {
            self.pick(&[
                "BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                "CURRENT ROW",
                "BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                "BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                "BETWEEN CURRENT ROW AND CURRENT ROW",
            ])
        } else {
            self.pick(&[
                "BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                "BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING",
                "BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                "2 PRECEDING",
                "UNBOUNDED PRECEDING",
                "CURRENT ROW",
                "BETWEEN 1 FOLLOWING AND 2 FOLLOWING",
                "BETWEEN 2 PRECEDING AND 1 PRECEDING",
                "BETWEEN 1 PRECEDING AND 2 PRECEDING",
                "BETWEEN 0 PRECEDING AND 0 FOLLOWING",
                "BETWEEN 2 FOLLOWING AND UNBOUNDED FOLLOWING",
                "BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
            ])
        };
        let exclude = self.pick(&[
            "",
            "",
            "",
            " EXCLUDE CURRENT ROW",
            " EXCLUDE GROUP",
            " EXCLUDE TIES",
            " EXCLUDE NO OTHERS",
        ]);
        format!(" {unit} {bounds}{exclude}")
    }

    fn window_call(&mut self, scope: &[Field]) -> (String, Kind) {
        let kind = self.kind();
        let value = self.expr(scope, kind, 1);
        let int = self.leaf(scope, Kind::Int);
        let filter = if self.one_in(4) {
            format!(" FILTER (WHERE {})", self.predicate(scope, 1))
        } else {
            String::new()
        };
        match self.random.u8(..15) {
            0 => ("row_number()".to_owned(), Kind::Int),
            1 => (self.pick(&["rank()", "dense_rank()"]).to_owned(), Kind::Int),
            2 => (self.pick(&["percent_rank()", "cume_dist()"]).to_owned(), Kind::Real),
            3 => (format!("ntile({})", self.random.u8(1..4)), Kind::Int),
            4 => (
                format!("lag({value}{})", self.pick(&["", ", 1", ", 2, 7", ", 0", ", -1", ", NULL, 3"])),
                kind,
            ),
            5 => (format!("lead({value}{})", self.pick(&["", ", 1", ", 2, 'x'", ", -1, 0", ", NULL"])), kind),
            6 => (format!("{}({value})", self.pick(&["first_value", "last_value"])), kind),
            7 => (format!("nth_value({value}, {})", self.random.u8(1..4)), kind),
            8 => (format!("sum({int}){filter}"), Kind::Int),
            9 => (format!("count({value}){filter}"), Kind::Int),
            10 | 11 => (format!("{}({value}){filter}", self.pick(&["min", "max"])), kind),
            12 => (format!("count(*){filter}"), Kind::Int),
            13 => {
                let text = self.leaf(scope, Kind::Text);
                // SQLite forgets a separator, or gives a NUL, where empty texts leave the frame.
                (format!("group_concat('-' || {text}, '|'){filter}"), Kind::Text)
            }
            _ => (format!("{}({int}){filter}", self.pick(&["avg", "total"])), Kind::Real),
        }
    }
}
