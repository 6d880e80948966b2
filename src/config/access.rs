//! Who may do what: flags. The file is read in `access/`, by a server that starts and whenever it is asked to.
use crate::access::{AccessOptions, AdminLines};
use std::ffi::OsString;

/// What can be said of rights.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rights")]
pub(super) struct Granting {
    /// File that says who may submit jobs, work on them, read and give orders, in geard's form and more: see `ringgear help
    /// security`. Whoever it does not name may nothing. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    pub(super) acl: Option<OsString>,

    /// What administrators' lines do where jobs are served: all, as with gearmand; read answers questions and refuses orders;
    /// none refuses both. Addresses with ?admin and ?read-only (--listen) have their own
    #[arg(long, value_name = "WHAT", default_value = "all", value_parser = admin_lines)]
    pub(super) admin_lines: AdminLines,
}

fn admin_lines(text: &str) -> Result<AdminLines, &'static str> {
    match text {
        "all" => Ok(AdminLines::All),
        "read" => Ok(AdminLines::Read),
        "none" => Ok(AdminLines::None),
        _ => Err("must be all, read or none"),
    }
}

/// What they mean.
pub(super) fn options(flags: &Granting) -> AccessOptions {
    let file = flags.acl.as_ref().filter(|path| !path.is_empty());
    AccessOptions { file: file.map(Into::into), admin_lines: flags.admin_lines }
}

#[cfg(test)]
mod tests {
    use crate::access::{AccessOptions, AdminLines};
    use crate::config::tests::{config_of, refused};

    #[test]
    fn a_file_and_what_lines_do() {
        let of = |line: &[&str]| config_of(line).server.access;
        assert_eq!(of(&[]), AccessOptions::default());
        let expected = AccessOptions { file: Some("/etc/acl".into()), admin_lines: AdminLines::Read };
        assert_eq!(of(&["--acl=/etc/acl", "--admin-lines", "read"]), expected);
        refused(
            &["--admin-lines", "some"],
            "invalid value 'some' for '--admin-lines <WHAT>': must be all, read or none",
        );
    }
}
