//! The flags of the MySQL store, and what they mean. They are known without the store, too: then none of them can be used.
use super::super::value::number;
use super::choice::{Choice, StoreFlags};
#[cfg(feature = "mysql")]
use {
    super::super::mistake::Mistake,
    super::super::value::fit,
    super::remote::{level, wait},
    crate::store::mysql::MysqlOptions,
};

/// What can be said of gearmand's table in MySQL.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct MysqlFlags {
    /// The host of `-q mysql`; localhost is the unix socket of this machine, and a path is another socket [default: localhost]
    #[arg(long, value_name = "HOST")]
    pub(crate) mysql_host: Option<String>,

    /// Its port [default: 3306]
    #[arg(long, value_name = "PORT", value_parser = number(1..=i64::from(u16::MAX)))]
    pub(crate) mysql_port: Option<i64>,

    /// The user there. What is not said here is taken from the groups [client] and [gearmand] of MySQL's option files (`~/.my.cnf`)
    #[arg(long, value_name = "NAME")]
    pub(crate) mysql_user: Option<String>,

    /// The password; in an option file others cannot read it
    #[arg(long, value_name = "PASSWORD")]
    pub(crate) mysql_password: Option<String>,

    /// The database
    #[arg(long, value_name = "NAME")]
    pub(crate) mysql_db: Option<String>,

    /// The table in it [default: gearman_queue]
    #[arg(long, value_name = "NAME")]
    pub(crate) mysql_table: Option<String>,
}

/// The names under which the store is known: gearmand's, and what else people call it.
#[cfg(feature = "mysql")]
pub(crate) fn is_name(store: &str) -> bool {
    ["mysql", "mariadb", "libmysql"].contains(&store)
}

#[cfg(feature = "mysql")]
impl MysqlFlags {
    /// The table, where an acknowledgement is to promise this, and a start may wait for so many seconds.
    pub(crate) fn options(
        &self,
        durability: Option<&str>,
        seconds: Option<i64>,
    ) -> Result<MysqlOptions, Mistake> {
        let usual = MysqlOptions::default();
        let options = MysqlOptions {
            host: self.mysql_host.clone().unwrap_or(usual.host),
            port: self.mysql_port.map_or(usual.port, fit),
            user: self.mysql_user.clone(),
            password: self.mysql_password.clone(),
            database: self.mysql_db.clone(),
            table: self.mysql_table.clone().unwrap_or(usual.table),
            level: level(durability, "mysql")?,
            wait: wait(seconds),
            ..usual
        };
        options.check().map_err(Mistake::Store)?;
        Ok(options)
    }
}

impl StoreFlags for MysqlFlags {
    const STORE: Choice = Choice::Mysql;
    const GEARMANDS: bool = true;

    fn given(&self) -> Option<&'static str> {
        match self {
            MysqlFlags { mysql_host: Some(_), .. } => Some("--mysql-host"),
            MysqlFlags { mysql_port: Some(_), .. } => Some("--mysql-port"),
            MysqlFlags { mysql_user: Some(_), .. } => Some("--mysql-user"),
            MysqlFlags { mysql_password: Some(_), .. } => Some("--mysql-password"),
            MysqlFlags { mysql_db: Some(_), .. } => Some("--mysql-db"),
            MysqlFlags { mysql_table: Some(_), .. } => Some("--mysql-table"),
            _ => None,
        }
    }

    fn misplaced(flag: &'static str, _: Choice) -> String {
        format!("{flag} is about a database that nothing uses: add -q mysql")
    }
}
