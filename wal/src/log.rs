//! The writer: chains records, buffers them, and makes them durable for everyone who waits with one sync.
//!
//! ```text
//! append --> buffer A --swap--> buffer B --> LogStore::append     A fills while B is being written
//!              |  state lock        |  io lock, held from the swap to the end of the write: order is kept
//! sync   --> one leader at a time: write out all that is buffered, LogStore::sync, tell the others (crate::group)
//! ```

use std::ops::ControlFlow;
use std::sync::Arc;

use dosql_base::mutant::weakened;
use dosql_base::sync::Mutex;
use dosql_base::{Error, ErrorKind, Result};
use zerocopy::IntoBytes;

use crate::group::Group;
use crate::record::{Header, KIND_COMMIT, KIND_MARK, RECORD_HEADER_BYTES, Record, RecordBuilder};
use crate::recovery::{Recovered, check_kind, recover};
use crate::window::Window;
use crate::{LogPosition, LogStats, LogStore};

/// How a [`Log`] behaves.
#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// How many bytes of records may wait in memory before an append writes them out (default 256 KiB).
    pub buffer_bytes: usize,
    /// What [`Log::generation`] said at the checkpoint (default 0, for a new log): records from here on have greater ones. Should that
    /// checkpoint be lost, they must still follow those before it.
    pub generation: u32,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { buffer_bytes: 256 << 10, generation: 0 }
    }
}

/// Where an appended record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its first byte.
    pub start: LogPosition,
    /// The byte after its last: what to sync to, and where the next record begins.
    pub end: LogPosition,
    /// Its checksum, which the next record chains to.
    pub chain: u32,
}

/// The commit log, open for appending. Dropping it writes nothing: call [`Log::seal`] or [`Log::flush`] before.
pub struct Log {
    store: Arc<dyn LogStore>,
    options: LogOptions,
    generation: u32,
    state: Mutex<State>,
    /// Held while bytes go to the store, so that they arrive in order. Holds the buffer that is being written.
    io: Mutex<Vec<u8>>,
    group: Group,
}

struct State {
    buffer: Vec<u8>,
    end: LogPosition,
    chain: u32,
    /// How far the store has promised room.
    reserved: LogPosition,
    /// Whether the newest record is a mark that covers all before itself (or there is nothing to cover).
    sealed: bool,
}

