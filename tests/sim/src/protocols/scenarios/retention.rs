//! What tables say of their own versions: kept longer than the database's, or not at all.

use dosql::{Code, Database, Error, ErrorKind, Result, Timestamp};

use super::tables::{line, rows, step};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

const SECOND: u64 = 1_000_000;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "table-kept", settings: SHORT, live: kept_longer, observe, told: false },
    Scenario { name: "table-unkept", settings: MERGING, live: unkept, observe, told: false },
];

const SHORT: Settings = Settings { retention: 5_000, history_runs: 1, ..Settings::DEFAULT };
const MERGING: Settings = Settings { history_runs: 1, ..Settings::DEFAULT };

/// The rows of `t`; of the past in a transaction of then, so that it is storage that has to refuse what is gone.
fn observe(database: &Database, at: Option<Timestamp>) -> Result<State> {
    let connection = database.connect()?;
    if let Some(at) = at {
        connection.execute_batch(&format!("BEGIN READ ONLY AS OF LSN {}", at.as_micros()))?;
    }
    match rows(&connection, "SELECT * FROM t", None) {
        Ok(found) => Ok(found.into_iter().map(|row| (line("t", &row), Vec::new())).collect()),
        Err(error) if error.message().contains("no such table") => Ok(State::new()),
        Err(error) if error.code() == Code::AsOfUnkept => {
            Err(Error::new(ErrorKind::InvalidInput, Code::AsOfExpired, error.message()))
        }
        Err(error) => Err(error),
    }
}

/// Versions stay for the three seconds that the table asks for, and not longer.
fn kept_longer(world: &mut World) -> Result<()> {
    world.open()?;
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v) WITH SYSTEM VERSIONING RETAIN 3 SECONDS";
    step(world, create, "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 0), (2, 0)", "t", &["1,0", "2,0"])?;
    for n in 1..8 {
        let row = format!("1,{n}");
        step(world, &format!("UPDATE t SET v = {n} WHERE id = 1"), "t", &[&row, "2,0"])?;
        world.advance(SECOND);
        if n % 2 == 0 {
            world.checkpoint()?;
            within(world, 3 * SECOND)?;
        }
    }
    world.reopen()?;
    within(world, 3 * SECOND)?;
    // What is gone stays gone, whatever the clock says later.
    world.checkpoint()?;
    world.step_back(4 * SECOND);
    world.examine()
}

/// Every commit of the last `micros` can be read.
fn within(world: &mut World, micros: u64) -> Result<()> {
    let database = world.database();
    let since = Timestamp::from_micros(database.now().as_micros() - micros);
    for place in 1..world.lived.commits.len() {
        let commit = world.lived.commits[place].clone();
        let Some(at) = commit.at.filter(|at| *at >= since) else { continue };
        let kept = match observe(&database, Some(at)) {
            Ok(found) => found == *commit.state,
            Err(error) if error.code() == Code::AsOfExpired => false,
            Err(error) => return Err(error),
        };
        world.expect(kept, "a version that the table keeps is gone");
    }
    world.examine()
}

/// While a table keeps no versions none are there, and those of other times are not mixed up with them.
fn unkept(world: &mut World) -> Result<()> {
    world.may_refuse();
    world.open()?;
    // So that the schema of then is there, whatever becomes of the rows.
    step(world, "CREATE TABLE u (x) WITH SYSTEM VERSIONING RETAIN 1 HOUR", "u", &[])?;
    let create = "CREATE TABLE t (id INTEGER PRIMARY KEY, v) WITHOUT SYSTEM VERSIONING";
    step(world, create, "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 0), (2, 0)", "t", &["1,0", "2,0"])?;
    let before = world.database().stats().history_memory;
    step(world, "UPDATE t SET v = 1 WHERE id = 1", "t", &["1,1", "2,0"])?;
    let memory = world.database().stats().history_memory;
    world.expect(memory == before, "a table without versioning leaves versions");
    world.checkpoint()?;
    step(world, "UPDATE t SET v = 2 WHERE id = 1", "t", &["1,2", "2,0"])?;
    step(world, "ALTER TABLE t SET SYSTEM VERSIONING RETAIN 1 HOUR", "t", &["1,2", "2,0"])?;
    step(world, "UPDATE t SET v = 3", "t", &["1,3", "2,3"])?;
    world.examine()?;
    world.checkpoint()?;
    step(world, "DELETE FROM t WHERE id = 2", "t", &["1,3"])?;
    world.examine()?;
    step(world, "ALTER TABLE t SET WITHOUT SYSTEM VERSIONING", "t", &["1,3"])?;
    step(world, "UPDATE t SET v = 4", "t", &["1,4"])?;
    world.checkpoint()?;
    step(world, "ALTER TABLE t SET SYSTEM VERSIONING RETAIN 1 HOUR", "t", &["1,4"])?;
    step(world, "UPDATE t SET v = 5", "t", &["1,5"])?;
    world.examine()
}
