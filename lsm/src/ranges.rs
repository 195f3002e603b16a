//! Many ranges of one object read with few requests: ranges that lie close are fetched as one, and cut apart after.

use std::ops::Range;

use dosql_base::{Error, Result};

/// Ranges that lie no further apart than this are worth one request rather than two, in bytes (64 KiB): a request costs
/// money and a round trip, the bytes between cost neither.
pub const COALESCE_GAP: u64 = 64 << 10;

/// The longest that one request grows by joining, in bytes (8 MiB): what is longer is faster in parallel.
pub const COALESCE_MAX: u64 = 8 << 20;

/// What to fetch for some ranges, and where in it each of them lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coalesced {
    /// The requests, ascending, none empty, none overlapping another.
    pub fetch: Vec<Range<u64>>,
    /// Of each range asked for, in their order: the request that covers it, and the offset in its answer.
    places: Vec<(usize, u64, u64)>,
}

/// Joins ranges whose gaps are at most `gap` bytes, unless the joined one would exceed `max` bytes and they do not overlap.
/// Ranges may overlap, repeat and come in any order; empty and inverted ones need no request.
#[must_use]
pub fn coalesce(ranges: &[Range<u64>], gap: u64, max: u64) -> Coalesced {
    let mut order: Vec<usize> = (0..ranges.len()).filter(|&index| !ranges[index].is_empty()).collect();
    order.sort_by_key(|&index| (ranges[index].start, ranges[index].end));
    let mut fetch: Vec<Range<u64>> = Vec::new();
    let mut places = vec![(0, 0, 0); ranges.len()];
    for index in order {
        let range = &ranges[index];
        let joins = fetch.last().is_some_and(|last| {
            let grown = last.end.max(range.end) - last.start;
            range.start < last.end || (range.start - last.end <= gap && grown <= max)
        });
        match fetch.last_mut().filter(|_| joins) {
            Some(last) => last.end = last.end.max(range.end),
            None => fetch.push(range.clone()),
        }
        let request = fetch.len() - 1;
        places[index] = (request, range.start - fetch[request].start, range.end - range.start);
    }
    Coalesced { fetch, places }
}

impl Coalesced {
    /// The bytes of each range asked for, out of the answers to `fetch`. Fails with [`dosql_base::ErrorKind::Corrupt`] where
    /// an answer is missing or too short.
    pub fn split<B: AsRef<[u8]>>(&self, answers: &[B]) -> Result<Vec<Vec<u8>>> {
        let cut = |&(request, offset, length): &(usize, u64, u64)| {
            if length == 0 {
                return Some(Vec::new());
            }
            let (from, to) = (usize::try_from(offset).ok()?, usize::try_from(offset + length).ok()?);
            answers.get(request)?.as_ref().get(from..to).map(<[u8]>::to_vec)
        };
        let parts: Option<Vec<Vec<u8>>> = self.places.iter().map(cut).collect();
        parts.ok_or_else(|| Error::corrupt("storage answered with fewer bytes than asked for", "ranged read"))
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    fn fetched(ranges: &[Range<u64>], gap: u64, max: u64) -> Vec<Range<u64>> {
        coalesce(ranges, gap, max).fetch
    }

    #[test]
    fn close_ranges_are_one_request_and_far_ones_are_two() {
        assert_eq!(fetched(&[0..10, 20..30], 10, 100), [0..30]);
        assert_eq!(fetched(&[0..10, 21..30], 10, 100), [0..10, 21..30]);
        assert_eq!(fetched(&[20..30, 0..10, 5..12], 8, 100), [0..30]);
        assert_eq!(fetched(&[0..60, 60..120], 8, 100), [0..60, 60..120], "no longer than the longest");
        assert_eq!(fetched(&[0..60, 50..120], 8, 100), [0..120], "but nothing is fetched twice");
        assert_eq!(fetched(&[5..5, 9..9], 8, 100), Vec::<Range<u64>>::new());
        assert_eq!(fetched(&[], 8, 100), Vec::<Range<u64>>::new());
        assert_eq!(fetched(&[0..u64::MAX, u64::MAX..u64::MAX], 8, 100), [0..u64::MAX]);
    }

    #[test]
    fn every_range_gets_its_bytes_back() {
        let object: Vec<u8> = (0..200).collect();
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut range = || {
                let start = random.u64(..180);
                start..start + random.u64(..20)
            };
            let ranges: Vec<Range<u64>> = (0..8).map(|_| range()).collect();
            let ranges = &ranges[random.usize(..9)..];
            let plan = coalesce(ranges, random.u64(..30), random.u64(..120));
            let read = |range: &Range<u64>| object[range.start as usize..range.end as usize].to_vec();
            assert!(plan.fetch.windows(2).all(|pair| pair[0].end <= pair[1].start));
            let answers: Vec<Vec<u8>> = plan.fetch.iter().map(read).collect();
            assert_eq!(plan.split(&answers).unwrap(), ranges.iter().map(read).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_answer_that_is_too_short_is_corrupt() {
        let plan = coalesce(&[0..10, 12..20], 5, 100);
        assert!(plan.split(&[vec![0; 19]]).is_err());
        assert!(plan.split::<Vec<u8>>(&[]).is_err());
        assert!(plan.split(&[vec![0; 20]]).is_ok());
    }
}
