//! Functions and operators over a few values, in dosql and in SQLite: patterns, formats, dates, text.

use std::cell::RefCell;

use dosql::{Connection, Database, Value, ValueRef};

use crate::differential::compare::same;
use crate::differential::known;
use crate::input::Input;

/// What is asked, of up to three values.
const CALLS: &[&str] = &[
    "?1 LIKE ?2",
    "?1 LIKE ?2 ESCAPE '\\'",
    "?1 GLOB ?2",
    "printf(?1, ?2)",
    "printf(?1, ?2, ?3)",
    "printf('%' || ?1 || 'd|', ?2)",
    "printf('%' || ?1 || 'x|', ?2)",
    "printf('%' || ?1 || 's|', ?2)",
    "printf('%' || ?1 || 'q|', ?2)",
    "date(?1)",
    "date(?1, ?2)",
    "time(?1, ?2)",
    "datetime(?1, ?2)",
    "datetime(?1, ?2, ?3)",
    "julianday(?1, ?2)",
    "unixepoch(?1, ?2)",
    "strftime(?1, ?2)",
    "strftime(?1, ?2, ?3)",
    "timediff(?1, ?2)",
    "substr(?1, ?2)",
    "substr(?1, ?2, ?3)",
    "replace(?1, ?2, ?3)",
    "trim(?1, ?2)",
    "ltrim(?1, ?2)",
    "rtrim(?1)",
    "instr(?1, ?2)",
    "hex(?1)",
    "unhex(?1, ?2)",
    "quote(?1)",
    "round(?1, ?2)",
    "upper(?1)",
    "lower(?1)",
    "length(?1)",
    "octet_length(?1)",
    "unicode(?1)",
    "abs(?1)",
    "sign(?1)",
    "min(?1, ?2, ?3)",
    "nullif(?1, ?2)",
    "concat(?1, ?2)",
    "CAST(?1 AS INTEGER)",
    "CAST(?1 AS REAL)",
    "CAST(?1 AS NUMERIC)",
    "?1 + ?2",
    "?1 * ?2",
    "?1 / ?2",
    "?1 % ?2",
    "?1 << ?2",
    "?1 < ?2",
    "?1 = ?2",
    "?1 BETWEEN ?2 AND ?3",
    "?1 || ?2",
    "json_valid(?1)",
    "json_type(?1, ?2)",
];

/// Pieces that the functions know a meaning of.
const PIECES: &[&str] = &[
    "2024-02-29",
    "1999-12-31",
    "0000-01-01",
    "9999-12-31",
    "12:34",
    "23:59:59.999",
    "T",
    "Z",
    "+05:30",
    "-14:00",
    "+1 month",
    "-1 years",
    "start of month",
    "start of year",
    "weekday 0",
    "weekday 6",
    "unixepoch",
    "julianday",
    "auto",
    "subsec",
    "ceiling",
    "floor",
    "+0001-02-03",
    "-0001-02-03 04:05",
    "24:00",
    "2451545.5",
    "%Y",
    "%m",
    "%d",
    "%H",
    "%M",
    "%S",
    "%f",
    "%j",
    "%J",
    "%s",
    "%w",
    "%W",
    "%u",
    "%U",
    "%V",
    "%G",
    "%g",
    "%k",
    "%l",
    "%I",
    "%p",
    "%P",
    "%R",
    "%T",
    "%F",
    "%D",
    "%e",
    "%%",
    "%",
    "_",
    "*",
    "?",
    "[a-c]",
    "[^a]",
    "[]]",
    "[",
    "]",
    "^",
    "-",
    "\\",
    "%05d",
    "%+d",
    "% d",
    "%,d",
    "%-8s|",
    "%.3s",
    "%!.5s",
    "%c",
    "%x",
    "%X",
    "%#x",
    "%o",
    "%lld",
    "%*d",
    "%.*s",
    "%q",
    "%Q",
    "%w",
    "%z",
    "a",
    "A",
    "b",
    "é",
    "É",
    "ß",
    "ab",
    "0",
    "1",
    "9",
    "-1",
    ".",
    "e",
    "+",
    " ",
    "1e3",
    "0x1F",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "inf",
    "'",
    "\"",
    "{\"a\":[1,2]}",
    "$.a[1]",
    "$",
    "null",
    "true",
];

const INTEGERS: &[i64] =
    &[0, 1, -1, 2, 10, 63, 64, 255, i64::MAX, i64::MIN, i64::MAX - 1, 1 << 31, 1 << 53, 1_700_000_000];
