//! The rule for flags of stores: what was given for a store that is not chosen is a mistake. Whoever gave it believes that
//! jobs are kept there.
use super::super::called::CalledAs;
use super::super::mistake::Mistake;
use super::super::origins::Caution;

/// The store that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// None: background jobs are not kept.
    Nothing,
    /// Our own log.
    Log,
    /// gearmand's table of an SQLite database.
    Sqlite,
    /// gearmand's table of a MySQL or MariaDB database.
    Mysql,
    /// gearmand's table of a PostgreSQL database.
    Postgres,
    /// gearmand's keys of a Redis.
    Redis,
    /// gearmand's items of a memcached.
    Memcached,
}

impl Choice {
    /// How it is chosen.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Choice::Nothing | Choice::Log => "builtin",
            Choice::Sqlite => "libsqlite3",
            Choice::Mysql => "mysql",
            Choice::Postgres => "postgres",
            Choice::Redis => "redis",
            Choice::Memcached => "libmemcached",
        }
    }
}

/// The flags of one store.
pub(crate) trait StoreFlags {
    /// The store.
    const STORE: Choice;

    /// Whether they are gearmand's, which ignores those that it does not need.
    const GEARMANDS: bool;

    /// The first of its flags that was given.
    fn given(&self) -> Option<&'static str>;

    /// What is wrong with that flag, where this was chosen instead.
    fn misplaced(flag: &'static str, chosen: Choice) -> String;
}

/// Refuses flags of a store that is not the chosen one; under the name of gearmand those of gearmand lead to a warning.
pub(crate) fn refuse_misplaced<F: StoreFlags>(
    flags: &F,
    chosen: Choice,
    called: CalledAs,
    warnings: &mut Vec<Caution>,
) -> Result<(), Mistake> {
    match flags.given() {
        Some(flag) if chosen != F::STORE => match (F::GEARMANDS, called) {
            (true, CalledAs::Gearmand) => warnings
                .push(Caution { option: flag.trim_start_matches('-'), text: F::misplaced(flag, chosen) }),
            _ => return Err(Mistake::Store(F::misplaced(flag, chosen))),
        },
        _ => {}
    }
    Ok(())
}
