//! What an operator decides about a MySQL store. Values only; where that leads is `target.rs`.
use super::names;
use crate::store::SharingOptions;
use crate::store::remote::level::PromiseLevel;
use std::time::Duration;

/// gearmand's name for its table.
pub const MYSQL_TABLE: &str = "gearman_queue";
/// Its usual host: the unix socket of this machine.
pub const MYSQL_HOST: &str = "localhost";
/// Its usual port.
pub const MYSQL_PORT: u16 = 3306;

/// Which table of which database, and how it is used.
#[derive(Clone, PartialEq, Eq)]
pub struct MysqlOptions {
    /// The host (`--mysql-host`); `localhost` is the unix socket of this machine, and a path is that socket.
    pub host: String,
    /// The port (`--mysql-port`).
    pub port: u16,
    /// The user (`--mysql-user`); without, option files say it.
    pub user: Option<String>,
    /// The password (`--mysql-password`); likewise.
    pub password: Option<String>,
    /// The database (`--mysql-db`); likewise.
    pub database: Option<String>,
    /// The table (`--mysql-table`), as SQL reads its name. Made if there is none. One more, for what that table has no column for, is
    /// named after it with `_ringgear` at the end.
    pub table: String,
    /// What an acknowledgement is to be worth.
    pub level: PromiseLevel,
    /// Whether gearmand's table is made if it is not there.
    pub may_make: bool,
    /// How long a start waits for a database that is not there (`--store-wait`).
    pub wait: Duration,
    /// For a server, which shares the table with others. Without it nobody may serve meanwhile, and jobs are nobody's until a server
    /// starts: for tools that copy.
    pub sharing: Option<Box<SharingOptions>>,
}

impl std::fmt::Debug for MysqlOptions {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MysqlOptions { host, port, user, password: _, database, table, level, may_make, wait, sharing } =
            self;
        f.debug_struct("MysqlOptions")
            .field("host", host)
            .field("port", port)
            .field("user", user)
            .field("database", database)
            .field("table", table)
            .field("level", level)
            .field("may_make", may_make)
            .field("wait", wait)
            .field("sharing", sharing)
            .finish_non_exhaustive()
    }
}

impl Default for MysqlOptions {
    /// What gearmand does without options; nobody waits for it.
    fn default() -> MysqlOptions {
        MysqlOptions {
            host: MYSQL_HOST.to_owned(),
            port: MYSQL_PORT,
            user: None,
            password: None,
            database: None,
            table: MYSQL_TABLE.to_owned(),
            level: PromiseLevel::AsSet,
            may_make: true,
            wait: Duration::ZERO,
            sharing: None,
        }
    }
}

impl MysqlOptions {
    /// What is wrong with the words of it, as far as that shows without the machine and the database. It begins with the name
    /// of the option.
    pub fn check(&self) -> Result<(), String> {
        names::read(&self.table).map_err(|what| format!("--mysql-table cannot be used: {what}")).map(|_| ())
    }
}
