//! The online backup: a copy of one moment, made while commits go on.
//!
//! ```text
//! checkpoint     so that what is copied lies in the store and need not stay in memory
//! view           pins the moment: later commits take pages of other numbers
//! fill           the tree of current rows, one history run of all that is kept and lies in pages, the system rows: page after page; and
//!                segments, object after object, under names of the copy's own
//! last batch     makes the copy a database; until then its meta, and in a directory a file too, says that it is not finished
//! verify         the copy is opened for reading, and all of it is read
//! ```
//!
//! The copy is a database of its own, with an id of its own: the log of the original does not fit it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Error, Result, Timestamp, checksum};
use dosql_btree::{Fresh, PageMaker, Root};
use dosql_wal::LogPosition;

use crate::branch::pins;
use crate::database::Database;
use crate::engine::Engine;
use crate::history::cursor::{MemtableCursor, RunCursor, Until, Versions};
use crate::history::kept::Kept;
use crate::history::run::{Into, write_run};
use crate::manifest::{BranchRow, MAIN_BRANCH, Meta, Place, Run, TagRow};
use crate::options::Options;
use crate::retention::Floor;
use crate::storage::Storage;
use crate::tier::Tier;
use crate::tier::live::LiveSegment;
use crate::tier::published::{AllPublished, Published};
use crate::tier::segment::Segment;
use crate::trace::span;
use crate::view::View;

/// Bytes of cache for reading the copy.
const CACHE: usize = 4 << 20;

/// Copies the database as of now into `target`, which must be empty; returns the moment.
pub(crate) fn backup(engine: &Engine, target: &Storage) -> Result<Timestamp> {
    span!("backup");
    check_fits(engine, target)?;
    engine.checkpoint()?;
    let views = engine.visible_views();
    let at = views.iter().map(|(_, view)| view.timestamp).max().unwrap_or(Timestamp::ZERO);
    fill(engine, at, &views, target, &Identity::new(engine, target))?;
    verify(engine, &views, target)?;
    Ok(at)
}

/// As which database a copy goes on.
pub(crate) enum Identity {
    /// As another, with segments of its own.
    New(Arc<Tier>, [u8; 16]),
    /// As the same, on the same segments; what is published of it stays, and further points count on from there.
    Same(AllPublished),
}

impl Identity {
    pub(crate) fn new(engine: &Engine, target: &Storage) -> Identity {
        let mut database = [0; 16];
        engine.env.random(&mut database);
        Identity::New(Tier::new(Arc::clone(&target.segments), database, 0, engine.env.clone()), database)
    }

    fn segment(&self, view: &View, segment: &Arc<Segment>, fresh: &mut Fresh) -> Result<Arc<Segment>> {
        match self {
            Identity::New(tier, _) => segment.copy(&view.pages, tier, fresh),
            Identity::Same(_) => segment.share(&view.pages, fresh),
        }
        .map(Arc::new)
    }
}

pub(crate) fn check_fits(engine: &Engine, target: &Storage) -> Result<()> {
    engine.check_usable()?;
    let (ours, theirs) = (engine.pages.page_size(), target.pages.page_size());
    if ours != theirs {
        return Err(Error::invalid(format!(
            "the copy would have pages of {theirs} bytes, the database has {ours}; give a store with pages of that size"
        )));
    }
    let empty = |what: &str| {
        Err(Error::invalid(format!("the {what} store for the copy holds something; give an empty one")))
    };
    if target.pages.meta()?.is_some() {
        return empty("page");
    }
    let mut first = [0u8; 64];
    let len = target.log.read_from(LogPosition::ZERO, &mut first)?;
    if first[..len].iter().any(|&byte| byte != 0) {
        return empty("log");
    }
    Ok(())
}

pub(crate) type Views = [(BranchRow, Arc<View>)];

