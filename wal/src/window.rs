//! Reads a stretch of the log through a buffer, so that a record is seen whole wherever the store cut it.

use dosql_base::Result;
use dosql_base::mutant::weakened;

use crate::record::{Header, RECORD_HEADER_BYTES};
use crate::{LogPosition, LogStore};

/// How much is asked of the store at once, in bytes.
const CHUNK: usize = 256 << 10;

/// A buffered reader that moves forward. It allocates for bytes that the store really holds, never for a length that
/// it only read somewhere.
pub(crate) struct Window<'s> {
    store: &'s dyn LogStore,
    /// Nothing at or beyond this is read.
    limit: u64,
    /// The position of `bytes[0]`.
    start: u64,
    bytes: Vec<u8>,
    ended: bool,
}

/// A record whose own checksums hold. Whether it belongs here is for the chain to say.
pub(crate) struct Sound<'w> {
    pub(crate) header: Header,
    pub(crate) end: LogPosition,
    pub(crate) body: &'w [u8],
}

impl<'s> Window<'s> {
    pub(crate) fn new(store: &'s dyn LogStore, start: LogPosition, limit: LogPosition) -> Self {
        Window { store, limit: limit.get(), start: start.get(), bytes: Vec::new(), ended: false }
    }

    /// At least `len` bytes from `at` on, and whatever else is buffered; `None` where the log ends before.
    /// `at` never goes back.
    pub(crate) fn get(&mut self, at: u64, len: usize) -> Result<Option<&[u8]>> {
        loop {
            let offset = (at - self.start) as usize;
            let buffered = self.bytes.len().saturating_sub(offset);
            if buffered >= len {
                return Ok(Some(&self.bytes[offset..]));
            }
            if self.ended {
                return Ok(None);
            }
            if offset >= CHUNK {
                let gone = offset.min(self.bytes.len());
                self.bytes.drain(..gone);
                self.start += gone as u64;
            }
            self.fill()?;
        }
    }

    /// What there is from `at` on, `len` bytes at most.
    pub(crate) fn some(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        self.get(at, len)?;
        let rest = self.bytes.get((at - self.start) as usize..).unwrap_or_default();
        Ok(&rest[..rest.len().min(len)])
    }

    fn fill(&mut self) -> Result<()> {
        let from = self.start + self.bytes.len() as u64;
        let wanted = self.limit.saturating_sub(from).min(CHUNK as u64) as usize;
        let old = self.bytes.len();
        self.bytes.resize(old + wanted, 0);
        let got = if wanted == 0 {
            0
        } else {
            self.store.read_from(LogPosition::new(from), &mut self.bytes[old..])?
        };
        self.bytes.truncate(old + got.min(wanted));
        self.ended = got == 0;
        Ok(())
    }

    /// The record at `at`, if one that was written there is whole.
    pub(crate) fn record(&mut self, at: u64) -> Result<Option<Sound<'_>>> {
        let Some(header) = self.get(at, RECORD_HEADER_BYTES)?.and_then(|bytes| Header::parse(bytes, at))
        else {
            return Ok(None);
        };
        let len = RECORD_HEADER_BYTES + header.length.get() as usize;
        let end = LogPosition::new(at).advance(len)?;
        let Some(bytes) = self.get(at, len)? else {
            return Ok(None);
        };
        let body = &bytes[RECORD_HEADER_BYTES..len];
        let whole =
            dosql_base::checksum(0, body) == header.body_sum.get() || weakened("record-body-unchecked");
        Ok(whole.then_some(Sound { header, end, body }))
    }

    /// The next header at or after `at` that was written where it stands, or `None` up to the end of the log. Only a
    /// header: its body may be torn.
    pub(crate) fn find_header(&mut self, mut at: u64) -> Result<Option<(u64, Header)>> {
        while let Some(bytes) = self.get(at, RECORD_HEADER_BYTES)? {
            let last = bytes.len() - RECORD_HEADER_BYTES;
            let mut offset = 0;
            while let Some(place) = next_place(bytes, at, offset, last) {
                let here = at + place as u64;
                if let Some(header) = Header::parse(&bytes[place..place + RECORD_HEADER_BYTES], here) {
                    return Ok(Some((here, header)));
                }
                offset = place + 1;
            }
            at += last as u64 + 1;
        }
        Ok(None)
    }
}

/// Offsets that are looked at together.
const BLOCK: usize = 64;
/// Where a header holds its own position, and the bytes of that.
const FIELD: usize = 8;
const FIELD_BYTES: usize = 8;

/// The next offset from `offset` to `last` where a header could stand, of bytes whose first lies at position `at`: where the
/// header's position field says so, which settles all but one in 2^64 places.
fn next_place(bytes: &[u8], at: u64, mut offset: usize, last: usize) -> Option<usize> {
    while offset <= last {
        let from = at + offset as u64;
        if let Some(block) = bytes.get(offset + FIELD..).and_then(|rest| rest.first_chunk()) {
            // Room that was never written is zeros, and only position 0 is written as such.
            let zeros = block[..BLOCK].iter().fold(0, |any, byte| any | byte) == 0;
            if zeros && from > 0 {
                offset += BLOCK - FIELD_BYTES + 1;
                continue;
            }
            if !any_near(block, from) {
                offset += BLOCK;
                continue;
            }
        }
        let fields = bytes.get(offset + FIELD..)?.windows(FIELD_BYTES);
        for (step, field) in fields.take(BLOCK.min(last + 1 - offset)).enumerate() {
            if field == (from + step as u64).to_le_bytes() {
                return Some(offset + step);
            }
        }
        offset += BLOCK;
    }
    None
}

/// Whether one of the fields that begin in the first [`BLOCK`] bytes could hold a position that is at most that much beyond `from`: going
/// by all its bytes but the lowest two, for all places at once.
fn any_near(block: &[u8; BLOCK + FIELD_BYTES - 1], from: u64) -> bool {
    let upper = from.to_le_bytes();
    if from >> 16 != (from + BLOCK as u64) >> 16 {
        return true;
    }
    let mut any = false;
    for step in 0..BLOCK {
        let differs = (2..FIELD_BYTES).fold(0, |all, byte| all | (block[step + byte] ^ upper[byte]));
        any |= differs == 0;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_found_wherever_it_stands_and_nothing_else_is() {
        let mut random = fastrand::Rng::with_seed(3);
        for at in [1, 65_000, (1 << 24) - 1, (1 << 32) - 100, 1 << 40] {
            for place in 0..400 {
                let mut bytes: Vec<u8> = (0..600).map(|_| random.u8(..)).collect();
                if place % 3 == 0 {
                    bytes.fill(0);
                }
                let last = bytes.len() - RECORD_HEADER_BYTES;
                assert_eq!(next_place(&bytes, at, 0, last), None);
                let position = (at + place as u64).to_le_bytes();
                bytes[place + FIELD..place + FIELD + FIELD_BYTES].copy_from_slice(&position);
                let found = next_place(&bytes, at, 0, last);
                assert_eq!(found, Some(place), "at {at}");
                assert_eq!(next_place(&bytes, at, place + 1, last), None);
            }
        }
    }
}
