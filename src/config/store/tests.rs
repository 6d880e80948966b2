//! Which store the options lead to, and which combinations are refused.
use super::*;
use crate::config::tests::{config_of, refused};
use crate::store::log::Durability;
#[cfg(feature = "sqlite")]
use crate::store::sqlite::SqliteOptions;
use std::ffi::OsStr;
#[cfg(feature = "postgres")]
use {
    super::postgres::WAIT,
    crate::store::postgres::{CommitLevel, PostgresOptions, SharingOptions, StoreLost},
    std::time::Duration,
};

fn store_of(line: &[&str]) -> Option<StoreOptions> {
    config_of(line).server.store
}

#[test]
fn stores() {
    assert!(store_of(&[]).is_none());
    assert!(store_of(&["-q", "builtin", "--durability", "memory"]).is_none());
    assert!(store_of(&["--data-dir", "d", "--durability", "memory"]).is_none());
    for (line, level, bytes) in [
        (&["--data-dir", "d"][..], Durability::Synced, 0),
        (&["--data-dir", "d", "--durability", "synced", "-q", "builtin"], Durability::Synced, 0),
        (&["--data-dir", "d", "--durability", "written", "--max-log-bytes", "5"], Durability::Written, 5),
    ] {
        let Some(StoreOptions::Log(options)) = store_of(line) else { panic!("{line:?}") };
        assert_eq!((options.dir.as_os_str(), options.durability), (OsStr::new("d"), level), "{line:?}");
        assert_eq!(options.max_bytes, bytes, "{line:?}");
    }
    refused(
        &["-q", "libtokyocabinet", "--durability", "memory"],
        "-q libtokyocabinet is no store that this server has; choose builtin (with --data-dir DIR for a log), libsqlite3, mysql, \
         postgres, redis or libmemcached",
    );
    refused(
        &["-q", "libsqlite3", "--data-dir", "d"],
        "--data-dir and -q each name a store, and there can be one; leave one of them out",
    );
}

#[cfg(feature = "sqlite")]
#[test]
fn databases() {
    let database = ["-q", "libsqlite3", "--libsqlite3-db", "f"];
    let options = |more: &[&str]| match store_of(&[&database[..], more].concat()) {
        Some(StoreOptions::Sqlite(options)) => options,
        other => panic!("{other:?}"),
    };
    assert_eq!(options(&["--durability", "synced"]), SqliteOptions::of("f"));
    let other = options(&["--libsqlite3-table", "t", "--store-queue-on-shutdown"]);
    assert_eq!((other.table.as_str(), other.on_shutdown_only), ("t", true));
    refused(
        &["-q", "libsqlite3"],
        "-q libsqlite3 keeps jobs in a database; name it with --libsqlite3-db FILE",
    );
}

