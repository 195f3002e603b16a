//! Who waits for commits, and how far back the log is kept for those who read it.
//!
//! A commit that nobody waits for pays one load. Who has had something new just now does not count as waiting yet: it looks again after
//! [`NAP`], a few times, so that commits that follow each other need not wake anybody. A subscriber that falls behind by more than [`KEPT`] bytes of log loses its
//! place in it, and goes on from history: it never keeps the log from being recycled for longer.

use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use dosql_base::mutant::weakened;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use dosql_base::sync::{Condvar, Mutex};
use dosql_wal::LogPosition;

/// Bytes of log in front of the last checkpoint that are kept for subscribers.
pub(crate) const KEPT: u64 = 64 << 20;

/// How long a subscriber sleeps before it looks for itself, and how often before it waits to be woken.
const NAP: Duration = Duration::from_micros(200);
const NAPS: u32 = if cfg!(loom) { 0 } else { 10 };

/// All subscribers of a database.
#[derive(Default)]
pub(crate) struct Subscribers {
    /// Threads that wait and wakers that are noted: whom a commit has to tell.
    waiting: AtomicUsize,
    state: Mutex<State>,
    told: Condvar,
}

#[derive(Default)]
struct State {
    wakers: Vec<Waker>,
    places: Vec<Weak<Place>>,
}

/// Where one subscriber reads the log.
pub(crate) struct Place {
    at: AtomicU64,
    lost: AtomicBool,
}

impl Place {
    /// Everything before `at` was read.
    pub(crate) fn advance(&self, at: LogPosition) {
        self.at.store(at.get(), Ordering::Release);
    }

    /// Whether the log before it may be gone.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

impl Subscribers {
    /// A place in the log that is kept. The caller sees to it that `at` has not been given back yet.
    pub(crate) fn place(&self, at: LogPosition) -> Arc<Place> {
        let place = Arc::new(Place { at: AtomicU64::new(at.get()), lost: AtomicBool::new(false) });
        let mut state = self.state.lock();
        state.places.retain(|place| place.strong_count() > 0);
        state.places.push(Arc::downgrade(&place));
        place
    }

    /// How far the log can be given back of what nobody else wants before `wanted`. Who is too far behind loses its place.
    pub(crate) fn keep_from(&self, wanted: LogPosition) -> LogPosition {
        let mut state = self.state.lock();
        state.places.retain(|place| place.strong_count() > 0);
        let mut from = wanted.get();
        for place in state.places.iter().filter_map(Weak::upgrade) {
            let at = place.at.load(Ordering::Acquire);
            if at.saturating_add(KEPT) < wanted.get() {
                place.lost.store(true, Ordering::Release);
            } else if !place.is_lost() {
                from = from.min(at);
            }
        }
        LogPosition::new(from)
    }

    /// Everybody loses the place in the log: what is before the next checkpoint is given back whole.
    pub(crate) fn lose_all(&self) {
        let state = self.state.lock();
        for place in state.places.iter().filter_map(Weak::upgrade) {
            place.lost.store(true, Ordering::Release);
        }
    }

    /// Waits until `ready`, which commits change, or until it was told of something; false where neither came within `patience`.
    pub(crate) fn wait(&self, ready: impl Fn() -> bool, patience: Option<Duration>) -> bool {
        let mut patience = patience;
        for _ in 0..NAPS {
            if ready() {
                return true;
            }
            let nap = patience.map_or(NAP, |patience| patience.min(NAP));
            if nap.is_zero() {
                return false;
            }
            patience = patience.map(|patience| patience - nap);
            let mut state = self.state.lock();
            self.told.wait_for(&mut state, nap);
        }
        self.wait_to_be_told(ready, patience)
    }

    /// As [`Subscribers::wait`], counted among those whom a commit has to wake.
    fn wait_to_be_told(&self, ready: impl Fn() -> bool, patience: Option<Duration>) -> bool {
        let early = weakened("subscriber-counted-late") && ready();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // Against the one in `tell`: either that sees who waits, or this sees what is new.
        meet();
        let mut state = self.state.lock();
        let mut told = true;
        let ready = || if weakened("subscriber-counted-late") { early } else { ready() };
        if !ready() {
            match patience {
                None => self.told.wait(&mut state),
                Some(patience) => told = !self.told.wait_for(&mut state, patience).timed_out(),
            }
        }
        drop(state);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        told
    }

    /// Notes whom to wake when there is something new. True where `ready` says that there is already.
    pub(crate) fn note(&self, waker: &Waker, ready: impl Fn() -> bool) -> bool {
        let early = weakened("subscriber-noted-late") && ready();
        let mut state = self.state.lock();
        if !state.wakers.iter().any(|known| known.will_wake(waker)) {
            state.wakers.push(waker.clone());
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        meet();
        if weakened("subscriber-noted-late") { early } else { ready() }
    }

    /// Tells everybody that there may be something new: commits that readers see, or the end.
    pub(crate) fn tell(&self) {
        meet();
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        if weakened("subscriber-told-unlocked") {
            self.told.notify_all();
            return;
        }
        let wakers = {
            let mut state = self.state.lock();
            let wakers = std::mem::take(&mut state.wakers);
            self.waiting.fetch_sub(wakers.len(), Ordering::SeqCst);
            wakers
        };
        self.told.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Between what one side says and what it looks at: of who waits and who tells, one sees the other.
#[inline]
fn meet() {
    if !weakened("subscriber-unfenced") {
        fence(Ordering::SeqCst);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn at(position: u64) -> LogPosition {
        LogPosition::new(position)
    }

    #[test]
    fn the_log_is_kept_for_the_slowest_subscriber_up_to_a_bound() {
        let subscribers = Subscribers::default();
        assert_eq!(subscribers.keep_from(at(1000)), at(1000));
        let (slow, fast) = (subscribers.place(at(100)), subscribers.place(at(900)));
        assert_eq!(subscribers.keep_from(at(1000)), at(100));
        assert_eq!(subscribers.keep_from(at(101 + KEPT)), at(900));
        assert!(slow.is_lost() && !fast.is_lost());
        fast.advance(at(950));
        assert_eq!(subscribers.keep_from(at(1000)), at(950));
        drop(fast);
        assert_eq!(subscribers.keep_from(at(1000)), at(1000));
    }

    #[test]
    fn who_waits_is_woken_by_what_comes_and_not_by_what_was_there() {
        let subscribers = Arc::new(Subscribers::default());
        let value = Arc::new(AtomicU64::new(0));
        let waiter = {
            let (subscribers, value) = (Arc::clone(&subscribers), Arc::clone(&value));
            std::thread::spawn(move || {
                while value.load(Ordering::Acquire) == 0 {
                    subscribers.wait(|| value.load(Ordering::Acquire) > 0, None);
                }
            })
        };
        value.store(1, Ordering::Release);
        subscribers.tell();
        waiter.join().unwrap();
    }
}
