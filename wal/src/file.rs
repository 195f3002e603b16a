//! The log in files: preallocated segments that are recycled, so that a commit is one write and one fdatasync of blocks
//! that exist already.
//!
//! ```text
//! log-0000000007   log-0000000008   log-0000000009      log-new
//! spare (trimmed)  oldest wanted    newest, room ahead  being made
//! ```
//!
//! The segments' payloads side by side are the log; a record may run from one into the next. A segment is made under
//! another name, filled with zeros and synced before its name counts; or it is a spare whose header is rewritten and
//! synced before it gets its new name. So of the files that bear a number only a spare can have a header that is not its
//! own, and the highest is never a spare.
//!
//! | at opening | what it is | action |
//! |---|---|---|
//! | numbers and positions run without gap up to the highest | the log | read |
//! | below a missing number, a damaged header or one that does not go with the name | spares | reused or removed, once the log is recovered |
//! | the highest has a damaged header | damage | `Corrupt` |
//! | a sound header of a newer format | a newer version's log | `Unsupported` |
//!
//! A segment missing from within the log shows when recovery asks for the checkpoint's position: it lies below the gap,
//! and that is `Corrupt`.

use std::collections::VecDeque;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::{Code, Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::segment::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::{Directory, LogCaps, LogPosition, LogStats, LogStore, RawFile};

/// The size of a segment file where nothing else is asked for: 4 MiB.
pub const DEFAULT_SEGMENT_BYTES: u64 = 4 << 20;

/// The smallest segment file: a header and one block.
pub const MIN_SEGMENT_BYTES: u64 = SEGMENT_HEADER_BYTES + 4096;

/// The first segment of a log is this large, and each that is made because none can be recycled is four times the one before,
/// up to the size asked for: a small database keeps a small log.
const FIRST_SEGMENT_BYTES: u64 = 64 << 10;

/// How many trimmed segments are kept for reuse.
const MAX_SPARES: usize = 8;

/// The name of a segment that is being made.
const NEW_NAME: &str = "log-new";

/// A log in segment files of one directory. One process at a time may have it open; the caller holds the lock for that.
pub struct FileLogStore {
    directory: Arc<dyn Directory>,
    payload: u64,
    state: Mutex<State>,
    /// One sync at a time, so that nobody returns while another's fdatasync is still under way.
    syncing: Mutex<()>,
    /// One segment at a time is made.
    growing: Mutex<()>,
}

struct State {
    segments: VecDeque<Segment>,
    spares: Vec<Spare>,
    next_sequence: u64,
    /// Where the next append goes; unknown before [`LogStore::truncate`].
    end: Option<u64>,
    failed: bool,
    stats: LogStats,
}

struct Segment {
    header: SegmentHeader,
    file: Arc<dyn RawFile>,
    dirty: bool,
}

/// A stretch of bytes within one file.
struct Piece {
    sequence: u64,
    file: Arc<dyn RawFile>,
    offset: u64,
    len: usize,
}

struct Spare {
    sequence: u64,
    file: Arc<dyn RawFile>,
    /// The length of its payload; 0 where it is not fit for reuse.
    payload: u64,
}

fn file_name(sequence: u64) -> String {
    format!("log-{sequence:010}")
}

fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("log-").filter(|digits| digits.len() >= 10)?;
    let sequence = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    (file_name(sequence) == name).then_some(sequence)
}

impl FileLogStore {
    /// Opens the log in the directory at `path`, which is made if it is missing. Segments grow up to `segment_bytes`
    /// each (at least [`MIN_SEGMENT_BYTES`], rounded up to blocks of 4 KiB); existing ones keep their size.
    #[cfg(not(target_family = "wasm"))]
    pub fn open(path: impl AsRef<std::path::Path>, segment_bytes: u64) -> Result<Self> {
        FileLogStore::open_in(Arc::new(crate::DiskDirectory::open(path)?), segment_bytes)
    }

