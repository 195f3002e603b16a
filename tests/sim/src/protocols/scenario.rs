//! What a scenario is: a short life, the options it is lived with, and how its rows are read.

use std::sync::Arc;

use dosql::{DAY, Database, Env, Limits, ManualClock, Options, Result, SeededEntropy, Timestamp};

use super::lived::State;
use super::world::{World, keys};

/// One protocol, lived once in a few dozen calls of the disk.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) settings: Settings,
    pub(crate) live: fn(&mut World) -> Result<()>,
    pub(crate) observe: fn(&Database, Option<Timestamp>) -> Result<State>,
    /// Whether it is the keys of main that are observed: then its feed is judged too.
    pub(crate) told: bool,
}

/// The options that scenarios differ in.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) log_limit: u64,
    pub(crate) retention: u64,
    pub(crate) history_runs: usize,
    pub(crate) cache_bytes: usize,
    pub(crate) conflict_window_bytes: usize,
    pub(crate) hot_budget: u64,
}

impl Settings {
    pub(crate) const DEFAULT: Settings = Settings {
        log_limit: 1 << 20,
        retention: DAY,
        history_runs: 8,
        cache_bytes: 1 << 20,
        conflict_window_bytes: 1 << 20,
        hot_budget: 0,
    };
}

impl Settings {
    pub(crate) fn options(&self, clock: Arc<ManualClock>, seed: u64) -> Options {
        Options {
            page_size: 4096,
            cache_bytes: self.cache_bytes,
            log_limit: self.log_limit,
            retention: self.retention,
            hot_budget: self.hot_budget,
            segment_bytes: 4 << 10,
            env: Some(Env::new(clock, Arc::new(SeededEntropy::new(seed)))),
            limits: Limits {
                history_runs: self.history_runs,
                conflict_window_bytes: self.conflict_window_bytes,
                ..Limits::default()
            },
            ..Options::default()
        }
    }
}

impl Scenario {
    /// A scenario over keys, with the usual options.
    pub(crate) const fn keys(name: &'static str, live: fn(&mut World) -> Result<()>) -> Self {
        Scenario { name, settings: Settings::DEFAULT, live, observe: keys, told: true }
    }

    pub(crate) const fn with(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
}
