//! The machine stops at every call that the log makes; whatever a crash can leave, every acknowledged commit is there,
//! in order, and nothing that was never appended.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Commit, Owned, append, open_from};
use dosql_base::{ErrorKind, Result};
use dosql_wal::{
    Calls, CrashDirectory, DiskFault, FileLogStore, Log, LogOptions, LogPosition, MIN_SEGMENT_BYTES,
    Surviving,
};

/// What the engine around the log would know: its durable checkpoint, what it appended after that and what it acknowledged.
#[derive(Clone)]
struct World {
    from: LogPosition,
    chain: u32,
    appended: Vec<Commit>,
    acknowledged: usize,
    clock: u64,
}

impl World {
    fn new() -> World {
        World { from: LogPosition::ZERO, chain: 0, appended: Vec::new(), acknowledged: 0, clock: 1 }
    }

    fn next_commit(&mut self) -> Commit {
        self.clock += 1;
        let changes = (0..self.clock % 3 + 1)
            .map(|i| {
                let key = format!("{:05}/{i}", self.clock % 7).into_bytes();
                let len = [3, 40, 700, 2_500][(self.clock % 4) as usize];
                Owned::Put(key, vec![(self.clock + i) as u8; len])
            })
            .collect();
        Commit { timestamp: self.clock, branch: 0, changes }
    }

    /// Opens the log and checks it against what must and may be there; goes on from what was found.
    fn recover(&mut self, directory: &CrashDirectory) -> Result<Log> {
        let store = Arc::new(FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES)?);
        let (log, found) = open_from(store, self.from, self.chain)?;
        assert!(found.len() >= self.acknowledged, "{} of {} acknowledged", found.len(), self.acknowledged);
        assert!(self.appended.starts_with(&found), "only what was appended, in order");
        self.acknowledged = found.len();
        self.appended = found;
        Ok(log)
    }

    /// Commits, alone and in groups, with checkpoints between, until the machine stops.
    fn run(&mut self, log: &Log, steps: u64) -> Result<()> {
        for step in 0..steps {
            for _ in 0..[1, 3, 2][(step % 3) as usize] {
                let commit = self.next_commit();
                self.appended.push(commit.clone());
                append(log, &commit)?;
            }
            match step % 5 {
                0 => log.flush()?,
                4 => self.checkpoint(log)?,
                _ => {
                    log.sync(log.end().0)?;
                    self.acknowledged = self.appended.len();
                }
            }
        }
        log.seal()
    }

    fn checkpoint(&mut self, log: &Log) -> Result<()> {
        let (end, chain) = log.end();
        log.sync(end)?;
        (self.from, self.chain) = (end, chain);
        (self.appended, self.acknowledged) = (Vec::new(), 0);
        log.trim(end)
    }
}

/// Ways in which a crash may turn out, different from call to call.
fn outcomes(seed: u64, count: u64) -> impl Iterator<Item = Surviving> {
    let some = (0..count).map(move |i| Surviving::Some(seed * 31 + i));
    [Surviving::Nothing, Surviving::Everything].into_iter().chain(some)
}

const STEPS: u64 = 17;

fn operations_of(steps: u64) -> u64 {
    let directory = CrashDirectory::new();
    let mut world = World::new();
    let log = world.recover(&directory).unwrap();
    world.run(&log, steps).unwrap();
    directory.operations()
}

/// Runs until the machine stops at `crash`; returns the directory and what the engine knew.
fn run_until(crash: u64, lying: bool) -> (CrashDirectory, World) {
    let directory = CrashDirectory::new();
    directory.crash_at(crash);
    if lying {
        directory.ignore_syncs();
    }
    let mut world = World::new();
    let outcome = world.recover(&directory).and_then(|log| world.run(&log, STEPS));
    assert!(outcome.is_err(), "the machine stops at {crash}");
    (directory, world)
}

#[test]
fn a_crash_at_any_call_loses_nothing_acknowledged() {
    let total = operations_of(STEPS);
    assert!(total > 50, "{total} calls");
    for crash in 0..total {
        let (directory, world) = run_until(crash, false);
        for surviving in outcomes(crash, 4) {
            let left = directory.survivor(surviving);
            let mut after = world.clone();
            let log = after.recover(&left).unwrap_or_else(|error| panic!("{crash} {surviving:?}: {error}"));
            // Life goes on from there: through a checkpoint and another restart.
            after.run(&log, 5).unwrap();
            drop(log);
            after.recover(&left).unwrap();
        }
    }
}

