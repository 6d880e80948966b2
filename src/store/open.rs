//! From what an operator decided to an open store. What each store is stands in files of its own.
use super::log::{LogOptions, LogStore};
#[cfg(feature = "postgres")]
use super::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
use super::sqlite::{SqliteOptions, SqliteStore};
use super::{Store, StoreError};

/// Where jobs are kept.
#[derive(Clone, Debug)]
pub enum StoreOptions {
    /// In our own log (`--data-dir`).
    Log(LogOptions),
    /// In gearmand's table of an SQLite database (`-q libsqlite3`).
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteOptions),
    /// In gearmand's table of a PostgreSQL database (`-q Postgres`).
    #[cfg(feature = "postgres")]
    Postgres(PostgresOptions),
}

impl StoreOptions {
    /// Whether acknowledged jobs are written only when the store is closed (`--store-queue-on-shutdown`).
    pub fn writes_at_end(&self) -> bool {
        match self {
            StoreOptions::Log(_) => false,
            #[cfg(feature = "sqlite")]
            StoreOptions::Sqlite(options) => options.on_shutdown_only,
            #[cfg(feature = "postgres")]
            StoreOptions::Postgres(_) => false,
        }
    }

    /// Whether several servers may share it.
    pub fn is_shared(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            StoreOptions::Postgres(options) => options.sharing.is_some(),
            _ => false,
        }
    }

    /// Opens the store, new if there is none. An error means that the server does not start.
    pub fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        match self {
            StoreOptions::Log(options) => Ok(Box::new(LogStore::open(options.clone())?)),
            #[cfg(feature = "sqlite")]
            StoreOptions::Sqlite(options) => Ok(Box::new(SqliteStore::open(options.clone())?)),
            #[cfg(feature = "postgres")]
            StoreOptions::Postgres(options) => Ok(Box::new(PostgresStore::open(options.clone())?)),
        }
    }
}
