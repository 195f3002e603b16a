//! What says that a database was published: a row of its system tree, and an object beside its segments.
//!
//! ```text
//! manifest   magic "DSQP" | format u16 | page size u32 | number u64 | moment u64 | database 16
//!            | varint length, meta blob of the pages | count, image parts | checksum u32
//! ```

use std::collections::{BTreeMap, BTreeSet};

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::{Error, ErrorKind, Result, Timestamp, checksum};
use dosql_btree::{PageSnapshot, Root};
use dosql_lsm::SegmentStore;

use super::image::ImagePart;
use super::prefix_of;

const MAGIC: &[u8; 4] = b"DSQP";
const FORMAT: u16 = 1;
/// What stands between the prefix of a database and the number of a published point.
pub(super) const MANIFEST: &str = "manifest-";
/// A manifest is read whole; no longer one is believed.
const MAX_MANIFEST: u64 = 64 << 20;

/// A published point, as its row has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Published {
    pub(crate) at: Timestamp,
    pub(super) images: Vec<String>,
    pub(super) segments: BTreeSet<String>,
}

/// All of them by number. Changed under the committer only.
pub(crate) type AllPublished = BTreeMap<u64, Published>;

impl Published {
    const PREFIX: &[u8] = b"p";

    pub(crate) fn key(number: u64) -> Vec<u8> {
        [Published::PREFIX, &number.to_be_bytes()].concat()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.at.as_micros());
        put_varint(&mut out, self.images.len() as u64);
        self.images.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
        put_varint(&mut out, self.segments.len() as u64);
        self.segments.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Published> {
        let mut reader = Reader::new(bytes, "the row of a published point");
        let at = Timestamp::from_micros(reader.varint()?);
        let mut published = Published { at, ..Published::default() };
        for _ in 0..reader.varint()? {
            published.images.push(reader.str()?.to_owned());
        }
        for _ in 0..reader.varint()? {
            published.segments.insert(reader.str()?.to_owned());
        }
        reader.finish()?;
        Ok(published)
    }

    pub(crate) fn load(pages: &PageSnapshot, system: Root) -> Result<AllPublished> {
        let mut all = AllPublished::new();
        let mut cursor = pages.cursor(system);
        let mut found = cursor.seek(Published::PREFIX)?;
        while found && let Some(number) = cursor.key().strip_prefix(Published::PREFIX) {
            let wrong = |_| Error::corrupt("the key of a published point is not well formed", "system tree");
            let number = u64::from_be_bytes(number.try_into().map_err(wrong)?);
            all.insert(number, Published::decode(cursor.value()?)?);
            found = cursor.next()?;
        }
        Ok(all)
    }

    /// The objects that it keeps from being deleted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.images.iter().chain(&self.segments)
    }
}

/// What a manifest in the store says.
#[derive(Debug, PartialEq)]
pub(super) struct Manifest {
    pub(super) page_size: usize,
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) database: [u8; 16],
    pub(super) meta: Vec<u8>,
    pub(super) parts: Vec<ImagePart>,
}

impl Manifest {
    pub(super) fn name(database: &[u8; 16], number: u64) -> String {
        format!("{}{MANIFEST}{number:020}", prefix_of(database))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&(self.page_size as u32).to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.at.as_micros().to_le_bytes());
        out.extend_from_slice(&self.database);
        put_bytes(&mut out, &self.meta);
        put_varint(&mut out, self.parts.len() as u64);
        self.parts.iter().for_each(|part| part.encode(&mut out));
        let sum = checksum(0, &out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], name: &str) -> Result<Manifest> {
        let wrong = |what: &str| Error::corrupt(what, name);
        let body = bytes.len().checked_sub(4).ok_or_else(|| wrong("the manifest ends too early"))?;
        if checksum(0, &bytes[..body]).to_le_bytes() != bytes[body..] {
            return Err(wrong("the checksum of the manifest does not match"));
        }
        let mut reader = Reader::new(&bytes[..body], "a published manifest");
        if reader.take(4)? != MAGIC {
            return Err(wrong("the object is no manifest"));
        }
        let format = reader.u16()?;
        if format > FORMAT {
            let message = format!(
                "the manifest has format {format}, this version reads up to {FORMAT}; use a newer one"
            );
            return Err(Error::unsupported(message));
        }
        let page_size = reader.u32()? as usize;
        let (number, at) = (reader.u64()?, Timestamp::from_micros(reader.u64()?));
        let mut database = [0; 16];
        database.copy_from_slice(reader.take(16)?);
        let meta = reader.bytes()?.to_vec();
        let mut parts = Vec::new();
        let mut next = 0;
        for _ in 0..reader.varint()? {
            let part = ImagePart::decode(&mut reader)?;
            next = part.after(next).ok_or_else(|| wrong("the manifest names impossible pages"))?;
            parts.push(part);
        }
        reader.finish()?;
        if !page_size.is_power_of_two() || !(4 << 10..=64 << 10).contains(&page_size) {
            return Err(wrong("the manifest names a page size that there is not"));
        }
        Ok(Manifest { page_size, number, at, database, meta, parts })
    }

    /// Reads the whole object, whose length nobody knows: doubles what it asks for until that is too much.
    pub(super) fn read(store: &dyn SegmentStore, name: &str) -> Result<Manifest> {
        let there = |len: u64| match store.read(name, 0..len) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        };
        let (mut low, mut high) = (0u64, 4096u64);
        while there(high)? {
            (low, high) = (high, high * 2);
            if high > MAX_MANIFEST {
                return Err(Error::corrupt("a manifest is too long", name));
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if there(middle)? { low = middle } else { high = middle }
        }
        Manifest::decode(&store.read(name, 0..low)?, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_and_the_row_of_a_point_read_back_and_damage_is_noticed() {
        let manifest = Manifest {
            page_size: 8192,
            number: 3,
            at: Timestamp::from_micros(77),
            database: [9; 16],
            meta: vec![1, 2, 3],
            parts: Vec::new(),
        };
        let bytes = manifest.encode();
        assert_eq!(&bytes[..6], b"DSQP\x01\0");
        assert_eq!(Manifest::decode(&bytes, "m").unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Manifest::decode(&damaged, "m").is_err(), "byte {at}");
            assert!(Manifest::decode(&bytes[..at], "m").is_err(), "{at} bytes");
        }
        let row = Published {
            at: Timestamp::from_micros(300),
            images: vec!["i".to_owned()],
            segments: BTreeSet::from(["s".to_owned()]),
        };
        assert_eq!(row.encode(), b"\xAC\x02\x01\x01i\x01\x01s");
        assert_eq!(Published::decode(&row.encode()).unwrap(), row);
        assert!(Published::decode(&row.encode()[..4]).is_err());
    }
}