impl Log {
    /// Recovers the log from position `from`, whose first record chains to `chain` (0 and 0 for a new log; later what
    /// [`Log::end`] said at the checkpoint), shows each commit to `replay` in order, and opens it for appending.
    ///
    /// Nothing is written, but what was found is synced unless the log says itself that it is durable; [`Recovered::unproven`] says where
    /// that may not be enough, and the device can't be asked. Where the log does not say so, a mark is the first record of what follows, so that
    /// remains of a record that was dropped can't be completed where the next checkpoint would look for its first. Fails with
    /// [`dosql_base::ErrorKind::Corrupt`] where something that had been synced is missing or damaged, with
    /// [`dosql_base::ErrorKind::Unsupported`] for a newer format, and as `replay` or the store do. What `replay` has
    /// seen before a failure must be discarded.
    pub fn open(
        store: Arc<dyn LogStore>,
        from: LogPosition,
        chain: u32,
        options: LogOptions,
        mut replay: impl FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<(Log, Recovered)> {
        let mut found = recover(&*store, from, chain, options.generation, &mut replay)?;
        let step = u32::from(!weakened("generation-not-raised") || found.generation == 0);
        let generation = found.generation.checked_add(step);
        let generation = generation.ok_or_else(|| {
            Error::corrupt("the log's generation is used up", format!("log position {}", found.end))
        })?;
        store.truncate(found.end)?;
        let says_so = !found.unproven;
        if !says_so {
            store.sync(found.end)?;
            found.unproven = !is_on_device(&*store, found.durable, found.end)?;
        }
        let state = State {
            buffer: Vec::new(),
            end: found.end,
            chain: found.chain,
            reserved: found.end,
            sealed: says_so,
        };
        let log = Log {
            store,
            options,
            generation,
            state: Mutex::new(state),
            io: Mutex::new(Vec::new()),
            group: Group::new(if found.unproven { found.durable } else { found.end }),
        };
        if !says_so {
            log.append_parts(Header::of_kind(KIND_MARK), &[])?;
        }
        Ok((log, found))
    }

    /// Appends a finished record. It is not durable until [`Log::sync`], and may wait in memory until then or until
    /// [`Log::flush`]. Commits must arrive in the order of their Timestamps: the caller's commit lock sees to that.
    ///
    /// Space is made before anything is taken: [`dosql_base::ErrorKind::NoSpace`] leaves the log as it was, and usable.
    /// Any other failure of the store closes the log for good.
    pub fn append(&self, record: &RecordBuilder) -> Result<Appended> {
        let (header, body) = record.parts()?;
        self.append_parts(header, body)
    }

    fn append_parts(&self, mut header: Header, body: &[u8]) -> Result<Appended> {
        self.group.check_usable()?;
        let mut state = self.state.lock();
        let start = state.end;
        let end = start.advance(RECORD_HEADER_BYTES + body.len())?;
        self.make_room(&mut state, end)?;
        let known = if weakened("durable-claim-missing") { 0 } else { self.durable().get() };
        let durable = known.min(start.get());
        header.previous = state.chain.into();
        header.position = start.get().into();
        header.durable = durable.into();
        header.generation = self.generation.into();
        let chain = header.sum();
        header.checksum = chain.into();
        state.buffer.extend_from_slice(header.as_bytes());
        state.buffer.extend_from_slice(body);
        (state.end, state.chain) = (end, chain);
        state.sealed = header.kind == KIND_MARK && durable == start.get();
        let full = state.buffer.len() >= self.options.buffer_bytes;
        drop(state);
        if full {
            self.write_out()?;
        }
        Ok(Appended { start, end, chain })
    }

    /// Hands what waits in memory to the store: it survives this process from then on, though not the machine.
    /// A failure closes the log.
    pub fn flush(&self) -> Result<()> {
        self.group.check_usable()?;
        self.write_out().map(|_| ())
    }

    /// Returns once everything before `upto` is durable. Of all who wait at a time, one writes and syncs for the rest.
    ///
    /// A failure closes the log: this caller gets the cause, everybody who waits and everybody after
    /// [`dosql_base::ErrorKind::Closed`]. What was durable before stays so. Reopen the database.
    pub fn sync(&self, upto: LogPosition) -> Result<()> {
        if self.durable() >= upto {
            return Ok(());
        }
        if upto > self.state.lock().end {
            return Err(Error::invalid(format!("log position {upto} was not written yet; nothing to sync")));
        }
        let Some(mut leader) = self.group.join(upto)? else {
            return Ok(());
        };
        leader.gather(|| self.store.pause());
        leader.result = self.write_out().and_then(|end| {
            if weakened("log-durable-before-sync") {
                self.group.note_durable(end);
            }
            if !weakened("log-unsynced") {
                self.store.sync(end)?;
            }
            Ok(end)
        });
        leader.result.clone().map(|_| ())
    }

    /// Syncs everything, then writes a mark that says so and syncs that: from then on damage to any commit is told apart
    /// from a torn tail. For a clean shutdown; costs nothing where the last record already says so.
    pub fn seal(&self) -> Result<()> {
        self.sync(self.end().0)?;
        if self.state.lock().sealed || weakened("log-unsealed") {
            return Ok(());
        }
        let mark = self.append_parts(Header::of_kind(KIND_MARK), &[])?;
        self.sync(mark.end)
    }

    /// Gives back the storage that is kept for records to come: for a clean shutdown, after [`Log::seal`].
    pub fn shrink(&self) -> Result<()> {
        self.group.check_usable()?;
        self.store.shrink()
    }

    /// Overwrites what is stored before `before`, which was trimmed; durable when it returns.
    pub fn scrub(&self, before: LogPosition) -> Result<()> {
        self.group.check_usable()?;
        self.store.scrub(before)
    }

    /// Makes room for `bytes` more, so that no append has to until they are used up. Appends that have room go on meanwhile.
    pub fn reserve(&self, bytes: usize) -> Result<()> {
        self.group.check_usable()?;
        let (upto, reserved) = {
            let state = self.state.lock();
            (state.end.advance(bytes)?, state.reserved)
        };
        if upto > reserved {
            let room = self.room(upto)?;
            let mut state = self.state.lock();
            state.reserved = state.reserved.max(room);
        }
        Ok(())
    }

    /// How many bytes appends can take before they have to make room, and where the next record will begin.
    #[must_use]
    pub fn room_left(&self) -> (u64, LogPosition) {
        let state = self.state.lock();
        (state.reserved.get().saturating_sub(state.end.get()), state.end)
    }

    fn make_room(&self, state: &mut State, upto: LogPosition) -> Result<()> {
        if upto > state.reserved {
            state.reserved = self.room(upto)?;
        }
        Ok(())
    }

    /// Has the store make room up to `upto`; how far it reaches.
    fn room(&self, upto: LogPosition) -> Result<LogPosition> {
        match self.store.reserve(upto) {
            Ok(room) => Ok(room.max(upto)),
            Err(error) if error.kind() == ErrorKind::NoSpace => Err(error),
            Err(error) => Err(self.group.close(error)),
        }
    }

    /// The generation of the records that it writes: above those of all before it was opened.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Everything before this is durable.
    #[must_use]
    pub fn durable(&self) -> LogPosition {
        self.group.durable()
    }

    /// Where the next record will begin, and the checksum that it will chain to: what a checkpoint remembers.
    #[must_use]
    pub fn end(&self) -> (LogPosition, u32) {
        let state = self.state.lock();
        (state.end, state.chain)
    }

    /// Lets the store recycle the space before `before`. Never beyond what is durable.
    pub fn trim(&self, before: LogPosition) -> Result<()> {
        self.group.check_usable()?;
        self.store.trim(before.min(self.durable()))
    }

    /// Reads durable commits from `from`, whose first record chains to `chain`, until `visit` breaks or no more are
    /// durable. Returns where to go on and the chain there. A record in memory or not yet synced is not shown: a crash
    /// could still undo it. Fails with [`dosql_base::ErrorKind::Corrupt`] where the log does not read back as written,
    /// or has been trimmed past `from`.
    pub fn read(
        &self,
        from: LogPosition,
        chain: u32,
        mut visit: impl FnMut(&Record<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<(LogPosition, u32)> {
        let limit = self.durable();
        let mut window = Window::new(&*self.store, from, limit);
        let (mut at, mut chain) = (from, chain);
        while at < limit {
            let damaged = || {
                Error::corrupt("the log does not read back as it was written", format!("log position {at}"))
            };
            let sound = window.record(at.get())?.ok_or_else(damaged)?;
            if sound.header.previous.get() != chain {
                return Err(damaged());
            }
            check_kind(sound.header.kind, at)?;
            let record = Record::new(&sound.header, sound.end, sound.body);
            (at, chain) = (record.end, record.chain);
            if sound.header.kind == KIND_COMMIT && visit(&record)?.is_break() {
                break;
            }
        }
        Ok((at, chain))
    }

    /// Bytes of records that wait in memory.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.state.lock().buffer.len()
    }

    /// What the store holds and has done.
    #[must_use]
    pub fn stats(&self) -> LogStats {
        self.store.stats()
    }

    /// Writes what is buffered; returns how far the store has everything. Holding `io` from the swap to the end of the
    /// write keeps the order of bytes. A buffer is kept, as that of a [`RecordBuilder`] is, unless it has become very large.
    fn write_out(&self) -> Result<LogPosition> {
        const KEEP: usize = 4 << 20;
        let mut writing = self.io.lock();
        self.group.check_usable()?;
        let target = {
            let mut state = self.state.lock();
            std::mem::swap(&mut *writing, &mut state.buffer);
            state.end
        };
        if writing.is_empty() {
            return Ok(target);
        }
        let result = self.store.append(&writing);
        writing.clear();
        if writing.capacity() > KEEP.max(self.options.buffer_bytes) {
            *writing = Vec::new();
        }
        match result {
            Ok(end) if end == target => Ok(target),
            Ok(end) => Err(self.group.close(Error::corrupt(
                format!("the log store is at {end} after a write"),
                format!("log position {target}"),
            ))),
            Err(error) => Err(self.group.close(error)),
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (end, chain) = self.end();
        f.debug_struct("Log")
            .field("end", &end)
            .field("chain", &chain)
            .field("durable", &self.durable())
            .finish()
    }
}

/// Whether the device itself holds the log from `from` to `end` as it reads.
fn is_on_device(store: &dyn LogStore, from: LogPosition, end: LogPosition) -> Result<bool> {
    const CHUNK: u64 = 1 << 20;
    if weakened("device-not-asked") {
        return Ok(true);
    }
    let (mut at, mut bytes) = (from, vec![0; end.get().saturating_sub(from.get()).min(CHUNK) as usize]);
    while at < end {
        let wanted = bytes.len().min((end.get() - at.get()) as usize);
        let read = store.read_from(at, &mut bytes[..wanted])?;
        if read == 0 || !store.device_holds(at, &bytes[..read]) {
            return Ok(false);
        }
        at = at.advance(read)?;
    }
    Ok(true)
}
