//! Group commit: how far the log is durable, who syncs for whom, and whether the log is closed.
//!
//! ```text
//! nobody syncs  --> leads: gathers, writes out and syncs; then tells those who waited
//! somebody does --> waits, to be told:   Over    it is durable, or the log is closed: look again
//!                                        Leads   it came too late for that sync, and is the first of those who did
//! ```
//!
//! Each waits for a word of its own: of a sync that ends nobody is woken who can't go on, and nobody to a lock that the others
//! want too. Whoever leads waits for those who are likely to come, since one more sync costs more than waiting does where they do.

use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dosql_base::sync::{Condvar, Mutex};
use dosql_base::{Error, Result};

use crate::LogPosition;

/// Nobody waits for more than this many: where as many have come, the device is the slower part.
const MOST_EXPECTED: usize = 16;

/// For how many moments a leader waits for others who don't come, before it has learned more.
const SHORTEST_PATIENCE: usize = 12;
const LONGEST_PATIENCE: usize = 256;

/// See the module's description.
pub(crate) struct Group {
    durable: AtomicU64,
    /// Whether the log is closed; changed with the state locked.
    closed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    syncing: bool,
    /// In order of arrival. Empty where nobody syncs.
    waiting: Vec<Arc<Waiter>>,
    /// How many the last sync was for, or missed it by coming while it was under way.
    expected: usize,
    /// For how many moments a leader waits for them: longer where some came right after it had given up, shorter where none did.
    patience: usize,
    /// The leader gave up on some.
    gave_up: bool,
    /// Why the log is closed.
    cause: Option<Error>,
}

struct Waiter {
    upto: LogPosition,
    told: Mutex<Option<Told>>,
    wake: Condvar,
    /// Who is told after this one, by this one.
    next: Mutex<Option<Arc<Waiter>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Over,
    Leads,
}

impl Waiter {
    fn wait(&self) -> Told {
        let told = {
            let mut told = self.told.lock();
            loop {
                match *told {
                    Some(told) => break told,
                    None => self.wake.wait(&mut told),
                }
            }
        };
        let next = self.next.lock().take();
        if let Some(next) = next
            && !weakened("log-word-not-passed-on")
        {
            next.tell(Told::Over);
        }
        told
    }

    fn tell(&self, what: Told) {
        *self.told.lock() = Some(what);
        self.wake.notify_one();
    }
}

impl Group {
    pub(crate) fn new(durable: LogPosition) -> Self {
        let state = State {
            syncing: false,
            waiting: Vec::new(),
            expected: 1,
            patience: SHORTEST_PATIENCE,
            gave_up: false,
            cause: None,
        };
        Group {
            durable: AtomicU64::new(durable.get()),
            closed: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// Everything before this is durable.
    pub(crate) fn durable(&self) -> LogPosition {
        LogPosition::new(self.durable.load(Ordering::Acquire))
    }

    /// Notes that everything before `end` is durable.
    pub(crate) fn note_durable(&self, end: LogPosition) {
        let order = if weakened("log-durable-relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        self.durable.fetch_max(end.get(), order);
    }

    /// Fails where the log is closed.
    pub(crate) fn check_usable(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { closed_by(&self.state.lock()) } else { Ok(()) }
    }

    /// Closes the log because of `error`, which is handed back. Whoever waits is told.
    pub(crate) fn close(&self, error: Error) -> Error {
        let waiting = {
            let mut state = self.state.lock();
            self.note_closed(&mut state, &error);
            std::mem::take(&mut state.waiting)
        };
        tell_in_turn(waiting);
        error
    }

    fn note_closed(&self, state: &mut State, error: &Error) {
        state.cause.get_or_insert_with(|| error.clone());
        self.closed.store(true, Ordering::Release);
    }

    /// Waits until everything before `upto` is durable (`None`), or it is this caller's turn to make it so.
    pub(crate) fn join(&self, upto: LogPosition) -> Result<Option<Leader<'_>>> {
        loop {
            let own = {
                let mut state = self.state.lock();
                if self.durable() >= upto {
                    return Ok(None);
                }
                closed_by(&state)?;
                if !state.syncing {
                    state.syncing = true;
                    return Ok(Some(Leader::of(self)));
                }
                let own = Arc::new(Waiter {
                    upto,
                    told: Mutex::new(None),
                    wake: Condvar::new(),
                    next: Mutex::new(None),
                });
                state.waiting.push(Arc::clone(&own));
                own
            };
            if own.wait() == Told::Leads {
                return Ok(Some(Leader::of(self)));
            }
        }
    }

    /// Ends a sync. Who is told of it, and who leads the next.
    fn settle(&self, result: &Result<LogPosition>) -> (Vec<Arc<Waiter>>, Option<Arc<Waiter>>) {
        let mut state = self.state.lock();
        match result {
            Ok(end) => self.note_durable(*end),
            Err(_) if weakened("failed-sync-forgiven") => {}
            Err(error) => self.note_closed(&mut state, error),
        }
        state.expected = state.waiting.len() + 1;
        let (durable, closed) = (self.durable(), state.cause.is_some());
        let (over, late) =
            std::mem::take(&mut state.waiting).into_iter().partition(|it| closed || it.upto <= durable);
        state.waiting = late;
        if std::mem::take(&mut state.gave_up) {
            let patience = if state.waiting.is_empty() { state.patience / 2 } else { state.patience * 2 };
            state.patience = patience.clamp(SHORTEST_PATIENCE, LONGEST_PATIENCE);
        }
        let next = (!state.waiting.is_empty()).then(|| state.waiting.remove(0));
        state.syncing = next.is_some();
        (over, next)
    }
}

fn closed_by(state: &State) -> Result<()> {
    match &state.cause {
        None => Ok(()),
        Some(cause) => {
            Err(Error::closed(format!("the log failed and was closed ({cause}); reopen the database")))
        }
    }
}

/// The one who syncs for the rest. However it ends, even by a panic in the store, the rest are told.
pub(crate) struct Leader<'g> {
    group: &'g Group,
    pub(crate) result: Result<LogPosition>,
}

impl<'g> Leader<'g> {
    fn of(group: &'g Group) -> Self {
        Leader { group, result: Err(Error::closed("a log sync was cut short by a panic")) }
    }

    /// Waits, moment by moment, for those who shared the last sync, or just missed it, and are likely to be on their way to this one:
    /// whoever is first would else sync for itself alone, and all others wait for that in vain.
    pub(crate) fn gather(&self, moment: impl Fn()) {
        let came = |state: &State| state.waiting.len() + 1 >= state.expected.min(MOST_EXPECTED);
        let patience = {
            let state = self.group.state.lock();
            if came(&state) {
                return;
            }
            state.patience
        };
        for _ in 0..patience {
            moment();
            if came(&self.group.state.lock()) {
                return;
            }
        }
        self.group.state.lock().gave_up = true;
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let (over, next) = self.group.settle(&self.result);
        if let Some(next) = next
            && !weakened("log-lead-kept")
        {
            next.tell(Told::Leads);
        }
        if !weakened("log-followers-not-woken") {
            tell_in_turn(over);
        }
    }
}

/// Tells the first, who tells the next, and so on.
fn tell_in_turn(waiters: Vec<Arc<Waiter>>) {
    let first = waiters.into_iter().rev().reduce(|after, waiter| {
        *waiter.next.lock() = Some(after);
        waiter
    });
    if let Some(first) = first {
        first.tell(Told::Over);
    }
}
