//! One error type for every crate: its [`ErrorKind`] tells the caller what to do, its [`Code`] tells a
//! program which case it is, its message tells a person what happened, where, and what to do about it.

use std::fmt;
use std::io;

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller should do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A cold block is not here yet: fetch what is wanted and ask again.
    WouldBlock,
    /// Another transaction got there first: run the transaction again.
    Conflict,
    /// Stored bytes are not what was written: restore from a backup, or salvage.
    Corrupt,
    /// The device is full: free space and retry.
    NoSpace,
    /// The operating system refused; the message carries its words.
    Io,
    /// A newer owner has taken the database over: stop using this handle.
    Fenced,
    /// A documented limit was reached (docs/LIMITS.md): ask for less or raise the limit.
    Limit,
    /// The handle is closed, or poisoned by a failed sync: reopen the database.
    Closed,
    /// The format or the feature is not one that this version knows.
    Unsupported,
    /// The request makes no sense: correct it. SQL mistakes are of this kind.
    InvalidInput,
    /// The data would break a constraint of the schema; nothing was changed.
    Constraint,
    /// The database or a turn at it is held by somebody else: try later.
    Busy,
    /// A write was asked of something that only reads.
    ReadOnly,
    /// The statement was interrupted at the caller's request.
    Interrupted,
}

/// Which case an [`Error`] is, for programs. The names are SQLite's where SQLite has one
/// (<https://www.sqlite.org/rescode.html>), since drivers and ORMs match on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Code {
    Error,
    Busy,
    Corrupt,
    Full,
    IoErr,
    NotADb,
    ReadOnly,
    Interrupt,
    TooBig,
    Mismatch,
    Misuse,
    Range,
    Schema,
    Auth,
    NoMem,
    ConstraintCheck,
    ConstraintForeignKey,
    ConstraintNotNull,
    ConstraintPrimaryKey,
    ConstraintRowId,
    ConstraintTrigger,
    ConstraintUnique,
    ConstraintDatatype,
    Conflict,
    WouldBlock,
    Fenced,
    Limit,
    Closed,
    Unsupported,
    AsOfFuture,
    AsOfExpired,
    AsOfNoTable,
    AsOfUnkept,
    FeedLost,
}

impl Code {
    /// The stable name, as the `pipe` protocol prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Code::Error => "SQLITE_ERROR",
            Code::Busy => "SQLITE_BUSY",
            Code::Corrupt => "SQLITE_CORRUPT",
            Code::Full => "SQLITE_FULL",
            Code::IoErr => "SQLITE_IOERR",
            Code::NotADb => "SQLITE_NOTADB",
            Code::ReadOnly => "SQLITE_READONLY",
            Code::Interrupt => "SQLITE_INTERRUPT",
            Code::TooBig => "SQLITE_TOOBIG",
            Code::Mismatch => "SQLITE_MISMATCH",
            Code::Misuse => "SQLITE_MISUSE",
            Code::Range => "SQLITE_RANGE",
            Code::Schema => "SQLITE_SCHEMA",
            Code::Auth => "SQLITE_AUTH",
            Code::NoMem => "SQLITE_NOMEM",
            Code::ConstraintCheck => "SQLITE_CONSTRAINT_CHECK",
            Code::ConstraintForeignKey => "SQLITE_CONSTRAINT_FOREIGNKEY",
            Code::ConstraintNotNull => "SQLITE_CONSTRAINT_NOTNULL",
            Code::ConstraintPrimaryKey => "SQLITE_CONSTRAINT_PRIMARYKEY",
            Code::ConstraintRowId => "SQLITE_CONSTRAINT_ROWID",
            Code::ConstraintTrigger => "SQLITE_CONSTRAINT_TRIGGER",
            Code::ConstraintUnique => "SQLITE_CONSTRAINT_UNIQUE",
            Code::ConstraintDatatype => "SQLITE_CONSTRAINT_DATATYPE",
            Code::Conflict => "DOSQL_CONFLICT",
            Code::WouldBlock => "DOSQL_WOULD_BLOCK",
            Code::Fenced => "DOSQL_FENCED",
            Code::Limit => "DOSQL_LIMIT",
            Code::Closed => "DOSQL_CLOSED",
            Code::Unsupported => "DOSQL_UNSUPPORTED",
            Code::AsOfFuture => "DOSQL_AS_OF_FUTURE",
            Code::AsOfExpired => "DOSQL_AS_OF_EXPIRED",
            Code::AsOfNoTable => "DOSQL_AS_OF_NO_TABLE",
            Code::AsOfUnkept => "DOSQL_AS_OF_UNKEPT",
            Code::FeedLost => "DOSQL_FEED_LOST",
        }
    }

    /// SQLite's extended result code, for those who match on numbers; 1 (`SQLITE_ERROR`) where SQLite has none.
    #[must_use]
    pub const fn sqlite(self) -> i32 {
        match self {
            Code::Busy | Code::Conflict => 5,
            Code::NoMem => 7,
            Code::ReadOnly => 8,
            Code::Interrupt => 9,
            Code::IoErr => 10,
            Code::Corrupt => 11,
            Code::Full => 13,
            Code::Schema => 17,
            Code::TooBig => 18,
            Code::Mismatch => 20,
            Code::Misuse => 21,
            Code::Auth => 23,
            Code::Range => 25,
            Code::NotADb => 26,
            Code::ConstraintCheck => 275,
            Code::ConstraintForeignKey => 787,
            Code::ConstraintNotNull => 1299,
            Code::ConstraintPrimaryKey => 1555,
            Code::ConstraintTrigger => 1811,
            Code::ConstraintUnique => 2067,
            Code::ConstraintRowId => 2579,
            Code::ConstraintDatatype => 3091,
            _ => 1,
        }
    }
}

