//! Which stores a command line means: one by the server's own options, one by a word that stands by itself. What is done with them is
//! `transfer.rs`.
use crate::store::StoreOptions;
use crate::store::log::LogOptions;
#[cfg(feature = "memcached")]
use crate::store::memcached::MemcachedOptions;
#[cfg(feature = "mysql")]
use crate::store::mysql::MysqlOptions;
#[cfg(feature = "postgres")]
use crate::store::postgres::{POSTGRES_TABLE, PostgresOptions};
#[cfg(feature = "redis")]
use crate::store::redis::RedisOptions;
#[cfg(feature = "sqlite")]
use crate::store::sqlite::{SqliteOptions, TABLE};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// The store that options name, with the server's own options.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("other_store").required(true))]
pub(super) struct OtherStore {
    /// A data directory
    #[arg(long, value_name = "DIR", group = "other_store")]
    data_dir: Option<PathBuf>,

    /// An SQLite database
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "FILE", group = "other_store")]
    libsqlite3_db: Option<PathBuf>,

    /// The table in it [default: gearman_queue]
    #[cfg(feature = "sqlite")]
    #[arg(long, value_name = "NAME", requires = "libsqlite3_db")]
    libsqlite3_table: Option<String>,

    /// A MySQL or MariaDB database
    #[cfg(feature = "mysql")]
    #[arg(long, value_name = "NAME", group = "other_store")]
    mysql_db: Option<String>,

    #[cfg(feature = "mysql")]
    #[command(flatten)]
    mysql: OtherMysql,

    /// A PostgreSQL database: words as libpq takes them, or a URI; empty is what PGHOST and the like say
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "STRING", group = "other_store")]
    libpq_conninfo: Option<String>,

    /// The table in it [default: queue]
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "NAME", requires = "libpq_conninfo")]
    libpq_table: Option<String>,

    /// A Redis: its host, the path of its socket, or rediss://HOST
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "HOST", group = "other_store")]
    redis_server: Option<String>,

    /// Its port [default: 6379]
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "PORT", requires = "redis_server")]
    redis_port: Option<u16>,

    /// Its password
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "PASSWORD", requires = "redis_server")]
    redis_password: Option<String>,

    /// What keys of jobs begin with there [default: _gear_]
    #[cfg(feature = "redis")]
    #[arg(long, value_name = "PREFIX", requires = "redis_server")]
    redis_prefix: Option<String>,

    /// memcached servers, with commas in between
    #[cfg(feature = "memcached")]
    #[arg(long, value_name = "HOST:PORT,...", group = "other_store")]
    libmemcached_servers: Option<String>,

    /// What keys of jobs begin with there [default: gear_]
    #[cfg(feature = "memcached")]
    #[arg(long, value_name = "PREFIX", requires = "libmemcached_servers")]
    libmemcached_prefix: Option<String>,

    /// Only to import: what `tchmgr list -pv -px FILE` prints of a Tokyo Cabinet's file
    #[arg(long, value_name = "FILE", group = "other_store")]
    tchmgr_list: Option<PathBuf>,
}

/// Where that MySQL database is.
#[cfg(feature = "mysql")]
#[derive(Debug, clap::Args)]
struct OtherMysql {
    /// Its host, or the path of its socket [default: localhost, the usual socket]
    #[arg(long, value_name = "HOST", requires = "mysql_db")]
    mysql_host: Option<String>,

    /// Its port [default: 3306]
    #[arg(long, value_name = "PORT", requires = "mysql_db")]
    mysql_port: Option<u16>,

    /// The user there; what is not said is taken from MySQL's option files
    #[arg(long, value_name = "NAME", requires = "mysql_db")]
    mysql_user: Option<String>,

    /// The password
    #[arg(long, value_name = "PASSWORD", requires = "mysql_db")]
    mysql_password: Option<String>,

    /// The table in it [default: gearman_queue]
    #[arg(long, value_name = "NAME", requires = "mysql_db")]
    mysql_table: Option<String>,
}

