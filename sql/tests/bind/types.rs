//! Affinities and collations of comparisons.

use super::plan;

/// A comparison as a plan shows it, among the result columns.
fn filter(predicate: &str) -> String {
    plan(&format!("SELECT {predicate} FROM t, u"))
}

#[test]
fn a_column_gives_its_affinity_to_a_bare_value() {
    assert!(filter("t.a = '5'").contains("= 5"), "{}", filter("t.a = '5'"));
    assert!(filter("t.b = 5").contains("= '5'"));
    assert!(filter("t.d = '5'").contains("= '5'"));
    assert!(filter("t.a = t.b || ''").contains("num:"));
    assert!(filter("+t.a = '5'").contains("= '5'"));
    assert!(filter("CAST(t.b AS INTEGER) = '5'").contains("= 5"));
    assert!(filter("t.b IN (1, 2)").contains("in ('1', '2')"));
    assert!(filter("t.a IN ('1', 2)").contains("in (1, 2)"));
    assert!(filter("t.a BETWEEN '1' AND 2").contains("between 1 and 2"));
}

#[test]
fn a_numeric_column_makes_numbers_of_a_text_column() {
    assert!(filter("t.a = u.x").contains("num:"), "{}", filter("t.a = u.x"));
    assert!(!filter("t.a > t.c").contains("num:"));
}

#[test]
fn collate_goes_before_the_left_column_before_the_right() {
    assert!(filter("u.x < t.b").contains("nocase"));
    assert!(!filter("t.b < u.x").contains("nocase"));
    assert!(filter("t.b < u.x COLLATE NOCASE").contains("nocase"));
    assert!(filter("t.b COLLATE RTRIM < u.x COLLATE NOCASE").contains("rtrim"));
    assert!(filter("t.b COLLATE NOCASE || 'a' < 'b'").contains("nocase"));
}
