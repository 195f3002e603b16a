//! A directory in memory that knows what a crash could leave of it: for tests of everything that writes files.
//!
//! Names and bytes reach the simulated disk when they are synced. Until then a crash keeps any subset of them: of the
//! writes each 512-byte sector on its own, of the lengths all or nothing, of the changes of names any.

use std::collections::BTreeMap;
use std::sync::Arc;

use dosql_base::{Code, Entropy, Error, ErrorKind, Result, SeededEntropy};
use parking_lot::Mutex;

use crate::{Directory, RawFile};

/// The unit that a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// What a crash leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surviving {
    /// None of it.
    Nothing,
    /// All of it, as when only the process ends.
    Everything,
    /// A subset that the seed picks, sector by sector.
    Some(u64),
}

/// A simulated directory. Clones share it.
#[derive(Clone, Default)]
pub struct CrashDirectory {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    operations: u64,
    crash_at: Option<u64>,
    ignore_syncs: bool,
    fail_at: Option<(u64, Error)>,
    lose_next_sync: bool,
}

#[derive(Clone, Default)]
struct FileState {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Rename(String, String),
    Remove(String),
}

impl CrashDirectory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        CrashDirectory::default()
    }

    /// How many calls that change something, or sync it, were made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.disk.lock().operations
    }

    /// The machine stops at the call of this number, counted from 0: that call takes effect in part at most, and it and
    /// all after it fail. Look at [`CrashDirectory::survivor`] then.
    pub fn crash_at(&self, operation: u64) {
        self.disk.lock().crash_at = Some(operation);
    }

    /// From now on syncs report success and do nothing: a disk that lies, to show that a test would notice.
    pub fn ignore_syncs(&self) {
        self.disk.lock().ignore_syncs = true;
    }

    /// The call of this number, counted from 0, fails with `error` and has no effect; those after it succeed.
    pub fn fail_at(&self, operation: u64, error: Error) {
        self.disk.lock().fail_at = Some((operation, error));
    }

    /// The next sync of a file fails, and the bytes that it should have written are given up: reads still show them, later
    /// syncs do not write them. That is what Linux does.
    pub fn lose_next_sync(&self) {
        self.disk.lock().lose_next_sync = true;
    }

    /// The directory that a crash at this moment leaves, all of it durable.
    #[must_use]
    pub fn survivor(&self, surviving: Surviving) -> CrashDirectory {
        let disk = self.disk.lock();
        let mut dice = Dice::new(surviving);
        let files: Vec<FileState> = disk.files.iter().map(|file| file.survivor(&mut dice)).collect();
        let mut names = disk.durable_names.clone();
        for change in &disk.unsynced_names {
            if dice.keeps() {
                change.apply(&mut names);
            }
        }
        let durable_names = names.clone();
        let left = Disk { files, names, durable_names, ..Disk::default() };
        CrashDirectory { disk: Arc::new(Mutex::new(left)) }
    }

    /// The bytes of a file, if it is there.
    #[must_use]
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk.lock();
        disk.names.get(name).map(|&file| disk.files[file].bytes.clone())
    }

    /// Puts a file there, durable: a stored image to start from.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut disk = self.disk.lock();
        let file = disk.files.len();
        disk.files.push(FileState { durable: bytes.clone(), bytes, unsynced: Vec::new() });
        disk.names.insert(name.to_string(), file);
        disk.durable_names.insert(name.to_string(), file);
    }
}

/// Decides what survives.
struct Dice {
    surviving: Surviving,
    entropy: SeededEntropy,
    /// Of 256: images with few, half and most of the sectors are all of interest.
    chance: u8,
}

impl Dice {
    fn new(surviving: Surviving) -> Self {
        let seed = if let Surviving::Some(seed) = surviving { seed } else { 0 };
        let mut dice = Dice { surviving, entropy: SeededEntropy::new(seed), chance: 0 };
        dice.chance = [16, 128, 240][usize::from(dice.byte() % 3)];
        dice
    }

    fn byte(&self) -> u8 {
        let mut byte = [0];
        self.entropy.fill(&mut byte);
        byte[0]
    }

    fn keeps(&mut self) -> bool {
        match self.surviving {
            Surviving::Nothing => false,
            Surviving::Everything => true,
            Surviving::Some(_) => self.byte() < self.chance,
        }
    }
}

impl FileState {
    /// What was written since the last sync reaches the disk; what was given up before does not.
    fn sync(&mut self) {
        for (offset, written) in std::mem::take(&mut self.unsynced) {
            overwrite(&mut self.durable, offset, &written);
        }
        self.durable.resize(self.bytes.len(), 0);
    }

