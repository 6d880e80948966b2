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
}
