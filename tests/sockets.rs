//! How sockets are served, wherever the server is started: under filters of system calls that forbid io_uring or a part of it,
//! with little memory to lock, with threads that may not be bound to cores. Each time it serves, and says how and why; or, where
//! the operator leaves no choice, it says what stands in the way.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::Command;
use std::sync::LazyLock;
use support::filter::refused;
use support::packets::*;
use support::server::*;

/// A client submits a job, a worker does it, the client gets the result; small and large.
#[track_caller]
fn serves(server: &Server) {
    let (mut client, mut worker) = (server.connect(), server.connect());
    worker.write_all(&request(CAN_DO, b"reverse")).unwrap();
    for size in [10, 3 << 20] {
        let workload = vec![b'w'; size];
        client.write_all(&request(SUBMIT_JOB, &[b"reverse\0\0", &workload[..]].concat())).unwrap();
        let (number, handle) = read_packet(&mut client);
        assert_eq!(number, JOB_CREATED);
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(
            read_packet(&mut worker),
            (JOB_ASSIGN, [&handle[..], b"\0reverse\0", &workload[..]].concat())
        );
        let result = [&handle[..], b"\0", &workload[..]].concat();
        worker.write_all(&request(WORK_COMPLETE, &result)).unwrap();
        assert_eq!(read_packet(&mut client), (WORK_COMPLETE, result));
    }
}

const NOTICE: [&str; 2] = ["--verbose", "NOTICE"];
const URING: [i64; 3] = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Runs a program as engines for containers do, or with some calls refused.
const PROFILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/packages/profile.py");

/// The interpreter itself: what stands before it on the PATH may be a script, which takes longer than the server's start.
fn python() -> &'static str {
    static FOUND: LazyLock<String> = LazyLock::new(|| {
        let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let found = found.expect("python3 is there: apt-get install python3").stdout;
        String::from_utf8(found).unwrap().trim().to_owned()
    });
    &FOUND
}

/// What filters do to io_uring: which calls they refuse and how, and what the log says of it.
const FORBIDDEN: [(&[i64], i32, &str); 5] = [
    (&URING, libc::EPERM, "io_uring_setup is forbidden"),
    (&URING, libc::ENOSYS, "the kernel has no io_uring_setup"),
    (&[libc::SYS_io_uring_setup], libc::EACCES, "io_uring_setup is forbidden"),
    (&[libc::SYS_io_uring_enter], libc::EPERM, "io_uring_enter is forbidden"),
    (&[libc::SYS_io_uring_register], libc::EPERM, "io_uring_register is forbidden"),
];

#[test]
fn where_io_uring_is_forbidden_sockets_are_served_by_epoll() {
    for (calls, error, why) in FORBIDDEN {
        for threads in ["1", "3"] {
            let options = [&["--sockets", "auto", "--threads", threads][..], &NOTICE].concat();
            let server = refused(calls, error, || Server::start(&options));
            serves(&server);
            let log = server.log();
            let says =
                log.contains("sockets are served by epoll, io_uring cannot be used") && log.contains(why);
            assert!(says, "{why}: {log}");
        }
    }
}

#[test]
fn whoever_insists_on_io_uring_hears_what_it_needs() {
    for (calls, error, _) in FORBIDDEN {
        let options = ["--sockets", "uring"];
        let ended = refused(calls, error, || run_to_end(&[], free_address(), &options));
        let printed = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(69), "{printed}");
        assert!(printed.contains("ringgear: io_uring cannot be used here"), "{printed}");
        assert!(printed.contains("--sockets auto"), "{printed}");
    }
}

#[test]
fn each_way_can_be_asked_for() {
    for (how, says) in [("uring", "sockets are served by io_uring"), ("epoll", "sockets are served by epoll")]
    {
        let server = Server::start(&[&["--sockets", how, "--threads", "2"][..], &NOTICE].concat());
        serves(&server);
        assert!(server.log().contains(says), "{}", server.log());
    }
}

/// Becomes an ordinary user, where the test is root, who may lock so much memory.
fn ordinary(memory: &str) -> Vec<String> {
    let mut words = vec!["prlimit".to_owned(), format!("--memlock={memory}:{memory}")];
    if rustix::process::geteuid().is_root() {
        words.extend(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned));
    }
    words
}

#[track_caller]
fn start_ordinary(memory: &str, options: &[&str]) -> Server {
    let words = ordinary(memory);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Server::start_by(&words, options)
}

#[test]
fn an_ordinary_user_with_many_threads_needs_no_memory_to_lock() {
    // 64 KiB are what many containers have, 8 MiB what the kernel gives.
    for memory in ["65536", "524288", "8388608"] {
        let options = [&["--sockets", "auto", "--threads", "64"][..], &["--verbose", "NOTICE"]].concat();
        let server = start_ordinary(memory, &options);
        serves(&server);
        let log = server.log();
        assert!(log.contains("sockets are served by epoll") && log.contains("RLIMIT_MEMLOCK"), "{log}");
        assert!(
            !log.contains("sockets of this thread"),
            "it was known before the threads were started: {log}"
        );
    }
}

/// Two servers of one user share what it may lock.
#[test]
fn a_second_server_of_a_user_starts_too() {
    let options = ["--sockets", "auto", "--threads", "8", "--verbose", "NOTICE"];
    let servers = [start_ordinary("8388608", &options), start_ordinary("8388608", &options)];
    servers.iter().for_each(serves);
}

