//! The engine's own rows, in the system tree, and the blob through which it is found.
//!
//! ```text
//! meta   magic "DSQL" | format u16 | flags u16 | database id 16 | checkpoint Timestamp u64
//!        | log position u64 | log chain u32 | log generation u32 | system root | checksum u32
//! "b" | branch u32 BE                   branch row   name | fork | root | head | history floor | more, below
//! "h" | branch u32 BE | number u64 BE   history run  root | first start | last end | entries | bytes | segments, below
//! "l" | branch u32 BE | number u64 BE   live segment level | segment (see [`crate::tier::segment`])
//! "t" | name, in small letters          tag          name | branch | moment
//! ```
//!
//! Integers of the meta blob are little-endian; those of the rows are varints, those of row keys big-endian, so that they
//! order. The checksum covers what is before it.

use std::sync::Arc;

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp, checksum};
use dosql_btree::{PageWriter, Root};
use dosql_wal::LogPosition;

use crate::tier::Tier;
use crate::tier::segment::Segment;

const MAGIC: &[u8; 4] = b"DSQL";
/// The version of everything that the engine itself stores: the meta blob, its rows, its history.
pub(crate) const FORMAT: u16 = 4;
/// The version whose meta blob has no generation of the log.
const WITHOUT_GENERATION: u16 = 1;
/// The branch that every database has.
pub(crate) const MAIN_BRANCH: u32 = 0;
/// Its name.
pub(crate) const MAIN: &str = "main";

/// What a checkpoint leaves beside its pages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Meta {
    /// Random, made once: tells databases apart.
    pub(crate) database: [u8; 16],
    /// No commit after this checkpoint is at or below it.
    pub(crate) checkpoint: Timestamp,
    /// The first record to replay.
    pub(crate) log: LogPosition,
    /// What that record chains to.
    pub(crate) chain: u32,
    /// No record from there on is of a lower generation.
    pub(crate) generation: u32,
    /// The system tree.
    pub(crate) system: Root,
}

/// Whether a meta blob that was decoded is of an older format than is written now.
pub(crate) fn is_outdated(blob: &[u8]) -> bool {
    blob.get(4..6).is_some_and(|format| u16::from_le_bytes([format[0], format[1]]) < FORMAT)
}

impl Meta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(84);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&0u16.to_le_bytes());
        out.extend_from_slice(&self.database);
        out.extend_from_slice(&self.checkpoint.as_micros().to_le_bytes());
        out.extend_from_slice(&self.log.get().to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.system.to_bytes());
        let sum = checksum(0, &out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Meta> {
        let wrong = |what: &str| Error::corrupt(what, "the meta blob of the page store");
        let mut reader = Reader::new(bytes, "the meta blob");
        if reader.take(4)? != MAGIC {
            let message = "the page store holds no dosql database; is it another program's file?";
            return Err(Error::new(ErrorKind::InvalidInput, Code::NotADb, message));
        }
        let (format, flags) = (reader.u16()?, reader.u16()?);
        if format > FORMAT || flags != 0 {
            return Err(Error::unsupported(format!(
                "the database has format {format} (flags {flags:#x}), this version reads up to {FORMAT}; use a newer one"
            )));
        }
        let body = bytes.len().checked_sub(4).ok_or_else(|| wrong("the meta blob ends too early"))?;
        if checksum(0, &bytes[..body]).to_le_bytes() != bytes[body..] {
            return Err(wrong("the checksum of the meta blob does not match"));
        }
        let mut database = [0; 16];
        database.copy_from_slice(reader.take(16)?);
        let checkpoint = Timestamp::from_micros(reader.u64()?);
        let log = LogPosition::new(reader.u64()?);
        let chain = reader.u32()?;
        let generation = if format == WITHOUT_GENERATION { 0 } else { reader.u32()? };
        let system = Root::from_bytes(reader.take(Root::LEN)?)?;
        reader.u32()?;
        reader.finish()?;
        Ok(Meta { database, checkpoint, log, chain, generation, system })
    }
}

