//! The one writer. It changes private copies of pages; publishing makes them the newest images of the page table in
//! one step. A page gets a fresh id the first time it is changed after a checkpoint, and so do its ancestors: the pages
//! of the last checkpoint are never written again while it is the last.

mod ahead;
mod apart;
mod append;
mod bulk;
mod delete;
mod delta;
mod free;
mod fresh;
mod overflow;
mod path;
mod put;
mod relocate;
mod rotate;
mod split;
mod tidy;

use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::sync::MutexGuard;
use dosql_base::sync::atomic::Ordering;
use dosql_base::{Error, Result, Timestamp};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use zerocopy::byteorder::little_endian::U64;

use crate::alloc::Allocator;
use crate::frame::Draft;
use crate::page::format::PageHeader;
use crate::pins::{Held, HeldList, What};
use crate::table::Image;
use crate::{Pages, Root};

pub use apart::Apart;
pub use bulk::{BulkLoader, PageMaker};
pub use free::TreePages;
pub use fresh::Fresh;
use path::Step;
pub(crate) use path::node_of_level;
pub use relocate::{Found, Misplaced};

/// Room for so many notes is kept whatever a commit needs.
const FEW: usize = 64;
/// How many pages are published between asking for the memory of one and publishing it.
const PUBLISHED_AHEAD: usize = 8;

/// A page that the current commit has changed.
struct Private {
    page: Draft,
    /// Its id was taken in this commit: no reader knows it.
    born: bool,
}

/// A published page that the current commit has freed.
struct Retired {
    id: u64,
    /// A checkpoint has written it.
    durable: bool,
    since: Timestamp,
}

/// What the writer keeps from commit to commit.
pub(crate) struct WriterState {
    /// The number of the next checkpoint.
    pub(crate) epoch: u64,
    pub(crate) alloc: Allocator,
    /// Published pages that no checkpoint has written.
    pub(crate) dirty: HashSet<u64, FixedState>,
    /// Those that the checkpoint under way writes.
    pub(crate) frozen: Option<Arc<HashSet<u64, FixedState>>>,
    /// The pages of the free list on disk.
    pub(crate) list_pages: Vec<u64>,
    private: HashMap<u64, Private, FixedState>,
    /// Those that are being published; kept for its room.
    changed: Vec<(u64, Private)>,
    /// Ids taken in this commit.
    taken: Vec<u64>,
    /// Those of them that are free again.
    discarded: Vec<u64>,
    retired: Vec<Retired>,
    /// The version that this commit is to be published as; unknown between commits.
    publishing: Option<Timestamp>,
    /// Leaves that it has appended deltas to.
    noted: Vec<u64>,
    /// The way from the root to the page last worked on.
    path: SmallVec<[Step; 8]>,
    /// The root page that `path` starts from, while it leads to a leaf, or did before a commit ended, and still holds; else 0.
    path_root: u64,
    /// Where the last insert went: leaf and slot, to notice ascending runs.
    last_insert: (u64, usize),
    /// The last change was an insert.
    inserted: bool,
    /// So many changes to come were seen to be too few to be appended together.
    short_run: usize,
    ahead: ahead::Ahead,
    key: Vec<u8>,
}

impl WriterState {
    pub(crate) fn new(epoch: u64) -> Self {
        WriterState {
            epoch,
            alloc: Allocator::new(),
            dirty: HashSet::default(),
            frozen: None,
            list_pages: Vec::new(),
            private: HashMap::default(),
            changed: Vec::new(),
            taken: Vec::new(),
            discarded: Vec::new(),
            retired: Vec::new(),
            publishing: None,
            noted: Vec::new(),
            path: SmallVec::new(),
            path_root: 0,
            last_insert: (0, 0),
            inserted: false,
            short_run: 0,
            ahead: ahead::Ahead::default(),
            key: Vec::new(),
        }
    }

    /// Whether everything is published.
    pub(crate) fn is_settled(&self) -> bool {
        self.private.is_empty() && self.retired.is_empty() && self.noted.is_empty()
    }

