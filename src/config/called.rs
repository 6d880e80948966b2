//! The name that the program was started under, and what that changes: who starts it as `gearmand` gets what scripts know of
//! gearmand. What each option does with that is said where the option is.
use crate::engine::Compat;
use crate::frontend::{VERSION, followed};
use std::ffi::OsStr;
use std::path::Path;

/// What the program is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CalledAs {
    /// By its own name, or any other but the one below.
    Ringgear,
    /// `gearmand`: what that takes and ignores, or makes little of, is no reason not to start.
    Gearmand,
}

impl CalledAs {
    /// By the first word of a command line.
    pub(super) fn of(program: &OsStr) -> CalledAs {
        match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some("gearmand") => CalledAs::Gearmand,
            _ => CalledAs::Ringgear,
        }
    }

    /// What `-V` prints. An empty line first, as gearmand does. Scripts take the second word for gearmand's version, or what is
    /// behind `gearmand `, and compare it: nothing may be joined to the number.
    pub(super) fn version(self, compat: Compat) -> String {
        let (followed, home) = (followed(compat), env!("CARGO_PKG_REPOSITORY"));
        match self {
            CalledAs::Ringgear => format!("\nringgear {VERSION} - follows gearmand {followed} - {home}\n"),
            CalledAs::Gearmand => format!("\ngearmand {followed} - ringgear {VERSION} - {home}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{config_of, read_as, read_line, refused};
    use crate::config::{Config, Invocation};

    #[test]
    fn only_the_file_name_counts() {
        for name in ["gearmand", "/usr/sbin/gearmand", "./gearmand"] {
            assert_eq!(CalledAs::of(OsStr::new(name)), CalledAs::Gearmand, "{name}");
        }
        for name in ["ringgear", "/opt/gearmand/ringgear", "gearmand-new", "", "/"] {
            assert_eq!(CalledAs::of(OsStr::new(name)), CalledAs::Ringgear, "{name}");
        }
    }

    #[test]
    fn the_name_stands_first_and_the_number_alone() {
        let words = |called: CalledAs, compat| {
            let text = called.version(compat);
            text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(CalledAs::Gearmand, Compat::V1_1), "gearmand 1.1.20");
        assert_eq!(words(CalledAs::Gearmand, Compat::V2_2), "gearmand 2.2.0");
        assert_eq!(words(CalledAs::Ringgear, Compat::V1_1), format!("ringgear {VERSION}"));
    }

    /// What a line means under the name of gearmand.
    #[track_caller]
    fn as_gearmand(line: &[&str]) -> Config {
        match read_as(CalledAs::Gearmand, line, Path::new("/nonexistent/gearmand.conf")).unwrap() {
            Invocation::Serve(config) => *config,
            other => panic!("{other:?}"),
        }
    }

    /// F31: gearmand takes them and does nothing with them.
    #[test]
    fn what_gearmand_ignores_does_not_stop_its_name() {
        for (line, warning) in [
            (
                &["--http-port", "5555"][..],
                "--http-port has no effect without --protocol http; add --protocol http, or leave it out",
            ),
            (&["--ssl-key", "x"], "--ssl-key has no effect without --ssl, as with gearmand"),
            (&["--redis-server", "h"], "--redis-server is about a Redis that nothing uses: add -q redis"),
            (
                &["-q", "builtin", "--mysql-host", "h"],
                "--mysql-host is about a database that nothing uses: add -q mysql",
            ),
            (&["--libpq-table", "t"], "--libpq-table names a table that nothing uses: add -q postgres"),
            (
                &["--libsqlite3-db", "f"],
                "--libsqlite3-db names a database that nothing uses: add -q libsqlite3",
            ),
            (
                &["--store-queue-on-shutdown"],
                "--store-queue-on-shutdown needs a database: add -q libsqlite3 and --libsqlite3-db FILE",
            ),
        ] {
            assert_eq!(as_gearmand(line).warnings, [warning], "{line:?}");
            assert!(read_line(line).is_err(), "{line:?}");
        }
        let both = as_gearmand(&["--libdrizzle-host=h", "--libdrizzle-port=1", "--http-port=1"]).warnings;
        assert_eq!(both.len(), 3, "{both:?}");
        let refusal = read_as(
            CalledAs::Gearmand,
            &["-q", "LibDrizzle", "--libdrizzle-host=h"],
            Path::new("/nonexistent"),
        );
        let refusal = refusal.unwrap_err().to_string();
        assert!(
            refusal.starts_with("--libdrizzle-host cannot be used: this server has no drizzle store yet; "),
            "{refusal}"
        );
        // What it would use is refused, and so is what only we have.
        for line in [
            &["--ssl", "--ssl-client", "required"][..],
            &["-q", "LibDrizzle", "--libdrizzle-host", "h"],
            &["-q", "libdrizzle"],
            &["--max-log-bytes", "1"],
        ] {
            assert!(read_as(CalledAs::Gearmand, line, Path::new("/nonexistent")).is_err(), "{line:?}");
        }
    }

    /// F26.
    #[test]
    fn as_many_threads_as_there_may_be() {
        assert_eq!(
            (config_of(&["-t", "255"]).server.threads, as_gearmand(&["-t", "255"]).server.threads),
            (255, 255)
        );
        assert_eq!(as_gearmand(&["-t", "255"]).warnings, [""; 0]);
        for asked in ["256", "512", "4294967295"] {
            let config = as_gearmand(&["--threads", asked]);
            assert_eq!(config.server.threads, 255);
            let warning = format!("--threads {asked}: there are 255, which is the most there can be");
            assert_eq!(config.warnings, [warning]);
        }
        refused(
            &["-t", "256"],
            "--threads 256: there can be 255 at most, and more than there are cores do not help; 0 is one for each core",
        );
    }

    /// What it says of the system is true of listen(2): a negative number is a huge one there.
    #[test]
    fn as_many_may_wait_as_gearmand_lets() {
        for asked in ["-1", "-2147483648"] {
            let config = as_gearmand(&["-b", asked]);
            assert_eq!(config.server.backlog, i32::MAX as u32);
            let said = format!(
                "--backlog {asked}: as many connections wait as the system lets (net.core.somaxconn), as with gearmand"
            );
            assert_eq!(config.warnings, [said]);
            let refusal = format!(
                "--backlog {asked} is less than none; say how many connections may wait, or leave it out"
            );
            refused(&["-b", asked], &refusal);
        }
        assert_eq!((as_gearmand(&["-b0"]).server.backlog, as_gearmand(&["-b0"]).warnings), (0, Vec::new()));
        let message = "invalid value '2147483648' for '--backlog <N>': must be a whole number from -2147483648 to 2147483647";
        refused(&["-b", "2147483648"], message);
    }
}