/// A branch: its roots and where it forked.
///
/// ```text
/// varint length, name | 0, or 1 | parent | fork Timestamp | root 32 | head Timestamp | floor Timestamp
/// and of a branch that is not plain main
/// flags: 1 protected, 2 dropped | created Timestamp | expires Timestamp, 0: never | count, and for each merge: from branch | up to
/// Timestamp | by commit Timestamp
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BranchRow {
    pub(crate) name: String,
    /// The branch that it forked from, and when; `None` for main.
    pub(crate) fork: Option<(u32, Timestamp)>,
    /// Its tree of current rows.
    pub(crate) root: Root,
    /// Its last commit.
    pub(crate) head: Timestamp,
    /// Versions that ended at or before this may be gone from its history.
    pub(crate) floor: Timestamp,
    /// When it was made; zero for main.
    pub(crate) created: Timestamp,
    /// From when on it is refused and dropped; zero for never.
    pub(crate) expires: Timestamp,
    /// Whether only merges may change it.
    pub(crate) protected: bool,
    /// Whether it is only kept for others that need it.
    pub(crate) dropped: bool,
    /// What was merged into it, at most one of each branch.
    pub(crate) merged: Vec<Merged>,
}

/// A merge: everything of another branch up to a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Merged {
    pub(crate) from: u32,
    pub(crate) upto: Timestamp,
    /// The commit of the merge.
    pub(crate) at: Timestamp,
}

impl BranchRow {
    pub(crate) const PREFIX: &[u8] = b"b";

    /// The number of a branch, from the key of its row (past its prefix).
    pub(crate) fn number(key: &[u8]) -> Result<u32> {
        let wrong = |_| Error::corrupt("the key of a branch row is not well formed", "system tree");
        Ok(u32::from_be_bytes(key.try_into().map_err(wrong)?))
    }

    pub(crate) fn key(branch: u32) -> Vec<u8> {
        let mut key = vec![b'b'];
        key.extend_from_slice(&branch.to_be_bytes());
        key
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.name.as_bytes());
        match self.fork {
            None => out.push(0),
            Some((parent, at)) => {
                out.push(1);
                put_varint(&mut out, u64::from(parent));
                put_varint(&mut out, at.as_micros());
            }
        }
        out.extend_from_slice(&self.root.to_bytes());
        put_varint(&mut out, self.head.as_micros());
        put_varint(&mut out, self.floor.as_micros());
        if *self == BranchRow::main(self.root, self.head, self.floor) {
            return out;
        }
        out.push(u8::from(self.protected) | u8::from(self.dropped) << 1);
        put_varint(&mut out, self.created.as_micros());
        put_varint(&mut out, self.expires.as_micros());
        put_varint(&mut out, self.merged.len() as u64);
        for merge in &self.merged {
            put_varint(&mut out, u64::from(merge.from));
            put_varint(&mut out, merge.upto.as_micros());
            put_varint(&mut out, merge.at.as_micros());
        }
        out
    }

    /// The row of main where nothing was set.
    pub(crate) fn main(root: Root, head: Timestamp, floor: Timestamp) -> BranchRow {
        BranchRow {
            name: MAIN.to_owned(),
            fork: None,
            root,
            head,
            floor,
            created: Timestamp::ZERO,
            expires: Timestamp::ZERO,
            protected: false,
            dropped: false,
            merged: Vec::new(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<BranchRow> {
        let mut reader = Reader::new(bytes, "a branch row");
        let name = reader.str()?.to_owned();
        let fork = match reader.u8()? {
            0 => None,
            1 => Some((reader.varint_u32()?, Timestamp::from_micros(reader.varint()?))),
            kind => return Err(Error::corrupt(format!("a branch row has fork kind {kind}"), "system tree")),
        };
        let root = Root::from_bytes(reader.take(Root::LEN)?)?;
        let head = Timestamp::from_micros(reader.varint()?);
        let floor = Timestamp::from_micros(reader.varint()?);
        let mut row = BranchRow { name, fork, ..BranchRow::main(root, head, floor) };
        if !reader.rest().is_empty() {
            let flags = reader.u8()?;
            if flags > 3 {
                return Err(Error::corrupt(format!("a branch row has flags {flags}"), "system tree"));
            }
            (row.protected, row.dropped) = (flags & 1 != 0, flags & 2 != 0);
            row.created = Timestamp::from_micros(reader.varint()?);
            row.expires = Timestamp::from_micros(reader.varint()?);
            for _ in 0..reader.varint()? {
                let from = reader.varint_u32()?;
                let upto = Timestamp::from_micros(reader.varint()?);
                row.merged.push(Merged { from, upto, at: Timestamp::from_micros(reader.varint()?) });
            }
        }
        reader.finish()?;
        Ok(row)
    }
}

/// Superseded versions that nobody changes any more.
///
/// ```text
/// root 32 | first start | last end | entries | bytes         a tree
/// and where the root is an empty one
/// | count | segment, for each                                segments
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// Its place among the runs of its branch: a greater number holds later ends.
    pub(crate) number: u64,
    pub(crate) place: Place,
    /// The least start of any version in it.
    pub(crate) first_start: Timestamp,
    /// The greatest end.
    pub(crate) last_end: Timestamp,
    pub(crate) entries: u64,
    /// Bytes of keys and values.
    pub(crate) bytes: u64,
}

/// Where the versions of a run lie.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// In a tree of pages: key as in [`crate::history::key`], entry version = end, value = the value.
    Tree(Root),
    /// In segments, the keys of each below those of the next.
    Segments(Arc<[Arc<Segment>]>),
}