    /// As `open`, in any directory. Writes nothing. Fails with [`ErrorKind::Corrupt`] where a segment's header is
    /// damaged, with [`ErrorKind::Unsupported`] where one has a newer format.
    pub fn open_in(directory: Arc<dyn Directory>, segment_bytes: u64) -> Result<Self> {
        let payload =
            segment_bytes.clamp(MIN_SEGMENT_BYTES, 1 << 40).next_multiple_of(4096) - SEGMENT_HEADER_BYTES;
        let state = State::load(&*directory)?;
        let (syncing, growing) = (Mutex::new(()), Mutex::new(()));
        Ok(FileLogStore { directory, payload, state: Mutex::new(state), syncing, growing })
    }

    /// Makes one more segment at the end. The state is locked only to look and to publish.
    fn add_segment(&self) -> Result<()> {
        let (header, spare) = {
            let mut state = self.state.lock();
            state.usable()?;
            let start = state.segments.back().map_or(0, |last| last.header.end());
            let fit = state.spares.iter().position(|spare| self.fits(spare));
            let spare = fit.map(|index| state.spares.remove(index));
            let payload = spare.as_ref().map_or_else(|| self.next_payload(&state), |spare| spare.payload);
            if start.checked_add(payload).is_none() {
                return Err(Error::limit("the log would exceed 64-bit positions; start a new log"));
            }
            (SegmentHeader { sequence: state.next_sequence, start, payload }, spare)
        };
        let file = match spare {
            Some(spare) => self.recycle(spare, header)?,
            None => self.create(header)?,
        };
        let mut state = self.state.lock();
        state.segments.push_back(Segment { header, file, dirty: false });
        state.next_sequence = header.sequence + 1;
        Ok(())
    }

    /// The payload of the next segment to be made.
    fn next_payload(&self, state: &State) -> u64 {
        let grown = state.segments.back().map_or(FIRST_SEGMENT_BYTES, |last| {
            (last.header.payload + SEGMENT_HEADER_BYTES).saturating_mul(4)
        });
        (grown - SEGMENT_HEADER_BYTES).min(self.payload)
    }

    /// Whether a spare can become a segment.
    fn fits(&self, spare: &Spare) -> bool {
        (self.payload.min(FIRST_SEGMENT_BYTES - SEGMENT_HEADER_BYTES)..=self.payload).contains(&spare.payload)
    }

    fn recycle(&self, spare: Spare, header: SegmentHeader) -> Result<Arc<dyn RawFile>> {
        let file = spare.file.clone();
        let rewritten = file
            .write_at(0, &header.encode())
            .and_then(|()| if weakened("recycled-header-unsynced") { Ok(()) } else { file.sync_data() })
            .and_then(|()| self.directory.rename(&file_name(spare.sequence), &file_name(header.sequence)));
        self.close_on_failure(rewritten)?;
        if !weakened("recycled-name-unsynced") {
            self.close_on_failure(self.directory.sync())?;
        }
        Ok(file)
    }

    fn create(&self, header: SegmentHeader) -> Result<Arc<dyn RawFile>> {
        let filled = self.directory.create(NEW_NAME).and_then(|file| {
            file.write_at(0, &header.encode())?;
            fill_with_zeros(&*file, 64, SEGMENT_HEADER_BYTES + header.payload)?;
            if !weakened("new-segment-unsynced") {
                file.sync_data()?;
            }
            self.directory.rename(NEW_NAME, &file_name(header.sequence))?;
            Ok(file)
        });
        match filled {
            Ok(file) => {
                if !weakened("new-segment-name-unsynced") {
                    self.close_on_failure(self.directory.sync())?;
                }
                Ok(file)
            }
            Err(error) => {
                // What was written must not keep the space that was lacking; the first error is the one to tell.
                let _ = self.directory.remove(NEW_NAME);
                Err(error)
            }
        }
    }

