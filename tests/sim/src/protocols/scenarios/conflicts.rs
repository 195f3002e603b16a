//! Optimistic transactions, interleaved: those that must not both commit do not.

use dosql::{Begin, Durability, ErrorKind, Isolation, Result, Transaction};

use super::{key, puts, value};
use crate::protocols::scenario::{Scenario, Settings};
use crate::protocols::world::{SPACE, World};

const NARROW: Settings = Settings { conflict_window_bytes: 600, ..Settings::DEFAULT };

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::keys("write-conflict", write_conflict),
    Scenario::keys("read-conflict", read_conflict),
    Scenario::keys("phantom", phantom),
    Scenario::keys("old-snapshot", old_snapshot).with(NARROW),
];

/// Begins two transactions, lets `first` work in one and `second` in the other, and commits them in that order: the second must be
/// refused.
fn collide(
    world: &mut World,
    isolation: Isolation,
    first: impl Fn(&mut Transaction) -> Result<()>,
    second: impl Fn(&mut Transaction) -> Result<()>,
    state: super::super::lived::State,
) -> Result<()> {
    let database = world.database();
    let mut late = database.begin(Begin::Concurrent(isolation))?;
    second(&mut late)?;
    world.commit(Durability::Sync, state, |database| {
        let mut tx = database.begin(Begin::Concurrent(isolation))?;
        first(&mut tx)?;
        tx.commit()
    })?;
    match late.commit() {
        Ok(_) => {
            world.lived.mistake("two transactions that exclude each other have both committed".to_owned());
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
        Err(error) => Err(error),
    }
}

fn write_conflict(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..3, 40))?;
    let space = world.database().keyspace(SPACE)?;
    for n in 2..5 {
        let state = world.edited(&puts(n, [0], 40));
        let first = |tx: &mut Transaction| tx.put(&space, key(0), value(n, 40));
        let second = |tx: &mut Transaction| tx.put(&space, key(0), value(n + 50, 40));
        collide(world, Isolation::Snapshot, first, second, state)?;
    }
    Ok(())
}

fn read_conflict(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..3, 40))?;
    let space = world.database().keyspace(SPACE)?;
    for n in 2..5 {
        let state = world.edited(&puts(n, [0], 40));
        let first =
            |tx: &mut Transaction| tx.get(&space, key(1)).and_then(|_| tx.put(&space, key(0), value(n, 40)));
        let second =
            |tx: &mut Transaction| tx.get(&space, key(0)).and_then(|_| tx.put(&space, key(1), value(n, 40)));
        collide(world, Isolation::Serializable, first, second, state)?;
    }
    Ok(())
}

fn phantom(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..3, 40))?;
    let space = world.database().keyspace(SPACE)?;
    for n in 2..5 {
        let state = world.edited(&puts(n, [100 + n], 40));
        let first = |tx: &mut Transaction| tx.put(&space, key(100 + n), value(n, 40));
        let second = |tx: &mut Transaction| {
            let seen = tx.range(&space, key(100)..key(200))?.count();
            tx.put(&space, key(1), value(seen as u32, 40))
        };
        collide(world, Isolation::Serializable, first, second, state)?;
    }
    Ok(())
}

/// The commits that a transaction must be checked against have been forgotten: it is refused, whatever it did.
fn old_snapshot(world: &mut World) -> Result<()> {
    world.open()?;
    world.write(&puts(1, 0..3, 40))?;
    let database = world.database();
    let space = database.keyspace(SPACE)?;
    let mut old = database.begin_concurrent()?;
    old.get(&space, key(0))?;
    old.put(&space, key(9), value(9, 40))?;
    world.write(&puts(2, [0], 40))?;
    for n in 3..6 {
        world.write(&puts(n, [n], 500))?;
    }
    match old.commit() {
        Ok(_) => world.lived.mistake("a transaction too old to be checked has committed".to_owned()),
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
