//! The job server under test: one that runs already, or one that is started for the run and ended by its
//! own process id afterwards.
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use crate::args::BECOME;
use crate::machine::cores::pin;
use crate::machine::interrupt;

/// The longest wait for a job server to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A job server that was started here.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    address: SocketAddr,
}

impl Started {
    /// Starts `command`, in which `{port}` stands for a free port of the loopback interface, on `cores` (any
    /// if there are none), and waits until it listens.
    pub(crate) fn start(command: &str, cores: &[usize]) -> io::Result<Started> {
        let port = free_port()?;
        let words = words(&command.replace("{port}", &port.to_string()));
        let mut command = self::command(&words)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        // Ctrl-C goes to a terminal's whole group, and must not take the job server from a run that still ends in order.
        command.process_group(0);
        // A process runs where the thread was that made it, and there is nothing safe to call in between.
        let here = sched_getaffinity(None)?;
        if !cores.is_empty() {
            pin(cores)?;
        }
        let child = command.spawn();
        sched_setaffinity(None, &here)?;
        let child = child.map_err(|error| io::Error::other(format!("{}: {error}", words[0])))?;
        interrupt::end_also(Some(child.id()));
        let mut started = Started { child, address: (Ipv4Addr::LOCALHOST, port).into() };
        started.wait_until_it_listens()?;
        Ok(started)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_listens(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while version(self.address).is_none() {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the job server ended at once: {status}")));
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the job server did not begin to listen"));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Started {
    /// Asks it to end, and makes it if it does not.
    fn drop(&mut self) {
        interrupt::end_also(None);
        interrupt::ask_to_end(self.child.id());
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Turns this process into `command`, which the kernel asks to end when the process `parent` is no more, however that ended.
/// Comes back only when it cannot be done.
pub(crate) fn become_server(parent: u32, command: &[String]) -> String {
    let Some((program, arguments)) = command.split_first() else {
        return "there is no command".to_owned();
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return format!("{program}: {error}");
    }
    // It may have ended before that.
    if getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned()) != Some(parent) {
        return format!("{program}: whoever wanted it is gone");
    }
    let error = Command::new(program).args(arguments).exec();
    format!("{program}: {error}")
}

/// The process that becomes a job server. No shell and no process lies between: its id is the one to measure and to end.
fn command(words: &[String]) -> io::Result<Command> {
    if words.is_empty() {
        return Err(io::Error::other("the command is empty"));
    }
    // The program of the unit tests is another.
    if cfg!(test) {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        return Ok(command);
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(BECOME).arg(std::process::id().to_string()).arg("--").args(words);
    Ok(command)
}

/// What a job server answers to the administrators' `version`; `None` if it does not.
pub(crate) fn version(server: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"version\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim().trim_start_matches("OK ").to_owned())
}

/// The `ringgear` beside this program, or on the search path.
pub(crate) fn ringgear() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("ringgear");
    if beside.is_file() {
        return Some(beside);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("ringgear")).find(|file| file.is_file())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Splits a command at spaces outside quotes. No shell sees it: the process that is started is the job
/// server itself, so that its id is the one to measure and to end.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (vec![], None::<String>, None);
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_outside_quotes() {
        assert_eq!(words("gearmand -p  1 -t 1"), ["gearmand", "-p", "1", "-t", "1"]);
        assert_eq!(words("'a b' \"c 'd\" e''"), ["a b", "c 'd", "e"]);
        assert_eq!(words("a ''"), ["a", ""]);
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported() {
        let error = Started::start("false {port}", &[]).unwrap_err();
        assert!(error.to_string().contains("ended at once"), "{error}");
    }
}