    /// After a failure that leaves it open what a crash would find, the store takes no more.
    fn close_on_failure(&self, result: Result<()>) -> Result<()> {
        result.map_err(|error| {
            self.state.lock().failed = true;
            Error::closed(format!("making a log segment failed ({error}); reopen the database"))
        })
    }

    /// Removes spares that are unfit or more than so many, lowest first.
    fn tidy(&self, most: usize) -> Result<()> {
        let surplus: Vec<Spare> = {
            let mut state = self.state.lock();
            let (fit, mut unfit): (Vec<_>, Vec<_>) =
                state.spares.drain(..).partition(|spare| self.fits(spare));
            state.spares = fit;
            state.spares.sort_by_key(|spare| spare.sequence);
            let over = state.spares.len().saturating_sub(most);
            unfit.extend(state.spares.drain(..over));
            unfit
        };
        surplus.iter().try_for_each(|spare| self.directory.remove(&file_name(spare.sequence)))
    }

    /// The stretches of files that `len` bytes at `at` fall into.
    fn pieces(&self, at: u64, len: usize) -> Result<Vec<Piece>> {
        let state = self.state.lock();
        let mut pieces = Vec::with_capacity(1);
        let (mut at, mut left) = (at, len);
        while left > 0 {
            let segment = state.segment_at(at)?.ok_or_else(|| state.missing(at))?;
            let here = usize::try_from(segment.header.end() - at).unwrap_or(usize::MAX).min(left);
            let offset = SEGMENT_HEADER_BYTES + (at - segment.header.start);
            pieces.push(Piece {
                sequence: segment.header.sequence,
                file: segment.file.clone(),
                offset,
                len: here,
            });
            at += here as u64;
            left -= here;
        }
        Ok(pieces)
    }
}

fn fill_with_zeros(file: &dyn RawFile, mut from: u64, end: u64) -> Result<()> {
    const CHUNK: u64 = 1 << 20;
    let zeros = vec![0; CHUNK.min(end - from) as usize];
    while from < end {
        let len = CHUNK.min(end - from).min(zeros.len() as u64);
        file.write_at(from, &zeros[..len as usize])?;
        from += len;
    }
    Ok(())
}

impl State {
    /// Looks at every file that bears a number and sorts it into the log or the spares (see the module's table).
    fn load(directory: &dyn Directory) -> Result<State> {
        let mut sequences: Vec<u64> = directory.list()?.iter().filter_map(|name| sequence_of(name)).collect();
        sequences.sort_unstable();
        let mut state = State {
            segments: VecDeque::new(),
            spares: Vec::new(),
            next_sequence: sequences.last().map_or(0, |last| last.saturating_add(1)),
            end: None,
            failed: false,
            stats: LogStats::default(),
        };
        for &sequence in &sequences {
            let name = file_name(sequence);
            let file = directory.open(&name)?;
            let header = SegmentHeader::read(&*file).map_err(|error| error.at(name.clone()))?;
            match header {
                Some(header) if header.sequence == sequence => state.add_found(header, file),
                other => {
                    let payload = other.map_or(0, |header| header.payload);
                    state.set_aside_all();
                    state.spares.push(Spare { sequence, file, payload });
                }
            }
        }
        if state.segments.is_empty()
            && let Some(last) = sequences.last()
        {
            return Err(Error::corrupt(
                "the header of the newest log segment is damaged; restore the file from a backup",
                file_name(*last),
            ));
        }
        Ok(state)
    }

    /// Adds a sound segment. Where it does not continue those before, these are below a gap, and spares.
    fn add_found(&mut self, header: SegmentHeader, file: Arc<dyn RawFile>) {
        let continues = self.segments.back().is_none_or(|last| {
            last.header.sequence + 1 == header.sequence && last.header.end() == header.start
        });
        if !continues {
            self.set_aside_all();
        }
        self.segments.push_back(Segment { header, file, dirty: false });
    }

    /// What was found so far lies below a gap.
    fn set_aside_all(&mut self) {
        self.spares.extend(self.segments.drain(..).map(Spare::from));
    }

