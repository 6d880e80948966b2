//! Where the value of an option is from: whoever has to mend it looks there. What is wrong with it is said in `mistake.rs`.
use std::fmt;
use std::path::PathBuf;

/// Where a value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueOrigin {
    /// A line of a configuration file, counted from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Variable(&'static str),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueOrigin::File(path, line) => write!(f, "{}, line {line}", path.display()),
            ValueOrigin::Variable(name) => write!(f, "{name} in the environment"),
        }
    }
}

/// Where the values of options are from that do not stand on the command line.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<(String, ValueOrigin)>);

impl Origins {
    /// An option, by its long name without dashes, has its value from there.
    pub(super) fn note(&mut self, option: &str, origin: ValueOrigin) {
        self.0.push((option.to_owned(), origin));
    }

    /// Where the first of these has its value from that does not stand on the command line.
    pub(super) fn of(&self, options: &[&str]) -> Option<&ValueOrigin> {
        let of = |option: &&str| self.0.iter().find(|(name, _)| name == option).map(|(_, origin)| origin);
        options.iter().find_map(of)
    }

    /// Where each of these has its value from, for the end of a message about them: nothing where it is the command line.
    pub fn told(&self, options: &[&str]) -> String {
        let from = |option: &&str| {
            let origin = self.of(&[*option])?;
            Some(format!("--{option} is from {origin}"))
        };
        match options.iter().filter_map(from).collect::<Vec<_>>() {
            none if none.is_empty() => String::new(),
            some => format!(" ({})", some.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_command_line_is_told() {
        let mut origins = Origins::default();
        origins.note("port", ValueOrigin::Variable("GEARMAND_PORT"));
        origins.note("listen", ValueOrigin::File("/etc/gearmand.conf".into(), 3));
        assert_eq!(origins.told(&["user"]), "");
        assert_eq!(
            origins.told(&["port", "user", "listen"]),
            " (--port is from GEARMAND_PORT in the environment, --listen is from /etc/gearmand.conf, line 3)"
        );
    }
}
