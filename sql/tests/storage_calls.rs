//! Statements about single rows ask the storage for no more than they need: counted call by call, so that what was won is not
//! lost unnoticed.

#![allow(clippy::unwrap_used, reason = "a test fails where it may")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::{Env, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::parse::parse_one;
use dosql_sql::session::{Prepared, Run, Session, Step};
use dosql_sql::testkit::{MemoryCursor, MemoryStorage};
use dosql_sql::value::Value;
use dosql_sql::{CatalogStamp, Direction, KeyRange, Point, Storage, Visitor};

/// Calls of a storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Calls {
    gets: u32,
    inserts: u32,
    puts: u32,
    deletes: u32,
    cursors: u32,
    savepoints: u32,
}

#[derive(Default)]
struct Counting {
    inner: MemoryStorage,
    calls: Cell<Calls>,
    catalog_changes: u64,
}

impl Counting {
    fn count(&self, count: impl FnOnce(&mut Calls)) {
        let mut calls = self.calls.get();
        count(&mut calls);
        self.calls.set(calls);
    }
}

impl Storage for Counting {
    type Cursor = MemoryCursor;

    fn open_cursor(&self, point: Point, range: KeyRange, direction: Direction) -> Result<MemoryCursor> {
        self.count(|calls| calls.cursors += 1);
        self.inner.open_cursor(point, range, direction)
    }

    fn visit(&self, cursor: &mut MemoryCursor, limit: usize, entry: &mut Visitor<'_>) -> Result<bool> {
        self.inner.visit(cursor, limit, entry)
    }

    fn seek(&self, cursor: &mut MemoryCursor, key: &[u8]) -> Result<()> {
        self.inner.seek(cursor, key)
    }

    fn get<R>(&self, point: Point, key: &[u8], value: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        self.count(|calls| calls.gets += 1);
        self.inner.get(point, key, value)
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.count(|calls| calls.puts += 1);
        self.catalog_changes += u64::from(dosql_sql::catalog::store::is_catalog_key(key));
        self.inner.put(key, value)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.count(|calls| calls.inserts += 1);
        self.inner.insert(key, value)
    }

    fn delete(&mut self, key: &[u8]) -> Result<()> {
        self.count(|calls| calls.deletes += 1);
        self.inner.delete(key)
    }

    fn savepoint(&mut self) -> Result<u64> {
        self.count(|calls| calls.savepoints += 1);
        self.inner.savepoint()
    }

    fn rollback_to(&mut self, mark: u64) -> Result<()> {
        self.inner.rollback_to(mark)
    }

    fn release(&mut self, mark: u64) -> Result<()> {
        self.inner.release(mark)
    }

    fn estimate(&self, range: &KeyRange) -> Result<u64> {
        self.inner.estimate(range)
    }

    fn catalog_stamp(&self) -> Option<CatalogStamp> {
        Some(CatalogStamp { committed: self.catalog_changes, ..CatalogStamp::default() })
    }

    fn resolve_point(&self, wanted: Timestamp) -> Result<Point> {
        self.inner.resolve_point(wanted)
    }
}

struct Db {
    storage: Counting,
    session: Session,
    env: Env,
}

