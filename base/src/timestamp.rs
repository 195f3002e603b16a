//! The one number that orders everything: version, log position, feed position, fork point.

use std::fmt;

/// A commit's place in time: microseconds since the Unix epoch, strictly increasing from commit to commit
/// (`max(clock, last + 1)`, a hybrid logical clock folded into one integer; Kulkarni et al., "Logical Physical
/// Clocks", 2014). SQL calls it LSN or TIMESTAMP: it is the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Before every commit.
    pub const ZERO: Timestamp = Timestamp(0);
    /// After every commit; also the open end of a version that is still current.
    pub const MAX: Timestamp = Timestamp(u64::MAX);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Timestamp(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The next representable moment, saturating at [`Timestamp::MAX`].
    #[must_use]
    pub const fn next(self) -> Self {
        Timestamp(self.0.saturating_add(1))
    }

    /// The moment just before, saturating at [`Timestamp::ZERO`].
    #[must_use]
    pub const fn previous(self) -> Self {
        Timestamp(self.0.saturating_sub(1))
    }

    /// The Timestamp of a commit that follows `last` when the clock shows `now`: never at or below `last`,
    /// whatever the clock does.
    #[must_use]
    pub fn after(last: Timestamp, now: Timestamp) -> Self {
        now.max(last.next())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_timestamp_rises_even_when_the_clock_steps_back() {
        let last = Timestamp::from_micros(100);
        assert_eq!(Timestamp::after(last, Timestamp::from_micros(50)), Timestamp::from_micros(101));
        assert_eq!(Timestamp::after(last, Timestamp::from_micros(500)), Timestamp::from_micros(500));
    }
}