/// What went wrong. Cheap to move (one pointer); made only on the way out.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Code,
    message: String,
    place: Option<String>,
    offset: Option<u32>,
}

impl Error {
    /// An error of this kind and code with a message for a person.
    #[must_use]
    pub fn new(kind: ErrorKind, code: Code, message: impl Into<String>) -> Self {
        Error(Box::new(Inner { kind, code, message: message.into(), place: None, offset: None }))
    }

    /// Stored bytes are wrong: `what` is wrong with them and the `place` they were read from.
    #[must_use]
    pub fn corrupt(what: impl Into<String>, place: impl Into<String>) -> Self {
        Error::new(ErrorKind::Corrupt, Code::Corrupt, what).at(place)
    }

    /// A request that can't be carried out as it stands; SQL mistakes are made here.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidInput, Code::Error, message)
    }

    /// A documented limit was reached.
    #[must_use]
    pub fn limit(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Limit, Code::Limit, message)
    }

    /// Something this version does not know how to do or to read.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Unsupported, Code::Unsupported, message)
    }

    /// The handle can't be used any more.
    #[must_use]
    pub fn closed(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Closed, Code::Closed, message)
    }

    /// The data would break a constraint.
    #[must_use]
    pub fn constraint(code: Code, message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Constraint, code, message)
    }

    /// Another transaction committed first.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Conflict, Code::Conflict, message)
    }

    /// A block is not resident.
    #[must_use]
    pub fn would_block(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::WouldBlock, Code::WouldBlock, message)
    }

    /// The operating system's error while doing `what`; a full device becomes [`ErrorKind::NoSpace`].
    #[must_use]
    pub fn io(what: impl fmt::Display, error: &io::Error) -> Self {
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let (kind, code) = if full { (ErrorKind::NoSpace, Code::Full) } else { (ErrorKind::Io, Code::IoErr) };
        Error::new(kind, code, format!("{what}: {error}"))
    }

    /// Says where: a file and offset, a page, a record.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    /// Says at which byte of the SQL text.
    #[must_use]
    pub fn at_offset(mut self, offset: usize) -> Self {
        self.0.offset = u32::try_from(offset).ok();
        self
    }

    /// As [`Error::at_offset`], unless an offset is known already.
    #[must_use]
    pub fn or_at_offset(mut self, offset: usize) -> Self {
        if self.0.offset.is_none() {
            self.0.offset = u32::try_from(offset).ok();
        }
        self
    }

    /// Moves the offset, where one is known: the text that it counts from begins at `start` of a longer one.
    #[must_use]
    pub fn offset_from(mut self, start: usize) -> Self {
        self.0.offset = self.0.offset.and_then(|offset| u32::try_from(start + offset as usize).ok());
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Which case it is.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it happened, where that is known.
    #[must_use]
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// The byte of the SQL text that the error points at, where there is one.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset.map(|offset| offset as usize)
    }
}

impl Clone for Error {
    fn clone(&self) -> Self {
        Error(Box::new(Inner {
            kind: self.0.kind,
            code: self.0.code,
            message: self.0.message.clone(),
            place: self.0.place.clone(),
            offset: self.0.offset,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.place {
            Some(place) => write!(f, " (at {place})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}: {self}", self.0.kind, self.0.code.name())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_and_where() {
        let error = Error::corrupt("checksum mismatch", "page 7");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.to_string(), "checksum mismatch (at page 7)");
    }

    #[test]
    fn a_full_device_is_told_apart_from_other_io_errors() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(Error::io("write", &full).kind(), ErrorKind::NoSpace);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(Error::io("open", &denied).kind(), ErrorKind::Io);
    }
}
