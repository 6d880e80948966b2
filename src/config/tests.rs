//! What flags mean. How the program prints mistakes is in `tests/commandline.rs`.
use super::*;
use crate::shard::options::Keepalive;
use std::time::Duration;

fn read_line(line: &[&str]) -> Result<Asked, Mistake> {
    read(line.iter().map(OsString::from), None)
}

#[track_caller]
fn config_of(line: &[&str]) -> Config {
    match read_line(line).unwrap() {
        Asked::Config(config) => *config,
        Asked::Text(text) => panic!("{text}"),
    }
}

#[track_caller]
fn refused(line: &[&str], message: &str) {
    let mistake = read_line(line).unwrap_err().to_string();
    assert_eq!(mistake, message, "{line:?}");
}

/// The ports of all addresses.
fn ports_of(line: &[&str]) -> Vec<u16> {
    let endpoints = config_of(line).server.endpoints.into_iter();
    let port = |endpoint| match endpoint {
        Endpoint::Tcp(address) => Some(address.port()),
        Endpoint::Unix { .. } => None,
    };
    endpoints.filter_map(port).collect()
}

fn attempts_of(line: &[&str]) -> Option<u8> {
    config_of(line).server.policy.attempts.map(NonZeroU8::get)
}

#[test]
fn clap_likes_its_declaration() {
    use clap::CommandFactory;
    Flags::command().debug_assert();
}

#[test]
fn the_defaults() {
    let Config { server, frontend, log, notices } = config_of(&[]);
    let everywhere = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp(address) => address.ip().is_unspecified() && address.port() == 4730,
        Endpoint::Unix { .. } => false,
    };
    assert!(server.endpoints.iter().all(everywhere));
    assert_eq!((server.backlog, server.threads), (1024, 0));
    assert_eq!(log, LogOptions::default());
    assert_eq!((frontend.verbosity, frontend.version), ("ERROR", VERSION));
    assert_eq!((frontend.packet_max, server.shard.packet_max), (256 << 20, 256 << 20));
    let policy = server.policy;
    assert_eq!((policy.compat, policy.attempts, policy.wakeup), (Compat::V1_1, None, Wakeup::Paced));
    assert!(!policy.round_robin && !policy.exceptions && !policy.note_accepted);
    assert!(policy.queued_bytes > 0 && policy.queued_bytes < u64::MAX);
    let unset = Policy::new(policy.handle_prefix);
    assert_eq!(policy.requests_in_flight, unset.requests_in_flight);
    assert_eq!(policy.outbox_bytes, unset.outbox_bytes);
    assert_eq!((policy.functions, policy.abilities), (unset.functions, unset.abilities));
    assert_eq!(policy.finished_memory, unset.finished_memory);
    let shard = ShardOptions { packet_max: 256 << 20, ..ShardOptions::default() };
    assert_eq!(server.shard, shard);
    assert!(notices.len() <= 1);
}

#[test]
fn all_ways_to_write_a_flag() {
    for line in [&["-p", "99"][..], &["-p99"], &["--port", "99"], &["--port=99"]] {
        assert_eq!(ports_of(line)[0], 99, "{line:?}");
    }
    assert!(config_of(&["-R", "--exceptions"]).server.policy.round_robin);
}

#[test]
fn ports_by_number_name_and_environment() {
    let port = |flag, environment: Option<&str>| port_number(flag, environment.map(OsStr::new)).ok();
    assert_eq!(port("4730", None), Some(4730));
    assert_eq!(port("0", None), Some(0));
    assert_eq!(port("4730", Some("5000")), Some(5000));
    assert_eq!(port("4731", Some("5000")), Some(4731));
    assert_eq!(port("", None), Some(machine::service("gearman").unwrap_or(4730)));
    assert_eq!(port("4730", Some("")), Some(machine::service("gearman").unwrap_or(4730)));
    assert_eq!(port("65536", None), None);
    assert_eq!(port("-1", None), None);
    assert_eq!(port("no such service", None), None);
}

#[test]
fn retries_as_each_gearmand_counts_them() {
    for compat in ["1.1", "2.0"] {
        assert_eq!(attempts_of(&["--compat", compat, "-j", "0"]), None);
        assert_eq!(attempts_of(&["--compat", compat, "-j", "1"]), Some(1));
        assert_eq!(attempts_of(&["--compat", compat, "-j", "256"]), None);
        assert_eq!(attempts_of(&["--compat", compat, "-j", "300"]), Some(44));
        assert_eq!(attempts_of(&["--compat", compat, "-j", "-1"]), Some(255));
    }
    for compat in ["2.1", "2.2"] {
        assert_eq!(attempts_of(&["--compat", compat]), None);
        assert_eq!(attempts_of(&["--compat", compat, "--job-retries=-1"]), None);
        assert_eq!(attempts_of(&["--compat", compat, "--job-retries", "-1"]), None);
        assert_eq!(attempts_of(&["--compat", compat, "-j0"]), Some(1));
        assert_eq!(attempts_of(&["--compat", compat, "-j1"]), Some(1));
        assert_eq!(attempts_of(&["--compat", compat, "-j255"]), Some(255));
        for retries in ["-2", "256"] {
            let message =
                format!("--job-retries {retries} is not within -1 to 255, as --compat 2.1 and later want it");
            refused(&["--compat", compat, "-j", retries], &message);
        }
    }
}