impl OtherStore {
    pub(super) fn options(self) -> Result<StoreOptions, PlaceMistake> {
        #[cfg(feature = "sqlite")]
        if let Some(file) = self.libsqlite3_db {
            return Ok(database(file, self.libsqlite3_table));
        }
        #[cfg(feature = "mysql")]
        if let Some(database) = self.mysql_db {
            let OtherMysql { mysql_host, mysql_port, mysql_user, mysql_password, mysql_table } = self.mysql;
            let usual = MysqlOptions::default();
            return mysql(MysqlOptions {
                host: mysql_host.unwrap_or(usual.host),
                port: mysql_port.unwrap_or(usual.port),
                user: mysql_user,
                password: mysql_password,
                database: Some(database),
                table: mysql_table.unwrap_or(usual.table),
                ..usual
            });
        }
        #[cfg(feature = "postgres")]
        if let Some(conninfo) = self.libpq_conninfo {
            return Ok(server(conninfo, self.libpq_table));
        }
        #[cfg(feature = "redis")]
        if let Some(server) = self.redis_server {
            let usual = RedisOptions::default();
            return redis(RedisOptions {
                server,
                port: self.redis_port.unwrap_or(usual.port),
                password: self.redis_password,
                prefix: self.redis_prefix.unwrap_or(usual.prefix),
                ..RedisOptions::default()
            });
        }
        #[cfg(feature = "memcached")]
        if let Some(servers) = self.libmemcached_servers {
            return memcached(servers, self.libmemcached_prefix);
        }
        if let Some(list) = self.tchmgr_list {
            return Ok(StoreOptions::Tokyo(list));
        }
        // One of them is required.
        Ok(StoreOptions::Log(LogOptions::new(self.data_dir.unwrap_or_default())))
    }
}

/// The store that stands by itself on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct ThisStore {
    /// A data directory; or `libsqlite3:FILE`, an SQLite database; or `mysql://USER:PASSWORD@HOST/DATABASE`; or `postgres:STRING` or a
    /// URI, a PostgreSQL database; or `redis://:PASSWORD@HOST/PREFIX`; or `memcached:HOST:PORT,...`
    store: OsString,

    /// The table in it, if it is a database [default: gearman_queue in SQLite and MySQL, queue in PostgreSQL]
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

impl ThisStore {
    pub(super) fn options(self) -> Result<StoreOptions, PlaceMistake> {
        #[cfg(feature = "sqlite")]
        {
            use std::os::unix::ffi::{OsStrExt, OsStringExt};
            if let Some(file) = self.store.as_bytes().strip_prefix(b"libsqlite3:") {
                return Ok(database(OsString::from_vec(file.to_vec()).into(), self.table));
            }
        }
        #[cfg(feature = "mysql")]
        if let Some(word) = self.store.to_str()
            && let Some(rest) = word.strip_prefix("mysql://").or_else(|| word.strip_prefix("mariadb://"))
        {
            let uri = PlaceUri::read(word, rest)?;
            let usual = MysqlOptions::default();
            return mysql(MysqlOptions {
                host: uri.host.unwrap_or(usual.host),
                port: uri.port.unwrap_or(usual.port),
                user: uri.user,
                password: uri.password,
                database: uri.path,
                table: self.table.unwrap_or(usual.table),
                ..usual
            });
        }
        #[cfg(feature = "postgres")]
        if let Some(word) = self.store.to_str() {
            let is_uri = word.starts_with("postgres://") || word.starts_with("postgresql://");
            let conninfo = if is_uri { Some(word) } else { word.strip_prefix("postgres:") };
            if let Some(conninfo) = conninfo {
                return Ok(server(conninfo.to_owned(), self.table));
            }
        }
        let word = self.store.to_str().unwrap_or_default();
        if word.starts_with("mongodb:") || word.starts_with("mongodb+srv:") {
            let what = "no gearmand ever kept jobs in MongoDB, and neither does this server: if something of yours did, have it \
                        submit them, or name another store";
            return Err(PlaceMistake::Words(what.to_owned()));
        }
        #[cfg(feature = "redis")]
        for scheme in ["redis://", "rediss://"] {
            let Some(rest) = word.strip_prefix(scheme) else { continue };
            let uri = PlaceUri::read(word, rest)?;
            let usual = RedisOptions::default();
            let host = uri.host.unwrap_or(usual.server);
            return redis(RedisOptions {
                server: if scheme == "redis://" { host } else { format!("rediss://{host}") },
                port: uri.port.unwrap_or(usual.port),
                password: uri.password,
                prefix: uri.path.unwrap_or(usual.prefix),
                ..RedisOptions::default()
            });
        }
        #[cfg(feature = "memcached")]
        if let Some(servers) = word.strip_prefix("memcached:") {
            return memcached(servers.to_owned(), None);
        }
        #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
        if self.table.is_some() {
            return Err(PlaceMistake::NoTable(self.store.into()));
        }
        Ok(StoreOptions::Log(LogOptions::new(self.store)))
    }
}

