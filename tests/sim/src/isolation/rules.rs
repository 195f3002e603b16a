//! Rules that every transaction keeps by itself, so that they must hold whatever runs beside it. They are about sets of rows (sums
//! of ranges, absent rows, other tables), which a checker that sees single lists can't judge.
//!
//! A transaction of a rule looks, then acts on what it saw. Between the two, and before it commits, others run.

use dosql::{Connection, Result};
use fastrand::Rng;

/// What a transaction saw and means to do.
pub type Look = [i64; 4];

/// One rule.
pub struct Rule {
    pub name: &'static str,
    pub schema: &'static str,
    pub look: fn(&Connection, &mut Rng) -> Result<Look>,
    pub act: fn(&Connection, Look) -> Result<()>,
    /// How many times the rule is broken in what the connection sees.
    pub broken: &'static str,
}

fn number(connection: &Connection, sql: &str, parameters: &[i64]) -> Result<i64> {
    connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))
}

fn run(connection: &Connection, sql: &str, parameters: &[i64]) -> Result<()> {
    connection.execute(sql, parameters).map(|_| ())
}

/// A row id that nobody else takes.
fn fresh(rng: &mut Rng) -> i64 {
    rng.i64(1_000..i64::MAX)
}

pub const RULES: &[Rule] = &[
    Rule {
        name: "the sum over all branches of a bank",
        schema: "CREATE TABLE account (id INTEGER PRIMARY KEY, branch INTEGER NOT NULL, balance INTEGER NOT NULL);
                 CREATE INDEX account_branch ON account (branch, balance);
                 INSERT INTO account SELECT value, value % 4, 100 FROM generate_series(1, 16)",
        look: |connection, rng| {
            let (from, to) = (rng.i64(1..=16), rng.i64(1..=16));
            let sql = "SELECT coalesce((SELECT balance FROM account WHERE id = ?1), 0)";
            let there = number(connection, sql, &[from])?;
            Ok([from, to, rng.i64(0..=there), rng.i64(0..8)])
        },
        act: |connection, [from, to, amount, how]| {
            run(connection, "UPDATE account SET balance = balance - ?2 WHERE id = ?1", &[from, amount])?;
            let to_branch = "INSERT INTO account VALUES (?1, ?3, ?2)
                             ON CONFLICT (id) DO UPDATE SET balance = balance + excluded.balance, branch = ?3";
            run(connection, to_branch, &[to, amount, how % 4])?;
            run(connection, "DELETE FROM account WHERE id = ?1 AND balance = 0", &[from])
        },
        broken: "SELECT (SELECT sum(balance) FROM account WHERE branch BETWEEN 0 AND 3) <> 1600
                 OR (SELECT sum(balance) FROM account WHERE +id > 0) <> 1600",
    },
    Rule {
        name: "names are unique",
        schema: "CREATE TABLE person (id INTEGER PRIMARY KEY, name INTEGER NOT NULL UNIQUE)",
        look: |connection, rng| {
            let name = rng.i64(0..6);
            let sql = "SELECT coalesce((SELECT id FROM person WHERE name = ?1), 0)";
            Ok([name, number(connection, sql, &[name])?, fresh(rng), rng.i64(0..4)])
        },
        act: |connection, [name, found, id, how]| match (found, how) {
            // Whoever did not look relies on the constraint alone.
            (0, _) | (_, 0) => run(connection, "INSERT INTO person VALUES (?1, ?2)", &[id, name]),
            (found, 1) => run(connection, "UPDATE person SET name = (name + 1) % 6 WHERE id = ?1", &[found]),
            (found, _) => run(connection, "DELETE FROM person WHERE id = ?1", &[found]),
        },
        broken: "SELECT (SELECT count(*) FROM person WHERE +id > 0) - (SELECT count(DISTINCT +name) FROM person)
                 OR (SELECT count(*) FROM person WHERE +id > 0) - (SELECT count(*) FROM person WHERE name >= 0)",
    },
    Rule {
        name: "no more is sold than there is",
        schema: "CREATE TABLE sale (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, quantity INTEGER NOT NULL);
                 CREATE INDEX sale_item ON sale (item)",
        look: |connection, rng| {
            let item = rng.i64(0..3);
            let sql = "SELECT coalesce(sum(quantity), 0) FROM sale WHERE item = ?1";
            Ok([item, number(connection, sql, &[item])?, fresh(rng), rng.i64(1..5)])
        },
        act: |connection, [item, sold, id, quantity]| {
            if sold + quantity <= 10 {
                return run(connection, "INSERT INTO sale VALUES (?1, ?2, ?3)", &[id, item, quantity]);
            }
            run(connection, "DELETE FROM sale WHERE id = (SELECT min(id) FROM sale WHERE item = ?1)", &[item])
        },
        broken: "SELECT count(*) FROM (SELECT 1 FROM sale GROUP BY item HAVING sum(quantity) > 10)",
    },
    Rule {
        name: "every child has its parent",
        schema: "CREATE TABLE parent (id INTEGER PRIMARY KEY);
                 CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parent);
                 CREATE TABLE heir (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent ON DELETE CASCADE);
                 CREATE INDEX heir_parent ON heir (parent)",
        look: |connection, rng| {
            let parent = rng.i64(1..5);
            let there = number(connection, "SELECT count(*) FROM parent WHERE id = ?1", &[parent])?;
            Ok([parent, there, fresh(rng), rng.i64(0..6)])
        },
        act: |connection, [parent, there, id, how]| match (there, how) {
            (0, 0) | (1, 0 | 1) => run(connection, "INSERT INTO child VALUES (?1, ?2)", &[id, parent]),
            (0, 1) | (1, 2) => run(connection, "INSERT INTO heir VALUES (?1, ?2)", &[id, parent]),
            (0, _) => run(connection, "INSERT INTO parent VALUES (?1)", &[parent]),
            (_, 3) => run(connection, "DELETE FROM child WHERE parent = ?1", &[parent]),
            _ => run(connection, "DELETE FROM parent WHERE id = ?1", &[parent]),
        },
        broken: "SELECT (SELECT count(*) FROM child WHERE parent NOT IN (SELECT id FROM parent))
                 + (SELECT count(*) FROM heir WHERE parent NOT IN (SELECT id FROM parent))",
    },
];
