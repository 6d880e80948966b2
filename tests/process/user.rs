//! `-u` and `-f`.
use super::*;
use crate::support::server::{Server, free_address};
use std::os::unix::fs::MetadataExt;

/// The user whom every Linux has.
const NOBODY: u32 = 65534;

fn status_line(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn descriptors(pid: u32) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut fields = line.split_whitespace().map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap())
}

#[test]
fn another_user_for_good() {
    assert_root();
    let folder = open_folder();
    let (log, pid, store) = (folder.path("log"), folder.path("pid"), folder.path("store"));
    let options =
        ["-u", "nobody", "--log-file", &log, "-P", &pid, "--data-dir", &store, "--verbose", "NOTICE"];
    let daemon = Daemon::start(&[], &options);
    let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
    assert_eq!(status_line(daemon.pid, "Uid"), four(NOBODY));
    assert_eq!(status_line(daemon.pid, "Gid"), four(NOBODY));
    assert_eq!(status_line(daemon.pid, "Groups"), "");
    assert_eq!(status_line(daemon.pid, "CapEff"), "0000000000000000");
    for path in [&log, &pid, &store] {
        let owner = fs::metadata(path).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (NOBODY, NOBODY), "{path}");
    }
    daemon.signal(Signal::TERM);
    wait_until("the daemon ends", || daemon.is_gone());
    assert!(!Path::new(&pid).exists());
}

#[test]
fn users_that_cannot_be_had() {
    assert_root();
    let output = run_to_end(&[], free_address(), &["-u", "no-such-user"]);
    assert_eq!(
        text(&output.stderr),
        format!("{PROGRAM}: there is no user no-such-user (--user); make that user, or name another\n")
    );
    assert_eq!(output.status.code(), Some(1));

    let folder = open_folder();
    let copy = copy_for_others(&folder);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", &copy, "-u", "nobody"]);
    let output = run(&mut command);
    let message = "only root can switch to user nobody (--user); start the server as that user";
    assert_eq!(text(&output.stderr), format!("{copy}: {message}\n"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn as_many_descriptors_as_wanted() {
    let start = |wrapper: &[&str], options: &[&str]| {
        let server = Server::start_by(wrapper, &[&["-t", "1"], options].concat());
        descriptors(server.pid())
    };
    let both = |soft: &str, hard: &str| (soft.to_owned(), hard.to_owned());
    assert_eq!(start(&["prlimit", "--nofile=100:300"], &[]), both("300", "300"));
    assert_eq!(start(&["prlimit", "--nofile=100:300"], &["-f", "0"]), both("300", "300"));
    assert_eq!(start(&["prlimit", "--nofile=100:300"], &["-f", "200"]), both("200", "300"));
    // Root may raise the hard limit, though not in every container.
    assert_root();
    let mut attempt = Command::new("prlimit");
    let may = run(attempt.args(["--nofile=100:300", "prlimit", "--nofile=400:400", "true"])).status.success();
    if may {
        assert_eq!(start(&["prlimit", "--nofile=100:300"], &["-f", "400"]), both("400", "400"));
    } else {
        let output = run_to_end(&["prlimit", "--nofile=100:300"], free_address(), &["-f", "400"]);
        assert!(text(&output.stderr).contains("cannot allow 400 file descriptors"));
    }

    let folder = open_folder();
    let copy = copy_for_others(&folder);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups", "prlimit", "--nofile=100:300"]);
    let output = run(command.args([&copy, "-f", "400"]));
    let message = "cannot allow 400 file descriptors (--file-descriptors): Operation not permitted (os error 1); ask for fewer, or \
         start the server as root";
    assert_eq!(text(&output.stderr), format!("{copy}: {message}\n"));
    assert_eq!(output.status.code(), Some(1));
}

/// The server's own sentence, not the runtime's panic.
#[test]
fn too_few_descriptors() {
    let output = run_to_end(&[], free_address(), &["-t", "1", "-f", "20"]);
    let printed = text(&output.stderr);
    assert!(printed.starts_with(&format!("{PROGRAM}: there are too few file descriptors")), "{printed}");
    assert_eq!(output.status.code(), Some(71));
}
