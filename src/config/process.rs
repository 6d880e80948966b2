//! Options for the process around the server.
use super::value::{fit, number};
use crate::process::{PidPath, ProcessOptions};
use std::ffi::OsString;

/// What becomes of the process.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Process")]
pub(super) struct Processing {
    /// Run in the background: return when the server listens, with status 0, or when it cannot start. Standard input, output
    /// and error become /dev/null then; the working directory stays
    #[arg(short, long)]
    pub(super) daemon: bool,

    /// File to write the process id to, once the server listens; removed at the end. One that is there is replaced [default:
    /// none, with --daemon /var/gearmand.pid if that can be written]
    #[arg(short = 'P', long, value_name = "FILE")]
    pub(super) pid_file: Option<OsString>,

    /// User to become, with that user's group and no others, before anything is opened: log, pid file, store, port. Only root
    /// can
    #[arg(short, long, value_name = "NAME")]
    pub(super) user: Option<String>,

    /// Limit on file descriptors; above the hard limit it needs root. 0: as many as the process may have [default: 0]
    #[arg(short, long, value_name = "N", value_parser = number(0..=i32::MAX.into()))]
    pub(super) file_descriptors: Option<i64>,

    /// File with more options, gearmand's format: words, those without a dash are ignored. The command line goes first.
    /// `@FILE` is the same [default: /etc/gearmand.conf, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(super) config_file: Option<OsString>,

    /// Read the command line and the configuration file, and end: with status 0 if they are right
    #[arg(long)]
    pub(super) check_args: bool,

    /// Taken for gearmand's sake: a crash is always left to the system, which may write a core file. With --user it may only
    /// with this option
    #[arg(long)]
    pub(super) coredump: bool,

    /// Taken for gearmand's sake: tables of jobs grow with the jobs
    #[arg(long, value_name = "N", value_parser = buckets)]
    pub(super) hashtable_buckets: Option<i64>,
}

/// What they mean.
pub(super) fn options(flags: &Processing) -> ProcessOptions {
    let pid_file = match flags.pid_file.as_deref() {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(PidPath { path: path.into(), required: true }),
        None if flags.daemon => Some(PidPath { path: "/var/gearmand.pid".into(), required: false }),
        None => None,
    };
    ProcessOptions {
        descriptors: flags.file_descriptors.filter(|&number| number != 0).map(fit),
        user: flags.user.clone().filter(|name| !name.is_empty()),
        core_dump: flags.coredump,
        daemon: flags.daemon,
        pid_file,
    }
}

fn buckets(text: &str) -> Result<i64, &'static str> {
    text.parse().ok().filter(|number| *number != 0).ok_or("must be a whole number other than 0")
}