#[cfg(feature = "sqlite")]
fn database(file: PathBuf, table: Option<String>) -> StoreOptions {
    let table = table.unwrap_or_else(|| TABLE.to_owned());
    StoreOptions::Sqlite(SqliteOptions { file, table, on_shutdown_only: false })
}

#[cfg(feature = "postgres")]
fn server(conninfo: String, table: Option<String>) -> StoreOptions {
    let table = table.unwrap_or_else(|| POSTGRES_TABLE.to_owned());
    StoreOptions::Postgres(PostgresOptions { table, ..PostgresOptions::of(conninfo) })
}

#[cfg(feature = "mysql")]
fn mysql(options: MysqlOptions) -> Result<StoreOptions, PlaceMistake> {
    options.check().map_err(PlaceMistake::Words)?;
    Ok(StoreOptions::Mysql(options))
}

#[cfg(feature = "redis")]
fn redis(options: RedisOptions) -> Result<StoreOptions, PlaceMistake> {
    options.check().map_err(PlaceMistake::Words)?;
    Ok(StoreOptions::Redis(options))
}

#[cfg(feature = "memcached")]
fn memcached(servers: String, prefix: Option<String>) -> Result<StoreOptions, PlaceMistake> {
    let options = MemcachedOptions::of(servers, prefix);
    options.check().map_err(PlaceMistake::Words)?;
    Ok(StoreOptions::Memcached(options))
}

/// Why words name no store.
#[derive(Debug)]
pub(super) enum PlaceMistake {
    /// This is no database, and has no tables.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    NoTable(PathBuf),
    /// Anything else.
    Words(String),
}

impl fmt::Display for PlaceMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
            PlaceMistake::NoTable(ref path) => write!(
                f,
                "--table: {} is a directory, which has no tables; a database is libsqlite3:FILE",
                path.display()
            ),
            PlaceMistake::Words(ref what) => f.write_str(what),
        }
    }
}

/// `USER:PASSWORD@HOST:PORT/PATH`, where letters may be written as `%20`.
#[cfg(any(feature = "mysql", feature = "redis"))]
#[derive(Debug, Default, PartialEq, Eq)]
struct PlaceUri {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    path: Option<String>,
}

#[cfg(any(feature = "mysql", feature = "redis"))]
impl PlaceUri {
    /// Reads what stands behind the scheme of this word.
    fn read(word: &str, rest: &str) -> Result<PlaceUri, PlaceMistake> {
        let scheme = &word[..word.len() - rest.len()];
        // Without the word itself, which may have a password.
        let mistake = |what: &str| {
            PlaceMistake::Words(format!(
                "{what} behind {scheme}, where USER:PASSWORD@HOST:PORT/NAME is wanted"
            ))
        };
        let text = |part: &str| {
            let decoded = decoded(part).ok_or_else(|| mistake("there is no text"))?;
            Ok((!decoded.is_empty()).then_some(decoded))
        };
        let (place, path) = rest.split_once('/').unwrap_or((rest, ""));
        if path.contains(['/', '?']) {
            return Err(mistake("there is more than a name at the end"));
        }
        let (who, place) = place.rsplit_once('@').unwrap_or(("", place));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(|port| port.parse().map_err(|_| mistake("there is no port"))).transpose()?;
        Ok(PlaceUri {
            user: text(user)?,
            password: text(password)?,
            host: text(host)?,
            port,
            path: text(path)?,
        })
    }
}

/// Letters that were written as `%20`.
#[cfg(any(feature = "mysql", feature = "redis"))]
fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

