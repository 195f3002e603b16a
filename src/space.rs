//! What the page store is used for, page by page.

use dosql_base::Result;
use dosql_btree::Root;

use crate::engine::Engine;
use crate::manifest::Run;

pub use dosql_btree::Pinned;

/// What the pages of a database are used for; see [`crate::Database::space`]. Together they are all pages that were ever written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Space {
    /// Pages of the current rows, indexes and catalogs.
    pub live: u64,
    /// Pages of superseded versions.
    pub history: u64,
    /// Pages of the rows that say where all of it is, and of the list of free pages.
    pub system: u64,
    /// Pages that are free or will be after the checkpoints to come.
    pub free: u64,
    /// Pages that nothing needs any more but snapshots.
    pub pinned: u64,
    /// Who pins how many of them, and older images in memory, oldest first. The newest commit is always there: new readers begin with it.
    pub pinned_by: Vec<Pinned>,
    /// Bytes of a page.
    pub page_size: usize,
    /// Bytes that the page store takes.
    pub store_bytes: u64,
    /// Bytes that the log takes.
    pub log_bytes: u64,
}

impl Space {
    pub(crate) fn of(engine: &Engine) -> Result<Space> {
        engine.check_usable()?;
        // No checkpoint may come between the trees and the counts.
        let checkpointing = engine.checkpointing.lock();
        let (snapshot, views, system, pages, pinned_by) = {
            let committer = engine.committer();
            let views = committer.latest_views();
            let (pages, pinned) = (engine.pages.stats(), engine.pages.pinned());
            (engine.pages.latest(), views, committer.system, pages, pinned)
        };
        drop(checkpointing);
        let count = |root: Root| snapshot.pages_of(root).map(|pages| pages.count());
        let system = count(system)? + pages.free_list_pages;
        let runs = views.iter().flat_map(|view| view.history.runs.iter());
        let history = runs.flat_map(Run::roots).map(count).sum::<Result<u64>>()?;
        let pinned = pinned_by.iter().map(|pinned| pinned.pages).sum();
        Ok(Space {
            live: pages.pages_used.saturating_sub(system + history),
            history,
            system,
            free: pages.pages_free.saturating_sub(pinned),
            pinned,
            pinned_by,
            page_size: engine.pages.page_size(),
            store_bytes: engine.pages.store().stats().bytes,
            log_bytes: engine.log.stats().allocated,
        })
    }
}
