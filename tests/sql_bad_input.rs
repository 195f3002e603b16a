//! Bad and outsized input gets a typed error with its place, or the right answer in time that grows with the text and no
//! faster; never a panic, nor an overflow of a small stack.
#![allow(clippy::unwrap_used, reason = "a test fails where it may")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "time is what some of the tests measure"
)]

use std::time::{Duration, Instant};

use dosql::{Code, Connection, Database, Error, ErrorKind, Options, Result, Storage, Value};

/// The stack of every statement here: what a thread gets from Rust unless it asks for more.
const STACK: usize = 2 << 20;

/// Runs `work` with a connection to a database of one table of a thousand rows, on a small stack.
fn with_connection<T: Send + 'static>(work: impl FnOnce(&Connection) -> T + Send + 'static) -> T {
    let run = move || {
        let database = Database::open(Storage::memory(), Options::default()).unwrap();
        let connection = database.connect().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER, c TEXT);
                 CREATE INDEX t_b_c ON t (b, c);
                 INSERT INTO t SELECT value, value % 7, 'x' || value FROM generate_series(1, 1000)",
            )
            .unwrap();
        work(&connection)
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run).unwrap().join().unwrap()
}

/// All rows of the last statement of a script.
fn rows(connection: &Connection, sql: &str) -> Result<Vec<Vec<Value>>> {
    let (mut from, mut all) = (0, Vec::new());
    while let Some((mut statement, end)) = connection.prepare_next(sql, from)? {
        all.clear();
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            all.push(row.values());
        }
        from = end;
    }
    Ok(all)
}

fn answer(sql: impl Into<String>) -> Result<Vec<Vec<Value>>> {
    let sql = sql.into();
    with_connection(move |connection| rows(connection, &sql))
}

fn refused(sql: impl Into<String>) -> Error {
    let sql = sql.into();
    let start: String = sql.chars().take(60).collect();
    answer(sql).expect_err(&start)
}

fn integer(sql: impl Into<String>) -> i64 {
    match answer(sql).unwrap().as_slice() {
        [row] => match row.as_slice() {
            [Value::Integer(n)] => *n,
            other => panic!("no integer: {other:?}"),
        },
        other => panic!("not one row: {other:?}"),
    }
}

/// How long this thread has run, where the system tells; else how late it is.
fn running() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.as_deref().and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// How long a script runs, whatever comes of it.
fn time(connection: &Connection, sql: &str) -> Duration {
    let start = running();
    let _ = rows(connection, sql);
    running().saturating_sub(start)
}

fn times(n: usize, text: &str, between: &str) -> String {
    vec![text; n].join(between)
}

fn numbered(n: usize, between: &str, text: impl Fn(usize) -> String) -> String {
    (0..n).map(text).collect::<Vec<_>>().join(between)
}

/// A balanced tree of `n` members.
fn balanced(n: usize, operator: &str, member: &dyn Fn(usize) -> String) -> String {
    fn part(from: usize, n: usize, operator: &str, member: &dyn Fn(usize) -> String) -> String {
        if n == 1 {
            return member(from);
        }
        let half = n / 2;
        let (left, right) =
            (part(from, half, operator, member), part(from + half, n - half, operator, member));
        format!("({left} {operator} {right})")
    }
    part(0, n, operator, member)
}

// ---------------------------------------------------------------- mistakes

