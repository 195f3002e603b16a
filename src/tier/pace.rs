//! How commits are held back while rows move out of the tree more slowly than commits bring them in. What decides is a pure function of
//! what was measured.
//!
//! ```text
//! pages of current rows    up to the hot budget     commits go on
//!                          up to a quarter more     each waits up to twice as long as its rows take to be moved: the further, the longer
//!                          more than that           the same
//! ```
//!
//! Where a commit waits as long as its rows take to be moved, no more come than go; so it comes to rest before an eighth is exceeded. No
//! wait is longer than a bound that depends on the commit alone, whatever becomes of the rows: where none can be moved, commits are slow and go on.

use std::time::Duration;

use dosql_base::Result;
use dosql_base::metrics::Histogram;
use dosql_base::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dosql_base::sync::{Condvar, Mutex};

/// The part of the hot budget by which it may be exceeded before waits grow no more.
const FULL_AT: u64 = 4;
/// A share is counted in so many parts.
const FULL: u64 = 1_000;
/// The most that a commit of so many bytes waits, and for each so many more as long again; and the most that any does.
const LONGEST: Duration = Duration::from_millis(5);
const LONG_COMMIT: u64 = 64 << 10;
const LONGEST_OF_ALL: Duration = Duration::from_millis(100);
/// A wait that is shorter costs more than it brings: it is put off until others have come to it.
const SHORTEST: Duration = Duration::from_micros(100);
/// How fast rows are taken to move before any have, in bytes a second.
const FIRST_RATE: u64 = 16 << 20;
/// What is hot is measured anew whenever the log has grown by a part of the hot budget: one in so many.
const MEASURES: u64 = 16;

/// What a commit finds.
pub(crate) struct Excess {
    /// Bytes of pages of current rows, and what they may take.
    pub(crate) hot: u64,
    pub(crate) budget: u64,
    /// Bytes a second that are moved.
    pub(crate) rate: u64,
}

impl Excess {
    /// How long commits are to wait for having brought so many bytes.
    pub(crate) fn pause(&self, committed: u64) -> Duration {
        let over = self.hot.saturating_sub(self.budget);
        let part = (over.saturating_mul(FULL) / (self.budget / FULL_AT).max(1)).min(FULL);
        let moving = committed.saturating_mul(1_000_000) / self.rate.max(1);
        Duration::from_micros((moving.saturating_mul(2).saturating_mul(part)) / FULL)
    }
}

/// The most that a commit of so many bytes waits.
pub(crate) fn longest(committed: u64) -> Duration {
    let times = u32::try_from(1 + committed / LONG_COMMIT).unwrap_or(u32::MAX);
    LONGEST.saturating_mul(times).min(LONGEST_OF_ALL)
}

/// What is known of the rows in pages, how fast they move, and who waits for that.
#[derive(Default)]
pub(crate) struct Gauge {
    /// Bytes of their pages when they were measured, and how far the log was then.
    hot: AtomicU64,
    measured_at: AtomicU64,
    /// How far the log was after the last commit.
    seen: AtomicU64,
    /// Bytes a second; 0 before the first move.
    rate: AtomicU64,
    /// Waits that were too short, in microseconds.
    owed: AtomicU64,
    /// The next move begins when the log has come this far: after one that failed, not soon.
    retry_at: AtomicU64,
    /// Whether somebody moves rows in the background.
    moving: AtomicBool,
    waiting: Mutex<()>,
    moved: Condvar,
    /// How long commits were to wait, in microseconds.
    pub(crate) pauses: Histogram,
}

impl Gauge {
    /// What is hot, as far as is known, where the log has come to `end`. `measure` is asked now and then.
    pub(super) fn hot(&self, end: u64, budget: u64, measure: impl FnOnce() -> Result<u64>) -> u64 {
        let grown = end.saturating_sub(self.measured_at.load(Ordering::Relaxed));
        if grown >= budget / MEASURES {
            // What can't be read can't be moved.
            self.note(measure().unwrap_or(0), end);
        }
        self.hot.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, hot: u64, end: u64) {
        self.hot.store(hot, Ordering::Relaxed);
        self.measured_at.store(end, Ordering::Relaxed);
    }

    /// So many bytes were moved in so many microseconds. What no clock has seen counts for nothing.
    pub(super) fn note_move(&self, bytes: u64, micros: u64) {
        if bytes > 0 && micros > 0 {
            self.rate.store((bytes.saturating_mul(1_000_000) / micros).max(1), Ordering::Relaxed);
        }
    }

    fn rate(&self) -> u64 {
        match self.rate.load(Ordering::Relaxed) {
            0 => FIRST_RATE,
            rate => rate,
        }
    }

