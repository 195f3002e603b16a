//! How any part of a segment but the footer is stored: framed with a checksum, compressed where that pays.
//!
//! ```text
//!  0  4  checksum  CRC-32 of bytes 4.. of the frame, seeded with segment id and offset: another segment's block, or one
//!                  from another place, does not pass
//!  4  4  length    of the contents before compression
//!  8  1  codec     0 as they are, 1 LZ4 block
//!  9  1  kind      1 data, 2 filter, 3 index partition, 4 top index, 5 properties
//! 10  2  reserved  0
//! 12     contents
//! ```

use dosql_base::mutant::weakened;
use dosql_base::{Error, Result, checksum};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The most that any part of a segment may hold before compression, in bytes (1 GiB).
pub const MAX_BLOCK_BYTES: usize = 1 << 30;

const HEADER: usize = 12;

/// LZ4 can't expand a byte to more than this many.
const MAX_EXPANSION: u64 = 255;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    checksum: U32,
    length: U32,
    codec: u8,
    kind: u8,
    reserved: U16,
}

const _: () = assert!(size_of::<Header>() == HEADER);

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    Data = 1,
    Filter = 2,
    Index = 3,
    Top = 4,
    Properties = 5,
}

/// Where a frame lies in its segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) offset: u64,
    /// Its stored length, header included; 0 for a part that is not there.
    pub(crate) length: u32,
}

impl Handle {
    /// The end of the frame, if the handle is one that can be.
    pub(crate) fn end(&self) -> Option<u64> {
        self.offset.checked_add(u64::from(self.length))
    }
}

fn seed(id: u64, offset: u64) -> u32 {
    let mixed = if weakened("segment-block-place-ignored") { 0 } else { id ^ offset };
    (mixed ^ (mixed >> 32)) as u32
}

/// Appends `contents` as a frame of segment `id`.
pub(crate) fn put(
    out: &mut Vec<u8>,
    id: u64,
    kind: FrameKind,
    contents: &[u8],
    compress: bool,
) -> Result<Handle> {
    if contents.len() > MAX_BLOCK_BYTES {
        return Err(Error::limit(format!("a block of a segment exceeds {MAX_BLOCK_BYTES} bytes")));
    }
    let offset = out.len();
    let packed = compress.then(|| lz4_flex::block::compress(contents));
    // Decompression costs time at every read, so an eighth has to be won.
    let packed = packed.filter(|packed| packed.len() < contents.len() - contents.len() / 8);
    let mut header = Header {
        checksum: 0.into(),
        length: (contents.len() as u32).into(),
        codec: u8::from(packed.is_some()),
        kind: kind as u8,
        reserved: 0.into(),
    };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(packed.as_deref().unwrap_or(contents));
    header.checksum = checksum(seed(id, offset as u64), &out[offset + 4..]).into();
    out[offset..offset + 4].copy_from_slice(header.checksum.as_bytes());
    let length =
        u32::try_from(out.len() - offset).map_err(|_| Error::limit("a block of a segment is too long"))?;
    Ok(Handle { offset: offset as u64, length })
}

/// The contents of the frame that `bytes` are, read from `offset` of segment `id`. Allocates no more than `bytes` can
/// expand to, nor more than [`MAX_BLOCK_BYTES`].
pub(crate) fn open(bytes: &[u8], id: u64, offset: u64, kind: FrameKind) -> Result<Vec<u8>> {
    let bad = |what: &str| Error::corrupt(format!("a segment's block {what}"), format!("offset {offset}"));
    let (header, contents) = Header::read_from_prefix(bytes).map_err(|_| bad("is too short"))?;
    if checksum(seed(id, offset), &bytes[4..]) != header.checksum.get()
        && !weakened("segment-block-unchecked")
    {
        return Err(bad("does not match its checksum; restore the segment from a backup"));
    }
    if header.kind != kind as u8 {
        return Err(bad("is of another kind than expected"));
    }
    let length = header.length.get() as usize;
    match header.codec {
        0 if length == contents.len() => Ok(contents.to_vec()),
        1 if length <= MAX_BLOCK_BYTES && length as u64 <= contents.len() as u64 * MAX_EXPANSION => {
            let mut raw = vec![0; length];
            match lz4_flex::block::decompress_into(contents, &mut raw) {
                Ok(written) if written == length => Ok(raw),
                _ => Err(bad("does not decompress to its length")),
            }
        }
        0 | 1 => Err(bad("says a length that it can't have")),
        codec => Err(Error::unsupported(format!(
            "a segment's block is packed by method {codec}; use a newer version"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_packed_or_not() {
        let noise: Vec<u8> = (0..500u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for contents in [&b""[..], b"x", &[7; 9_000], &noise] {
            let mut out = b"before".to_vec();
            let handle = put(&mut out, 5, FrameKind::Data, contents, true).unwrap();
            assert_eq!(handle.end(), Some(out.len() as u64));
            assert_eq!(open(&out[6..], 5, 6, FrameKind::Data).unwrap(), contents);
        }
    }

    #[test]
    fn a_packed_frame_is_these_bytes() {
        // LZ4 by hand: a literal, a match of 14 at distance 1, and five last literals.
        let packed = b"\x1aa\x01\x00\x50aaaaa";
        let mut bytes = b"\0\0\0\0\x14\0\0\0\x01\x01\0\0".to_vec();
        bytes.extend_from_slice(packed);
        let sum = checksum(5 ^ 512, &bytes[4..]).to_le_bytes();
        bytes[..4].copy_from_slice(&sum);
        assert_eq!(open(&bytes, 5, 512, FrameKind::Data).unwrap(), [b'a'; 20]);
    }

    #[test]
    fn a_block_of_another_place_segment_or_kind_is_refused() {
        let mut out = Vec::new();
        put(&mut out, 5, FrameKind::Data, b"contents", false).unwrap();
        assert!(open(&out, 5, 0, FrameKind::Data).is_ok());
        assert!(open(&out, 6, 0, FrameKind::Data).is_err());
        assert!(open(&out, 5, 512, FrameKind::Data).is_err());
        assert!(open(&out, 5, 0, FrameKind::Index).is_err());
    }

    #[test]
    fn a_length_that_can_not_be_is_refused_before_anything_is_allocated() {
        for length in [0, 7, 9, 100_000, u32::MAX] {
            for codec in [0, 1, 2] {
                let header =
                    Header { checksum: 0.into(), length: length.into(), codec, kind: 1, reserved: 0.into() };
                let mut bytes = header.as_bytes().to_vec();
                bytes.extend_from_slice(b"\x0f4567890");
                let sum = checksum(seed(5, 0), &bytes[4..]).to_le_bytes();
                bytes[..4].copy_from_slice(&sum);
                let error = open(&bytes, 5, 0, FrameKind::Data).unwrap_err();
                let alarmed = error.message().contains("a length that it can't have");
                assert_eq!(
                    alarmed,
                    codec == 0 || codec == 1 && length > 8 * 255,
                    "length {length}, codec {codec}"
                );
            }
        }
    }
}
