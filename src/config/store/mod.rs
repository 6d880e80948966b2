//! Options for the store: where background jobs are kept, if anywhere. The flags of each store are in a file of its own.
mod choice;
mod log;
mod memcached;
mod mysql;
mod postgres;
mod redis;
#[cfg(any(feature = "memcached", feature = "mysql", feature = "redis"))]
mod remote;
mod sharing;
mod sqlite;

use self::mysql::MysqlFlags;
use self::redis::RedisFlags;
use super::called::CalledAs;
use super::mistake::Mistake;
use super::origins::Caution;
use super::value::number;
use crate::store::StoreOptions;
#[cfg(feature = "mysql")]
use crate::store::mysql::MysqlOptions;
#[cfg(feature = "postgres")]
use crate::store::postgres::PostgresOptions;
#[cfg(feature = "redis")]
use crate::store::redis::RedisOptions;
use choice::{Choice, StoreFlags, refuse_misplaced};
use log::LogFlags;
use memcached::MemcachedFlags;
use postgres::PostgresFlags;
use sharing::SharingFlags;
use sqlite::SqliteFlags;

/// Where background jobs are kept.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(super) struct Storing {
    #[command(flatten)]
    pub(super) log: LogFlags,

    /// gearmand's name of the store: builtin (none, or the log with --data-dir), libsqlite3, mysql, postgres, redis or
    /// libmemcached
    #[arg(short = 'q', long, value_name = "NAME", default_value = "builtin")]
    pub(super) queue_type: String,

    #[command(flatten)]
    pub(super) sqlite: SqliteFlags,

    #[command(flatten)]
    pub(super) mysql: MysqlFlags,

    #[command(flatten)]
    pub(super) postgres: PostgresFlags,

    #[command(flatten)]
    pub(super) redis: RedisFlags,

    #[command(flatten)]
    pub(super) memcached: MemcachedFlags,

    #[command(flatten)]
    pub(super) sharing: SharingFlags,

    /// How long a start waits for a database server that does not answer; 0 is not at all. Meanwhile foreground jobs are done and
    /// background jobs refused [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = number(0..=i64::from(u32::MAX)))]
    pub(super) store_wait: Option<i64>,

    /// Background jobs out of attempts that are kept to be looked at (`show dead jobs`) and put back (`retry job`);
    /// with more, the next one that dies takes the place of the oldest
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = number(0..=u32::MAX.into()))]
    pub(super) dead_jobs: i64,

    /// Bytes of these, which do not count among those of `--max-queued-bytes`; likewise
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30, value_parser = number(0..=i64::MAX))]
    pub(super) max_dead_bytes: i64,

    /// How long a background submission waits for the store; then it is answered ERROR, and everything else goes on
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = number(1..=86_400))]
    pub(super) store_timeout: i64,

    /// Bytes of one thread that may wait for the store. With more, background jobs are answered ERROR
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = number(1..=i64::MAX))]
    pub(super) max_storing_bytes: i64,
}

