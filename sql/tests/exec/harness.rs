//! The same tables in a storage in memory and in SQLite, and queries over both: parsed, bound, planned and run here, judged
//! there.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dosql_base::{Env, ErrorKind, ManualClock, Result, SeededEntropy, Timestamp};
use dosql_sql::bind::{BindContext, Catalogs, bind_select};
use dosql_sql::catalog::layout;
use dosql_sql::catalog::schema::{Catalog, Column, Index, IndexColumn, IndexKey, IndexOrigin, Place, Table};
use dosql_sql::exec::{ExecContext, Limits, QueryRun, StatementState};
use dosql_sql::func;
use dosql_sql::parse::ast::Statement;
use dosql_sql::parse::parse_one;
use dosql_sql::plan::Query;
use dosql_sql::storage::{Point, Storage};
use dosql_sql::testkit::MemoryStorage;
use dosql_sql::value::{Affinity, Collation, Text, Value};

pub type Row = Vec<Value>;

pub struct Fixture {
    pub storage: MemoryStorage,
    pub catalog: Arc<Catalog>,
    pub sqlite: rusqlite::Connection,
    pub env: Env,
    next_space: u32,
}

struct Live<'a>(&'a Arc<Catalog>);

impl Catalogs for Live<'_> {
    fn live(&self) -> &Arc<Catalog> {
        self.0
    }

    fn at(&self, point: Timestamp) -> Result<(Point, Arc<Catalog>)> {
        Ok((Point::Past(point), self.0.clone()))
    }
}

fn collation_of(declared: &str) -> Collation {
    if declared.contains("NOCASE") { Collation::NoCase } else { Collation::Binary }
}

