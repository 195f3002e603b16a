//! Files that do not belong together, and two who open the same ones.

use dosql::{Database, ErrorKind, Options, Result, Storage};
use dosql_wal::{CrashDirectory, Directory};

use super::Tally;
use super::damage::stored;
use crate::protocols::scenario::Scenario;
use crate::protocols::scenarios::puts;
use crate::protocols::world::{World, keys};

static OTHER: Scenario = Scenario::keys("other", |world| world.open());

fn told(result: Result<Vec<String>>) -> Vec<String> {
    result.unwrap_or_else(|error| vec![format!("{error:?}")])
}

/// The log of one database beside the pages of another: nothing of it is shown.
pub(super) fn strange_log(tally: &mut Tally) {
    for commits in 1..4 {
        let judge = || -> Result<Vec<String>> {
            let mut one = World::new(&OTHER);
            one.open()?;
            one.leave();
            let mut other = World::of_another_kind(&OTHER);
            other.open()?;
            for n in 0..commits {
                other.write(&puts(n, n..n + 3, 100))?;
            }
            other.leave();
            let mixed = CrashDirectory::new();
            mixed.put("pages", one.disk().contents("pages").unwrap_or_default());
            for name in other.disk().list()?.iter().filter(|name| name.starts_with("log-")) {
                mixed.put(name, other.disk().contents(name).unwrap_or_default());
            }
            let mut world = one.on(mixed);
            match world.open() {
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                result => result?,
            }
            world.leave();
            Ok(std::mem::take(&mut world.lived.mistakes))
        };
        tally.case(|| format!("a log of {commits} commits"), || told(judge()));
    }
}

/// The page file is missing: its log is not taken for that of a new database.
pub(super) fn orphaned_log(tally: &mut Tally) {
    let judge = || -> Result<Vec<String>> {
        let stored = stored()?;
        let mut files = stored.files.clone();
        files.remove("pages");
        Ok(stored.judge(&files))
    };
    tally.case(|| "without the page file".to_owned(), || told(judge()));
    let young = || -> Result<Vec<String>> {
        let mut world = World::new(&OTHER);
        world.open()?;
        world.write(&puts(1, [1], 10))?;
        let left = CrashDirectory::new();
        for name in world.disk().list()?.iter().filter(|name| *name != "pages") {
            left.put(name, world.disk().contents(name).unwrap_or_default());
        }
        let mut next = world.on(left).another();
        world.leave();
        match next.open() {
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            result => result?,
        }
        next.leave();
        Ok(std::mem::take(&mut next.lived.mistakes))
    };
    tally.case(|| "without the page file, one commit".to_owned(), || told(young()));
}

/// A second opener of a directory is turned away and touches nothing.
pub(super) fn two_openers(tally: &mut Tally) {
    let judge = || -> Result<Vec<String>> {
        let path = std::env::temp_dir().join(format!(
            "dosql-sim-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let first = Database::open(Storage::directory(&path)?, Options::default())?;
        let space = first.keyspace("space")?;
        first.write(|tx| tx.put(&space, "key", "value"))?;
        let mut mistakes = Vec::new();
        match Storage::directory(&path) {
            Ok(_) => mistakes.push("a second opener was let in".to_owned()),
            Err(error) if error.kind() == ErrorKind::Busy => {}
            Err(error) => mistakes.push(format!("a second opener was told {error:?}")),
        }
        first.close()?;
        let again = Database::open(Storage::directory(&path)?, Options::default())?;
        if keys(&again, None)?.len() != 1 {
            mistakes.push("the second opener left its mark".to_owned());
        }
        drop(again);
        let _ = std::fs::remove_dir_all(&path);
        Ok(mistakes)
    };
    tally.case(|| "a directory".to_owned(), || told(judge()));
}
