//! Carries a merge out: segments in, segments out, as much at a time as one likes.
//!
//! ```text
//! inputs --MergeCursor--> versions, keys ascending, newest first --+--> live output      the newest of each key
//!                                                                  +--> history output   what somebody may still ask for
//! ```
//!
//! A live version that was superseded without having been read has no end of its own: it gets the start of the next newer version that the
//! merge sees. Where one between them went its own way before, that end is later than the true one; so of two versions that claim a moment
//! the one that began later is right, here and for readers. Of two that began together the one that ends first is.
//!
//! Nothing of it is lasting before the caller stores the outputs and names them in place of the inputs, all in one edit of the manifest.
//! Whoever stops before that has lost time, nothing else.

use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Result, Timestamp};

use crate::gone::{Gone, end_of};
use crate::merge::{MergeCursor, Versions};
use crate::pick::Contents;
use crate::reader::SegmentReader;
use crate::version::{Entry, Kind};
use crate::writer::{Segment, SegmentWriter, WriteOptions};

/// How much longer than it should be an output grows at most, times its size, before versions of one key are spread over two.
const FORCED: usize = 4;

/// Tells which superseded versions somebody may still ask for. Any closure of this form is one.
pub trait Retain {
    /// Whether the version of `key` that lived from `start` until `end` can be asked for.
    fn keep(&self, key: &[u8], start: Timestamp, end: Timestamp) -> bool;
}

impl<F: Fn(&[u8], Timestamp, Timestamp) -> bool> Retain for F {
    fn keep(&self, key: &[u8], start: Timestamp, end: Timestamp) -> bool {
        self(key, start, end)
    }
}

/// Tells whether two keys that follow each other belong to different tables.
pub type Boundary = fn(&[u8], &[u8]) -> bool;

/// How segments are merged.
#[derive(Clone, Copy, Debug)]
pub struct CompactionOptions {
    /// What the inputs hold.
    pub contents: Contents,
    /// Live rows: whether tombstones go, because nothing older lies below ([`crate::Job::Merge`] says so).
    pub bottom: bool,
    /// The size that outputs are cut at, in bytes (default 64 MiB). An output is built in memory.
    pub segment_bytes: usize,
    /// How outputs are written; each gets a number of its own.
    pub write: WriteOptions,
    /// Live rows: superseded versions that somebody may still ask for stay beside what superseded them, and do not become history (default no).
    pub beside: bool,
    /// Where outputs of some size are cut too: a table that grows at its end then meets none of another.
    pub boundary: Option<Boundary>,
}

impl CompactionOptions {
    /// The defaults.
    #[must_use]
    pub fn new(contents: Contents, bottom: bool) -> Self {
        CompactionOptions {
            contents,
            bottom,
            segment_bytes: 64 << 20,
            write: WriteOptions::new(0),
            beside: false,
            boundary: None,
        }
    }
}

/// A segment that a merge has made.
#[derive(Clone, Debug)]
pub struct Output {
    /// What to store.
    pub segment: Segment,
    /// Which set it belongs to: live rows go to the level of the job; history that comes of merging live rows to level 0 of history.
    pub contents: Contents,
}

/// What a step has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether that was the last.
    pub finished: bool,
    /// Bytes of keys and values that it went through.
    pub bytes: u64,
    /// Versions that it went through.
    pub entries: u64,
    /// Versions of them that are in no output.
    pub dropped: u64,
}

/// A merge under way.
#[derive(Debug)]
pub struct Compaction {
    cursor: MergeCursor,
    options: CompactionOptions,
    gone: Vec<Gone>,
    started: bool,
    finished: bool,
    /// Whether the version that the cursor is on has been dealt with.
    taken: bool,
    /// Key and start of the last version, if there was one.
    last_key: Option<Vec<u8>>,
    last_start: Timestamp,
    live: Building,
    history: Building,
    outputs: Vec<Output>,
    total_bytes: u64,
}

/// An output that is being written.
#[derive(Debug)]
struct Building {
    contents: Contents,
    writer: Option<SegmentWriter>,
    last_key: Vec<u8>,
}

impl Compaction {
    /// A merge of these segments. The readers' caches are used as scans use them; readahead is worth having here.
    #[must_use]
    pub fn new(inputs: Vec<Arc<SegmentReader>>, options: CompactionOptions) -> Self {
        let total_bytes = inputs.iter().map(|input| input.properties().raw_bytes).sum();
        let building = |contents| Building { contents, writer: None, last_key: Vec::new() };
        Compaction {
            cursor: MergeCursor::new(inputs, Versions::All),
            options,
            gone: Vec::new(),
            started: false,
            finished: false,
            taken: true,
            last_key: None,
            last_start: Timestamp::ZERO,
            live: building(Contents::Live),
            history: building(Contents::History),
            outputs: Vec::new(),
            total_bytes,
        }
    }

    /// Takes out live rows of ranges that were removed at once. They become history, as far as somebody may ask for them.
    #[must_use]
    pub fn without(mut self, gone: Vec<Gone>) -> Self {
        self.gone = gone;
        self
    }

