//! What flags mean. How the program prints mistakes is in `tests/commandline.rs`.
use super::*;
use crate::frontend::VERSION;
use crate::process::PidPath;
use crate::shard::options::{Endpoint, Keepalive};
use std::time::Duration;

pub(super) fn read_line(line: &[&str]) -> Result<Invocation, Mistake> {
    read_with(line, Path::new("/nonexistent/gearmand.conf"))
}

pub(super) fn read_with(line: &[&str], file: &Path) -> Result<Invocation, Mistake> {
    read_as(CalledAs::Ringgear, line, file)
}

pub(super) fn read_as(called: CalledAs, line: &[&str], file: &Path) -> Result<Invocation, Mistake> {
    invocation(
        line.iter().map(OsString::from),
        &Surroundings { called, port: None, tls: TlsVariables::default(), runtime: None, file },
    )
}

#[track_caller]
pub(super) fn config_of(line: &[&str]) -> Config {
    match read_line(line).unwrap() {
        Invocation::Serve(config) => *config,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn refused(line: &[&str], message: &str) {
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
    flags::command().debug_assert();
}

#[test]
fn the_defaults() {
    let Config { process, server, frontend, log, notices, warnings, .. } = config_of(&[]);
    assert_eq!(warnings, [""; 0]);
    assert_eq!((process, server.descriptors), (ProcessOptions::default(), Descriptors::Most));
    let everywhere = |endpoint: &Endpoint| match endpoint {
        Endpoint::Tcp(address) => address.ip().is_unspecified() && address.port() == 4730,
        Endpoint::Unix { .. } => false,
    };
    assert!(server.endpoints.iter().all(everywhere));
    assert_eq!((server.backlog, server.threads), (1024, 0));
    assert_eq!(log, LoggingOptions::default());
    assert_eq!((frontend.verbosity, frontend.version), ("ERROR", frontend::version(Compat::V1_1)));
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
    let connection_bytes_max = server.shard.connection_bytes_max;
    assert!(
        connection_bytes_max.abs_diff(policy.queued_bytes / 2) <= 1 && policy.function_bytes <= 512 << 20
    );
    let shard = ShardOptions { packet_max: 256 << 20, connection_bytes_max, ..ShardOptions::default() };
    assert_eq!(server.shard, shard);
    assert!(notices.len() <= 1);
}

#[test]
fn the_limits_are_parts_of_the_memory() {
    let of = |line: &[&str]| {
        let server = config_of(line).server;
        (server.policy.queued_bytes, server.shard.connection_bytes_max, server.policy.function_bytes)
    };
    assert_eq!(of(&["--max-memory", "800"]), (400, 200, 100));
    assert_eq!(of(&["--max-memory", "0"]), (u64::MAX, u64::MAX, 512 << 20));
    let given =
        ["--max-memory=800", "--max-queued-bytes=7", "--max-connection-bytes=8", "--max-function-bytes=9"];
    assert_eq!(of(&given), (7, 8, 9));
    assert_eq!(of(&["--max-memory=800", "--max-connection-bytes=0"]).1, u64::MAX);
}

#[test]
fn all_ways_to_write_a_flag() {
    for line in [&["-p", "99"][..], &["-p99"], &["--port", "99"], &["--port=99"]] {
        assert_eq!(ports_of(line)[0], 99, "{line:?}");
    }
    assert!(config_of(&["-R", "--exceptions"]).server.policy.round_robin);
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
            let message = format!(
                "--job-retries {retries} is not within -1 to 255, as --compat 2.1 and later want it; say -1 for no limit"
            );
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
        "--job-handle-prefix: a job handle prefix has at most 44 bytes, this one has 45; choose a shorter one",
    );
    refused(
        &["--job-handle-prefix", "a b"],
        "--job-handle-prefix: blanks and control characters cannot stand in a job handle, of which reports make words; write \
         others in their place",
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
    refused(
        &["-L", "unix:"],
        "--listen unix:: the path of a unix socket has 1 to 107 bytes, none of them 0; choose such a path",
    );
    let long = "x".repeat(108);
    let message = format!(
        "--listen unix:{long}: the path of a unix socket has 1 to 107 bytes, none of them 0; choose such a path"
    );
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
        "invalid value '2147483648' for '--max-packet-size <BYTES>': must be a whole number from 1 to 2147483647",
    );
}

#[test]
fn mistakes_are_one_line() {
    refused(&["--bogus"], "unexpected argument '--bogus' found; --help lists all options");
    refused(&["-x"], "unexpected argument '-x' found; --help lists all options");
    refused(
        &["--port="],
        "a value is required behind '--port=' but none was supplied; write one, or leave the option out",
    );
    refused(
        &["-q", "libdrizzle"],
        "-q libdrizzle is no store that this server has; choose builtin (with --data-dir DIR for a log), libsqlite3, mysql, postgres, \
         redis or libmemcached",
    );
    refused(
        &["--hashtable-buckets", "0"],
        "invalid value '0' for '--hashtable-buckets <N>': must be a whole number other than 0",
    );
    refused(&["foo"], "unexpected argument 'foo' found; --help lists all options");
    refused(&["--thread=3"], "unexpected argument '--thread' found; --help lists all options");
    refused(&["-p"], "a value is required for '--port <PORT>' but none was supplied");
    refused(
        &["-p", "1", "-p", "2"],
        "the argument '--port <PORT>' cannot be used multiple times; leave one of them out",
    );
    refused(
        &["-R", "-R"],
        "the argument '--round-robin' cannot be used multiple times; leave one of them out",
    );
    refused(&["--round-robin=yes"], "unexpected value 'yes' for '--round-robin' found; leave it out");
    for wrong in ["x", "1.5", " 3", "-1", "4294967296", "99999999999999999999"] {
        let message = format!(
            "invalid value '{wrong}' for '--threads <N>': must be a whole number from 0 to 4294967295"
        );
        refused(&["-t", wrong], &message);
    }
    refused(&["-j", "x"], "invalid value 'x' for '--job-retries <N>': must be a whole number");
    refused(
        &["--max-memory", "-1"],
        "invalid value '-1' for '--max-memory <BYTES>': must be a whole number, 0 or more",
    );
    for (compat, number) in [("1.1", "1.1.20"), ("2.0", "2.0.0"), ("2.1", "2.1.0"), ("2.2", "2.2.0")] {
        let ours = format!("{number}+ringgear-{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(config_of(&["--compat", compat]).frontend.version, ours);
    }
    refused(&["--compat", "3"], "invalid value '3' for '--compat <VERSION>': must be 1.1, 2.0, 2.1 or 2.2");
    refused(
        &["-p", "x y"],
        "--port x y is neither a number up to 65535 nor a service in /etc/services; name one of these",
    );
}

#[test]
fn version_and_help_are_texts() {
    let nowhere = Path::new("/nonexistent/gearmand.conf");
    for (called, line, first) in [
        (CalledAs::Ringgear, &["-V"][..], format!("ringgear {VERSION} - ")),
        (CalledAs::Gearmand, &["-V"], "gearmand 1.1.20 - ".to_owned()),
        (CalledAs::Gearmand, &["--version", "--compat", "2.1"], "gearmand 2.1.0 - ".to_owned()),
    ] {
        let Invocation::Text(text) = read_as(called, line, nowhere).unwrap() else { panic!("no text") };
        assert!(text.starts_with(&format!("\n{first}")), "{text}");
    }
    let Invocation::Text(help) = read_line(&["--help"]).unwrap() else { panic!("no text") };
    for flag in ["--port", "-L, --listen", "--max-queued-bytes", "--compat", "-h, --help", "-V, --version"] {
        assert!(help.contains(flag), "{flag}\n{help}");
    }
}

#[test]
fn more_talk() {
    let level_of = |line: &[&str]| config_of(line).log.level;
    assert_eq!(level_of(&["-v"]), Level::Notice);
    assert_eq!(level_of(&["-vv"]), Level::Info);
    assert_eq!(level_of(&["-v", "-v", "-v"]), Level::Debug);
    assert_eq!(level_of(&["-vvvvvvvv"]), Level::Debug);
    assert_eq!(level_of(&["-v", "--verbose", "DEBUG"]), Level::Debug);
    assert_eq!(level_of(&["-vv", "--verbose", "FATAL"]), Level::Info);
    let config = config_of(&["-v"]);
    assert_eq!(config.frontend.verbosity, "NOTICE");
    assert!(config.server.policy.note_accepted);
}

#[test]
fn the_process() {
    let line = ["-d", "-P", "pid", "-u", "gearman", "-f", "100", "--coredump", "--hashtable-buckets", "5"];
    let Config { process, server, log, .. } = config_of(&line);
    let pid_file = Some(PidPath { path: "pid".into(), required: true });
    let user = Some("gearman".to_owned());
    let expected = ProcessOptions { descriptors: Some(100), user, core_dump: true, daemon: true, pid_file };
    assert_eq!((process, server.descriptors), (expected, Descriptors::AsSet));
    assert_eq!(log.target, Target::File("/var/log/gearmand.log".into()));
    let config = config_of(&["--daemon", "-l", "stderr", "-f0"]);
    let pid_file = Some(PidPath { path: "/var/gearmand.pid".into(), required: false });
    assert_eq!(config.process, ProcessOptions { daemon: true, pid_file, ..ProcessOptions::default() });
    assert_eq!((config.log.target, config.server.descriptors), (Target::Stderr, Descriptors::Most));
    assert_eq!(config_of(&["-P", "", "-u", ""]).process, ProcessOptions::default());
}

/// Each option of gearmand 1.1.20, and those that other builds have for other stores, is known.
#[test]
fn every_option_of_gearmand_is_known() {
    let mut command = flags::command();
    command.build();
    let known = |name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
    for name in file::GEARMANDS {
        assert!(known(name), "--{name}");
    }
    for short in "bdfhjlLPpqrRtuVw".chars() {
        assert!(command.get_arguments().any(|arg| arg.get_short() == Some(short)), "-{short}");
    }
}

#[test]
fn what_is_not_there_yet_is_refused() {
    let stores = [("--libtokyocabinet-file", "Tokyo Cabinet"), ("--libdrizzle-host", "drizzle")];
    for (option, store) in stores {
        let refusal = format!(
            "{option} cannot be used: this server has no {store} store yet; keep jobs with --data-dir DIR, or with -q libsqlite3, \
             mysql, postgres or redis, and leave the options of the other store out; `ringgear store import` takes what is there"
        );
        refused(&[option, "x"], &refusal);
        refused(&["--check-args", option, "x"], &refusal);
    }
}

#[test]
fn gearmands_http_has_a_port_of_its_own() {
    let port = |line: &[&str]| config_of(line).server.control.gateway;
    assert_eq!((port(&[]), port(&["-r", "http"])), (None, Some(8080)));
    assert_eq!(port(&["--protocol=HTTP", "--http-port", "0"]), Some(0));
    refused(
        &["--http-port=80"],
        "--http-port has no effect without --protocol http; add --protocol http, or leave it out",
    );
    refused(
        &["-r", "gopher"],
        "--protocol gopher: the only protocol beside Gearman's own is http; say http, or leave it out",
    );
    refused(
        &["-r", "http", "--http-port", "99999"],
        "--http-port 99999 is neither a number up to 65535 nor a service in /etc/services; name one of these",
    );
}

/// It is plain, and where everything else is not there is no place for it.
#[test]
fn gearmands_http_needs_a_plain_address() {
    let nowhere = "--protocol http opens nothing: it is HTTP without TLS at the addresses where jobs are taken without TLS, and there is none; \
                   add one, as in --listen localhost?plain, say --http-tls, or leave --protocol http out and submit over HTTP with --control";
    for place in ["unix:/tmp/none", "127.0.0.1?admin,port=4731"] {
        refused(&["-r", "http", "-L", place], nowhere);
    }
    let both = config_of(&["-r", "http", "-L", "127.0.0.1", "-L", "unix:/tmp/none"]);
    assert_eq!(both.server.control.gateway, Some(8080));
}

/// F28.
#[test]
fn attempts_that_mean_something_else_elsewhere_are_told() {
    let warnings = |compat, retries| {
        config_of(&["--compat", compat, &format!("--job-retries={retries}")]).warnings.concat()
    };
    for compat in ["1.1", "2.0"] {
        assert_eq!(
            warnings(compat, "-1"),
            format!(
                "--job-retries -1 means 255 attempts with --compat {compat}; for no limit, as from 2.1 on, say 0, or \
                 follow 2.1 (--compat 2.1)"
            )
        );
        assert!(warnings(compat, "0").contains(" 0 means no limit with "));
        assert!(warnings(compat, "257").contains(" 257 means one attempt with "));
        assert_eq!(warnings(compat, "1"), "");
        assert_eq!(warnings(compat, "255"), "");
    }
    for compat in ["2.1", "2.2"] {
        assert_eq!(warnings(compat, "-1") + &warnings(compat, "1") + &warnings(compat, "255"), "");
        assert_eq!(
            warnings(compat, "0"),
            format!(
                "--job-retries 0 means one attempt with --compat {compat}; for no limit, as before 2.1, say -1, and for one \
                 attempt 1"
            )
        );
    }
    assert_eq!(config_of(&["--compat", "1.1"]).warnings, [""; 0]);
}

#[test]
fn a_value_that_is_no_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let line = [OsString::from("-R"), "--verbose".into(), OsString::from_vec(vec![b'x', 0xff])];
    let surroundings = Surroundings {
        called: CalledAs::Ringgear,
        port: None,
        tls: TlsVariables::default(),
        runtime: None,
        file: Path::new("/nonexistent/gearmand.conf"),
    };
    let mistake = invocation(line.into_iter(), &surroundings).unwrap_err().to_string();
    assert_eq!(mistake, "the value of --verbose is not UTF-8; write it so");
}
