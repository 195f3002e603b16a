//! The page table of one store: cache, versions, free list, and the way in for readers and the writer.

use std::ops::Range;
use std::sync::Arc;

use dosql_base::metrics::Tally;
use dosql_base::mutant::weakened;
use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use dosql_base::{Error, Result, Timestamp};

use crate::checkpoint::Meta;
use crate::frame::Draft;
use crate::page::format::PageHeader;
use crate::page::verify;
use crate::pins::{Held, HeldList, Pinned, Pins, What};
use crate::table::{Found, Image, Table};
use crate::writer::WriterState;
use crate::{Limits, MAX_PAGE_SIZE, MIN_PAGE_SIZE, PageId, PageSnapshot, PageStore, PageWriter};

/// How to run a page table.
#[derive(Clone, Copy, Debug)]
pub struct PagesOptions {
    /// How many bytes of pages to hold in memory: clean, dirty and older images together. Dirty pages and images that
    /// a snapshot pins stay even beyond it.
    pub cache_bytes: usize,
}

impl Default for PagesOptions {
    fn default() -> Self {
        PagesOptions { cache_bytes: 64 << 20 }
    }
}

/// What a page table holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagesStats {
    /// Bytes of pages in memory, with what was noted beside them.
    pub resident_bytes: usize,
    /// Of them, bytes of pages that the next checkpoint writes.
    pub dirty_bytes: usize,
    /// Of them, bytes of older images that snapshots pin.
    pub pinned_bytes: usize,
    /// Bytes of page buffers that nobody uses now, kept for the next pages.
    pub spare_bytes: usize,
    /// Pages that trees use, the free list included, as of the last publish.
    pub pages_used: u64,
    /// Pages that are free for use or soon will be, as of the last publish.
    pub pages_free: u64,
    /// Of the pages in use, those that the free list of the last checkpoint takes.
    pub free_list_pages: u64,
    /// Pages that a read found in memory. What a snapshot keeps to itself of inner pages is not looked up, and does not count.
    pub hits: u64,
    /// Reads that had to go to the store.
    pub misses: u64,
    /// Pages dropped from memory to keep the budget.
    pub evictions: u64,
    /// Pages that were copied to be changed.
    pub copies: u64,
    /// Changes that were noted beside an image instead.
    pub deltas: u64,
    /// Checkpoints ever made of this store.
    pub checkpoints: u64,
    /// Live snapshots.
    pub snapshots: usize,
}

/// Numbers that the writer leaves for [`Pages::stats`].
#[derive(Default)]
pub(crate) struct Gauges {
    pub(crate) dirty: AtomicUsize,
    pub(crate) used: AtomicU64,
    pub(crate) free: AtomicU64,
    pub(crate) list: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    hits: Tally,
    misses: AtomicU64,
    pub(crate) copies: AtomicU64,
    pub(crate) deltas: AtomicU64,
}

/// The page table: cache, versions, free list and checkpoint of one [`PageStore`].
pub struct Pages {
    pub(crate) store: Arc<dyn PageStore>,
    pub(crate) page_size: usize,
    pub(crate) table: Table,
    pub(crate) pins: Mutex<Pins>,
    /// Freed pages that no snapshot can read any more, for the writer to collect.
    pub(crate) released: Mutex<Vec<u64>>,
    pub(crate) gauges: Gauges,
    writer: Mutex<WriterState>,
}

