//! One connection to the database that may be used: writable, of a version that has what we need, with settings of our own. What is done
//! with it is known elsewhere.
use super::names::MyTables;
use crate::log_at;
use crate::logging::Level;
use crate::store::remote::fault::{RemoteFault, RemoteTrouble};
use crate::store::remote::level::PromiseLevel;
use mysql::prelude::Queryable;
use mysql::{Conn, Opts};
use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

/// What holds for a connection: text is UTF-8, what does not fit is an error, a lock that somebody holds is not waited for long. Of whoever
/// is not heard of for so long nothing is left in the way.
const SETTINGS: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, \
     innodb_lock_wait_timeout = 2, lock_wait_timeout = 10, wait_timeout = 60, net_write_timeout = 60";
/// A transaction that stands still for so long is of a server that was stopped in the middle of it (only MariaDB can do that).
const SETTINGS_OF_MARIADB: &str = "SET SESSION idle_write_transaction_timeout = 10";
/// In a cluster, what others have committed is waited for before it is read.
const SETTINGS_OF_GALERA: &str = "SET SESSION wsrep_sync_wait = 1";
/// How long a server of version 0.2 that has just ended may still have the table.
const LEAVING: Duration = Duration::from_secs(3);

/// What the server says of itself.
#[derive(Debug)]
pub(super) struct ServerFacts {
    variables: HashMap<String, String>,
}

impl ServerFacts {
    fn get(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), "ON" | "1")
    }

    /// Bytes of a statement.
    pub(super) fn packet(&self) -> usize {
        self.get("max_allowed_packet").parse().unwrap_or(1 << 20)
    }
}

/// Connects, and sets what holds for the connection.
pub(super) fn connect(opts: &Opts) -> Result<(Conn, ServerFacts), RemoteFault> {
    let mut conn = Conn::new(opts.clone())?;
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'read_only', 'super_read_only', 'innodb_read_only', \
               'max_allowed_packet', 'innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog', 'binlog_format', 'wsrep_on')";
    let rows: Vec<(String, String)> = conn.query(sql)?;
    let facts = ServerFacts { variables: rows.into_iter().collect() };
    let version = facts.get("version");
    let is_mariadb = version.contains("MariaDB");
    check_version(version, is_mariadb)?;
    if ["read_only", "super_read_only", "innodb_read_only"].iter().any(|name| facts.is_on(name)) {
        let what = "nothing can be written there, for read_only is on: it is a replica, or somebody has stopped it; name the primary, \
                    or turn that off";
        return Err(RemoteFault::refused(what));
    }
    conn.query_drop("SET NAMES utf8mb4")?;
    conn.query_drop(SETTINGS)?;
    if is_mariadb {
        conn.query_drop(SETTINGS_OF_MARIADB)?;
    }
    if facts.is_on("wsrep_on") {
        conn.query_drop(SETTINGS_OF_GALERA)?;
    }
    // Whoever logs statements cannot log those of a level below.
    let by_statement = facts.is_on("log_bin") && facts.get("binlog_format") == "STATEMENT";
    let level = if by_statement { "REPEATABLE READ" } else { "READ COMMITTED" };
    conn.query_drop(format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"))?;
    Ok((conn, facts))
}

/// Custom sessions' locks, instant columns: since then there is what we need.
fn check_version(version: &str, is_mariadb: bool) -> Result<(), RemoteFault> {
    let text = version.strip_prefix("5.5.5-").filter(|_| is_mariadb).unwrap_or(version);
    let mut numbers = text.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let (name, oldest) = if is_mariadb { ("MariaDB", (10, 3)) } else { ("MySQL", (5, 7)) };
    if found >= oldest {
        return Ok(());
    }
    let what = format!("it is {name} {text}, and {}.{} or later is needed: upgrade it", oldest.0, oldest.1);
    Err(RemoteFault::refused(what))
}

