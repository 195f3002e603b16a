//! ERASE: rows that go for good, with every version, while the others keep theirs.

use dosql::{Database, Result, Timestamp};
use dosql_wal::Directory;

use super::tables::{line, rows, step};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

pub(super) const SCENARIOS: &[Scenario] =
    &[Scenario { name: "erase", settings: Settings::DEFAULT, live: erase, observe }];

/// What stands in rows that are erased, and nowhere else.
const SECRET: &[u8] = b"ZORRO";

/// The rows of `t` but the one that is erased: of that nobody can say as of when it was there.
fn observe(database: &Database, at: Option<Timestamp>) -> Result<State> {
    let connection = database.connect()?;
    let sql = match at {
        None => "SELECT * FROM t WHERE id <> 7",
        Some(_) => "SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ?1 WHERE id <> 7",
    };
    match rows(&connection, sql, at) {
        Ok(found) => Ok(found.into_iter().map(|row| (line("t", &row), Vec::new())).collect()),
        Err(error) if error.message().contains("no such table") => Ok(State::new()),
        Err(error) => Err(error),
    }
}

fn erase(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 'a'), (7, 'ZORRO 1')", "t", &["1,a"])?;
    world.checkpoint()?;
    step(world, "UPDATE t SET v = v || 2", "t", &["1,a2"])?;
    world.checkpoint()?;
    step(world, "UPDATE t SET v = CASE id WHEN 7 THEN 'b' ELSE 'c' END", "t", &["1,c"])?;
    // Deleted before, so that what is watched is what becomes of the versions.
    step(world, "DELETE FROM t WHERE id = 7", "t", &["1,c"])?;
    world.database().connect()?.execute("ERASE FROM t WHERE v LIKE 'ZORRO%'", ())?;
    world.lived.all_durable();
    let connection = world.database().connect()?;
    let kept = rows(&connection, "SELECT count(*) FROM dosql_kept('t') WHERE id = 7", None)?;
    world.expect(kept == ["0"], "a version of an erased row is left");
    drop(connection);
    for name in world.disk().list()? {
        let bytes = world.disk().contents(&name).unwrap_or_default();
        let left = bytes.windows(SECRET.len()).any(|part| part == SECRET);
        world.expect(!left, "the bytes of an erased row are left in a file");
    }
    world.examine()?;
    step(world, "INSERT INTO t VALUES (8, 'd')", "t", &["1,c", "8,d"])?;
    world.reopen()?;
    world.examine()
}
