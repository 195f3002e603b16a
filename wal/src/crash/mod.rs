//! The simulated disk: a directory in memory that knows what a crash could leave of it. For tests of everything that writes files.
//!
//! ```text
//! CrashDirectory ---- Directory, CrashFile (RawFile)     a machine's disk; clones share it
//!   names, durable names, changes of names not synced
//!   files: bytes as reads show them | bytes that are durable | writes and lengths not synced, in order
//!
//!   survivor(Surviving)   another disk: what a power cut at this moment leaves (damage.rs), whichever way it turns out
//!   killed()              another disk: what the next process finds after this one died; unsynced changes stay unsynced
//!   stop(), crash_at(n)   every call fails from now on / from change n on: a process that has lost its machine
//!   inject(..), heal()    EIO, ENOSPC, short or half-done calls, syncs that lose what they should write (fault.rs); once, or
//!                         from then on
//!   limit_space(n)        writes that would make the files longer than n bytes together fail with ENOSPC
//!   ignore_syncs()        a disk that lies
//!   trace(), contents_hash()   a hash of every call with arguments and result; a hash of all bytes
//! ```
//!
//! What it assumes of a real disk: a sync that succeeded made everything durable; a write touches no byte outside it. Of what was
//! not synced, a crash keeps any subset: of writes each 512-byte sector on its own, of the lengths of files and of the changes of
//! names any; in the modes `Torn` and `Garbage` a sector is not even whole. Calls that change something or sync it are numbered
//! from 0 ([`CrashDirectory::operations`]): a test runs once to count them, then again for each with `crash_at` or `inject`.

mod damage;
mod disk;
mod fault;
mod file;
mod image;
mod trace;

use std::sync::Arc;

use dosql_base::{Error, Result};
use parking_lot::Mutex;

use crate::{Directory, RawFile};
use disk::{Disk, NameChange};
use fault::{Call, Course, Plan};

pub use damage::Surviving;
pub use fault::{Calls, DiskFault};
pub use trace::Trace;

/// A simulated directory. Clones share it.
#[derive(Clone, Default)]
pub struct CrashDirectory {
    disk: Arc<Mutex<Disk>>,
}

impl CrashDirectory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        CrashDirectory::default()
    }

    fn of(disk: Disk) -> Self {
        CrashDirectory { disk: Arc::new(Mutex::new(disk)) }
    }

    /// How many calls that change something, or sync it, were made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// The machine stops at the change or sync of this number, counted from 0: that call takes effect in part at most, and it
    /// and all calls after it fail. Look at [`CrashDirectory::survivor`] then.
    pub fn crash_at(&self, operation: u64) {
        self.disk.lock().crash_at = Some(operation);
    }

    /// The machine stops now: every call fails from now on.
    pub fn stop(&self) {
        self.disk.lock().stopped = true;
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.disk.lock().stopped
    }

    /// From now on syncs report success and do nothing: a disk that lies, to show that a test would notice.
    pub fn ignore_syncs(&self) {
        self.disk.lock().ignore_syncs = true;
    }

    /// After so many of these calls that still succeed, the next one goes wrong; with `sticky` all after it do too.
    pub fn inject(&self, calls: Calls, after: u64, sticky: bool, fault: DiskFault) {
        self.disk.lock().plans.push(Plan { calls, after, sticky, fault });
    }

    /// Forgets all faults to come, and the limit of space.
    pub fn heal(&self) {
        let mut disk = self.disk.lock();
        disk.plans.clear();
        disk.room = None;
    }

    /// How many injected faults have happened.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.disk.lock().faults
    }

    /// All files together may have this many bytes: a disk that gets full.
    pub fn limit_space(&self, bytes: u64) {
        self.disk.lock().room = Some(bytes);
    }

    /// The bytes of all files together.
    #[must_use]
    pub fn space(&self) -> u64 {
        let disk = self.disk.lock();
        disk.names.values().map(|&file| disk.files[file].bytes.len() as u64).sum()
    }

    /// The directory that a crash at this moment leaves, all of it durable. It goes on with this one's trace.
    #[must_use]
    pub fn survivor(&self, surviving: Surviving) -> CrashDirectory {
        Self::of(self.disk.lock().survivor(surviving))
    }

    /// The directory as the next process finds it when this one was killed: nothing is gone, and what was not synced is still not
    /// durable. Without this one's faults, and with its trace.
    #[must_use]
    pub fn killed(&self) -> CrashDirectory {
        Self::of(self.disk.lock().next_process())
    }

    /// Every call so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.disk.lock().trace
    }

    /// A hash of all names and bytes, as reads show them.
    #[must_use]
    pub fn contents_hash(&self) -> u64 {
        let disk = self.disk.lock();
        let mut hash = Trace::default();
        for (name, &file) in &disk.names {
            hash.bytes(name.as_bytes());
            hash.bytes(&disk.files[file].bytes.to_vec());
        }
        hash.hash
    }

    /// The bytes of a file, if it is there.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.names.get(name).map(|&file| disk.files[file].bytes.to_vec())
    }

    /// Puts a file there, durable: a stored image to start from.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk.lock();
        let file = disk.files.len();
        disk.files.push(file::FileState::holding(bytes.into()));
        disk.names.insert(name.to_string(), file);
        disk.durable_names.insert(name.to_string(), file);
    }

    /// As [`Directory::open`].
    pub fn open_file(&self, name: &str) -> Result<CrashFile> {
        let file = self.disk.lock().call(Call::Open, name.as_bytes(), &[], |disk, course| {
            course.result()?;
            disk.find(name)
        })?;
        Ok(CrashFile { disk: self.disk.clone(), file })
    }

    /// As [`Directory::create`].
    pub fn create_file(&self, name: &str) -> Result<CrashFile> {
        let mut disk = self.disk.lock();
        let file = disk.call(Call::Create, name.as_bytes(), &[], |disk, course| disk.create(course, name))?;
        Ok(CrashFile { disk: self.disk.clone(), file })
    }
}

