//! How long statements that write take, over the storage in memory: `cargo run --release --example write_speed`.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use dosql_base::{Env, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::parse::parse_one;
use dosql_sql::session::{Prepared, Run, Session, Step};
use dosql_sql::testkit::MemoryStorage;
use dosql_sql::value::Value;

struct Db {
    storage: MemoryStorage,
    session: Session,
    env: Env,
    interrupt: AtomicBool,
}

impl Db {
    fn prepare(&mut self, sql: &str) -> Result<Arc<Prepared>> {
        let parsed = Arc::new(parse_one(sql)?);
        let now = self.env.now();
        Ok(Arc::new(self.session.prepare(&self.storage, &self.env, now, &sql.into(), parsed, None)?))
    }

    fn run(&mut self, prepared: &Arc<Prepared>, parameters: Vec<Value>) -> Result<()> {
        let mut run = Run::new(Arc::clone(prepared), parameters, self.env.now());
        while let Step::Rows(_) =
            run.step(&mut self.session, &mut self.storage, &self.env, &self.interrupt)?
        {}
        Ok(())
    }

    fn time(&mut self, what: &str, sql: &str, n: i64, parameters: impl Fn(i64) -> Vec<Value>) -> Result<()> {
        let prepared = self.prepare(sql)?;
        let start = Instant::now();
        for i in 1..=n {
            self.run(&prepared, parameters(i))?;
        }
        println!("{what:40} {:>8.0} ns", start.elapsed().as_nanos() as f64 / n as f64);
        Ok(())
    }
}

fn main() -> Result<()> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_767_225_600_000_000)));
    let env = Env::new(clock, Arc::new(SeededEntropy::new(1)));
    let mut db =
        Db { storage: MemoryStorage::new(), session: Session::new(), env, interrupt: AtomicBool::new(false) };
    for sql in [
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b REAL, c TEXT, d INTEGER)",
        "CREATE TABLE i(id INTEGER PRIMARY KEY, a INTEGER, c TEXT UNIQUE)",
        "CREATE INDEX ia ON i(a)",
        "CREATE TABLE k(a TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID",
    ] {
        let prepared = db.prepare(sql)?;
        db.run(&prepared, Vec::new())?;
    }
    const N: i64 = 20_000;
    let row = |i: i64| vec![Value::Integer(i), Value::Real(i as f64), Value::from(format!("text {i}"))];
    db.time("insert, 5 columns", "INSERT INTO t(a, b, c, d) VALUES(?, ?, ?, 7)", N, row)?;
    db.time("insert, 2 indexes", "INSERT INTO i(a, c) VALUES(?1, ?3)", N, row)?;
    let upsert = "INSERT INTO k VALUES(?3, 1) ON CONFLICT(a) DO UPDATE SET n = n + 1";
    db.time("upsert, new rows", upsert, N, row)?;
    db.time("upsert, known rows", upsert, N, row)?;
    db.time("update by rowid", "UPDATE t SET a = a + 1 WHERE id = ?1", N, row)?;
    db.time("update by rowid, an index", "UPDATE i SET a = a + 1 WHERE id = ?1", N, row)?;
    db.time("update all, a row", "UPDATE t SET d = d + ?1", 5, row)?;
    db.time(
        "insert from a query of 20000",
        "INSERT INTO t(a, b, c, d) SELECT a, b, c, d FROM i JOIN t USING(id, a, c)",
        1,
        row,
    )?;
    db.time("delete by rowid", "DELETE FROM t WHERE id = ?1", N, row)?;
    db.time("delete by rowid, 2 indexes", "DELETE FROM i WHERE id = ?1", N, row)?;
    Ok(())
}
