//! Plans from seeds. Swarm testing: each seed enables a random subset of the kinds of operations and of faults, so that what one
//! kind would drown gets its day (Groce et al., "Swarm Testing", 2012).

use dosql::{DAY, Durability, Isolation};
use dosql_wal::{Calls, DiskFault, Surviving};
use fastrand::Rng;

use super::{Ask, Begin, End, Kind, Mode, Operation, Plan, Settings, Shape};

const CLIENTS: usize = 3;

const ASKS: [Kind; 21] = [
    Kind::Put,
    Kind::Delete,
    Kind::Get,
    Kind::Range,
    Kind::Insert,
    Kind::Update,
    Kind::Move,
    Kind::Remove,
    Kind::Select,
    Kind::Count,
    Kind::SelectView,
    Kind::CreateTable,
    Kind::DropTable,
    Kind::RenameTable,
    Kind::AddColumn,
    Kind::DropColumn,
    Kind::RenameColumn,
    Kind::CreateIndex,
    Kind::DropIndex,
    Kind::CreateView,
    Kind::DropView,
];

/// How often each kind of ask is drawn where it is enabled.
fn weight(kind: Kind) -> u32 {
    match kind {
        Kind::Put | Kind::Insert => 40,
        Kind::Update => 20,
        Kind::Delete | Kind::Get | Kind::Range | Kind::Remove | Kind::Select => 12,
        Kind::Count | Kind::Move | Kind::CreateTable => 6,
        Kind::CreateIndex | Kind::SelectView => 4,
        _ => 2,
    }
}

/// What a plan may do, beside asking.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feature {
    Transactions,
    Concurrent,
    Savepoints,
    Snapshots,
    Past,
    Tags,
    Feeds,
    DeleteHistory,
    Restore,
    Branches,
    Checkpoints,
    Reopen,
    Crash,
    CrashInRecovery,
    Kill,
    Zombie,
    Clock,
    Faults,
    FullDisk,
    Garbage,
    ShortHistory,
    LazyDurability,
}

const FEATURES: [Feature; 22] = [
    Feature::Transactions,
    Feature::Concurrent,
    Feature::Savepoints,
    Feature::Snapshots,
    Feature::Past,
    Feature::Tags,
    Feature::Feeds,
    Feature::DeleteHistory,
    Feature::Restore,
    Feature::Branches,
    Feature::Checkpoints,
    Feature::Reopen,
    Feature::Crash,
    Feature::CrashInRecovery,
    Feature::Kill,
    Feature::Zombie,
    Feature::Clock,
    Feature::Faults,
    Feature::FullDisk,
    Feature::Garbage,
    Feature::ShortHistory,
    Feature::LazyDurability,
];

impl Plan {
    /// The plan of a seed, of about so many operations.
    #[must_use]
    pub fn of(seed: u64, steps: usize) -> Plan {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5157);
        let shape = Shape {
            page_size: [4096, 4096, 4096, 8192][rng.usize(..4)],
            keys: [6, 20, 60, 250][rng.usize(..4)],
            large: [4, 40, 400][rng.usize(..3)],
            spaces: rng.u32(1..4),
            tables: rng.u32(1..5),
            clock: 1_700_000_000_000_000 + rng.u64(..1 << 40),
        };
        let mut features: Vec<Feature> = FEATURES.into_iter().filter(|_| rng.u8(..5) < 3).collect();
        // A life without an end proves little.
        if !features.iter().any(|feature| matches!(feature, Feature::Crash | Feature::Kill | Feature::Reopen))
        {
            features.push(Feature::Crash);
        }
        let mut asks: Vec<Kind> = ASKS.into_iter().filter(|_| rng.u8(..5) < 3).collect();
        asks.push([Kind::Put, Kind::Insert][rng.usize(..2)]);
        if asks.contains(&Kind::Insert) {
            asks.extend([Kind::CreateTable, Kind::Select]);
        }
        let mut maker = Maker { rng, features, asks };
        let first = maker.settings();
        let mut operations = Vec::with_capacity(steps);
        while operations.len() < steps {
            operations.push(maker.operation());
        }
        Plan { seed, shape, first, operations }
    }
}

struct Maker {
    rng: Rng,
    features: Vec<Feature>,
    asks: Vec<Kind>,
}

