//! Properties of functions that hold for any input: patterns against a naive matcher, JSON through its binary form,
//! sums taken back, and no panic whatever comes in.

use std::sync::Arc;

use dosql_base::{Env, ManualClock, SeededEntropy, Timestamp};
use dosql_sql::func::{Accumulator, AggKind, Context, JsonRow, Kind, all, glob, json_each, like};
use dosql_sql::value::{Collation, Value, ValueRef};

fn env() -> Env {
    Env::new(Arc::new(ManualClock::default()), Arc::new(SeededEntropy::new(1)))
}

fn pick(random: &mut fastrand::Rng, parts: &[&str], most: usize) -> String {
    (0..random.usize(..=most)).map(|_| parts[random.usize(..parts.len())]).collect()
}

fn naive_like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('\\', rest)) => match (rest.split_first(), text.split_first()) {
            (Some((wanted, rest)), Some((found, left))) => {
                wanted.eq_ignore_ascii_case(found) && naive_like(rest, left)
            }
            _ => false,
        },
        Some(('%', rest)) => (0..=text.len()).any(|skip| naive_like(rest, &text[skip..])),
        Some((wanted, rest)) => text.split_first().is_some_and(|(found, left)| {
            (*wanted == '_' || wanted.eq_ignore_ascii_case(found)) && naive_like(rest, left)
        }),
    }
}

#[test]
fn like_agrees_with_a_naive_matcher() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut matches = 0;
    for _ in 0..50_000 {
        let pattern = pick(&mut random, &["a", "B", "%", "_", "ä", "\\", "%"], 7);
        let text = pick(&mut random, &["a", "b", "A", "ä", "%", "\\"], 7);
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        let found = like(&pattern, &text, Some('\\'));
        assert_eq!(found, naive_like(&p, &t), "{pattern} {text}");
        matches += usize::from(found);
    }
    assert!(matches > 1_000);
}

fn naive_glob(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|skip| naive_glob(rest, &text[skip..])),
        ['[', '^', 'a', '-', 'c', ']', rest @ ..] => text
            .split_first()
            .is_some_and(|(found, left)| !('a'..='c').contains(found) && naive_glob(rest, left)),
        ['[', 'a', '-', 'c', ']', rest @ ..] => text
            .split_first()
            .is_some_and(|(found, left)| ('a'..='c').contains(found) && naive_glob(rest, left)),
        [wanted, rest @ ..] => text
            .split_first()
            .is_some_and(|(found, left)| (*wanted == '?' || wanted == found) && naive_glob(rest, left)),
    }
}

#[test]
fn glob_agrees_with_a_naive_matcher() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..50_000 {
        let pattern = pick(&mut random, &["a", "B", "*", "?", "ä", "[a-c]", "[^a-c]"], 6);
        let text = pick(&mut random, &["a", "b", "B", "ä", "d"], 7);
        let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        assert_eq!(glob(&pattern, &text), naive_glob(&p, &t), "{pattern} {text}");
    }
}