#[test]
fn a_crash_while_recovering_from_a_crash_loses_nothing_either() {
    let total = operations_of(STEPS);
    for crash in (0..total).step_by(7) {
        let (directory, world) = run_until(crash, false);
        for surviving in outcomes(crash, 1) {
            for again in (crash % 2..14).step_by(2) {
                let left = directory.survivor(surviving);
                left.crash_at(again);
                let mut after = world.clone();
                let stopped = after.recover(&left).and_then(|log| after.run(&log, 6));
                if stopped.is_ok() {
                    break;
                }
                for surviving in outcomes(crash + again, 2) {
                    let mut last = after.clone();
                    let left = left.survivor(surviving);
                    let log = last.recover(&left).unwrap_or_else(|error| panic!("{crash} {again}: {error}"));
                    last.run(&log, 3).unwrap();
                }
            }
        }
    }
}

#[test]
fn a_disk_that_ignores_syncs_is_noticed_by_these_tests() {
    let lost = (0..operations_of(STEPS)).filter(|&crash| {
        let (directory, mut world) = run_until(crash, true);
        let acknowledged = world.acknowledged;
        let left = directory.survivor(Surviving::Nothing);
        let store = FileLogStore::open_in(Arc::new(left), MIN_SEGMENT_BYTES).map(Arc::new);
        let found = store.and_then(|store| open_from(store, world.from, world.chain));
        world.appended.clear();
        found.map_or(true, |(_, found)| found.len() < acknowledged)
    });
    assert!(lost.count() > 10);
}

#[test]
fn commits_that_no_record_calls_durable_are_unproven_unless_the_device_holds_them() {
    let open = |directory: &CrashDirectory| {
        let store =
            FileLogStore::open_in(Arc::new(directory.clone()), MIN_SEGMENT_BYTES).map(Arc::new).unwrap();
        let world = World::new();
        Log::open(store, world.from, world.chain, LogOptions::default(), |_| Ok(())).unwrap().1
    };
    for lost in [false, true] {
        let directory = CrashDirectory::new();
        let mut world = World::new();
        let log = world.recover(&directory).unwrap();
        world.run(&log, 3).unwrap();
        append(&log, &world.next_commit()).unwrap();
        if lost {
            directory.inject(Calls::Syncs, 0, false, DiskFault::Lost);
        }
        assert_eq!(log.sync(log.end().0).is_err(), lost);
        let found = open(&directory.killed());
        assert!(found.commits >= 4, "what was given up is still shown");
        assert_eq!(found.unproven, lost);
        if !lost {
            log.seal().unwrap();
            assert!(!open(&directory.killed()).unproven);
        }
    }
}

#[test]
fn a_call_that_fails_once_costs_no_acknowledged_commit_and_a_full_device_no_reopening() {
    let total = operations_of(STEPS);
    let mut went_on = 0;
    for nth in (0..total).step_by(2) {
        for (kind, fault) in [(ErrorKind::NoSpace, DiskFault::Full), (ErrorKind::Io, DiskFault::Io)] {
            let directory = CrashDirectory::new();
            directory.inject(Calls::Changes, nth, false, fault);
            let mut world = World::new();
            let log = world.recover(&directory).unwrap();
            if let Err(error) = world.run(&log, STEPS) {
                assert!([kind, ErrorKind::Closed].contains(&error.kind()), "call {nth}: {error}");
                // Refused before anything was taken, or closed for good: never in between.
                let refused = world.appended.len();
                let commit = world.next_commit();
                match append(&log, &commit) {
                    Ok(appended) => {
                        log.sync(appended.end).unwrap();
                        went_on += 1;
                        let mut found = Vec::new();
                        let visit = |record: &dosql_wal::Record<'_>| {
                            found.push(Commit::of(record)?);
                            Ok(std::ops::ControlFlow::Continue(()))
                        };
                        log.read(world.from, world.chain, visit).unwrap();
                        assert!(found.len() >= world.acknowledged && found.last() == Some(&commit));
                        assert!(found.len() <= refused + 1);
                        world.acknowledged = found.len();
                        world.appended = found;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "call {nth}"),
                }
            }
            drop(log);
            for surviving in outcomes(nth, 2) {
                world.clone().recover(&directory.survivor(surviving)).unwrap();
            }
        }
    }
    assert!(went_on > 5, "{went_on}");
}