#[test]
fn whom_to_wake() {
    let wakeup = |number| config_of(&["--worker-wakeup", number]).server.policy.wakeup;
    let at_most = |number| Wakeup::AtMost(NonZeroU8::new(number).unwrap());
    assert_eq!(wakeup("0"), Wakeup::All);
    assert_eq!(wakeup("256"), Wakeup::All);
    assert_eq!(wakeup("1"), at_most(1));
    assert_eq!(wakeup("257"), at_most(1));
    assert_eq!(config_of(&["-w7"]).server.policy.wakeup, at_most(7));
}

#[test]
fn where_to_log() {
    let target = |file| config_of(&["-l", file]).log.target;
    assert_eq!(target("stderr"), Target::Stderr);
    assert_eq!(target("none"), Target::Nowhere);
    assert_eq!(target("/tmp/x"), Target::File("/tmp/x".into()));
    let config = config_of(&["--verbose", "DEBUG"]);
    assert_eq!((config.log.level, config.frontend.verbosity), (Level::Debug, "DEBUG"));
    assert!(config.server.policy.note_accepted);
    assert!(!config_of(&["--verbose", "DEBUG", "-l", "none"]).server.policy.note_accepted);
    assert!(!config_of(&["--verbose", "WARNING"]).server.policy.note_accepted);
    let levels = "must be one of FATAL, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG";
    refused(&["--verbose", "info"], &format!("invalid value 'info' for '--verbose <LEVEL>': {levels}"));
}

#[test]
fn prefixes_of_handles() {
    let prefix = |prefix| config_of(&["--job-handle-prefix", prefix]).server.policy.handle_prefix;
    assert_eq!(prefix("X:y"), HandlePrefix::new(b"X:y").unwrap());
    let longest = "x".repeat(HandlePrefix::MAX);
    assert_eq!(prefix(&longest), HandlePrefix::new(longest.as_bytes()).unwrap());
    let config = config_of(&["--job-handle-prefix", "X"]);
    assert_eq!(config.frontend.handle_prefix, config.server.policy.handle_prefix);
    refused(
        &["--job-handle-prefix", &"x".repeat(HandlePrefix::MAX + 1)],
        "--job-handle-prefix: a job handle prefix has at most 44 bytes, this one has 45",
    );
    refused(
        &["--job-handle-prefix", "a b"],
        "--job-handle-prefix: blanks and control characters cannot stand in a job handle",
    );
}

#[test]
fn listening_in_several_places() {
    let line = [
        "-L",
        "127.0.0.1",
        "--listen=unix:/tmp/x",
        "-L::1",
        "-L",
        "unix:/tmp/x",
        "-p",
        "7",
        "-L",
        "127.0.0.1",
    ];
    let endpoints = config_of(&line).server.endpoints;
    let texts: Vec<String> = endpoints.iter().map(Endpoint::to_string).collect();
    assert_eq!(texts, ["127.0.0.1:7", "[::1]:7", "unix:/tmp/x"]);
    assert_eq!(endpoints[2], Endpoint::Unix { path: "/tmp/x".into(), mode: 0o666 });
    let private = config_of(&["-L", "unix:relative", "--unix-mode", "660"]).server.endpoints;
    assert_eq!(private, [Endpoint::Unix { path: "relative".into(), mode: 0o660 }]);
    refused(&["-L", "unix:"], "--listen unix:: the path of a unix socket has 1 to 107 bytes, none of them 0");
    let long = "x".repeat(108);
    let message =
        format!("--listen unix:{long}: the path of a unix socket has 1 to 107 bytes, none of them 0");
    refused(&["-L", &format!("unix:{long}")], &message);
    refused(
        &["--unix-mode", "8"],
        "invalid value '8' for '--unix-mode <MODE>': must be an octal number up to 777",
    );
}

#[test]
fn the_log() {
    let log = |line: &[&str]| config_of(line).log;
    assert_eq!(log(&["--syslog", "-l", "none"]).syslog.as_deref(), Some("ringgear"));
    assert!(config_of(&["--syslog", "-l", "none", "--verbose", "NOTICE"]).server.policy.note_accepted);
    let line = ["--max-log-queue", "65536", "--max-log-repeats", "0"];
    assert_eq!((log(&line).queue_bytes, log(&line).repeats), (65536, 0));
}