/// Fills stores with what is seen in `views`.
pub(crate) fn fill(
    engine: &Engine,
    at: Timestamp,
    views: &Views,
    target: &Storage,
    identity: &Identity,
) -> Result<()> {
    let mut fresh = Fresh::begin(Arc::clone(&target.pages), at)?;
    if target.log.caps().keeps_room {
        // As where a database is made: one whose log is gone can be told from a new one.
        target.log.reserve(LogPosition::new(1))?;
    }
    let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (row, view) in views {
        let root = copy_rows(view, &mut fresh)?;
        let branches = views.iter().map(|(row, view)| (view.branch, row));
        let kept = engine.kept(view, pins(view.branch, &view.tags, branches), None);
        let cold = copy_segments(view, identity, &mut fresh)?;
        let number = cold.runs.last().map_or(0, |run| run.number + 1);
        let run = copy_history(view, &mut fresh, &kept, number)?;
        let floor = view.floor.max(kept.horizon.min(view.timestamp));
        let row = BranchRow { root, head: view.timestamp, floor, ..row.clone() };
        rows.insert(BranchRow::key(view.branch), row.encode());
        for run in cold.runs.into_iter().chain(run) {
            rows.insert(Run::key(view.branch, run.number), run.encode());
        }
        for live in cold.live {
            rows.insert(LiveSegment::key(view.branch, live.number), live.encode());
        }
        if view.branch == MAIN_BRANCH {
            let retention = view.retention.lowered(|space| kept.dropped(space), floor);
            rows.extend(retention.floors().iter().map(|(space, floor)| (Floor::key(*space), floor.encode())));
        }
        for tag in view.tags.iter() {
            let row = TagRow { name: tag.name.clone(), branch: tag.branch, at: tag.at };
            rows.insert(TagRow::key(&tag.name), row.encode());
        }
    }
    if let Identity::Same(published) = identity {
        rows.extend(published.iter().map(|(number, point)| (Published::key(*number), point.encode())));
    }
    let mut loader = fresh.bulk();
    for (key, row) in &rows {
        loader.push(key, at, row)?;
    }
    let system = loader.finish()?;
    let (database, generation) = match identity {
        Identity::New(_, database) => (*database, 0),
        Identity::Same(_) => (engine.database, engine.log.generation()),
    };
    let chain = checksum(0, &database);
    let meta = Meta { database, checkpoint: at, log: LogPosition::ZERO, chain, generation, system };
    fresh.finish(&meta.encode())
}

fn copy_rows(view: &View, fresh: &mut Fresh) -> Result<Root> {
    let mut cursor = view.pages.cursor(view.root);
    let mut loader = fresh.bulk();
    let mut found = cursor.seek_first()?;
    while found {
        if cursor.is_tombstone() {
            loader.push_tombstone(cursor.key(), cursor.version())?;
        } else {
            loader.push(cursor.key(), cursor.version(), cursor.value()?)?;
        }
        found = cursor.next()?;
    }
    let root = loader.finish()?;
    if root.entries() != view.root.entries() {
        let message = format!("{} rows were found where there are {}", root.entries(), view.root.entries());
        return Err(Error::corrupt(message, "the tree of current rows"));
    }
    Ok(root)
}

/// What of a branch lies in segments.
struct Cold {
    live: Vec<LiveSegment>,
    runs: Vec<Run>,
}

/// Copies the segments of a branch as they are, or shares them.
fn copy_segments(view: &View, identity: &Identity, fresh: &mut Fresh) -> Result<Cold> {
    let mut copy = |segment: &Arc<Segment>| identity.segment(view, segment, fresh);
    let mut cold = Cold { live: Vec::new(), runs: Vec::new() };
    for live in view.beneath.iter().flat_map(|beneath| beneath.own.segments()) {
        cold.live.push(LiveSegment { segment: copy(&live.segment)?, ..live.clone() });
    }
    for run in view.history.runs.iter().filter(|run| !run.segments().is_empty()) {
        let segments = run.segments().iter().map(&mut copy).collect::<Result<Arc<[_]>>>()?;
        cold.runs.push(Run { place: Place::Segments(segments), ..run.clone() });
    }
    Ok(cold)
}

/// All that lies in pages or memory and that anybody may still ask for, as one run.
fn copy_history(view: &View, fresh: &mut Fresh, kept: &Kept, number: u64) -> Result<Option<Run>> {
    let mut sources: Vec<Box<dyn Versions>> = Vec::new();
    for run in view.history.runs.iter().filter(|run| run.segments().is_empty()) {
        sources.push(Box::new(RunCursor::new(run, &view.pages)));
    }
    for memtable in view.history.memtables() {
        // It goes on growing: what it tells of later times is current in this view.
        let cursor = MemtableCursor::new(Arc::clone(memtable));
        sources.push(Box::new(Until::new(cursor, view.timestamp)));
    }
    Ok(write_run(fresh, Into::Pages, sources, kept, number)?.map(|(run, _)| run))
}

/// Opens the copy and reads all of it.
pub(crate) fn verify(engine: &Engine, views: &Views, target: &Storage) -> Result<()> {
    let options = Options {
        read_only: true,
        cache_bytes: CACHE,
        env: Some(engine.env.clone()),
        retention: engine.options.retention,
        ..Options::default()
    };
    let copy = Database::open(target.share(), options)?;
    let report = copy.verify()?;
    let heads = |views: &Views| views.iter().map(|(_, view)| view.timestamp).collect::<Vec<_>>();
    let same = heads(&copy.0.visible_views()) == heads(views);
    if !same || !report.is_sound() {
        let what = format!("the copy is not what was copied: {}", report.problems.join("; "));
        return Err(Error::corrupt(what, "backup"));
    }
    Ok(())
}