impl Directory for CrashDirectory {
    fn list(&self) -> Result<Vec<String>> {
        self.disk.lock().call(Call::List, &[], &[], |disk, course| {
            course.result()?;
            Ok(disk.names.keys().cloned().collect())
        })
    }

    fn open(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        Ok(Arc::new(self.open_file(name)?))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        Ok(Arc::new(self.create_file(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let names = format!("{from}\0{to}");
        self.disk.lock().call(Call::Rename, names.as_bytes(), &[], |disk, course| {
            disk.find(from)?;
            disk.change_name(course, NameChange::Rename(from.to_string(), to.to_string()))
        })
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.disk.lock().call(Call::Remove, name.as_bytes(), &[], |disk, course| {
            disk.find(name)?;
            disk.change_name(course, NameChange::Remove(name.to_string()))
        })
    }

    fn sync(&self) -> Result<()> {
        self.disk.lock().call(Call::SyncNames, &[], &[], Disk::sync_names)
    }
}

/// An open file of a [`CrashDirectory`].
pub struct CrashFile {
    disk: Arc<Mutex<Disk>>,
    file: usize,
}

impl CrashFile {
    /// Writes at `offset`, as one call to the system does: maybe less than asked. Returns how many bytes.
    pub fn write_some(&self, offset: u64, bytes: &[u8]) -> Result<usize> {
        let numbers = [self.file as u64, offset];
        self.disk.lock().call(Call::Write, bytes, &numbers, |disk, course| {
            disk.write(course, self.file, position(offset)?, bytes)
        })
    }

    /// Cuts the file, or extends it with zeros.
    pub fn set_len(&self, len: u64) -> Result<()> {
        let numbers = [self.file as u64, len];
        self.disk
            .lock()
            .call(Call::Length, &[], &numbers, |disk, course| disk.set_len(course, self.file, position(len)?))
    }
}

fn position(offset: u64) -> Result<usize> {
    usize::try_from(offset).map_err(|_| Error::limit("the simulated file would be too long"))
}

impl RawFile for CrashFile {
    fn size(&self) -> Result<u64> {
        self.disk.lock().call(Call::Size, &[], &[self.file as u64], |disk, course| {
            course.result()?;
            Ok(disk.files[self.file].bytes.len() as u64)
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut disk = self.disk.lock();
        let numbers = [self.file as u64, offset, buffer.len() as u64];
        let read = disk.call(Call::Read, &[], &numbers, |disk, course| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let len = disk.files[self.file].bytes.read(offset, buffer);
            Ok(if course == Course::Short { len.div_ceil(2) } else { len })
        })?;
        disk.trace.bytes(&buffer[..read]);
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        // As a caller of the system has to: again until all is written.
        let mut done = self.write_some(offset, bytes)?;
        while done < bytes.len() {
            done += self.write_some(offset + done as u64, &bytes[done..])?;
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.disk
            .lock()
            .call(Call::Sync, &[], &[self.file as u64], |disk, course| disk.sync(course, self.file))
    }

    fn device_holds(&self, offset: u64, bytes: &[u8]) -> bool {
        let numbers = [self.file as u64, offset, bytes.len() as u64];
        let held = self.disk.lock().call(Call::Read, &[], &numbers, |disk, course| {
            course.result()?;
            let mut held = vec![0; bytes.len()];
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            let len = disk.files[self.file].durable.read(offset, &mut held);
            Ok(len == bytes.len() && held == bytes)
        });
        held.unwrap_or(false)
    }
}
