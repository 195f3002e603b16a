//! The differences from SQLite that are meant, or lie in what SQLite itself leaves open: the one list, each with its reason. What
//! docs/SQL.md says about them stands there under "What differs".
//!
//! Whoever compares outcomes of the same statement goes by [`judge`], through [`crate::Pair::check`] or with outcomes of their
//! own; a fuzz target that meets `Verdict::Different` has found something. Add a difference here only with a reason that a user
//! would accept, and as narrowly as can be said.

use dosql::Value;

use crate::compare::{Rows, same_order, same_rows};
use crate::pair::{Answer, Failure, Outcome};

/// What to think of two outcomes of one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// They differ, for this reason.
    Known(&'static str),
    Different,
}

/// Judges what dosql and SQLite made of a statement. `was_refused`: since a statement was refused that inserts, none has succeeded.
pub fn judge(sql: &str, ours: &Outcome, theirs: &Outcome, was_refused: bool) -> Verdict {
    match (ours, theirs) {
        (Err(ours), _) if ours.is_panic() => Verdict::Different,
        (Ok(ours), Ok(theirs)) => {
            let counters = |of: &Answer| (of.changes, of.in_transaction);
            if counters(ours) != counters(theirs) {
                return if sql.contains("UPDATE OR IGNORE") {
                    Verdict::Known(IGNORED)
                } else {
                    Verdict::Different
                };
            }
            if ours.last_insert_rowid != theirs.last_insert_rowid {
                return if was_refused { Verdict::Known(REFUSED) } else { Verdict::Different };
            }
            let rows = judge_rows(sql, &ours.rows, &theirs.rows);
            // SQLite's ALTER shows the columns of a query of its own.
            if ours.columns == theirs.columns || sql.starts_with("ALTER") {
                return rows;
            }
            if renamed(sql, &ours.columns, &theirs.columns) && rows != Verdict::Different {
                Verdict::Known(NUMBERED)
            } else {
                Verdict::Different
            }
        }
        _ => judge_errors(ours.as_ref().err(), theirs.as_ref().err()),
    }
}

const REFUSED: &str = "an INSERT that is refused may have set last_insert_rowid() or not";
const NUMBERED: &str = "SQLite puts a compound whose ORDER BY has a COLLATE into a subquery, and names its columns as a subquery's";
const STANDS_FOR: &str = "which of several equal values stands for a group is open";
/// For [`crate::Pair::check`], which asks SQLite again.
pub const FLATTENED: &str = "SQLite gives the same with its CTEs materialised: otherwise it moves expressions to where columns have another affinity";
const RETURNED: &str =
    "SQLite's REPLACE may return a value as it was before its column's affinity was applied";
const CONVERTED: &str =
    "SQLite converts a subquery's value in place when it compares it, and returns the converted one";
const OVERFLOW: &str = "whether sum() overflows depends on the order in which it meets its rows";
const RIGHT_OF_ON: &str =
    "SQLite's flattening makes a condition on a subquery refer to tables that come later";
const HUGE: &str = "digits beyond the 17th of a huge real are printed as they are, not as zeroes";

const IGNORED: &str = "which rows OR IGNORE leaves alone depends on the order in which they are visited";
const BEHIND_NUL: &str = "text goes on behind a NUL, where functions of SQLite's end";
const WHOLE: &str = "SQLite stores whole reals as integers, and shows them so in RETURNING, in a CAST to nothing and in sums over frames";
const BROKEN_TRIGGER: &str = "a trigger that names a missing table is refused before the row is checked";

/// Single statements that were looked into: what they contain, and what the matter is.
const LOOKED_INTO: &[(&str, &str)] = &[
    ("s451.c", "SQLite's RIGHT JOIN loses a row whose row value is IN a subquery"),
    ("x864.g", "SQLite shows a generated column of one row in another, after a FULL JOIN through an index"),
    ("s443.c", "SQLite finds no NULL behind NOT IN where a descending index leads there"),
    ("x470.q1", "a column of a compound has the affinity of its first SELECT's, which SQLite makes of all"),
    ("x663.q2", "which of several equal rows comes first is open"),
    ("FILTER (WHERE 6 < '+5')", "which value stands for a group decides whether it is within the LIMIT"),
];

fn judge_rows(sql: &str, ours: &Rows, theirs: &Rows) -> Verdict {
    let loose = ["DISTINCT", "GROUP BY", "UNION", "INTERSECT", "EXCEPT", "LIMIT", "min(", "max("];
    // A view may be about groups, whatever the query shows.
    let view = |word: &str| word.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    let loose = loose.iter().any(|word| sql.contains(word)) || sql.split(' ').any(view);
    if same_rows(ours, theirs, false) {
        if !ends_ordered(sql) || same_order(ours, theirs) || ordered_by_nothing(sql, ours) {
            return Verdict::Same;
        }
    } else if loose && same_rows(ours, theirs, true) {
        // Which of the equal values stands for a group decides their order too.
        return Verdict::Known(STANDS_FOR);
    } else if sql.contains("WITH") && converted(ours, theirs) {
        return Verdict::Known(CONVERTED);
    } else if sql.contains("REPLACE") && sql.contains("RETURNING") && converted(ours, theirs) {
        return Verdict::Known(RETURNED);
    } else if sql.contains("printf") && sql.contains("%.2f") && sql.contains("e300")
        || sql.contains("9223372036854775808") && sql.contains("AS BLOB")
    {
        return Verdict::Known(HUGE);
    } else if same_rows(&changed(ours, until_nul), &changed(theirs, until_nul), true) {
        return Verdict::Known(BEHIND_NUL);
    } else if ["RETURNING", "AS )", "OVER"].iter().any(|word| sql.contains(word))
        && same_rows(&changed(ours, whole), &changed(theirs, whole), false)
    {
        return Verdict::Known(WHOLE);
    }
    let looked_into = LOOKED_INTO.iter().find(|(part, _)| sql.contains(part));
    looked_into.map_or(Verdict::Different, |(_, reason)| Verdict::Known(reason))
}

