//! INSERT, UPDATE, DELETE, upsert.

use super::Generator;
use super::expr::Field;
use super::schema::Table;

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

    fn row(&mut self, table: &Table) -> String {
        let values: Vec<String> = table
            .columns
            .iter()
            .map(|column| {
                if table.strict || self.one_in(2) {
                    self.plain_literal(column.kind)
                } else {
                    self.literal(column.kind)
                }
            })
            .collect();
        values.join(", ")
    }

    /// A statement that changes a table, and the table's name.
    pub fn change(&mut self) -> (String, String) {
        let table = self.tables[self.random.usize(..self.tables.len())].clone();
        let sql = match self.random.u8(..12) {
            0..=3 => self.insert(&table),
            4 => self.insert_select(&table),
            5 | 6 => self.upsert(&table),
            7..=9 => self.update(&table),
            _ => self.delete(&table),
        };
        (sql, table.name)
    }

    fn insert(&mut self, table: &Table) -> String {
        let verb = self.pick(&[
            "INSERT",
            "INSERT",
            "INSERT OR IGNORE",
            "INSERT OR REPLACE",
            "REPLACE",
            "INSERT OR FAIL",
        ]);
        if self.one_in(10) {
            return format!("{verb} INTO {} DEFAULT VALUES", table.name);
        }
        let rows: Vec<String> =
            (0..self.random.usize(1..4)).map(|_| format!("({})", self.row(table))).collect();
        let returning = self.returning(table);
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
            .columns
            .iter()
            .map(|column| {
                if table.strict { self.plain_literal(column.kind) } else { self.expr(&scope, column.kind, 1) }
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
        let column = table.columns[self.random.usize(..table.columns.len())].clone();
        let value = self.expr(&scope, column.kind, 2);
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
        format!("INSERT INTO {} VALUES ({row}) ON CONFLICT {target}DO {action}{returning}", table.name)
    }

    fn update(&mut self, table: &Table) -> String {
        let scope = fields(table, &format!("{}.", table.name));
        let mut sets = Vec::new();
        for _ in 0..self.random.usize(1..3) {
            let column = table.columns[self.random.usize(..table.columns.len())].clone();
            let mut value = if table.strict {
                self.plain_literal(column.kind)
            } else {
                self.expr(&scope, column.kind, 2)
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
        format!("UPDATE {} SET {} WHERE {test}{returning}", table.name, sets.join(", "))
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
    table.columns.iter().map(|c| Field { name: format!("{qualifier}{}", c.name), kind: c.kind }).collect()
}
