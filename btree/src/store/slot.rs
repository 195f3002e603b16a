//! The two meta slots at the start of a page file.
//!
//! ```text
//! 0                page_size        2 * page_size     3 * page_size
//! | slot 0         | slot 1         | page 1          | page 2 ...     page id lies at (id + 1) * page_size
//!
//! slot:  0 magic, 16 bytes | 16 format u32 | 20 page_size u32 | 24 sequence u64 | 32 page_count u64 | 40 meta_len u32
//!       44 flags u32 (1: never committed) | 48 twelve zero bytes | 60 crc32 | 64 meta
//! ```
//!
//! A slot takes at most half of its page; in the other half may lie a copy of it. A process that did not write the current slot itself
//! can't know that it is durable: an earlier sync may have failed, and the system shows what it has given up on writing. So before
//! it writes the other slot it makes the current one durable in the half that does not hold it, and puts the half that does at no
//! risk. Its next commit zeroes copies before it writes a slot again.
//!
//! Little-endian. `crc32` covers bytes 0..60 and then the meta, from its last byte to its first. The meta may end in a CRC of its own,
//! as the engine's does, and a CRC that runs into such bytes in their order comes out the same whatever they say: half of an
//! older meta, left by a torn write, would pass. Format 1 had the meta in its order, and is read still. `page_count` is the highest page id ever written. The slot with the
//! higher sequence is the state of the store; a commit writes the other one.

use dosql_base::mutant::weakened;
use dosql_base::{Checksum, Code, Error, ErrorKind, Result};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{MAX_PAGE_SIZE, MIN_PAGE_SIZE};

pub(super) const MAGIC: [u8; 16] = *b"dosql page file\n";
/// The version of the file format.
pub(super) const FORMAT: u32 = 2;
/// The version whose checksum runs over the meta in its order.
const FORWARD: u32 = 1;
/// Flag: nothing was ever committed.
pub(super) const EMPTY: u32 = 1;
/// The length of a slot without its meta.
pub(super) const SLOT_LEN: usize = 64;

/// What a slot begins with.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct SlotHeader {
    pub(super) magic: [u8; 16],
    pub(super) format: U32,
    pub(super) page_size: U32,
    pub(super) sequence: U64,
    pub(super) page_count: U64,
    pub(super) meta_len: U32,
    pub(super) flags: U32,
    pub(super) zero: [u8; 12],
    pub(super) crc: U32,
}

const _: () = assert!(size_of::<SlotHeader>() == SLOT_LEN);

/// A whole slot that was found to be sound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) which: usize,
    pub(super) page_size: usize,
    pub(super) sequence: u64,
    pub(super) page_count: u64,
    pub(super) meta: Option<Vec<u8>>,
    /// Whether it was read from the copy beside its place.
    pub(super) in_copy: bool,
}

fn checksum(header: &SlotHeader, meta: &[u8]) -> u32 {
    let mut sum = Checksum::new(0);
    sum.update(&header.as_bytes()[..SLOT_LEN - 4]);
    if header.format.get() == FORWARD || weakened("meta-sum-blind") {
        sum.update(meta);
    } else {
        let backward: Vec<u8> = meta.iter().rev().copied().collect();
        sum.update(&backward);
    }
    sum.finish()
}

/// The bytes of a slot.
pub(super) fn encode(page_size: usize, sequence: u64, page_count: u64, meta: Option<&[u8]>) -> Vec<u8> {
    let bytes = meta.unwrap_or_default();
    let mut header = SlotHeader {
        magic: MAGIC,
        format: U32::new(FORMAT),
        page_size: U32::new(page_size as u32),
        sequence: U64::new(sequence),
        page_count: U64::new(page_count),
        meta_len: U32::new(bytes.len() as u32),
        flags: U32::new(if meta.is_none() { EMPTY } else { 0 }),
        zero: [0; 12],
        crc: U32::ZERO,
    };
    header.crc = U32::new(checksum(&header, bytes));
    let mut slot = header.as_bytes().to_vec();
    slot.extend_from_slice(bytes);
    slot
}