impl Run {
    /// Whether it may hold a version that was current at `at`.
    pub(crate) fn spans(&self, at: Timestamp) -> bool {
        self.first_start <= at && self.last_end > at
    }

    pub(crate) fn prefix(branch: u32) -> Vec<u8> {
        let mut key = vec![b'h'];
        key.extend_from_slice(&branch.to_be_bytes());
        key
    }

    pub(crate) fn key(branch: u32, number: u64) -> Vec<u8> {
        let mut key = Run::prefix(branch);
        key.extend_from_slice(&number.to_be_bytes());
        key
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let root = match &self.place {
            Place::Tree(root) => *root,
            Place::Segments(_) => Root::EMPTY,
        };
        let mut out = root.to_bytes().to_vec();
        for field in [self.first_start.as_micros(), self.last_end.as_micros(), self.entries, self.bytes] {
            put_varint(&mut out, field);
        }
        if let Place::Segments(segments) = &self.place {
            put_varint(&mut out, segments.len() as u64);
            segments.iter().for_each(|segment| segment.encode(&mut out));
        }
        out
    }

    /// The trees of pages that belong to it.
    pub(crate) fn roots(&self) -> Vec<Root> {
        match &self.place {
            Place::Tree(root) => vec![*root],
            Place::Segments(segments) => segments.iter().map(|segment| segment.tail).collect(),
        }
    }

    /// The same with one of its trees elsewhere: that of this place in [`Run::roots`].
    pub(crate) fn with_root(&self, n: usize, root: Root) -> Run {
        let moved = |(at, segment): (usize, &Arc<Segment>)| {
            if at == n { Arc::new(segment.with_tail(root)) } else { Arc::clone(segment) }
        };
        let place = match &self.place {
            Place::Tree(_) => Place::Tree(root),
            Place::Segments(segments) => Place::Segments(segments.iter().enumerate().map(moved).collect()),
        };
        Run { place, ..self.clone() }
    }

    /// The segments that it lies in.
    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        match &self.place {
            Place::Tree(_) => &[],
            Place::Segments(segments) => segments,
        }
    }

    /// From the row's key (past its prefix) and value.
    pub(crate) fn decode(number: &[u8], bytes: &[u8], tier: &Arc<Tier>) -> Result<Run> {
        let wrong = |_| Error::corrupt("the key of a history run is not well formed", "system tree");
        let number = u64::from_be_bytes(number.try_into().map_err(wrong)?);
        let mut reader = Reader::new(bytes, "a history run row");
        let root = Root::from_bytes(reader.take(Root::LEN)?)?;
        let first_start = Timestamp::from_micros(reader.varint()?);
        let last_end = Timestamp::from_micros(reader.varint()?);
        let (entries, bytes) = (reader.varint()?, reader.varint()?);
        let place = if root.is_empty() && !reader.rest().is_empty() {
            let count = reader.varint()?;
            let segments = (0..count).map(|_| Segment::decode(&mut reader, tier).map(Arc::new));
            Place::Segments(segments.collect::<Result<_>>()?)
        } else {
            Place::Tree(root)
        };
        reader.finish()?;
        Ok(Run { number, place, first_start, last_end, entries, bytes })
    }
}

/// A tag: a name of a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TagRow {
    pub(crate) name: String,
    pub(crate) branch: u32,
    pub(crate) at: Timestamp,
}

impl TagRow {
    pub(crate) const PREFIX: &[u8] = b"t";

