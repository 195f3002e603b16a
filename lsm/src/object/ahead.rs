//! What was asked for before it is read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use dosql_base::Result;
use parking_lot::Mutex;

/// Ranges under way, the oldest in front.
#[derive(Debug)]
pub(super) struct Ahead {
    room: u64,
    expected: Mutex<VecDeque<Expected>>,
}

#[derive(Debug)]
struct Expected {
    name: String,
    range: Range<u64>,
    answer: Receiver<Result<Bytes>>,
}

impl Expected {
    fn is(&self, name: &str, range: &Range<u64>) -> bool {
        self.name == name && self.range == *range
    }
}

impl Ahead {
    /// Keeps up to `room` bytes.
    pub(super) fn new(room: u64) -> Self {
        Ahead { room, expected: Mutex::default() }
    }

    /// Makes room for a range, and says where to send its bytes; none where it is under way or too long. Those that nobody came for go first.
    pub(super) fn expect(&self, name: &str, range: &Range<u64>) -> Option<SyncSender<Result<Bytes>>> {
        let mut expected = self.expected.lock();
        let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
        if length(range) > self.room || expected.iter().any(|other| other.is(name, range)) {
            return None;
        }
        let sum =
            |expected: &VecDeque<Expected>| expected.iter().map(|other| length(&other.range)).sum::<u64>();
        while sum(&expected) > self.room - length(range) {
            expected.pop_front();
        }
        let (arrived, answer) = sync_channel(1);
        expected.push_back(Expected { name: name.to_string(), range: range.clone(), answer });
        Some(arrived)
    }

    /// The bytes of a range that was expected, once they are here. None where it was not, or could not be had: the caller asks anew.
    pub(super) fn take(&self, name: &str, range: &Range<u64>) -> Option<Bytes> {
        let found = {
            let mut expected = self.expected.lock();
            let index = expected.iter().position(|other| other.is(name, range))?;
            expected.remove(index)?
        };
        found.answer.recv().ok()?.ok()
    }
}