/// What a store is called, and what another one of its kind is.
pub(super) fn named(options: &StoreOptions) -> (String, &'static str) {
    match options {
        StoreOptions::Log(log) => (log.dir.display().to_string(), "directory"),
        #[cfg(feature = "sqlite")]
        StoreOptions::Sqlite(SqliteOptions { file, table, .. }) => {
            (format!("{}: table {table}", file.display()), "table or file")
        }
        #[cfg(feature = "mysql")]
        StoreOptions::Mysql(MysqlOptions { table, .. }) => (format!("table {table}"), "table or database"),
        #[cfg(feature = "postgres")]
        StoreOptions::Postgres(PostgresOptions { table, .. }) => {
            (format!("table {table}"), "table or database")
        }
        #[cfg(feature = "redis")]
        StoreOptions::Redis(RedisOptions { server, prefix, .. }) => {
            (format!("Redis {server}, prefix {prefix},"), "prefix or server")
        }
        #[cfg(feature = "memcached")]
        StoreOptions::Memcached(MemcachedOptions { servers, prefix, .. }) => {
            (format!("memcached {servers}, prefix {prefix},"), "prefix or server")
        }
        StoreOptions::Tokyo(list) => (list.display().to_string(), "store"),
    }
}

/// Whether both are the same store on a server.
pub(super) fn is_same(one: &StoreOptions, other: &StoreOptions) -> bool {
    match (one, other) {
        #[cfg(feature = "mysql")]
        (StoreOptions::Mysql(one), StoreOptions::Mysql(other)) => one == other,
        #[cfg(feature = "postgres")]
        (StoreOptions::Postgres(one), StoreOptions::Postgres(other)) => one == other,
        #[cfg(feature = "redis")]
        (StoreOptions::Redis(one), StoreOptions::Redis(other)) => one == other,
        #[cfg(feature = "memcached")]
        (StoreOptions::Memcached(one), StoreOptions::Memcached(other)) => one == other,
        _ => false,
    }
}

/// The same store, which is not to be made if it is not there.
pub(super) fn there(options: &StoreOptions) -> StoreOptions {
    match options.clone() {
        #[cfg(feature = "mysql")]
        StoreOptions::Mysql(options) => StoreOptions::Mysql(MysqlOptions { may_make: false, ..options }),
        #[cfg(feature = "postgres")]
        StoreOptions::Postgres(options) => {
            StoreOptions::Postgres(PostgresOptions { may_make: false, ..options })
        }
        options => options,
    }
}

/// The directory or file of a store, if it has one.
pub(super) fn place(options: &StoreOptions) -> Option<&Path> {
    match options {
        StoreOptions::Log(log) => Some(&log.dir),
        #[cfg(feature = "sqlite")]
        StoreOptions::Sqlite(database) => Some(&database.file),
        #[cfg(feature = "mysql")]
        StoreOptions::Mysql(_) => None,
        #[cfg(feature = "postgres")]
        StoreOptions::Postgres(_) => None,
        #[cfg(feature = "redis")]
        StoreOptions::Redis(_) => None,
        #[cfg(feature = "memcached")]
        StoreOptions::Memcached(_) => None,
        StoreOptions::Tokyo(list) => Some(list),
    }
}

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::*;

    #[test]
    fn uris_name_servers() {
        let read =
            |rest: &str| PlaceUri::read(&format!("mysql://{rest}"), rest).map_err(|error| error.to_string());
        let uri = read("u:p%40ss@db:33/jobs").unwrap();
        assert_eq!((uri.user.as_deref(), uri.password.as_deref()), (Some("u"), Some("p@ss")));
        assert_eq!(
            (uri.host.as_deref(), uri.port, uri.path.as_deref()),
            (Some("db"), Some(33), Some("jobs"))
        );
        let uri = read("[::1]:3/").unwrap();
        assert_eq!((uri.host.as_deref(), uri.port, uri.path), (Some("::1"), Some(3), None));
        assert_eq!(read("%2Frun%2Fs/d").unwrap().host.as_deref(), Some("/run/s"));
        assert_eq!(read("").unwrap(), PlaceUri::default());
        for (rest, what) in [
            (
                "u:secret@h:x/d",
                "there is no port behind mysql://, where USER:PASSWORD@HOST:PORT/NAME is wanted",
            ),
            (
                "h/a/b",
                "there is more than a name at the end behind mysql://, where USER:PASSWORD@HOST:PORT/NAME is wanted",
            ),
            ("%ff@h", "there is no text behind mysql://, where USER:PASSWORD@HOST:PORT/NAME is wanted"),
        ] {
            assert_eq!(read(rest).unwrap_err(), what);
        }
    }
}