    /// How many bytes there are to go through, roughly: what [`Progress::bytes`] adds up to.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Whether all is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Bytes of outputs in memory: those under way, and those that are complete and not taken.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let building = [&self.live, &self.history].into_iter().filter_map(|it| it.writer.as_ref());
        let complete = self.outputs.iter().map(|output| output.segment.bytes.len());
        building.map(SegmentWriter::estimated_len).chain(complete).sum()
    }

    /// The outputs that are complete, once: store them as they come, name them in the manifest when all is done.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Goes through about `budget` bytes. `retain` is asked about versions that were superseded; whoever makes something retain more
    /// while a merge is under way begins that merge anew. `new_id` gives each output its number. `WouldBlock` loses nothing and
    /// repeats nothing: fetch what the store wants and call again.
    pub fn step(
        &mut self,
        budget: u64,
        retain: &dyn Retain,
        new_id: &mut dyn FnMut() -> u64,
    ) -> Result<Progress> {
        let mut progress = Progress::default();
        while !self.finished && progress.bytes < budget.max(1) {
            match self.advance(progress.entries > 0)? {
                Some(true) => {}
                Some(false) => {
                    self.finish()?;
                    break;
                }
                None => return Ok(progress),
            }
            let Some(entry) = self.cursor.entry() else { break };
            progress.entries += 1;
            progress.bytes += (entry.key.len() + entry.value.len() + 16) as u64;
            let kept = self.take(retain, new_id)?;
            self.taken = true;
            progress.dropped += u64::from(!kept);
        }
        progress.finished = self.finished;
        Ok(progress)
    }

    /// Moves to a version that has not been dealt with; false after the last. None where it has to wait and something was `done` before,
    /// which is worth telling first.
    fn advance(&mut self, done: bool) -> Result<Option<bool>> {
        if !self.taken {
            return Ok(Some(true));
        }
        let moved = if self.started { self.cursor.next() } else { self.cursor.first() };
        match moved {
            Err(error) if done && error.kind() == dosql_base::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
            Ok(more) => {
                (self.started, self.taken) = (true, false);
                Ok(Some(more))
            }
        }
    }

    /// Deals with the version that the cursor is on; tells whether it is in an output.
    fn take(&mut self, retain: &dyn Retain, new_id: &mut dyn FnMut() -> u64) -> Result<bool> {
        let Some(entry) = self.cursor.entry() else { return Ok(false) };
        let newest = self.last_key.as_deref() != Some(entry.key);
        // What a newer version of the key has ended.
        let known = newest || weakened("superseded-never-ends");
        let end = if known { entry.end } else { entry.end.min(self.last_start) };
        let options = &self.options;
        let bottom = options.bottom || weakened("tombstone-dropped-early");
        let hides_nothing = options.contents == Contents::Live && bottom && entry.kind == Kind::Tombstone;
        let gone = end_of(&self.gone, entry.key, entry.start);
        let end = gone.map_or(end, |gone| end.min(gone));
        let current = options.contents == Contents::Live && newest && gone.is_none();
        let wanted = || retain.keep(entry.key, entry.start, end) && !weakened("retained-version-dropped");
        let kept = !hides_nothing && (current || (entry.start < end && wanted()));
        if kept {
            let building = if current || options.beside { &mut self.live } else { &mut self.history };
            building.add(entry, end, options, &mut self.outputs, new_id)?;
        }
        self.last_start = entry.start;
        let last_key = self.last_key.get_or_insert_default();
        last_key.clear();
        last_key.extend_from_slice(entry.key);
        Ok(kept)
    }

    fn finish(&mut self) -> Result<()> {
        self.live.cut(&mut self.outputs)?;
        self.history.cut(&mut self.outputs)?;
        self.finished = true;
        Ok(())
    }
}

impl Building {
    fn add(
        &mut self,
        entry: Entry<'_>,
        end: Timestamp,
        options: &CompactionOptions,
        outputs: &mut Vec<Output>,
        new_id: &mut dyn FnMut() -> u64,
    ) -> Result<()> {
        if self.is_full(entry.key, options) {
            self.cut(outputs)?;
        }
        let fresh = || SegmentWriter::new(WriteOptions { id: new_id(), ..options.write });
        let writer = self.writer.get_or_insert_with(fresh);
        writer.add(entry.key, entry.start, end, entry.kind, entry.value)?;
        self.last_key.clear();
        self.last_key.extend_from_slice(entry.key);
        Ok(())
    }

    /// Whether the output ends before this key.
    fn is_full(&self, key: &[u8], options: &CompactionOptions) -> bool {
        let Some(writer) = self.writer.as_ref().filter(|writer| writer.entries() > 0) else { return false };
        let length = writer.estimated_len();
        if self.last_key == key {
            return length >= options.segment_bytes.saturating_mul(FORCED);
        }
        let apart = options.boundary.is_some_and(|boundary| boundary(&self.last_key, key));
        length >= options.segment_bytes || (apart && length >= options.segment_bytes / 256)
    }

    fn cut(&mut self, outputs: &mut Vec<Output>) -> Result<()> {
        // A writer that took nothing, because what it was made for was refused, leaves no segment.
        if let Some(writer) = self.writer.take().filter(|writer| writer.entries() > 0) {
            outputs.push(Output { segment: writer.finish()?, contents: self.contents });
        }
        Ok(())
    }
}