#[test]
fn a_mistake_is_told_with_its_code_message_and_place() {
    let mistakes = [
        ("SELEC 1", "near \"SELEC\": syntax error", Some(0)),
        ("SELECT 1 +", "incomplete input", Some(10)),
        ("SELECT (1", "incomplete input", Some(9)),
        ("SELECT 1)", "near \")\": syntax error", Some(8)),
        ("SELECT 'abc", "unrecognized token: \"'abc\"", Some(7)),
        ("SELECT x'1'", "unrecognized token: \"x'1'\"", Some(7)),
        ("SELECT 1e", "unrecognized token: \"1e\"", Some(7)),
        ("SELECT 0x", "unrecognized token: \"0x\"", Some(7)),
        ("SELECT 1 FROM", "incomplete input", Some(13)),
        ("SELECT \u{1}", "unrecognized token: \"\u{1}\"", Some(7)),
        ("SELECT z FROM t", "no such column: z", Some(7)),
        ("SELECT t.z FROM t", "no such column: t.z", None),
        ("SELECT u.a FROM t", "no such column: u.a", None),
        ("SELECT * FROM nowhere", "no such table: nowhere", Some(14)),
        ("SELECT f(1)", "no such function: f", Some(7)),
        ("SELECT abs()", "wrong number of arguments to function abs()", Some(7)),
        ("SELECT abs(1, 2)", "wrong number of arguments to function abs()", Some(7)),
        ("SELECT a COLLATE swedish FROM t", "no such collation sequence: swedish", None),
        ("SELECT sum(sum(a)) FROM t", "misuse of aggregate function sum()", Some(11)),
        ("SELECT a FROM t WHERE count(*) > 1", "", Some(22)),
        ("SELECT (1, 2)", "row value misused", Some(7)),
        ("SELECT (SELECT 1, 2)", "sub-select returns 2 columns - expected 1", None),
        ("SELECT 1 UNION SELECT 1, 2", "", None),
        ("INSERT INTO t VALUES (1)", "table t has 3 columns but 1 values were supplied", None),
        ("INSERT INTO t (a, z) VALUES (1, 2)", "table t has no column named z", None),
        ("INSERT INTO t (a) VALUES (1, 2)", "2 values for 1 columns", None),
        ("UPDATE t SET z = 1", "no such column: z", None),
        ("DELETE FROM nowhere", "no such table: nowhere", None),
        ("DROP TABLE nowhere", "no such table: nowhere", None),
        ("DROP INDEX none", "no such index: none", None),
        ("CREATE TABLE t (a)", "table t already exists", None),
        ("CREATE TABLE u (a, A)", "duplicate column name: A", None),
        ("CREATE INDEX i ON t (z)", "", None),
        ("ALTER TABLE t ADD COLUMN a", "duplicate column name: a", None),
        ("RELEASE s", "no such savepoint: s", None),
        ("COMMIT", "cannot commit - no transaction is active", None),
        ("SELECT ?0", "variable number must be between ?1 and ?32766", Some(7)),
        ("SELECT abs('x', 'y') FROM t", "wrong number of arguments to function abs()", Some(7)),
    ];
    with_connection(move |connection| {
        for (sql, message, offset) in mistakes {
            let error = rows(connection, sql).expect_err(sql);
            assert_eq!(
                (error.kind(), error.code()),
                (ErrorKind::InvalidInput, Code::Error),
                "{sql}: {error}"
            );
            assert!(!error.message().is_empty(), "{sql}");
            if !message.is_empty() {
                assert_eq!(error.message(), message, "{sql}");
            }
            if offset.is_some() {
                assert_eq!(error.offset(), offset, "{sql}: {error}");
            }
            assert!(!connection.in_transaction(), "{sql}");
        }
    });
}

#[test]
fn values_of_the_wrong_type_are_refused_and_change_nothing() {
    with_connection(|connection| {
        connection
            .execute_batch("CREATE TABLE s (a INTEGER, b BLOB NOT NULL, CHECK (a < 9)) STRICT")
            .unwrap();
        for (sql, code) in [
            ("INSERT INTO s VALUES ('x', x'00')", Code::ConstraintDatatype),
            ("INSERT INTO s VALUES (1, 'x')", Code::ConstraintDatatype),
            ("INSERT INTO s VALUES (1, NULL)", Code::ConstraintNotNull),
            ("INSERT INTO s VALUES (10, x'00')", Code::ConstraintCheck),
            ("INSERT INTO t VALUES ('x', 1, 1)", Code::Mismatch),
            ("INSERT INTO t VALUES (1, 1, 1)", Code::ConstraintPrimaryKey),
            ("UPDATE t SET a = 'one' WHERE a = 1", Code::Mismatch),
            ("SELECT 1 LIMIT 'x'", Code::Mismatch),
            ("SELECT abs(-9223372036854775808)", Code::Error),
            ("SELECT sum(9223372036854775807) FROM t", Code::Error),
            ("SELECT json('[')", Code::Error),
            ("SELECT json_extract('{}', 'a')", Code::Error),
        ] {
            let error = rows(connection, sql).expect_err(sql);
            assert_eq!(error.code(), code, "{sql}: {error}");
        }
        assert!(rows(connection, "SELECT * FROM s").unwrap().is_empty());
        assert_eq!(rows(connection, "SELECT count(*) FROM t").unwrap(), [[Value::Integer(1000)]]);
    });
}

