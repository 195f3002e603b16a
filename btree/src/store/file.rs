//! A page store in one file. See [`super::slot`] for the layout.
//!
//! A commit writes the pages, syncs, writes the meta slot that is not current, syncs. With the pages of its first commit a process also
//! writes a copy of the current slot, which another process left: shown is not durable. Pages that the last two durable
//! states refer to are never written, so a crash at any moment leaves one of them whole. After a failed sync, or a failed write of a
//! slot, nobody knows what is durable: the store answers `Closed` from then on.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result};
use parking_lot::Mutex;

use super::raw::{RawFile, read_full, write_full};
use super::slot::{self, Found, SLOT_LEN};
use super::{Batch, Caps, PageId, PageStore, StoreStats};
use crate::{MAX_PAGE_SIZE, MIN_PAGE_SIZE};

/// How much is written at once where pages lie side by side, in bytes.
const RUN: usize = 512 << 10;
/// The device is given so many bytes at a time where many are written, and is not asked for more than two such parts at once: what else the
/// system writes, a log before all, would have to wait behind.
const PART: u64 = 512 << 10;
/// The smallest hole that is worth a system call, in bytes.
const HOLE: usize = 32 << 10;
/// The file grows in steps of an eighth of its size within these bounds, in bytes.
const GROWTH: (u64, u64) = (256 << 10, 16 << 20);
/// The length of a file of which only the first sector was ever written.
const SECTOR: usize = 512;

/// Pages in a file.
pub struct FilePageStore {
    file: Box<dyn RawFile>,
    place: String,
    page_size: usize,
    page_count: AtomicU64,
    poisoned: AtomicBool,
    state: Mutex<State>,
    reads: AtomicU64,
    bytes: AtomicU64,
    writes: AtomicU64,
    commits: AtomicU64,
    syncs: AtomicU64,
}

struct State {
    /// The current slot.
    which: usize,
    sequence: u64,
    meta: Option<Vec<u8>>,
    /// The length of the file.
    len: u64,
    /// Bit `id`: the last durable state or the one before refers to the page, as far as this process knows.
    live: Vec<u64>,
    /// Whether this process has seen the current slot become durable.
    proven: bool,
    /// Whether the current slot was found in its copy only.
    in_copy: bool,
    /// Whether a copy may lie beside each slot.
    copies: [bool; 2],
    /// What the last batch freed.
    resting: Vec<PageId>,
    /// Pages were written ahead since the last sync.
    ahead: bool,
    run: Vec<u8>,
}

