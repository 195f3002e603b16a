//! No text makes the parser panic, overflow a small stack, or build a tree that would overflow those who walk it.

use dosql_base::ErrorKind;
use dosql_sql::parse::ast::{Ast, ExprId, ExprKind, Parsed, Statement};
use dosql_sql::parse::{MAX_DEPTH, is_complete, parse_expression, parse_next, parse_one};
use dosql_sql::value::Value;
use fastrand::Rng;

/// Runs `work` on the 1 MB stack that a wasm module has.
fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap()
}

/// `open` n times, `middle`, `close` n times.
fn nested(open: &str, middle: &str, close: &str, n: usize) -> String {
    format!("SELECT {}{middle}{}", open.repeat(n), close.repeat(n))
}

/// Each takes the stack its own way.
const NESTS: &[(&str, &str, &str)] = &[
    ("(", "1", ")"),
    ("- ", "1", ""),
    ("NOT ", "1", ""),
    ("~", "1", ""),
    ("1 + (", "1", ")"),
    ("1 = - (", "1", ")"),
    ("f(", "1", ")"),
    ("f(1, ", "1", ")"),
    ("sum(1) FILTER (WHERE ", "1", ")"),
    ("sum(1) OVER (ORDER BY ", "1", ")"),
    ("sum(1 ORDER BY ", "1", ")"),
    ("CASE WHEN ", "1", " THEN 1 END"),
    ("CASE WHEN 1 THEN 1 ELSE ", "1", " END"),
    ("CASE ", "1", " WHEN 1 THEN 1 END"),
    ("CAST(", "1", " AS INT)"),
    ("(1, ", "1", ")"),
    ("1 IN (", "1", ")"),
    ("1 IN (1, 2 + ", "1", ")"),
    ("1 BETWEEN (", "1", ") AND 2"),
    ("1 LIKE (", "1", ")"),
    ("1 BETWEEN 1 AND NOT ", "1", ""),
    ("(SELECT ", "1", ")"),
    ("1 + (SELECT ", "1", ")"),
    ("EXISTS (SELECT ", "1", ")"),
    ("NOT EXISTS (SELECT ", "1", ")"),
    ("1 IN (SELECT ", "1", ")"),
    ("* FROM (SELECT ", "1", ")"),
    ("* FROM t JOIN (SELECT ", "1", ") ON 1"),
    ("(SELECT 1 FROM (", "t", "))"),
    ("1 WHERE (SELECT ", "1", ")"),
    ("1 LIMIT (SELECT ", "1", ")"),
    ("1 UNION SELECT (SELECT ", "1", ")"),
    ("(WITH c AS (SELECT ", "1", ") SELECT 1)"),
    ("f((SELECT CASE WHEN 1 THEN (", "1", ") END))"),
];

#[test]
fn nesting_without_end_is_an_error_and_not_an_overflow() {
    for (open, middle, close) in NESTS {
        for (n, open_middle, open_close) in [(20_000, *middle, *close), (20_000, "", "")] {
            let sql = nested(open, open_middle, open_close, n);
            let error = on_a_small_stack(move || {
                assert!(!is_complete(&sql));
                parse_one(&sql).unwrap_err()
            });
            assert_eq!(error.kind(), ErrorKind::Limit, "{open}: {error}");
            assert_eq!(error.message(), "Expression tree is too large (maximum depth 1000)", "{open}");
        }
    }
}

#[test]
fn the_deepest_nesting_that_parses_fits_a_small_stack() {
    for (open, middle, close) in NESTS {
        let sql = |n| nested(open, middle, close, n);
        let (mut fits, mut fails) = (1, MAX_DEPTH as usize + 2);
        while fits + 1 < fails {
            let middle = (fits + fails) / 2;
            let text = sql(middle);
            if on_a_small_stack(move || parse_one(&text).is_ok()) { fits = middle } else { fails = middle }
        }
        assert!(fits >= 50, "{open} nests {fits} deep only");
    }
}

#[test]
fn parentheses_and_signs_nest_hundreds_deep() {
    for open in ["(", "- ", "NOT "] {
        let close = if open == "(" { ")" } else { "" };
        assert!(parse_one(&nested(open, "a", close, 990)).is_ok(), "{open}");
    }
    assert!(parse_one(&nested("f(", "a", ")", 490)).is_ok());
    assert!(parse_one(&nested("(SELECT ", "a", ")", 100)).is_ok());
}

#[test]
fn chains_of_operators_are_as_high_as_sqlite_lets_them_be() {
    for operator in ["OR", "AND", "+", "||", "=", "COLLATE"] {
        let chain = move |n: usize| format!("a{}", format!(" {operator} a").repeat(n));
        assert!(parse_expression(&chain(999)).is_ok(), "{operator}");
        let error = on_a_small_stack(move || parse_expression(&chain(100_000)).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::Limit, "{operator}");
    }
    assert!(parse_expression(&format!("a{}", " ISNULL".repeat(1_000))).is_err());
}

#[test]
fn lists_may_be_long() {
    let numbers = vec!["1"; 30_000].join(", ");
    assert!(parse_one(&format!("SELECT a IN ({numbers})")).is_ok());
    let rows = vec!["(1, 2)"; 30_000].join(", ");
    assert!(parse_one(&format!("INSERT INTO t VALUES {rows}")).is_ok());
    let script = "SELECT 1; ".repeat(30_000);
    let (mut from, mut ast, mut count) = (0, Ast::default(), 0);
    while let Some((parsed, behind)) = parse_next(&script, from, ast).unwrap() {
        (from, ast, count) = (behind, parsed.ast, count + 1);
    }
    assert_eq!(count, 30_000);
}