/// Which store, if any. A server that shares it is called so, unless it is given a name.
pub(super) fn options(
    flags: &Storing,
    usual_name: &str,
    called: CalledAs,
    notices: &mut Vec<String>,
    warnings: &mut Vec<Caution>,
) -> Result<Option<StoreOptions>, Mistake> {
    let chosen = choice(flags)?;
    refuse_misplaced(&flags.sqlite, chosen, called, warnings)?;
    refuse_misplaced(&flags.mysql, chosen, called, warnings)?;
    refuse_misplaced(&flags.postgres, chosen, called, warnings)?;
    refuse_misplaced(&flags.redis, chosen, called, warnings)?;
    refuse_misplaced(&flags.memcached, chosen, called, warnings)?;
    refuse_misplaced(&flags.log, chosen, called, warnings)?;
    if flags.store_wait.is_some() && [Choice::Nothing, Choice::Log, Choice::Sqlite].contains(&chosen) {
        return Err(Mistake::Store(
            "--store-wait is for a database server: add -q mysql, postgres, redis or libmemcached".to_owned(),
        ));
    }
    if ![Choice::Mysql, Choice::Postgres, Choice::Redis].contains(&chosen) {
        flags.sharing.refuse()?;
    }
    // Not each build has stores that are shared.
    let _ = usual_name;
    let durability = flags.log.durability.as_deref();
    match chosen {
        Choice::Nothing => match durability {
            Some(level @ ("synced" | "written")) => Err(Mistake::Store(format!(
                "--durability {level} needs a place to keep background jobs in: add --data-dir DIR"
            ))),
            _ => Ok(None),
        },
        Choice::Log => Ok(flags.log.options(notices).map(StoreOptions::Log)),
        #[cfg(feature = "sqlite")]
        Choice::Sqlite => Ok(Some(StoreOptions::Sqlite(flags.sqlite.options(durability)?))),
        #[cfg(not(feature = "sqlite"))]
        Choice::Sqlite => Ok(None),
        #[cfg(feature = "mysql")]
        Choice::Mysql => {
            let options = flags.mysql.options(durability, flags.store_wait)?;
            let sharing = Some(Box::new(flags.sharing.options(usual_name)?));
            Ok(Some(StoreOptions::Mysql(MysqlOptions { sharing, ..options })))
        }
        #[cfg(not(feature = "mysql"))]
        Choice::Mysql => Ok(None),
        #[cfg(feature = "postgres")]
        Choice::Postgres => {
            let options = flags.postgres.options(durability, flags.store_wait)?;
            let sharing = Some(Box::new(flags.sharing.options(usual_name)?));
            Ok(Some(StoreOptions::Postgres(PostgresOptions { sharing, ..options })))
        }
        #[cfg(not(feature = "postgres"))]
        Choice::Postgres => Ok(None),
        #[cfg(feature = "redis")]
        Choice::Redis => {
            let options = flags.redis.options(durability, flags.store_wait)?;
            let sharing = Some(Box::new(flags.sharing.options(usual_name)?));
            Ok(Some(StoreOptions::Redis(RedisOptions { sharing, ..options })))
        }
        #[cfg(not(feature = "redis"))]
        Choice::Redis => Ok(None),
        #[cfg(feature = "memcached")]
        Choice::Memcached => {
            Ok(Some(StoreOptions::Memcached(flags.memcached.options(durability, flags.store_wait)?)))
        }
        #[cfg(not(feature = "memcached"))]
        Choice::Memcached => Ok(None),
    }
}

fn choice(flags: &Storing) -> Result<Choice, Mistake> {
    match (flags.queue_type.to_ascii_lowercase().as_str(), &flags.log.data_dir) {
        ("builtin", None) => Ok(Choice::Nothing),
        ("builtin", Some(_)) => Ok(Choice::Log),
        #[cfg(feature = "sqlite")]
        ("libsqlite3", _) => Ok(Choice::Sqlite),
        #[cfg(feature = "mysql")]
        (name, None) if self::mysql::is_name(name) => Ok(Choice::Mysql),
        #[cfg(feature = "postgres")]
        (name, None) if postgres::is_name(name) => Ok(Choice::Postgres),
        #[cfg(feature = "redis")]
        (name, None) if self::redis::is_name(name) => Ok(Choice::Redis),
        #[cfg(feature = "memcached")]
        (name, None) if memcached::is_name(name) => Ok(Choice::Memcached),
        (_, Some(_)) => Err(Mistake::Store(LogFlags::misplaced("--data-dir", Choice::Nothing))),
        (other, None) => Err(Mistake::Store(format!(
            "-q {other} is no store that this server has; choose builtin (with --data-dir DIR for a log), libsqlite3, mysql, \
             postgres, redis or libmemcached"
        ))),
    }
}

#[cfg(test)]
mod tests;
