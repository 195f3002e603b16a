//! Frames: the memory that images of pages lie in, counted, pooled, and never given back while a table may look at it.
//!
//! ```text
//! Frames ── chunk: frame | frame | ..       2 to so many as take 2 MiB, side by side
//!                  frame: 0 count, page number, version, home, deltas | 64 the page
//!
//! in the pool ──Frames::take──> Draft: one owner, may be written
//!      ^                          │ share            ^ unshare, where nobody else holds it
//!      └────── the last drop ── Image: counted, immutable
//! ```
//!
//! Deltas of an image ([`super::deltas`]) lie in blocks that are cut from frames.
//!
//! The count stands right before the page, so that both come from memory together: a count of its own place would be a wait
//! of its own.
//!
//! A reader may come by a frame through a pointer that is out of date ([`super::front`]). So it counts itself in first and looks
//! then whether the frame holds the page it wants. A frame with one owner is *claimed*: whoever finds it so counts itself out
//! again and has seen nothing of its page. What a reader may touch of a claimed frame, its count and its numbers, are atomics
//! that live as long as the table, or the last image, does.

#![allow(
    unsafe_code,
    reason = "counted memory of many pages, without a second allocation and a lock for each"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use dosql_base::Timestamp;
use dosql_base::mutant::weakened;
use dosql_base::sync::Mutex;
use dosql_base::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::deltas::Deltas;
use crate::page::format::PageHeader;
use crate::page::node_mut::NodeMut;
use crate::page::prefetch::{LINE, prefetch};

/// Set in a frame's count while it has one owner who may write.
const CLAIMED: u32 = 1 << 31;
/// What the processor maps by one entry of its tables, where the system is so kind: the largest chunk.
const HUGE: usize = 2 << 20;
/// Frames in the first chunk. Later ones are as large as all before together, up to [`HUGE`].
const FIRST_CHUNK: usize = 2;
/// Frames whose memory comes together while it should come soon: a fault for each small page takes longer than clearing it.
const TOGETHER: usize = 16;
/// Which part of the chunks that are used is made ahead, and how many at most.
const AHEAD_PART: usize = 16;
const MOST_AHEAD: usize = 8;
/// Lines of a page that come before they are asked for: header, hints and the slots of a leaf.
const FIRST_LINES: usize = 7;

/// What stands in front of a page.
#[repr(C, align(64))]
struct Frame {
    /// How many hold it, and [`CLAIMED`].
    count: AtomicU32,
    /// Used since the eviction's hand last passed.
    used: AtomicBool,
    /// The length of a page, as a power of two.
    shift: u8,
    /// Of the page in it; they change only while it is claimed.
    id: AtomicU64,
    version: AtomicU64,
    home: *const Frames,
    /// What was changed since the image was made: set once while it is shared, taken back by who claims it.
    deltas: AtomicPtr<Deltas>,
}

const _: () = assert!(cfg!(loom) || size_of::<Frame>() == LINE);

/// Frames side by side.
struct Chunk {
    first: NonNull<Frame>,
    frames: usize,
    /// All of it was written with zeros.
    cleared: bool,
}

// SAFETY: whoever has a chunk has all of its memory, until it is in a pool.
unsafe impl Send for Chunk {}

/// From one frame to the next. Not a power of two: the first lines of all pages would fight for few places of the processor's cache.
fn stride(page_size: usize) -> usize {
    size_of::<Frame>() + page_size
}

fn layout(page_size: usize, frames: usize) -> Layout {
    let len = frames * stride(page_size);
    let large = frames == most_frames(page_size);
    let (len, align) = if large { (HUGE, HUGE) } else { (len, align_of::<Frame>()) };
    Layout::from_size_align(len, align).expect("a chunk is small")
}

/// Frames in the largest chunk.
fn most_frames(page_size: usize) -> usize {
    HUGE / stride(page_size)
}

