//! How lives end and go on: closing, dying, crashing, and what is found afterwards.

use dosql_wal::Surviving;

use super::client::Client;
use super::{Lived, World, Zombie, expire};
use crate::model::History;
use crate::plan::{End, Settings};

/// Other outcomes of each crash that are opened and checked, beside the one that the life goes on from.
const OTHERS: usize = 3;

impl World {
    pub(super) fn reopen(&mut self, close: bool, settings: Settings) -> Lived {
        if close {
            let closed = self.db()?.close();
            match closed {
                Ok(()) => self.history.settle(),
                Err(error) if self.is_explained(&error) => {}
                Err(error) => return Err(format!("closing failed for no reason: {error:?}")),
            }
        }
        self.let_go();
        self.settings = settings;
        if self.machine.disk.has_stopped() {
            return Ok(());
        }
        self.machine.disk = self.machine.disk.killed();
        self.open()
    }

    /// The process ends, with or without its machine, and the next begins.
    pub(super) fn end(&mut self, end: &End) -> Lived {
        self.end = None;
        self.figures.faults += self.machine.disk.faults();
        let stopped = self.machine.disk.has_stopped();
        self.machine.disk.stop();
        if let Some(surviving) = end.surviving {
            self.figures.crashes += 1;
            self.trouble = false;
            self.look_at_others(end)?;
            self.leave_zombie(end.zombie && !stopped);
            self.machine.disk = self.machine.disk.survivor(surviving);
        } else {
            self.figures.kills += 1;
            self.leave_zombie(false);
            self.machine.disk = self.machine.disk.killed();
        }
        self.settings = end.settings;
        self.recover(end)?;
        self.figures.states += 1;
        self.open()
    }

    /// Opens and checks other disks that the same crash could leave.
    fn look_at_others(&mut self, end: &End) -> Lived {
        for _ in 0..OTHERS {
            let seed = self.rng.u64(..);
            let modes = [
                Surviving::Nothing,
                Surviving::Everything,
                Surviving::Last,
                Surviving::AllButFirst,
                Surviving::Prefix(seed),
                Surviving::Some(seed),
                Surviving::Torn(seed),
                Surviving::Garbage(seed),
            ];
            let surviving = modes[self.rng.usize(..modes.len())];
            let other = self.machine.crashed(surviving);
            let mut history: History = self.history.clone();
            let place = |text: String| format!("after a crash that left {surviving:?}: {text}");
            let db = other.open(&end.settings).map_err(|error| place(format!("{error:?}")))?;
            history.reopened(db.last_commit()).map_err(place)?;
            expire(&mut history, other.now(), end.settings.retention);
            super::check::check(&db, &history, self.shape.spaces, &mut self.rng).map_err(place)?;
            self.figures.states += 1;
        }
        Ok(())
    }

    /// Lets the process go; or keeps its database, for it does not know that it is dead.
    fn leave_zombie(&mut self, stays: bool) {
        let db = self.db.take();
        self.let_go();
        self.zombie = db.filter(|db| stays && !db.is_poisoned()).map(|db| Zombie {
            db,
            client: Client::default(),
            state: self.history.head().state.clone(),
            durable: self.settings.durability == dosql::Durability::Sync,
        });
    }

    /// Crashes while it recovers, as often as the end says.
    fn recover(&mut self, end: &End) -> Lived {
        for &(after, surviving) in &end.again {
            self.machine.disk.crash_at(after);
            match self.machine.open(&self.settings) {
                Err(error) if self.is_explained(&error) => {}
                Err(error) => return Err(format!("the database does not open after a crash: {error:?}")),
                Ok(db) => drop(db),
            }
            self.machine.disk.stop();
            self.machine.disk = self.machine.disk.survivor(surviving);
            self.figures.states += 1;
        }
        Ok(())
    }

    /// The end of the life: the last database is checked whole, closed and opened once more.
    pub(super) fn last(&mut self) -> Lived {
        self.machine.disk.heal();
        self.machine.disk.crash_at(u64::MAX);
        let settings = self.settings;
        self.reopen(false, settings)?;
        self.reopen(true, settings)?;
        self.no_page_is_lost()
    }

    /// Every page that the file ever held is in use or free.
    fn no_page_is_lost(&self) -> Lived {
        let file = self.machine.disk.contents("pages").unwrap_or_default();
        let number = |at: usize| {
            file.get(at..at + 8).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)))
        };
        // The slots were written one after the other and synced: the greater sequence counts (docs/FORMAT.md).
        let slots = [0, self.shape.page_size].map(|slot| (number(slot + 24), number(slot + 32)));
        let count = slots.into_iter().max().and_then(|(_, count)| count).unwrap_or(0);
        let pages = self.db()?.stats().pages;
        // A crash after the checkpoint and before the file is cut leaves an end that counts as never used.
        if pages.pages_used + pages.pages_free < count && !self.cut_in_doubt {
            return Err(format!("of {count} pages some are neither in use nor free: {pages:?}"));
        }
        Ok(())
    }
}