    fn usable(&self) -> Result<()> {
        if self.failed {
            return Err(Error::closed("the log store failed earlier; reopen the database"));
        }
        Ok(())
    }

    /// The segment that holds `position`; `None` at the very end of the room.
    fn segment_at(&self, position: u64) -> Result<Option<&Segment>> {
        let (Some(first), Some(last)) = (self.segments.front(), self.segments.back()) else {
            return if position == 0 { Ok(None) } else { Err(self.missing(position)) };
        };
        if position < first.header.start || position > last.header.end() {
            return Err(self.missing(position));
        }
        let index = self.segments.partition_point(|segment| segment.header.end() <= position);
        Ok(self.segments.get(index))
    }

    fn missing(&self, position: u64) -> Error {
        let held = match (self.segments.front(), self.segments.back()) {
            (Some(first), Some(last)) => {
                format!("the log's files hold positions {} to {}", first.header.start, last.header.end())
            }
            _ => "the log has no files".to_string(),
        };
        Error::corrupt(
            format!("{held}, but more is needed; restore the missing file"),
            format!("log position {position}"),
        )
    }
}

impl From<Segment> for Spare {
    fn from(segment: Segment) -> Spare {
        Spare { sequence: segment.header.sequence, file: segment.file, payload: segment.header.payload }
    }
}

