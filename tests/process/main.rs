//! The process around the server, seen from outside: daemon, pid file, user, limits, configuration file, service manager,
//! installation. What each option means is tested beside `src/config/mod.rs`, what is printed in `commandline.rs`.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod daemon;
mod install;
mod manager;
mod user;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::scratch::Scratch;
use support::server::{PATIENCE, PORT_TAKEN, free_address, run_to_end, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringgear");

/// A daemon, known by its number: it is nobody's child. Ends with its handle.
#[derive(Debug)]
struct Daemon {
    pid: u32,
}

impl Daemon {
    /// Starts one with the wrapper's help, on a free port.
    fn start(wrapper: &[&str], options: &[&str]) -> Daemon {
        let options = [&["-d", "-t", "1"], options].concat();
        Daemon::start_by(|address| run_to_end(wrapper, address, &options))
    }

    /// The same, started in some way at the address that is named.
    fn start_by(start: impl Fn(SocketAddr) -> Output) -> Daemon {
        loop {
            let address = free_address();
            let output = start(address);
            if output.status.code() == Some(PORT_TAKEN) {
                continue;
            }
            let printed = text(&output.stderr);
            assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""), "{printed}");
            // It listens: nobody waits here.
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            return Daemon { pid: pid_of(&mut stream) };
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.process(), signal).unwrap();
    }

    fn process(&self) -> Pid {
        Pid::from_raw(self.pid.try_into().unwrap()).unwrap()
    }

    /// Whoever has taken it over may not have looked yet.
    fn is_gone(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        test_kill_process(self.process()).is_err() || stat.contains(") Z ")
    }

    /// A file of `/proc` about it.
    fn proc(&self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !self.is_gone() {
            let _ = kill_process(self.process(), Signal::KILL);
        }
    }
}

/// The number that a server gives itself.
fn pid_of(stream: &mut TcpStream) -> u32 {
    use std::io::{Read, Write};
    stream.write_all(b"getpid\n").unwrap();
    let mut answer = String::new();
    while !answer.ends_with('\n') {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0].into());
    }
    answer.strip_prefix("OK ").unwrap().trim().parse().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that is to end by itself.
fn run(command: &mut Command) -> Output {
    command.env_remove("GEARMAND_PORT").stdin(Stdio::null()).output().unwrap()
}

/// A folder that everybody may write to.
fn open_folder() -> Scratch {
    let folder = Scratch::new();
    fs::set_permissions(folder.file(""), fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// Other users cannot see into every folder, so they get a copy.
fn copy_for_others(folder: &Scratch) -> String {
    let copy = folder.path("ringgear");
    fs::copy(PROGRAM, &copy).unwrap();
    copy
}

/// Switching users, and folders of one's own where others have theirs, need it.
fn assert_root() {
    assert!(rustix::process::geteuid().is_root(), "this test switches users: run it as root");
}