impl Pages {
    /// Opens the pages of `store`; also the user meta of the last checkpoint, empty for a new store.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` for a newer format, or what the store answers.
    pub fn open(store: Arc<dyn PageStore>, options: PagesOptions) -> Result<(Arc<Pages>, Vec<u8>)> {
        let page_size = store.page_size();
        if !page_size.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size) {
            return Err(Error::invalid(format!(
                "a page size of {page_size} is not a power of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE}"
            )));
        }
        let meta = match store.meta()? {
            Some(bytes) => Meta::decode(&bytes, page_size)?,
            None => Meta::default(),
        };
        let pages = Pages {
            page_size,
            table: Table::new(options.cache_bytes / page_size, page_size),
            pins: Mutex::new(Pins::new(meta.published)),
            released: Mutex::default(),
            gauges: Gauges::default(),
            writer: Mutex::new(WriterState::new(meta.epoch + 1)),
            store,
        };
        pages.gauges.checkpoints.store(meta.epoch, Ordering::Relaxed);
        {
            let mut writer = pages.writer.lock();
            writer.read_free_list(&pages, &meta)?;
            writer.update_gauges(&pages);
        }
        Ok((Arc::new(pages), meta.user))
    }

    /// Pins the published version.
    #[must_use]
    pub fn latest(self: &Arc<Self>) -> PageSnapshot {
        let looked = weakened("snapshot-pinned-late").then(|| self.published());
        let mut pins = self.pins.lock();
        let version = looked.unwrap_or(pins.published);
        let pinned = pins.pin(version);
        debug_assert!(pinned, "the published version can always be pinned");
        drop(pins);
        PageSnapshot::new(Arc::clone(self), version)
    }

    /// Pins `version`, which must be the published version or one that a live snapshot pins.
    ///
    /// # Errors
    /// `InvalidInput` for any other version: its images may be gone.
    pub fn snapshot(self: &Arc<Self>, version: Timestamp) -> Result<PageSnapshot> {
        if self.pins.lock().pin(version) {
            return Ok(PageSnapshot::new(Arc::clone(self), version));
        }
        Err(Error::invalid(format!(
            "version {version} can't be pinned: it is neither published last nor pinned by a live snapshot"
        )))
    }

    /// The turn to write; waits for the one who has it. Unpublished changes are rolled back when it is dropped.
    #[must_use]
    pub fn writer(self: &Arc<Self>) -> PageWriter<'_> {
        PageWriter { pages: self, state: self.writer.lock() }
    }

    /// The version published last (after opening: the one of the last checkpoint).
    #[must_use]
    pub fn published(&self) -> Timestamp {
        self.pins.lock().published
    }

    /// Bytes of pages that the next checkpoint writes.
    #[must_use]
    pub fn dirty_bytes(&self) -> usize {
        self.gauges.dirty.load(Ordering::Relaxed) * self.page_size
    }

    /// Bytes of older images in memory that snapshots pin.
    #[must_use]
    pub fn pinned_bytes(&self) -> usize {
        self.table.pinned() * self.page_size
    }

    /// What it holds and has done.
    #[must_use]
    pub fn stats(&self) -> PagesStats {
        PagesStats {
            resident_bytes: self.table.resident() * self.page_size,
            dirty_bytes: self.dirty_bytes(),
            pinned_bytes: self.pinned_bytes(),
            spare_bytes: self.table.spare() * self.page_size,
            pages_used: self.gauges.used.load(Ordering::Relaxed),
            pages_free: self.gauges.free.load(Ordering::Relaxed),
            free_list_pages: self.gauges.list.load(Ordering::Relaxed),
            hits: self.gauges.hits.sum(),
            misses: self.gauges.misses.load(Ordering::Relaxed),
            evictions: self.table.evictions(),
            copies: self.gauges.copies.load(Ordering::Relaxed),
            deltas: self.gauges.deltas.load(Ordering::Relaxed),
            checkpoints: self.gauges.checkpoints.load(Ordering::Relaxed),
            snapshots: self.pins.lock().snapshots(),
        }
    }

    /// Who pins what, oldest first. The newest version is always pinned by the one who writes.
    #[must_use]
    pub fn pinned(&self) -> Vec<Pinned> {
        self.pins.lock().by_version()
    }

    /// The store underneath.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn PageStore> {
        &self.store
    }

    /// The length of a page in bytes.
    #[must_use]
    pub fn page_size(&self) -> usize {
        self.page_size
    }

    /// The limits of keys and values.
    #[must_use]
    pub fn limits(&self) -> Limits {
        crate::limits(self.page_size)
    }

    /// Page `id` as of `version`, as the checkpoint of `epoch` wrote or will write it. `touch`: the cache should
    /// remember this use. The deltas of a leaf are in place, for which it is copied unless somebody left a copy.
    #[inline]
    pub(crate) fn image(&self, id: u64, epoch: u64, version: Timestamp, touch: bool) -> Result<Image> {
        let image = self.image_and_deltas(id, epoch, version, touch)?;
        if image.deltas().is_none() { Ok(image) } else { self.with_deltas(image, version) }
    }

    /// The image with its deltas as seen at `version` in place.
    pub(crate) fn with_deltas(&self, image: Image, version: Timestamp) -> Result<Image> {
        self.table.with_deltas(image, version)
    }

    /// As [`Pages::image`], where the caller looks at the deltas of a leaf itself.
    #[inline]
    pub(crate) fn image_and_deltas(
        &self,
        id: u64,
        epoch: u64,
        version: Timestamp,
        touch: bool,
    ) -> Result<Image> {
        match self.table.lookup(id, version, touch) {
            Found::Image(image) if is_of(&image, epoch) => {
                self.gauges.hits.count();
                Ok(image)
            }
            Found::TooNew => Err(foreign(id, version)),
            // An image that an older snapshot holds may be of another page, whose number was given again; the new one may be in the
            // store alone, written ahead.
            Found::Image(_) | Found::Absent => self.load(id, epoch, version, touch),
        }
    }

    /// Reads page `id` from the store and verifies it.
    pub(crate) fn read_page(&self, id: u64, epoch: u64) -> Result<Draft> {
        if id == 0 || id > PageId::MAX.get() {
            return Err(Error::corrupt(
                "a page number is impossible; restore from a backup",
                format!("page {id}"),
            ));
        }
        let mut page = self.table.buffer();
        self.store.read(PageId::new(id), &mut page)?;
        verify::page(&page, id, epoch, self.table.known(id))
            .map_err(|error| error.at(self.store.place(PageId::new(id))))?;
        Ok(page)
    }

    #[cold]
    fn load(&self, id: u64, epoch: u64, version: Timestamp, touch: bool) -> Result<Image> {
        self.gauges.misses.fetch_add(1, Ordering::Relaxed);
        let image = self.table.admit(id, self.read_page(id, epoch)?, touch);
        if !is_of(&image, epoch) || image.version() > version {
            return Err(foreign(id, version));
        }
        Ok(image)
    }

    /// Evicts clean pages until [`PagesOptions::cache_bytes`] are kept, as far as nobody holds them. For whoever has let go of many:
    /// reads and commits do it for themselves.
    pub fn evict(&self) {
        self.table.evict();
    }

    /// While on, memory for pages is taken so that it comes soon, rather than so that it is fast to read: for a start that somebody waits
    /// for.
    pub fn hurry(&self, on: bool) {
        self.table.hurry(on);
    }

    /// Whether memory for pages runs short while commits take more and more of it: then [`Pages::make_memory_ahead`] takes a wait off them.
    #[must_use]
    pub fn memory_runs_short(&self) -> bool {
        self.table.runs_short()
    }

    /// Takes memory for pages to come, a sixteenth of what there is and 16 MiB at most, within [`PagesOptions::cache_bytes`]. To be called
    /// beside commits.
    pub fn make_memory_ahead(&self) {
        self.table.make_ahead();
    }

    /// A copy of an image, to be changed.
    pub(crate) fn copied(&self, image: &Image) -> Result<Draft> {
        self.gauges.copies.fetch_add(1, Ordering::Relaxed);
        self.table.copy(image, Timestamp::MAX)
    }

    /// The newest image of a page that belongs to a checkpoint, as that writes it; `None` where there is none.
    pub(crate) fn sealed(&self, id: u64) -> Result<Option<Image>> {
        let pinned = |stretch| self.pins.lock().is_pinned(stretch);
        let Some((image, superseded)) = self.table.sealed(id, pinned)? else { return Ok(None) };
        if let Some(Range { start: since, end: until }) = superseded {
            let held = Held { id, since, what: What::Image };
            let needed = self.pins.lock().hold_before(until, held);
            if !needed {
                self.release(&[held]);
            }
        }
        Ok(Some(image))
    }

    /// What is in an image of page `id`, to be changed and to become another page. A clean image that nobody else uses is not copied.
    pub(crate) fn taken(&self, id: u64, image: Image) -> Result<Draft> {
        match self.table.take_clean(id, image) {
            Ok(page) => Ok(page),
            Err(image) => self.copied(&image),
        }
    }

    /// Takes one pin of `version` back.
    pub(crate) fn unpin(&self, version: Timestamp) {
        let mut held = HeldList::new();
        self.pins.lock().unpin(version, &mut held);
        self.release(&held);
    }

    /// Drops what no snapshot needs any more.
    pub(crate) fn release(&self, held: &[Held]) {
        for held in held {
            match held.what {
                What::Image => self.table.drop_older(held.id, held.since),
                What::Page => {
                    self.table.drop_newest(held.id);
                    self.released.lock().push(held.id);
                }
            }
        }
    }
}

/// Whether the checkpoint of `epoch` wrote or will write this image.
#[inline]
fn is_of(image: &[u8], epoch: u64) -> bool {
    PageHeader::of(image).epoch.get() == epoch || weakened("page-epoch-unchecked")
}

#[cold]
fn foreign(id: u64, version: Timestamp) -> Error {
    Error::corrupt(
        format!(
            "a page is not the one that version {version} refers to; read trees by the roots of that version"
        ),
        format!("page {id}"),
    )
}