/// Where the copy of a slot lies.
pub(super) fn copy_place(which: usize, page_size: usize) -> usize {
    which * page_size + page_size / 2
}

enum Read {
    /// No slot at all.
    Foreign,
    /// The magic is right, something else is not.
    Broken,
    /// Sound, of a newer format.
    Newer(u32),
    Sound(Found),
}

/// Reads the slot at the start of `bytes`; for slot 1 that place implies the page size.
fn read(bytes: &[u8], which: usize, implied: Option<usize>) -> Read {
    let Ok((header, rest)) = SlotHeader::ref_from_prefix(bytes) else { return Read::Foreign };
    if header.magic != MAGIC {
        return Read::Foreign;
    }
    let Some(meta) = rest.get(..header.meta_len.get() as usize) else { return Read::Broken };
    if checksum(header, meta) != header.crc.get() && !weakened("meta-slot-unchecked") {
        return Read::Broken;
    }
    if header.format.get() > FORMAT {
        return Read::Newer(header.format.get());
    }
    let page_size = header.page_size.get() as usize;
    let size_is_sound = page_size.is_power_of_two() && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size);
    let empty = header.flags.get() == EMPTY;
    if !size_is_sound
        || implied.is_some_and(|implied| implied != page_size)
        || header.flags.get() & !EMPTY != 0
    {
        return Read::Broken;
    }
    Read::Sound(Found {
        which,
        page_size,
        sequence: header.sequence.get(),
        page_count: header.page_count.get(),
        meta: (!empty).then(|| meta.to_vec()),
        in_copy: false,
    })
}

/// Reads what may be the copy of a slot.
fn read_copy(bytes: &[u8], which: usize, page_size: usize) -> Read {
    match read(bytes, which, Some(page_size)) {
        Read::Sound(found) => Read::Sound(Found { in_copy: true, ..found }),
        other => other,
    }
}

fn is_newer(found: &Found, best: &Found) -> bool {
    found.sequence > best.sequence || weakened("meta-sequence-ignored")
}