impl Chunk {
    /// Room for so many frames. Nothing is written, so that it takes no memory before it is used.
    fn new(page_size: usize, frames: usize) -> Chunk {
        let layout = layout(page_size, frames);
        // SAFETY: no chunk is of no bytes.
        let memory = NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        Chunk { first: memory.cast(), frames, cleared: false }
    }

    /// Has the system bring the memory of some frames at once.
    fn populate(&self, at: usize, page_size: usize) {
        let count = TOGETHER.min(self.frames - at);
        // SAFETY: so many frames lie there.
        let first = unsafe { self.first.byte_add(at * stride(page_size)) };
        populate(first.cast(), count * stride(page_size));
    }

    /// One of the largest, cleared: the memory is there.
    fn cleared(page_size: usize) -> Chunk {
        let mut chunk = Chunk::new(page_size, most_frames(page_size));
        chunk.enlarge(page_size);
        // SAFETY: the chunk is so long, and nobody else knows it.
        unsafe { chunk.first.cast::<u8>().write_bytes(0, layout(page_size, chunk.frames).size()) };
        chunk.cleared = true;
        chunk
    }

    /// Asks for huge pages.
    fn enlarge(&self, page_size: usize) {
        advise(self.first.cast(), layout(page_size, self.frames).size());
    }

    /// A frame that was never used: claimed, its page of zeros.
    fn begin(&self, at: usize, home: *const Frames, page_size: usize) -> NonNull<Frame> {
        assert!(at < self.frames, "a frame is of its chunk");
        let frame = Frame {
            count: AtomicU32::new(CLAIMED),
            used: AtomicBool::new(false),
            shift: page_size.trailing_zeros() as u8,
            id: AtomicU64::new(0),
            version: AtomicU64::new(0),
            home,
            deltas: AtomicPtr::new(std::ptr::null_mut()),
        };
        // SAFETY: the chunk is as long as all its frames, one stride each, and nobody knows this one yet.
        unsafe {
            let place = self.first.byte_add(at * stride(page_size));
            place.write(frame);
            if !self.cleared {
                Frame::bytes(place).write_bytes(0, page_size);
            }
            place
        }
    }
}

/// Asks for huge pages: random reads of a large cache wait for address translation as long as for the memory.
#[cfg(target_os = "linux")]
fn advise(bytes: NonNull<u8>, len: usize) {
    if len.is_multiple_of(HUGE) {
        // SAFETY: the range was allocated just now; the advice changes nothing of its contents. It may be ignored.
        unsafe { libc::madvise(bytes.as_ptr().cast(), len, libc::MADV_HUGEPAGE) };
    }
}

