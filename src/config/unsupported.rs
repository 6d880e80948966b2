//! gearmand's options for what this server does not have yet: known, so that nobody is told that they are spelt wrong, and
//! refused, so that nobody believes that they have an effect.
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What is missing, as in "this server has no ...", and the options about it: long name, short name, name of the value.
type Subject = (&'static str, &'static [(&'static str, Option<char>, Option<&'static str>)]);

const SUBJECTS: &[Subject] = &[
    ("HTTP", &[("protocol", Some('r'), Some("NAME")), ("http-port", None, Some("PORT"))]),
    (
        "TLS",
        &[
            ("ssl", None, None),
            ("ssl-ca-file", None, Some("FILE")),
            ("ssl-certificate", None, Some("FILE")),
            ("ssl-key", None, Some("FILE")),
        ],
    ),
    ("PostgreSQL store", &[("libpq-conninfo", None, Some("STRING")), ("libpq-table", None, Some("NAME"))]),
    (
        "MySQL store",
        &[
            ("mysql-host", None, Some("HOST")),
            ("mysql-port", None, Some("PORT")),
            ("mysql-user", None, Some("NAME")),
            ("mysql-password", None, Some("PASSWORD")),
            ("mysql-db", None, Some("NAME")),
            ("mysql-table", None, Some("NAME")),
        ],
    ),
    (
        "redis store",
        &[
            ("redis-server", None, Some("HOST")),
            ("redis-port", None, Some("PORT")),
            ("redis-password", None, Some("PASSWORD")),
            ("redis-prefix", None, Some("PREFIX")),
        ],
    ),
    (
        "memcached store",
        &[("libmemcached-servers", None, Some("LIST")), ("libmemcached-prefix", None, Some("PREFIX"))],
    ),
    (
        "Tokyo Cabinet store",
        &[("libtokyocabinet-file", None, Some("FILE")), ("libtokyocabinet-optimize", None, None)],
    ),
    (
        "drizzle store",
        &[
            ("libdrizzle-host", None, Some("HOST")),
            ("libdrizzle-port", None, Some("PORT")),
            ("libdrizzle-uds", None, Some("PATH")),
            ("libdrizzle-user", None, Some("NAME")),
            ("libdrizzle-password", None, Some("PASSWORD")),
            ("libdrizzle-db", None, Some("NAME")),
            ("libdrizzle-table", None, Some("NAME")),
            ("libdrizzle-mysql", None, None),
        ],
    ),
];

/// Which of these options were given.
#[derive(Debug)]
pub(super) struct Unsupported {
    /// What is wrong with that.
    pub(super) refusal: Option<String>,
}

impl clap::FromArgMatches for Unsupported {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Unsupported, clap::Error> {
        let given = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        let refusal = SUBJECTS.iter().find_map(|(what, options)| {
            let (name, ..) = options.iter().find(|(name, ..)| given(name))?;
            Some(format!("--{name} cannot be used: this server has no {what} yet"))
        });
        Ok(Unsupported { refusal })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Unsupported::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Unsupported {
    fn augment_args(mut command: Command) -> Command {
        for (what, options) in SUBJECTS {
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
