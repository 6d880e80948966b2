//! The flags of the log, and what they mean.
use super::super::value::{fit, number};
use super::choice::{Choice, StoreFlags};
use crate::store::log::{Durability, LogOptions};
use std::path::PathBuf;

/// What can be said of the log.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct LogFlags {
    /// Keep background jobs in a log in this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// What JOB_CREATED of a background job promises: `synced`, it is on stable storage; `written`, the operating system
    /// has it, and syncs within a second; `memory`, nothing. An SQLite database is always synced; PostgreSQL is as it is set,
    /// unless this is given [default: synced]
    #[arg(long, value_name = "LEVEL", value_parser = ["synced", "written", "memory"])]
    pub(crate) durability: Option<String>,

    /// Bytes that the log may take; with more, background jobs are refused until some end. 0: no limit
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = number(0..=i64::MAX))]
    pub(crate) max_log_bytes: i64,
}

impl LogFlags {
    /// The log, unless there is to be none or nothing is to be promised.
    pub(crate) fn options(&self, notices: &mut Vec<String>) -> Option<LogOptions> {
        let dir = self.data_dir.as_ref()?;
        let durability = match self.durability.as_deref() {
            None | Some("synced") => Durability::Synced,
            Some("written") => Durability::Written,
            _ => {
                notices.push("--durability memory: background jobs are not kept in --data-dir".to_owned());
                return None;
            }
        };
        let max_bytes = fit(self.max_log_bytes);
        Some(LogOptions { durability, max_bytes, ..LogOptions::new(dir) })
    }
}

impl StoreFlags for LogFlags {
    const STORE: Choice = Choice::Log;
    const GEARMANDS: bool = false;

    /// What is promised is asked of every store, and of none: see [`super::options`].
    fn given(&self) -> Option<&'static str> {
        match (&self.data_dir, self.max_log_bytes) {
            (Some(_), _) => Some("--data-dir"),
            (None, 1..) => Some("--max-log-bytes"),
            (None, _) => None,
        }
    }

    fn misplaced(flag: &'static str, chosen: Choice) -> String {
        match (flag, chosen) {
            ("--data-dir", _) => {
                format!("{flag} and -q each name a store, and there can be one; leave one of them out")
            }
            (_, Choice::Nothing | Choice::Log) => {
                format!("{flag} limits a log that is not kept: add --data-dir DIR")
            }
            (_, other) => format!("{flag} is for --data-dir: -q {} keeps no log; leave it out", other.name()),
        }
    }
}
