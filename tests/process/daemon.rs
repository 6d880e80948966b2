//! `-d` and the pid file.
use super::*;
use crate::support::server::{Server, echo};
use std::net::TcpListener;
use std::os::unix::fs::symlink;

/// Without waiting for anything, whoever started it finds it there. (That this returns at all shows that nothing of it holds
/// the pipes that the test reads.)
#[test]
fn a_daemon_listens_when_its_start_returns() {
    let folder = Scratch::new();
    let here = ["env", "-C", &folder.path("")];
    let daemon = Daemon::start(&here, &["-P", "pid", "--log-file", "log", "--verbose", "NOTICE"]);
    // Files are found from where it was started, and it stays there.
    let pid_file = folder.file("pid");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", daemon.pid));
    assert_eq!(fs::canonicalize(daemon.proc("cwd")).unwrap(), fs::canonicalize(folder.file("")).unwrap());
    wait_until("the log tells of the start", || {
        fs::read_to_string(folder.file("log")).is_ok_and(|log| log.contains("listening on"))
    });
    // It has left the terminal.
    for standard in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(fs::read_link(daemon.proc(standard)).unwrap(), Path::new("/dev/null"), "{standard}");
    }
    let stat = fs::read_to_string(daemon.proc("stat")).unwrap();
    // After the name in parentheses: state, parent, group, session.
    let session: u32 = stat[stat.rfind(')').unwrap() + 2..].split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, daemon.pid);
    daemon.signal(Signal::TERM);
    wait_until("the daemon ends", || daemon.is_gone());
    assert!(!pid_file.exists());
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    let folder = Scratch::new();
    let pid_file = folder.path("pid");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let output = run_to_end(&[], address, &["-d", "-t1", "-P", &pid_file]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(PORT_TAKEN), "{printed}");
    let sentence = format!("{PROGRAM}: cannot listen on {address}: the port is in use; ");
    assert!(printed.starts_with(&sentence) && printed.lines().count() == 1, "{printed}");

    fs::write(folder.file("file"), "").unwrap();
    let store = folder.path("file");
    let output = run_to_end(&[], free_address(), &["-d", "-t1", "-P", &pid_file, "--data-dir", &store]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{printed}");
    assert!(printed.starts_with(&format!("{PROGRAM}: ")) && printed.contains(&store), "{printed}");

    for options in [&["-d"][..], &[]] {
        let options = [options, &["-t1", "-P", "/nonexistent/pid", "--log-file", "none"]].concat();
        let output = run_to_end(&[], free_address(), &options);
        let message = "cannot write the pid file /nonexistent/pid: No such file or directory (os error 2); choose another place with \
                       --pid-file";
        assert_eq!(text(&output.stderr), format!("{PROGRAM}: {message}\n"));
        assert_eq!(output.status.code(), Some(1));
    }
    assert!(!folder.file("pid").exists());
}

/// It is there after a crash, and replaced at the next start, which finds it whether or not its number is somebody's.
#[test]
fn a_pid_file_of_a_crash_is_replaced() {
    let folder = Scratch::new();
    let path = folder.path("pid");
    let read = || fs::read_to_string(&path).unwrap_or_default();
    let written = |server: &Server| {
        let pid = format!("{}\n", server.pid());
        wait_until("the pid file is there", || read() == pid);
    };
    let mut crashed = Server::start(&["-t", "1", "-P", &path]);
    written(&crashed);
    crashed.signal(Signal::KILL);
    crashed.wait();
    assert_ne!(read(), "");
    fs::write(&path, format!("{}\n", std::process::id())).unwrap();
    let mut next = Server::start(&["-t", "1", "-P", &path]);
    written(&next);
    next.signal(Signal::USR1);
    assert!(next.wait().success());
    assert!(!Path::new(&path).exists());
}

/// gearmand takes the file away from the server that runs, and then finds the port taken.
#[test]
fn a_start_that_fails_leaves_the_pid_file_alone() {
    let folder = Scratch::new();
    let path = folder.path("pid");
    let server = Server::start(&["-t", "1", "-P", &path]);
    let pid = format!("{}\n", server.pid());
    wait_until("the pid file is there", || fs::read_to_string(&path).is_ok_and(|text| text == pid));
    let output = run_to_end(&[], server.address(), &["-d", "-t", "1", "-P", &path]);
    assert_eq!(output.status.code(), Some(PORT_TAKEN), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&path).unwrap(), pid);
    echo(&mut server.connect(), b"undisturbed");
}

/// As people start gearmand: its name, its files, an old option. `/etc` and `/var` are the test's own.
#[test]
fn under_the_name_of_gearmand() {
    assert_root();
    let folder = Scratch::new();
    let gearmand = folder.path("gearmand");
    symlink(PROGRAM, &gearmand).unwrap();
    let script = "mount -t tmpfs tmpfs /var && mkdir /var/log && mount -t tmpfs tmpfs /etc && \
                  echo --threads=1 >/etc/gearmand.conf && exec \"$0\" -d -v -L 127.0.0.1 -p \"$1\"";
    let daemon = Daemon::start_by(|address| {
        let port = address.port().to_string();
        run(Command::new("unshare").args(["--mount", "sh", "-c", script, &gearmand, &port]))
    });
    let var = daemon.proc("root").join("var");
    assert_eq!(fs::read_to_string(var.join("gearmand.pid")).unwrap(), format!("{}\n", daemon.pid));
    wait_until("the log tells of the start", || {
        fs::read_to_string(var.join("log/gearmand.log")).is_ok_and(|log| {
            log.contains("options are read from /etc/gearmand.conf") && log.contains("listening on")
        })
    });

    let output = run(Command::new(&gearmand).arg("--bogus"));
    assert_eq!(
        text(&output.stderr),
        format!("{gearmand}: unexpected argument '--bogus' found; --help lists all options\n")
    );
    assert_eq!(output.status.code(), Some(1));
}