#[test]
fn a_parameter_that_is_not_there_and_one_too_many_are_refused() {
    with_connection(|connection| {
        let mut statement = connection.prepare("SELECT ?1 + :b").unwrap();
        let kind = |error: Error| error.kind();
        assert_eq!(kind(statement.query([1, 2, 3]).map(|_| ()).unwrap_err()), ErrorKind::InvalidInput);
        assert_eq!(
            kind(statement.query(dosql::named_params! { ":c": 1 }).map(|_| ()).unwrap_err()),
            ErrorKind::InvalidInput
        );
        assert!(connection.query_row("SELECT 'x'", (), |row| row.get::<i64>(0)).is_err());
        assert!(connection.query_row("SELECT 1", (), |row| row.get::<i64>(1)).is_err());
    });
}

// ---------------------------------------------------------------- nesting and chains

/// Opens a nest, and its end.
const NESTS: &[(&str, &str, &str)] = &[
    ("(", "1", ")"),
    ("- ", "1", ""),
    ("+ ", "1", ""),
    ("~", "1", ""),
    ("NOT ", "1", ""),
    ("abs(", "1", ")"),
    ("CASE WHEN 1 THEN ", "1", " END"),
    ("CASE ", "1", " WHEN 1 THEN 1 END"),
    ("CAST(", "1", " AS INT)"),
    ("(SELECT ", "1", ")"),
    ("EXISTS (SELECT ", "1", ")"),
    ("* FROM (SELECT ", "1", ")"),
    ("1 IN (SELECT ", "1", ")"),
    ("(1, ", "1", ")"),
    ("1 UNION SELECT (SELECT ", "1", ")"),
];

#[test]
fn nesting_without_end_is_refused_at_the_depth_of_sqlite() {
    for (open, middle, close) in NESTS {
        for (middle, close) in [(*middle, *close), ("", "")] {
            let sql = format!("SELECT {}{middle}{}", open.repeat(50_000), close.repeat(50_000));
            let error = refused(sql);
            assert_eq!(error.message(), "Expression tree is too large (maximum depth 1000)", "{open}");
            assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::Error), "{open}");
            assert!(error.offset().unwrap() < 100_000, "{open}");
        }
    }
}

#[test]
fn a_mebibyte_of_parentheses_is_answered_in_less_than_50_ms() {
    let fastest = with_connection(|connection| {
        let sql = format!("SELECT {}", "(".repeat(1 << 20));
        (0..3).map(|_| time(connection, &sql)).min().unwrap()
    });
    assert!(fastest < Duration::from_millis(50), "{fastest:?}");
}

#[test]
fn chains_are_refused_where_sqlite_refuses_them() {
    for (first, link) in [
        ("1", " + 1"),
        ("a = 1", " OR a = 1"),
        ("a = 1", " AND a = 1"),
        ("'a'", " || 'a'"),
        ("1", " = 1"),
        ("1", " ISNULL"),
        ("'{}'", " -> 'a'"),
        ("1", " BETWEEN 0 AND 1"),
        ("'a'", " LIKE 'a'"),
    ] {
        for n in [1_100, 100_000] {
            let error = refused(format!("SELECT {first}{} FROM t", link.repeat(n)));
            assert_eq!(error.message(), "Expression tree is too large (maximum depth 1000)", "{link}");
            assert_eq!((error.kind(), error.code()), (ErrorKind::Limit, Code::Error), "{link}");
        }
        assert!(answer(format!("SELECT {first}{} FROM t LIMIT 1", link.repeat(300))).is_ok(), "{link}");
    }
}

#[test]
fn the_highest_expressions_run_on_a_small_stack() {
    assert_eq!(integer(format!("SELECT {}", times(1000, "1", " + "))), 1000);
    assert_eq!(
        integer(format!("SELECT count(*) FROM t WHERE {}", numbered(999, " OR ", |i| format!("a = {i}")))),
        998
    );
    assert_eq!(
        integer(format!("SELECT count(*) FROM t WHERE {}", numbered(999, " AND ", |i| format!("a <> {i}")))),
        2
    );
    assert_eq!(
        integer(format!("SELECT count(*) FROM t WHERE {}a{}", "abs(".repeat(490), ")".repeat(490))),
        1000
    );
    assert_eq!(integer(format!("SELECT {}1", "NOT ".repeat(900))), 1);
    for (open, middle, close) in NESTS {
        for n in [50, 100, 200, 400, 900] {
            // Whether it is refused or answered: it comes back.
            let _ = answer(format!("SELECT {}{middle}{}", open.repeat(n), close.repeat(n)));
        }
    }
}