/// What an acknowledgement is worth with the database as it is set: what weakens it is said, or refused where the operator has asked for
/// the whole of it.
pub(super) fn check_promise(
    facts: &ServerFacts,
    engine: &str,
    tables: &MyTables,
    level: PromiseLevel,
) -> Result<(), RemoteFault> {
    let mut weak = Vec::new();
    if !engine.eq_ignore_ascii_case("InnoDB") {
        weak.push(format!(
            "table {} is of the engine {engine}, where a crash of the database may damage or lose jobs: ALTER TABLE {} ENGINE=InnoDB",
            tables.shown, tables.theirs
        ));
    }
    let flush = facts.get("innodb_flush_log_at_trx_commit");
    if flush != "1" && !flush.is_empty() && level != PromiseLevel::Written {
        weak.push(format!(
            "innodb_flush_log_at_trx_commit is {flush} there, so a power failure loses the last jobs that were acknowledged: SET GLOBAL \
             innodb_flush_log_at_trx_commit = 1"
        ));
    }
    if facts.is_on("log_bin") && facts.get("sync_binlog") != "1" && level != PromiseLevel::Written {
        weak.push(format!(
            "sync_binlog is {} there, so replicas may miss the last jobs after a power failure: SET GLOBAL sync_binlog = 1",
            facts.get("sync_binlog")
        ));
    }
    if matches!(facts.get("innodb_doublewrite"), "OFF" | "0") {
        weak.push("innodb_doublewrite is off there, so a power failure may damage jobs".to_owned());
    }
    let Some(first) = weak.first() else { return Ok(()) };
    if level == PromiseLevel::Synced {
        return Err(RemoteFault::other(format!(
            "--durability synced cannot be kept: {first}; or leave --durability out to go on with a warning"
        )));
    }
    for what in weak {
        log_at!(Level::Warning, "the store: {what}");
    }
    Ok(())
}

/// What the lock of a server of version 0.2 on a table is called: names of locks have 64 letters at the most, and no case.
fn lock_name(tables: &MyTables) -> String {
    let start: String = tables.shown.chars().filter(char::is_ascii_alphanumeric).take(30).collect();
    format!("ringgear:{:08x}:{start}", crc32c::crc32c(tables.shown.as_bytes()))
}

/// A server of a version that shares no table must not be there: it would run every job again. It has a lock, which nobody else takes.
pub(super) fn no_old_server(conn: &mut Conn, tables: &MyTables) -> Result<(), RemoteFault> {
    let (begin, name) = (Instant::now(), lock_name(tables));
    loop {
        let holder: Option<Option<u32>> = conn.query_first(format!("SELECT IS_USED_LOCK('{name}')"))?;
        if holder.flatten().is_none() {
            return Ok(());
        }
        if begin.elapsed() >= LEAVING {
            return Err(RemoteFault::new(RemoteTrouble::Locked, format!("table {}", tables.shown)));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_two_families() {
        for (version, mariadb) in [
            ("10.11.19-MariaDB-0+deb12u1", true),
            ("5.5.5-10.3.1-MariaDB", true),
            ("8.0.45", false),
            ("5.7.1-log", false),
        ] {
            assert!(check_version(version, mariadb).is_ok(), "{version}");
        }
        for (version, mariadb, said) in [
            (
                "10.2.44-MariaDB",
                true,
                "it is MariaDB 10.2.44-MariaDB, and 10.3 or later is needed: upgrade it",
            ),
            ("5.6.51", false, "it is MySQL 5.6.51, and 5.7 or later is needed: upgrade it"),
        ] {
            assert_eq!(check_version(version, mariadb).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn names_of_locks_are_short_and_differ() {
        let name = |table: &str| lock_name(&MyTables::of("d", table));
        assert!(name(&"t".repeat(64)).len() <= 64);
        assert_ne!(name("a"), name("b"));
        assert_ne!(name("it's"), name("its"));
    }
}