impl Db {
    fn new(schema: &[&str]) -> Db {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_767_225_600_000_000)));
        let env = Env::new(clock, Arc::new(SeededEntropy::new(1)));
        let mut db = Db { storage: Counting::default(), session: Session::new(), env };
        for sql in schema {
            let prepared = db.prepare(sql);
            db.run(&prepared, Vec::new());
        }
        db
    }

    fn prepare(&mut self, sql: &str) -> Arc<Prepared> {
        let parsed = Arc::new(parse_one(sql).unwrap());
        let now = self.env.now();
        let prepared = self.session.prepare(&self.storage, &self.env, now, &sql.into(), parsed, None);
        Arc::new(prepared.unwrap())
    }

    /// Runs a statement; what that asked of the storage.
    fn run(&mut self, prepared: &Arc<Prepared>, parameters: Vec<Value>) -> Calls {
        self.storage.calls.take();
        let mut run = Run::new(Arc::clone(prepared), parameters, self.env.now());
        let interrupt = AtomicBool::new(false);
        while let Step::Rows(_) =
            run.step(&mut self.session, &mut self.storage, &self.env, &interrupt).unwrap()
        {}
        self.storage.calls.get()
    }

    /// The calls of a statement that has run before.
    fn calls(&mut self, sql: &str, parameters: impl Fn(i64) -> Vec<Value>) -> Calls {
        let prepared = self.prepare(sql);
        self.run(&prepared, parameters(1));
        self.run(&prepared, parameters(2))
    }
}

const NONE: Calls = Calls { gets: 0, inserts: 0, puts: 0, deletes: 0, cursors: 0, savepoints: 0 };
const TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, s TEXT)";
const INDEX: &str = "CREATE INDEX t_k ON t (k)";

fn row(n: i64) -> Vec<Value> {
    vec![Value::Integer(n), Value::Integer(n * 7), Value::text("some text")]
}

#[test]
fn an_insert_by_key_asks_for_one_write_a_row_and_one_an_index_entry() {
    let sql = "INSERT INTO t (id, k, s) VALUES (?1, ?2, ?3)";
    assert_eq!(Db::new(&[TABLE]).calls(sql, row), Calls { inserts: 1, ..NONE });
    assert_eq!(
        Db::new(&[TABLE, INDEX]).calls(sql, row),
        Calls { inserts: 1, puts: 1, savepoints: 1, ..NONE }
    );
}

#[test]
fn a_change_of_one_row_reads_it_once_and_writes_what_differs() {
    let mut db = Db::new(&[TABLE, INDEX]);
    db.calls("INSERT INTO t (id, k, s) VALUES (?1, ?2, ?3)", row);
    let id = |n| vec![Value::Integer(n)];
    let calls = db.calls("UPDATE t SET s = s || 'x' WHERE id = ?1", id);
    assert_eq!(calls, Calls { gets: 1, puts: 1, ..NONE });
    let calls = db.calls("UPDATE t SET k = k + 1 WHERE id = ?1", id);
    assert_eq!(calls, Calls { gets: 1, puts: 2, deletes: 1, savepoints: 1, ..NONE });
    let upsert = "INSERT INTO t (id, k, s) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET s = excluded.s";
    let calls = db.calls(upsert, row);
    assert_eq!(calls, Calls { inserts: 1, gets: 1, puts: 1, savepoints: 1, ..NONE });
    assert_eq!(db.calls("SELECT s FROM t WHERE id = ?1", id), Calls { gets: 1, ..NONE });
    let calls = db.calls("DELETE FROM t WHERE id = ?1", id);
    assert_eq!(calls, Calls { gets: 1, deletes: 2, savepoints: 1, ..NONE });
}

#[test]
fn what_passes_over_a_table_reads_it_with_one_cursor() {
    let filled = |rows| {
        let mut db = Db::new(&[TABLE, INDEX]);
        let insert = db.prepare("INSERT INTO t (id, k, s) VALUES (?1, ?2, ?3)");
        for n in 0..rows {
            db.run(&insert, row(n));
        }
        db
    };
    let built = |rows| {
        let mut db = filled(rows);
        let create = db.prepare("CREATE INDEX t_s ON t (s)");
        let calls = db.run(&create, Vec::new());
        Calls { puts: calls.puts - rows as u32, ..calls }
    };
    assert_eq!(built(2), built(30), "but for the entries, the size of the table makes no difference");
    let mut db = filled(20);
    let delete = db.prepare("DELETE FROM t WHERE k % 2 = 0");
    assert_eq!(db.run(&delete, Vec::new()), Calls { cursors: 1, deletes: 20, savepoints: 1, ..NONE });
}