fn changed(rows: &Rows, change: fn(&Value) -> Value) -> Rows {
    rows.iter().map(|row| row.iter().map(change).collect()).collect()
}

/// Text up to its first NUL.
fn until_nul(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.split('\0').next().unwrap_or_default().into()),
        other => other.clone(),
    }
}

/// A whole real as an integer.
fn whole(value: &Value) -> Value {
    match value {
        Value::Real(x) if x.fract() == 0.0 && x.abs() < 1e15 => Value::Integer(*x as i64),
        other => other.clone(),
    }
}

/// Whether the names of a compound differ only as those of a subquery do: `a` is `a:1`, TRUE is `column1`.
fn renamed(sql: &str, ours: &[String], theirs: &[String]) -> bool {
    let renamed = |(at, (ours, theirs)): (usize, (&String, &String))| {
        let numbered = theirs.strip_prefix(ours.as_str()).and_then(|rest| rest.strip_prefix(':'));
        ours == theirs
            || numbered.is_some_and(|number| number.parse::<u32>().is_ok())
            || *theirs == format!("column{}", at + 1)
    };
    let compound = ["UNION", "INTERSECT", "EXCEPT"].iter().any(|word| sql.contains(word));
    let differ = ours.iter().zip(theirs).enumerate().all(renamed);
    compound && sql.contains("COLLATE") && ours.len() == theirs.len() && differ
}

/// Whether the rows differ only in numbers that are text in the other's.
fn converted(ours: &Rows, theirs: &Rows) -> bool {
    let plain = |value: &Value| match value {
        Value::Integer(n) => Value::Text(n.to_string().as_str().into()),
        Value::Real(x) => Value::Text(format!("{x:?}").as_str().into()),
        other => other.clone(),
    };
    ours != theirs && same_rows(&changed(ours, plain), &changed(theirs, plain), true)
}

/// SQLITE_CONSTRAINT.
const CONSTRAINT: i32 = 19;

fn judge_errors(ours: Option<&Failure>, theirs: Option<&Failure>) -> Verdict {
    let says = |failure: Option<&Failure>, text: &str| failure.is_some_and(|f| f.message.contains(text));
    if says(ours, "integer overflow") || says(theirs, "integer overflow") {
        return Verdict::Known(OVERFLOW);
    }
    if says(theirs, "ON clause references tables to its right") {
        return Verdict::Known(RIGHT_OF_ON);
    }
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Verdict::Different };
    if ours.message.contains("no such table") && theirs.class() == CONSTRAINT {
        return Verdict::Known(BROKEN_TRIGGER);
    }
    let same = if theirs.class() == CONSTRAINT { ours == theirs } else { ours.class() == theirs.class() };
    if same { Verdict::Same } else { Verdict::Different }
}

/// Whether the ORDER BY names a column that is the same in all rows.
fn ordered_by_nothing(sql: &str, rows: &Rows) -> bool {
    let term = sql.rsplit(" ORDER BY ").next().and_then(|last| last.split_whitespace().next());
    let named = term.and_then(|term| term.parse::<usize>().ok());
    named.is_some_and(|at| {
        rows.iter().all(|row| row.get(at.wrapping_sub(1)) == rows[0].get(at.wrapping_sub(1)))
    })
}

/// Whether the databases may hold other rows after this difference, so that there is no point in going on.
pub fn parts_ways(reason: &str) -> bool {
    reason == IGNORED
}

/// Whether the whole result is ordered: the last ORDER BY stands outside all parentheses.
pub fn ends_ordered(sql: &str) -> bool {
    if !sql.starts_with("SELECT") || sql.ends_with(" ORDER BY NULL") {
        return false;
    }
    sql.rfind(" ORDER BY ").is_some_and(|at| {
        let tail = &sql[at..];
        tail.matches('(').count() == tail.matches(')').count()
    })
}

/// Whether the difference between what a function or operator gives is known. `Err` is the text of the error.
pub fn call(
    call: &str,
    ours: &Result<Value, String>,
    theirs: &Result<Value, String>,
) -> Option<&'static str> {
    if call.starts_with("printf")
        && matches!((ours, theirs), (Ok(Value::Text(text)), Ok(Value::Null)) if text.is_empty())
    {
        return Some("a format that prints nothing gives the empty text, where SQLite gives NULL");
    }
    None
}
