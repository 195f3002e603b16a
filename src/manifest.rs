//! The engine's own rows, in the system tree, and the blob through which it is found.
//!
//! ```text
//! meta   magic "DSQL" | format u16 | flags u16 | database id 16 | checkpoint Timestamp u64
//!        | log position u64 | log chain u32 | system root | checksum u32
//! "b" | branch u32 BE                   branch row   name | fork | root | head | history floor
//! "h" | branch u32 BE | number u64 BE   history run  root | first start | last end | entries | bytes
//! ```
//!
//! Integers of the meta blob are little-endian; those of the rows are varints, those of row keys big-endian, so that they
//! order. The checksum covers what is before it.

use dosql_base::codec::{Reader, put_bytes, put_varint};
use dosql_base::{Code, Error, ErrorKind, Result, Timestamp, checksum};
use dosql_btree::Root;
use dosql_wal::LogPosition;

const MAGIC: &[u8; 4] = b"DSQL";
/// The version of everything that the engine itself stores: the meta blob, its rows, its history.
pub(crate) const FORMAT: u16 = 1;
/// The branch that every database has.
pub(crate) const MAIN_BRANCH: u32 = 0;

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
    /// The system tree.
    pub(crate) system: Root,
}

impl Meta {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&0u16.to_le_bytes());
        out.extend_from_slice(&self.database);
        out.extend_from_slice(&self.checkpoint.as_micros().to_le_bytes());
        out.extend_from_slice(&self.log.get().to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
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
        let system = Root::from_bytes(reader.take(Root::LEN)?)?;
        reader.u32()?;
        reader.finish()?;
        Ok(Meta { database, checkpoint, log, chain, system })
    }
}

/// A branch: its roots and where it forked.
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
}

impl BranchRow {
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
        out
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
        reader.finish()?;
        Ok(BranchRow { name, fork, root, head, floor })
    }
}

/// An immutable tree of superseded versions: key as in [`crate::history::key`], entry version = end, value = the value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    /// Its place among the runs of its branch: a greater number holds later ends.
    pub(crate) number: u64,
    pub(crate) root: Root,
    /// The least start of any version in it.
    pub(crate) first_start: Timestamp,
    /// The greatest end.
    pub(crate) last_end: Timestamp,
    pub(crate) entries: u64,
    /// Bytes of keys and values.
    pub(crate) bytes: u64,
}

impl Run {
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
        let mut out = self.root.to_bytes().to_vec();
        for field in [self.first_start.as_micros(), self.last_end.as_micros(), self.entries, self.bytes] {
            put_varint(&mut out, field);
        }
        out
    }

    /// From the row's key (past its prefix) and value.
    pub(crate) fn decode(number: &[u8], bytes: &[u8]) -> Result<Run> {
        let wrong = |_| Error::corrupt("the key of a history run is not well formed", "system tree");
        let number = u64::from_be_bytes(number.try_into().map_err(wrong)?);
        let mut reader = Reader::new(bytes, "a history run row");
        let root = Root::from_bytes(reader.take(Root::LEN)?)?;
        let first_start = Timestamp::from_micros(reader.varint()?);
        let last_end = Timestamp::from_micros(reader.varint()?);
        let (entries, bytes) = (reader.varint()?, reader.varint()?);
        reader.finish()?;
        Ok(Run { number, root, first_start, last_end, entries, bytes })
    }
}
