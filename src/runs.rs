//! Optimistic commits in runs: where several threads make small commits as fast as they can, one goes on for a while as the others sleep.
//!
//! A commit works on some tens of lines of memory: the last pages, the record, the window, the views. Where threads on two processors
//! take turns, each finds all of them in the other's cache, which costs several times what the commit does.
//!
//! ```text
//! thread 1   commit commit commit .. commit  asleep ..............................  commit ..
//! thread 2   asleep .......................  commit commit commit .. commit  asleep .........
//! thread 3   asleep .......................................................  commit commit ..
//! ```
//!
//! Whoever sleeps does so for one run more than those who fell asleep before, so that runs go round. It happens before a transaction
//! begins, where it holds nothing. A thread that needs longer from one commit to the next, or waits for the device, neither sleeps
//! nor has others sleep.

use std::cell::Cell;
use std::time::Duration;

use dosql_base::Timestamp;
use dosql_base::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Commits of a thread make a run while less time than this lies between one and the next, in microseconds.
const CLOSE: u64 = 20;
/// How long a run lasts while others wait.
const RUN: Duration = Duration::from_micros(200);
/// So many runs are waited for at most.
const MOST_RUNS: u32 = 16;
/// Where threads can't sleep, or every order of them is gone through, which no clock may decide, there are no runs.
const THERE_ARE_RUNS: bool = !cfg!(any(loom, target_family = "wasm"));

thread_local! {
    /// The runs that this thread was last part of, by their address, and when, in microseconds.
    static LAST: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
}

/// This thread, among those that live.
fn this_thread() -> usize {
    LAST.with(|last| std::ptr::from_ref(last).addr())
}

/// Who commits in a run. Only a hint: whatever it says, commits take turns.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The thread; 0: none.
    runner: AtomicUsize,
    /// When it last committed, in microseconds.
    at: AtomicU64,
    asleep: AtomicU32,
}

impl Runs {
    /// Called before a transaction begins: sleeps where this thread has just committed, and another is in a run.
    #[expect(
        clippy::disallowed_methods,
        reason = "for some runs at most, before there is a transaction that could be asked again"
    )]
    pub(crate) fn give_way(&self, now: impl Fn() -> Timestamp) {
        let runner = if THERE_ARE_RUNS { self.runner.load(Ordering::Relaxed) } else { 0 };
        if runner == 0 || runner == this_thread() {
            return;
        }
        let Some(runs) = self.runs_to_wait(now()) else { return };
        std::thread::sleep(RUN * runs);
        self.asleep.fetch_sub(1, Ordering::Relaxed);
        LAST.set((self.address(), now().as_micros()));
    }

    /// Notes that this thread commits.
    pub(crate) fn note(&self, now: Timestamp) {
        let now = now.as_micros();
        if THERE_ARE_RUNS && self.is_close(LAST.replace((self.address(), now)), now) {
            self.runner.store(this_thread(), Ordering::Relaxed);
            self.at.store(now, Ordering::Relaxed);
        }
    }

    /// How many runs this thread waits for, which counts as asleep from now on; `None` where it does not wait.
    fn runs_to_wait(&self, now: Timestamp) -> Option<u32> {
        let now = now.as_micros();
        let goes_on = now.saturating_sub(self.at.load(Ordering::Relaxed)) < CLOSE;
        if !goes_on || !self.is_close(LAST.get(), now) {
            return None;
        }
        Some(self.asleep.fetch_add(1, Ordering::Relaxed).saturating_add(1).min(MOST_RUNS))
    }

    /// Whether that was of these runs, just before `now`.
    fn is_close(&self, (runs, last): (usize, u64), now: u64) -> bool {
        runs == self.address() && now.saturating_sub(last) < CLOSE
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    /// Notes commits of another thread at these moments.
    fn elsewhere(runs: &Runs, moments: &[u64]) {
        std::thread::scope(|scope| {
            scope.spawn(|| moments.iter().for_each(|&moment| runs.note(at(moment))));
        });
    }

    #[test]
    fn who_commits_in_short_order_sleeps_while_another_is_in_a_run() {
        let runs = Runs::default();
        runs.note(at(1000));
        elsewhere(&runs, &[1005, 1010]);
        assert_eq!(runs.runs_to_wait(at(1012)), Some(1));
        assert_eq!(runs.runs_to_wait(at(1012)), Some(2), "after the one who sleeps already");
        for _ in 0..2 * MOST_RUNS {
            assert!(runs.runs_to_wait(at(1012)) <= Some(MOST_RUNS));
        }
    }

    #[test]
    fn nobody_sleeps_for_a_run_of_his_own_or_one_that_has_ended() {
        let runs = Runs::default();
        assert_eq!(runs.runs_to_wait(at(1000)), None, "there is none");
        runs.note(at(1000));
        runs.note(at(1001));
        let asked = Cell::new(false);
        runs.give_way(|| {
            asked.set(true);
            at(1002)
        });
        assert!(!asked.get(), "it is this thread's");
        elsewhere(&runs, &[1003, 1004]);
        runs.note(at(1040));
        assert_eq!(runs.runs_to_wait(at(1042)), None, "it has ended");
    }

    #[test]
    fn slow_commits_are_no_run_and_do_not_wait_for_one() {
        let runs = Runs::default();
        runs.note(at(1000));
        elsewhere(&runs, &[1000, 1000 + CLOSE]);
        assert_eq!(runs.runs_to_wait(at(1001 + CLOSE)), None);
        elsewhere(&runs, &[2000, 2001]);
        assert_eq!(runs.runs_to_wait(at(2002)), None, "this thread last committed a millisecond ago");
    }

    #[test]
    fn commits_to_something_else_are_no_part_of_a_run() {
        let (runs, other) = (Runs::default(), Runs::default());
        other.note(at(1000));
        elsewhere(&runs, &[1001, 1002]);
        assert_eq!(runs.runs_to_wait(at(1003)), None);
    }

    #[test]
    fn sleeping_makes_the_next_commit_part_of_a_run() {
        let runs = Runs::default();
        runs.note(at(1000));
        elsewhere(&runs, &[1005, 1010]);
        let clock = Cell::new(1012);
        runs.give_way(|| at(clock.replace(5000)));
        assert_eq!(runs.asleep.load(Ordering::Relaxed), 0);
        runs.note(at(5003));
        assert_eq!(runs.runner.load(Ordering::Relaxed), this_thread());
    }
}
