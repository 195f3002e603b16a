//! SQL text: parsed, run, compared with SQLite.

use std::time::{Duration, Instant};

use dosql::Database;
use dosql_sql::parse::{ast::Ast, is_complete, parse_next};

use crate::differential::{Generator, Pair, shrink::shrink};
use crate::input::Input;
use crate::watch::run_script;

/// How long the parser may take for an input, which is a few KiB: a thousand times what it takes.
const PARSED_WITHIN: Duration = Duration::from_secs(2);

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Parses a script, statement by statement.
pub fn parse(data: &[u8]) {
    let sql = text(data);
    let start = Instant::now();
    let mut from = 0;
    while let Ok(Some((parsed, end))) = parse_next(&sql, from, Ast::default()) {
        assert!(end > from && parsed.span.start as usize >= from && end <= sql.len(), "{from} {end}");
        from = end;
    }
    let _ = is_complete(&sql);
    assert!(start.elapsed() < PARSED_WITHIN, "{} bytes took {:?}", sql.len(), start.elapsed());
}

const TABLES: &str = "
    CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT COLLATE NOCASE, c REAL DEFAULT 1.5, d UNIQUE);
    CREATE TABLE u(a REFERENCES t ON DELETE CASCADE, b, PRIMARY KEY (b, a)) WITHOUT ROWID;
    CREATE INDEX i ON t(b, c DESC) WHERE c > 0;
    CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET c = c + 1 WHERE a = new.a; END;
    CREATE VIEW v AS SELECT a, count(*) AS n FROM u GROUP BY a;
    INSERT INTO t VALUES (1, 'x', 2, 'one'), (2, 'Y', -1, 'two'), (3, NULL, NULL, NULL);
    INSERT INTO u VALUES (1, 'p'), (1, 'q'), (2, x'00');";

/// Runs a script over a small database, which must be sound afterwards. What takes long is interrupted, and must stop.
pub fn run(data: &[u8]) {
    let sql = text(data);
    let db = Database::open_memory().expect("a new database");
    let connection = db.connect().expect("a connection");
    connection.execute_batch(TABLES).expect("the tables");
    run_script(&connection, &sql);
    for branch in db.branches() {
        // Whatever was done, its feed can be told, or says why not.
        let feed = db.branch(&branch.name).and_then(|branch| branch.changes(dosql::Timestamp::ZERO));
        if let Ok(mut changes) = feed {
            while let Ok(Some(_)) = changes.try_next() {}
        }
    }
    let report = db.verify().expect("it can be checked");
    assert!(report.is_sound(), "{:?}", report.problems);
}

/// Random statements in dosql and SQLite; the input is their seed.
pub fn differential(data: &[u8]) {
    let seed = Input::new(data).u64();
    let mut generator = Generator::new(seed);
    let pair = Pair::new();
    let mut script = Vec::new();
    let mut setup = generator.schema();
    for table in 0..generator.tables.len() {
        let rows = generator.random.usize(0..20);
        setup.extend(generator.fill(table, rows));
    }
    let check = |script: &[String], sql: &str| {
        if let Err(mismatch) = pair.check(sql) {
            let (script, mismatch) = shrink(script, &mismatch);
            panic!("{};\n-- ours {:?}\n-- SQLite's {:?}", script.join(";\n"), mismatch.ours, mismatch.theirs);
        }
    };
    for sql in setup {
        check(&script, &sql);
        script.push(sql);
    }
    for number in 0..100 {
        if number % 4 == 3 {
            let (sql, table) = generator.change();
            check(&script, &sql);
            script.push(sql);
            check(&script, &format!("SELECT * FROM {table}"));
        } else {
            let (sql, _) = generator.select(2, &[]);
            check(&script, &sql);
        }
    }
}
