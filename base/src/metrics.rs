//! Counters and histograms that cost next to nothing where they count.
//!
//! ```text
//! Tally      one number a stripe; a thread adds to the stripe that its stack lies in      sum = all stripes
//! Histogram  0 1 2 .. 7 | 8 9 .. 15 | 16 18 .. 30 | 32 36 .. 60 | ..                     first value of each bucket
//! ```
//!
//! They are the standard library's atomics even in models of threads: nothing is ordered by them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

const STRIPES: usize = 8;

/// A counter for the hottest paths: many threads count without disturbing each other.
///
/// Counting is a plain addition, not an atomic one: where two threads meet in one stripe at the same moment, one of the two may go
/// uncounted. Exact where one thread counts.
#[derive(Default)]
pub struct Tally([Stripe; STRIPES]);

/// Alone in its cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

impl Tally {
    /// Counts one more.
    #[inline]
    pub fn count(&self) {
        // Where the stack lies tells threads apart without asking who they are.
        let here = 0u8;
        let place = (std::ptr::from_ref(&here).addr() >> 17).wrapping_mul(0x9E37_79B9) >> 8;
        let stripe = &self.0[place % STRIPES].0;
        stripe.store(stripe.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// How many were counted.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum, stripe| sum.wrapping_add(stripe.0.load(Ordering::Relaxed)))
    }
}

/// Each power of two is divided in so many buckets: what is read back is at most an eighth too high.
const PARTS: u64 = 8;
/// Values from here on share the last bucket: 2^26 microseconds are more than a minute.
const END: u64 = 1 << 26;
const BUCKETS: usize = bucket_of(END) + 1;

const fn bucket_of(value: u64) -> usize {
    if value < PARTS {
        return value as usize;
    }
    let value = if value > END { END } else { value };
    let shift = value.ilog2() - PARTS.ilog2();
    (shift as u64 * PARTS + (value >> shift)) as usize
}

/// The first value of a bucket.
const fn start_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    (bucket % PARTS + PARTS) << shift
}

/// How often something took how long, in microseconds. Any thread may add to it.
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    total: AtomicU64,
    longest: AtomicU64,
    last: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        let number = || AtomicU64::new(0);
        let buckets = (0..BUCKETS).map(|_| number()).collect();
        Histogram { buckets, total: number(), longest: number(), last: number() }
    }
}

impl Histogram {
    /// Notes that something took so many microseconds.
    pub fn record(&self, micros: u64) {
        self.buckets[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(micros, Ordering::Relaxed);
        self.longest.fetch_max(micros, Ordering::Relaxed);
        self.last.store(micros, Ordering::Relaxed);
    }

    /// What was noted so far.
    #[must_use]
    pub fn durations(&self) -> Durations {
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let buckets: Vec<u64> = self.buckets.iter().map(count).collect();
        Durations {
            count: buckets.iter().sum(),
            total: count(&self.total),
            longest: count(&self.longest),
            last: count(&self.last),
            buckets,
        }
    }
}

/// How often something took how long. All times are in microseconds of the environment's clock: 0 where that stands still.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// How often it happened.
    pub count: u64,
    /// How long it took, all times together.
    pub total: u64,
    /// The longest time.
    pub longest: u64,
    /// The last time.
    pub last: u64,
    buckets: Vec<u64>,
}

impl Durations {
    /// The time that `percent` of 100 did not exceed; 0 where nothing happened. At most an eighth too high, and never above
    /// the longest.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let rank = (percent.clamp(0.0, 100.0) / 100.0 * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let end = if bucket + 1 < BUCKETS { start_of(bucket + 1) - 1 } else { u64::MAX };
                return end.min(self.longest);
            }
        }
        self.longest
    }

    /// The mean, rounded down; 0 where nothing happened.
    #[must_use]
    pub fn mean(&self) -> u64 {
        self.total.checked_div(self.count).unwrap_or(0)
    }
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durations")
            .field("count", &self.count)
            .field("total", &self.total)
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("longest", &self.longest)
            .field("last", &self.last)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_that_it_lies_in() {
        for bucket in 1..BUCKETS {
            assert_eq!(bucket_of(start_of(bucket)), bucket);
            assert_eq!(bucket_of(start_of(bucket) - 1), bucket - 1);
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_percentile_is_at_most_an_eighth_too_high_and_never_above_the_longest() {
        let histogram = Histogram::default();
        assert_eq!(histogram.durations().percentile(99.0), 0);
        for micros in 1..=10_000 {
            histogram.record(micros);
        }
        let durations = histogram.durations();
        for (percent, exact) in [(1.0, 100), (50.0, 5_000), (90.0, 9_000), (99.0, 9_900)] {
            let found = durations.percentile(percent);
            assert!(found >= exact && found <= exact + exact / 8, "{percent}: {found}");
        }
        assert_eq!(
            (durations.percentile(100.0), durations.longest, durations.last),
            (10_000, 10_000, 10_000)
        );
        assert_eq!((durations.count, durations.mean()), (10_000, 5_000));
    }

    #[test]
    fn threads_count_apart_and_are_summed() {
        let tally = Tally::default();
        (0..1_000).for_each(|_| tally.count());
        assert_eq!(tally.sum(), 1_000);
    }
}