#[test]
fn keepalive() {
    assert_eq!(config_of(&["--keepalive"]).server.shard.keepalive, Keepalive::default());
    let line = ["--keepalive-idle", "30", "--keepalive-interval=5", "--keepalive-count", "-1"];
    let keepalive = Keepalive {
        idle: Some(Duration::from_secs(30)),
        interval: Some(Duration::from_secs(5)),
        count: None,
    };
    assert_eq!(config_of(&line).server.shard.keepalive, keepalive);
    assert_eq!(config_of(&["--keepalive-count", "127"]).server.shard.keepalive.count, Some(127));
    for wrong in ["0", "-2", "128", "x"] {
        let message = format!(
            "invalid value '{wrong}' for '--keepalive-count <N>': must be 1 to 127, or -1 for the system's value"
        );
        refused(&["--keepalive-count", wrong], &message);
    }
}

#[test]
fn limits() {
    let line = [
        "--max-packet-size=1000",
        "--max-requests-in-flight=2",
        "--max-unread-bytes=3",
        "--max-outbox-bytes=4",
        "--max-connections=5",
        "--max-queued-bytes=6",
        "--max-functions=7",
        "--max-abilities=8",
        "--finished-memory=9",
    ];
    let Config { server, frontend, .. } = config_of(&line);
    assert_eq!((frontend.packet_max, server.shard.packet_max), (1000, 1000));
    assert_eq!((server.shard.unread_max, server.shard.connections_max), (3, 5));
    let policy = server.policy;
    assert_eq!((policy.requests_in_flight, policy.outbox_bytes, policy.queued_bytes), (2, 4, 6));
    assert_eq!((policy.functions, policy.abilities, policy.finished_memory), (7, 8, 9));
    assert_eq!(config_of(&["--max-queued-bytes", "0"]).server.policy.queued_bytes, u64::MAX);
    refused(
        &["--max-packet-size", "2147483648"],
        "invalid value '2147483648' for '--max-packet-size <BYTES>': 2147483648 is not in 1..=2147483647",
    );
}

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
        &["-q", "postgres", "--durability", "memory"],
        "-q postgres is no store that this server has: builtin (with --data-dir for a log) and libsqlite3 are",
    );
    refused(
        &["-q", "libsqlite3", "--data-dir", "d"],
        "--data-dir and -q each name a store: there can be one",
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
    refused(&["-q", "libsqlite3"], "-q libsqlite3 needs --libsqlite3-db FILE");
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
        (["--durability", "written"], "--durability written is for --data-dir: -q libsqlite3 always syncs"),
        (
            ["--durability", "memory"],
            "--durability memory is for --data-dir: with -q libsqlite3 it is --store-queue-on-shutdown",
        ),
        (["--max-log-bytes", "1"], "--max-log-bytes is for --data-dir: -q libsqlite3 keeps no log"),
    ] {
        refused(&[&database[..], &line].concat(), message);
    }
}

#[test]
fn mistakes_are_one_line() {
    refused(&["--bogus"], "unexpected argument '--bogus' found");
    refused(&["-v"], "unexpected argument '-v' found");
    refused(&["foo"], "unexpected argument 'foo' found");
    refused(&["--thread=3"], "unexpected argument '--thread' found");
    refused(&["-p"], "a value is required for '--port <PORT>' but none was supplied");
    refused(&["-p", "1", "-p", "2"], "the argument '--port <PORT>' cannot be used multiple times");
    refused(&["-R", "-R"], "the argument '--round-robin' cannot be used multiple times");
    refused(&["-t", "257"], "invalid value '257' for '--threads <N>': 257 is not in 0..=256");
    refused(&["-t", "x"], "invalid value 'x' for '--threads <N>': invalid digit found in string");
    refused(&["--compat", "3"], "invalid value '3' for '--compat <VERSION>': must be 1.1, 2.0, 2.1 or 2.2");
    refused(&["-p", "x y"], "--port x y is neither a number up to 65535 nor a service in /etc/services");
}

#[test]
fn version_and_help_are_texts() {
    let Asked::Text(text) = read_line(&["-V"]).unwrap() else { panic!("no text") };
    assert_eq!(text, format!("\nringgear {VERSION} - https://github.com/ringgear/ringgear\n"));
    let Asked::Text(help) = read_line(&["--help"]).unwrap() else { panic!("no text") };
    for flag in ["--port", "-L, --listen", "--max-queued-bytes", "--compat", "-h, --help", "-V, --version"] {
        assert!(help.contains(flag), "{flag}\n{help}");
    }
}