#[test]
fn json_nests_to_its_limit_and_no_further() {
    let array = |n: usize| format!("'{}{}'", "[".repeat(n), "]".repeat(n));
    assert_eq!(integer(format!("SELECT json_valid({})", array(1000))), 1);
    for n in [1001, 100_000] {
        assert_eq!(integer(format!("SELECT json_valid({})", array(n))), 0);
        let error = refused(format!("SELECT json({})", array(n)));
        assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidInput, "malformed JSON"));
        assert!(answer(format!("SELECT count(*) FROM json_tree({})", array(n))).is_err());
        let object = format!("'{}1{}'", "{\"a\":".repeat(n), "}".repeat(n));
        assert_eq!(refused(format!("SELECT json_extract({object}, '$.a')")).message(), "malformed JSON");
    }
    assert_eq!(integer(format!("SELECT count(*) FROM json_tree({})", array(1000))), 1000);
    assert!(answer(format!("SELECT json_extract('[1]', '${}')", "[0]".repeat(100_000))).is_ok());
    assert_eq!(
        refused(format!("SELECT json_set('{{}}', '${}', 1)", ".a".repeat(100_000))).kind(),
        ErrorKind::Limit
    );
}

// ---------------------------------------------------------------- length

/// A statement of `n` members.
type Long = (&'static str, fn(usize) -> String);

const LONG: &[Long] = &[
    ("IN of integers", |n| {
        format!("SELECT count(*) FROM t WHERE b IN ({})", numbered(n, ",", |i| i.to_string()))
    }),
    ("IN of keys", |n| {
        format!("SELECT count(*) FROM t WHERE a IN ({})", numbered(n, ",", |i| i.to_string()))
    }),
    ("IN of texts", |n| {
        format!("SELECT count(*) FROM t WHERE c IN ({})", numbered(n, ",", |i| format!("'x{i}'")))
    }),
    ("NOT IN", |n| {
        format!("SELECT count(*) FROM t WHERE b NOT IN ({})", numbered(n, ",", |i| (i + 3).to_string()))
    }),
    ("IN without a table", |n| format!("SELECT 5 IN ({})", numbered(n, ",", |i| i.to_string()))),
    ("IN of what must be computed", |n| {
        format!("SELECT count(*) FROM t WHERE b IN ({})", numbered(n, ",", |i| format!("abs({i})")))
    }),
    ("IN of rows", |n| {
        format!(
            "SELECT count(*) FROM t WHERE (a, b) IN ({})",
            numbered(n, ",", |i| format!("({i}, {})", i % 7))
        )
    }),
    ("IN of VALUES", |n| {
        format!(
            "SELECT count(*) FROM t WHERE (a, b) IN (VALUES {})",
            numbered(n, ",", |i| format!("({i}, {})", i % 7))
        )
    }),
    ("VALUES", |n| format!("SELECT count(*) FROM (VALUES {})", numbered(n, ",", |i| format!("({i})")))),
    ("INSERT", |n| {
        format!(
            "BEGIN; INSERT INTO t (b, c) VALUES {}; ROLLBACK",
            numbered(n, ",", |i| format!("({i}, 'x')"))
        )
    }),
    ("CASE", |n| format!("SELECT CASE 5 {} END", numbered(n, " ", |i| format!("WHEN {} THEN {i}", i + 10)))),
    ("OR in a tree", |n| {
        format!("SELECT count(*) FROM t WHERE {}", balanced(n / 10, "OR", &|i| format!("b = {i}")))
    }),
    ("OR of keys in a tree", |n| {
        format!("SELECT count(*) FROM t WHERE {}", balanced(n / 10, "OR", &|i| format!("a = {i}")))
    }),
    ("AND in a tree", |n| {
        format!("SELECT count(*) FROM t WHERE {}", balanced(n / 10, "AND", &|i| format!("c <> 'y{i}'")))
    }),
    ("sum in a tree", |n| format!("SELECT count(*) FROM t WHERE {}", balanced(n / 10, "+", &|_| "a".into()))),
    ("script", |n| "SELECT 1;".repeat(n / 4)),
    ("script of changes", |n| "UPDATE t SET b = b WHERE a = 1;".repeat(n / 20)),
    ("UNION ALL", |n| numbered(n, " UNION ALL ", |i| format!("SELECT {i}"))),
    ("joins", |n| format!("SELECT count(*) FROM {}", numbered(n, ", ", |i| format!("t AS t{i}")))),
    ("joins USING", |n| {
        format!("SELECT count(*) FROM t {}", numbered(n, " ", |i| format!("JOIN t AS t{i} USING (a)")))
    }),
    ("columns", |n| format!("SELECT {}", times(n, "1", ","))),
    ("ORDER BY", |n| format!("SELECT 1 ORDER BY {}", times(n, "1", ","))),
    ("CTEs", |n| format!("WITH {} SELECT 1", numbered(n / 4, ",", |i| format!("c{i} AS (SELECT 1)")))),
    ("windows", |n| format!("SELECT 1 WINDOW {}", numbered(n, ",", |i| format!("w{i} AS (ORDER BY 1)")))),
    ("arguments", |n| format!("SELECT max({})", times(n, "1", ","))),
    ("parameters", |n| format!("SELECT 1 IN ({})", numbered(n / 4, ",", |i| format!(":p{i}")))),
    ("SET", |n| format!("UPDATE t SET {}", times(n, "b = 1", ","))),
    ("upsert", |n| format!("INSERT INTO t (a) VALUES (1) {}", times(n, "ON CONFLICT (a) DO NOTHING", " "))),
    ("CREATE TABLE", |n| format!("CREATE TABLE w ({})", numbered(n, ",", |i| format!("c{i}")))),
    ("CHECK", |n| format!("BEGIN; CREATE TABLE w (a, {}); ROLLBACK", times(n / 10, "CHECK (a > 0)", ","))),
    ("trigger", |n| {
        format!("BEGIN; CREATE TRIGGER g AFTER INSERT ON t BEGIN {} END; ROLLBACK", "SELECT 1;".repeat(n / 4))
    }),
    ("JSON array", |n| format!("SELECT json_array_length('[{}]')", times(n, "1", ","))),
    ("JSON object", |n| {
        format!("SELECT length(json('{{{}}}'))", numbered(n, ",", |i| format!("\"k{i}\":{i}")))
    }),
    ("name", |n| format!("SELECT {}", "n".repeat(10 * n))),
    ("text", |n| format!("SELECT length('{}')", "''".repeat(10 * n))),
    ("text that does not end", |n| format!("SELECT '{}", "x".repeat(10 * n))),
    ("number", |n| format!("SELECT {}", "9".repeat(10 * n))),
    ("fraction", |n| format!("SELECT 0.{}1", "0".repeat(10 * n))),
    ("exponent", |n| format!("SELECT 1e{}", "9".repeat(10 * n))),
    ("blob", |n| format!("SELECT length(x'{}')", "ab".repeat(10 * n))),
    ("blanks", |n| format!("{}SELECT 1", " \n".repeat(10 * n))),
    ("comments", |n| format!("{}SELECT 1 -- {}", "/**/".repeat(n), "x".repeat(n))),
    ("semicolons", |n| ";".repeat(10 * n)),
    ("dots", |n| format!("SELECT a{}", ".a".repeat(n))),
    ("LIKE", |n| format!("SELECT '{}' LIKE '%{}'", "a".repeat(10 * n), "a%".repeat(20))),
    ("GLOB", |n| format!("SELECT '{}' GLOB '*{}b'", "a".repeat(n), "a*".repeat(20))),
    ("replace", |n| format!("SELECT length(replace('{}', 'a', 'bb'))", "a".repeat(10 * n))),
    ("printf", |n| format!("SELECT length(printf('%{}d', 1))", 100 * n)),
];

#[test]
fn the_time_of_a_statement_grows_with_its_length_and_no_faster() {
    const FEW: usize = 5_000;
    let slow: Vec<String> = LONG
        .iter()
        .filter_map(|&(name, statement)| {
            let (few, many) = with_connection(move |connection| {
                let (few, many) = (statement(FEW), statement(10 * FEW));
                let fastest = |sql: &str| (0..2).map(|_| time(connection, sql)).min().unwrap_or_default();
                (fastest(&few), fastest(&many))
            });
            // Ten times the members: a hundred times the time where it is quadratic. Small times say nothing.
            let allowed = (few * 25).max(Duration::from_millis(400));
            (many > allowed).then(|| format!("{name}: {FEW} take {few:?}, ten times as many {many:?}"))
        })
        .collect();
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn long_lists_find_what_short_ones_find() {
    let all = numbered(100_000, ",", |i| i.to_string());
    assert_eq!(integer(format!("SELECT count(*) FROM t WHERE a IN ({all})")), 1000);
    assert_eq!(integer(format!("SELECT count(*) FROM t WHERE a NOT IN ({all})")), 0);
    assert_eq!(integer(format!("SELECT count(*) FROM t WHERE a + 0.5 IN ({all})")), 0);
    let rows = numbered(20_000, ",", |i| format!("({i}, {})", i % 7));
    assert_eq!(integer(format!("SELECT count(*) FROM t WHERE (a, b) IN ({rows})")), 1000);
    assert_eq!(integer(format!("SELECT count(*) FROM t WHERE (a, b + 1) IN ({rows})")), 0);
    assert_eq!(
        integer(format!("SELECT count(*) FROM t WHERE ((a, b) NOT IN ({rows}, (NULL, 1))) IS NULL")),
        0
    );
    assert_eq!(
        integer(format!("SELECT count(*) FROM t WHERE ((a, 8) NOT IN ({rows}, (NULL, 8))) IS NULL")),
        1000
    );
    let words = numbered(50_000, ",", |i| format!("'X{i}'"));
    assert_eq!(integer(format!("SELECT count(*) FROM t WHERE c COLLATE NOCASE IN ({words})")), 1000);
    assert_eq!(
        integer(format!(
            "SELECT CASE 77 {} END",
            numbered(50_000, " ", |i| format!("WHEN {i} THEN {}", i + 1))
        )),
        78
    );
}

#[test]
fn two_long_lists_over_one_index_do_not_multiply() {
    let numbers = numbered(5_000, ",", |i| i.to_string());
    let words = numbered(5_000, ",", |i| format!("'x{i}'"));
    let sql = format!("SELECT count(*) FROM t WHERE b IN ({numbers}) AND c IN ({words})");
    assert_eq!(integer(sql), 1000);
}

// ---------------------------------------------------------------- values over the limits

#[test]
fn what_a_function_would_make_beyond_the_limit_is_refused_before_it_is_made() {
    for sql in [
        "SELECT printf('%1000000001s', 'x')",
        "SELECT printf('%2000000000d', 1)",
        "SELECT printf('%.2000000000f', 1)",
        "SELECT zeroblob(1e12)",
        "SELECT length(zeroblob(9223372036854775807))",
        "SELECT randomblob(2000000000)",
        "SELECT replace(hex(zeroblob(20000)), '0', hex(zeroblob(20000)))",
        "SELECT replace(printf('%100000s', ''), ' ', printf('%100000s', ''))",
    ] {
        let error = refused(sql);
        assert_eq!(error.kind(), ErrorKind::Limit, "{sql}: {error}");
        assert_eq!(error.code(), Code::TooBig, "{sql}: {error}");
    }
    assert_eq!(refused(format!("SELECT 'a' LIKE '{}'", "%a".repeat(25_001))).kind(), ErrorKind::Limit);
    assert_eq!(refused(format!("SELECT 'a' GLOB '{}'", "*a".repeat(25_001))).kind(), ErrorKind::Limit);
}

#[test]
fn a_pattern_that_backtracks_takes_no_more_than_pattern_times_text() {
    let elapsed = with_connection(|connection| {
        let text = "a".repeat(20_000);
        let like =
            format!("SELECT '{text}' LIKE '{}b', '{text}' GLOB '{}b'", "%a".repeat(500), "*a".repeat(500));
        let start = running();
        assert_eq!(rows(connection, &like).unwrap(), [[Value::Integer(0), Value::Integer(0)]]);
        running().saturating_sub(start)
    });
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

// ---------------------------------------------------------------- work without end

#[test]
fn work_without_end_stops_when_it_is_interrupted() {
    for sql in [
        "SELECT count(*) FROM t AS a, t AS b, t AS c, t AS d",
        "SELECT max(a.c || b.c || c.c) FROM t AS a, t AS b, t AS c, t AS d",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION SELECT x + 1 FROM n) SELECT x FROM n WHERE x < 0",
        "SELECT count(*) FROM generate_series(1, 9223372036854775807)",
        "SELECT count(*) FROM t WHERE (SELECT count(*) FROM t AS u, t AS v, t AS w WHERE u.a + v.a + w.a > t.a) < 0",
        "SELECT 1 FROM t AS a, t AS b, t AS c, t AS d ORDER BY 1 LIMIT 1 OFFSET 999999999999",
        "SELECT DISTINCT a.b FROM t AS a, t AS b, t AS c, t AS d",
        "SELECT a.b, count(*) FROM t AS a, t AS b, t AS c, t AS d GROUP BY 1",
        "DELETE FROM t WHERE a = (SELECT count(*) FROM t AS a, t AS b, t AS c, t AS d)",
        "INSERT INTO t (b) SELECT 1 FROM t AS a, t AS b, t AS c, t AS d WHERE a.a + b.a + c.a + d.a < 0",
    ] {
        let (error, late) = with_connection(move |connection| {
            let handle = connection.interrupt_handle();
            let watch = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(150));
                handle.interrupt();
                Instant::now()
            });
            let error = rows(connection, sql).expect_err(sql);
            let stopped = Instant::now();
            let late = stopped.saturating_duration_since(watch.join().unwrap());
            assert_eq!(
                rows(connection, "SELECT count(*) FROM t").unwrap(),
                [[Value::Integer(1000)]],
                "{sql}"
            );
            (error, late)
        });
        assert_eq!((error.kind(), error.code()), (ErrorKind::Interrupted, Code::Interrupt), "{sql}: {error}");
        assert!(late < Duration::from_secs(2), "{sql}: stopped {late:?} after it was told to");
    }
}

