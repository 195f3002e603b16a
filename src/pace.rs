//! The pace of checkpoints in the background: when the next begins, and how commits are held back for the one under way. Pure
//! functions of what was measured.
//!
//! A checkpoint writes a page once, however often it was changed before: the later it begins, the less is written. So it begins as
//! late as leaves room for what commits gather while it is made, judged by the one before it. And so that nobody has to wait
//! for its end, commits that use that room up faster than it gets on each wait a little.

use std::time::Duration;

/// What has gathered for a checkpoint is counted in thousandths of what may.
pub(crate) const FULL: u64 = 1000;
/// Where commits wait for the end of the checkpoint under way. From [`FULL`] on they wait [`LAST_PAUSE`] each.
const MOST: u64 = FULL * 9 / 8;
/// Where the first checkpoint begins, and any that follows one that was hardly in time.
const EARLIEST: u64 = FULL / 2;
const LATEST: u64 = FULL * 7 / 8;
/// How far a checkpoint is taken to be that has lasted as long as was expected, or longer.
const NEARLY_DONE: u64 = FULL * 3 / 4;
/// The most that one commit waits while there is much room left: many wait a little each rather than few of them long.
const LONGEST_PAUSE: Duration = Duration::from_millis(2);
/// Where less than this part of the room is left, that grows, up to this with none left: still less than waiting for the end.
const LITTLE_ROOM: u64 = 4;
const LAST_PAUSE: Duration = Duration::from_millis(8);
/// A wait that is shorter costs more than it brings.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

/// Where the next checkpoint begins, when so much gathered while the one before was made (0: there was none): room for half as much
/// again is left.
pub(crate) fn begin_after(grown: u64) -> u64 {
    if grown == 0 {
        return EARLIEST;
    }
    FULL.saturating_sub(grown.saturating_mul(3) / 2).clamp(EARLIEST, LATEST)
}

/// Whether so much has gathered that the checkpoint under way has to end before anybody goes on.
pub(crate) fn must_end(gathered: u64) -> bool {
    gathered >= MOST
}

/// Whether so much has gathered that what only moves rows adds nothing to it before the checkpoint under way has ended.
pub(crate) fn gives_way(gathered: u64) -> bool {
    gathered >= FULL * 3 / 4
}

/// A checkpoint under way.
pub(crate) struct UnderWay {
    /// What had gathered when it began.
    pub(crate) begun: u64,
    /// How long it has been going on, in microseconds.
    pub(crate) elapsed: u64,
    /// How long it is expected to last, in microseconds.
    pub(crate) expected: u64,
}

impl UnderWay {
    /// How long a commit waits that finds so much gathered: as long as the checkpoint will take to get as far as the room is used up.
    pub(crate) fn pause(&self, gathered: u64) -> Duration {
        if gathered >= FULL {
            return LAST_PAUSE;
        }
        let room = FULL.saturating_sub(self.begun).max(1);
        let used = (gathered.saturating_sub(self.begun) * FULL / room).min(FULL);
        let lasts = self.expected.max(1);
        let done = (self.elapsed.saturating_mul(FULL) / lasts).min(NEARLY_DONE);
        let behind = used.saturating_sub(done);
        let pause = Duration::from_micros(lasts.saturating_mul(behind) / FULL).min(longest(FULL - used));
        if pause < SHORTEST_PAUSE { Duration::ZERO } else { pause }
    }
}

/// The most that one commit waits with so much of the room left.
fn longest(left: u64) -> Duration {
    let little = FULL / LITTLE_ROOM;
    let gone = u32::try_from(little.saturating_sub(left)).unwrap_or(u32::MAX);
    LONGEST_PAUSE + (LAST_PAUSE - LONGEST_PAUSE) * gone / (little as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_begins_as_late_as_the_one_before_allows() {
        assert_eq!(begin_after(0), EARLIEST);
        assert_eq!(begin_after(1), LATEST);
        assert_eq!(begin_after(200), 700);
        assert_eq!(begin_after(FULL), EARLIEST);
        assert_eq!(begin_after(u64::MAX), EARLIEST);
    }

    #[test]
    fn an_eighth_more_than_may_gather_is_left_for_short_waits_before_the_long_one() {
        let late = UnderWay { begun: 500, elapsed: u64::MAX / FULL, expected: 1 };
        assert_eq!((late.pause(FULL), late.pause(MOST)), (LAST_PAUSE, LAST_PAUSE));
        assert!(!must_end(FULL) && !must_end(MOST - 1) && must_end(MOST) && must_end(u64::MAX));
    }

    #[test]
    fn who_only_moves_rows_leaves_the_last_quarter_to_commits() {
        assert!(!gives_way(0) && !gives_way(EARLIEST) && !gives_way(749));
        assert!(gives_way(750) && gives_way(LATEST) && gives_way(FULL * 2));
    }

    #[test]
    fn commits_wait_only_where_they_are_faster_than_the_checkpoint() {
        let at = |elapsed| UnderWay { begun: 500, elapsed, expected: 40_000 };
        assert_eq!(at(0).pause(500), Duration::ZERO);
        assert_eq!(at(20_000).pause(750), Duration::ZERO, "half of the time, half of the room");
        assert_eq!(at(20_000).pause(751), Duration::ZERO, "not for a moment");
        assert_eq!(at(20_000).pause(780), LONGEST_PAUSE);
        assert_eq!(at(20_000).pause(760), Duration::from_micros(800));
    }

    #[test]
    fn commits_wait_for_a_checkpoint_that_lasts_longer_than_the_one_before_once_little_room_is_left() {
        let late = UnderWay { begun: 600, elapsed: u64::MAX / FULL, expected: 10_000 };
        assert_eq!(late.pause(899), Duration::ZERO);
        assert_eq!(late.pause(999), Duration::from_micros(2470));
        let odd = UnderWay { begun: 2000, elapsed: 0, expected: 0 };
        assert_eq!(odd.pause(900), Duration::ZERO, "it is over");
    }

    #[test]
    fn the_less_room_is_left_the_longer_one_commit_waits_at_most() {
        let slow = UnderWay { begun: 500, elapsed: 0, expected: 1_000_000 };
        assert_eq!(slow.pause(600), LONGEST_PAUSE);
        assert_eq!(slow.pause(875), LONGEST_PAUSE);
        assert_eq!(slow.pause(938), (LONGEST_PAUSE + LAST_PAUSE) / 2 + Duration::from_micros(24));
        assert_eq!(slow.pause(1000), LAST_PAUSE);
        let mut before = Duration::ZERO;
        for gathered in 500..1000 {
            assert!(slow.pause(gathered) >= before && slow.pause(gathered) <= LAST_PAUSE);
            before = slow.pause(gathered);
        }
    }
}
