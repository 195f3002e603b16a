//! Bringing what was written to the device piece by piece.

#![allow(unsafe_code, reason = "a system call that the standard library does not offer")]

use std::fs::File;
use std::io;

/// Has the device begin to write what was written within a range; `wait`: waits until it has. Does nothing where the system can't.
#[cfg(target_os = "linux")]
pub(super) fn write_back(file: &File, offset: u64, len: u64, wait: bool) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return Ok(()) };
    let around = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let how = libc::SYNC_FILE_RANGE_WRITE | if wait { around } else { 0 };
    // SAFETY: the descriptor is the file's, which is borrowed for the call; no memory is handed over.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, how) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    // Refused before anything was done.
    let unknown = [libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP, libc::EPERM];
    if error.raw_os_error().is_some_and(|code| unknown.contains(&code)) { Ok(()) } else { Err(error) }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn write_back(_file: &File, _offset: u64, _len: u64, _wait: bool) -> io::Result<()> {
    Ok(())
}
