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
    let expected =
        LoggingOptions { target: Target::File("x".into()), level: Level::Info, ..LoggingOptions::default() };
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
fn file_refused(text: &str, message: &str) {
    let file = ConfigFile::of(text);
    let path = file.0.display().to_string();
    let mistake = read_line(&["--config-file", &path]).unwrap_err().to_string();
    assert_eq!(mistake, format!("{path}: {message}"), "{text:?}");
}

#[test]
fn mistakes_in_a_file() {
    file_refused("--bogus", "unexpected argument '--bogus' found");
    file_refused("# see --bogus", "unexpected argument '--bogus' found");
    file_refused("-Rx", "unexpected argument '-x' found");
    file_refused("--l x", "unexpected argument '--l' found");
    file_refused("--threads\t4", "unexpected argument '--threads\t4' found");
    file_refused("-p 1 --port=2", "the argument '--port <PORT>' cannot be used multiple times");
    file_refused("--port", "a value is required for '--port <PORT>' but none was supplied");
    file_refused("--check-args", "--check-args cannot stand in a configuration file");
    file_refused("--config-file x", "--config-file cannot stand in a configuration file");
    file_refused("--con x", "--config-file cannot stand in a configuration file");
    file_refused("-t x", "invalid value 'x' for '--threads <N>': invalid digit found in string");
    refused(
        &["--config-file=/nonexistent/file"],
        "cannot read the configuration file /nonexistent/file: No such file or directory (os error 2)",
    );
    refused(&["@"], "unexpected argument '@' found");
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
    refused(&[&at, &at], "the argument '--config-file <FILE>' cannot be used multiple times");
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
    refused(&["--check-args", "--bogus"], "unexpected argument '--bogus' found");
}
