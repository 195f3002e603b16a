//! Whether two results are the same.

use std::cmp::Ordering;

use dosql::Value;

pub type Rows = Vec<Vec<Value>>;

/// Whether the rows are the same, in any order. With `loose`, values that some collation or comparison calls equal are the same:
/// which of them stands for a group is nobody's promise.
pub fn same_rows(ours: &Rows, theirs: &Rows, loose: bool) -> bool {
    if ours.len() != theirs.len() {
        return false;
    }
    let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (ours.iter().collect(), theirs.iter().collect());
    ours.sort_by(|a, b| order(a, b));
    theirs.sort_by(|a, b| order(a, b));
    if ours.iter().zip(&theirs).all(|(a, b)| same_row(a, b, loose)) {
        return true;
    }
    // Sorting puts reals that differ in the last bit, or what only loosely is the same, at different places.
    let mut left = theirs;
    ours.iter().all(|row| {
        let found = left.iter().position(|other| same_row(row, other, loose));
        found.map(|at| left.swap_remove(at)).is_some()
    })
}

fn same_row(a: &[Value], b: &[Value], loose: bool) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, loose))
}

/// Whether two values are the same, reals to 12 digits, also where they stand in text.
pub fn same(a: &Value, b: &Value, loose: bool) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Integer(a), Value::Integer(b)) => a == b,
        (Value::Real(a), Value::Real(b)) => close(*a, *b),
        (Value::Integer(a), Value::Real(b)) | (Value::Real(b), Value::Integer(a)) => {
            loose && close(*a as f64, *b)
        }
        (Value::Text(a), Value::Text(b)) => same_text(a.as_str(), b.as_str(), loose),
        (Value::Blob(a), Value::Blob(b)) => a == b,
        _ => false,
    }
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-12 * a.abs().max(b.abs()) || (a - b).abs() < 1e-10
}

fn same_text(a: &str, b: &str, loose: bool) -> bool {
    if a == b {
        return true;
    }
    if loose && a.trim_end().eq_ignore_ascii_case(b.trim_end()) {
        return true;
    }
    // Reals in text: the shortest digits here, 15 of them there.
    let (a, b) = (pieces(a), pieces(b));
    a.len() == b.len()
        && a.iter().zip(&b).all(|(a, b)| {
            a == b
                || match (a.parse::<f64>(), b.parse::<f64>()) {
                    (Ok(x), Ok(y)) => {
                        (a.contains(['.', 'e']) || b.contains(['.', 'e']) || loose) && close(x, y)
                    }
                    _ => false,
                }
        })
}

/// Text cut at everything that is no part of a number.
fn pieces(text: &str) -> Vec<&str> {
    text.split_inclusive(|c: char| !(c.is_ascii_digit() || c == '.' || c == 'e' || c == '+' || c == '-'))
        .flat_map(|piece| {
            let end = piece.trim_end_matches(|c: char| !(c.is_ascii_digit() || c == '.')).len();
            let (number, rest) = piece.split_at(end);
            [number, rest]
        })
        .collect()
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    }
}

fn order(a: &[Value], b: &[Value]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let by_value = match (a, b) {
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
            (Value::Integer(a), Value::Real(b)) => (*a as f64).total_cmp(b).then(Ordering::Less),
            (Value::Real(a), Value::Integer(b)) => a.total_cmp(&(*b as f64)).then(Ordering::Greater),
            (Value::Text(a), Value::Text(b)) => a.as_str().cmp(b.as_str()),
            (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
            _ => rank(a).cmp(&rank(b)),
        };
        if by_value != Ordering::Equal {
            return by_value;
        }
    }
    a.len().cmp(&b.len())
}

/// Whether both are in the same order by what a query's ORDER BY says, here: all columns of the result, so that rows that are
/// the same to every comparison may change places.
pub fn same_order(ours: &Rows, theirs: &Rows) -> bool {
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same_row(a, b, true))
}
