//! A running hash of calls: two lives that did the same have the same.

use dosql_base::{Result, checksum};

/// How many calls were made, and a hash of them all with their arguments and results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Calls, reads included.
    pub calls: u64,
    /// The hash.
    pub hash: u64,
}

impl Trace {
    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        // The finalizer of SplitMix64 over a rotating sum.
        let mut z = self.hash.rotate_left(5) ^ number.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.hash = z ^ (z >> 31);
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.number(u64::from(checksum(0, bytes)));
    }

    /// Adds a call that has ended: its kind, its arguments as bytes and numbers, and how it ended.
    pub fn call<T>(&mut self, kind: u8, text: &[u8], numbers: &[u64], result: &Result<T>) {
        self.calls += 1;
        self.number(u64::from(kind));
        self.bytes(text);
        numbers.iter().for_each(|&number| self.number(number));
        match result {
            Ok(_) => self.number(0),
            Err(error) => self.bytes(error.to_string().as_bytes()),
        }
    }
}