#[test]
fn threads_that_may_not_be_bound_to_cores_run_on_any() {
    for how in ["auto", "uring", "epoll"] {
        for threads in ["1", "3"] {
            let options = [&["--sockets", how, "--threads", threads][..], &["--verbose", "WARNING"]].concat();
            let start = || Server::start(&options);
            let server = refused(&[libc::SYS_sched_setaffinity], libc::EPERM, start);
            serves(&server);
            let log = server.log();
            assert_eq!(log.matches("threads cannot be bound to cores").count(), 1, "{log}");
            assert!(log.contains("sched_setaffinity"), "{log}");
        }
    }
    let neither = [libc::SYS_sched_setaffinity, libc::SYS_sched_getaffinity];
    serves(&refused(&neither, libc::ENOSYS, || Server::start(&["--threads", "2"])));
}

#[test]
fn more_threads_than_cores_are_started_and_warned_of() {
    let server = Server::start(&["--threads", "100", "--verbose", "WARNING"]);
    serves(&server);
    let log = server.log();
    assert!(log.contains("more threads than cores do not help"), "{log}");
}

#[test]
fn too_few_threads_are_told() {
    // Of a user that no other test has.
    let mut wrapper = vec!["prlimit", "--nproc=20:20"];
    if rustix::process::geteuid().is_root() {
        wrapper.extend(["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups"]);
    }
    for how in ["auto", "epoll"] {
        let ended = run_to_end(&wrapper, free_address(), &["--threads", "64", "--sockets", how]);
        let printed = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(71), "{printed}");
        assert!(printed.contains("ringgear: cannot start a thread"), "{printed}");
        assert!(printed.contains("RLIMIT_NPROC"), "{printed}");
    }
}

/// All of it at once, with the defaults, as the first command of the README starts it: here, and on a machine of 64 cores. With
/// io_uring allowed it is the memory that decides.
#[test]
fn the_defaults_start_where_everything_is_forbidden() {
    const PINNING: [i64; 1] = [libc::SYS_sched_setaffinity];
    let all = [&URING[..], &PINNING, &[libc::SYS_epoll_pwait2]].concat();
    for threads in [&[][..], &["--threads", "64"]] {
        let options = [threads, &["--sockets", "auto"], &NOTICE].concat();
        for calls in [&all[..], &PINNING] {
            let server = refused(calls, libc::EPERM, || start_ordinary("65536", &options));
            serves(&server);
            let log = server.log();
            let why = if calls == PINNING { "RLIMIT_MEMLOCK" } else { "io_uring_setup is forbidden" };
            let says =
                log.contains("sockets are served by epoll, io_uring cannot be used") && log.contains(why);
            assert!(says, "{why}: {log}");
            assert_eq!(log.matches("threads cannot be bound to cores").count(), 1, "{log}");
            assert!(!log.contains("panicked"), "{log}");
        }
    }
}

/// As engines for containers start it.
#[test]
fn under_the_usual_profile_of_containers_sockets_are_served_by_epoll() {
    for threads in ["1", "3"] {
        let options = [&["--sockets", "auto", "--threads", threads][..], &NOTICE].concat();
        let server = Server::start_by(&[python(), PROFILE], &options);
        serves(&server);
        let log = server.log();
        assert!(log.contains("sockets are served by epoll") && log.contains("forbidden"), "{log}");
    }
    let ended = run_to_end(&[python(), PROFILE], free_address(), &["--sockets", "uring"]);
    assert_eq!(ended.status.code(), Some(69), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// What libraries, the runtime and the server itself ask of the system before the first socket.
const ASKED: [i64; 28] = [
    libc::SYS_clone,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_getrandom,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_mremap,
    libc::SYS_pipe2,
    libc::SYS_ppoll,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_timerfd_create,
    libc::SYS_uname,
];

/// Either a server, or a sentence that says what cannot be: never a panic, whatever is refused.
#[test]
fn whatever_a_start_is_refused_it_serves_or_says_why_not() {
    std::thread::scope(|scope| {
        for how in ["auto", "epoll"] {
            scope.spawn(move || {
                for call in ASKED {
                    for error in [libc::EPERM, libc::ENOSYS] {
                        serves_or_says_why_not(how, call, error);
                    }
                }
            });
        }
    });
}

#[track_caller]
fn serves_or_says_why_not(how: &str, call: i64, error: i32) {
    let mut calls = call.to_string();
    if call == libc::SYS_clone {
        calls += &format!(",{}", libc::SYS_clone3);
    }
    let error = error.to_string();
    let wrapper = [python(), PROFILE, "--only", &calls, &error];
    match Server::try_start(&wrapper, &["--sockets", how, "--threads", "2"]) {
        Ok(server) => echo(&mut server.connect(), b"served"),
        Err((status, printed)) => {
            // There may be a line before, which says that there is no log.
            let last = printed.lines().last().unwrap_or_default();
            let sentence = printed.lines().count() <= 2 && last.contains("ringgear: cannot ");
            assert!(
                sentence && !printed.contains("panicked") && status.code().is_some(),
                "calls {calls} with {error} by {how}: {status}: {printed}"
            );
        }
    }
}

/// What is asked for on the command line and cannot be.
#[test]
fn another_word_is_refused() {
    let ended = run_to_end(&[], free_address(), &["--sockets", "poll"]);
    assert_eq!(ended.status.code(), Some(1));
    let printed = String::from_utf8(ended.stderr).unwrap();
    assert!(printed.contains("--sockets") && printed.contains("must be auto, uring or epoll"), "{printed}");
}