fn random_json(random: &mut fastrand::Rng, depth: usize) -> String {
    let inner = |random: &mut fastrand::Rng| random_json(random, depth + 1);
    let count = random.usize(..5);
    match random.u8(..if depth > 4 { 6 } else { 8 }) {
        0 => "null".into(),
        1 => ["true", "false"][random.usize(..2)].into(),
        2 => random.i64(-1_000_000..1_000_000).to_string(),
        3 => format!("{}.{}e{}", random.i32(-9..10), random.u32(..1000), random.i8(-9..10)),
        4 | 5 => format!("\"{}\"", pick(random, &["a", "ä", "\\n", "\\u00e4", "\\\"", " ", "long text "], 9)),
        6 => format!("[{}]", (0..count).map(|_| inner(random)).collect::<Vec<_>>().join(",")),
        _ => {
            let entries = (0..count).map(|i| format!("\"k{i}\":{}", inner(random)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

/// Calls a scalar function.
fn call(name: &str, args: &[ValueRef<'_>]) -> dosql_base::Result<Value> {
    let env = env();
    let mut context = Context::new(&env, Timestamp::from_micros(crate::expr::NOW));
    match dosql_sql::func::lookup(name, args.len())?.kind {
        Kind::Scalar { f, .. } => f(&mut context, args, Collation::Binary),
        _ => panic!("{name} is no scalar function"),
    }
}

#[test]
fn json_comes_back_from_its_binary_form_as_it_was() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..3_000 {
        let text = random_json(&mut random, 0);
        let blob = call("jsonb", &[ValueRef::Text(&text)]).unwrap();
        assert_eq!(call("json", &[blob.as_ref()]).unwrap(), Value::text(&text));
        assert_eq!(call("json_valid", &[blob.as_ref(), ValueRef::Integer(8)]).unwrap(), Value::Integer(1));
        let pretty = call("json_pretty", &[ValueRef::Text(&text)]).unwrap();
        assert_eq!(call("json", &[pretty.as_ref()]).unwrap(), Value::text(&text));
    }
}

#[test]
fn every_row_of_json_tree_is_found_by_its_fullkey() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..500 {
        let text = random_json(&mut random, 0);
        let rows = json_each(ValueRef::Text(&text), ValueRef::Text("$"), true).unwrap();
        assert!(!rows.is_empty());
        for JsonRow { fullkey, value, id, .. } in &rows {
            let found = call("json_extract", &[ValueRef::Text(&text), ValueRef::Text(fullkey)]).unwrap();
            assert_eq!(found, *value, "{text} {fullkey}");
            assert_eq!(rows.iter().filter(|row| row.id == *id).count(), 1);
        }
    }
}

#[test]
fn json_edits_leave_sound_documents() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..2_000 {
        let mut blob = call("jsonb", &[ValueRef::Text(&random_json(&mut random, 0))]).unwrap();
        for _ in 0..5 {
            let path = format!("${}", pick(&mut random, &[".k0", ".k1", "[0]", "[#-1]", "[#]", ".new"], 3));
            let value = Value::text("x".repeat(random.usize(..300)));
            let name = ["jsonb_set", "jsonb_insert", "jsonb_replace"][random.usize(..3)];
            blob = call(name, &[blob.as_ref(), ValueRef::Text(&path), value.as_ref()]).unwrap();
            assert_eq!(
                call("json_valid", &[blob.as_ref(), ValueRef::Integer(8)]).unwrap(),
                Value::Integer(1)
            );
        }
        let text = call("json", &[blob.as_ref()]).unwrap();
        let again = call("jsonb", &[text.as_ref()]).unwrap();
        assert_eq!(call("json", &[again.as_ref()]).unwrap(), text);
    }
}

#[test]
fn deep_json_is_refused_and_not_followed() {
    let deep = "[".repeat(1001) + &"]".repeat(1001);
    assert_eq!(call("json", &[ValueRef::Text(&deep)]).unwrap_err().message(), "malformed JSON");
    let most = "[".repeat(1000) + &"]".repeat(1000);
    assert_eq!(call("json", &[ValueRef::Text(&most)]).unwrap(), Value::text(&most));
    let unclosed = "[".repeat(1_000_000);
    assert!(call("json", &[ValueRef::Text(&unclosed)]).is_err());
}

#[test]
fn functions_never_panic() {
    let mut random = fastrand::Rng::with_seed(6);
    let env = env();
    let parts = [
        "%",
        "s",
        "d",
        "'",
        "-",
        "+",
        "1",
        "9",
        "2024-02-29",
        " ",
        ":",
        "12:34",
        "now",
        "days",
        "month",
        "weekday ",
        "start of ",
        "$",
        ".",
        "[",
        "]",
        "#",
        "{",
        "}",
        "\"",
        "\\",
        "u00",
        "ä",
        "\0",
        "e",
        "0x",
        "*",
        ".9",
        "unixepoch",
    ];
    for _ in 0..100 {
        for function in all() {
            let Kind::Scalar { f, .. } = function.kind else { continue };
            let extra = usize::from(random.u8(..3)).min(usize::from(function.max_args - function.min_args));
            let args: Vec<Value> = (0..usize::from(function.min_args) + extra)
                .map(|_| match random.u8(..7) {
                    0 => Value::Null,
                    1 => Value::Integer(random.i64(-5..6)),
                    2 => Value::Integer(random.i64(..)),
                    3 => Value::real(f64::from_bits(random.u64(..))),
                    4 => Value::from((0..random.usize(..9)).map(|_| random.u8(..)).collect::<Vec<u8>>()),
                    _ => Value::from(pick(&mut random, &parts, 6)),
                })
                .collect();
            let values: Vec<ValueRef<'_>> = args.iter().map(Value::as_ref).collect();
            let mut context = Context::new(&env, Timestamp::from_micros(crate::expr::NOW));
            context.max_length = 10_000;
            let _ = f(&mut context, &values, Collation::NoCase);
        }
    }
}

#[test]
fn corrupt_jsonb_is_an_error() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let Value::Blob(blob) = call("jsonb", &[ValueRef::Text(&random_json(&mut random, 0))]).unwrap()
        else {
            panic!("jsonb gives a blob")
        };
        let mut bytes = blob.to_vec();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        for name in ["json", "json_pretty"] {
            let _ = call(name, &[ValueRef::Blob(&bytes)]);
        }
        let _ = call("jsonb_set", &[ValueRef::Blob(&bytes), ValueRef::Text("$[0].k0"), ValueRef::Integer(1)]);
        let _ = json_each(ValueRef::Blob(&bytes), ValueRef::Text("$"), true);
    }
}

#[test]
fn a_sum_without_a_row_is_the_sum_before_it() {
    let env = env();
    let mut context = Context::new(&env, Timestamp::ZERO);
    let mut random = fastrand::Rng::with_seed(8);
    for kind in [AggKind::Count, AggKind::Sum, AggKind::Total, AggKind::Avg] {
        for _ in 0..200 {
            let mut values: Vec<i64> = (0..20).map(|_| random.i64(-1_000_000..1_000_000)).collect();
            let mut sliding = Accumulator::new(kind, Collation::Binary);
            assert!(sliding.can_invert());
            for value in &values {
                sliding.step(&mut context, &[ValueRef::Integer(*value)]).unwrap();
            }
            while let Some(value) = values.pop() {
                sliding.inverse(&mut context, &[ValueRef::Integer(value)]).unwrap();
                let mut fresh = Accumulator::new(kind, Collation::Binary);
                for value in &values {
                    fresh.step(&mut context, &[ValueRef::Integer(*value)]).unwrap();
                }
                assert_eq!(sliding.finish().unwrap(), fresh.finish().unwrap());
            }
        }
    }
}

#[test]
fn sums_are_exact_or_say_that_they_overflow() {
    let env = env();
    let mut context = Context::new(&env, Timestamp::ZERO);
    let mut sum = |values: &[ValueRef<'_>]| {
        let mut accumulator = Accumulator::new(AggKind::Sum, Collation::Binary);
        for value in values {
            accumulator.step(&mut context, &[*value]).unwrap();
        }
        accumulator.finish()
    };
    assert_eq!(sum(&[]).unwrap(), Value::Null);
    assert_eq!(
        sum(&[ValueRef::Integer(i64::MAX), ValueRef::Integer(1)]).unwrap_err().message(),
        "integer overflow"
    );
    assert_eq!(
        sum(&[ValueRef::Real(1e100), ValueRef::Real(1.0), ValueRef::Real(-1e100)]).unwrap(),
        Value::Real(1.0)
    );
    assert_eq!(sum(&[ValueRef::Real(0.1); 10]).unwrap(), Value::Real(1.0));
    assert_eq!(sum(&[ValueRef::Text("1"), ValueRef::Integer(2)]).unwrap(), Value::Integer(3));
}

#[test]
fn extremes_and_joined_texts_follow_their_rows() {
    let env = env();
    let mut context = Context::new(&env, Timestamp::ZERO);
    let mut least = Accumulator::new(AggKind::Min, Collation::NoCase);
    let mut took = Vec::new();
    for text in ["b", "A", "a", "C"] {
        least.step(&mut context, &[ValueRef::Text(text)]).unwrap();
        took.push(least.took_last());
    }
    assert_eq!((least.finish().unwrap(), took), (Value::text("A"), vec![true, true, false, false]));
    let mut joined = Accumulator::new(AggKind::GroupConcat, Collation::Binary);
    for (value, separator) in [("a", "-"), ("b", "+"), ("c", "")] {
        joined.step(&mut context, &[ValueRef::Text(value), ValueRef::Text(separator)]).unwrap();
    }
    joined.step(&mut context, &[ValueRef::Null, ValueRef::Text("!")]).unwrap();
    assert_eq!(joined.finish().unwrap(), Value::text("a+bc"));
}

#[test]
fn json_each_yields_the_rows_of_sqlite() {
    let show = |json: &str, path: &str, recursive| {
        let rows = json_each(ValueRef::Text(json), ValueRef::Text(path), recursive).unwrap();
        let line = |row: JsonRow| {
            let parent = row.parent.map_or("NULL".into(), |parent| parent.to_string());
            let JsonRow { key, value, kind, atom, id, fullkey, path, .. } = row;
            format!("{key} {value} {kind} {atom} {id} {parent} {fullkey} {path}")
        };
        rows.into_iter().map(line).collect::<Vec<_>>().join("; ")
    };
    let json = r#"{"a":1,"b c":[2,{"d":null}],"e":true}"#;
    assert_eq!(
        show(json, "$", false),
        r#"'a' 1 integer 1 2 NULL $.a $; 'b c' '[2,{"d":null}]' array NULL 6 NULL $."b c" $; 'e' 1 true 1 17 NULL $.e $"#
    );
    assert_eq!(
        show(json, "$.\"b c\"", true),
        "'b c' '[2,{\"d\":null}]' array NULL 6 NULL $.\"b c\" $; 0 2 integer 2 11 6 $.\"b c\"[0] $.\"b c\"; \
         1 '{\"d\":null}' object NULL 13 6 $.\"b c\"[1] $.\"b c\"; \
         'd' NULL null NULL 14 13 $.\"b c\"[1].d $.\"b c\"[1]"
    );
    assert_eq!(show(json, "$.a", false), "NULL 1 integer 1 2 NULL $.a $.a");
    assert_eq!(show("7", "$", true), "NULL 7 integer 7 0 NULL $ $");
    assert_eq!(
        show("[7,[8]]", "$[#-1]", true),
        "0 '[8]' array NULL 3 NULL $[#-1] $; 0 8 integer 8 4 3 $[#-1][0] $[#-1]"
    );
    assert_eq!(show(json, "$.nothing", true), "");
}