// Few digits each: both write them the same.
const REALS: &[f64] =
    &[0.0, -0.0, 0.5, -1.5, 2.25, 1e3, 1e15, 1e18, 1e300, -1e-5, 2_451_545.5, 9.5, f64::INFINITY];

fn text(input: &mut Input<'_>) -> String {
    let mut text = String::new();
    for _ in 0..1 + input.byte() % 4 {
        match input.byte() % 4 {
            // What follows a zero in text, SQLite leaves open.
            0 => text.extend(String::from_utf8_lossy(input.bytes(6)).chars().filter(|c| *c != '\0')),
            _ => text += PIECES[usize::from(input.byte()) % PIECES.len()],
        }
    }
    text
}

fn value(input: &mut Input<'_>) -> Value {
    match input.byte() % 8 {
        0 => Value::Null,
        1 => Value::Integer(INTEGERS[usize::from(input.byte()) % INTEGERS.len()]),
        2 => Value::Integer(i64::from(input.byte()) - 100),
        3 => Value::Real(REALS[usize::from(input.byte()) % REALS.len()]),
        4 => Value::Blob(text(input).as_bytes().into()),
        _ => Value::Text(text(input).as_str().into()),
    }
}

struct Both {
    ours: Connection,
    theirs: rusqlite::Connection,
}

impl Both {
    fn new() -> Both {
        let db = Database::open_memory().expect("a new database");
        let ours = db.connect().expect("a connection");
        Both { ours, theirs: rusqlite::Connection::open_in_memory().expect("a connection") }
    }

    fn ours(&self, sql: &str, values: &[Value]) -> Result<Value, String> {
        let mut statement = self.ours.prepare_cached(sql).map_err(|error| error.to_string())?;
        let mut rows = statement.query(values).map_err(|error| error.to_string())?;
        let row = rows.next().map_err(|error| error.to_string())?.ok_or("no row")?;
        row.get_ref(0).map(ValueRef::to_value).map_err(|error| error.to_string())
    }

    fn theirs(&self, sql: &str, values: &[Value]) -> Result<Value, String> {
        use rusqlite::types::{Value as Theirs, ValueRef as Lent};
        let values = values.iter().map(|value| match value {
            Value::Null => Theirs::Null,
            Value::Integer(n) => Theirs::Integer(*n),
            Value::Real(x) => Theirs::Real(*x),
            Value::Text(text) => Theirs::Text(text.to_string()),
            Value::Blob(bytes) => Theirs::Blob(bytes.to_vec()),
        });
        let found = self.theirs.prepare_cached(sql).and_then(|mut statement| {
            statement.query_row(rusqlite::params_from_iter(values), |row| {
                Ok(match row.get_ref(0)? {
                    Lent::Null => Value::Null,
                    Lent::Integer(n) => Value::Integer(n),
                    Lent::Real(x) => Value::Real(x),
                    Lent::Text(text) => Value::Text(String::from_utf8_lossy(text).as_ref().into()),
                    Lent::Blob(bytes) => Value::Blob(bytes.into()),
                })
            })
        });
        found.map_err(|error| error.to_string())
    }
}

/// One call of what the input says, in both.
pub fn target(data: &[u8]) {
    thread_local!(static BOTH: RefCell<Both> = RefCell::new(Both::new()));
    let mut input = Input::new(data);
    let call = CALLS[usize::from(input.byte()) % CALLS.len()];
    let used = 1 + usize::from(call.contains("?2")) + usize::from(call.contains("?3"));
    let values: Vec<Value> = (0..used).map(|_| value(&mut input)).collect();
    // The time of day differs, and what a width of millions gives is the same but for the time that it takes.
    let shown = format!("{values:?}");
    if shown.to_lowercase().contains("now")
        || shown.split(|c: char| !c.is_ascii_digit()).any(|n| n.len() > 4 && call.contains("printf"))
    {
        return;
    }
    let sql = format!("SELECT {call}");
    let (ours, theirs) = BOTH.with_borrow(|both| (both.ours(&sql, &values), both.theirs(&sql, &values)));
    let agree = match (&ours, &theirs) {
        (Ok(ours), Ok(theirs)) => same(ours, theirs, false),
        (Err(_), Err(_)) => true,
        _ => false,
    };
    assert!(
        agree || known::call(call, &ours, &theirs).is_some(),
        "{call} of {values:?}: ours {ours:?}, SQLite's {theirs:?}"
    );
}
