//! Merges of tables: counters that add up, a look at what would be done, conflicts that are given up; and tables and branches that go back to a
//! point, are protected, and expire.

use dosql::{Connection, Durability, Result};

use super::tables::{observe, step};
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "merge-add", settings: MERGING, live: merge_add, observe, told: false },
    Scenario { name: "merge-aborted", settings: MERGING, live: merge_aborted, observe, told: false },
    Scenario { name: "restore", settings: MERGING, live: restore, observe, told: false },
    Scenario { name: "branch-guarded", settings: MERGING, live: branch_guarded, observe, told: false },
];

const MERGING: Settings = Settings { history_runs: 1, ..Settings::DEFAULT };
const SECOND: u64 = 1_000_000;

/// Runs a commit of a branch, after which the tables of main hold what they held.
fn on(world: &mut World, branch: &str, sql: &str) -> Result<()> {
    // Main is asked about the moment too: so that it is not to come there, where the clock stands still but for this.
    world.advance(SECOND);
    let same = (*world.lived.state()).clone();
    world.commit(Durability::Sync, same, |database| {
        let connection = database.branch(branch)?.connect()?;
        connection.execute_batch(sql)?;
        Ok(connection.last_commit())
    })
}

/// Makes a branch of main.
fn fork(world: &mut World, name: &str, sql: &str) -> Result<()> {
    let same = (*world.lived.state()).clone();
    world.commit(Durability::Sync, same, |database| {
        database.connect()?.execute_batch(sql)?;
        Ok(database.branch(name)?.last_commit())
    })
}

/// Runs what commits nothing that is observed.
fn run(world: &mut World, sql: &str) -> Result<()> {
    let done = world.database().connect()?.execute_batch(sql);
    world.notice();
    done
}

/// Runs what is refused, on a branch.
fn refused(world: &mut World, branch: &str, sql: &str) -> Result<()> {
    let done = world.database().branch(branch).and_then(|branch| branch.connect()?.execute_batch(sql));
    world.expect(done.is_err(), "it was not refused");
    Ok(())
}

/// How many rows a query has.
fn count(connection: &Connection, sql: &str) -> Result<usize> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query(())?;
    let mut count = 0;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// What both sides took from the stock is taken, once.
fn merge_add(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, stock INTEGER MERGE ADD, note TEXT)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b')", "t", &["1,10,a", "2,20,b"])?;
    fork(world, "draft", "CREATE BRANCH draft")?;
    on(world, "draft", "UPDATE t SET stock = stock - 3 WHERE id = 1")?;
    on(world, "draft", "INSERT INTO t VALUES (3, 7, 'c')")?;
    step(world, "UPDATE t SET stock = stock - 2, note = 'x' WHERE id = 1", "t", &["1,8,x", "2,20,b"])?;
    let told = count(&world.database().connect()?, "MERGE DRY RUN BRANCH draft INTO main")?;
    world.expect(told == 2, "two rows would change");
    world.checkpoint()?;
    step(world, "MERGE BRANCH draft INTO main", "t", &["1,5,x", "2,20,b", "3,7,c"])?;
    on(world, "draft", "UPDATE t SET stock = stock - 1")?;
    world.reopen()?;
    step(world, "MERGE BRANCH draft INTO main", "t", &["1,4,x", "2,19,b", "3,6,c"])?;
    world.checkpoint()?;
    on(world, "draft", "MERGE BRANCH main INTO draft")?;
    run(world, "DROP BRANCH draft")?;
    step(world, "DELETE FROM t WHERE id > 1", "t", &["1,4,x"])
}

/// Conflicts are stored and given up, stored again and settled.
fn merge_aborted(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (k TEXT PRIMARY KEY, v)", "t", &[])?;
    step(world, "INSERT INTO t VALUES ('a', 1), ('b', 1), ('c', 1)", "t", &["a,1", "b,1", "c,1"])?;
    fork(world, "draft", "CREATE BRANCH draft")?;
    on(world, "draft", "UPDATE t SET v = 2 WHERE k <> 'c'")?;
    on(world, "draft", "DELETE FROM t WHERE k = 'c'")?;
    step(world, "UPDATE t SET v = 3 WHERE k = 'b'", "t", &["a,1", "b,3", "c,1"])?;
    refused(world, "main", "MERGE BRANCH draft INTO main")?;
    on(world, "main", "MERGE BRANCH draft INTO main ON CONFLICT STORE")?;
    world.checkpoint()?;
    on(world, "main", "ABORT MERGE")?;
    refused(world, "main", "CONTINUE MERGE")?;
    world.reopen()?;
    on(world, "main", "MERGE BRANCH draft INTO main ON CONFLICT STORE")?;
    on(world, "main", "UPDATE dosql_conflicts SET resolution = 'theirs'")?;
    step(world, "CONTINUE MERGE", "t", &["a,2", "b,2"])?;
    step(world, "INSERT OR REPLACE INTO t VALUES ('a', 5)", "t", &["b,2", "a,5"])
}

/// A table goes back to a tag, and the database to a moment; both are commits like others, and can be undone.
fn restore(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 1), (2, 1)", "t", &["1,1", "2,1"])?;
    on(world, "main", "CREATE TAG opened")?;
    step(world, "CREATE TABLE u (x)", "u", &[])?;
    step(world, "INSERT INTO u VALUES (5)", "u", &["5"])?;
    step(world, "BEGIN; UPDATE t SET v = 2; DELETE FROM t WHERE id = 1; COMMIT", "t", &["2,2"])?;
    world.checkpoint()?;
    on(world, "main", "CREATE TAG later")?;
    step(world, "RESTORE TABLE t TO TAG opened", "t", &["1,1", "2,1"])?;
    world.reopen()?;
    step(world, "DROP TABLE u", "u", &[])?;
    step(world, "RESTORE TABLE t TO TAG later", "t", &["2,2"])?;
    step(world, "RESTORE DATABASE TO TAG later", "u", &["5"])?;
    world.checkpoint()?;
    on(world, "main", "DROP TAG opened")?;
    on(world, "main", "DROP TAG later")?;
    step(world, "INSERT INTO t VALUES (1, 9)", "t", &["1,9", "2,2"])
}

/// A protected branch takes merges alone, and one whose time is over nothing, whatever happens in between.
fn branch_guarded(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 1)", "t", &["1,1"])?;
    fork(world, "kept", "CREATE BRANCH kept WITH (protected)")?;
    fork(world, "brief", "CREATE BRANCH brief WITH (ttl = '10 seconds')")?;
    refused(world, "kept", "INSERT INTO t VALUES (2, 2)")?;
    refused(world, "main", "DROP BRANCH kept")?;
    on(world, "brief", "INSERT INTO t VALUES (3, 3)")?;
    on(world, "kept", "MERGE BRANCH brief INTO kept")?;
    world.reopen()?;
    refused(world, "kept", "INSERT INTO t VALUES (2, 2)")?;
    world.advance(20 * SECOND);
    refused(world, "brief", "SELECT * FROM t")?;
    world.checkpoint()?;
    refused(world, "brief", "SELECT * FROM t")?;
    run(world, "ALTER BRANCH kept SET (protected = 0)")?;
    on(world, "kept", "INSERT INTO t VALUES (2, 2)")?;
    world.checkpoint()?;
    step(world, "MERGE BRANCH kept INTO main", "t", &["1,1", "2,2", "3,3"])?;
    run(world, "DROP BRANCH kept")?;
    step(world, "DELETE FROM t WHERE id = 1", "t", &["2,2", "3,3"])
}
