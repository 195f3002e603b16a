//! The file that a page store lies in: the seam between the store's order of writes and the operating system, so that
//! tests and simulations can crash in between.

use std::io;

/// Positioned reads and writes of one file. Reads and writes may be short, as the operating system's are.
pub trait RawFile: Send + Sync {
    /// Reads into `buf` from `offset`; returns how many bytes, 0 at the end of the file.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes `bytes` at `offset`; returns how many were written.
    ///
    /// # Errors
    /// The operating system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Has the device begin to write what was written within a range, and where `wait` is set waits until it has: so that a later [`RawFile::sync`]
    /// finds little to do. Promises nothing.
    ///
    /// # Errors
    /// The operating system's; what was written since the last sync is then in doubt for good.
    fn write_back(&self, offset: u64, len: u64, wait: bool) -> io::Result<()> {
        let _ = (offset, len, wait);
        Ok(())
    }

    /// Waits until everything written so far is durable.
    ///
    /// # Errors
    /// The operating system's; what was written since the last sync is then in doubt for good.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// The operating system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file or extends it with zeros.
    ///
    /// # Errors
    /// The operating system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Gives back the space of a range within the file, which reads as zeros from then on; as durable as a write. False where that can't be
    /// done, and nothing is.
    ///
    /// # Errors
    /// The operating system's.
    fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
        let _ = (offset, len);
        Ok(false)
    }
}

/// Reads until `buf` is full or the file ends; returns how many bytes.
pub(crate) fn read_full(file: &dyn RawFile, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Writes all of `bytes`.
pub(crate) fn write_full(file: &dyn RawFile, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A file of the operating system.
#[cfg(not(target_family = "wasm"))]
pub(crate) use os::OsFile;

#[cfg(not(target_family = "wasm"))]
mod os {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::path::Path;

    use super::RawFile;

    /// See above.
    pub(crate) struct OsFile {
        #[cfg(unix)]
        file: File,
        #[cfg(not(unix))]
        file: parking_lot::Mutex<File>,
    }

    impl OsFile {
        /// Opens the file at `path`, creating it if there is none. Its name is durable after [`OsFile::sync_name`].
        pub(crate) fn open(path: &Path) -> io::Result<Self> {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = open_quietly(&options, path)?;
            #[cfg(not(unix))]
            let file = parking_lot::Mutex::new(file);
            Ok(OsFile { file })
        }

        /// Makes the name of the file at `path` durable.
        pub(crate) fn sync_name(path: &Path) -> io::Result<()> {
            #[cfg(unix)]
            if let Some(parent) = path.parent() {
                let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                File::open(parent)?.sync_all()?;
            }
            #[cfg(not(unix))]
            let _ = path;
            Ok(())
        }
    }

    /// Opens a file whose time of last access nobody keeps, where that may be asked for: keeping it costs each read a little.
    #[cfg(target_os = "linux")]
    fn open_quietly(options: &OpenOptions, path: &Path) -> io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt;
        match options.clone().custom_flags(libc::O_NOATIME).open(path) {
            // It is for owners alone.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => options.open(path),
            opened => opened,
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn open_quietly(options: &OpenOptions, path: &Path) -> io::Result<File> {
        options.open(path)
    }

    #[cfg(unix)]
    impl RawFile for OsFile {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            std::os::unix::fs::FileExt::read_at(&self.file, buf, offset)
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            std::os::unix::fs::FileExt::write_at(&self.file, bytes, offset)
        }

        fn write_back(&self, offset: u64, len: u64, wait: bool) -> io::Result<()> {
            super::super::write_back::write_back(&self.file, offset, len, wait)
        }

        fn sync(&self) -> io::Result<()> {
            self.file.sync_data()
        }

        fn len(&self) -> io::Result<u64> {
            Ok(self.file.metadata()?.len())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.file.set_len(len)
        }

        fn punch(&self, offset: u64, len: u64) -> io::Result<bool> {
            super::super::punch::punch(&self.file, offset, len)
        }
    }

    #[cfg(not(unix))]
    impl RawFile for OsFile {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
            use std::io::{Read, Seek, SeekFrom};
            let mut file = self.file.lock();
            file.seek(SeekFrom::Start(offset))?;
            file.read(buf)
        }

        fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            use std::io::{Seek, SeekFrom, Write};
            let mut file = self.file.lock();
            file.seek(SeekFrom::Start(offset))?;
            file.write(bytes)
        }

        fn sync(&self) -> io::Result<()> {
            self.file.lock().sync_data()
        }

        fn len(&self) -> io::Result<u64> {
            Ok(self.file.lock().metadata()?.len())
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.file.lock().set_len(len)
        }
    }
}
