//! Foreign keys, triggers, ALTER TABLE, transactions.

use crate::Generator;
use crate::change::fields;
use crate::schema::{Column, Kind, Table};

impl Generator {
    /// A FOREIGN KEY on a table of these columns to a table that is there already, where one has a key to refer to.
    pub fn foreign_key(&mut self, columns: &[Column]) -> Option<String> {
        let parent = self.tables.get(self.random.usize(..self.tables.len().max(1)))?.clone();
        let is_key = |column: &&Column| parent.uniques.iter().any(|unique| *unique == [column.name.clone()]);
        let keys: Vec<&Column> = parent.columns.iter().filter(is_key).collect();
        let key = *keys.get(self.random.usize(..keys.len().max(1)))?;
        let children: Vec<&Column> =
            columns.iter().filter(|column| column.kind == key.kind && !column.generated).collect();
        let child = children.get(self.random.usize(..children.len().max(1)))?;
        let mut sql = format!("FOREIGN KEY ({}) REFERENCES {} ({})", child.name, parent.name, key.name);
        for event in [" ON DELETE", " ON UPDATE"] {
            if self.one_in(2) {
                sql += event;
                sql += self.pick(&[
                    " CASCADE",
                    " CASCADE",
                    " SET NULL",
                    " SET DEFAULT",
                    " RESTRICT",
                    " NO ACTION",
                ]);
            }
        }
        sql += self.pick(&["", "", " DEFERRABLE INITIALLY DEFERRED", " NOT DEFERRABLE"]);
        Some(sql)
    }

    /// The table that triggers write to.
    pub fn log(&mut self) -> String {
        let column = |name: &str, kind| Column::new(name, kind);
        self.tables.push(Table {
            name: "log".into(),
            columns: vec![column("a", Kind::Text), column("b", Kind::Int), column("c", Kind::Int)],
            uniques: Vec::new(),
            strict: false,
            rowid: true,
        });
        "CREATE TABLE log(a, b, c)".into()
    }

    /// A trigger on a table other than the log.
    pub fn trigger(&mut self, number: usize) -> String {
        self.triggers = true;
        let table = self.tables[self.random.usize(..self.tables.len() - 1)].clone();
        let moment = self.pick(&["BEFORE", "AFTER", "AFTER"]);
        let event = match self.random.u8(..5) {
            0 | 1 => "INSERT".to_owned(),
            2 => "DELETE".to_owned(),
            3 => "UPDATE".to_owned(),
            _ => {
                let column = &table.columns[self.random.usize(..table.columns.len())].name;
                format!("UPDATE OF {column}")
            }
        };
        let old = if event == "INSERT" { Vec::new() } else { fields(&table, "old.") };
        let new = if event == "DELETE" { Vec::new() } else { fields(&table, "new.") };
        let scope = [old, new].concat();
        let when =
            if self.one_in(3) { format!(" WHEN {}", self.predicate(&scope, 1)) } else { String::new() };
        let mut body = String::new();
        for _ in 0..self.random.usize(1..=2) {
            body += &self.trigger_step(number, &table, &scope);
        }
        let each = self.pick(&["", " FOR EACH ROW"]);
        format!("CREATE TRIGGER g{number} {moment} {event} ON {}{each}{when} BEGIN {body}END", table.name)
    }

