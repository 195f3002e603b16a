//! ERASE: rows that go for good, with every version, while the others keep theirs.

use dosql::{Database, NewBranch, Result, Timestamp};
use dosql_wal::Directory;

use super::tables::{line, rows, step};
use crate::protocols::lived::State;
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::World;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "erase", settings: Settings::DEFAULT, live: erase, observe, told: false },
    Scenario {
        name: "erase-branch",
        settings: Settings::DEFAULT,
        live: erase_on_branches,
        observe,
        told: false,
    },
];

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
    nothing_is_left(world)?;
    world.examine()?;
    step(world, "INSERT INTO t VALUES (8, 'd')", "t", &["1,c", "8,d"])?;
    world.reopen()?;
    world.examine()
}

fn nothing_is_left(world: &mut World) -> Result<()> {
    for name in world.disk().list()? {
        let bytes = world.disk().contents(&name).unwrap_or_default();
        let left = bytes.windows(SECRET.len()).any(|part| part == SECRET);
        world.expect(!left, "the bytes of an erased row are left in a file");
    }
    Ok(())
}

/// A branch alone makes a row match: there it goes, with what lies beneath it.
fn erase_on_branches(world: &mut World) -> Result<()> {
    world.open()?;
    step(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)", "t", &[])?;
    step(world, "INSERT INTO t VALUES (1, 'a'), (5, 'e'), (7, 'ZORRO 1')", "t", &["1,a", "5,e"])?;
    let side = world.database().create_branch("side", &NewBranch::default())?.connect()?;
    side.execute_batch("UPDATE t SET v = 'ZORRO 5' WHERE id = 5; UPDATE t SET v = 'f' WHERE id = 5")?;
    drop(side);
    world.checkpoint()?;
    step(world, "DELETE FROM t WHERE id = 7", "t", &["1,a", "5,e"])?;
    world.database().connect()?.execute("ERASE FROM t WHERE v LIKE 'ZORRO%'", ())?;
    world.lived.all_durable();
    nothing_is_left(world)?;
    world.examine()?;
    world.reopen()?;
    let side = world.database().branch("side")?;
    let connection = side.connect()?;
    for at in [None, Some(side.last_commit())] {
        let sql = match at {
            None => "SELECT id FROM t ORDER BY v",
            Some(_) => "SELECT id FROM t FOR SYSTEM_TIME AS OF LSN ?1 ORDER BY id",
        };
        let found = rows(&connection, sql, at)?;
        world.expect(found == ["1"], "what lies beneath an erased row shows in its place");
    }
    world.examine()
}
