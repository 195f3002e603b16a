//! From the bounds of an access to what is looked up: single keys and ranges of keys.

use std::cmp::Ordering;

use dosql_base::Result;
use dosql_base::codec::prefix_successor;

use super::super::context::ExecContext;
use super::super::row::{Row, eval};
use super::super::subquery;
use crate::catalog::layout;
use crate::catalog::schema::{IndexColumn, Table};
use crate::codec::encode_key;
use crate::plan::{Access, Bound, KeyBounds, KeyTerm};
use crate::storage::{KeyRange, Storage};
use crate::value::{Affinity, Collation, Value, ValueRef, compare_integer_real};

/// One thing to look up.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// The row of this key.
    Row(Vec<u8>),
    /// The rows of a range of the table's keys.
    Rows(KeyRange),
    /// The entries of a range of an index: that of the access of this number in a union, else 0.
    Entries { access: usize, range: KeyRange },
}

/// What an access looks up, in the order of its keys (of the accesses of a union, one after the other).
pub(crate) fn probes<S: Storage>(
    table: &Table,
    access: &Access,
    backward: bool,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
    out: &mut Vec<Probe>,
) -> Result<()> {
    out.clear();
    match access {
        Access::Union(accesses) => {
            for (number, access) in accesses.iter().enumerate() {
                add_probes(table, access, number, backward, row, cx, out)?;
            }
            Ok(())
        }
        single => add_probes(table, single, 0, backward, row, cx, out),
    }
}

/// The ranges of the table's keys that an access to them looks up, in order.
pub(crate) fn own_ranges<S: Storage>(
    table: &Table,
    access: &Access,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<KeyRange>> {
    let mut looked_up = Vec::new();
    probes(table, access, false, row, cx, &mut looked_up)?;
    let range = |probe| match probe {
        Probe::Row(key) => KeyRange { end: [key.as_slice(), &[0]].concat(), start: key },
        Probe::Rows(range) | Probe::Entries { range, .. } => range,
    };
    Ok(looked_up.into_iter().map(range).collect())
}

fn add_probes<S: Storage>(
    table: &Table,
    access: &Access,
    number: usize,
    backward: bool,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
    out: &mut Vec<Probe>,
) -> Result<()> {
    let from = out.len();
    match access {
        Access::Full | Access::Union(_) => out.push(Probe::Rows(layout::space_range(table.space))),
        Access::Primary(bounds) if table.without_rowid => {
            let whole = bounds.equal.len() == table.primary_key.len();
            for range in key_ranges(table.space, &table.primary_key, bounds, row, cx)? {
                out.push(if whole { Probe::Row(range.start) } else { Probe::Rows(range) });
            }
        }
        Access::Primary(bounds) => rowid_probes(table.space, bounds, row, cx, out)?,
        Access::Index { index, bounds, .. } => {
            for range in key_ranges(index.space, &index.columns, bounds, row, cx)? {
                out.push(Probe::Entries { access: number, range });
            }
        }
    }
    if backward {
        out[from..].reverse();
    }
    Ok(())
}

/// Shows each value that a term may have to `value`.
fn term_values<S: Storage>(
    term: &KeyTerm,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
    mut value: impl FnMut(ValueRef<'_>),
) -> Result<()> {
    let nulls = matches!(term, KeyTerm::Is(_));
    let mut show = |affinity: Option<Affinity>, found: ValueRef<'_>| {
        if found.is_null() && !nulls {
            return;
        }
        let converted = affinity.and_then(|affinity| affinity.convert(found));
        value(converted.as_ref().map_or(found, Value::as_ref));
    };
    match term {
        KeyTerm::Equal(bound) | KeyTerm::Is(bound) => show(bound.affinity, eval(&bound.expr, row, cx)?.get()),
        KeyTerm::In(bounds) => {
            for bound in bounds {
                show(bound.affinity, eval(&bound.expr, row, cx)?.get());
            }
        }
        KeyTerm::InQuery { query, affinity } => {
            subquery::column_values(query, row, cx, |value| show(*affinity, value))?;
        }
    }
    Ok(())
}

fn bound_value<S: Storage>(bound: &Bound, row: &Row<'_>, cx: &mut ExecContext<'_, S>) -> Result<Value> {
    let value = eval(&bound.expr, row, cx)?.into_value();
    Ok(match bound.affinity {
        Some(affinity) => affinity.apply(value),
        None => value,
    })
}

// ---------------------------------------------------------------- rowids

fn rowid_probes<S: Storage>(
    space: u32,
    bounds: &KeyBounds,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
    out: &mut Vec<Probe>,
) -> Result<()> {
    let key = |rowid: i64| {
        let mut key = Vec::with_capacity(12);
        layout::put_rowid_key(&mut key, space, rowid);
        key
    };
    if let Some(term) = bounds.equal.first() {
        let mut rowids: smallvec::SmallVec<[i64; 4]> = smallvec::SmallVec::new();
        term_values(term, row, cx, |value| rowids.extend(exact_rowid(value)))?;
        rowids.sort_unstable();
        rowids.dedup();
        out.extend(rowids.into_iter().map(|rowid| Probe::Row(key(rowid))));
        return Ok(());
    }
    let (mut low, mut high) = (i64::MIN, i64::MAX);
    if let Some((bound, inclusive)) = &bounds.lower {
        match first_rowid(&bound_value(bound, row, cx)?, *inclusive) {
            Some(first) => low = first,
            None => return Ok(()),
        }
    }
    if let Some((bound, inclusive)) = &bounds.upper {
        match last_rowid(&bound_value(bound, row, cx)?, *inclusive) {
            Some(last) => high = last,
            None => return Ok(()),
        }
    }
    if low <= high {
        let end = high.checked_add(1).map_or_else(|| layout::space_range(space).end, key);
        out.push(Probe::Rows(KeyRange { start: key(low), end }));
    }
    Ok(())
}

/// The rowid that equals a value.
pub(crate) fn exact_rowid(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(integer) => Some(integer),
        ValueRef::Real(real) => {
            let integer = real as i64;
            (compare_integer_real(integer, real) == Ordering::Equal).then_some(integer)
        }
        _ => None,
    }
}

