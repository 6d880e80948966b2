//! What an operator decides about a PostgreSQL store. Values only; what connection strings mean is `conninfo.rs` and what
//! reads it.
use super::{conninfo, names};
use crate::store::SharingOptions;
use std::time::Duration;

/// gearmand's name for its table.
pub const POSTGRES_TABLE: &str = "queue";

/// What an acknowledgement is to be worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitLevel {
    /// What the database is set to; if that is less than stable storage, it is said.
    AsSet,
    /// On stable storage (`--durability synced`): a database that is set to less is refused.
    Synced,
    /// The database has it, and syncs within a second (`--durability written`).
    Written,
}

/// Which table of which database, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Where the database is (`--libpq-conninfo`), as libpq reads it: empty is what `PG*` variables say.
    pub conninfo: String,
    /// The table (`--libpq-table`), as SQL reads its name: [`POSTGRES_TABLE`] unless told. Made if there is none. One more, for
    /// what that table has no column for, is named after it with `_ringgear` at the end.
    pub table: String,
    /// What an acknowledgement is to be worth.
    pub level: CommitLevel,
    /// Whether gearmand's table is made if it is not there.
    pub may_make: bool,
    /// How long a start waits for a database that is not there (`--store-wait`).
    pub wait: Duration,
    /// For a server, which shares the table with others. Without it nobody may serve meanwhile, and jobs are nobody's until a server
    /// starts: for tools that copy.
    pub sharing: Option<Box<SharingOptions>>,
}

impl std::fmt::Debug for PostgresOptions {
    /// Without the connection string, which may have a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let PostgresOptions { conninfo: _, table, level, may_make, wait, sharing } = self;
        f.debug_struct("PostgresOptions")
            .field("table", table)
            .field("level", level)
            .field("may_make", may_make)
            .field("wait", wait)
            .field("sharing", sharing)
            .finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// The usual table of this database; nobody waits for it.
    pub fn of(conninfo: impl Into<String>) -> PostgresOptions {
        PostgresOptions {
            conninfo: conninfo.into(),
            table: POSTGRES_TABLE.to_owned(),
            level: CommitLevel::AsSet,
            may_make: true,
            wait: Duration::ZERO,
            sharing: None,
        }
    }

    /// What is wrong with the words of it, as far as that shows without the machine and the database. It begins with the name
    /// of the option.
    pub fn check(&self) -> Result<(), String> {
        conninfo::read(&self.conninfo).map_err(|what| format!("--libpq-conninfo cannot be read: {what}"))?;
        names::read(&self.table).map_err(|what| format!("--libpq-table cannot be used: {what}")).map(|_| ())
    }
}
