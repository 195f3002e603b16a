//! `dosql_log`: the commits that history still knows, and what each did, read off the versions of all rows.
//!
//! With a moment (`dosql_log(since)`) only commits after it, and pages that have not changed since are not looked at.
//!
//! A version that begins where one before it ended is an update, another an insert; one that ends where none begins, a delete.

use std::collections::{BTreeMap, BTreeSet};

use dosql_base::codec::get_ordered_u32;
use dosql_base::{Error, Result, Timestamp};

use super::context::ExecContext;
use crate::catalog::layout::{prefix_range, space_range};
use crate::catalog::schema::SpaceId;
use crate::catalog::store::{CATALOG_SPACE, END_OF_SPACES, ObjectKind, read_object};
use crate::storage::{KeyRange, Point, Storage};
use crate::value::{Text, Value, ValueRef, format_instant, parse_instant};

/// What one commit did.
#[derive(Default)]
struct Commit {
    tables: BTreeSet<Text>,
    inserted: i64,
    updated: i64,
    deleted: i64,
    schema: bool,
}

/// What of a version's neighbours is needed to tell what its ends mean.
#[derive(Default)]
struct Newer {
    key: Vec<u8>,
    start: Timestamp,
}

/// The rows of `dosql_log`, the oldest commit first: lsn, time, tables, inserted, updated, deleted, schema_changed. Of all commits that are
/// known, or of those after `since`: the number of a commit, or ISO text.
pub(crate) fn rows<S: Storage>(since: ValueRef<'_>, cx: &ExecContext<'_, S>) -> Result<Vec<Vec<Value>>> {
    let names = table_names(cx)?;
    let horizon = cx.storage.horizon().max(moment(since)?);
    let mut commits: BTreeMap<Timestamp, Commit> = BTreeMap::new();
    let whole = KeyRange { start: space_range(CATALOG_SPACE).start, end: space_range(END_OF_SPACES).start };
    let mut walk = match since {
        ValueRef::Null => cx.storage.versions(&whole, horizon, Timestamp::MAX)?,
        _ => cx.storage.changed_versions(&whole, horizon, Timestamp::MAX)?,
    };
    let mut newer = Newer::default();
    // From when on all versions of a table are there.
    let mut known = (CATALOG_SPACE, horizon);
    // The newest version of a key comes first: whether it began as an update shows with the next.
    let mut unsettled: Option<(Timestamp, Option<Text>, Timestamp)> = None;
    let mut seen: u64 = 0;
    while let Some(version) = walk.next()? {
        seen += 1;
        if seen.is_multiple_of(1024) {
            cx.check_interrupt()?;
        }
        let space = get_ordered_u32(version.key).map_or(0, |(space, _)| space);
        let name = names.get(&space);
        if space != CATALOG_SPACE && name.is_none() {
            continue;
        }
        if known.0 != space {
            let reached = cx.storage.check_reach(Point::Past(Timestamp::MAX), space, "").is_ok();
            known = (space, if reached { cx.storage.horizon_of(space) } else { Timestamp::MAX });
        }
        let same = version.key == newer.key.as_slice();
        let follows = same && version.end == newer.start;
        if let Some((start, table, since)) = unsettled.take() {
            note(&mut commits, start, table, since, |commit| {
                if follows { commit.updated += 1 } else { commit.inserted += 1 }
            });
        }
        if version.end != Timestamp::MAX && !follows {
            note(&mut commits, version.end, name.cloned(), known.1, |commit| commit.deleted += 1);
        }
        unsettled = Some((version.start, name.cloned(), known.1));
        if !same {
            newer.key.clear();
            newer.key.extend_from_slice(version.key);
        }
        newer.start = version.start;
    }
    if let Some((start, table, since)) = unsettled {
        note(&mut commits, start, table, since, |commit| commit.inserted += 1);
    }
    Ok(commits.into_iter().filter(|(at, _)| *at > horizon).map(row).collect())
}

/// The moment after which commits are wanted.
fn moment(since: ValueRef<'_>) -> Result<Timestamp> {
    let micros = match since {
        ValueRef::Null => Some(0),
        ValueRef::Integer(lsn) => u64::try_from(lsn).ok(),
        ValueRef::Text(text) => parse_instant(text),
        _ => None,
    };
    let wrong = || Error::invalid("dosql_log(since) takes the lsn of a commit or a moment as ISO text");
    micros.map(Timestamp::from_micros).ok_or_else(wrong)
}

/// Counts a change of a table's row that came after `since`, or takes note of one of the schema.
fn note(
    commits: &mut BTreeMap<Timestamp, Commit>,
    at: Timestamp,
    table: Option<Text>,
    since: Timestamp,
    count: impl FnOnce(&mut Commit),
) {
    // Of what was before, not everything is known.
    if at <= since {
        return;
    }
    let commit = commits.entry(at).or_default();
    match table {
        Some(table) => {
            commit.tables.insert(table);
            count(commit);
        }
        None => commit.schema = true,
    }
}

fn row((at, commit): (Timestamp, Commit)) -> Vec<Value> {
    let tables: Vec<&str> = commit.tables.iter().map(Text::as_str).collect();
    vec![
        Value::Integer(i64::try_from(at.as_micros()).unwrap_or(i64::MAX)),
        Value::Text(Text::from(format_instant(at))),
        Value::Text(Text::from(tables.join(", "))),
        Value::Integer(commit.inserted),
        Value::Integer(commit.updated),
        Value::Integer(commit.deleted),
        Value::Integer(i64::from(commit.schema)),
    ]
}

/// The tables that there are or were, by their spaces, each by its last name.
fn table_names<S: Storage>(cx: &ExecContext<'_, S>) -> Result<BTreeMap<SpaceId, Text>> {
    let mut names = BTreeMap::new();
    let mut prefix = space_range(CATALOG_SPACE).start;
    prefix.push(2);
    let mut walk = cx.storage.versions(&prefix_range(prefix), cx.storage.horizon(), Timestamp::MAX)?;
    while let Some(version) = walk.next()? {
        let object = read_object(version.key, version.value)?;
        if object.kind == ObjectKind::Table {
            names.entry(object.space).or_insert(object.name);
        }
    }
    Ok(names)
}
