//! A [`Directory`] of the operating system's.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dosql_base::{Error, Result};

use crate::{Directory, RawFile};

/// A directory on disk.
#[derive(Debug)]
pub struct DiskDirectory {
    path: PathBuf,
}

impl DiskDirectory {
    /// The directory at `path`, which is created if it is missing (its parent must exist).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        match fs::create_dir(&path) {
            Ok(()) => sync_directory(path.parent().filter(|parent| !parent.as_os_str().is_empty()))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(format!("create directory {}", path.display()), &error)),
        }
        Ok(DiskDirectory { path })
    }

    fn open_with(&self, name: &str, options: &OpenOptions) -> Result<Arc<dyn RawFile>> {
        let path = self.path.join(name);
        let file = options.open(&path).map_err(|error| failed("open", &path, &error))?;
        Ok(Arc::new(DiskFile { file, path }))
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::io(format!("{what} {}", path.display()), error)
}

/// Makes the names in a directory durable. Windows has no such call, and needs none.
fn sync_directory(path: Option<&Path>) -> Result<()> {
    let path = path.unwrap_or(Path::new("."));
    if cfg!(windows) {
        return Ok(());
    }
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| failed("sync", path, &error))
}

impl Directory for DiskDirectory {
    fn list(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).map_err(|error| failed("list", &self.path, &error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &self.path, &error))?;
            // A name that is not UTF-8 is none of ours.
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        self.open_with(name, OpenOptions::new().read(true).write(true))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn RawFile>> {
        self.open_with(name, OpenOptions::new().read(true).write(true).create(true).truncate(true))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let path = self.path.join(from);
        fs::rename(&path, self.path.join(to)).map_err(|error| failed("rename", &path, &error))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.path.join(name);
        fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))
    }

    fn sync(&self) -> Result<()> {
        sync_directory(Some(&self.path))
    }
}

#[derive(Debug)]
struct DiskFile {
    file: File,
    path: PathBuf,
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

impl RawFile for DiskFile {
    fn size(&self) -> Result<u64> {
        self.file.metadata().map(|data| data.len()).map_err(|error| failed("stat", &self.path, &error))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match read_at(&self.file, offset, buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| failed("read", &self.path, &error)),
            }
        }
    }

    fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let written = match write_at(&self.file, offset, bytes) {
                Ok(0) => Err(io::Error::from(io::ErrorKind::WriteZero)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                result => result,
            };
            let written = written.map_err(|error| failed("write", &self.path, &error))?;
            offset += written as u64;
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| failed("sync", &self.path, &error))
    }

    fn device_holds(&self, offset: u64, bytes: &[u8]) -> bool {
        direct::holds(&self.file, &self.path, offset, bytes).unwrap_or(false)
    }
}

/// Reads that pass by the system's cache.
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64", target_arch = "aarch64")
))]
mod direct {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::Path;

    use super::read_at;

    /// As the kernel has it on these machines.
    const O_DIRECT: i32 = if cfg!(target_arch = "aarch64") { 0o200_000 } else { 0o40_000 };
    /// What offsets, lengths and buffers have to be multiples of; no device asks for more.
    const BLOCK: usize = 4096;

    /// Whether the device holds `bytes` at `offset` of `file`, which was opened at `path`. Fails where the file system reads by its
    /// cache only, or the path leads elsewhere by now.
    pub(super) fn holds(file: &File, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        let direct = OpenOptions::new().read(true).custom_flags(O_DIRECT).open(path)?;
        let (ours, found) = (file.metadata()?, direct.metadata()?);
        if (ours.dev(), ours.ino()) != (found.dev(), found.ino()) {
            return Ok(false);
        }
        let skipped = (offset % BLOCK as u64) as usize;
        let len = (skipped + bytes.len()).next_multiple_of(BLOCK);
        let mut room = vec![0; len + BLOCK];
        let aligned = room.as_ptr().align_offset(BLOCK);
        let Some(block) = room.get_mut(aligned..aligned + len) else { return Ok(false) };
        let (start, mut filled) = (offset - skipped as u64, 0);
        while filled < skipped + bytes.len() {
            let read = read_at(&direct, start + filled as u64, &mut block[filled..])?;
            // It goes on from whole blocks only, and less than one is the end of the file.
            if read == 0 || (!read.is_multiple_of(BLOCK) && filled + read < skipped + bytes.len()) {
                return Ok(false);
            }
            filled += read;
        }
        Ok(block[skipped..skipped + bytes.len()] == *bytes)
    }
}

/// Elsewhere nobody can tell.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "x86", target_arch = "riscv64", target_arch = "aarch64")
)))]
mod direct {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    /// That is the answer.
    pub(super) fn holds(_: &File, _: &Path, _: u64, _: &[u8]) -> io::Result<bool> {
        Ok(false)
    }
}