impl LogStore for FileLogStore {
    fn append(&self, bytes: &[u8]) -> Result<LogPosition> {
        let start = {
            let state = self.state.lock();
            state.usable()?;
            state.end.ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidInput,
                    Code::Misuse,
                    "the log must be recovered before it is appended to",
                )
            })?
        };
        let end = LogPosition::new(start).advance(bytes.len())?;
        self.reserve(end)?;
        let pieces = self.pieces(start, bytes.len())?;
        let mut rest = bytes;
        for Piece { file, offset, len, .. } in &pieces {
            let (piece, after) = rest.split_at((*len).min(rest.len()));
            file.write_at(*offset, piece)?;
            rest = after;
        }
        let mut state = self.state.lock();
        // Marked only now: a sync that ran meanwhile may have come before the write.
        for segment in &mut state.segments {
            segment.dirty |= pieces.iter().any(|piece| piece.sequence == segment.header.sequence);
        }
        state.end = Some(end.get());
        state.stats.appends += 1;
        state.stats.appended_bytes += bytes.len() as u64;
        Ok(end)
    }

    fn pause(&self) {
        std::thread::yield_now();
    }

    fn sync(&self, _upto: LogPosition) -> Result<()> {
        let _one_at_a_time = self.syncing.lock();
        let dirty: Vec<Arc<dyn RawFile>> = {
            let mut state = self.state.lock();
            state.usable()?;
            let dirty =
                state.segments.iter_mut().map(|segment| (std::mem::take(&mut segment.dirty), segment));
            dirty.filter(|(dirty, _)| *dirty).map(|(_, segment)| segment.file.clone()).collect()
        };
        let most = if weakened("only-one-segment-synced") { 1 } else { dirty.len() };
        let sync = |file: &Arc<dyn RawFile>| match file.sync_data() {
            Err(_) if weakened("failed-sync-retried") => file.sync_data(),
            result => result,
        };
        let result = dirty.iter().take(most).try_for_each(sync);
        let mut state = self.state.lock();
        state.failed |= result.is_err() && !weakened("failed-sync-forgiven");
        state.stats.syncs += dirty.len() as u64;
        result
    }

    fn read_from(&self, from: LogPosition, buffer: &mut [u8]) -> Result<usize> {
        let (file, offset, len) = {
            let state = self.state.lock();
            let Some(segment) = state.segment_at(from.get())? else {
                return Ok(0);
            };
            let left = usize::try_from(segment.header.end() - from.get()).unwrap_or(usize::MAX);
            let offset = SEGMENT_HEADER_BYTES + (from.get() - segment.header.start);
            (segment.file.clone(), offset, left.min(buffer.len()))
        };
        let read = file.read_at(offset, &mut buffer[..len])?;
        if read == 0 && len > 0 {
            return Err(Error::corrupt(
                "a log segment is shorter than it was",
                format!("log position {from}"),
            ));
        }
        Ok(read)
    }

    fn reserve(&self, upto: LogPosition) -> Result<LogPosition> {
        let _one_at_a_time = self.growing.lock();
        loop {
            let room = self.state.lock().segments.back().map_or(0, |last| last.header.end());
            if room >= upto.get() {
                return Ok(LogPosition::new(room));
            }
            self.add_segment()?;
        }
    }

    fn truncate(&self, end: LogPosition) -> Result<()> {
        let named_only = {
            let mut state = self.state.lock();
            state.segment_at(end.get())?;
            state.end = Some(end.get());
            // What an earlier process wrote but never synced becomes durable with the next sync.
            state.segments.iter_mut().for_each(|segment| segment.dirty = true);
            state.segments.back().is_some_and(|last| end.get() <= last.header.start)
        };
        // Who wrote into a segment had synced its name before. Nobody has written into this one: its maker may have died in between.
        if named_only {
            self.close_on_failure(self.directory.sync())?;
        }
        self.tidy(MAX_SPARES)
    }

    fn device_holds(&self, from: LogPosition, bytes: &[u8]) -> bool {
        let Ok(pieces) = self.pieces(from.get(), bytes.len()) else { return false };
        let mut rest = bytes;
        pieces.iter().all(|piece| {
            let (here, after) = rest.split_at(piece.len.min(rest.len()));
            rest = after;
            piece.file.device_holds(piece.offset, here)
        })
    }

    fn trim(&self, before: LogPosition) -> Result<()> {
        {
            let mut state = self.state.lock();
            state.usable()?;
            let before = before.get().min(state.end.unwrap_or(0));
            // The last one stays even when nothing in it is wanted: it says where the log is.
            while state.segments.len() > 1
                && state.segments.front().is_some_and(|first| first.header.end() <= before)
                && let Some(first) = state.segments.pop_front()
            {
                state.spares.push(Spare::from(first));
            }
        }
        self.tidy(MAX_SPARES)
    }

    fn scrub(&self, before: LogPosition) -> Result<()> {
        // The spares hold nothing that is wanted: none stays.
        let spares: Vec<Spare> = self.state.lock().spares.drain(..).collect();
        for spare in &spares {
            fill_with_zeros(&*spare.file, 0, SEGMENT_HEADER_BYTES + spare.payload)?;
            spare.file.sync_data()?;
            self.directory.remove(&file_name(spare.sequence))?;
        }
        let held: Vec<(Arc<dyn RawFile>, u64)> = {
            let state = self.state.lock();
            let reach = |segment: &Segment| before.get().clamp(segment.header.start, segment.header.end());
            let held = state.segments.iter().map(|it| (it.file.clone(), reach(it) - it.header.start));
            held.filter(|(_, len)| *len > 0).collect()
        };
        for (file, len) in held {
            fill_with_zeros(&*file, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + len)?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn shrink(&self) -> Result<()> {
        self.tidy(0)
    }

    fn stats(&self) -> LogStats {
        let state = self.state.lock();
        let start = state.segments.front().map_or(0, |first| first.header.start);
        let room = state.segments.back().map_or(0, |last| last.header.end());
        let payloads = state.segments.iter().map(|segment| segment.header.payload);
        let payloads = payloads.chain(state.spares.iter().map(|spare| spare.payload));
        LogStats {
            start: LogPosition::new(start),
            end: LogPosition::new(state.end.unwrap_or(room)),
            allocated: payloads.map(|payload| payload + SEGMENT_HEADER_BYTES).sum(),
            ..state.stats
        }
    }

    fn caps(&self) -> LogCaps {
        LogCaps { needs_sync: true, persistent: true, keeps_room: true }
    }
}

impl std::fmt::Debug for FileLogStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileLogStore").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
