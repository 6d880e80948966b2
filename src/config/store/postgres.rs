//! The flags of the PostgreSQL store, and what they mean. They are known without the store, too: then none of them can be
//! used.
use super::choice::{Choice, StoreFlags};
#[cfg(feature = "postgres")]
use {
    super::super::mistake::Mistake,
    super::super::value::fit,
    crate::store::postgres::{CommitLevel, PostgresOptions},
    std::time::Duration,
};

/// How long a start waits for a database server, unless it is said.
#[cfg(feature = "postgres")]
pub(super) const WAIT: Duration = Duration::from_secs(600);

/// What can be said of gearmand's table in PostgreSQL.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct PostgresFlags {
    /// The database of `-q postgres`: words as libpq takes them (`host=a,b dbname=jobs user=me`), or a URI (`postgresql://`). What
    /// is not said is taken from PGHOST, PGUSER and the like, and from `~/.pgpass`
    #[arg(long, value_name = "STRING")]
    pub(crate) libpq_conninfo: Option<String>,

    /// The table in it [default: queue]
    #[arg(long, value_name = "NAME")]
    pub(crate) libpq_table: Option<String>,
}

/// The names under which the store is known: gearmand's, and what else people call it.
#[cfg(feature = "postgres")]
pub(crate) fn is_name(store: &str) -> bool {
    ["postgres", "postgresql", "libpq"].contains(&store)
}

#[cfg(feature = "postgres")]
impl PostgresFlags {
    /// The table, where an acknowledgement is to promise this, and a start may wait for so many seconds.
    pub(crate) fn options(
        &self,
        durability: Option<&str>,
        wait: Option<i64>,
    ) -> Result<PostgresOptions, Mistake> {
        let mut options = PostgresOptions::of(self.libpq_conninfo.clone().unwrap_or_default());
        if let Some(table) = &self.libpq_table {
            options.table.clone_from(table);
        }
        options.level = match durability {
            None => CommitLevel::AsSet,
            Some("synced") => CommitLevel::Synced,
            Some("written") => CommitLevel::Written,
            Some(level) => {
                let what =
                    format!("--durability {level} is for --data-dir: -q postgres keeps jobs in the database");
                return Err(Mistake::Store(what));
            }
        };
        options.wait = wait.map_or(WAIT, |seconds| Duration::from_secs(fit(seconds)));
        options.check().map_err(Mistake::Store)?;
        Ok(options)
    }
}

impl StoreFlags for PostgresFlags {
    const STORE: Choice = Choice::Postgres;
    const GEARMANDS: bool = true;

    fn given(&self) -> Option<&'static str> {
        match self {
            PostgresFlags { libpq_conninfo: Some(_), .. } => Some("--libpq-conninfo"),
            PostgresFlags { libpq_table: Some(_), .. } => Some("--libpq-table"),
            _ => None,
        }
    }

    fn misplaced(flag: &'static str, _: Choice) -> String {
        match flag {
            "--libpq-conninfo" => format!("{flag} names a database that nothing uses: add -q postgres"),
            _ => format!("{flag} names a table that nothing uses: add -q postgres"),
        }
    }
}
