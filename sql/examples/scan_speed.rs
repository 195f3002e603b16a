//! How fast plans run over a map in memory, beside SQLite in memory: 20,000 rows, six columns.
//!
//! `cargo run --release --example scan_speed -p dosql-sql [part of a query]`
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use dosql_base::{Env, Error, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::bind::{BindContext, Catalogs, bind_select};
use dosql_sql::catalog::layout;
use dosql_sql::catalog::schema::{Catalog, Column, Place, Table};
use dosql_sql::exec::{ExecContext, Limits, QueryRun, StatementState};
use dosql_sql::func;
use dosql_sql::parse::ast::Statement;
use dosql_sql::parse::parse_one;
use dosql_sql::storage::{Direction, KeyRange, Point, Storage};
use dosql_sql::value::{Affinity, Collation, Text, Value};

const ROWS: i64 = 20_000;

/// Rows one after the other in one buffer, as in pages, so that what is measured is the executor.
#[derive(Default)]
struct Flat {
    bytes: Vec<u8>,
    /// Where each entry's key starts, where its value does, and where it ends; in the order of the keys.
    entries: Vec<(usize, usize, usize)>,
}

impl Flat {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.entries.push((start, middle, self.bytes.len()));
    }

    fn key(&self, at: usize) -> &[u8] {
        let (start, middle, _) = self.entries[at];
        &self.bytes[start..middle]
    }

    fn value(&self, at: usize) -> &[u8] {
        let (_, middle, end) = self.entries[at];
        &self.bytes[middle..end]
    }

    fn find(&self, key: &[u8]) -> usize {
        self.entries.partition_point(|&(start, middle, _)| &self.bytes[start..middle] < key)
    }
}

impl Storage for Flat {
    type Cursor = (usize, usize);

    fn open_cursor(&self, _: Point, range: KeyRange, _: Direction) -> Result<Self::Cursor> {
        Ok((self.find(&range.start), self.find(&range.end)))
    }

    fn visit(
        &self,
        cursor: &mut Self::Cursor,
        limit: usize,
        entry: &mut dosql_sql::Visitor<'_>,
    ) -> Result<bool> {
        let end = cursor.1.min(cursor.0 + limit);
        while cursor.0 < end {
            let at = cursor.0;
            cursor.0 += 1;
            if entry(self.key(at), self.value(at))?.is_break() {
                break;
            }
        }
        Ok(cursor.0 >= cursor.1)
    }

    fn seek(&self, cursor: &mut Self::Cursor, key: &[u8]) -> Result<()> {
        cursor.0 = cursor.0.max(self.find(key));
        Ok(())
    }

    fn get<R>(&self, _: Point, key: &[u8], value: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let at = self.find(key);
        Ok((at < self.entries.len() && self.key(at) == key).then(|| value(self.value(at))))
    }

    fn put(&mut self, _: &[u8], _: &[u8]) -> Result<()> {
        Err(Error::unsupported("only reads"))
    }

    fn delete(&mut self, _: &[u8]) -> Result<()> {
        Err(Error::unsupported("only reads"))
    }

    fn savepoint(&mut self) -> Result<u64> {
        Err(Error::unsupported("only reads"))
    }

    fn rollback_to(&mut self, _: u64) -> Result<()> {
        Err(Error::unsupported("only reads"))
    }

    fn release(&mut self, _: u64) -> Result<()> {
        Err(Error::unsupported("only reads"))
    }

    fn estimate(&self, range: &KeyRange) -> Result<u64> {
        Ok((self.find(&range.end) - self.find(&range.start)) as u64)
    }

    fn resolve_point(&self, wanted: Timestamp) -> Result<Point> {
        Ok(Point::Past(wanted))
    }
}

struct Live(Arc<Catalog>);

impl Catalogs for Live {
    fn live(&self) -> &Arc<Catalog> {
        &self.0
    }

    fn at(&self, point: Timestamp) -> Result<(Point, Arc<Catalog>)> {
        Ok((Point::Past(point), self.0.clone()))
    }

    fn rows(&self, space: u32) -> Option<u64> {
        Some(if space == 20 { ROWS as u64 } else { 100 })
    }
}

fn table(name: &str, space: u32, columns: &[(&str, &str)]) -> Table {
    let column = |at: usize, (name, declared): &(&str, &str)| Column {
        name: Text::new(name),
        declared_type: Text::new(declared),
        affinity: Affinity::of_declared_type(declared),
        collation: Collation::Binary,
        not_null: None,
        default: None,
        primary_key_position: usize::from(at == 0),
        merge_add: false,
        generated: None,
        place: if at == 0 { Place::Rowid } else { Place::Row(at - 1) },
        absent: Value::Null,
    };
    Table {
        space,
        name: Text::new(name),
        columns: columns.iter().enumerate().map(|(at, spec)| column(at, spec)).collect(),
        fields: columns.len() - 1,
        fields_from: None,
        generated: Vec::new(),
        temporary: false,
        rowid_alias: Some(0),
        autoincrement: false,
        without_rowid: false,
        strict: false,
        versioning: Default::default(),
        primary_key: Vec::new(),
        primary_key_conflict: None,
        primary_key_rank: 0,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        sql: Text::default(),
        made_up: false,
    }
}

fn put(storage: &mut Flat, table: &Table, values: &[Value]) {
    let Value::Integer(rowid) = values[0] else { return };
    let (mut key, mut row) = (Vec::new(), Vec::new());
    layout::put_rowid_key(&mut key, table.space, rowid);
    layout::put_row(&mut row, table, values).unwrap();
    storage.add(&key, &row);
}