    /// Drops the path, and with it its hold on images.
    pub(crate) fn forget_path(&mut self) {
        self.path.clear();
        self.path_root = 0;
    }

    /// Keeps what the path holds of pages that this commit has not changed: the next one often goes the same way.
    fn keep_published_path(&mut self) {
        let published = self.path.iter().take_while(|step| step.image.is_some()).count();
        self.path.truncate(published);
        if published == 0 {
            self.path_root = 0;
        }
    }

    /// Takes in the freed pages that no snapshot can read any more.
    pub(crate) fn collect_released(&mut self, pages: &Pages) {
        for id in pages.released.lock().drain(..) {
            self.alloc.release(id);
        }
    }

    pub(crate) fn update_gauges(&self, pages: &Pages) {
        let free = self.alloc.unused();
        let frozen = self.frozen.as_ref().map_or(0, |frozen| frozen.len());
        pages.gauges.dirty.store(self.dirty.len() + frozen, Ordering::Relaxed);
        pages.gauges.free.store(free, Ordering::Relaxed);
        pages.gauges.list.store(self.list_pages.len() as u64, Ordering::Relaxed);
        pages.gauges.used.store((self.alloc.next - 1).saturating_sub(free), Ordering::Relaxed);
    }

    /// Changes the version that this commit's deltas, which bear `from`, are published as; `None` withdraws them.
    fn restamp(&mut self, pages: &Pages, from: Timestamp, to: Option<Timestamp>) {
        for id in self.noted.drain(..) {
            if let Some(deltas) = pages.table.newest(id).as_ref().and_then(Image::deltas) {
                deltas.publish_as(from, to);
            }
        }
    }

    fn rollback(&mut self, pages: &Pages) {
        if let Some(version) = self.publishing.take() {
            self.restamp(pages, version, None);
        }
        if self.is_settled() && self.taken.is_empty() {
            return;
        }
        self.forget_path();
        self.private.clear();
        self.retired.clear();
        self.discarded.clear();
        for id in self.taken.drain(..) {
            self.alloc.give_back(id);
        }
    }
}

/// The turn to write. Changes are private until [`PageWriter::publish`]; dropping it rolls back what is not published.
pub struct PageWriter<'a> {
    pub(crate) pages: &'a Arc<Pages>,
    pub(crate) state: MutexGuard<'a, WriterState>,
}