impl Maker {
    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.rng.usize(..choices.len())]
    }

    fn settings(&mut self) -> Settings {
        let retention =
            if self.has(Feature::ShortHistory) { self.one_of(&[0, 2_000, 60_000_000]) } else { 7 * DAY };
        let durability = if self.has(Feature::LazyDurability) {
            self.one_of(&[Durability::Sync, Durability::None, Durability::Interval(1_000)])
        } else {
            Durability::Sync
        };
        Settings {
            cache_bytes: self.one_of(&[16 << 10, 64 << 10, 1 << 20]),
            dirty_bytes: self.one_of(&[24 << 10, 96 << 10, 1 << 20]),
            pinned_bytes: self.one_of(&[0, 32 << 10, 1 << 20]),
            log_limit: self.one_of(&[8 << 10, 48 << 10, 1 << 20]),
            log_segment: self.one_of(&[0, 16 << 10, 64 << 10]),
            retention,
            history_runs: self.one_of(&[1, 2, 3, 8]),
            window_bytes: self.one_of(&[2 << 10, 1 << 20]),
            durability,
        }
    }

    fn ask(&mut self) -> Ask {
        let total: u32 = self.asks.iter().map(|&kind| weight(kind)).sum();
        let mut at = self.rng.u32(..total);
        let mut kind = self.asks[0];
        for &candidate in &self.asks {
            kind = candidate;
            match at.checked_sub(weight(candidate)) {
                Some(rest) => at = rest,
                None => break,
            }
        }
        Ask { kind, seed: self.rng.u64(..) }
    }

    fn surviving(&mut self) -> Surviving {
        let seed = self.rng.u64(..);
        match self.rng.u8(..10) {
            0 => Surviving::Nothing,
            1 => Surviving::Everything,
            2 => Surviving::Last,
            3 => Surviving::AllButFirst,
            4..=5 => Surviving::Prefix(seed),
            6 if self.has(Feature::Garbage) => Surviving::Torn(seed),
            7 if self.has(Feature::Garbage) => Surviving::Garbage(seed),
            _ => Surviving::Some(seed),
        }
    }

    fn end(&mut self) -> End {
        let crash = self.has(Feature::Crash) || !self.has(Feature::Kill);
        let crash = crash && !(self.has(Feature::Kill) && self.rng.bool());
        let surviving = crash.then(|| self.surviving());
        let depth = if self.has(Feature::CrashInRecovery) { self.rng.usize(..3) } else { 0 };
        let again = (0..depth).map(|_| (self.rng.u64(..12), self.surviving())).collect();
        let zombie = self.has(Feature::Zombie) && self.rng.bool();
        End { surviving, again, zombie, settings: self.settings() }
    }

    fn clock(&mut self) -> Operation {
        let micros = match self.rng.u8(..8) {
            0 => self.rng.i64(-3_600_000_000..0),
            1 => self.rng.i64(0..3_600_000_000),
            2 => self.rng.i64(0..DAY as i64 * 3),
            _ => self.rng.i64(0..3_000),
        };
        Operation::Clock { micros }
    }

    fn fault(&mut self) -> Operation {
        let seed = self.rng.u64(..);
        let fault = self.one_of(&[
            DiskFault::Io,
            DiskFault::Half(seed),
            DiskFault::Full,
            DiskFault::Short,
            DiskFault::Lost,
        ]);
        let calls = match fault {
            DiskFault::Lost => Calls::Syncs,
            DiskFault::Full => self.one_of(&[Calls::Writes, Calls::Names]),
            _ => self.one_of(&[
                Calls::Reads,
                Calls::Writes,
                Calls::Syncs,
                Calls::Names,
                Calls::Changes,
                Calls::All,
            ]),
        };
        let sticky = self.rng.u8(..3) == 0;
        Operation::Fault { calls, after: self.rng.u64(..12), sticky, fault, end: self.end() }
    }

    fn transaction(&mut self) -> Operation {
        let client = self.rng.usize(..CLIENTS);
        let isolation = self.one_of(&[Isolation::Serializable, Isolation::Snapshot]);
        let concurrent = self.has(Feature::Concurrent);
        let mode = match self.rng.u8(..4) {
            0 | 1 if concurrent => Mode::Concurrent(isolation),
            2 => Mode::Deferred,
            _ => Mode::Write,
        };
        match self.rng.u8(..12) {
            0..=2 => Operation::Begin { client, begin: self.one_of(&[Begin::Kv(mode), Begin::Sql(mode)]) },
            3..=6 => Operation::Commit { client },
            7 => Operation::Rollback { client },
            8 | 9 if self.has(Feature::Savepoints) => Operation::Savepoint { client },
            10 if self.has(Feature::Savepoints) => {
                Operation::RollbackTo { client, which: self.rng.usize(..4) }
            }
            11 if self.has(Feature::Savepoints) => Operation::Release { client, which: self.rng.usize(..4) },
            _ => Operation::Ask { client, ask: self.ask() },
        }
    }

    fn operation(&mut self) -> Operation {
        let client = self.rng.usize(..CLIENTS);
        match self.rng.u8(..100) {
            0..=24 if self.has(Feature::Transactions) => self.transaction(),
            25..=27 if self.has(Feature::Snapshots) => Operation::Snapshot,
            28..=31 if self.has(Feature::Snapshots) => {
                Operation::ReadSnapshot { which: self.rng.usize(..), give_up: self.rng.bool() }
            }
            32..=36 if self.has(Feature::Past) => {
                let which = self.rng.usize(..);
                Operation::ReadPast { which, off_by: self.rng.i64(-1..2), ask: self.ask() }
            }
            37..=38 if self.has(Feature::Checkpoints) => Operation::Checkpoint,
            39 if self.has(Feature::Checkpoints) => match self.rng.u8(..3) {
                0 => Operation::Compact,
                _ => Operation::Maintain { budget: self.rng.usize(..64 << 10) },
            },
            40 => Operation::Verify,
            41 if self.has(Feature::Reopen) => {
                Operation::Reopen { close: self.rng.bool(), settings: self.settings() }
            }
            42 if self.has(Feature::Crash) || self.has(Feature::Kill) => Operation::End(self.end()),
            43 if self.has(Feature::Crash) || self.has(Feature::Kill) => {
                Operation::EndSoon { after: self.rng.u64(..16), end: self.end() }
            }
            44..=45 if self.has(Feature::Zombie) => Operation::ZombieAsk { ask: self.ask() },
            46..=52 if self.has(Feature::Clock) => self.clock(),
            53 if self.has(Feature::Faults) => self.fault(),
            54 if self.has(Feature::FullDisk) => {
                Operation::FillDisk { left: self.rng.u64(..128 << 10), end: self.end() }
            }
            55 => Operation::Heal,
            56..=58 if self.has(Feature::Tags) => Operation::Tag { number: self.rng.u32(..6) },
            59 if self.has(Feature::Tags) => Operation::DropTag { number: self.rng.u32(..6) },
            60 if self.has(Feature::DeleteHistory) && self.rng.bool() => {
                Operation::DeleteHistory { which: self.rng.usize(..) }
            }
            61 if self.has(Feature::Restore) => Operation::Restore { which: self.rng.usize(..) },
            62..=63 if self.has(Feature::Branches) => {
                let asks = (0..self.rng.usize(..8)).map(|_| self.ask()).collect();
                Operation::Branch { asks, merge: self.rng.bool() }
            }
            64 if self.has(Feature::Feeds) => Operation::Feed { number: self.rng.u32(..3) },
            65..=67 if self.has(Feature::Feeds) => self.follow(),
            _ => Operation::Ask { client, ask: self.ask() },
        }
    }

    fn follow(&mut self) -> Operation {
        let number = self.rng.u32(..3);
        match self.rng.u8(..12) {
            0 => Operation::DropFeed { number },
            1..=4 => Operation::Follow { number, count: self.rng.usize(..30) },
            _ => Operation::Follow { number, count: usize::MAX },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The name of the variant.
    fn name(value: &impl std::fmt::Debug) -> String {
        format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
    }

    #[test]
    fn every_kind_of_operation_statement_and_fault_comes_up() {
        let (mut operations, mut asks, mut faults) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for seed in 0..200 {
            for operation in &Plan::of(seed, 160).operations {
                operations.insert(name(operation));
                match operation {
                    Operation::Ask { ask, .. } => drop(asks.insert(name(&ask.kind))),
                    Operation::Fault { fault, .. } => drop(faults.insert(name(fault))),
                    _ => {}
                }
            }
        }
        assert_eq!(operations.len(), 30, "{operations:?}");
        assert_eq!(asks.len(), ASKS.len());
        assert_eq!(faults.len(), 5);
    }

    #[test]
    fn a_plan_is_its_seed() {
        let text = |seed| format!("{:?}", Plan::of(seed, 50));
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }
}
