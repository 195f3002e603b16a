//! The writer's turn: one holder at a time, handed on in order of arrival.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dosql_base::mutant::weakened;
use dosql_base::sync::atomic::{AtomicBool, Ordering};
use dosql_base::sync::{Condvar, Mutex, MutexGuard};

/// How often a waiter looks before it sleeps: for some microseconds, about the time of a small commit. To be woken takes longer than that.
const LOOKS: usize = if cfg!(loom) { 1 } else { 200 };

/// The queue for the turn.
#[derive(Default)]
pub(crate) struct Turn {
    state: Mutex<State>,
    /// Optimistic transactions, which hold the turn for a moment each and are promised no order, contend here first, so that one
    /// of them at most is in the queue: whoever is running goes on, and nobody is woken for a moment's work.
    optimists: Mutex<()>,
}

#[derive(Default)]
struct State {
    held: bool,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Default)]
struct Waiter {
    granted: AtomicBool,
    /// Held where that changes, and by who is about to sleep.
    sleep: Mutex<()>,
    wake: Condvar,
}

impl Waiter {
    fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }

    /// Whether the turn comes to be granted while one only looks.
    fn looks(&self) -> bool {
        (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            self.is_granted()
        })
    }

    /// Sleeps until it is granted, or for `patience`; whether it is.
    fn sleeps(&self, patience: Option<Duration>) -> bool {
        let mut sleep = self.sleep.lock();
        while !self.is_granted() {
            match patience {
                None => self.wake.wait(&mut sleep),
                Some(patience) => {
                    if self.wake.wait_for(&mut sleep, patience).timed_out() {
                        return self.is_granted();
                    }
                }
            }
        }
        true
    }

    fn grant(&self) {
        {
            let _sleep = self.sleep.lock();
            let order = if weakened("turn-granted-relaxed") { Ordering::Relaxed } else { Ordering::Release };
            self.granted.store(true, order);
        }
        if !weakened("turn-handed-on-silently") {
            self.wake.notify_one();
        }
    }
}

/// The turn, held. Dropping it hands it to whoever has waited longest.
pub(crate) struct TurnGuard(Arc<Turn>);

/// The turn of an optimistic transaction's commit. The turn goes first, then the place in front of it.
pub(crate) struct BriefTurn<'t> {
    _turn: TurnGuard,
    _place: MutexGuard<'t, ()>,
}

impl Turn {
    /// As [`Turn::take`], for the time of one commit, in no order among those who call this. Waits for up to twice `patience`.
    pub(crate) fn take_briefly(self: &Arc<Self>, patience: Option<Duration>) -> Option<BriefTurn<'_>> {
        let place = match patience {
            _ if cfg!(target_family = "wasm") => self.optimists.try_lock()?,
            None => self.optimists.lock(),
            Some(patience) => self.optimists.try_lock_for(patience)?,
        };
        Some(BriefTurn { _turn: self.take(patience)?, _place: place })
    }

    /// Takes the turn if nobody holds it or waits for it.
    pub(crate) fn try_take(self: &Arc<Self>) -> Option<TurnGuard> {
        let mut state = self.state.lock();
        if state.held {
            return None;
        }
        state.held = true;
        Some(TurnGuard(Arc::clone(self)))
    }

    /// Takes the turn, waiting for it as long as it takes, or for `patience`. `None` when patience ran out. Where threads
    /// can't wait (wasm) a held turn is refused at once.
    pub(crate) fn take(self: &Arc<Self>, patience: Option<Duration>) -> Option<TurnGuard> {
        let waiter = {
            let mut state = self.state.lock();
            if !state.held {
                state.held = true;
                return Some(TurnGuard(Arc::clone(self)));
            }
            if cfg!(target_family = "wasm") || patience == Some(Duration::ZERO) {
                return None;
            }
            let waiter = Arc::new(Waiter::default());
            state.waiting.push_back(Arc::clone(&waiter));
            waiter
        };
        if waiter.looks() || waiter.sleeps(patience) {
            return Some(TurnGuard(Arc::clone(self)));
        }
        self.give_up(&waiter)
    }

    /// Leaves the queue; the turn may have been granted just before.
    fn give_up(self: &Arc<Self>, waiter: &Arc<Waiter>) -> Option<TurnGuard> {
        let mut state = self.state.lock();
        let place = state.waiting.iter().position(|other| Arc::ptr_eq(other, waiter));
        match place {
            Some(place) => {
                state.waiting.remove(place);
                None
            }
            None => Some(TurnGuard(Arc::clone(self))),
        }
    }

    fn hand_on(&self) {
        let next = {
            let mut state = self.state.lock();
            let next = state.waiting.pop_front();
            state.held = next.is_some() && !weakened("turn-left-free");
            next
        };
        if let Some(next) = next {
            next.grant();
        }
    }
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        self.0.hand_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turn_is_held_by_one_and_handed_on() {
        let turn = Arc::new(Turn::default());
        let held = turn.try_take().unwrap();
        assert!(turn.try_take().is_none());
        assert!(turn.take(Some(Duration::from_millis(1))).is_none());
        drop(held);
        assert!(turn.take(None).is_some());
        assert!(turn.try_take().is_some());
    }

    #[test]
    fn a_brief_turn_excludes_others_and_is_given_back() {
        let turn = Arc::new(Turn::default());
        let patience = Some(Duration::from_millis(1));
        let held = turn.try_take().unwrap();
        assert!(turn.take_briefly(patience).is_none());
        drop(held);
        let brief = turn.take_briefly(None).unwrap();
        assert!(turn.try_take().is_none() && turn.take_briefly(patience).is_none());
        drop(brief);
        assert!(turn.try_take().is_some());
    }

    #[test]
    fn the_turn_goes_to_whoever_has_waited_longest() {
        let turn = Arc::new(Turn::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = turn.try_take().unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let (waiting, order) = (Arc::clone(&turn), Arc::clone(&order));
                scope.spawn(move || {
                    let held = waiting.take(None);
                    order.lock().push(n);
                    drop(held);
                });
                while turn.state.lock().waiting.len() <= n {
                    std::thread::yield_now();
                }
            }
            drop(held);
        });
        assert_eq!(*order.lock(), [0, 1, 2, 3]);
    }
}
