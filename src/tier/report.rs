//! What is where: rows of `dosql_segments` and `dosql_storage`, and the same for programs.

use std::collections::BTreeMap;

use dosql_base::codec::get_ordered_u32;
use dosql_base::{Result, Timestamp};
use dosql_sql::codec::key::{decode_key, decode_rowid};
use dosql_sql::value::{Text, Value};

use super::segment::Segment;
use crate::engine::Engine;
use crate::retention::space_of;

/// A segment of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// The name of the object.
    pub name: String,
    /// The branch that it belongs to.
    pub branch: String,
    /// The level among live segments, 0 the newest; `None` for one of history.
    pub level: Option<u8>,
    /// The length of the object.
    pub bytes: u64,
    /// That of its keys and values before compression, roughly.
    pub raw_bytes: u64,
    /// Versions in it.
    pub rows: u64,
    /// Deletions among them.
    pub tombstones: u64,
    /// The first and the last commit of which something is in it.
    pub first: Timestamp,
    /// See `first`.
    pub last: Timestamp,
}

/// What a part of the storage holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoragePart {
    /// `hot`, `history`, `live 0` to `live 6`, `cold history`, `leaving` (what no row names, but a reader or the last checkpoint needs).
    pub place: String,
    /// Objects; 0 where it lies in pages.
    pub objects: u64,
    /// Bytes of them, or of pages.
    pub bytes: u64,
    /// Rows, or versions.
    pub rows: u64,
}

impl Engine {
    /// All segments that rows name.
    pub(crate) fn list_segments(&self) -> Vec<SegmentInfo> {
        let committer = self.committer();
        let mut all = Vec::new();
        for branch in committer.branches.values() {
            let tip = branch.tip.lock();
            let branch = &tip.row.name;
            let live = tip.live.segments();
            all.extend(live.map(|it| info(branch, Some(it.level), &it.segment)));
            let history = tip.history.runs.iter().flat_map(|run| run.segments());
            all.extend(history.map(|it| info(branch, None, it)));
        }
        all
    }

    /// What is where, what is hot first. Reads the inner pages of the trees.
    pub(crate) fn storage_parts(&self) -> Result<Vec<StoragePart>> {
        let hot = self.hot_bytes()?;
        let mut parts: BTreeMap<(u8, String), StoragePart> = BTreeMap::new();
        let mut add = |order: u8, place: &str, objects: u64, bytes: u64, rows: u64| {
            let empty = || StoragePart { place: place.to_owned(), objects: 0, bytes: 0, rows: 0 };
            let part = parts.entry((order, place.to_owned())).or_insert_with(empty);
            part.objects += objects;
            part.bytes += bytes;
            part.rows += rows;
        };
        add(0, "hot", 0, hot, 0);
        {
            let committer = self.committer();
            for branch in committer.branches.values() {
                let tip = branch.tip.lock();
                add(0, "hot", 0, 0, tip.root.entries());
                for run in tip.history.runs.iter().filter(|run| run.segments().is_empty()) {
                    add(1, "history", 0, run.bytes, run.entries);
                }
            }
        }
        for segment in self.list_segments() {
            match segment.level {
                Some(level) => add(2, &format!("live {level}"), 1, segment.bytes, segment.rows),
                None => add(3, "cold history", 1, segment.bytes, segment.rows),
            }
        }
        for segment in self.exit.lock().all() {
            add(4, "leaving", 1, segment.bytes, segment.entries);
        }
        Ok(parts.into_values().collect())
    }

    /// The rows of `dosql_segments`: name, branch, contents, level, bytes, rows, tombstones, first_lsn, last_lsn.
    pub(crate) fn segment_rows(&self) -> Vec<Vec<Value>> {
        let text = |text: &str| Value::Text(Text::new(text));
        let row = |it: SegmentInfo| {
            vec![
                text(&it.name),
                text(&it.branch),
                text(if it.level.is_some() { "live" } else { "history" }),
                it.level.map_or(Value::Null, |level| Value::Integer(level.into())),
                integer(it.bytes),
                integer(it.rows),
                integer(it.tombstones),
                integer(it.first.as_micros()),
                integer(it.last.as_micros()),
            ]
        };
        self.list_segments().into_iter().map(row).collect()
    }

    /// The rows of `dosql_storage`: place, objects, bytes, rows.
    pub(crate) fn storage_rows(&self) -> Result<Vec<Vec<Value>>> {
        let row = |it: StoragePart| {
            vec![Value::Text(Text::from(it.place)), integer(it.objects), integer(it.bytes), integer(it.rows)]
        };
        Ok(self.storage_parts()?.into_iter().map(row).collect())
    }
}

/// Which keys a segment holds, for people: the first and the last, of a table as values. Keys of keyspaces, and those that are no keys of a
/// table, are shown as bytes.
pub(crate) fn told_keys(engine: &Engine, segment: &Segment) -> String {
    let space = space_of(&segment.min_key);
    let table = engine.committer().objects.table_of(space).map(str::to_owned);
    let whose = table.as_ref().map_or_else(|| format!("number {space}"), |table| format!("table {table}"));
    let told = |key: &[u8]| told_key(key, table.is_some());
    format!("{whose}, keys {} to {}", told(&segment.min_key), told(&segment.max_key))
}

fn told_key(key: &[u8], is_row: bool) -> String {
    let mut rest = get_ordered_u32(key).map_or(key, |(_, len)| &key[len..]);
    let bytes = rest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut values = Vec::new();
    if is_row
        && let Ok((rowid, len)) = decode_rowid(rest)
        && len == rest.len()
    {
        return rowid.to_string();
    }
    while is_row && !rest.is_empty() {
        let Ok((value, len)) = decode_key(rest, false) else { return format!("x'{bytes}'") };
        values.push(value.to_string());
        rest = &rest[len..];
    }
    if is_row { values.join(", ") } else { format!("x'{bytes}'") }
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn info(branch: &str, level: Option<u8>, segment: &Segment) -> SegmentInfo {
    SegmentInfo {
        name: segment.name.clone(),
        branch: branch.to_owned(),
        level,
        bytes: segment.bytes,
        raw_bytes: segment.raw_bytes,
        rows: segment.entries,
        tombstones: segment.tombstones,
        first: segment.min_start,
        last: segment.max_start,
    }
}
