//! What scripts, service managers and schedulers expect of a program called `gearmand`, and what they put into its environment:
//! versions that are read, options without effect, values that only gearmand takes, names with several addresses; and that
//! every wrong value is blamed on the place where it stands. What differs on purpose is in `process/arguments.rs`.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use support::scratch::Scratch;
use support::server::{Server, echo, free_address, run_to_end, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear");

/// Starts what follows under the name of gearmand.
const AS_GEARMAND: [&str; 4] = ["bash", "-c", "exec -a gearmand \"$@\"", "bash"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command line that starts no server, under this name and with these variables.
fn run(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg0(name).args(arguments).env_remove("GEARMAND_PORT").envs(variables.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

/// F11: three ways of reading, by scripts that are in use.
#[test]
fn scripts_read_the_version() {
    let folder = Scratch::new();
    let link = folder.path("gearmand");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    let said = |script: &str| {
        let output = Command::new("sh").args(["-c", script, &link]).output().unwrap();
        assert!(output.status.success(), "{script}: {output:?}");
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(said("\"$0\" -V | awk '{print $2}'"), "1.1.20");
    assert_eq!(said("\"$0\" --version 2>&1 | grep -o 'gearmand [0-9.]*'"), "gearmand 1.1.20");
    assert_eq!(said("\"$0\" --version | grep -c '^gearmand 1\\.1\\.20 '"), "1");
    // At least 1.0.1.
    said(
        "v=$(\"$0\" --version | sed -n 's/^gearmand \\([^ ]*\\).*/\\1/p'); printf '1.0.1\\n%s\\n' \"$v\" | sort -V -C",
    );
    assert_eq!(said("\"$0\" --compat 2.1 -V | awk '{print $2}'"), "2.1.0");
    // Whose it is can be read as well.
    assert!(said("\"$0\" -V").contains("ringgear"));
    let own = text(&run("ringgear", &["-V"], &[]).stdout);
    assert!(own.trim().starts_with("ringgear "), "{own}");
}

/// F31.
#[test]
fn options_without_effect_are_warnings() {
    let options = [
        "-t",
        "1",
        "--verbose",
        "WARNING",
        "--http-port=5555",
        "--redis-server",
        "h",
        "--libsqlite3-db=/nonexistent/f",
    ];
    let server = Server::start_by(&AS_GEARMAND, &options);
    echo(&mut server.connect(), b"");
    for said in [
        "WARNING ",
        "--http-port has no effect without --protocol http; add --protocol http, or leave it out",
        "--redis-server is about a Redis that nothing uses: add -q redis",
        "--libsqlite3-db names a database that nothing uses: add -q libsqlite3",
    ] {
        wait_until(said, || server.log().contains(said));
    }
    let refused = run("ringgear", &["--check-args", "--http-port=5555"], &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(run("gearmand", &["--check-args", "--http-port=5555"], &[]).status.code(), Some(0));
}

/// F26.
#[test]
fn many_threads_are_as_many_as_there_may_be() {
    let server = Server::start_by(&AS_GEARMAND, &["--threads", "512", "--verbose", "NOTICE"]);
    echo(&mut server.connect(), b"");
    for said in [
        "--threads 512: there are 255, which is the most there can be",
        "more threads than cores do not help",
        "started, threads: 255, cores: ",
    ] {
        wait_until(said, || server.log().contains(said));
    }
}

#[test]
fn more_threads_than_cores_are_a_warning_under_any_name() {
    let threads = (std::thread::available_parallelism().unwrap().get() + 1).to_string();
    let server = Server::start(&["--threads", &threads, "--verbose", "WARNING"]);
    let said = format!("--threads {threads}: more threads than cores do not help");
    wait_until("it is told", || server.log().contains(&said));
    let server = Server::start(&["--threads", "1", "--verbose", "WARNING"]);
    echo(&mut server.connect(), b"");
    assert_eq!(server.log(), "");
}

/// A service called `gearmand` gives each pod of a namespace, and a link each container, `GEARMAND_PORT`.
#[test]
fn variables_of_others_do_not_stop_the_start() {
    let kubernetes = [
        ("GEARMAND_SERVICE_HOST", "10.96.0.17"),
        ("GEARMAND_SERVICE_PORT", "4730"),
        ("GEARMAND_PORT", "tcp://10.96.0.17:4730"),
        ("GEARMAND_PORT_4730_TCP", "tcp://10.96.0.17:4730"),
        ("GEARMAND_PORT_4730_TCP_PROTO", "tcp"),
        ("GEARMAND_PORT_4730_TCP_PORT", "4730"),
        ("GEARMAND_PORT_4730_TCP_ADDR", "10.96.0.17"),
    ];
    for name in ["gearmand", "ringgear"] {
        let output = run(name, &["--check-args"], &kubernetes);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{name}");
    }
    let surroundings = [
        "RINGGEAR_SERVICE_HOST=10.96.0.18",
        "RINGGEAR_PORT=tcp://10.96.0.18:4730",
        "RINGGEAR_PORT_4730_TCP=tcp://10.96.0.18:4730",
        "RINGGEAR_OPTIONS=--bogus",
        "RINGGEAR_THREADS=tcp://10.96.0.18:4730",
        "GEARMAN_PORT=tcp://10.96.0.18:4730",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "LISTEN_FDS=3",
        "LISTEN_PID=1",
        "LISTEN_FDNAMES=x:y:z",
        "WATCHDOG_USEC=soon",
        "WATCHDOG_PID=x",
        "INVOCATION_ID=x",
        "JOURNAL_STREAM=x",
        "CREDENTIALS_DIRECTORY=/nonexistent",
        "TZ=No/Where",
        "LANG=xx_XX",
        "COLUMNS=x",
        "RUST_LOG=(((",
        "TMPDIR=/nonexistent",
    ];
    let long = format!("NOTIFY_SOCKET=/{}", "x".repeat(300));
    for socket in [
        "NOTIFY_SOCKET=",
        "NOTIFY_SOCKET=garbage",
        "NOTIFY_SOCKET=/nonexistent/notify",
        "NOTIFY_SOCKET=@nobody-listens-here",
        "NOTIFY_SOCKET=vsock:2:x",
        &long,
    ] {
        let wrapper = [&["env", socket][..], &surroundings].concat();
        let server = Server::start_by(&wrapper, &["-t", "1"]);
        echo(&mut server.connect(), b"");
    }
}

#[test]
fn a_bad_variable_is_named() {
    let output = run("/usr/sbin/gearmand", &["--check-args"], &[("GEARMAND_PORT", "none")]);
    let said = "/usr/sbin/gearmand: GEARMAND_PORT=none in the environment is neither a number up to 65535 nor a service in \
                /etc/services; set it to one of these, or unset it\n";
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), said.to_owned()));
    // Where the port is given, nobody reads the variable.
    let output = run("gearmand", &["--check-args", "-p", "4731"], &[("GEARMAND_PORT", "none")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// Whoever asks for a server's health has its environment.
#[test]
fn a_ping_reads_the_port_as_the_server_does() {
    let server = Server::start(&["-t", "1"]);
    let port = server.address().port().to_string();
    let ping = |options: &[&str], variables: &[(&str, &str)]| {
        let output = run("ringgear", &[&["ping"], options].concat(), variables);
        (output.status.code(), text(&output.stderr))
    };
    let here = ["-H", "127.0.0.1"];
    assert_eq!(ping(&here, &[("GEARMAND_PORT", &port)]), (Some(0), String::new()));
    assert_eq!(ping(&["-H", "127.0.0.1", "-p", &port], &[("GEARMAND_PORT", "1")]), (Some(0), String::new()));
    // Passed over, and so is asked where nobody is.
    for variable in ["tcp://10.96.0.17:4730", ""] {
        let (status, said) = ping(&["-H", "127.0.0.9", "-t", "1"], &[("GEARMAND_PORT", variable)]);
        assert_eq!(status, Some(1), "{said}");
        assert!(
            said.starts_with("ringgear ping: 127.0.0.9 port 4730: no job server can be reached"),
            "{said}"
        );
    }
    let said = "ringgear ping: GEARMAND_PORT=none in the environment is neither a number up to 65535 nor a service in \
                /etc/services; set it to one of these, or unset it\n";
    assert_eq!(ping(&[], &[("GEARMAND_PORT", "none")]), (Some(2), said.to_owned()));
    let said = "ringgear ping: --port none is neither a number up to 65535 nor a service in /etc/services; name one of these\n";
    assert_eq!(ping(&["-p", "none"], &[]), (Some(2), said.to_owned()));
}

#[test]
fn a_bad_value_of_a_file_is_blamed_on_its_line() {
    let folder = Scratch::new();
    let file = folder.path("gearmand.conf");
    let ends = |content: &str| {
        fs::write(&file, content).unwrap();
        let output = run_to_end(&[], free_address(), &["--config-file", &file, "--log-file", "none", "-t1"]);
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let parsed = ends("# a comment\n\n--backlog=many\n");
    assert!(
        parsed.contains(&format!(": {file}, line 3: invalid value 'many' for '--backlog <N>'")),
        "{parsed}"
    );
    // Of several it is the guilty one.
    fs::write(&file, "-L 127.0.0.1\n-L no.such.host.invalid\n").unwrap();
    let several = text(&run("ringgear", &["--config-file", &file, "-t1"], &[]).stderr);
    assert!(
        several.contains(&format!(": {file}, line 2: --listen no.such.host.invalid has no address")),
        "{several}"
    );
    // What only shows when it is used.
    let user = ends("-R\n--user=no-such-user\n");
    assert!(user.contains(&format!("(--user is from {file}, line 2)")), "{user}");
    let pid_file = ends("--pid-file /nonexistent/pid\n");
    assert!(pid_file.contains(&format!("(--pid-file is from {file}, line 1)")), "{pid_file}");
    let store = ends("\n\n\n--data-dir /proc/none\n");
    assert!(store.contains(&format!("(--data-dir is from {file}, line 4)")), "{store}");
}

/// What stops nothing is blamed on its place, too.
#[test]
fn what_is_doubtful_in_a_file_is_blamed_on_its_line() {
    let folder = Scratch::new();
    let file = folder.path("gearmand.conf");
    fs::write(&file, "-b -1\n-t 512\n--http-port=1\n--libsqlite3-db=x\n").unwrap();
    let server = Server::start_by(&AS_GEARMAND, &["--config-file", &file, "--verbose", "WARNING"]);
    for (said, line) in [
        ("(--backlog is from ", 1),
        ("which is the most there can be (--threads is from ", 2),
        ("0 is one for each core (--threads is from ", 2),
        ("(--http-port is from ", 3),
        ("(--libsqlite3-db is from ", 4),
    ] {
        wait_until(said, || server.log().contains(&format!("{said}{file}, line {line})")));
    }
    // A server that finds its port taken has opened its log before.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fs::write(&file, "\n-l /nonexistent/log\n").unwrap();
    let options = ["--config-file", &file, "-t1", "-L", "127.0.0.1", "-p", &port];
    let printed = text(&run("ringgear", &options, &[]).stderr);
    let said = format!("cannot open log file /nonexistent/log (--log-file from {file}, line 2): ");
    assert!(printed.starts_with(&said), "{printed}");
}

/// A name of a cluster, or of a host with several networks.
#[test]
fn a_name_is_served_where_this_machine_has_it() {
    let folder = Scratch::new();
    let hosts = folder.path("hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n198.51.100.1 many.test far.test\n127.0.0.3 many.test\n").unwrap();
    let script = format!("mount --bind '{hosts}' /etc/hosts && exec \"$@\"");
    let wrapper = ["unshare", "-Urm", "sh", "-c", &script, "sh"];
    let server = Server::start_by(&wrapper, &["-t", "2", "--verbose", "WARNING", "-L", "many.test"]);
    let mut there = TcpStream::connect(("127.0.0.3", server.address().port())).unwrap();
    echo(&mut there, b"");
    let said = "--listen many.test is 198.51.100.1 as well, which this machine does not have: it is not served there";
    wait_until("the other address is told", || server.log().contains(said));
    assert!(server.log().contains("WARNING "), "{}", server.log());
    // If none is here, nothing can be served.
    let output = run_to_end(&wrapper, free_address(), &["-t", "1", "-L", "far.test"]);
    let said = text(&output.stderr);
    assert!(said.contains("cannot listen on 198.51.100.1:") && said.contains("with --listen"), "{said}");
    assert_eq!(output.status.code(), Some(69));
}
