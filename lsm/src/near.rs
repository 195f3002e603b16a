//! The near side of a store that never waits: bytes that were fetched, the ones that came first go first, and wishes for those that were
//! not. A store over an asynchronous client is this and the client: `read` and `wanted` are the trait's, and whoever drives it fetches
//! [`NearBuffer::requests`] and hands in what [`NearBuffer::arrived`].

use std::collections::VecDeque;
use std::ops::Range;

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use crate::ranges::{COALESCE_GAP, COALESCE_MAX, coalesce};
use crate::store::Wanted;

/// How many failures are remembered for those who asked.
const MOST_FAILED: usize = 256;

/// Fetched bytes of any objects, within a bound.
#[derive(Debug)]
pub struct NearBuffer {
    room: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parts: VecDeque<Part>,
    bytes: u64,
    wanted: Vec<Wanted>,
    /// What could not be had, until somebody is told.
    failed: Vec<(String, Range<u64>, Error)>,
}

#[derive(Debug)]
struct Part {
    name: String,
    start: u64,
    bytes: Vec<u8>,
}

impl Part {
    fn slice(&self, range: &Range<u64>) -> Option<&[u8]> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..to)
    }
}

impl NearBuffer {
    /// Room for so many bytes, and for the part that came last whatever its length.
    #[must_use]
    pub fn new(room: u64) -> Self {
        NearBuffer { room, state: Mutex::default() }
    }

    /// The bytes of these ranges, if all are near; [`dosql_base::ErrorKind::WouldBlock`] after noting what is not, why a range could not be had
    /// where that was handed in, and [`dosql_base::ErrorKind::Limit`] for more bytes than there is room for.
    pub fn read(&self, name: &str, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>> {
        let needed =
            ranges.iter().fold(0u64, |sum, range| sum.saturating_add(range.end.saturating_sub(range.start)));
        // What no object is long enough for is not for want of room.
        if needed > self.room && needed < 1 << 40 {
            let room = self.room;
            return Err(
                Error::limit(format!("a read of {needed} bytes; {room} can be near at once")).at(name)
            );
        }
        let mut state = self.state.lock();
        let state = &mut *state;
        for range in ranges {
            let here = |(of, part, _): &(String, Range<u64>, Error)| {
                of == name && part.start <= range.start && range.end <= part.end
            };
            if let Some(index) = state.failed.iter().position(here) {
                return Err(state.failed.swap_remove(index).2);
            }
        }
        let mut parts = Vec::with_capacity(ranges.len());
        let mut waits = false;
        for range in ranges {
            let found =
                state.parts.iter().filter(|part| part.name == name).find_map(|part| part.slice(range));
            match found {
                Some(bytes) => parts.push(bytes.to_vec()),
                None => {
                    waits = true;
                    let wish = Wanted { name: name.to_string(), range: range.clone() };
                    if !state.wanted.contains(&wish) {
                        state.wanted.push(wish);
                    }
                }
            }
        }
        if waits {
            return Err(Error::would_block("a part of a segment has to be fetched first").at(name));
        }
        Ok(parts)
    }

    /// Keeps what was fetched, or why it could not be. The newest part stays whatever its length.
    pub fn arrived(&self, name: String, range: Range<u64>, bytes: Result<Vec<u8>>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let start = range.start;
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                state.failed.retain(|(of, part, _)| (of, part) != (&name, &range));
                state.failed.truncate(MOST_FAILED - 1);
                return state.failed.insert(0, (name, range, error));
            }
        };
        state.bytes += bytes.len() as u64;
        state.parts.push_back(Part { name, start, bytes });
        while state.bytes > self.room && state.parts.len() > 1 {
            let Some(oldest) = state.parts.pop_front() else { break };
            state.bytes -= oldest.bytes.len() as u64;
        }
    }

    /// Forgets what belongs to these objects.
    pub fn forget(&self, names: &[&str]) {
        let mut state = self.state.lock();
        state.parts.retain(|part| !names.contains(&part.name.as_str()));
        state.failed.retain(|(name, ..)| !names.contains(&name.as_str()));
        state.bytes = state.parts.iter().map(|part| part.bytes.len() as u64).sum();
    }

    /// What reads have asked for and not got since the last call, without duplicates.
    pub fn wanted(&self) -> Vec<Wanted> {
        std::mem::take(&mut self.state.lock().wanted)
    }

    /// The requests that bring these ranges near: those that lie close are one.
    #[must_use]
    pub fn requests(wanted: &[Wanted]) -> Vec<Wanted> {
        let mut names: Vec<&str> = wanted.iter().map(|wish| wish.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut requests = Vec::new();
        for name in names {
            let of_name = || wanted.iter().filter(|wish| wish.name == name).map(|wish| wish.range.clone());
            let ranges: Vec<Range<u64>> = of_name().collect();
            let fetch = coalesce(&ranges, COALESCE_GAP, COALESCE_MAX).fetch;
            // That an object is there has to be asked for, too.
            let fetch = fetch.into_iter().chain(of_name().filter(Range::is_empty));
            requests.extend(fetch.map(|range| Wanted { name: name.to_string(), range }));
        }
        requests
    }
}
