//! How expressions group, shown as s-expressions; values of literals; numbers of parameters; spans.

use dosql_sql::parse::ast::{Ast, ExprId, ExprKind, InSet, ResultColumn, SelectBody, Statement};
use dosql_sql::parse::{parse_expression, parse_one};
use dosql_sql::value::Value;

fn show_all(ast: &Ast, exprs: &[ExprId]) -> String {
    exprs.iter().map(|expr| show(ast, *expr)).collect::<Vec<_>>().join(" ")
}

fn show(ast: &Ast, id: ExprId) -> String {
    let not = |not: bool| if not { "not-" } else { "" };
    match &ast[id].kind {
        ExprKind::Literal(value) => match value {
            Value::Null => "null".to_owned(),
            Value::Integer(value) => value.to_string(),
            Value::Real(value) => format!("{value:?}"),
            Value::Text(text) => format!("'{text}'"),
            Value::Blob(bytes) => format!("{bytes:02x?}"),
        },
        ExprKind::Column { schema, table, column } => {
            let names = [*schema, *table, Some(*column)];
            names.iter().flatten().map(|name| ast.text(*name)).collect::<Vec<_>>().join(".")
        }
        ExprKind::Parameter(index) => format!("?{}", index + 1),
        ExprKind::Unary { op, operand } => format!("({op:?} {})", show(ast, *operand)),
        ExprKind::Binary { op, left, right } => {
            format!("({op:?} {} {})", show(ast, *left), show(ast, *right))
        }
        ExprKind::Like { op, not: n, operand, pattern, escape } => {
            let escape = escape.map(|escape| format!(" {}", show(ast, escape))).unwrap_or_default();
            format!("({}{op:?} {} {}{escape})", not(*n), show(ast, *operand), show(ast, *pattern))
        }
        ExprKind::IsNull { not: n, operand } => format!("({}null? {})", not(*n), show(ast, *operand)),
        ExprKind::Between { not: n, operand, low, high } => {
            format!("({}between {})", not(*n), show_all(ast, &[*operand, *low, *high]))
        }
        ExprKind::In { not: n, operand, set } => {
            let set = match set {
                InSet::List(list) => show_all(ast, ast.list(*list)),
                InSet::Select(_) => "select".to_owned(),
                InSet::Table { name, .. } => ast.text(name.name).to_owned(),
            };
            format!("({}in {} [{set}])", not(*n), show(ast, *operand))
        }
        ExprKind::Exists { not: n, .. } => format!("({}exists)", not(*n)),
        ExprKind::Subquery(_) => "(select)".to_owned(),
        ExprKind::Collate { operand, collation } => {
            format!("(collate {} {})", show(ast, *operand), ast.text(*collation))
        }
        ExprKind::Cast { operand, type_name } => {
            format!("(cast {} {})", show(ast, *operand), ast.text(*type_name))
        }
        ExprKind::Function(call) => {
            format!("({} {})", ast.text(call.name), show_all(ast, ast.list(call.arguments)))
        }
        ExprKind::Row(members) => format!("(row {})", show_all(ast, ast.list(*members))),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check(sql: &str, expected: &str) {
    let (ast, expr) = parse_expression(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(show(&ast, expr), expected, "{sql}");
}

#[test]
fn operators_bind_as_in_sqlite() {
    check("a OR b AND c", "(Or a (And b c))");
    check("a AND b OR c", "(Or (And a b) c)");
    check("NOT a = b", "(Not (Equal a b))");
    check("NOT a AND b", "(And (Not a) b)");
    check("a = NOT b = c", "(Equal a (Not (Equal b c)))");
    check("a * NOT b + c", "(Multiply a (Not (Add b c)))");
    check("a = b < c", "(Equal a (Less b c))");
    check("a < b = c", "(Equal (Less a b) c)");
    check("a < b & c", "(Less a (BitAnd b c))");
    check("a & b | c << d", "(ShiftLeft (BitOr (BitAnd a b) c) d)");
    check("a | b + c", "(BitOr a (Add b c))");
    check("a + b * c", "(Add a (Multiply b c))");
    check("1 || 2 * 3", "(Multiply (Concat 1 2) 3)");
    check("a || b -> c", "(JsonExtract (Concat a b) c)");
    check("a ->> b COLLATE x", "(JsonExtractText a (collate b x))");
    check("-a COLLATE x", "(collate (Negate a) x)");
    check("-a -> b", "(JsonExtract (Negate a) b)");
    check("~a || -b", "(Concat (BitNot a) (Negate b))");
    check("a == b != c <> d", "(NotEqual (NotEqual (Equal a b) c) d)");
}

#[test]
fn operators_of_one_level_group_from_the_left() {
    check("a - b - c", "(Subtract (Subtract a b) c)");
    check("a / b % c * d", "(Multiply (Remainder (Divide a b) c) d)");
    check("a = b IS c", "(Is (Equal a b) c)");
    check("a LIKE b = c", "(Equal (Like a b) c)");
    check("a IN (1) IN (2)", "(in (in a [1]) [2])");
    check("a || b || c", "(Concat (Concat a b) c)");
    check("a COLLATE x COLLATE y", "(collate (collate a x) y)");
}

#[test]
fn predicates_group_as_in_sqlite() {
    check("a BETWEEN b AND c AND d", "(And (between a b c) d)");
    check("a BETWEEN b = c AND d = e", "(Equal (between a (Equal b c) d) e)");
    check("a BETWEEN b AND c < d", "(between a b (Less c d))");
    check("a NOT BETWEEN b AND c OR d", "(Or (not-between a b c) d)");
    check("a BETWEEN b BETWEEN c AND d AND e", "(between a (between b c d) e)");
    check("a = b NOT NULL", "(not-null? (Equal a b))");
    check("a < b ISNULL", "(null? (Less a b))");
    check("NOT a ISNULL", "(Not (null? a))");
    check("a = b NOT IN (1)", "(not-in (Equal a b) [1])");
    check("a LIKE b ESCAPE c AND d", "(And (Like a b c) d)");
    check("a NOT GLOB b || c", "(not-Glob a (Concat b c))");
    check("a IS NOT b", "(IsNot a b)");
    check("a IS NOT NULL", "(not-null? a)");
    check("a IS (NULL)", "(null? a)");
    check("a IS NULL + 1", "(Is a (Add null 1))");
    check("a IS NOT DISTINCT FROM b", "(Is a b)");
    check("a IS DISTINCT FROM NULL", "(not-null? a)");
    check("a IN t", "(in a [t])");
    check("a IN ()", "(in a [])");
    check("a + 1 IN (1, 2) = b", "(Equal (in (Add a 1) [1 2]) b)");
    check("NOT EXISTS (SELECT 1) AND a", "(And (not-exists) a)");
    check("NOT EXISTS (SELECT 1) = 1", "(Not (Equal (exists) 1))");
    check("(a, b) = (1, 2)", "(Equal (row a b) (row 1 2))");
}

#[test]
fn literals_have_the_values_of_sqlite() {
    check("9223372036854775807", "9223372036854775807");
    check("9223372036854775808", "9.223372036854776e18");
    check("-9223372036854775808", "-9223372036854775808");
    check("- (9223372036854775808)", "-9223372036854775808");
    check("-9223372036854775809", "(Negate 9.223372036854776e18)");
    check("0xffffffffffffffff", "-1");
    check("0X10", "16");
    check("1_000", "1000");
    check("1_0.5_0e1_0", "105000000000.0");
    check("5.", "5.0");
    check(".5e1", "5.0");
    check("1e999", "inf");
    check("'it''s'", "'it's'");
    check("x'00fF'", "[00, ff]");
    check("TRUE", "TRUE");
    check("\"a\"\"b\"", "a\"b");
    check("[a\"b]", "a\"b");
    check("`a``b`", "a`b");
    check("'t'.'a'", "t.a");
    check("CAST(a AS  VARCHAR ( 10 ))", "(cast a VARCHAR ( 10 ))");
}

#[test]
fn parameters_are_numbered_as_in_sqlite() {
    let (ast, expr) = parse_expression("? + ?3 + :a + ? + :a + @b + ?2").unwrap();
    assert_eq!(show(&ast, expr), "(Add (Add (Add (Add (Add (Add ?1 ?3) ?4) ?5) ?4) ?6) ?2)");
    let names: Vec<Option<&str>> = ast.parameters.iter().map(Option::as_deref).collect();
    assert_eq!(names, [None, None, None, Some(":a"), None, Some("@b")]);
}

/// The texts of the columns of a SELECT.
fn column_texts(sql: &str) -> Vec<String> {
    let parsed = parse_one(sql).unwrap();
    let Statement::Select(select) = parsed.statement else { panic!("{sql}") };
    let SelectBody::Query { columns, .. } = &parsed.ast.list(parsed.ast[select].cores)[0].body else {
        panic!("{sql}")
    };
    let text = |column: &ResultColumn| match column {
        ResultColumn::Expr { expr, .. } => parsed.ast[*expr].span.of(sql).to_owned(),
        _ => "*".to_owned(),
    };
    parsed.ast.list(*columns).iter().map(text).collect()
}

#[test]
fn spans_hold_exactly_the_text_of_an_expression() {
    let sql = "SELECT a+ b , (a), ((a) + b), - 1 x, f( a ) AS y, a IS  NULL, CASE a WHEN 1 THEN 2 END, CAST( a AS int),\
               NOT a, a NOT IN (1, 2 ) , t.a COLLATE nocase, count(*) FILTER (WHERE a) OVER ( ), (SELECT 1 ), t.*, 'x' FROM t";
    let expected = [
        "a+ b",
        "(a)",
        "((a) + b)",
        "- 1",
        "f( a )",
        "a IS  NULL",
        "CASE a WHEN 1 THEN 2 END",
        "CAST( a AS int)",
        "NOT a",
        "a NOT IN (1, 2 )",
        "t.a COLLATE nocase",
        "count(*) FILTER (WHERE a) OVER ( )",
        "(SELECT 1 )",
        "*",
        "'x'",
    ];
    assert_eq!(column_texts(sql), expected);
}
