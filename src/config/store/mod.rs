//! Options for the store: where background jobs are kept, if anywhere.
use super::mistake::Mistake;
use super::value::{fit, number};
use crate::store::StoreOptions;
use crate::store::log::{self, Durability};
#[cfg(feature = "sqlite")]
use crate::store::sqlite::SqliteOptions;
use std::path::{Path, PathBuf};

/// Where background jobs are kept.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(super) struct Storing {
    /// Keep background jobs in a log in this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// What JOB_CREATED of a background job promises: `synced`, it is on stable storage; `written`, the operating system
    /// has it, and syncs within a second; `memory`, nothing. A database is always synced [default: synced]
    #[arg(long, value_name = "LEVEL", value_parser = ["synced", "written", "memory"])]
    pub(super) durability: Option<String>,

    /// Bytes that the log may take; with more, background jobs are refused until some end. 0: no limit
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = number(0..=i64::MAX))]
    pub(super) max_log_bytes: i64,

    /// gearmand's name of the store: builtin (none, or the log with --data-dir) or libsqlite3
    #[arg(short = 'q', long, value_name = "NAME", default_value = "builtin")]
    pub(super) queue_type: String,

    /// The database of `-q libsqlite3`
    #[arg(long, value_name = "FILE")]
    pub(super) libsqlite3_db: Option<PathBuf>,

    /// The table in it [default: gearman_queue]
    #[arg(long, value_name = "NAME")]
    pub(super) libsqlite3_table: Option<String>,

    /// With `-q libsqlite3`: keep jobs in memory, and write them to the database when the server is stopped. A crash loses
    /// them
    #[arg(long)]
    pub(super) store_queue_on_shutdown: bool,

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

/// Which store, if any.
pub(super) fn options(flags: &Storing, notices: &mut Vec<String>) -> Result<Option<StoreOptions>, Mistake> {
    let mistake = |what: &str| Mistake::Store(what.to_owned());
    match (flags.queue_type.to_ascii_lowercase().as_str(), &flags.data_dir) {
        ("builtin", dir) => {
            misplaced_for_builtin(flags).map_or(Ok(()), |what| Err(mistake(what)))?;
            Ok(dir.as_ref().and_then(|dir| log_store(flags, dir, notices)).map(StoreOptions::Log))
        }
        (_, Some(_)) => Err(mistake("--data-dir and -q each name a store: there can be one")),
        #[cfg(feature = "sqlite")]
        ("libsqlite3", None) => {
            misplaced_for_database(flags).map_or(Ok(()), |what| Err(mistake(what)))?;
            let Some(file) = &flags.libsqlite3_db else {
                return Err(mistake("-q libsqlite3 needs --libsqlite3-db FILE"));
            };
            let mut options = SqliteOptions::of(file);
            if let Some(table) = &flags.libsqlite3_table {
                options.table.clone_from(table);
            }
            options.on_shutdown_only = flags.store_queue_on_shutdown;
            Ok(Some(StoreOptions::Sqlite(options)))
        }
        (other, None) => Err(Mistake::Store(format!(
            "-q {other} is no store that this server has: builtin (with --data-dir for a log) and libsqlite3 are"
        ))),
    }
}

/// What would be ignored without a database, or without a store: whoever gave it believes that jobs are kept.
fn misplaced_for_builtin(flags: &Storing) -> Option<&'static str> {
    let no_log = flags.data_dir.is_none();
    match flags.durability.as_deref() {
        _ if flags.libsqlite3_db.is_some() => {
            Some("--libsqlite3-db names a database that nothing uses: add -q libsqlite3")
        }
        _ if flags.libsqlite3_table.is_some() => Some(
            "--libsqlite3-table names a table that nothing uses: add -q libsqlite3 and --libsqlite3-db FILE",
        ),
        _ if flags.store_queue_on_shutdown => {
            Some("--store-queue-on-shutdown needs a database: add -q libsqlite3 and --libsqlite3-db FILE")
        }
        _ if no_log && flags.max_log_bytes > 0 => {
            Some("--max-log-bytes limits a log that is not kept: add --data-dir DIR")
        }
        Some("synced") if no_log => {
            Some("--durability synced needs a place to keep background jobs in: add --data-dir DIR")
        }
        Some("written") if no_log => {
            Some("--durability written needs a place to keep background jobs in: add --data-dir DIR")
        }
        _ => None,
    }
}

/// What would be ignored with a database.
#[cfg(feature = "sqlite")]
fn misplaced_for_database(flags: &Storing) -> Option<&'static str> {
    match flags.durability.as_deref() {
        Some("written") => Some("--durability written is for --data-dir: -q libsqlite3 always syncs"),
        Some("memory") => {
            Some("--durability memory is for --data-dir: with -q libsqlite3 it is --store-queue-on-shutdown")
        }
        _ if flags.max_log_bytes > 0 => Some("--max-log-bytes is for --data-dir: -q libsqlite3 keeps no log"),
        _ => None,
    }
}

/// The log, unless nothing is to be promised.
fn log_store(flags: &Storing, dir: &Path, notices: &mut Vec<String>) -> Option<log::LogOptions> {
    let durability = match flags.durability.as_deref() {
        None | Some("synced") => Durability::Synced,
        Some("written") => Durability::Written,
        _ => {
            notices.push("--durability memory: background jobs are not kept in --data-dir".to_owned());
            return None;
        }
    };
    let max_bytes = fit(flags.max_log_bytes);
    Some(log::LogOptions { durability, max_bytes, ..log::LogOptions::new(dir) })
}

#[cfg(test)]
mod tests;
