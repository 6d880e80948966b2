//! Configuration files, and what else happens to words before they are flags.
use crate::config::tests::{config_of, read_line, read_with, refused};
use crate::config::{Config, Invocation};
use crate::engine::Wakeup;
use crate::logging::{Level, LoggingOptions, Target};
use crate::shard::options::Endpoint;
use std::num::NonZeroU8;
use std::path::PathBuf;

fn port_of(endpoints: &[Endpoint]) -> u16 {
    match endpoints {
        [Endpoint::Tcp(address), ..] => address.port(),
        other => panic!("{other:?}"),
    }
}

/// A configuration file of its own.
struct ConfigFile(PathBuf);

impl ConfigFile {
    fn of(text: &str) -> ConfigFile {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringgear-config-{}-{number}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        ConfigFile(path)
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[track_caller]
fn with_file(text: &str, line: &[&str]) -> Config {
    let file = ConfigFile::of(text);
    let option = format!("--config-file={}", file.0.display());
    match read_line(&[&[option.as_str()], line].concat()).unwrap() {
        Invocation::Serve(config) => *config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_from_a_file() {
    let text = "# comment with port=1\nport=2\r\n--port=3 -t 2\n\n-R\n--verbose INFO\n--log-file=x y 'z'\n-- --bogus";
    let Config { server, log, .. } = with_file(text, &[]);
    assert_eq!((port_of(&server.endpoints), server.threads, server.policy.round_robin), (3, 2, true));
    let expected = LoggingOptions { target: Target::File("x".into()), level: Level::Info, ..log.clone() };
    assert_eq!(log, expected);
    // The command line goes first, whichever way it is written.
    let Config { server, log, .. } = with_file("-dRp1 --threads=3 -v", &["--port", "5", "-vvv"]);
    assert_eq!((port_of(&server.endpoints), server.threads, log.level), (5, 3, Level::Debug));
    assert!(server.policy.round_robin);
    // Negative numbers are values.
    assert_eq!(
        with_file("-w -1\n--keepalive-idle -1", &[]).server.policy.wakeup,
        Wakeup::AtMost(NonZeroU8::MAX)
    );
}

#[test]
fn names_in_a_file_may_be_short() {
    let Config { process, server, log, .. } = with_file("--por 7\n--d\n--lo=a\n--f=9", &[]);
    assert_eq!((port_of(&server.endpoints), log.target), (7, Target::File("a".into())));
    // There are names of ours that begin like these.
    assert!(process.daemon);
    assert_eq!(process.descriptors, Some(9));
    assert_eq!(with_file("--dead 3", &[]).server.policy.dead_jobs, 3);
}

#[track_caller]
fn file_refused(text: &str, line: usize, message: &str) {
    let file = ConfigFile::of(text);
    let path = file.0.display().to_string();
    let mistake = read_line(&["--config-file", &path]).unwrap_err().to_string();
    assert_eq!(mistake, format!("{path}, line {line}: {message}"), "{text:?}");
}

#[test]
fn mistakes_in_a_file() {
    file_refused("--bogus", 1, "unexpected argument '--bogus' found; --help lists all options");
    file_refused(
        "-R\n\n# see --bogus\n-x",
        3,
        "unexpected argument '--bogus' found; --help lists all options",
    );
    file_refused("-Rx", 1, "unexpected argument '-x' found; --help lists all options");
    file_refused("--l x", 1, "unexpected argument '--l' found; --help lists all options");
    file_refused("--threads\t4", 1, "unexpected argument '--threads\t4' found; --help lists all options");
    file_refused(
        "-p 1\r\n-R\r\n--port=2 -d",
        3,
        "the argument '--port <PORT>' cannot be used multiple times; leave one of them out",
    );
    file_refused("-d\n--port", 2, "a value is required for '--port <PORT>' but none was supplied");
    let only_on_the_line = "cannot stand in a configuration file; say it on the command line";
    file_refused("--check-args", 1, &format!("--check-args {only_on_the_line}"));
    file_refused("-d\n--config-file x", 2, &format!("--config-file {only_on_the_line}"));
    file_refused("--con x", 1, &format!("--config-file {only_on_the_line}"));
    file_refused(
        "-d\n-t\nx",
        2,
        "invalid value 'x' for '--threads <N>': must be a whole number from 0 to 4294967295",
    );
}

/// What is wrong only with what a value means, or with what else was given, too.
#[test]
fn values_are_blamed_on_their_line() {
    file_refused(
        "-d\n--por 99999",
        2,
        "--port 99999 is neither a number up to 65535 nor a service in /etc/services; name one of these",
    );
    file_refused(
        "\n\n-t 300",
        3,
        "--threads 300: there can be 255 at most, and more than there are cores do not help; 0 is one for each core",
    );
    file_refused(
        "-R\n-L unix:",
        2,
        "--listen unix:: the path of a unix socket has 1 to 107 bytes, none of them 0; choose such a path",
    );
    file_refused(
        "--compat=2.1\n-j 256",
        2,
        "--job-retries 256 is not within -1 to 255, as --compat 2.1 and later want it; say -1 for no limit",
    );
    file_refused(
        "-R\n--max-log-bytes=1",
        2,
        "--max-log-bytes limits a log that is not kept: add --data-dir DIR",
    );
    file_refused(
        "\n--job-handle-prefix=a\u{1}",
        2,
        "--job-handle-prefix: blanks and control characters cannot stand in a job handle, of which reports make words; write \
         others in their place",
    );
    for (option, name) in [("-q bogus", "q"), ("-L a..b", "listen")] {
        let file = ConfigFile::of(&format!("-R\n{option}"));
        let path = file.0.display().to_string();
        let mistake = read_line(&["--config-file", &path]).unwrap_err().to_string();
        assert!(mistake.starts_with(&format!("{path}, line 2: -")) && mistake.contains(name), "{mistake}");
    }
    // The command line goes before the file, so the file is not to blame.
    let file = ConfigFile::of("-p 99999");
    let path = file.0.display().to_string();
    let mistake = read_line(&["--config-file", &path, "-p", "88888"]).unwrap_err().to_string();
    assert!(mistake.starts_with("--port 88888 is neither"), "{mistake}");
    // What is found out later can be told where it is from.
    let config = with_file("-R\n--user=nobody\n", &[]);
    assert!(config.origins.told(&["user", "listen"]).ends_with(", line 2)"), "{:?}", config.origins);
    assert!(with_file("-j -1", &[]).warnings.concat().ends_with(", line 1)"));
    let retries = with_file("-R\n--compat=2.1\n-j0", &[]).warnings.concat();
    assert!(retries.contains("(--job-retries is from ") && retries.ends_with(", line 3)"), "{retries}");
    // Each of several has its own line.
    file_refused(
        "-L 127.0.0.1\n--listen=unix:",
        2,
        "--listen unix:: the path of a unix socket has 1 to 107 bytes, none of them 0; choose such a path",
    );
    let log = with_file("-R\n--log-file=x", &[]).log.target_from;
    assert!(log.starts_with("--log-file from ") && log.ends_with(", line 2"), "{log}");
    assert_eq!(with_file("-R", &["-l", "x"]).log.target_from, "--log-file");
    assert_eq!(with_file("-d", &[]).log.target_from, "where --daemon logs without --log-file");
}

#[test]
fn mistakes_about_files() {
    refused(
        &["--config-file=/nonexistent/file"],
        "cannot read the configuration file /nonexistent/file: No such file or directory (os error 2); name one that can be \
         read, or none",
    );
    refused(&["@"], "unexpected argument '@' found; --help lists all options");
    let mistake = read_line(&["@/dev/zero"]).unwrap_err().to_string();
    assert!(mistake.starts_with("cannot read the configuration file /dev/zero: "), "{mistake}");
}

#[test]
fn a_file_is_found_in_three_ways() {
    let file = ConfigFile::of("--port=9");
    let at = format!("@{}", file.0.display());
    let port = |asked| match asked {
        Ok(Invocation::Serve(config)) => port_of(&config.server.endpoints),
        other => panic!("{other:?}"),
    };
    assert_eq!(port(read_line(&["-R", &at])), 9);
    assert_eq!(port(read_with(&[], &file.0)), 9);
    assert_eq!(port(read_with(&["--config-file", "/dev/null"], &file.0)), 4730);
    // None, as with gearmand.
    assert_eq!(port(read_with(&["--config-file", ""], &file.0)), 4730);
    refused(
        &[&at, &at],
        "the argument '--config-file <FILE>' cannot be used multiple times; leave one of them out",
    );
    // It is a value here.
    let config = config_of(&["--log-file", &at]);
    assert_eq!(config.log.target, Target::File(at.into()));
}

#[test]
fn a_check_ends_without_a_server() {
    let check = |line: &[&str]| matches!(read_line(line), Ok(Invocation::Check));
    assert!(check(&["--check-args"]));
    assert!(check(&["--check-args", "--version"]));
    assert!(check(&["--check-args", "-L", "no such host"]));
    refused(&["--check-args", "--bogus"], "unexpected argument '--bogus' found; --help lists all options");
}