impl FilePageStore {
    /// Opens the page file at `path`; creates it, with pages of `page_size` bytes, if there is none. An existing file keeps its
    /// page size.
    ///
    /// # Errors
    /// `Io`; `Corrupt`, with code `NotADb` where the file is something else; `Unsupported` for a newer format; `InvalidInput` for an
    /// impossible page size.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(path: impl AsRef<std::path::Path>, page_size: usize) -> Result<Self> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let file = super::raw::OsFile::open(path)
            .map_err(|error| Error::io("the page file can't be opened", &error).at(&place))?;
        let store = FilePageStore::with_file(Box::new(file), page_size, place)?;
        // Whoever made the first commit had synced the name before.
        if store.meta()?.is_none() {
            super::raw::OsFile::sync_name(path).map_err(|error| {
                Error::io("the page file's name can't be synced", &error).at(&store.place)
            })?;
        }
        Ok(store)
    }

    /// As `open`, in a file that the caller provides; `place` names it in errors.
    ///
    /// # Errors
    /// As `open`.
    pub fn with_file(file: Box<dyn RawFile>, page_size: usize, place: impl Into<String>) -> Result<Self> {
        let place = place.into();
        if !page_size.is_power_of_two() || !(MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&page_size) {
            return Err(Error::invalid(format!(
                "a page size of {page_size} is not a power of two from {MIN_PAGE_SIZE} to {MAX_PAGE_SIZE}"
            )));
        }
        let failed = |error: std::io::Error| Error::io("the page file can't be read", &error).at(&place);
        let mut head = vec![0; 2 * MAX_PAGE_SIZE];
        let filled = read_full(file.as_ref(), &mut head, 0).map_err(failed)?;
        head.truncate(filled);
        let new = head.len() <= SECTOR && head.iter().all(|&byte| byte == 0);
        let found = if new {
            create(file.as_ref(), page_size).map_err(failed)?;
            Found { which: 0, page_size, sequence: 1, page_count: 0, meta: None, in_copy: false }
        } else {
            slot::newest(&head).map_err(|error| error.at(&place))?
        };
        let len = file.len().map_err(failed)?;
        let page_size = found.page_size;
        let needed = page_offset(found.page_count, page_size).and_then(|at| at.checked_add(page_size as u64));
        if found.page_count > 0 && needed.is_none_or(|needed| len < needed) {
            let what = format!(
                "the page file is cut short: {len} bytes for {} pages; restore from a backup",
                found.page_count
            );
            return Err(Error::corrupt(what, place));
        }
        let state = State {
            which: found.which,
            sequence: found.sequence,
            meta: found.meta,
            len,
            live: Vec::new(),
            proven: new,
            in_copy: found.in_copy,
            copies: [!new; 2],
            resting: Vec::new(),
            ahead: false,
            run: Vec::new(),
        };
        Ok(FilePageStore {
            file,
            place,
            page_size,
            page_count: AtomicU64::new(found.page_count),
            poisoned: AtomicBool::new(false),
            state: Mutex::new(state),
            reads: AtomicU64::new(0),
            bytes: AtomicU64::new(len),
            writes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        })
    }

    fn check_open(&self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            let message =
                "the page file is in doubt after a failed write or sync; close the database and reopen it";
            return Err(Error::closed(message).at(&self.place));
        }
        Ok(())
    }

    /// After this nobody can tell what is durable.
    fn poison(&self, what: &str, error: &std::io::Error) -> Error {
        self.poisoned.store(true, Ordering::Release);
        Error::io(format!("{what}; the database must be reopened"), error).at(&self.place)
    }

    fn sync(&self) -> Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync().map_err(|error| self.poison("the page file can't be synced", &error))
    }

    /// Makes the file long enough for pages up to `last`.
    fn grow(&self, state: &mut State, last: PageId) -> Result<()> {
        let end =
            page_offset(last.get(), self.page_size).and_then(|at| at.checked_add(self.page_size as u64));
        let end =
            end.ok_or_else(|| Error::limit("the page file is as large as it can be").at(&self.place))?;
        if end <= state.len {
            return Ok(());
        }
        let step = (end / 8).clamp(GROWTH.0, GROWTH.1);
        let len = end.next_multiple_of(step);
        self.file
            .set_len(len)
            .map_err(|error| Error::io("the page file can't grow", &error).at(&self.place))?;
        state.len = len;
        self.bytes.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Cuts the file.
    fn cut(&self, state: &mut State, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|error| self.poison("the page file can't be cut", &error))?;
        state.len = len;
        self.bytes.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Writes pages, those side by side at once.
    fn write_pages(&self, state: &mut State, puts: &[(PageId, &[u8])]) -> Result<()> {
        let (mut rest, mut parts) = (puts, Parts::default());
        while let Some(&(first, bytes)) = rest.first() {
            let adjacent = |(i, put): (usize, &(PageId, &[u8]))| put.0.get() == first.get() + i as u64;
            let most = (RUN / self.page_size).max(1);
            let count = rest.iter().take(most).enumerate().take_while(|&(i, put)| adjacent((i, put))).count();
            let (run, after) = rest.split_at(count);
            rest = after;
            let bytes = if count == 1 {
                bytes
            } else {
                state.run.clear();
                run.iter().for_each(|(_, bytes)| state.run.extend_from_slice(bytes));
                &state.run
            };
            let at = page_offset(first.get(), self.page_size).unwrap_or(u64::MAX);
            write_full(self.file.as_ref(), bytes, at)
                .map_err(|error| Error::io(format!("{first} can't be written"), &error).at(&self.place))?;
            parts
                .written(self.file.as_ref(), at, bytes.len() as u64)
                .map_err(|error| self.poison("pages can't be brought to the device", &error))?;
        }
        self.writes.fetch_add(puts.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Writes pages, and what else has to be durable before a slot is written, and waits until they are.
    fn write_synced(&self, state: &mut State, puts: &[(PageId, &[u8])]) -> Result<()> {
        let copied = self.write_copies(state)?;
        if let Some(&(last, _)) = puts.last() {
            self.grow(state, last)?;
            self.write_pages(state, puts)?;
        } else if !copied && !state.ahead {
            return Ok(());
        }
        if weakened("pages-unsynced") {
            return Ok(());
        }
        self.sync()?;
        state.ahead = false;
        Ok(())
    }

    /// Writes the current slot once more where this process does not know that it is durable: into the place that does not hold it.
    /// Where it does know, wipes out copies, which must not outlive their slots. Tells whether there was anything to do.
    fn write_copies(&self, state: &mut State) -> Result<bool> {
        let write = |place: usize, bytes: &[u8]| {
            write_full(self.file.as_ref(), bytes, place as u64)
                .map_err(|error| Error::io("a meta slot can't be copied", &error).at(&self.place))
        };
        let copy = |which| slot::copy_place(which, self.page_size);
        if state.proven {
            let copies = state.copies;
            (0..2).filter(|&which| copies[which]).try_for_each(|which| write(copy(which), &[0; SLOT_LEN]))?;
            state.copies = [false; 2];
            return Ok(copies.contains(&true));
        }
        let page_count = self.page_count.load(Ordering::Acquire);
        let bytes = slot::encode(self.page_size, state.sequence, page_count, state.meta.as_deref());
        let place = if state.in_copy { state.which * self.page_size } else { copy(state.which) };
        write(place, &bytes)?;
        Ok(true)
    }

    /// Writes a meta slot, and waits until it is durable. The other one is not touched meanwhile.
    fn write_slot(&self, which: usize, slot: &[u8]) -> Result<()> {
        let write = |which: usize| {
            write_full(self.file.as_ref(), slot, (which * self.page_size) as u64)
                .map_err(|error| self.poison("a meta slot can't be written", &error))
        };
        write(which)?;
        if weakened("both-meta-slots-written") {
            write(1 - which)?;
        }
        if weakened("meta-unsynced") {
            return Ok(());
        }
        self.sync()
    }

    /// Refuses to write a page that a durable state refers to.
    fn check_not_live(&self, state: &State, puts: &[(PageId, &[u8])]) -> Result<()> {
        match puts.iter().find(|(id, _)| is_live(&state.live, *id)) {
            Some(_) if weakened("freed-page-reused-at-once") => Ok(()),
            None => Ok(()),
            Some((id, _)) => Err(Error::new(
                ErrorKind::InvalidInput,
                Code::Misuse,
                format!("{id} can't be written: a durable state refers to it"),
            )
            .at(&self.place)),
        }
    }
}

/// What was written of a large batch, in parts.
#[derive(Default)]
struct Parts {
    /// Where the part that is being written begins, and how much of it was.
    from: Option<u64>,
    bytes: u64,
    /// The part before, which the device is at.
    under_way: Option<Range<u64>>,
}

impl Parts {
    /// Notes what was written at `at`, which lies beyond all before; hands a part on to the device where it is large enough.
    fn written(&mut self, file: &dyn RawFile, at: u64, len: u64) -> std::io::Result<()> {
        let from = *self.from.get_or_insert(at);
        self.bytes += len;
        if self.bytes < PART {
            return Ok(());
        }
        let part = from..at.saturating_add(len);
        file.write_back(part.start, part.end - part.start, false)?;
        (self.from, self.bytes) = (None, 0);
        match self.under_way.replace(part) {
            Some(before) => file.write_back(before.start, before.end - before.start, true),
            None => Ok(()),
        }
    }
}

impl PageStore for FilePageStore {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn read(&self, id: PageId, buf: &mut [u8]) -> Result<()> {
        self.check_open()?;
        if buf.len() != self.page_size {
            return Err(Error::invalid("a page is read into a buffer of another size"));
        }
        let at = page_offset(id.get(), self.page_size)
            .filter(|_| !id.is_none() && id.get() <= self.page_count.load(Ordering::Acquire))
            .ok_or_else(|| Error::corrupt(format!("{id} was never written"), &self.place))?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        let filled = read_full(self.file.as_ref(), buf, at)
            .map_err(|error| Error::io(format!("{id} can't be read"), &error).at(&self.place))?;
        if filled < buf.len() {
            let what = format!("the page file is cut short in {id}; restore from a backup");
            return Err(Error::corrupt(what, &self.place));
        }
        Ok(())
    }

    fn commit(&self, batch: Batch<'_>) -> Result<()> {
        self.check_open()?;
        batch.check(self.page_size, self.caps())?;
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_not_live(state, batch.puts)?;
        let last = batch.puts.last().map_or(0, |put| put.0.get());
        let page_count = self.page_count.load(Ordering::Acquire).max(last);
        let which = if weakened("meta-slot-reused") { state.which } else { 1 - state.which };
        let slot = slot::encode(self.page_size, state.sequence + 1, page_count, Some(batch.meta));
        if weakened("meta-before-pages") {
            self.write_slot(which, &slot)?;
            self.write_synced(state, batch.puts)?;
        } else {
            self.write_synced(state, batch.puts)?;
            self.write_slot(which, &slot)?;
        }
        state.which = which;
        state.proven = true;
        state.sequence += 1;
        state.meta = Some(batch.meta.to_vec());
        for id in std::mem::replace(&mut state.resting, batch.frees.to_vec()) {
            set_live(&mut state.live, id, false);
        }
        for &(id, _) in batch.puts {
            set_live(&mut state.live, id, true);
        }
        self.page_count.store(page_count, Ordering::Release);
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn write_ahead(&self, puts: &[(PageId, &[u8])]) -> Result<bool> {
        self.check_open()?;
        let mut state = self.state.lock();
        let state = &mut *state;
        self.check_not_live(state, puts)?;
        let Some(&(last, _)) = puts.last() else { return Ok(true) };
        self.grow(state, last)?;
        state.ahead = true;
        self.write_pages(state, puts)?;
        self.page_count.fetch_max(last.get(), Ordering::AcqRel);
        Ok(true)
    }

    fn shrink(&self, last: PageId) -> Result<()> {
        self.check_open()?;
        let mut state = self.state.lock();
        let state = &mut *state;
        let page_count = self.page_count.load(Ordering::Acquire).min(last.get());
        let len = page_offset(page_count + 1, self.page_size).unwrap_or(u64::MAX);
        // What another process left may not be durable: the next commit is.
        if len >= state.len || !state.proven {
            return Ok(());
        }
        if weakened("cut-before-meta") {
            self.cut(state, len)?;
        }
        if self.write_copies(state)? {
            self.sync()?;
        }
        // Neither slot may speak of what is cut off, since either may be all that is left.
        for _ in 0..2 {
            let slot = slot::encode(self.page_size, state.sequence + 1, page_count, state.meta.as_deref());
            let which = 1 - state.which;
            self.write_slot(which, &slot)?;
            state.which = which;
            state.sequence += 1;
            self.page_count.store(page_count, Ordering::Release);
        }
        state.live.truncate((page_count / 64 + 1) as usize);
        self.cut(state, len)
    }

    fn scrub(&self, free: &[PageId], unused: PageId) -> Result<()> {
        self.check_open()?;
        let mut state = self.state.lock();
        let state = &mut *state;
        let zeros = vec![0; self.page_size];
        let used_once = unused.get()..=self.page_count.load(Ordering::Acquire);
        let all = free.iter().map(|id| id.get()).chain(used_once);
        let puts: Vec<(PageId, &[u8])> = all.map(|id| (PageId::new(id), &zeros[..])).collect();
        let puts: Vec<_> = puts.into_iter().filter(|(id, _)| !is_live(&state.live, *id)).collect();
        self.write_pages(state, &puts)?;
        self.sync()
    }

    fn discard(&self, free: &[PageId]) -> Result<()> {
        self.check_open()?;
        let state = self.state.lock();
        if !state.proven {
            return Ok(());
        }
        let last = self.page_count.load(Ordering::Acquire);
        let mut rest: Vec<u64> = free.iter().map(|id| id.get()).collect();
        rest.retain(|&id| id <= last && !is_live(&state.live, PageId::new(id)));
        for run in rest.chunk_by(|a, b| a + 1 == *b) {
            let (Some(at), len) = (page_offset(run[0], self.page_size), run.len() * self.page_size) else {
                continue;
            };
            if len < HOLE {
                continue;
            }
            let punched = self.file.punch(at, len as u64);
            if !punched.map_err(|error| Error::io("space can't be given back", &error).at(&self.place))? {
                break;
            }
        }
        Ok(())
    }

    fn meta(&self) -> Result<Option<Vec<u8>>> {
        self.check_open()?;
        Ok(self.state.lock().meta.clone())
    }

    fn stats(&self) -> StoreStats {
        StoreStats {
            bytes: self.bytes.load(Ordering::Relaxed),
            page_reads: self.reads.load(Ordering::Relaxed),
            page_writes: self.writes.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
        }
    }

    fn caps(&self) -> Caps {
        Caps { max_meta: self.page_size / 2 - SLOT_LEN, durable: true, may_block: false }
    }
}

/// Where a page lies; page 0 would lie in slot 1.
fn page_offset(id: u64, page_size: usize) -> Option<u64> {
    id.checked_add(1)?.checked_mul(page_size as u64)
}

/// Makes a new file. Only its first sector is written, so that a crash leaves it there or not.
fn create(file: &dyn RawFile, page_size: usize) -> std::io::Result<()> {
    let mut sector = slot::encode(page_size, 1, 0, None);
    sector.resize(SECTOR, 0);
    write_full(file, &sector, 0)?;
    if weakened("new-page-file-unsynced") {
        return Ok(());
    }
    file.sync()
}

fn is_live(live: &[u64], id: PageId) -> bool {
    let id = id.get();
    live.get((id / 64) as usize).is_some_and(|word| word & (1 << (id % 64)) != 0)
}

fn set_live(live: &mut Vec<u64>, id: PageId, value: bool) {
    let (word, bit) = ((id.get() / 64) as usize, 1u64 << (id.get() % 64));
    if word >= live.len() {
        if !value {
            return;
        }
        live.resize(word + 1, 0);
    }
    if value {
        live[word] |= bit;
    } else {
        live[word] &= !bit;
    }
}
