//! From what an operator decided to an open store. What each store is stands in files of its own.
use super::log::{LogOptions, LogStore};
#[cfg(feature = "memcached")]
use super::memcached::MemcachedOptions;
#[cfg(feature = "mysql")]
use super::mysql::MysqlOptions;
#[cfg(feature = "postgres")]
use super::postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "redis")]
use super::redis::RedisOptions;
#[cfg(feature = "sqlite")]
use super::sqlite::{SqliteOptions, SqliteStore};
use super::tokyo::TokyoList;
use super::{Store, StoreError};
use std::path::{Path, PathBuf};

/// Where jobs are kept.
#[derive(Clone, Debug)]
pub enum StoreOptions {
    /// In our own log (`--data-dir`).
    Log(LogOptions),
    /// In gearmand's table of an SQLite database (`-q libsqlite3`).
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteOptions),
    /// In gearmand's table of a MySQL or MariaDB database (`-q MySQL`).
    #[cfg(feature = "mysql")]
    Mysql(MysqlOptions),
    /// In gearmand's table of a PostgreSQL database (`-q Postgres`).
    #[cfg(feature = "postgres")]
    Postgres(PostgresOptions),
    /// In gearmand's keys of a Redis (`-q redis`).
    #[cfg(feature = "redis")]
    Redis(RedisOptions),
    /// In gearmand's items of memcached servers, as long as these run (`-q libmemcached`).
    #[cfg(feature = "memcached")]
    Memcached(MemcachedOptions),
    /// A list of what gearmand has kept with Tokyo Cabinet, to copy from.
    Tokyo(PathBuf),
}

impl StoreOptions {
    /// The folder of its files, if it has one of its own.
    pub fn data_dir(&self) -> Option<&Path> {
        match self {
            StoreOptions::Log(options) => Some(&options.dir),
            _ => None,
        }
    }

    /// Whether acknowledged jobs are written only when the store is closed (`--store-queue-on-shutdown`).
    pub fn writes_at_end(&self) -> bool {
        match self {
            StoreOptions::Log(_) => false,
            #[cfg(feature = "sqlite")]
            StoreOptions::Sqlite(options) => options.on_shutdown_only,
            #[cfg(feature = "mysql")]
            StoreOptions::Mysql(_) => false,
            #[cfg(feature = "postgres")]
            StoreOptions::Postgres(_) => false,
            #[cfg(feature = "redis")]
            StoreOptions::Redis(_) => false,
            #[cfg(feature = "memcached")]
            StoreOptions::Memcached(_) => false,
            StoreOptions::Tokyo(_) => false,
        }
    }

    /// Whether several servers may share it.
    pub fn is_shared(&self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            StoreOptions::Mysql(options) => options.sharing.is_some(),
            #[cfg(feature = "postgres")]
            StoreOptions::Postgres(options) => options.sharing.is_some(),
            #[cfg(feature = "redis")]
            StoreOptions::Redis(options) => options.sharing.is_some(),
            _ => false,
        }
    }

    /// Opens the store, new if there is none. An error means that the server does not start.
    pub fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        match self {
            StoreOptions::Log(options) => Ok(Box::new(LogStore::open(options.clone())?)),
            #[cfg(feature = "sqlite")]
            StoreOptions::Sqlite(options) => Ok(Box::new(SqliteStore::open(options.clone())?)),
            #[cfg(feature = "mysql")]
            StoreOptions::Mysql(options) => super::mysql::open(options.clone()),
            #[cfg(feature = "postgres")]
            StoreOptions::Postgres(options) => Ok(Box::new(PostgresStore::open(options.clone())?)),
            #[cfg(feature = "redis")]
            StoreOptions::Redis(options) => super::redis::open(options.clone()),
            #[cfg(feature = "memcached")]
            StoreOptions::Memcached(options) => super::memcached::open(options.clone()),
            StoreOptions::Tokyo(path) => Ok(Box::new(TokyoList::of(path))),
        }
    }
}
