//! SQL: schema changes, indexes, statements and savepoints, each whole or not at all.

use dosql::{Connection, Database, Durability, Result, Timestamp, Value};

use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

pub(super) const SCENARIOS: &[Scenario] =
    &[tables("ddl", ddl), tables("index-build", index_build), tables("statements", statements)];

const fn tables(name: &'static str, live: fn(&mut World) -> Result<()>) -> Scenario {
    Scenario { name, settings: Settings::DEFAULT, live, observe, told: false }
}

/// The tables that these scenarios make.
const TABLES: [&str; 2] = ["t", "u"];

/// Every row of every table, and what the check of the indexes has to say.
pub(super) fn observe(database: &Database, at: Option<Timestamp>) -> Result<State> {
    let connection = database.connect()?;
    let mut state = State::new();
    for table in TABLES {
        let sql = match at {
            None => format!("SELECT * FROM {table}"),
            Some(_) => format!("SELECT * FROM {table} FOR SYSTEM_TIME AS OF LSN ?1"),
        };
        match rows(&connection, &sql, at) {
            Ok(found) => state.extend(found.into_iter().map(|row| (line(table, &row), Vec::new()))),
            Err(error) if error.message().contains("no such table") => {}
            Err(error) => return Err(error),
        }
    }
    if at.is_none() {
        let verdicts = rows(&connection, "PRAGMA integrity_check", None)?;
        state.extend(
            verdicts.into_iter().filter(|row| row != "ok").map(|row| (line("integrity", &row), Vec::new())),
        );
    }
    Ok(state)
}

pub(super) fn line(table: &str, row: &str) -> Vec<u8> {
    format!("{table}: {row}").into_bytes()
}

pub(super) fn rows(connection: &Connection, sql: &str, at: Option<Timestamp>) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(at.into_iter().collect::<Vec<Timestamp>>())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Vec<String> = row.values().iter().map(text).collect();
        found.push(values.join(","));
    }
    Ok(found)
}

fn text(value: &Value) -> String {
    dosql::types::to_text(value.as_ref()).to_string()
}

/// Runs `sql` as one commit, after which `table` holds `rows` and the others what they held.
pub(super) fn step(world: &mut World, sql: &str, table: &str, rows: &[&str]) -> Result<()> {
    let prefix = format!("{table}: ").into_bytes();
    let mut state = (*world.lived.state()).clone();
    state.retain(|row, _| !row.starts_with(&prefix));
    state.extend(rows.iter().map(|row| (line(table, row), Vec::new())));
    world.commit(Durability::Sync, state, |database| {
        let connection = database.connect()?;
        connection.execute_batch(sql)?;
        Ok(connection.last_commit())
    })
}

fn ddl(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "t", &["1,a", "2,b"])?;
    step(world, "ALTER TABLE t ADD COLUMN w DEFAULT 7", "t", &["1,a,7", "2,b,7"])?;
    step(world, "CREATE TABLE u (k TEXT PRIMARY KEY, n INT) WITHOUT ROWID", "u", &[])?;
    world.checkpoint()?;
    step(world, "INSERT INTO u VALUES ('x', 1), ('y', 2)", "u", &["x,1", "y,2"])?;
    step(world, "ALTER TABLE t DROP COLUMN v", "t", &["1,7", "2,7"])?;
    step(world, "DROP TABLE u", "u", &[])?;
    world.reopen()?;
    step(world, "BEGIN; CREATE TABLE u (a); INSERT INTO u VALUES (5); COMMIT", "u", &["5"])
}

fn index_build(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", "t", &["1,a", "2,b", "3,c"])?;
    step(world, "CREATE UNIQUE INDEX by_v ON t(v)", "t", &["1,a", "2,b", "3,c"])?;
    step(world, "UPDATE t SET v = 'z' WHERE id = 2", "t", &["1,a", "2,z", "3,c"])?;
    world.checkpoint()?;
    step(world, "DELETE FROM t WHERE v = 'a'", "t", &["2,z", "3,c"])?;
    step(world, "INSERT INTO t VALUES (9, 'b'), (8, 'a')", "t", &["2,z", "3,c", "8,a", "9,b"])?;
    world.reopen()?;
    step(world, "BEGIN; REINDEX by_v; DROP INDEX by_v; COMMIT", "t", &["2,z", "3,c", "8,a", "9,b"])
}

/// A statement that fails leaves nothing, a savepoint takes back what came after it.
fn statements(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE CHECK (v < 100))", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 10), (2, 20)", "t", &["1,10", "2,20"])?;
    let mut state = (*world.lived.state()).clone();
    state.insert(line("t", "3,30"), Vec::new());
    world.commit(Durability::Sync, state, |database| {
        let connection = database.connect()?;
        connection.execute_batch("BEGIN; INSERT INTO t VALUES (3, 30)")?;
        let failed = connection.execute("INSERT INTO t VALUES (4, 40), (5, 10)", ());
        debug_assert!(failed.is_err(), "5 has the value of 1");
        connection.execute_batch(
            "SAVEPOINT s; UPDATE t SET v = v + 1; DELETE FROM t WHERE id = 2; ROLLBACK TO s; COMMIT",
        )?;
        Ok(connection.last_commit())
    })?;
    world.checkpoint()?;
    step(world, "UPDATE t SET id = id + 10 WHERE id > 1", "t", &["1,10", "12,20", "13,30"])
}
