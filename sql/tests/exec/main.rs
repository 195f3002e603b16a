//! The executor, judged by SQLite: queries over the same rows in both, with a storage that has everything at hand and with
//! one that blocks at every first access.
#![allow(missing_docs, unreachable_pub)]

mod bounds;
mod harness;
mod queries;

use harness::standard;

#[test]
fn queries_give_what_sqlite_gives() {
    let fixture = standard(60);
    fixture.check(queries::ALL.iter().copied());
}

#[test]
fn queries_over_many_batches_give_what_sqlite_gives() {
    let fixture = standard(1300);
    fixture.check(queries::ALL.iter().copied().filter(|sql| !queries::is_slow(sql)));
}

#[test]
fn a_query_that_has_to_wait_gives_the_same_rows() {
    let mut fixture = standard(45);
    let mut waited = 0;
    for sql in queries::ALL {
        let Ok((expected, _)) = fixture.run(sql) else { continue };
        fixture.storage.block_once();
        let (found, waits) = fixture.run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(expected, found, "{sql}");
        waited += waits;
        // What was fetched stays, so the same query does not wait again.
        assert_eq!(fixture.run(sql).unwrap().1, 0, "{sql}");
    }
    assert!(waited > 1000, "the storage blocked only {waited} times");
}
