//! INSERT, UPDATE, DELETE, upsert.

use crate::Generator;
use crate::expr::Field;
use crate::schema::{Column, Table};

/// Rows of a table above which some are deleted.
const MOST_ROWS: usize = 20;

impl Generator {
    /// Rows for a new table.
    pub fn fill(&mut self, table: usize, rows: usize) -> Vec<String> {
        let table = self.tables[table].clone();
        let mut script = Vec::new();
        for _ in 0..rows {
            let row = self.row(&table);
            script.push(format!("INSERT OR IGNORE INTO {} VALUES ({row})", table.name));
        }
        script
    }

    pub fn row(&mut self, table: &Table) -> String {
        self.values(&table.written(), table.strict).join(", ")
    }

    fn values(&mut self, columns: &[Column], strict: bool) -> Vec<String> {
        let value = |column: &Column| {
            if strict || self.one_in(2) { self.plain_literal(column.kind) } else { self.literal(column.kind) }
        };
        columns.iter().map(value).collect()
    }

    /// A statement that changes a table, and the table's name.
    pub fn change(&mut self) -> (String, String) {
        let table = self.tables[self.random.usize(..self.tables.len())].clone();
        if !self.views.is_empty() && self.one_in(12) {
            return (self.change_view(), "log".into());
        }
        let sql = match self.random.u8(..12) {
            0..=3 => self.insert(&table),
            4 => self.insert_select(&table),
            5 | 6 => self.upsert(&table),
            7..=9 => self.update(&table),
            _ => self.delete(&table),
        };
        (sql, table.name)
    }

    /// A statement that keeps a table of so many rows small, where it needs one: joins multiply rows.
    pub fn prune(&mut self, table: &str, rows: usize) -> Option<String> {
        let column = &self.tables.iter().find(|known| known.name == table)?.columns[0].name;
        let few = format!("SELECT {column} FROM {table} ORDER BY {column} COLLATE BINARY LIMIT 12");
        (rows > MOST_ROWS)
            .then(|| format!("DELETE FROM {table} WHERE {column} IN ({few}) OR {column} IS NULL"))
    }

    fn insert(&mut self, table: &Table) -> String {
        let verb = self.pick(&[
            "INSERT",
            "INSERT",
            "INSERT OR IGNORE",
            "INSERT OR REPLACE",
            "REPLACE",
            "INSERT OR FAIL",
            "INSERT OR ABORT",
            "INSERT OR ROLLBACK",
        ]);
        if self.one_in(10) {
            return format!("{verb} INTO {} DEFAULT VALUES", table.name);
        }
        let returning = self.returning(table);
        if self.one_in(6) {
            let mut columns = table.written();
            self.random.shuffle(&mut columns);
            columns.truncate(self.random.usize(1..=columns.len()));
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let values = self.values(&columns, table.strict).join(", ");
            return format!("{verb} INTO {} ({}) VALUES ({values}){returning}", table.name, names.join(", "));
        }
        let rows: Vec<String> =
            (0..self.random.usize(1..4)).map(|_| format!("({})", self.row(table))).collect();
        format!("{verb} INTO {} VALUES {}{returning}", table.name, rows.join(", "))
    }

    fn returning(&mut self, table: &Table) -> String {
        if !self.one_in(4) {
            return String::new();
        }
        let scope = fields(table, "");
        let (a, b) = (self.any(&scope, 1), self.leaf(&scope, super::Kind::Int));
        // A subquery here would see the table half changed.
        if a.contains("SELECT") { format!(" RETURNING {b}") } else { format!(" RETURNING {a}, *, {b}") }
    }

    fn insert_select(&mut self, table: &Table) -> String {
        let from = self.tables[self.random.usize(..self.tables.len())].clone();
        let scope = fields(&from, "");
        let values: Vec<String> = table
            .written()
            .iter()
            .map(|column| {
                if table.strict {
                    self.plain_literal(column.kind)
                } else {
                    self.stored(&scope, column.kind, 1)
                }
            })
            .collect();
        let test = self.predicate(&scope, 1);
        let order: Vec<String> =
            from.columns.iter().map(|column| format!("{} COLLATE BINARY", column.name)).collect();
        let verb = self.pick(&["INSERT OR IGNORE", "INSERT OR REPLACE", "INSERT"]);
        format!(
            "{verb} INTO {} SELECT {} FROM {} WHERE {test} ORDER BY {} LIMIT 5",
            table.name,
            values.join(", "),
            from.name,
            order.join(", ")
        )
    }

