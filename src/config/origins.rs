//! Where the value of an option is from: whoever has to mend it looks there. What is wrong with it is said in `mistake.rs`, what is
//! odd about it where the option is.
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
pub struct Origins(Vec<NotedOrigin>);

/// One of them.
#[derive(Clone, Debug)]
struct NotedOrigin {
    /// The option, by its long name without dashes.
    option: String,
    /// Its value, as far as that is text.
    value: String,
    origin: ValueOrigin,
}

impl Origins {
    /// An option, by its long name without dashes, has this value from there.
    pub(super) fn note(&mut self, option: &str, value: &str, origin: ValueOrigin) {
        self.0.push(NotedOrigin { option: option.to_owned(), value: value.to_owned(), origin });
    }

    /// Where the first of these has its value from that does not stand on the command line.
    pub(super) fn of(&self, options: &[&str]) -> Option<&ValueOrigin> {
        let of =
            |option: &&str| self.0.iter().find(|noted| noted.option == *option).map(|noted| &noted.origin);
        options.iter().find_map(of)
    }

    /// Where this value is from, of an option that may be given several times.
    pub(super) fn of_value(&self, option: &str, value: &str) -> Option<&ValueOrigin> {
        self.0.iter().find(|noted| noted.option == option && noted.value == value).map(|noted| &noted.origin)
    }

    /// Where each of these has its values from, for the end of a message about them: nothing where it is the command line.
    pub fn told(&self, options: &[&str]) -> String {
        let of = |option: &&str| {
            let noted = self.0.iter().filter(move |noted| noted.option == *option);
            noted.map(|noted| format!("--{} is from {}", noted.option, noted.origin)).collect::<Vec<_>>()
        };
        match options.iter().flat_map(of).collect::<Vec<_>>() {
            none if none.is_empty() => String::new(),
            some => format!(" ({})", some.join(", ")),
        }
    }
}

/// What probably was not meant as it was understood, and which option it is about, by its long name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Caution {
    pub(super) option: &'static str,
    pub(super) text: String,
}

impl Caution {
    /// The same in words, with the place where the value stands.
    pub(super) fn told(self, origins: &Origins) -> String {
        self.text + &origins.told(&[self.option])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_command_line_is_told() {
        let mut origins = Origins::default();
        origins.note("port", "x", ValueOrigin::Variable("GEARMAND_PORT"));
        origins.note("listen", "a", ValueOrigin::File("/etc/gearmand.conf".into(), 3));
        assert_eq!(origins.told(&["user"]), "");
        assert_eq!(
            origins.told(&["port", "user", "listen"]),
            " (--port is from GEARMAND_PORT in the environment, --listen is from /etc/gearmand.conf, line 3)"
        );
        let caution = Caution { option: "listen", text: "so it is".to_owned() };
        assert_eq!(caution.told(&origins), "so it is (--listen is from /etc/gearmand.conf, line 3)");
    }

    #[test]
    fn of_several_values_each_has_its_place() {
        let mut origins = Origins::default();
        for (value, line) in [("a", 1), ("b", 2)] {
            origins.note("listen", value, ValueOrigin::File("f".into(), line));
        }
        assert_eq!(origins.of_value("listen", "b"), Some(&ValueOrigin::File("f".into(), 2)));
        assert_eq!(origins.of_value("listen", "c"), None);
        assert_eq!(origins.told(&["listen"]), " (--listen is from f, line 1, --listen is from f, line 2)");
    }
}
