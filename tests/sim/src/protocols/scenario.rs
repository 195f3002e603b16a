//! What a scenario is: a short life, the options it is lived with, and how its rows are read.

use dosql::{DAY, Database, Result, Timestamp};

use super::lived::State;
use super::world::{World, keys};

/// One protocol, lived once in a few dozen calls of the disk.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) settings: Settings,
    pub(crate) live: fn(&mut World) -> Result<()>,
    pub(crate) observe: fn(&Database, Option<Timestamp>) -> Result<State>,
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

impl Scenario {
    /// A scenario over keys, with the usual options.
    pub(crate) const fn keys(name: &'static str, live: fn(&mut World) -> Result<()>) -> Self {
        Scenario { name, settings: Settings::DEFAULT, live, observe: keys }
    }

    pub(crate) const fn with(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
}
