//! A file in memory that remembers what was synced and what was not, and can crash.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::RawFile;

/// What a device writes at once, in bytes.
const SECTOR: usize = 512;

enum Pending {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Default)]
struct State {
    /// As a reader sees it now.
    current: Vec<u8>,
    /// As of the last sync.
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Changes and syncs so far.
    calls: u64,
    /// The call from which on everything fails.
    crash_at: Option<u64>,
    /// The sync that fails.
    fail_sync_at: Option<u64>,
}

/// A file in memory; its clones are the same file. Only what was synced is sure to survive [`CrashFile::crash`].
#[derive(Clone, Default)]
pub struct CrashFile {
    state: Arc<Mutex<State>>,
}

impl CrashFile {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        CrashFile::default()
    }

    /// A file of these bytes, all durable.
    #[must_use]
    pub fn holding(bytes: Vec<u8>) -> Self {
        let file = CrashFile::new();
        *file.state.lock() = State { current: bytes.clone(), durable: bytes, ..State::default() };
        file
    }

    /// What it holds.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.state.lock().current.clone()
    }

    /// How many writes, changes of length and syncs there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Lets call number `call` and all after it fail and do nothing.
    pub fn crash_at(&self, call: u64) {
        self.state.lock().crash_at = Some(call);
    }

    /// Lets call number `call` fail, if it is a sync. What it should have made durable stays in doubt.
    pub fn fail_sync_at(&self, call: u64) {
        self.state.lock().fail_sync_at = Some(call);
    }

    /// The file as a crash could leave it: of what was not synced, the sectors and changes of length for which `survives`
    /// answers true.
    #[must_use]
    pub fn crash(&self, survives: &mut dyn FnMut() -> bool) -> CrashFile {
        let state = self.state.lock();
        let mut bytes = state.durable.clone();
        for pending in &state.pending {
            match pending {
                Pending::Length(len) => {
                    if survives() {
                        bytes.resize(*len, 0);
                    }
                }
                Pending::Write { at, bytes: written } => {
                    let mut from = 0;
                    while from < written.len() {
                        let until = ((at + from) / SECTOR * SECTOR + SECTOR - at).min(written.len());
                        if survives() {
                            put(&mut bytes, at + from, &written[from..until]);
                        }
                        from = until;
                    }
                }
            }
        }
        CrashFile::holding(bytes)
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, written: &[u8]) {
    let end = at + written.len();
    if end > bytes.len() {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(written);
}

impl State {
    fn call(&mut self) -> io::Result<u64> {
        let call = self.calls;
        self.calls += 1;
        if self.crash_at.is_some_and(|at| call >= at) {
            return Err(io::Error::other("an injected crash"));
        }
        Ok(call)
    }
}

impl RawFile for CrashFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(state.current.len());
        let count = buf.len().min(state.current.len() - from);
        buf[..count].copy_from_slice(&state.current[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        state.call()?;
        let at = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        put(&mut state.current, at, bytes);
        state.pending.push(Pending::Write { at, bytes: bytes.to_vec() });
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let call = state.call()?;
        if state.fail_sync_at == Some(call) {
            return Err(io::Error::other("an injected failed sync"));
        }
        state.durable = state.current.clone();
        state.pending.clear();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.call()?;
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        state.current.resize(len, 0);
        state.pending.push(Pending::Length(len));
        Ok(())
    }

    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.saturating_add(len).min(self.len()?);
        let zeros = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX)];
        self.write_at(&zeros, offset).map(|_| true)
    }
}