/// Brings memory that was allocated and not used yet. Where the system does not know how, it comes when it is used.
#[cfg(target_os = "linux")]
fn populate(bytes: NonNull<u8>, len: usize) {
    const SMALL: usize = 4096;
    let start = bytes.as_ptr().addr().next_multiple_of(SMALL);
    let skipped = start - bytes.as_ptr().addr();
    let len = len.saturating_sub(skipped) / SMALL * SMALL;
    // SAFETY: the range lies within what the caller allocated; bringing pages changes nothing of their contents.
    unsafe { libc::madvise(bytes.as_ptr().byte_add(skipped).cast(), len, libc::MADV_POPULATE_WRITE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_bytes: NonNull<u8>, _len: usize) {}

#[cfg(not(target_os = "linux"))]
fn populate(_bytes: NonNull<u8>, _len: usize) {}

/// All frames of one table.
pub(crate) struct Frames {
    page_size: usize,
    pool: Mutex<Pool>,
    /// Frames that blocks of deltas were cut from.
    cut: AtomicUsize,
    /// Images that were left with deltas.
    merged: AtomicUsize,
}

#[derive(Default)]
struct Pool {
    chunks: Vec<Chunk>,
    /// New chunks are of small pages, which come sooner: the system has no more to clear than is used.
    hurries: bool,
    /// Claimed frames to use again.
    free: Vec<NonNull<Frame>>,
    /// Blocks to use again.
    blocks: Vec<NonNull<Deltas>>,
    /// The fewest that were there since it was last asked whether they run short.
    fewest: usize,
    /// Frames of the last chunk that were used.
    begun: usize,
    /// Frames of all chunks that were begun.
    total: usize,
    /// Chunks that were made ahead, and how many there are to be.
    ahead: Vec<Chunk>,
    wanted: usize,
}

// SAFETY: the pointers of the pool are to frames that it owns, which are used under the rules of the module's description.
unsafe impl Send for Pool {}

impl Frames {
    /// No frames yet, for pages of `page_size` bytes.
    pub(crate) fn new(page_size: usize) -> Arc<Frames> {
        Arc::new(Frames {
            page_size,
            pool: Mutex::default(),
            cut: AtomicUsize::new(0),
            merged: AtomicUsize::new(0),
        })
    }

    /// A frame to write a page into; its bytes are arbitrary.
    pub(crate) fn take(self: &Arc<Self>) -> Draft {
        let frame = self.pool.lock().take(Arc::as_ptr(self), self.page_size);
        // Its own hold on the memory: given back by `put`.
        let _ = Arc::into_raw(Arc::clone(self));
        Draft(frame)
    }

    /// A block for deltas.
    fn take_block(&self) -> NonNull<Deltas> {
        let mut pool = self.pool.lock();
        if let Some(mut block) = pool.blocks.pop() {
            // SAFETY: a block in the pool is nobody's.
            unsafe { block.as_mut().reset() };
            return block;
        }
        let frame = pool.take(self, self.page_size);
        self.cut.fetch_add(1, Ordering::Relaxed);
        for at in (0..self.page_size / size_of::<Deltas>()).map(|i| i * size_of::<Deltas>()) {
            // SAFETY: so many blocks fit into the page of the frame, which nobody else knows, and which starts at a line of the cache as they
            // do.
            let block = unsafe {
                let block = Frame::bytes(frame).byte_add(at).cast::<Deltas>();
                block.write(Deltas::new());
                block
            };
            pool.blocks.push(block);
        }
        pool.blocks.pop().expect("a page has room for a block")
    }

    /// Frames that deltas take, with what was left with them.
    pub(crate) fn of_deltas(&self) -> usize {
        self.cut.load(Ordering::Relaxed) + self.merged.load(Ordering::Relaxed)
    }

    /// Leaves an image for others who want the first `count` of these deltas in place.
    pub(crate) fn leave_merged(&self, deltas: &Deltas, count: u32, image: Image) {
        if deltas.leave_merged(count, Some(image)).is_none() {
            self.merged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether new memory should come soon rather than be fast to use. What came soon becomes faster to use later, when the system gets
    /// round to it.
    pub(crate) fn hurry(&self, on: bool) {
        let mut pool = self.pool.lock();
        if pool.hurries && !on {
            pool.chunks.iter().for_each(|chunk| chunk.enlarge(self.page_size));
        }
        pool.hurries = on;
    }

    /// Whether few frames are left, of a pool that grows towards `most` frames, so that more should be made ahead.
    pub(crate) fn runs_short(&self, most: usize) -> bool {
        let mut pool = self.pool.lock();
        pool.wanted = pool.ahead_wanted(most_frames(self.page_size), most);
        pool.fewest = pool.free.len();
        pool.ahead.len() < pool.wanted.div_ceil(2)
    }

    /// Makes the frames that should be made ahead. Clearing their memory is the most of what a new frame costs.
    pub(crate) fn make_ahead(&self) {
        while {
            let pool = self.pool.lock();
            pool.ahead.len() < pool.wanted
        } {
            let chunk = Chunk::cleared(self.page_size);
            self.pool.lock().ahead.push(chunk);
        }
    }

    /// How many lie in the pool, those that were made ahead too.
    pub(crate) fn spare(&self) -> usize {
        let pool = self.pool.lock();
        pool.free.len() + pool.ahead.iter().map(|chunk| chunk.frames).sum::<usize>()
    }
}

impl Pool {
    /// How many chunks of so many frames are to be there ahead: a sixteenth of what is used, as long as hardly a frame is left unused at
    /// times and the pool is to grow.
    fn ahead_wanted(&self, chunk: usize, most: usize) -> usize {
        let idle = self.hurries || self.fewest >= chunk;
        let room = most.saturating_sub(self.total) / chunk;
        if idle { 0 } else { (self.total / chunk).div_ceil(AHEAD_PART).min(MOST_AHEAD).min(room) }
    }

    fn take(&mut self, home: *const Frames, page_size: usize) -> NonNull<Frame> {
        if let Some(frame) = self.free.pop() {
            self.fewest = self.fewest.min(self.free.len());
            return frame;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.frames == self.begun) {
            let frames = self.total.clamp(FIRST_CHUNK, most_frames(page_size));
            let chunk = self.ahead.pop().unwrap_or_else(|| {
                let chunk = Chunk::new(page_size, frames);
                if !self.hurries {
                    chunk.enlarge(page_size);
                }
                chunk
            });
            self.total += chunk.frames;
            self.chunks.push(chunk);
            self.begun = 0;
        }
        let (chunk, at) = (&self.chunks[self.chunks.len() - 1], self.begun);
        if self.hurries && chunk.frames == most_frames(page_size) && at.is_multiple_of(TOGETHER) {
            chunk.populate(at, page_size);
        }
        self.begun += 1;
        chunk.begin(at, home, page_size)
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let page_size = self.page_size;
        let mut pool = self.pool.lock();
        let ahead = std::mem::take(&mut pool.ahead);
        for chunk in std::mem::take(&mut pool.chunks).into_iter().chain(ahead) {
            // SAFETY: every frame in use holds the frames, so all are in the pool and nobody has a pointer to one: the table,
            // whose readers may, holds them too. Frames need no drop.
            unsafe { dealloc(chunk.first.as_ptr().cast(), layout(page_size, chunk.frames)) };
        }
    }
}

impl Frame {
    /// Where its page is.
    #[inline]
    fn bytes(this: NonNull<Frame>) -> NonNull<u8> {
        // SAFETY: the page lies right behind, in the same allocation.
        unsafe { this.add(1).cast() }
    }

    /// The page.
    ///
    /// # Safety
    /// The caller holds the frame for as long as `'a`, and nobody writes to it.
    #[inline]
    unsafe fn page<'a>(this: NonNull<Frame>) -> &'a [u8] {
        // SAFETY: the page of a frame that was taken is so many initialized bytes.
        unsafe { std::slice::from_raw_parts(Frame::bytes(this).as_ptr(), 1 << this.as_ref().shift) }
    }

    /// Takes a claimed frame back to the pool.
    ///
    /// # Safety
    /// The caller has claimed the frame, and ends here.
    unsafe fn put(this: NonNull<Frame>) {
        // SAFETY: the frame's own hold keeps its home alive up to the last line.
        unsafe {
            let home = this.as_ref().home;
            let deltas = this.as_ref().take_deltas();
            let mut pool = (*home).pool.lock();
            pool.free.push(this);
            pool.blocks.extend(deltas);
            drop(pool);
            Arc::decrement_strong_count(home);
        }
    }

    /// Takes its deltas away. The caller has claimed it.
    fn take_deltas(&self) -> Option<NonNull<Deltas>> {
        if self.deltas.load(Ordering::Relaxed).is_null() {
            return None;
        }
        let deltas = NonNull::new(self.deltas.swap(std::ptr::null_mut(), Ordering::Relaxed))?;
        // SAFETY: nobody else looks at the deltas of a claimed frame. What they have left in memory is given back while no lock is held.
        let left = unsafe { deltas.as_ref() }.leave_merged(0, None);
        if left.is_some() {
            // SAFETY: a frame in use holds its home.
            unsafe { &*self.home }.merged.fetch_sub(1, Ordering::Relaxed);
        }
        Some(deltas)
    }

    /// Counts one out; true where it was the last, who has claimed the frame now.
    #[inline]
    fn release(&self) -> bool {
        let mut count = self.count.load(Ordering::Relaxed);
        loop {
            let (left, order) = match count {
                1 => (CLAIMED, Ordering::AcqRel),
                _ => (count - 1, Ordering::Release),
            };
            // In one step: after it this thread must not touch a frame that it has not claimed.
            match self.count.compare_exchange_weak(count, left, order, Ordering::Relaxed) {
                Ok(_) => return left == CLAIMED && count == 1,
                Err(now) => count = now,
            }
        }
    }
}

/// A page that has one owner, who may write it.
pub(crate) struct Draft(NonNull<Frame>);

// SAFETY: a draft is the only way to its bytes.
unsafe impl Send for Draft {}
// SAFETY: a shared draft only lends its bytes to read.
unsafe impl Sync for Draft {}

impl Draft {
    /// Asks for the memory of its header, and of what stands in front of it.
    #[inline]
    pub(crate) fn ask_for(&self) {
        prefetch(self.0.as_ptr().cast_const().cast(), 2);
    }

    /// Puts the deltas of the image that it was, as seen at `version`, in place. False where they do not fit, which they do.
    #[must_use]
    pub(crate) fn take_in_deltas(&mut self, version: Timestamp) -> bool {
        // SAFETY: a draft's frame is alive, and so is its home.
        let (frame, home) = unsafe { (self.0.as_ref(), &*self.0.as_ref().home) };
        let Some(deltas) = frame.take_deltas() else { return true };
        // SAFETY: it was taken from a claimed frame, so nobody else has it.
        let whole = weakened("deltas-not-written")
            || unsafe { deltas.as_ref() }.bring_into(&mut NodeMut::new(self), version);
        home.pool.lock().blocks.push(deltas);
        whole
    }

    /// Nobody writes it any more: from here on it is the image of the page that its header says, at the version that it says.
    #[inline]
    pub(crate) fn share(self) -> Image {
        let (id, version) = {
            let header = PageHeader::of(&self);
            (header.id.get(), header.version.get())
        };
        // SAFETY: a draft's frame is alive.
        let frame = unsafe { self.0.as_ref() };
        frame.id.store(id, Ordering::Relaxed);
        frame.version.store(version, Ordering::Relaxed);
        frame.used.store(false, Ordering::Relaxed);
        debug_assert!(frame.deltas.load(Ordering::Relaxed).is_null(), "deltas are of an image");
        // Readers who came by in vain may be counted too: they will count themselves out.
        frame.count.fetch_sub(CLAIMED - 1, Ordering::Release);
        let image = Image(self.0);
        std::mem::forget(self);
        image
    }
}

impl Deref for Draft {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the draft holds the frame, and lends its bytes by the rules of references.
        unsafe { Frame::page(self.0) }
    }
}

impl DerefMut for Draft {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len();
        // SAFETY: as in `deref`; the claim keeps everyone else away.
        unsafe { std::slice::from_raw_parts_mut(Frame::bytes(self.0).as_ptr(), len) }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // SAFETY: the frame is claimed by this draft, which ends here.
        unsafe { Frame::put(self.0) };
    }
}

/// The bytes of a page, shared and immutable.
pub(crate) struct Image(NonNull<Frame>);

// SAFETY: all that images share is counted by an atomic or immutable.
unsafe impl Send for Image {}
// SAFETY: as for `Send`.
unsafe impl Sync for Image {}

impl Image {
    /// The version that published it.
    #[inline]
    pub(crate) fn version(&self) -> Timestamp {
        Timestamp::from_micros(self.frame().version.load(Ordering::Relaxed))
    }

    #[inline]
    fn frame(&self) -> &Frame {
        // SAFETY: the image holds its frame.
        unsafe { self.0.as_ref() }
    }

    /// What was changed since it was made.
    #[inline]
    pub(crate) fn deltas(&self) -> Option<&Deltas> {
        // SAFETY: the block is the frame's until somebody claims that, and the image holds it.
        unsafe { self.frame().deltas.load(Ordering::Acquire).as_ref() }
    }

    /// As [`Image::deltas`]; from now on there are some. For the one writer.
    pub(crate) fn begin_deltas(&self) -> &Deltas {
        if let Some(deltas) = self.deltas() {
            return deltas;
        }
        // SAFETY: the frame holds its home.
        let home = unsafe { &*self.frame().home };
        let block = home.take_block();
        let none = std::ptr::null_mut();
        let begun =
            self.frame().deltas.compare_exchange(none, block.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
        let block = match begun {
            Ok(_) => block,
            Err(other) => {
                home.pool.lock().blocks.push(block);
                NonNull::new(other).unwrap_or(block)
            }
        };
        // SAFETY: as in `deltas`.
        unsafe { block.as_ref() }
    }

    /// Remembers that it was used.
    #[inline]
    pub(crate) fn touch(&self) {
        let used = &self.frame().used;
        if !used.load(Ordering::Relaxed) {
            used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was used since it was last asked.
    pub(crate) fn take_used(&self) -> bool {
        self.frame().used.swap(false, Ordering::Relaxed)
    }

    /// Whether someone else holds it too, at this moment.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        self.frame().count.load(Ordering::Relaxed) > 1
    }

    /// To be written again, where nobody else holds it.
    pub(crate) fn unshare(self) -> Result<Draft, Image> {
        match self.frame().count.compare_exchange(1, CLAIMED, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => {
                let draft = Draft(self.0);
                std::mem::forget(self);
                Ok(draft)
            }
            Err(_) => Err(self),
        }
    }

    /// Where its frame is, to find it again.
    #[inline]
    pub(crate) fn place(&self) -> Place {
        Place(self.0)
    }
}

impl Clone for Image {
    #[inline]
    fn clone(&self) -> Image {
        self.frame().count.fetch_add(1, Ordering::Relaxed);
        Image(self.0)
    }
}

impl Deref for Image {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the image holds the frame, which nobody can claim meanwhile.
        unsafe { Frame::page(self.0) }
    }
}

impl Drop for Image {
    #[inline]
    fn drop(&mut self) {
        if self.frame().release() {
            // SAFETY: this was the last, so the frame is claimed now, by this thread.
            unsafe { Frame::put(self.0) };
        }
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("id", &PageHeader::of(self).id)
            .field("version", &self.version())
            .finish()
    }
}

/// A frame that was seen somewhere. What it holds now is another question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(NonNull<Frame>);

impl Place {
    pub(crate) fn to_ptr(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    pub(crate) fn from_ptr(pointer: *mut ()) -> Option<Place> {
        NonNull::new(pointer.cast()).map(Place)
    }

    /// The image of page `id` in it, where it was published at `version` or before.
    ///
    /// # Safety
    /// The table that the frame is of lives.
    #[inline]
    pub(crate) unsafe fn image(self, id: u64, version: Timestamp) -> Option<Image> {
        // Before the count, which everything after it has to wait for.
        prefetch(Frame::bytes(self.0).as_ptr(), FIRST_LINES);
        // SAFETY: as the caller says.
        let frame = unsafe { self.0.as_ref() };
        let before = frame.count.fetch_add(1, Ordering::Acquire);
        let claimed = before & CLAIMED != 0 && !weakened("claim-overlooked");
        if !claimed
            && frame.id.load(Ordering::Relaxed) == id
            && frame.version.load(Ordering::Relaxed) <= version.as_micros()
        {
            return Some(Image(self.0));
        }
        if frame.release() {
            // SAFETY: this thread has claimed it.
            unsafe { Frame::put(self.0) };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::byteorder::little_endian::U64;

    fn draft(frames: &Arc<Frames>, id: u64, version: u64) -> Draft {
        let mut draft = frames.take();
        let header = PageHeader::of_mut(&mut draft);
        (header.id, header.version) = (U64::new(id), U64::new(version));
        draft
    }

    #[test]
    fn a_frame_is_used_again_when_its_last_image_is_gone() {
        let frames = Frames::new(4096);
        let image = draft(&frames, 7, 3).share();
        let place = image.place();
        let second = image.clone();
        assert!(image.is_held_elsewhere());
        drop(image);
        assert_eq!(PageHeader::of(&second).id.get(), 7);
        drop(second);
        let again = frames.take();
        assert!(Place(again.0) == place);
    }

    #[test]
    fn frames_are_made_ahead_where_a_pool_grows_and_not_beyond_its_bound() {
        let frames = Frames::new(4096);
        let chunk = most_frames(4096);
        assert!(!frames.runs_short(100 * chunk), "nothing is used yet");
        let held: Vec<Draft> = (0..2 * chunk).map(|_| frames.take()).collect();
        assert!(frames.runs_short(100 * chunk) && !frames.runs_short(2 * chunk));
        assert!(frames.runs_short(100 * chunk));
        frames.make_ahead();
        assert!(!frames.runs_short(100 * chunk));
        let more: Vec<Draft> = (0..chunk).map(|_| frames.take()).collect();
        assert!(more.iter().all(|page| page.iter().all(|&byte| byte == 0)));
        assert!(frames.pool.lock().ahead.is_empty());
        drop(held);
        assert!(frames.runs_short(100 * chunk), "there were none a moment ago");
        assert!(!frames.runs_short(100 * chunk), "there are frames to use again");
    }

    #[test]
    fn images_outlive_the_table_that_made_them() {
        let frames = Frames::new(4096);
        let images: Vec<Image> = (1..100).map(|id| draft(&frames, id, 1).share()).collect();
        drop(frames);
        for (id, image) in (1..).zip(&images) {
            assert_eq!(PageHeader::of(image).id.get(), id);
        }
    }

    #[test]
    fn a_stale_place_yields_an_image_only_of_the_page_and_version_asked_for() {
        let frames = Frames::new(4096);
        let image = draft(&frames, 7, 3).share();
        let place = image.place();
        // SAFETY: `frames` lives to the end.
        let look = |id, version| unsafe { place.image(id, Timestamp::from_micros(version)) };
        assert!(look(7, 3).is_some() && look(7, 2).is_none() && look(8, 3).is_none());
        let draft = image.unshare().unwrap_or_else(|_| unreachable!("nobody else holds it"));
        assert!(look(7, 3).is_none(), "somebody may be writing it");
        let image = draft.share();
        let reader = look(7, 3).expect("it is shared again");
        let image = image.unshare().err().expect("a reader holds it");
        drop((reader, image));
        assert!(look(7, 3).is_none(), "it is in the pool");
    }

    #[test]
    fn threads_meet_at_few_frames_and_each_finds_what_it_asked_for() {
        let frames = Frames::new(4096);
        let first = draft(&frames, 1, 1).share();
        let place = first.place();
        drop(first);
        std::thread::scope(|scope| {
            for thread in 0..3u64 {
                let (frames, place) = (&frames, SendPlace(place));
                scope.spawn(move || {
                    let place = place;
                    for round in 0..20_000u64 {
                        let id = 1 + (round + thread) % 2;
                        // SAFETY: `frames` outlives the threads.
                        if let Some(image) = unsafe { place.0.image(id, Timestamp::MAX) } {
                            assert_eq!(PageHeader::of(&image).id.get(), id);
                        }
                        if thread == 0 {
                            drop(draft(frames, id, 1).share());
                        }
                    }
                });
            }
        });
    }

    struct SendPlace(Place);
    // SAFETY: a place is only a number until somebody asks for its image.
    unsafe impl Send for SendPlace {}
}