#[test]
fn limits_are_errors_that_say_so() {
    let columns = |n: usize| vec!["a"; n].join(", ");
    assert!(parse_one(&format!("SELECT {}", columns(2_000))).is_ok());
    let too_long = [
        format!("SELECT {}", columns(2_001)),
        format!("INSERT INTO t ({}) VALUES (1)", columns(2_001)),
        format!("SELECT ({}) = 1", columns(2_001)),
        format!("SELECT 1 ORDER BY {}", columns(2_001)),
        format!("SELECT 1 {}", "UNION SELECT 1 ".repeat(500)),
    ];
    for sql in too_long {
        assert_eq!(parse_one(&sql).unwrap_err().kind(), ErrorKind::Limit, "{}", &sql[..30]);
    }
    assert!(parse_one(&format!("CREATE TABLE t ({})", columns(2_001))).is_err());
    assert!(parse_one(&format!("SELECT f({})", columns(1_001))).is_err());
    assert!(parse_one("SELECT ?32766").is_ok());
    assert!(parse_one("SELECT ?32766, ?").is_err());
}

#[test]
fn tokens_may_be_long() {
    let long = "a".repeat(1 << 20);
    for sql in
        [format!("SELECT {long}"), format!("SELECT '{long}'"), format!("SELECT x'{}'", "ab".repeat(1 << 19))]
    {
        assert!(on_a_small_stack(move || parse_one(&sql).is_ok()));
    }
    let blanks = " \n".repeat(1 << 19);
    let comments = "/**/".repeat(1 << 18);
    let digits = "1".repeat(1 << 18);
    let sql = format!("{blanks}{comments}SELECT {digits}, 1e{digits}, -- {long}\n 1");
    assert!(on_a_small_stack(move || parse_one(&sql).is_ok()));
}

/// The height of a tree of signs, NOTs and binary operators.
fn height(ast: &Ast, id: ExprId) -> u32 {
    match &ast[id].kind {
        ExprKind::Unary { operand, .. } => 1 + height(ast, *operand),
        ExprKind::Binary { left, right, .. } => 1 + height(ast, *left).max(height(ast, *right)),
        _ => 1,
    }
}

#[test]
fn no_tree_is_higher_than_the_limit() {
    let mut rng = Rng::with_seed(3);
    let mut highest = 0;
    for _ in 0..300 {
        let mut sql = String::from("a");
        for _ in 0..rng.usize(1..1_500) {
            match rng.u8(0..4) {
                0 => sql.push_str(" + a"),
                1 => sql = format!("- {sql}"),
                2 => sql.push_str(" * a"),
                _ => sql.push_str(" OR a"),
            }
        }
        if let Ok((ast, expr)) = parse_expression(&sql) {
            highest = highest.max(height(&ast, expr));
        }
    }
    assert!((500..=MAX_DEPTH).contains(&highest), "{highest}");
}

/// Reads a tree here and there, so that a bad id or span shows.
fn probe(sql: &str, parsed: &Parsed) {
    let text = parsed.span.of(sql);
    assert!(!text.is_empty());
    if let Statement::Select(select) = parsed.statement {
        let select = &parsed.ast[select];
        assert!(!parsed.ast.list(select.cores).is_empty());
        assert!(sql.get(select.span.start as usize..select.span.end as usize).is_some());
    }
}

fn read_script(sql: &str) {
    let (mut from, mut ast) = (0, Ast::default());
    while let Ok(Some((parsed, behind))) = parse_next(sql, from, ast) {
        probe(sql, &parsed);
        assert!(behind > from);
        (from, ast) = (behind, parsed.ast);
    }
    let _ = parse_expression(sql);
    let _ = is_complete(sql);
}

#[test]
fn random_bytes_never_panic() {
    let mut rng = Rng::with_seed(1);
    let alphabet = b" ()'\"`[]xX01_.eE+-*/<>=!|&~?:@$#;,aSELECT\n\xc3\xbc\xff\x00";
    for _ in 0..30_000 {
        let bytes: Vec<u8> = (0..rng.usize(0..40)).map(|_| *rng.choice(alphabet).unwrap()).collect();
        read_script(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn random_tokens_never_panic() {
    let mut rng = Rng::with_seed(2);
    let texts = concat!(include_str!("parse/accepted.sql"), include_str!("parse/rejected.sql"));
    let words: Vec<&str> = texts.split_inclusive([' ', '(', ')', ',', '.', '\n', '\t']).collect();
    for _ in 0..30_000 {
        let from = rng.usize(0..words.len());
        let mut sql: Vec<&str> = words[from..words.len().min(from + rng.usize(1..20))].to_vec();
        for _ in 0..rng.usize(0..6) {
            let at = rng.usize(0..=sql.len());
            sql.insert(at, rng.choice(&words[..]).unwrap());
        }
        read_script(&sql.concat());
    }
}

#[test]
fn statements_cut_anywhere_never_panic() {
    for sql in include_str!("parse/accepted.sql").lines() {
        for (end, _) in sql.char_indices() {
            read_script(&sql[..end]);
            read_script(&sql[end..]);
        }
    }
}

#[test]
fn every_literal_reads_back() {
    let mut rng = Rng::with_seed(5);
    for _ in 0..5_000 {
        let real = f64::from_bits(rng.u64(..)).abs();
        if real.is_finite() {
            let (ast, expr) = parse_expression(&format!("{real:e}")).unwrap();
            let ExprKind::Literal(value) = &ast[expr].kind else { panic!("{real:e} is no literal") };
            match value {
                Value::Real(found) => assert_eq!(found.to_bits(), real.to_bits()),
                other => panic!("{real:e} became {other:?}"),
            }
        }
    }
}
