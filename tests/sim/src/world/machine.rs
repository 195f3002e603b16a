//! The simulated machine: a disk, an object store, a clock, randomness.

use std::sync::Arc;

use dosql::{
    Clock, Database, Env, Limits, Maintenance, ManualClock, Options, Result, SeededEntropy, Storage,
    Timestamp,
};
use dosql_wal::{CrashDirectory, Surviving, Trace};
use parking_lot::Mutex;

use super::segments::Segments;
use crate::crash;
use crate::plan::{Plan, Settings};

/// See above. Its clock outlives a crash, its disk, objects too, as far as it survives.
pub struct Machine {
    pub disk: CrashDirectory,
    /// Every call of the object store so far.
    pub objects: Arc<Mutex<Trace>>,
    pub clock: Arc<ManualClock>,
    page_size: usize,
    seed: u64,
}

impl Machine {
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Machine {
            disk: CrashDirectory::new(),
            objects: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp::from_micros(plan.shape.clock))),
            page_size: plan.shape.page_size,
            seed: plan.seed,
        }
    }

    /// A machine as a crash at this moment would leave this one, with a clock of its own.
    #[must_use]
    pub fn crashed(&self, surviving: Surviving) -> Machine {
        Machine {
            disk: self.disk.survivor(surviving),
            objects: Arc::default(),
            clock: Arc::new(ManualClock::at(self.now())),
            page_size: self.page_size,
            seed: self.seed,
        }
    }

    /// Opens the database of this machine.
    pub fn open(&self, settings: &Settings) -> Result<Database> {
        Database::open(self.storage(settings)?, self.options(settings))
    }

    fn storage(&self, settings: &Settings) -> Result<Storage> {
        let segments = Segments::on(&self.disk, &self.objects);
        crash::storage_with(&self.disk, self.page_size, Arc::new(segments), settings.log_segment)
    }

    fn options(&self, settings: &Settings) -> Options {
        // It goes on from what was done, so that two databases made by one plan do not get the same id.
        let entropy = SeededEntropy::new(self.seed ^ self.disk.trace().hash);
        Options {
            cache_bytes: settings.cache_bytes,
            dirty_bytes: settings.dirty_bytes,
            pinned_bytes: settings.pinned_bytes,
            log_limit: settings.log_limit,
            retention: settings.retention,
            durability: settings.durability,
            maintenance: Maintenance::Caller,
            env: Some(Env::new(self.clock.clone(), Arc::new(entropy))),
            page_size: self.page_size,
            hot_budget: hot_budget(self.seed),
            segment_bytes: 8 << 10,
            limits: Limits {
                read_set_bytes: settings.window_bytes,
                history_runs: settings.history_runs,
                conflict_window_bytes: settings.window_bytes,
                ..Limits::default()
            },
            ..Options::default()
        }
    }

    /// Moves the clock forwards, or back.
    pub fn move_clock(&self, micros: i64) {
        let moved = self.now().as_micros().saturating_add_signed(micros).max(1);
        self.clock.set(Timestamp::from_micros(moved));
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// What a life is lived with: half of them leave all rows in pages, some move all that they can into segments, the rest a part.
fn hot_budget(seed: u64) -> u64 {
    match seed % 4 {
        1 => 1,
        3 => 24 << 10,
        _ => 0,
    }
}