fn main() {
    let sqlite = rusqlite::Connection::open_in_memory().unwrap();
    sqlite
        .execute_batch(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, b REAL, c TEXT, d INT, g INT);
             CREATE TABLE dim(id INTEGER PRIMARY KEY, name TEXT); BEGIN",
        )
        .unwrap();
    let t = table(
        "t",
        20,
        &[("id", "INTEGER"), ("a", "INT"), ("b", "REAL"), ("c", "TEXT"), ("d", "INT"), ("g", "INT")],
    );
    let dim = table("dim", 21, &[("id", "INTEGER"), ("name", "TEXT")]);
    let mut storage = Flat::default();
    let mut insert = sqlite.prepare("INSERT INTO t VALUES (?,?,?,?,?,?)").unwrap();
    for id in 0..ROWS {
        let (a, d, g) = (id * 7919 % 1000, id * 104_729 % 200_000, id % 100);
        let (b, c) = (a as f64 * 0.25, format!("name{:05}", id % 1000));
        insert.execute((id, a, b, &c, d, g)).unwrap();
        let row = [id.into(), a.into(), b.into(), c.as_str().into(), d.into(), g.into()];
        put(&mut storage, &t, &row);
    }
    drop(insert);
    for id in 0..100 {
        let name = format!("group {id}");
        sqlite.execute("INSERT INTO dim VALUES (?, ?)", (id, &name)).unwrap();
        put(&mut storage, &dim, &[id.into(), name.as_str().into()]);
    }
    sqlite.execute_batch("COMMIT").unwrap();
    let mut catalog = Catalog::default();
    catalog.tables.insert(Text::new("t"), Arc::new(t));
    catalog.tables.insert(Text::new("dim"), Arc::new(dim));
    let live = Live(Arc::new(catalog));
    println!("{:>9} {:>9}  ns a row (a query where * stands)", "dosql", "SQLite");
    for (sql, per) in [
        ("SELECT sum(a) FROM t", ROWS),
        ("SELECT count(*) FROM t", ROWS),
        ("SELECT sum(b) FROM t WHERE a > 500 AND d < 100000", ROWS),
        ("SELECT sum(a * 2 + d) FROM t WHERE b + 1 > 100", ROWS),
        ("SELECT g, count(*), sum(a) FROM t GROUP BY g", ROWS),
        ("SELECT c, count(*), sum(a) FROM t GROUP BY c", ROWS),
        ("SELECT d, count(*) FROM t GROUP BY d", ROWS),
        ("SELECT dim.name, sum(a) FROM t JOIN dim ON dim.id = t.g GROUP BY dim.name", ROWS),
        ("SELECT count(*) FROM t WHERE c LIKE '%042%'", ROWS),
        ("SELECT id, c FROM t ORDER BY d LIMIT 10", ROWS),
        ("SELECT id, c FROM t ORDER BY d", ROWS),
        ("SELECT id, a, b, c, d, g FROM t", ROWS),
        ("SELECT id, sum(a) OVER (ORDER BY id) FROM t", ROWS),
        ("SELECT count(*) FROM t WHERE g IN (SELECT id FROM dim WHERE id < 50)", ROWS),
        ("SELECT (SELECT name FROM dim WHERE dim.id = t.g) FROM t", ROWS),
        (
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) SELECT sum(n) FROM c",
            ROWS,
        ),
        ("SELECT a, c FROM t WHERE id = 777", 1),
        ("SELECT a, c FROM t WHERE id BETWEEN 700 AND 709", 1),
        ("SELECT a FROM t WHERE a = 3 LIMIT 1", 1),
    ] {
        if std::env::args().nth(1).is_some_and(|part| !sql.contains(&part)) {
            continue;
        }
        let ours = ours(&storage, &live, sql);
        let theirs = theirs(&sqlite, sql);
        let star = if per == 1 { "*" } else { " " };
        println!("{:>9.1} {:>9.1} {star} {sql}", ours / per as f64, theirs / per as f64);
    }
}

/// The least time of many runs, in nanoseconds.
fn least(mut run: impl FnMut()) -> f64 {
    let mut least = f64::MAX;
    let begun = Instant::now();
    for _ in 0..200 {
        let repeat = if least < 100_000.0 { 200 } else { 1 };
        let start = Instant::now();
        for _ in 0..repeat {
            run();
        }
        least = least.min(start.elapsed().as_nanos() as f64 / f64::from(repeat));
        if begun.elapsed().as_millis() > 400 {
            break;
        }
    }
    least
}

fn ours(storage: &Flat, live: &Live, sql: &str) -> f64 {
    let env = Env::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)));
    let parsed = parse_one(sql).unwrap();
    let Statement::Select(select) = parsed.statement else { return 0.0 };
    let now = env.now();
    let query =
        Arc::new(bind_select(&BindContext::new(live, &parsed.ast, sql, &env, now), select, &[]).unwrap());
    let interrupt = AtomicBool::new(false);
    let mut state = StatementState::new();
    let mut run = QueryRun::new(query, Vec::new());
    least(|| {
        run.reset(Vec::new());
        state.reset();
        let mut cx = ExecContext {
            storage,
            functions: func::Context::new(&env, now),
            parameters: &[],
            points: &[],
            limits: Limits::default(),
            interrupt: &interrupt,
            catalog: &live.0,
            state: &mut state,
        };
        while let Some(batch) = run.next(&mut cx).unwrap() {
            for row in 0..batch.len() {
                for column in 0..batch.width() {
                    std::hint::black_box(batch.value(row, column));
                }
            }
        }
    })
}

fn theirs(sqlite: &rusqlite::Connection, sql: &str) -> f64 {
    let mut statement = sqlite.prepare(sql).unwrap();
    let width = statement.column_count();
    least(|| {
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..width {
                std::hint::black_box(row.get_ref(column).unwrap());
            }
        }
    })
}
