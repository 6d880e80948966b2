//! What can go wrong with a database, before it is known which file it is. Nothing is decided here.
use crate::store::StoreError;
use crate::store::sql::error::RowError;
use rusqlite::{ErrorCode, ffi};
use std::fmt;
use std::path::Path;

/// Why something failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite said so.
    Sql(rusqlite::Error),
    /// A row cannot be read or written.
    Row(RowError),
    /// There would not be enough room afterwards.
    NoRoom,
    /// Anything else that is not as it must be.
    Other(String),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sql(error)
    }
}

impl From<RowError> for Fault {
    fn from(error: RowError) -> Fault {
        Fault::Row(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Sql(error) => error.fmt(f),
            Fault::Row(error) => error.fmt(f),
            Fault::NoRoom => f.write_str("there is not enough room"),
            Fault::Other(what) => f.write_str(what),
        }
    }
}

impl Fault {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Fault::Sql(error) => error.sqlite_error_code(),
            _ => None,
        }
    }

    /// Whether somebody else has the database.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether there is no room: on the disk, or in the database while it may not grow.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Fault::NoRoom) || self.code() == Some(ErrorCode::DiskFull)
    }

    /// Whether it is unknown what is on the disk now: what was written before may be lost without another error.
    pub(super) fn is_failed_sync(&self) -> bool {
        let Fault::Sql(error) = self else { return false };
        let syncs = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
        error.sqlite_extended_error_code().is_some_and(|code| syncs.contains(&code))
    }

    /// The same, of this file.
    pub(super) fn of(self, path: &Path) -> StoreError {
        match self {
            fault if fault.is_full() => StoreError::Full { path: path.to_owned() },
            Fault::Row(RowError::Field { place, tag }) => {
                StoreError::Field { path: path.to_owned(), place, tag }
            }
            fault => StoreError::Database { name: path.display().to_string(), what: fault.to_string() },
        }
    }
}