impl Fixture {
    pub fn new() -> Fixture {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_767_225_600_000_000)));
        Fixture {
            storage: MemoryStorage::new(),
            catalog: Arc::new(Catalog::default()),
            sqlite: rusqlite::Connection::open_in_memory().unwrap(),
            env: Env::new(clock, Arc::new(SeededEntropy::new(1))),
            next_space: 20,
        }
    }

    fn space(&mut self) -> u32 {
        self.next_space += 1;
        self.next_space
    }

    /// Makes a table of columns `name TYPE [COLLATE NOCASE]`; a first column `INTEGER PRIMARY KEY` is the rowid. With
    /// `key`, the table is WITHOUT ROWID under these columns. Each index is its columns, with `DESC` where so.
    pub fn table(&mut self, name: &str, columns: &[&str], key: &[&str], indexes: &[&[&str]]) {
        let ddl_key =
            if key.is_empty() { String::new() } else { format!(", PRIMARY KEY ({})", key.join(", ")) };
        let without = if key.is_empty() { "" } else { " WITHOUT ROWID" };
        let ddl = format!("CREATE TABLE {name} ({}{ddl_key}){without}", columns.join(", "));
        self.sqlite.execute_batch(&ddl).unwrap();
        let mut made = Vec::new();
        let mut fields = 0;
        for (at, text) in columns.iter().enumerate() {
            let (column, declared) = text.split_once(' ').unwrap_or((text, ""));
            let is_rowid = at == 0 && declared == "INTEGER PRIMARY KEY";
            let affinity = Affinity::of_declared_type(declared.split(" COLLATE").next().unwrap());
            let part = key.iter().position(|part| part.split(' ').next() == Some(column));
            let place = match part {
                _ if is_rowid => Place::Rowid,
                Some(part) if layout::exact_in_key(affinity, collation_of(declared)) => Place::Key(part),
                _ => {
                    fields += 1;
                    Place::Row(fields - 1)
                }
            };
            made.push(Column {
                name: Text::new(column),
                declared_type: Text::new(declared.split(" COLLATE").next().unwrap()),
                affinity,
                collation: collation_of(declared),
                not_null: None,
                default: None,
                primary_key_position: 0,
                merge_add: false,
                generated: None,
                place,
                absent: Value::Null,
            });
        }
        let part = |text: &&str| {
            let (column, descending) = match text.split_once(' ') {
                Some((column, _)) => (column, true),
                None => (*text, false),
            };
            let at = made.iter().position(|made| made.name == column).unwrap();
            IndexColumn { key: IndexKey::Column(at), collation: made[at].collation, descending }
        };
        let primary_key: Vec<IndexColumn> = key.iter().map(part).collect();
        let mut all = Vec::new();
        for (number, index) in indexes.iter().enumerate() {
            let index_name = format!("{name}_{number}");
            let ddl = format!("CREATE INDEX {index_name} ON {name} ({})", index.join(", "));
            self.sqlite.execute_batch(&ddl).unwrap();
            self.next_space += 1;
            all.push(Arc::new(Index {
                space: self.next_space,
                name: Text::new(&index_name),
                table: Text::new(name),
                columns: index.iter().map(part).collect(),
                unique: false,
                filter: None,
                origin: IndexOrigin::Created,
                conflict: None,
                sql: Text::new(&ddl),
            }));
        }
        let table = Table {
            space: self.space(),
            name: Text::new(name),
            rowid_alias: matches!(made[0].place, Place::Rowid).then_some(0),
            columns: made,
            fields,
            fields_from: None,
            generated: Vec::new(),
            temporary: false,
            autoincrement: false,
            without_rowid: !key.is_empty(),
            strict: false,
            versioning: Default::default(),
            primary_key,
            primary_key_conflict: None,
            primary_key_rank: 0,
            indexes: all.clone(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            sql: Text::new(&ddl),
            made_up: false,
        };
        let catalog = Arc::make_mut(&mut self.catalog);
        catalog.version += 1;
        catalog.tables.insert(Text::new(name), Arc::new(table));
        catalog.indexes.extend(all.into_iter().map(|index| (index.name.clone(), index)));
    }

    /// Adds a row.
    pub fn insert(&mut self, name: &str, row: &[Value]) {
        let marks = vec!["?"; row.len()].join(", ");
        let values: Vec<_> = row.iter().map(to_sqlite).collect();
        let sql = format!("INSERT INTO {name} VALUES ({marks})");
        self.sqlite.prepare_cached(&sql).unwrap().execute(rusqlite::params_from_iter(values)).unwrap();
        let table = self.catalog.tables[name].clone();
        let values: Vec<Value> = row
            .iter()
            .zip(&table.columns)
            .map(|(value, column)| column.affinity.apply(value.clone()))
            .collect();
        let rowid = match table.rowid_alias {
            Some(column) => match values[column] {
                Value::Integer(rowid) => rowid,
                _ => panic!("a rowid is an integer"),
            },
            None => self.sqlite.last_insert_rowid(),
        };
        let mut row_id = Vec::new();
        layout::put_row_id(&mut row_id, &table, &values, rowid);
        let mut key = Vec::new();
        layout::put_row_key(&mut key, table.space, &row_id);
        let mut bytes = Vec::new();
        layout::put_row(&mut bytes, &table, &values).unwrap();
        self.storage.put(&key, &bytes).unwrap();
        for index in &table.indexes {
            let mut key = Vec::new();
            layout::put_space(&mut key, index.space);
            for part in &index.columns {
                let IndexKey::Column(column) = part.key else { continue };
                layout::put_part(&mut key, part, values[column].as_ref());
            }
            key.extend_from_slice(&row_id);
            self.storage.put(&key, &[]).unwrap();
        }
    }

    pub fn bind(&self, sql: &str) -> Result<Query> {
        let parsed = parse_one(sql)?;
        let Statement::Select(select) = parsed.statement else { panic!("no SELECT: {sql}") };
        let live = Live(&self.catalog);
        let now = self.env.now();
        bind_select(&BindContext::new(&live, &parsed.ast, sql, &self.env, now), select, &[])
    }

    /// Runs a query; the number of times it had to wait.
    pub fn run(&self, sql: &str) -> Result<(Vec<Row>, usize)> {
        self.run_within(sql, Limits::default(), &AtomicBool::new(false))
    }

    /// As [`Fixture::run`], within limits and until interrupted.
    pub fn run_within(&self, sql: &str, limits: Limits, interrupt: &AtomicBool) -> Result<(Vec<Row>, usize)> {
        let mut run = QueryRun::new(Arc::new(self.bind(sql)?), Vec::new());
        self.drain(&mut run, &mut StatementState::new(), limits, interrupt)
    }

    /// The rest of a query's rows.
    pub fn drain(
        &self,
        run: &mut QueryRun<MemoryStorage>,
        state: &mut StatementState<MemoryStorage>,
        limits: Limits,
        interrupt: &AtomicBool,
    ) -> Result<(Vec<Row>, usize)> {
        let width = run.query().outputs.len();
        let (mut rows, mut waits) = (Vec::new(), 0);
        loop {
            let mut cx = ExecContext {
                storage: &self.storage,
                functions: func::Context::new(&self.env, self.env.now()),
                parameters: &[],
                points: &[],
                limits,
                interrupt,
                catalog: &self.catalog,
                state,
            };
            match run.next(&mut cx) {
                Ok(Some(batch)) => {
                    assert!(!batch.is_empty());
                    for row in 0..batch.len() {
                        rows.push((0..width).map(|column| batch.value(row, column).to_value()).collect());
                    }
                }
                Ok(None) => return Ok((rows, waits)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => waits += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// What SQLite says.
    pub fn oracle(&self, sql: &str) -> std::result::Result<Vec<Row>, rusqlite::Error> {
        let mut statement = self.sqlite.prepare(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push((0..width).map(|column| from_sqlite(row.get_ref(column).unwrap())).collect());
        }
        Ok(all)
    }

    /// Compares a query with SQLite's: in order where the text has an ORDER BY, else as a set with repetitions. Says what
    /// differs.
    pub fn difference(&self, sql: &str) -> Option<String> {
        let ordered = sql.to_ascii_uppercase().contains("ORDER BY");
        match (self.oracle(sql), self.run(sql)) {
            (Ok(mut expected), Ok((mut found, _))) => {
                if !ordered {
                    expected.sort_by_key(|row| format!("{row:?}"));
                    found.sort_by_key(|row| format!("{row:?}"));
                }
                let at = (0..expected.len().max(found.len())).find(|&at| {
                    match (expected.get(at), found.get(at)) {
                        (Some(expected), Some(found)) => !same(expected, found),
                        _ => true,
                    }
                })?;
                let counts = (expected.len(), found.len());
                Some(format!(
                    "{sql}\n  {counts:?} row {at}: {:?}\n  found {:?}",
                    expected.get(at),
                    found.get(at)
                ))
            }
            (Err(_), Err(_)) => None,
            (expected, found) => {
                let expected = expected.map(|rows| rows.len());
                let found = found.map(|(rows, _)| rows.len());
                Some(format!("{sql}\n  expected {expected:?}\n  found    {found:?}"))
            }
        }
    }

    /// Fails with what differs in any of the queries.
    pub fn check<'q>(&self, queries: impl Iterator<Item = &'q str>) {
        let differences: Vec<String> = queries.filter_map(|sql| self.difference(sql)).collect();
        assert!(differences.is_empty(), "{} differ\n{}", differences.len(), differences.join("\n"));
    }
}

fn same(a: &Row, b: &Row) -> bool {
    let close = |(a, b): (&Value, &Value)| match (a, b) {
        (Value::Real(a), Value::Real(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0) || a == b,
        _ => a == b,
    };
    a.len() == b.len() && a.iter().zip(b).all(close)
}

fn to_sqlite(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Null => rusqlite::types::Value::Null,
        Value::Integer(integer) => rusqlite::types::Value::Integer(*integer),
        Value::Real(real) => rusqlite::types::Value::Real(*real),
        Value::Text(text) => rusqlite::types::Value::Text(text.to_string()),
        Value::Blob(bytes) => rusqlite::types::Value::Blob(bytes.to_vec()),
    }
}

fn from_sqlite(value: rusqlite::types::ValueRef<'_>) -> Value {
    match value {
        rusqlite::types::ValueRef::Null => Value::Null,
        rusqlite::types::ValueRef::Integer(integer) => Value::Integer(integer),
        rusqlite::types::ValueRef::Real(real) => Value::Real(real),
        rusqlite::types::ValueRef::Text(text) => Value::text(std::str::from_utf8(text).unwrap()),
        rusqlite::types::ValueRef::Blob(bytes) => Value::from(bytes),
    }
}

/// Three tables with every kind of value: `t` by rowid, `u` WITHOUT ROWID, `v` untyped; with indexes.
pub fn standard(rows: i64) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.table(
        "t",
        &["id INTEGER PRIMARY KEY", "a INT", "b REAL", "c TEXT", "d TEXT COLLATE NOCASE", "e"],
        &[],
        &[&["a"], &["c", "a DESC"], &["d"], &["e DESC", "b"]],
    );
    fixture.table("u", &["k TEXT", "n INT", "x INT", "y TEXT"], &["k", "n DESC"], &[&["x"], &["y", "x"]]);
    fixture.table("v", &["p", "q"], &[], &[&["p"]]);
    let mut random = 12345u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for id in 1..=rows {
        let a = if next(7) == 0 { Value::Null } else { Value::Integer(next(20) as i64 - 5) };
        let b = if next(9) == 0 { Value::Null } else { Value::Real(next(40) as f64 / 4.0 - 3.0) };
        let c = if next(8) == 0 {
            Value::Null
        } else {
            Value::text(["x", "yy", "zzz", "Xa", "é"][next(5) as usize])
        };
        let d = Value::text(["abc", "ABC", "b", "B ", "Ca"][next(5) as usize]);
        let e = match next(6) {
            0 => Value::Null,
            1 => Value::Integer(next(5) as i64),
            2 => Value::Real(next(10) as f64 / 2.0),
            3 => Value::text(["1", "2", "k"][next(3) as usize]),
            4 => Value::from(vec![next(3) as u8]),
            _ => Value::Integer(next(1000) as i64),
        };
        fixture.insert("t", &[Value::Integer(id * 2), a, b, c, d, e]);
    }
    for at in 0..rows / 2 {
        let k = Value::text(["k1", "k2", "k3"][(at % 3) as usize]);
        let x = if next(5) == 0 { Value::Null } else { Value::Integer(next(30) as i64) };
        let y = Value::text(["m", "n", "o", "abc"][next(4) as usize]);
        fixture.insert("u", &[k, Value::Integer(at), x, y]);
    }
    for _ in 0..rows / 3 {
        let mut value = || match next(5) {
            0 => Value::Null,
            1 | 2 => Value::Integer(next(12) as i64),
            3 => Value::Real(next(12) as f64 / 2.0),
            _ => Value::text(["1", "3", "x"][next(3) as usize]),
        };
        let row = [value(), value()];
        fixture.insert("v", &row);
    }
    fixture
}
