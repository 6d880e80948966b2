//! The flags of the SQLite store, and what they mean. They are known without the store, too: then none of them can be
//! used.
use super::choice::{Choice, StoreFlags};
use std::path::PathBuf;
#[cfg(feature = "sqlite")]
use {super::super::mistake::Mistake, crate::store::sqlite::SqliteOptions};

/// What can be said of gearmand's table.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct SqliteFlags {
    /// The database of `-q libsqlite3`
    #[arg(long, value_name = "FILE")]
    pub(crate) libsqlite3_db: Option<PathBuf>,

    /// The table in it [default: gearman_queue]
    #[arg(long, value_name = "NAME")]
    pub(crate) libsqlite3_table: Option<String>,

    /// With `-q libsqlite3`: keep jobs in memory, and write them to the database when the server is stopped. A crash loses
    /// them
    #[arg(long)]
    pub(crate) store_queue_on_shutdown: bool,
}

#[cfg(feature = "sqlite")]
impl SqliteFlags {
    /// The table, where an acknowledgement is to promise this.
    pub(crate) fn options(&self, durability: Option<&str>) -> Result<SqliteOptions, Mistake> {
        let mistake = |what: &str| Mistake::Store(what.to_owned());
        match durability {
            Some("written") => {
                return Err(mistake(
                    "--durability written is for --data-dir: -q libsqlite3 always syncs; leave it out",
                ));
            }
            Some("memory") => {
                return Err(mistake(
                    "--durability memory is for --data-dir: with -q libsqlite3 it is --store-queue-on-shutdown",
                ));
            }
            _ => {}
        }
        let Some(file) = &self.libsqlite3_db else {
            return Err(mistake("-q libsqlite3 keeps jobs in a database; name it with --libsqlite3-db FILE"));
        };
        let mut options = SqliteOptions::of(file);
        if let Some(table) = &self.libsqlite3_table {
            options.table.clone_from(table);
        }
        options.on_shutdown_only = self.store_queue_on_shutdown;
        Ok(options)
    }
}

impl StoreFlags for SqliteFlags {
    const STORE: Choice = Choice::Sqlite;
    const GEARMANDS: bool = true;

    fn given(&self) -> Option<&'static str> {
        match self {
            SqliteFlags { libsqlite3_db: Some(_), .. } => Some("--libsqlite3-db"),
            SqliteFlags { libsqlite3_table: Some(_), .. } => Some("--libsqlite3-table"),
            SqliteFlags { store_queue_on_shutdown: true, .. } => Some("--store-queue-on-shutdown"),
            _ => None,
        }
    }

    fn misplaced(flag: &'static str, _: Choice) -> String {
        match flag {
            "--libsqlite3-db" => format!("{flag} names a database that nothing uses: add -q libsqlite3"),
            "--libsqlite3-table" => {
                format!("{flag} names a table that nothing uses: add -q libsqlite3 and --libsqlite3-db FILE")
            }
            _ => format!("{flag} needs a database: add -q libsqlite3 and --libsqlite3-db FILE"),
        }
    }
}
