//! gearmand's options for what this server does not have yet: known, so that nobody is told that they are spelt wrong, and
//! refused, so that nobody believes that they have an effect. Under the name `gearmand` only what gearmand would use is refused.
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What is missing.
struct MissingPart {
    /// As in "this server has no ...".
    what: &'static str,
    /// The option that asks for it, and with which value: without that gearmand ignores the others.
    asked: (&'static str, Option<&'static str>),
    /// What to do without it.
    instead: &'static str,
    /// The options about it: long name, short name, name of the value.
    options: &'static [(&'static str, Option<char>, Option<&'static str>)],
}

/// What to do without a store that is not there.
const OTHER_STORE: &str = "keep jobs with --data-dir DIR, or with -q libsqlite3, mysql, postgres or redis, and leave the options of the other \
     store out; `ringgear store import` takes what is there";

const SUBJECTS: &[MissingPart] = &[
    MissingPart {
        what: "Tokyo Cabinet store",
        asked: ("queue-type", Some("libtokyocabinet")),
        instead: OTHER_STORE,
        options: &[("libtokyocabinet-file", None, Some("FILE")), ("libtokyocabinet-optimize", None, None)],
    },
    MissingPart {
        what: "drizzle store",
        asked: ("queue-type", Some("libdrizzle")),
        instead: OTHER_STORE,
        options: &[
            ("libdrizzle-host", None, Some("HOST")),
            ("libdrizzle-port", None, Some("PORT")),
            ("libdrizzle-uds", None, Some("PATH")),
            ("libdrizzle-user", None, Some("NAME")),
            ("libdrizzle-password", None, Some("PASSWORD")),
            ("libdrizzle-db", None, Some("NAME")),
            ("libdrizzle-table", None, Some("NAME")),
            ("libdrizzle-mysql", None, None),
        ],
    },
];

impl MissingPart {
    /// How it is asked for, as it is written.
    fn order(&self) -> String {
        match self.asked {
            (_, Some(store)) => format!("-q {store}"),
            (option, _) => format!("--{option}"),
        }
    }
}

/// Which of these options were given, by their long names.
#[derive(Debug)]
pub(super) struct Unsupported {
    pub(super) given: Vec<&'static str>,
}

impl Unsupported {
    /// What is to be said of each, where `--queue-type` names this store.
    pub(super) fn options(&self, store: &str) -> Vec<UnsupportedOption> {
        let mut told = Vec::new();
        for subject in SUBJECTS {
            let MissingPart { what, instead, .. } = subject;
            let used = match subject.asked {
                (option, None) => self.given.contains(&option),
                (_, Some(value)) => store.eq_ignore_ascii_case(value),
            };
            for &(name, ..) in subject.options.iter().filter(|(name, ..)| self.given.contains(name)) {
                let idle = || format!("--{name} has no effect without {}, as with gearmand", subject.order());
                told.push(UnsupportedOption {
                    name,
                    problem: format!("--{name} cannot be used: this server has no {what} yet"),
                    instead,
                    idle: (!used).then(idle),
                });
            }
        }
        told
    }
}

/// One that was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnsupportedOption {
    /// Its long name, without dashes.
    pub(super) name: &'static str,
    /// What is wrong with it.
    pub(super) problem: String,
    /// What to do instead.
    pub(super) instead: &'static str,
    /// Why gearmand would ignore it, if it would.
    pub(super) idle: Option<String>,
}

impl clap::FromArgMatches for Unsupported {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Unsupported, clap::Error> {
        let given = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        let names = SUBJECTS.iter().flat_map(|subject| subject.options).map(|(name, ..)| *name);
        Ok(Unsupported { given: names.filter(|name| given(name)).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Unsupported::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Unsupported {
    fn augment_args(mut command: Command) -> Command {
        for MissingPart { what, options, .. } in SUBJECTS {
            for &(name, short, value) in *options {
                let mut arg = Arg::new(name).long(name).help_heading("Not there yet");
                arg = arg.help(format!("Refused: this server has no {what} yet"));
                if let Some(short) = short {
                    arg = arg.short(short);
                }
                arg = match value {
                    Some(value) => arg.action(ArgAction::Set).value_name(value),
                    None => arg.action(ArgAction::SetTrue),
                };
                command = command.arg(arg);
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Unsupported::augment_args(command)
    }
}
