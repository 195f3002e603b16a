//! One segment file: a header and a stretch of the log.
//!
//! ```text
//!    0   8  magic     "dosqlLOG"
//!    8   4  format    1
//!   12   4  reserved  0
//!   16   8  sequence  number of the segment, as in its file's name
//!   24   8  start     the log position of the payload's first byte
//!   32   8  payload   length of the payload in bytes
//!   40  20  reserved  0
//!   60   4  checksum  CRC-32 of bytes 0..60, here in every format to come
//!   64      zeros
//! 4096      payload: records, cut wherever the file ends, and after the last of them zeros or bytes of the past
//! ```

use dosql_base::{Error, Result, checksum};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::RawFile;

/// Where the payload begins in a segment file: a whole block, so that no record shares one with the header.
pub const SEGMENT_HEADER_BYTES: u64 = 4096;

const MAGIC: [u8; 8] = *b"dosqlLOG";
const FORMAT: u32 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Stored {
    magic: [u8; 8],
    format: U32,
    reserved: U32,
    sequence: U64,
    start: U64,
    payload: U64,
    reserved_too: [u8; 20],
    checksum: U32,
}

const _: () = assert!(size_of::<Stored>() == 64);

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) sequence: u64,
    pub(crate) start: u64,
    pub(crate) payload: u64,
}

impl SegmentHeader {
    pub(crate) fn end(&self) -> u64 {
        self.start + self.payload
    }

    pub(crate) fn encode(&self) -> [u8; 64] {
        let mut stored = Stored {
            magic: MAGIC,
            format: FORMAT.into(),
            reserved: 0.into(),
            sequence: self.sequence.into(),
            start: self.start.into(),
            payload: self.payload.into(),
            reserved_too: [0; 20],
            checksum: 0.into(),
        };
        stored.checksum = checksum(0, &stored.as_bytes()[..60]).into();
        let mut bytes = [0; 64];
        bytes.copy_from_slice(stored.as_bytes());
        bytes
    }

    /// The header in `bytes`, `None` where they are not a sound one. Fails with
    /// [`dosql_base::ErrorKind::Unsupported`] for a sound one of a newer format.
    fn decode(bytes: &[u8; 64]) -> Result<Option<SegmentHeader>> {
        let Ok(stored) = Stored::read_from_bytes(bytes.as_slice()) else {
            return Ok(None);
        };
        if stored.magic != MAGIC || stored.checksum.get() != checksum(0, &bytes[..60]) {
            return Ok(None);
        }
        if stored.format.get() != FORMAT {
            return Err(Error::unsupported(format!(
                "the log segment has format {}, this version knows {FORMAT}; open it with a newer version",
                stored.format
            )));
        }
        let (sequence, start, payload) = (stored.sequence.get(), stored.start.get(), stored.payload.get());
        let sound = payload > 0 && start.checked_add(payload).is_some();
        Ok(sound.then_some(SegmentHeader { sequence, start, payload }))
    }

    /// Reads the header of `file`; `None` where it is damaged or the file is shorter than it says.
    pub(crate) fn read(file: &dyn RawFile) -> Result<Option<SegmentHeader>> {
        let mut bytes = [0; 64];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(filled as u64, &mut bytes[filled..])? {
                0 => return Ok(None),
                read => filled += read,
            }
        }
        let Some(header) = SegmentHeader::decode(&bytes)? else {
            return Ok(None);
        };
        let room = file.size()?.saturating_sub(SEGMENT_HEADER_BYTES);
        Ok((header.payload <= room).then_some(header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_is_these_bytes() {
        let header = SegmentHeader { sequence: 3, start: 0x0102, payload: 4096 };
        let bytes = header.encode();
        assert_eq!(&bytes[..12], b"dosqlLOG\x01\0\0\0");
        assert_eq!(bytes[16], 3);
        assert_eq!(bytes[24..26], [2, 1]);
        assert_eq!(bytes[32..34], [0, 16]);
        assert_eq!(bytes[60..], checksum(0, &bytes[..60]).to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), Some(header));
    }

    #[test]
    fn a_flipped_bit_is_damage_and_a_newer_format_is_unsupported() {
        let bytes = SegmentHeader { sequence: 3, start: 7, payload: 4096 }.encode();
        for index in 0..64 {
            let mut damaged = bytes;
            damaged[index] ^= 2;
            assert_eq!(SegmentHeader::decode(&damaged).unwrap(), None, "byte {index}");
        }
        let mut newer = bytes;
        newer[8] = 2;
        let sum = checksum(0, &newer[..60]).to_le_bytes();
        newer[60..].copy_from_slice(&sum);
        assert_eq!(SegmentHeader::decode(&newer).unwrap_err().kind(), dosql_base::ErrorKind::Unsupported);
    }
}