    fn trigger_step(&mut self, number: usize, table: &Table, scope: &[crate::expr::Field]) -> String {
        let (a, b) = (self.leaf(scope, Kind::Int), self.leaf(scope, Kind::Text));
        match self.random.u8(..8) {
            0 => {
                let action = self.pick(&["IGNORE", "ABORT, 'no'", "ROLLBACK, 'back'", "ABORT, 'not so'"]);
                let test = self.predicate(scope, 0);
                format!("SELECT RAISE({action}) WHERE {test}; ")
            }
            1 => {
                // Another table, so that the rows that the statement goes through stay.
                let others: Vec<usize> =
                    (0..self.tables.len() - 1).filter(|at| self.tables[*at].name != table.name).collect();
                if others.is_empty() {
                    return format!("INSERT INTO log(a, b, c) VALUES ('g{number}', {a}, {b}); ");
                }
                let at = self.pick(&others);
                let other = self.tables[at].clone();
                let column = other.written()[0].clone();
                let value = self.plain_literal(column.kind);
                let test = format!("{} = {a}", column.name);
                match self.random.u8(..3) {
                    0 => format!("DELETE FROM {} WHERE {test}; ", other.name),
                    1 => format!(
                        "UPDATE OR IGNORE {} SET {} = {value} WHERE {test}; ",
                        other.name, column.name
                    ),
                    _ => {
                        let columns: Vec<String> =
                            other.written().into_iter().map(|column| column.name).collect();
                        let row = self.row(&other);
                        format!(
                            "INSERT OR IGNORE INTO {} ({}) VALUES ({row}); ",
                            other.name,
                            columns.join(", ")
                        )
                    }
                }
            }
            _ => format!("INSERT INTO log(a, b, c) VALUES ('g{number}', {a}, {b}); "),
        }
    }

    /// An INSTEAD OF trigger for each kind of change of a view.
    pub fn view_triggers(&mut self, view: &Table) -> Vec<String> {
        self.triggers = true;
        let column = view.columns[0].name.clone();
        let body =
            |values: &str| format!("BEGIN INSERT INTO log(a, b, c) VALUES ('{}', {values}); END", view.name);
        vec![
            format!(
                "CREATE TRIGGER {0}i INSTEAD OF INSERT ON {0} {1}",
                view.name,
                body(&format!("new.{column}, 1"))
            ),
            format!(
                "CREATE TRIGGER {0}u INSTEAD OF UPDATE ON {0} {1}",
                view.name,
                body(&format!("new.{column}, old.{column}"))
            ),
            format!(
                "CREATE TRIGGER {0}d INSTEAD OF DELETE ON {0} {1}",
                view.name,
                body(&format!("old.{column}, 3"))
            ),
        ]
    }

    /// A change of a table's definition, and the table as it is afterwards.
    pub fn alter(&mut self) -> (String, usize, Table) {
        let at = self.random.usize(..self.tables.len());
        let mut table = self.tables[at].clone();
        let name = table.name.clone();
        let place = self.random.usize(..table.columns.len());
        let new = self.name("n");
        let sql = match self.random.u8(..6) {
            0 => {
                table.name.clone_from(&new);
                format!("ALTER TABLE {name} RENAME TO {new}")
            }
            // SQLite fails to rename an INTEGER PRIMARY KEY that is UNIQUE too where there is no rowid.
            1 | 2 if table.rowid => {
                let old = std::mem::replace(&mut table.columns[place].name, new.clone());
                for column in table.uniques.iter_mut().flatten().filter(|column| **column == old) {
                    column.clone_from(&new);
                }
                format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}")
            }
            // SQLite does not see that a trigger inserts into the column.
            3 if !self.triggers => {
                let old = table.columns.remove(place).name;
                format!("ALTER TABLE {name} DROP COLUMN {old}")
            }
            _ => {
                let kind = self.kind();
                let declared = self.declared(kind, table.strict);
                let default = self.plain_literal(kind);
                let rest = match self.random.u8(..5) {
                    0 => String::new(),
                    1 => format!(" NOT NULL DEFAULT {default}"),
                    2 => format!(" DEFAULT {default}"),
                    3 => format!(" DEFAULT {default} CHECK ({new} IS NOT NULL)"),
                    _ if table.strict => String::new(),
                    _ => " COLLATE NOCASE".into(),
                };
                table.columns.push(Column::new(&new, kind));
                format!("ALTER TABLE {name} ADD COLUMN {new} {declared}{rest}")
            }
        };
        (sql, at, table)
    }

    /// A statement about transactions, which may make no sense where it stands.
    pub fn transaction(&mut self) -> &'static str {
        self.pick(&[
            "BEGIN",
            "BEGIN",
            "SAVEPOINT one",
            "SAVEPOINT one",
            "SAVEPOINT two",
            "ROLLBACK TO one",
            "ROLLBACK TO two",
            "RELEASE one",
            "RELEASE two",
            "COMMIT",
            "COMMIT",
            "ROLLBACK",
        ])
    }
}