    pub(crate) fn key(name: &str) -> Vec<u8> {
        [TagRow::PREFIX, name.to_ascii_lowercase().as_bytes()].concat()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.name.as_bytes());
        put_varint(&mut out, u64::from(self.branch));
        put_varint(&mut out, self.at.as_micros());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<TagRow> {
        let mut reader = Reader::new(bytes, "a tag row");
        let name = reader.str()?.to_owned();
        let branch = reader.varint_u32()?;
        let at = Timestamp::from_micros(reader.varint()?);
        reader.finish()?;
        Ok(TagRow { name, branch, at })
    }
}

/// A change of a row of the system tree, as a note in the record of a commit:
///
/// ```text
/// 1 | varint length, key | 0: removed, or 1 | varint length, value
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SystemChange {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

impl SystemChange {
    const KIND: u8 = 1;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![SystemChange::KIND];
        put_bytes(&mut out, &self.key);
        out.push(u8::from(self.value.is_some()));
        if let Some(value) = &self.value {
            put_bytes(&mut out, value);
        }
        out
    }

    pub(crate) fn decode(note: &[u8]) -> Result<SystemChange> {
        let mut reader = Reader::new(note, "a note in the log");
        let kind = reader.u8()?;
        if kind != SystemChange::KIND {
            return Err(Error::unsupported(format!(
                "the log holds a note of kind {kind}, which this version does not know; use a newer one"
            )));
        }
        let key = reader.bytes()?.to_vec();
        let value = match reader.u8()? {
            0 => None,
            1 => Some(reader.bytes()?.to_vec()),
            other => return Err(Error::corrupt(format!("a note has change kind {other}"), "log")),
        };
        reader.finish()?;
        Ok(SystemChange { key, value })
    }

    /// Makes the change.
    pub(crate) fn apply(
        &self,
        writer: &mut PageWriter<'_>,
        system: &mut Root,
        timestamp: Timestamp,
    ) -> Result<()> {
        match &self.value {
            Some(value) => writer.set(system, &self.key, timestamp, value).map(|_| ()),
            None => writer.remove(system, &self.key).map(|_| ()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    /// The tier of a database without segments.
    fn tier() -> Arc<Tier> {
        let (clock, entropy) = (dosql_base::ManualClock::at(at(1)), dosql_base::SeededEntropy::new(7));
        let env = dosql_base::Env::new(Arc::new(clock), Arc::new(entropy));
        Tier::new(Arc::new(dosql_lsm::MemorySegmentStore::new()), [7; 16], 1 << 20, env)
    }

    fn root() -> Root {
        let mut bytes = [0; Root::LEN];
        (bytes[0], bytes[8], bytes[16], bytes[24]) = (9, 3, 200, 2);
        Root::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_meta_blob_is_these_bytes_and_any_other_is_refused() {
        let meta = Meta {
            database: *b"0123456789abcdef",
            checkpoint: at(0x0102),
            log: LogPosition::new(0x0304),
            chain: 0x0506_0708,
            generation: 0x090A,
            system: root(),
        };
        let bytes = meta.encode();
        let mut golden = b"DSQL\x04\0\0\x000123456789abcdef\x02\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\0\0".to_vec();
        golden.extend_from_slice(&[8, 7, 6, 5, 0x0A, 9, 0, 0]);
        golden.extend_from_slice(&root().to_bytes());
        golden.extend_from_slice(&checksum(0, &golden).to_le_bytes());
        assert_eq!(bytes, golden);
        assert_eq!(bytes.len(), 84);
        assert_eq!(Meta::decode(&bytes).unwrap(), meta);
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 4;
            assert!(Meta::decode(&damaged).is_err(), "byte {index}");
            assert!(Meta::decode(&bytes[..index]).is_err(), "{index} bytes");
        }
    }

    #[test]
    fn a_meta_blob_of_format_1_is_read_without_a_generation() {
        let mut old = b"DSQL\x01\0\0\x000123456789abcdef\x02\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\0\0".to_vec();
        old.extend_from_slice(&[8, 7, 6, 5]);
        old.extend_from_slice(&root().to_bytes());
        old.extend_from_slice(&checksum(0, &old).to_le_bytes());
        let meta = Meta::decode(&old).unwrap();
        assert_eq!((meta.chain, meta.generation, meta.system), (0x0506_0708, 0, root()));
    }

    #[test]
    fn a_meta_blob_of_format_2_is_as_todays() {
        let mut old = b"DSQL\x02\0\0\x000123456789abcdef\x02\x01\0\0\0\0\0\0\x04\x03\0\0\0\0\0\0".to_vec();
        old.extend_from_slice(&[8, 7, 6, 5, 0x0A, 9, 0, 0]);
        old.extend_from_slice(&root().to_bytes());
        old.extend_from_slice(&checksum(0, &old).to_le_bytes());
        let meta = Meta::decode(&old).unwrap();
        assert_eq!((meta.chain, meta.generation, meta.system), (0x0506_0708, 0x090A, root()));
        assert!(is_outdated(&old) && !is_outdated(&meta.encode()) && !is_outdated(&[]));
    }

    #[test]
    fn a_newer_format_is_unsupported_and_another_magic_is_no_database() {
        let meta = Meta {
            database: [1; 16],
            checkpoint: at(1),
            log: LogPosition::ZERO,
            chain: 0,
            generation: 0,
            system: Root::EMPTY,
        };
        let mut newer = meta.encode();
        newer[4] = FORMAT as u8 + 1;
        assert_eq!(Meta::decode(&newer).unwrap_err().kind(), ErrorKind::Unsupported);
        let mut other = meta.encode();
        other[0] = b'X';
        assert_eq!(Meta::decode(&other).unwrap_err().code(), Code::NotADb);
    }

    #[test]
    fn a_branch_row_is_these_bytes() {
        let fork = Some((300, at(5)));
        let row = BranchRow {
            name: "dev".to_owned(),
            fork,
            created: at(7),
            expires: at(8),
            protected: true,
            dropped: true,
            merged: vec![Merged { from: 2, upto: at(3), at: at(9) }],
            ..BranchRow::main(root(), at(128), at(6))
        };
        let more = b"\x80\x01\x06\x03\x07\x08\x01\x02\x03\x09";
        let golden = [&b"\x03dev\x01\xAC\x02\x05"[..], &root().to_bytes(), more].concat();
        assert_eq!(row.encode(), golden);
        assert_eq!(BranchRow::decode(&golden).unwrap(), row);
        let main = BranchRow::main(row.root, row.head, row.floor);
        let plain = [&b"\x04main\0"[..], &root().to_bytes(), b"\x80\x01\x06"].concat();
        assert_eq!(main.encode(), plain);
        assert_eq!(BranchRow::decode(&main.encode()).unwrap(), main);
        assert_eq!(BranchRow::key(0x0102), b"b\0\0\x01\x02");
        for len in (0..golden.len()).filter(|len| *len != golden.len() - 7) {
            assert!(BranchRow::decode(&golden[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_tag_row_and_the_note_that_makes_it_are_these_bytes() {
        let row = TagRow { name: "V1".to_owned(), branch: 0, at: at(300) };
        assert_eq!(row.encode(), b"\x02V1\0\xAC\x02");
        assert_eq!(TagRow::decode(&row.encode()).unwrap(), row);
        assert_eq!(TagRow::key("V1"), b"tv1");
        let made = SystemChange { key: TagRow::key("V1"), value: Some(row.encode()) };
        assert_eq!(made.encode(), b"\x01\x03tv1\x01\x06\x02V1\0\xAC\x02");
        let dropped = SystemChange { value: None, ..made.clone() };
        assert_eq!(dropped.encode(), b"\x01\x03tv1\0");
        for change in [made, dropped] {
            let bytes = change.encode();
            assert_eq!(SystemChange::decode(&bytes).unwrap(), change);
            for len in 0..bytes.len() {
                assert!(SystemChange::decode(&bytes[..len]).is_err(), "{len} bytes");
            }
        }
        assert_eq!(SystemChange::decode(b"\x02").unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_history_run_row_is_these_bytes() {
        let run = Run {
            number: 0x0102,
            place: Place::Tree(root()),
            first_start: at(7),
            last_end: at(300),
            entries: 200,
            bytes: 1,
        };
        let golden = [&root().to_bytes()[..], b"\x07\xAC\x02\xC8\x01\x01"].concat();
        assert_eq!(run.encode(), golden);
        let key = Run::key(3, run.number);
        assert_eq!(key, b"h\0\0\0\x03\0\0\0\0\0\0\x01\x02");
        assert_eq!(Run::decode(&key[Run::prefix(3).len()..], &golden, &tier()).unwrap(), run);
        for len in 0..golden.len() {
            assert!(Run::decode(&key[5..], &golden[..len], &tier()).is_err(), "{len} bytes");
        }
    }
}