/// The newest sound slot in `head`, the first 128 KiB of a file.
///
/// # Errors
/// `Corrupt` where neither slot is sound, with code `NotADb` where there is no trace of one; `Unsupported` for a newer
/// format.
pub(super) fn newest(head: &[u8]) -> Result<Found> {
    let mut reads = vec![read(head, 0, None)];
    let mut page_size = MIN_PAGE_SIZE;
    while page_size <= MAX_PAGE_SIZE {
        let at = |place: usize| head.get(place..).unwrap_or_default();
        reads.push(read(at(page_size), 1, Some(page_size)));
        reads.extend([0, 1].map(|which| read_copy(at(copy_place(which, page_size)), which, page_size)));
        page_size *= 2;
    }
    let broken = reads.iter().any(|read| matches!(read, Read::Broken));
    let mut best: Option<Found> = None;
    for read in reads {
        match read {
            Read::Newer(format) => {
                return Err(Error::unsupported(format!(
                    "the page file has format {format}, newer than {FORMAT}: use a newer dosql"
                )));
            }
            Read::Sound(found) if best.as_ref().is_none_or(|best| is_newer(&found, best)) => {
                best = Some(found);
            }
            _ => {}
        }
    }
    best.ok_or_else(|| {
        if broken {
            let what = "both meta slots of the page file are damaged; restore from a backup";
            return Error::corrupt(what, "byte 0");
        }
        Error::new(ErrorKind::Corrupt, Code::NotADb, "the file is not a dosql page file").at("byte 0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_its_bytes() {
        let bytes = encode(8192, 2, 3, Some(b"meta"));
        let mut golden =
            b"dosql page file\n\x02\0\0\0\0\x20\0\0\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04".to_vec();
        golden.resize(60, 0);
        assert_eq!(bytes[..60], golden);
        assert_eq!(&bytes[64..], b"meta");
        let mut crc = Checksum::new(0);
        crc.update(&golden);
        crc.update(b"atem");
        assert_eq!(bytes[60..64], crc.finish().to_le_bytes());
    }

    #[test]
    fn the_newer_sound_slot_wins_and_a_broken_one_is_passed_over() {
        let mut head = vec![0; 128 << 10];
        head[..68].copy_from_slice(&encode(8192, 4, 3, Some(b"four")));
        head[8192..8260].copy_from_slice(&encode(8192, 5, 3, Some(b"five")));
        assert_eq!(newest(&head).unwrap().meta.as_deref(), Some(&b"five"[..]));
        for at in 8192..8260 {
            head[at] ^= 1;
            assert_eq!(newest(&head).unwrap().meta.as_deref(), Some(&b"four"[..]), "byte {at}");
            head[at] ^= 1;
        }
        head[0] ^= 1;
        assert_eq!(newest(&head).unwrap().sequence, 5);
        head[8200] ^= 1;
        assert_eq!(newest(&head).unwrap_err().code(), Code::NotADb);
    }

    #[test]
    fn a_copy_counts_where_its_slot_is_broken_or_older() {
        let mut head = vec![0; 128 << 10];
        let mut put = |place: usize, slot: &[u8]| head[place..place + slot.len()].copy_from_slice(slot);
        put(0, &encode(8192, 4, 3, Some(b"four")));
        put(8192, &encode(8192, 3, 3, Some(b"three")));
        put(copy_place(1, 8192), &encode(8192, 5, 3, Some(b"five")));
        let found = newest(&head).unwrap();
        assert_eq!((found.which, found.sequence, found.in_copy), (1, 5, true));
        // Beside a slot that holds the same it is not needed, and at another page size it is none.
        head[8192..8260].copy_from_slice(&encode(8192, 5, 3, Some(b"five")));
        assert!(!newest(&head).unwrap().in_copy);
        head[8192..8260].fill(0);
        head[copy_place(1, 8192)..][..68].copy_from_slice(&encode(16_384, 5, 3, Some(b"five")));
        assert_eq!(newest(&head).unwrap().sequence, 4);
    }

    #[test]
    fn a_slot_of_which_a_part_is_older_is_broken_even_where_the_meta_has_a_checksum_of_its_own() {
        let slot = |sequence: u64, text: &[u8]| {
            let mut meta = text.to_vec();
            meta.extend_from_slice(&dosql_base::checksum(0, text).to_le_bytes());
            let mut head = encode(4096, sequence, 3, Some(&meta));
            head.resize(8192, 0);
            head
        };
        let (old, new) = (slot(3, b"what the older one says"), slot(5, b"and what the newer says"));
        for cut in 0..100 {
            for torn in [[&new[..cut], &old[cut..]].concat(), [&old[..cut], &new[cut..]].concat()] {
                let whole = torn == old || torn == new;
                assert_eq!(newest(&torn).is_ok(), whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_slot_of_format_1_is_read() {
        let mut slot = encode(4096, 7, 0, Some(b"meta"));
        slot[16] = 1;
        let sum = dosql_base::checksum(dosql_base::checksum(0, &slot[..60]), b"meta");
        slot[60..64].copy_from_slice(&sum.to_le_bytes());
        slot.resize(8192, 0);
        assert_eq!(newest(&slot).unwrap().meta.as_deref(), Some(&b"meta"[..]));
    }

    #[test]
    fn a_newer_format_is_unsupported_and_two_broken_slots_are_corrupt() {
        let mut head = encode(4096, 1, 0, None);
        head[30] ^= 1;
        assert_eq!(newest(&head).unwrap_err().code(), Code::Corrupt);
        let mut header = *SlotHeader::ref_from_prefix(&encode(4096, 1, 0, None)).unwrap().0;
        header.format = U32::new(FORMAT + 1);
        header.crc = U32::new(checksum(&header, b""));
        assert_eq!(newest(header.as_bytes()).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