#[test]
fn a_plan_for_many_joins_with_many_conditions_is_found_in_time() {
    let tables = numbered(60, ", ", |i| format!("t AS t{i}"));
    let conditions = numbered(900, " AND ", |i| format!("t{}.a = t{}.a", i % 60, (i * 7 + 1) % 60));
    let elapsed = with_connection(move |connection| {
        let start = running();
        connection.prepare(&format!("SELECT count(*) FROM {tables} WHERE {conditions}")).unwrap();
        running().saturating_sub(start)
    });
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

// ---------------------------------------------------------------- what is no database

#[test]
fn what_is_no_database_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "dear").unwrap();
    for path in [folder.path(), &letter] {
        let error = Database::open_directory(path).unwrap_err();
        assert_eq!(error.code(), Code::NotADb, "{error}");
    }
    let error = Database::open_directory(letter.join("db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert_eq!(std::fs::read(&letter).unwrap(), b"dear");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_database_of_a_newer_format_is_refused_and_one_that_is_open_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.dosql");
    let first = Database::open_directory(&path).unwrap();
    let error = Database::open_directory(&path).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Busy, Code::Busy), "{error}");
    first.close().unwrap();

    // docs/FORMAT.md: the format is a u32 at byte 16 of each meta slot, the length of the meta one at 40, the checksum at 60.
    let pages = path.join("pages");
    let mut bytes = std::fs::read(&pages).unwrap();
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    for slot in [0, word(&bytes, 20) as usize] {
        bytes[slot + 16..slot + 20].copy_from_slice(&7u32.to_le_bytes());
        let meta = word(&bytes, slot + 40) as usize;
        let sum = dosql_base::checksum(0, &bytes[slot..slot + 60]);
        let sum = dosql_base::checksum(sum, &bytes[slot + 64..slot + 64 + meta]);
        bytes[slot + 60..slot + 64].copy_from_slice(&sum.to_le_bytes());
    }
    std::fs::write(&pages, &bytes).unwrap();
    let error = Database::open_directory(&path).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, Code::Unsupported), "{error}");
    assert!(error.message().contains("format 7"), "{error}");
    assert_eq!(std::fs::read(&pages).unwrap(), bytes);
}
