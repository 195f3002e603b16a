//! The last 64 bytes of a segment.
//!
//! ```text
//!  0  8  tail       where the filters, indexes and properties begin
//!  8  8  top        where the top index is
//! 16  4  top_len    and its length, frame included
//! 20  4  prop_len   the properties follow the top index; their length, frame included
//! 24  8  id         number of the segment
//! 32  8  length     of the whole object
//! 40 12  reserved   0
//! 52  4  checksum   CRC-32 of the 60 other bytes, here in every format to come
//! 56  4  format     1
//! 60  4  magic      "dsqS"
//! ```

use dosql_base::{Checksum, Error, Result};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::frame::Handle;

/// The length of a footer in bytes.
pub(crate) const FOOTER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"dsqS";
const FORMAT: u32 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Stored {
    tail: U64,
    top: U64,
    top_len: U32,
    prop_len: U32,
    id: U64,
    length: U64,
    reserved: [u8; 12],
    checksum: U32,
    format: U32,
    magic: [u8; 4],
}

const _: () = assert!(size_of::<Stored>() == FOOTER_BYTES);

/// Where the parts of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) tail: u64,
    pub(crate) top: Handle,
    pub(crate) properties: Handle,
    pub(crate) id: u64,
    pub(crate) length: u64,
}

fn sum(bytes: &[u8; FOOTER_BYTES]) -> u32 {
    let mut sum = Checksum::new(0);
    sum.update(&bytes[..52]);
    sum.update(&bytes[56..]);
    sum.finish()
}

impl Footer {
    pub(crate) fn encode(&self) -> [u8; FOOTER_BYTES] {
        let stored = Stored {
            tail: self.tail.into(),
            top: self.top.offset.into(),
            top_len: self.top.length.into(),
            prop_len: self.properties.length.into(),
            id: self.id.into(),
            length: self.length.into(),
            reserved: [0; 12],
            checksum: 0.into(),
            format: FORMAT.into(),
            magic: MAGIC,
        };
        let mut bytes = [0; FOOTER_BYTES];
        bytes.copy_from_slice(stored.as_bytes());
        let checksum = sum(&bytes).to_le_bytes();
        bytes[52..56].copy_from_slice(&checksum);
        bytes
    }

    /// The footer in `bytes`, of an object that is `size` bytes long.
    pub(crate) fn decode(bytes: &[u8; FOOTER_BYTES], size: u64) -> Result<Footer> {
        let bad =
            |what: &str| Error::corrupt(format!("a segment's footer {what}; restore the object"), "footer");
        let stored = Stored::read_from_bytes(bytes.as_slice()).map_err(|_| bad("is too short"))?;
        if stored.magic != MAGIC || stored.checksum.get() != sum(bytes) {
            return Err(bad("is damaged, or the object is no segment"));
        }
        if stored.format.get() != FORMAT {
            return Err(Error::unsupported(format!(
                "the segment has format {}, this version knows {FORMAT}; open it with a newer version",
                stored.format
            )));
        }
        let top = Handle { offset: stored.top.get(), length: stored.top_len.get() };
        let properties = Handle { offset: top.end().unwrap_or(u64::MAX), length: stored.prop_len.get() };
        let (id, length, tail) = (stored.id.get(), stored.length.get(), stored.tail.get());
        let footer = Footer { tail, top, properties, id, length };
        let ends_before_footer = properties.end() == size.checked_sub(FOOTER_BYTES as u64);
        if length != size || tail > top.offset || !ends_before_footer {
            return Err(bad("does not fit the object's length"));
        }
        Ok(footer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        let top = Handle { offset: 1000, length: 100 };
        Footer { tail: 900, top, properties: Handle { offset: 1100, length: 36 }, id: 0x1122, length: 1200 }
    }

    #[test]
    fn a_footer_is_these_bytes() {
        let bytes = footer().encode();
        assert_eq!(Footer::decode(&bytes, 1200).unwrap(), footer());
        assert_eq!(bytes[..8], 900u64.to_le_bytes());
        assert_eq!(bytes[8..24], [0xE8, 3, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 36, 0, 0, 0]);
        assert_eq!(bytes[24..32], 0x1122u64.to_le_bytes());
        assert_eq!(bytes[32..40], 1200u64.to_le_bytes());
        assert_eq!(&bytes[56..], b"\x01\0\0\0dsqS");
    }

    #[test]
    fn a_flipped_bit_another_length_or_a_newer_format_is_refused() {
        let bytes = footer().encode();
        for index in 0..FOOTER_BYTES {
            let mut damaged = bytes;
            damaged[index] ^= 0x10;
            assert_eq!(Footer::decode(&damaged, 1200).unwrap_err().kind(), dosql_base::ErrorKind::Corrupt);
        }
        assert!(Footer::decode(&bytes, 1201).is_err());
        let mut newer = bytes;
        newer[56] = 2;
        let checksum = sum(&newer).to_le_bytes();
        newer[52..56].copy_from_slice(&checksum);
        assert_eq!(Footer::decode(&newer, 1200).unwrap_err().kind(), dosql_base::ErrorKind::Unsupported);
    }
}