    fn survivor(&self, dice: &mut Dice) -> FileState {
        let mut bytes = self.durable.clone();
        if dice.keeps() {
            bytes.resize(self.bytes.len().max(bytes.len()), 0);
        }
        for (offset, written) in &self.unsynced {
            let mut at = 0;
            while at < written.len() {
                let sector_end = (offset + at) / SECTOR * SECTOR + SECTOR;
                let end = (sector_end - offset).min(written.len());
                if dice.keeps() {
                    overwrite(&mut bytes, offset + at, &written[at..end]);
                }
                at = end;
            }
        }
        FileState { durable: bytes.clone(), bytes, unsynced: Vec::new() }
    }
}

fn overwrite(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(written);
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, file) => {
                names.insert(name.clone(), *file);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Io, Code::IoErr, "the simulated machine has stopped")
}

impl Disk {
    /// Counts an operation; tells whether it is the one during which the machine stops.
    fn begin(&mut self) -> Result<bool> {
        let number = self.operations;
        match self.crash_at {
            Some(crash) if number > crash => return Err(stopped()),
            _ => self.operations += 1,
        }
        if self.fail_at.as_ref().is_some_and(|(at, _)| *at == number)
            && let Some((_, error)) = self.fail_at.take()
        {
            return Err(error);
        }
        Ok(self.crash_at == Some(number))
    }

    fn change_name(&mut self, change: NameChange) -> Result<()> {
        let stops = self.begin()?;
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
        if stops { Err(stopped()) } else { Ok(()) }
    }

    fn find(&self, name: &str) -> Result<usize> {
        let missing = || Error::new(ErrorKind::Io, Code::IoErr, format!("open {name}: no such file"));
        self.names.get(name).copied().ok_or_else(missing)
    }
}

impl Directory for CrashDirectory {
    fn list(&self) -> Result<Vec<String>> {
        Ok(self.disk.lock().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        let file = self.disk.lock().find(name)?;
        Ok(Arc::new(CrashFile { disk: self.disk.clone(), file }))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        let mut disk = self.disk.lock();
        let file = if let Some(&file) = disk.names.get(name) {
            // The same file, emptied. Until it is synced its old bytes may come back.
            let stops = disk.begin()?;
            disk.files[file].bytes.clear();
            disk.files[file].unsynced.clear();
            if stops {
                return Err(stopped());
            }
            file
        } else {
            disk.files.push(FileState::default());
            let file = disk.files.len() - 1;
            disk.change_name(NameChange::Set(name.to_string(), file))?;
            file
        };
        Ok(Arc::new(CrashFile { disk: self.disk.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut disk = self.disk.lock();
        disk.find(from)?;
        disk.change_name(NameChange::Rename(from.to_string(), to.to_string()))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut disk = self.disk.lock();
        disk.find(name)?;
        disk.change_name(NameChange::Remove(name.to_string()))
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.disk.lock();
        if disk.begin()? {
            return Err(stopped());
        }
        if !disk.ignore_syncs {
            disk.durable_names = disk.names.clone();
            disk.unsynced_names.clear();
        }
        Ok(())
    }
}

struct CrashFile {
    disk: Arc<Mutex<Disk>>,
    file: usize,
}

impl RawFile for CrashFile {
    fn size(&self) -> Result<u64> {
        Ok(self.disk.lock().files[self.file].bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let disk = self.disk.lock();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let stored = disk.files[self.file].bytes.get(offset..).unwrap_or_default();
        let len = stored.len().min(buffer.len());
        buffer[..len].copy_from_slice(&stored[..len]);
        Ok(len)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut disk = self.disk.lock();
        let stops = disk.begin()?;
        let offset =
            usize::try_from(offset).map_err(|_| Error::limit("the simulated file would be too long"))?;
        let file = &mut disk.files[self.file];
        overwrite(&mut file.bytes, offset, bytes);
        file.unsynced.push((offset, bytes.to_vec()));
        if stops { Err(stopped()) } else { Ok(()) }
    }

    fn sync_data(&self) -> Result<()> {
        let mut disk = self.disk.lock();
        if disk.begin()? {
            return Err(stopped());
        }
        if std::mem::take(&mut disk.lose_next_sync) {
            disk.files[self.file].unsynced.clear();
            return Err(Error::new(ErrorKind::Io, Code::IoErr, "the simulated disk failed to write"));
        }
        if !disk.ignore_syncs {
            disk.files[self.file].sync();
        }
        Ok(())
    }
}
