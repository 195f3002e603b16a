//! Which operators a SELECT becomes.

use super::{bind, error, plan};

#[test]
fn a_scan_reads_only_the_columns_in_use() {
    assert_eq!(plan("SELECT b FROM t WHERE a = 5"), "r0 < scan t(a=r1 b=r0) if r1 = 5");
    assert_eq!(plan("SELECT count(*) FROM (SELECT * FROM t)"), "r5 < group r5=count() < scan t()");
}

#[test]
fn a_simple_subquery_in_from_leaves_no_trace() {
    assert_eq!(
        plan("SELECT y + 1 FROM (SELECT a AS x, b AS y, c FROM t WHERE c > 1) WHERE x = 3"),
        "(r1 + 1) < scan t(a=r0 b=r1 c=r2) if (r0 = 3 and r2 > 1)"
    );
    assert_eq!(plan("SELECT q FROM v"), "(r1 || 'x') < scan t(b=r1 c=r2) if r2 > 1");
}

#[test]
fn what_a_left_join_may_not_match_is_null_whatever_its_expression() {
    assert_eq!(
        plan("SELECT one FROM t LEFT JOIN (SELECT 1 AS one, a FROM u) z ON z.a = t.a"),
        "r1 < left hash r2=r0 < scan t(a=r2) < compute r1=1 < scan u(a=r0)"
    );
}

#[test]
fn groups_give_keys_aggregates_and_bare_columns() {
    assert_eq!(
        plan("SELECT count(*), max(a), b FROM t GROUP BY c + 1 HAVING count(*) > 2 ORDER BY c + 1"),
        "r0, r2, r3 < sort r5 < filter r0 > 2 < group r5=(r4 + 1); r0=count(); r2=max(r1); bare r3=r3 of call 1 \
         < scan t(a=r1 b=r3 c=r4)"
    );
    assert_eq!(
        plan("SELECT a AS k, sum(c) FROM t GROUP BY k"),
        "r0, r2 < group r0=r0; r2=sum(r1) < scan t(a=r0 c=r1)"
    );
}

#[test]
fn an_aggregate_belongs_to_the_query_whose_columns_it_reads() {
    assert_eq!(
        plan("SELECT (SELECT max(t.a) FROM u) FROM t"),
        "scalar.0 (r1)[o0 < scan u()] < group r1=max(r0) < scan t(a=r0)"
    );
    assert_eq!(
        plan("SELECT (SELECT max(u.a + t.a) FROM u) FROM t"),
        "scalar.0 (r0)[r1 < group r1=max((r0 + o0)) < scan u(a=r0)] < scan t(a=r0)"
    );
}

#[test]
fn using_merges_columns_as_the_join_needs() {
    assert_eq!(
        plan("SELECT a FROM t LEFT JOIN u USING (a)"),
        "r0 < left hash r0=r1 < scan t(a=r0) < scan u(a=r1)"
    );
    assert_eq!(
        plan("SELECT a FROM t FULL JOIN u USING (a)"),
        "coalesce(r0, r1) < full hash r0=r1 < scan t(a=r0) < scan u(a=r1)"
    );
}

#[test]
fn a_correlated_subquery_takes_what_it_reads_as_arguments() {
    assert_eq!(
        plan("SELECT (SELECT (SELECT t.a + u.a + n.k FROM n) FROM u) FROM t"),
        "scalar.0 (r0)[scalar.0 (o0, r0)[((o0 + o1) + r0) < scan n(k=r0)] < scan u(a=r0)] < scan t(a=r0)"
    );
}

#[test]
fn a_cte_is_merged_where_it_is_used_once_and_shared_where_more() {
    assert_eq!(plan("WITH x AS (SELECT a FROM t) SELECT * FROM x"), "r0 < scan t(a=r0)");
    let shared = "nested shared 0=r0 [r0 < scan t(a=r0)]";
    assert_eq!(
        plan("WITH x AS (SELECT a FROM t) SELECT * FROM x, x AS y"),
        format!("r0, r1 < cross < {shared} < {}", shared.replace("0=r0", "0=r1"))
    );
    assert_eq!(plan("WITH x AS MATERIALIZED (SELECT a FROM t) SELECT * FROM x"), format!("r0 < {shared}"));
}

#[test]
fn a_recursive_cte_feeds_on_its_rows() {
    assert_eq!(
        plan("WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 10) SELECT i FROM r"),
        "r0 < recursive r0 of (1) ((r1 + 1)) < one row < filter r1 < 10 < working table 0=r1"
    );
}

#[test]
fn windows_of_one_partitioning_share_an_operator() {
    assert_eq!(
        plan(
            "SELECT sum(a) OVER w, rank() OVER w, count(*) OVER () FROM t WINDOW w AS (PARTITION BY b ORDER BY c)"
        ),
        "r3, r4, r5 < window by (r1) order (r2) r3=sum(r0), r4=rank() < window by () order () r5=count() \
         < scan t(a=r0 b=r1 c=r2)"
    );
}

#[test]
fn a_sort_key_that_is_a_result_is_computed_once() {
    assert_eq!(
        plan("SELECT a, (SELECT count(*) FROM u WHERE u.a = t.a) FROM t ORDER BY 2 DESC LIMIT 3"),
        "r0, r1 < limit 3 < sort r1 desc limit 3 < compute r1=scalar.0 (r0)[r0 < group r0=count() < scan u(a=r1) if r1 = o0] \
         < scan t(a=r0)"
    );
}

#[test]
fn a_table_function_reads_the_tables_before_it() {
    assert_eq!(plan("SELECT value FROM t, json_each(t.b)"), "r1 < loop < scan t(b=r0) < JsonEach(r0) 1=r1");
}

#[test]
fn deep_nesting_is_refused_and_never_overflows_the_stack() {
    let on_a_small_stack = || {
        let chain = format!("SELECT {} FROM t", vec!["a"; 900].join(" AND "));
        bind(&chain).expect("chains are no nesting");
        let deep = format!("SELECT {}a{} FROM t", "-(1 + ".repeat(300), ")".repeat(300));
        bind(&deep).expect("as deep as the parser allows");
        let calls = format!("SELECT {}a{} FROM t", "abs(".repeat(400), ")".repeat(400));
        bind(&calls).expect("as deep as the parser allows");
        let cases = format!("SELECT {}a{} FROM t", "CASE WHEN ".repeat(400), " THEN 1 END".repeat(400));
        bind(&cases).expect("as deep as the parser allows");
        let lists = format!("SELECT {}a{} FROM t", "a IN (1, ".repeat(400), ")".repeat(400));
        bind(&lists).expect("as deep as the parser allows");
        let selects = format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(100), ")".repeat(100));
        assert!(error(&selects).contains("nest deeper"));
        let scalars = format!("SELECT {}1{}", "(SELECT ".repeat(100), ")".repeat(100));
        assert!(error(&scalars).contains("nest deeper"));
    };
    std::thread::Builder::new()
        .stack_size(KIB * 1024)
        .spawn(on_a_small_stack)
        .expect("a thread")
        .join()
        .expect("no panic");
}

/// The stack that Rust gives a thread.
const KIB: usize = 2048;