impl PageWriter<'_> {
    /// Starts a commit that will be published as `version`. What an unfinished one changed is rolled back.
    pub fn begin(&mut self, version: Timestamp) {
        debug_assert!(version > self.pages.published(), "versions rise from commit to commit");
        self.state.rollback(self.pages);
        self.state.publishing = Some(version);
        self.state.inserted = false;
        self.state.short_run = 0;
        self.state.collect_released(self.pages);
    }

    /// Makes all changes since the last publish visible to snapshots of `version`, which becomes the published one.
    /// The one before can no longer be pinned afterwards, unless it is pinned already.
    ///
    /// # Errors
    /// `InvalidInput` where `version` is not above the published one.
    pub fn publish(&mut self, version: Timestamp) -> Result<()> {
        let pages = self.pages;
        let state = &mut *self.state;
        state.keep_published_path();
        let before = {
            let mut pins = pages.pins.lock();
            let before = pins.published;
            if version <= before {
                return Err(Error::invalid(format!(
                    "version {version} can't be published: it is not above {before}"
                )));
            }
            // Until all images are in place, a reader may still come for the version before.
            let pinned = pins.pin(before);
            debug_assert!(pinned, "the published version can always be pinned");
            if weakened("published-before-images") {
                pins.published = version;
            }
            before
        };
        let noted = state.noted.len();
        match state.publishing.take() {
            Some(begun) if begun != version => state.restamp(pages, begun, Some(version)),
            _ => state.noted.clear(),
        }
        state.noted.shrink_to((2 * noted).max(FEW));
        let mut held = HeldList::new();
        let changed = state.private.len();
        state.changed.extend(state.private.drain());
        while let Some((id, mut private)) = state.changed.pop() {
            // Of many pages, most are no longer near when their time comes.
            let next = state.changed.len().checked_sub(PUBLISHED_AHEAD);
            if let Some((id, private)) = next.and_then(|next| state.changed.get(next)) {
                private.page.ask_for();
                pages.table.ask_for(*id, 0);
            }
            PageHeader::of_mut(&mut private.page).version = U64::new(version.as_micros());
            if let Some(since) = pages.table.install(id, private.page) {
                held.push(Held { id, since, what: What::Image });
            }
            state.dirty.insert(id);
        }
        // Emptying a map costs what it could hold: one large commit must not slow all that come after it.
        state.private.shrink_to(2 * changed);
        state.changed.shrink_to(2 * changed);
        for retired in state.retired.drain(..) {
            state.dirty.remove(&retired.id);
            state.alloc.wait(retired.id, retired.durable);
            held.push(Held { id: retired.id, since: retired.since, what: What::Page });
        }
        for id in state.discarded.drain(..) {
            state.alloc.give_back(id);
        }
        state.taken.clear();
        let mut released = HeldList::new();
        {
            let mut pins = pages.pins.lock();
            pins.published = version;
            pins.hold(before, &mut held);
            pins.unpin(before, &mut released);
        }
        pages.release(&released);
        state.collect_released(pages);
        state.update_gauges(pages);
        pages.table.evict();
        Ok(())
    }

    /// The number of the checkpoint that will write what is changed now.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// Discards every page change since the last publish. The caller goes back to the roots it had then.
    pub fn rollback(&mut self) {
        self.state.rollback(self.pages);
    }

    /// Takes a free id.
    fn take_id(&mut self) -> Result<u64> {
        let state = &mut *self.state;
        let id = state.alloc.take()?;
        state.taken.push(id);
        let frozen = state.frozen.as_ref().is_some_and(|frozen| frozen.contains(&id));
        if frozen || state.private.contains_key(&id) || state.dirty.contains(&id) {
            let what = "the free list names a page in use; restore from a backup";
            return Err(Error::corrupt(what, format!("page {id}")));
        }
        Ok(id)
    }

    /// Takes an id and a private page of arbitrary bytes for it; the caller fills it in.
    fn create(&mut self, fill: impl FnOnce(u64, &mut [u8])) -> Result<u64> {
        let id = self.take_id()?;
        let mut page = self.pages.table.buffer();
        fill(id, &mut page);
        self.state.private.insert(id, Private { page, born: true });
        Ok(id)
    }

    /// Frees a page of `epoch` whose newest published image is of `since`.
    fn retire(&mut self, id: u64, epoch: u64, since: Timestamp) {
        let state = &mut *self.state;
        if epoch == state.epoch
            && let Some(private) = state.private.remove(&id)
            && private.born
        {
            state.discarded.push(id);
            return;
        }
        state.retired.push(Retired { id, durable: epoch != state.epoch, since });
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        check_key(key, self.pages.limits().max_key)
    }

    fn check_value(&self, value: &[u8]) -> Result<()> {
        check_value(value, self.pages.limits().max_value)
    }

    /// The numbers of a root whose page was just made in this epoch.
    fn root_at(&self, page: u64, height: u8, entries: u64) -> Root {
        Root { page: crate::PageId::new(page), epoch: self.state.epoch, entries, height }
    }
}

fn check_key(key: &[u8], most: usize) -> Result<()> {
    if key.len() > most {
        return Err(Error::limit(format!("a key of {} bytes exceeds the {most} allowed", key.len())));
    }
    Ok(())
}

fn check_value(value: &[u8], most: usize) -> Result<()> {
    if value.len() > most {
        return Err(Error::limit(format!("a value of {} bytes exceeds the {most} allowed", value.len())));
    }
    Ok(())
}

impl Drop for PageWriter<'_> {
    fn drop(&mut self) {
        self.state.rollback(self.pages);
    }
}