#[test]
fn options_of_a_store_that_is_not_used_are_refused() {
    for (line, message) in [
        (
            &["--libsqlite3-db", "f"][..],
            "--libsqlite3-db names a database that nothing uses: add -q libsqlite3",
        ),
        (
            &["--libsqlite3-table", "gearman_queue", "--data-dir", "d"],
            "--libsqlite3-table names a table that nothing uses: add -q libsqlite3 and --libsqlite3-db FILE",
        ),
        (
            &["--store-queue-on-shutdown"],
            "--store-queue-on-shutdown needs a database: add -q libsqlite3 and --libsqlite3-db FILE",
        ),
        (
            &["--libpq-conninfo", "host=h"],
            "--libpq-conninfo names a database that nothing uses: add -q postgres",
        ),
        (
            &["--libpq-table", "t", "--data-dir", "d"],
            "--libpq-table names a table that nothing uses: add -q postgres",
        ),
        (
            &["--store-wait", "1", "--data-dir", "d"],
            "--store-wait is for a database server: add -q mysql, postgres, redis or libmemcached",
        ),
        (&["--max-log-bytes", "1"], "--max-log-bytes limits a log that is not kept: add --data-dir DIR"),
        (
            &["--durability", "synced"],
            "--durability synced needs a place to keep background jobs in: add --data-dir DIR",
        ),
        (
            &["--durability", "written"],
            "--durability written needs a place to keep background jobs in: add --data-dir DIR",
        ),
    ] {
        refused(line, message);
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn options_of_the_log_are_refused_with_a_database() {
    let database = ["-q", "libsqlite3", "--libsqlite3-db", "f"];
    for (line, message) in [
        (
            ["--durability", "written"],
            "--durability written is for --data-dir: -q libsqlite3 always syncs; leave it out",
        ),
        (
            ["--durability", "memory"],
            "--durability memory is for --data-dir: with -q libsqlite3 it is --store-queue-on-shutdown",
        ),
        (
            ["--max-log-bytes", "1"],
            "--max-log-bytes is for --data-dir: -q libsqlite3 keeps no log; leave it out",
        ),
    ] {
        refused(&[&database[..], &line].concat(), message);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn database_servers() {
    let options = |line: &[&str]| match store_of(line) {
        Some(StoreOptions::Postgres(options)) => options,
        other => panic!("{other:?}"),
    };
    for name in ["Postgres", "postgres", "POSTGRESQL", "libpq"] {
        let usual = PostgresOptions { wait: WAIT, sharing: None, ..PostgresOptions::of("") };
        let mut told = options(&["-q", name]);
        let sharing = *told.sharing.take().unwrap();
        assert!(sharing.name.ends_with(":4730") && sharing == SharingOptions::of(sharing.name.clone()));
        assert_eq!(told, usual, "{name}");
    }
    let line = ["-q", "postgres", "--server-name", "a", "--take-over-after", "4", "--store-lost", "go-on"];
    let sharing = options(&line).sharing.unwrap();
    assert_eq!((sharing.name.as_str(), sharing.take_over_after), ("a", Duration::from_secs(4)));
    assert_eq!(sharing.lost, StoreLost::GoOn);
    refused(
        &["--data-dir", "d", "--server-name", "a"],
        "--server-name is for servers that share a database: add -q mysql, postgres or redis",
    );
    let line =
        ["-q", "postgres", "--libpq-conninfo", "host=a,b dbname=d", "--libpq-table", "s.t", "--store-wait=0"];
    let other = options(&line);
    assert_eq!((other.conninfo.as_str(), other.table.as_str()), ("host=a,b dbname=d", "s.t"));
    assert_eq!((other.wait, other.level), (Duration::ZERO, CommitLevel::AsSet));
    for (level, meant) in [("synced", CommitLevel::Synced), ("written", CommitLevel::Written)] {
        assert_eq!(options(&["-q", "postgres", "--durability", level]).level, meant);
    }
    for (line, message) in [
        (
            &["--durability", "memory"][..],
            "--durability memory is for --data-dir: -q postgres keeps jobs in the database",
        ),
        (
            &["--max-log-bytes", "1"],
            "--max-log-bytes is for --data-dir: -q postgres keeps no log; leave it out",
        ),
        (&["--libpq-conninfo", "host"], "--libpq-conninfo cannot be read: there is no = behind host"),
        (&["--libpq-table", "a;b"], "--libpq-table cannot be used: a;b is no name of a table: what is ;b?"),
        (
            &["--data-dir", "d"],
            "--data-dir and -q each name a store, and there can be one; leave one of them out",
        ),
    ] {
        refused(&[&["-q", "postgres"], line].concat(), message);
    }
}

#[test]
fn stores_on_servers_have_gearmands_names_and_defaults() {
    #[cfg(feature = "mysql")]
    for name in ["MySQL", "mysql", "MariaDB"] {
        let Some(StoreOptions::Mysql(options)) = store_of(&["-q", name, "--mysql-db", "d"]) else {
            panic!("{name}")
        };
        assert_eq!(
            (&options.host[..], options.port, &options.table[..]),
            ("localhost", 3306, "gearman_queue")
        );
        assert_eq!((options.user, options.database.as_deref()), (None, Some("d")));
    }
    #[cfg(feature = "redis")]
    for name in ["redis", "Redis", "hiredis"] {
        let Some(StoreOptions::Redis(options)) = store_of(&["-q", name]) else { panic!("{name}") };
        assert_eq!((&options.server[..], options.port, &options.prefix[..]), ("127.0.0.1", 6379, "_gear_"));
    }
    #[cfg(feature = "memcached")]
    for name in ["libmemcached", "LibMemcached", "memcached"] {
        let Some(StoreOptions::Memcached(options)) =
            store_of(&["-q", name, "--libmemcached-servers", "a,b:1"])
        else {
            panic!("{name}")
        };
        assert_eq!((&options.servers[..], &options.prefix[..]), ("a,b:1", "gear_"));
    }
    for (line, message) in [
        (&["--mysql-host", "h"][..], "--mysql-host is about a database that nothing uses: add -q mysql"),
        (
            &["-q", "mysql", "--mysql-table", "a b"],
            "--mysql-table cannot be used: a b is no name of a table: what is  b?",
        ),
        (
            &["-q", "mysql", "--durability", "memory"],
            "--durability memory is for --data-dir: -q mysql keeps jobs in the database",
        ),
        (&["--redis-prefix", "p"], "--redis-prefix is about a Redis that nothing uses: add -q redis"),
        (
            &["-q", "redis", "--redis-prefix", "ring"],
            "--redis-prefix cannot be \"ring\": Ringgear's own keys begin with ringgear:{ and must not be among gearmand's",
        ),
        (
            &["-q", "libmemcached"],
            "-q libmemcached keeps jobs in servers; name them with --libmemcached-servers HOST:PORT",
        ),
        (
            &["-q", "memcached", "--libmemcached-servers", "h:x"],
            "--libmemcached-servers: h:x is no server; write HOST:PORT",
        ),
    ] {
        refused(line, message);
    }
}