/// The first rowid above a value (or equal to it, where `inclusive`).
fn first_rowid(value: &Value, inclusive: bool) -> Option<i64> {
    match *value {
        Value::Integer(integer) if inclusive => Some(integer),
        Value::Integer(integer) => integer.checked_add(1),
        Value::Real(real) => {
            let integer = real as i64;
            match compare_integer_real(integer, real) {
                Ordering::Greater => Some(integer),
                Ordering::Equal if inclusive => Some(integer),
                Ordering::Equal => integer.checked_add(1),
                // A real beyond all integers saturates.
                Ordering::Less => integer.checked_add(1),
            }
        }
        // Every number is below every text and blob.
        Value::Null | Value::Text(_) | Value::Blob(_) => None,
    }
}

/// The last rowid below a value (or equal to it, where `inclusive`).
fn last_rowid(value: &Value, inclusive: bool) -> Option<i64> {
    match *value {
        Value::Integer(integer) if inclusive => Some(integer),
        Value::Integer(integer) => integer.checked_sub(1),
        Value::Real(real) => {
            let integer = real as i64;
            match compare_integer_real(integer, real) {
                Ordering::Less => Some(integer),
                Ordering::Equal if inclusive => Some(integer),
                Ordering::Equal | Ordering::Greater => integer.checked_sub(1),
            }
        }
        Value::Null => None,
        Value::Text(_) | Value::Blob(_) => Some(i64::MAX),
    }
}

// ---------------------------------------------------------------- keys of several parts

/// The ranges of keys that satisfy the bounds, in key order.
fn key_ranges<S: Storage>(
    space: u32,
    parts: &[IndexColumn],
    bounds: &KeyBounds,
    row: &Row<'_>,
    cx: &mut ExecContext<'_, S>,
) -> Result<Vec<KeyRange>> {
    let mut prefix = Vec::with_capacity(32);
    layout::put_space(&mut prefix, space);
    let mut prefixes = vec![prefix];
    for (term, part) in bounds.equal.iter().zip(parts) {
        let mut encoded: smallvec::SmallVec<[Vec<u8>; 1]> = smallvec::SmallVec::new();
        term_values(term, row, cx, |value| {
            let mut key = Vec::with_capacity(16);
            encode_key(&mut key, value, part.collation, part.descending);
            encoded.push(key);
        })?;
        if encoded.is_empty() {
            return Ok(Vec::new());
        }
        encoded.sort_unstable();
        encoded.dedup();
        prefixes = extend(prefixes, &encoded);
    }
    let Some(next) = parts.get(bounds.equal.len()) else {
        return Ok(prefixes.into_iter().map(layout::prefix_range).collect());
    };
    let mut end = |bound: &Option<(Bound, bool)>| match bound {
        Some((bound, inclusive)) => Ok(Some((bound_value(bound, row, cx)?, *inclusive))),
        None => Ok(None),
    };
    let (lower, upper) = (end(&bounds.lower)?, end(&bounds.upper)?);
    let null = |bound: &Option<(Value, bool)>| bound.as_ref().is_some_and(|(value, _)| value.is_null());
    if null(&lower) || null(&upper) {
        return Ok(Vec::new());
    }
    if lower.is_none() && upper.is_none() {
        return Ok(prefixes.into_iter().map(layout::prefix_range).collect());
    }
    let ranges = prefixes.into_iter().map(|prefix| part_range(prefix, next, lower.as_ref(), upper.as_ref()));
    Ok(ranges.filter(|range| range.start < range.end).collect())
}

/// Every prefix with every continuation.
fn extend(mut prefixes: Vec<Vec<u8>>, parts: &[Vec<u8>]) -> Vec<Vec<u8>> {
    if let ([prefix], [part]) = (prefixes.as_mut_slice(), parts) {
        prefix.extend_from_slice(part);
        return prefixes;
    }
    let mut longer = Vec::with_capacity(prefixes.len() * parts.len());
    for prefix in &prefixes {
        longer.extend(parts.iter().map(|part| [prefix.as_slice(), part].concat()));
    }
    longer
}

/// The keys after `prefix` whose next part lies between the bounds; never NULL.
fn part_range(
    prefix: Vec<u8>,
    part: &IndexColumn,
    lower: Option<&(Value, bool)>,
    upper: Option<&(Value, bool)>,
) -> KeyRange {
    let with = |value: ValueRef<'_>| {
        let mut key = prefix.clone();
        encode_key(&mut key, value, part.collation, part.descending);
        key
    };
    let after = |key: Vec<u8>| prefix_successor(&key).unwrap_or_else(|| vec![0xFF]);
    // In key order: a descending part turns the bounds about, and has its NULLs at the end.
    let (first, last) = if part.descending { (upper, lower) } else { (lower, upper) };
    let null = || {
        let mut key = prefix.clone();
        encode_key(&mut key, ValueRef::Null, Collation::Binary, part.descending);
        key
    };
    let start = match first {
        Some((value, true)) => with(value.as_ref()),
        Some((value, false)) => after(with(value.as_ref())),
        None if part.descending => prefix.clone(),
        None => after(null()),
    };
    let end = match last {
        Some((value, true)) => after(with(value.as_ref())),
        Some((value, false)) => with(value.as_ref()),
        None if part.descending => null(),
        None => after(prefix.clone()),
    };
    KeyRange { start, end }
}
