//! Three states of a row, and what a merge makes of them. Pure: no storage, no order of things.

use dosql_sql::value::Value;

/// The cells of a row, in the order of the columns of the branch that is merged into.
pub(super) type Cells = Vec<Value>;

/// What a merge makes of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// This branch has what it is to have.
    Keep,
    /// It is to hold this; `None`: to be deleted.
    Take(Option<Cells>),
    /// Both changed the same: what it would hold if ours won, and if theirs did.
    Conflict { ours: Option<Cells>, theirs: Option<Cells> },
}

/// Values that no reader tells apart.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

fn same_rows(a: Option<&Cells>, b: Option<&Cells>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => false,
    }
}

/// Merges a row. `adds` says of each column whether what each side added to it is added up.
pub(super) fn merge(
    base: Option<&Cells>,
    ours: Option<&Cells>,
    theirs: Option<&Cells>,
    adds: &[bool],
) -> Outcome {
    if same_rows(theirs, base) || same_rows(theirs, ours) {
        return added_up(base, ours, theirs, adds).map_or(Outcome::Keep, |row| Outcome::Take(Some(row)));
    }
    if same_rows(ours, base) {
        return Outcome::Take(theirs.cloned());
    }
    let (Some(base), Some(our), Some(their)) = (base, ours, theirs) else {
        return Outcome::Conflict { ours: ours.cloned(), theirs: theirs.cloned() };
    };
    let (mut if_ours, mut if_theirs, mut conflict) = (our.clone(), our.clone(), false);
    for (at, ((base, our), their)) in base.iter().zip(our).zip(their).enumerate() {
        let merged = if adds.get(at) == Some(&true) { sum(base, our, their) } else { None };
        let merged = match merged {
            Some(sum) => sum,
            None if same(their, base) || same(their, our) => our.clone(),
            None if same(our, base) => their.clone(),
            None => {
                conflict = true;
                if_theirs[at] = their.clone();
                continue;
            }
        };
        if_ours[at] = merged.clone();
        if_theirs[at] = merged;
    }
    if conflict {
        return Outcome::Conflict { ours: Some(if_ours), theirs: Some(if_theirs) };
    }
    if same_rows(Some(&if_ours), ours) { Outcome::Keep } else { Outcome::Take(Some(if_ours)) }
}

/// Both sides hold the same, but by adding the same twice: then both count.
fn added_up(
    base: Option<&Cells>,
    ours: Option<&Cells>,
    theirs: Option<&Cells>,
    adds: &[bool],
) -> Option<Cells> {
    let (base, ours, theirs) = (base?, ours?, theirs?);
    let mut row = ours.clone();
    for (at, _) in adds.iter().enumerate().filter(|(_, adds)| **adds) {
        let (base, our, their) = (base.get(at)?, ours.get(at)?, theirs.get(at)?);
        if !same(base, their) {
            row[at] = sum(base, our, their)?;
        }
    }
    (!same_rows(Some(&row), Some(ours))).then_some(row)
}

/// What both added to a number; `None` where one of them is none, or the sum has no place.
fn sum(base: &Value, ours: &Value, theirs: &Value) -> Option<Value> {
    match (base, ours, theirs) {
        (Value::Integer(base), Value::Integer(ours), Value::Integer(theirs)) => {
            ours.checked_add(theirs.checked_sub(*base)?).map(Value::Integer)
        }
        _ => {
            let real = |value: &Value| match value {
                Value::Integer(number) => Some(*number as f64),
                Value::Real(number) => Some(*number),
                _ => None,
            };
            Some(Value::Real(real(ours)? + (real(theirs)? - real(base)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[i64]) -> Cells {
        cells.iter().map(|cell| Value::Integer(*cell)).collect()
    }

    fn merged(base: &[i64], ours: &[i64], theirs: &[i64]) -> Outcome {
        merge(Some(&row(base)), Some(&row(ours)), Some(&row(theirs)), &[])
    }

    #[test]
    fn a_cell_comes_from_whoever_changed_it() {
        assert_eq!(merged(&[1, 2], &[1, 2], &[1, 3]), Outcome::Take(Some(row(&[1, 3]))));
        assert_eq!(merged(&[1, 2], &[9, 2], &[1, 2]), Outcome::Keep);
        assert_eq!(merged(&[1, 2], &[9, 2], &[1, 3]), Outcome::Take(Some(row(&[9, 3]))));
        assert_eq!(merged(&[1, 2], &[5, 6], &[5, 6]), Outcome::Keep);
    }

    #[test]
    fn a_cell_that_both_changed_is_a_conflict_with_the_others_merged() {
        let ours = Some(row(&[8, 2, 4]));
        let theirs = Some(row(&[9, 2, 4]));
        assert_eq!(merged(&[1, 2, 3], &[8, 2, 3], &[9, 2, 4]), Outcome::Conflict { ours, theirs });
    }

    #[test]
    fn a_row_that_one_side_deleted_and_the_other_changed_is_a_conflict() {
        let (base, changed) = (row(&[1]), row(&[2]));
        let conflict = merge(Some(&base), None, Some(&changed), &[]);
        assert_eq!(conflict, Outcome::Conflict { ours: None, theirs: Some(changed.clone()) });
        let conflict = merge(Some(&base), Some(&changed), None, &[]);
        assert_eq!(conflict, Outcome::Conflict { ours: Some(changed), theirs: None });
        assert_eq!(merge(Some(&base), Some(&base), None, &[]), Outcome::Take(None));
        assert_eq!(merge(Some(&base), None, None, &[]), Outcome::Keep);
    }

    #[test]
    fn what_was_added_on_both_sides_is_added_up() {
        let add = |base: i64, ours: i64, theirs: i64| {
            merge(Some(&row(&[base])), Some(&row(&[ours])), Some(&row(&[theirs])), &[true])
        };
        assert_eq!(add(10, 13, 5), Outcome::Take(Some(row(&[8]))));
        assert_eq!(add(10, 7, 7), Outcome::Take(Some(row(&[4]))));
        assert_eq!(add(10, 7, 10), Outcome::Keep);
        assert!(matches!(add(0, i64::MAX, 1), Outcome::Conflict { .. }));
    }
}
