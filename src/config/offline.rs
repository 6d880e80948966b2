//! The command line of `ringgear store`: what is to be done with a store while no server uses it. Doing it is
//! `maintenance.rs`.
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Order {
    /// Read a data directory and say whether it is intact; nothing is changed
    Check {
        /// The data directory
        dir: PathBuf,
    },
    /// Write every job that is intact in a damaged data directory to a new one
    Salvage {
        /// The damaged data directory; it is not changed
        from: PathBuf,
        /// The new one; it must not be there, or be empty
        to: PathBuf,
    },
    /// Print every job of a data directory as a line of JSON
    Dump {
        /// The data directory
        dir: PathBuf,
    },
    #[cfg(feature = "sqlite")]
    /// Add the jobs of gearmand's SQLite table to a data directory, new or not; the table is not changed
    Import {
        /// The database
        #[arg(long, value_name = "FILE")]
        libsqlite3_db: PathBuf,
        /// The table in it
        #[arg(long, value_name = "NAME", default_value = "gearman_queue")]
        libsqlite3_table: String,
        /// The data directory
        dir: PathBuf,
    },
    #[cfg(feature = "sqlite")]
    /// Write the jobs of a data directory to an SQLite table that gearmand can use, for the way back; the directory is
    /// not changed
    Export {
        /// The data directory
        dir: PathBuf,
        /// The database; it may be there, without jobs in the table
        #[arg(long, value_name = "FILE")]
        libsqlite3_db: PathBuf,
        /// The table in it
        #[arg(long, value_name = "NAME", default_value = "gearman_queue")]
        libsqlite3_table: String,
    },
}

/// Looks after a store while no server uses it.
#[derive(Debug, Parser)]
#[command(name = "ringgear store", disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    order: Order,
}

impl Order {
    /// Reads the arguments behind `ringgear store`. Otherwise a text to print, and whether it is an answer (help) or says
    /// what is wrong.
    pub fn read(arguments: impl Iterator<Item = OsString>) -> Result<Order, (String, bool)> {
        let arguments = std::iter::once(OsString::from("ringgear store")).chain(arguments);
        let line =
            Line::try_parse_from(arguments).map_err(|error| (error.to_string(), !error.use_stderr()))?;
        Ok(line.order)
    }
}
