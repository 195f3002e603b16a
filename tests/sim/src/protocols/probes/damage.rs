//! A stored database of which something is damaged: the right rows or an error that says so, never other rows. The full sweep, byte by
//! byte and beside other engines, is a command of its own; this one is quick enough to run once a mutant.

use std::collections::BTreeMap;
use std::ops::Range;

use dosql::{Code, Error, ErrorKind, Result};
use dosql_wal::{CrashDirectory, Directory};

use super::Tally;
use crate::protocols::scenario::Scenario;
use crate::protocols::scenarios::{deletes, puts};
use crate::protocols::world::World;

const PAGE: usize = 4096;

static DAMAGED: Scenario = Scenario::keys("damaged", live);

/// The files of a database, and what belongs into it.
pub(super) struct Stored {
    pub(super) world: World,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// The page file as of an earlier checkpoint.
    older_pages: Vec<u8>,
    /// The file and the bytes of the log's last record: the mark that says that all before it was durable.
    mark: (String, Range<usize>),
}

fn live(world: &mut World) -> Result<()> {
    world.write(&puts(3, 10..25, 300))?;
    world.write(&puts(4, 20..60, 60))?;
    world.checkpoint()?;
    world.write(&puts(5, 5..12, 200))?;
    world.write(&deletes([1, 30]))?;
    world.write(&puts(6, [2], 900))
}

/// A database with several checkpoints and commits after the last, left without being closed.
pub(super) fn stored() -> Result<Stored> {
    let mut world = World::new(&DAMAGED);
    world.open()?;
    world.write(&puts(1, 0..40, 300))?;
    world.checkpoint()?;
    world.write(&puts(2, 0..15, 300))?;
    world.checkpoint()?;
    let older_pages = world.disk().contents("pages").unwrap_or_default();
    // Until the places of pages that were freed hold others.
    for n in 7..11 {
        world.write(&puts(n, n..n + 25, 300))?;
        world.checkpoint()?;
    }
    live(&mut world)?;
    let before = contents(&world)?;
    world.leave();
    let files = contents(&world)?;
    let mark =
        before.iter().find_map(|(name, before)| Some((name.clone(), changed(before, files.get(name)?)?)));
    Ok(Stored { files, world, older_pages, mark: mark.unwrap_or_default() })
}

fn contents(world: &World) -> Result<BTreeMap<String, Vec<u8>>> {
    let names = world.disk().list()?;
    Ok(names.into_iter().filter_map(|name| Some((name.clone(), world.disk().contents(&name)?))).collect())
}

/// From the first byte in which they differ to the last.
fn changed(before: &[u8], after: &[u8]) -> Option<Range<usize>> {
    let differ = |&at: &usize| before.get(at) != after.get(at);
    let first = (0..after.len()).find(differ)?;
    Some(first..(first..after.len()).rfind(differ)? + 1)
}

impl Stored {
    /// What is wrong with how the engine takes these files.
    pub(super) fn judge(&self, files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let disk = CrashDirectory::new();
        files.iter().for_each(|(name, bytes)| disk.put(name, bytes.clone()));
        let mut world = self.world.on(disk);
        world.lived.all_durable();
        let result = world.open().and_then(|()| read_all(&mut world));
        world.leave();
        if let Err(error) = result
            && !says_damage(&error)
        {
            world.lived.mistake(format!("damage is called {error:?}"));
        }
        std::mem::take(&mut world.lived.mistakes)
    }

    fn judge_changed(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<String> {
        let mut files = self.files.clone();
        if let Some(bytes) = files.get_mut(name) {
            change(bytes);
        }
        self.judge(&files)
    }
}

/// Reads every version. Damage that shows only now is fine; other rows are not.
fn read_all(world: &mut World) -> Result<()> {
    let database = world.database();
    for place in 1..world.lived.commits.len() {
        let commit = world.lived.commits[place].clone();
        let Some(at) = commit.at else { continue };
        match (world.scenario.observe)(&database, Some(at)) {
            Ok(found) => world.expect(found == *commit.state, "a read of the past gave wrong rows"),
            Err(error) if says_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn says_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) || error.code() == Code::NotADb
}

/// The stored database, or a note that it could not be made.
fn prepare(tally: &mut Tally) -> Option<Stored> {
    match stored() {
        Ok(stored) => Some(stored),
        Err(error) => {
            tally.case(|| "before any damage".to_owned(), || vec![format!("{error:?}")]);
            None
        }
    }
}

/// Pages with a flipped byte, pages in each other's place, and pages as they were a checkpoint ago.
pub(super) fn pages(tally: &mut Tally) {
    let Some(stored) = prepare(tally) else { return };
    let Some(pages) = stored.files.get("pages") else { return };
    let used = pages.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for at in (2 * PAGE..used).step_by(53) {
        let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (at % 8);
        if !tally.case(|| format!("byte {at} of the pages"), || stored.judge_changed("pages", flip)) {
            return;
        }
    }
    let count = used.div_ceil(PAGE);
    for page in 2..count {
        let old = stored
            .older_pages
            .get(page * PAGE..(page + 1) * PAGE)
            .filter(|old| old.iter().any(|&byte| byte != 0));
        let Some(old) = old else { continue };
        let revert = |bytes: &mut Vec<u8>| bytes[page * PAGE..(page + 1) * PAGE].copy_from_slice(old);
        if !tally.case(|| format!("an older page at {page}"), || stored.judge_changed("pages", revert)) {
            return;
        }
    }
    for page in 2..count {
        for other in page + 1..count {
            let swap = |bytes: &mut Vec<u8>| {
                let (low, high) = bytes.split_at_mut(other * PAGE);
                low[page * PAGE..(page + 1) * PAGE].swap_with_slice(&mut high[..PAGE]);
            };
            let place = || format!("pages {page} and {other} in each other's place");
            if !tally.case(place, || stored.judge_changed("pages", swap)) {
                return;
            }
        }
    }
}

/// Every byte of the meta slots, one at a time.
pub(super) fn meta(tally: &mut Tally) {
    let Some(stored) = prepare(tally) else { return };
    for at in (0..240).flat_map(|at| [at, PAGE + at]) {
        for mask in [0x01, 0x80, 0xFF] {
            let flip = |bytes: &mut Vec<u8>| bytes[at] ^= mask;
            if !tally
                .case(|| format!("byte {at} of the slots ^ {mask}"), || stored.judge_changed("pages", flip))
            {
                return;
            }
        }
    }
}

/// Bytes of the log's files, one at a time, and every sector of them zeroed.
pub(super) fn log(tally: &mut Tally) {
    const SECTOR: usize = 512;
    let Some(stored) = prepare(tally) else { return };
    for (name, bytes) in stored.files.iter().filter(|(name, _)| name.starts_with("log-")) {
        let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        for at in (0..64.min(used)).chain((PAGE..used).step_by(3)) {
            let flip = |bytes: &mut Vec<u8>| bytes[at] ^= 1 << (at % 8);
            if !tally.case(|| format!("byte {at} of {name}"), || stored.judge_changed(name, flip)) {
                return;
            }
        }
        for start in (0..used).step_by(SECTOR) {
            // Nothing tells the loss of the mark, with what is before it in the sector, from a torn tail.
            let (marked, mark) = &stored.mark;
            if name == marked && start < mark.end && mark.start < start + SECTOR {
                continue;
            }
            let zero = |bytes: &mut Vec<u8>| {
                let end = (start + SECTOR).min(bytes.len());
                bytes[start..end].fill(0);
            };
            if !tally.case(|| format!("zeros at {start} of {name}"), || stored.judge_changed(name, zero)) {
                return;
            }
        }
    }
}