    fn upsert(&mut self, table: &Table) -> String {
        let row = self.row(table);
        let mut scope = fields(table, &format!("{}.", table.name));
        scope.extend(fields(table, "excluded."));
        let column = self.pick_written(table);
        let value = self.stored(&scope, column.kind, 2);
        let filter =
            if self.one_in(3) { format!(" WHERE {}", self.predicate(&scope, 1)) } else { String::new() };
        let target = if table.uniques.is_empty() || self.one_in(3) {
            String::new()
        } else {
            let unique = table.uniques[self.random.usize(..table.uniques.len())].join(", ");
            format!("({unique}) ")
        };
        let action = if self.one_in(3) {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {} = {value}{filter}", column.name)
        };
        let returning = if self.one_in(4) { " RETURNING *" } else { "" };
        let more = if target.is_empty() || !self.one_in(3) { "" } else { " ON CONFLICT DO NOTHING" };
        format!("INSERT INTO {} VALUES ({row}) ON CONFLICT {target}DO {action}{more}{returning}", table.name)
    }

    fn update(&mut self, table: &Table) -> String {
        let scope = fields(table, &format!("{}.", table.name));
        let mut sets = Vec::new();
        for _ in 0..self.random.usize(1..3) {
            let column = self.pick_written(table);
            let mut value = if table.strict {
                self.plain_literal(column.kind)
            } else {
                self.stored(&scope, column.kind, 2)
            };
            if value.contains("SELECT") {
                // SQLite's subquery sees the rows that the statement has changed so far; dosql's sees none of them.
                value = self.leaf(&scope, column.kind);
            }
            sets.push(format!("{} = {value}", column.name));
        }
        let test = self.predicate(&scope, 2);
        let returning = if self.one_in(5) { " RETURNING *" } else { "" };
        if self.one_in(5) {
            let other = self.tables[self.random.usize(..self.tables.len())].clone();
            let mut both = scope;
            both.extend(fields(&other, "o."));
            // An aggregate, since which of several rows of FROM wins is nobody's promise.
            let columns: Vec<String> =
                other.columns.iter().map(|c| format!("max({}) AS {}", c.name, c.name)).collect();
            let test = self.predicate(&both, 1);
            return format!(
                "UPDATE {} SET {} FROM (SELECT {} FROM {}) AS o WHERE {test}{returning}",
                table.name,
                sets.join(", "),
                columns.join(", "),
                other.name
            );
        }
        let or = self.pick(&["", "", "", " OR IGNORE", " OR REPLACE", " OR FAIL", " OR ROLLBACK"]);
        // A row that REPLACE removed, and whose key another one has taken before its turn, SQLite updates as the other one.
        let keys: Vec<String> = table.uniques.concat();
        let moves = sets.iter().any(|set| keys.iter().any(|key| set.starts_with(&format!("{key} ="))));
        let or = if moves && or == " OR REPLACE" { "" } else { or };
        let sets = match &sets[..] {
            [a, b] if self.one_in(4) => {
                let parts = (a.split_once(" = "), b.split_once(" = "));
                match parts {
                    (Some((a, x)), Some((b, y))) => format!("({a}, {b}) = ({x}, {y})"),
                    _ => sets.join(", "),
                }
            }
            _ => sets.join(", "),
        };
        format!("UPDATE{or} {} SET {sets} WHERE {test}{returning}", table.name)
    }

    fn pick_written(&mut self, table: &Table) -> Column {
        let written = table.written();
        written[self.random.usize(..written.len())].clone()
    }

    /// A change of a view, which its triggers carry out if it has any.
    fn change_view(&mut self) -> String {
        let view = self.views[self.random.usize(..self.views.len())].clone();
        let column = view.columns[0].clone();
        let (value, test) = (self.plain_literal(column.kind), self.predicate(&fields(&view, ""), 1));
        match self.random.u8(..3) {
            0 => format!("INSERT INTO {} ({}) VALUES ({value})", view.name, column.name),
            1 => format!("UPDATE {} SET {} = {value} WHERE {test}", view.name, column.name),
            _ => format!("DELETE FROM {} WHERE {test}", view.name),
        }
    }

    fn delete(&mut self, table: &Table) -> String {
        let scope = fields(table, &format!("{}.", table.name));
        let (a, b) = (self.predicate(&scope, 1), self.predicate(&scope, 0));
        let returning = if self.one_in(4) { " RETURNING *" } else { "" };
        format!("DELETE FROM {} WHERE {a} AND {b}{returning}", table.name)
    }
}

/// The columns of a table with a qualifier in front.
pub fn fields(table: &Table, qualifier: &str) -> Vec<Field> {
    table
        .columns
        .iter()
        .map(|c| Field { name: format!("{qualifier}{}", c.name), kind: c.kind, short: c.short })
        .collect()
}