    /// Bytes of log since the last commit that asked.
    pub(super) fn committed(&self, end: u64) -> u64 {
        let seen = self.seen.swap(end, Ordering::Relaxed);
        // The first that asks has not brought all there is.
        if seen == 0 { 0 } else { end.saturating_sub(seen) }
    }

    /// How long a commit of so many bytes waits now; nothing as long as too little has come together.
    pub(super) fn pause(&self, hot: u64, budget: u64, committed: u64) -> Duration {
        let pause = Excess { hot, budget, rate: self.rate() }.pause(committed).as_micros() as u64;
        let owed = self.owed.fetch_add(pause, Ordering::Relaxed).saturating_add(pause);
        if owed < SHORTEST.as_micros() as u64 {
            return Duration::ZERO;
        }
        self.owed.store(0, Ordering::Relaxed);
        let pause = Duration::from_micros(owed).min(longest(committed));
        self.pauses.record(pause.as_micros() as u64);
        pause
    }

    /// Whether a move may begin.
    pub(super) fn may_begin(&self, end: u64) -> bool {
        end >= self.retry_at.load(Ordering::Relaxed)
    }

    /// Somebody moves rows from here on, until [`Gauge::end`].
    pub(crate) fn begin(&self) {
        self.moving.store(true, Ordering::Release);
    }

    /// Nobody moves rows any more, and nobody is to begin before the log has come to `retry_at`.
    pub(crate) fn end(&self, retry_at: u64) {
        self.retry_at.store(retry_at, Ordering::Relaxed);
        let _waiting = self.waiting.lock();
        self.moving.store(false, Ordering::Release);
        self.moved.notify_all();
    }

    /// Waits for rows to be moved, but not longer than `most`.
    pub(super) fn wait(&self, most: Duration) {
        let mut waiting = self.waiting.lock();
        if self.moving.load(Ordering::Acquire) {
            self.moved.wait_for(&mut waiting, most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_commit_waits_the_longer_the_more_the_budget_is_exceeded_and_never_longer_than_its_bound() {
        let pause = |hot: u64| Excess { hot, budget: 64 * MIB, rate: 100_000_000 }.pause(100_000);
        assert_eq!(pause(0), Duration::ZERO);
        assert_eq!(pause(64 * MIB), Duration::ZERO);
        assert_eq!(pause(66 * MIB), Duration::from_micros(250));
        assert_eq!(pause(72 * MIB), Duration::from_millis(1), "an eighth: as long as its rows take");
        assert_eq!(pause(80 * MIB), Duration::from_millis(2));
        assert_eq!(pause(u64::MAX), Duration::from_millis(2));
        let mut before = Duration::ZERO;
        for hot in (60..90).map(|mib| mib * MIB) {
            assert!(pause(hot) >= before);
            before = pause(hot);
        }
        let slow = Excess { hot: u64::MAX, budget: 1, rate: 0 };
        assert!(slow.pause(1_000) > Duration::from_secs(100));
        assert_eq!(longest(1_000), Duration::from_millis(5));
        assert_eq!(longest(200_000), Duration::from_millis(20));
        assert_eq!(longest(u64::MAX), Duration::from_millis(100));
    }

    #[test]
    fn short_waits_come_together() {
        let gauge = Gauge::default();
        gauge.note_move(MIB, 1_000_000);
        // Each of 40 bytes is worth 76 microseconds.
        let waits: Vec<Duration> = (0..6).map(|_| gauge.pause(1_000 * MIB, MIB, 40)).collect();
        let both = Duration::from_micros(152);
        assert_eq!(waits, [Duration::ZERO, both, Duration::ZERO, both, Duration::ZERO, both]);
        assert_eq!(gauge.pauses.durations().count, 3);
    }

    #[test]
    fn what_is_hot_is_measured_when_the_log_has_grown() {
        let gauge = Gauge::default();
        let mut measured = Vec::new();
        for end in (0..=10 * MIB).step_by(MIB as usize / 4) {
            gauge.hot(end, 16 * MIB, || {
                measured.push(end / MIB);
                Ok(end)
            });
        }
        assert_eq!(measured, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(gauge.committed(100), 0);
        assert_eq!(gauge.committed(150), 50);
        assert_eq!(gauge.committed(150), 0);
    }

    #[test]
    fn nobody_waits_where_nobody_moves() {
        let gauge = Gauge::default();
        gauge.wait(Duration::from_secs(3_600));
        gauge.begin();
        assert!(gauge.may_begin(0));
        gauge.end(500);
        assert!(!gauge.may_begin(499) && gauge.may_begin(500));
        gauge.wait(Duration::from_secs(3_600));
    }
}
