//! The job server under test: one that runs already, or one that is started for the run and ended by its
//! own process id afterwards.
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringgear_protocol::Request;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{sched_getaffinity, sched_setaffinity};
use tempfile::TempDir;

use crate::args::BECOME;
use crate::job::cover::spoken;
use crate::machine::cores::pin;
use crate::machine::interrupt;

/// The longest wait for a job server to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait for the first answer of one that runs already.
const GREETING: Duration = Duration::from_secs(2);

/// A job server that was started here.
#[derive(Debug)]
pub(crate) struct Started {
    child: Child,
    address: SocketAddr,
    words: Vec<String>,
    cores: Vec<usize>,
    /// What `{dir}` stands for; goes with it.
    _folder: Option<TempDir>,
}

impl Started {
    /// Starts `command`, in which `{port}` stands for a free port of the loopback interface and `{dir}` for an empty folder that
    /// is taken away afterwards, on `cores` (any if there are none), and waits until it listens.
    pub(crate) fn start(command: &str, cores: &[usize]) -> io::Result<Started> {
        let port = free_port()?;
        let folder =
            if command.contains("{dir}") { Some(TempDir::with_prefix("ringgear-load-")?) } else { None };
        let name = folder.as_ref().map(|folder| folder.path().to_string_lossy().into_owned());
        let words = words(&command.replace("{port}", &port.to_string()));
        let words: Vec<String> =
            words.into_iter().map(|word| word.replace("{dir}", name.as_deref().unwrap_or(""))).collect();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let child = spawn(&words, cores)?;
        let mut started = Started { child, address, words, cores: cores.to_vec(), _folder: folder };
        started.wait_until_it_listens()?;
        Ok(started)
    }

    /// Kills it with SIGKILL, and starts it again at the same port with the same folder. Does not wait until it listens.
    pub(crate) fn kill_and_start(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.words, &self.cores)?;
        Ok(())
    }

    /// An error if it ended by itself.
    pub(crate) fn lives(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("the job server ended: {status}"))),
        }
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

/// Starts a process on `cores`, any if there are none.
fn spawn(words: &[String], cores: &[usize]) -> io::Result<Child> {
    let mut command = command(words)?;
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
    Ok(child)
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
    let stream = TcpStream::connect_timeout(&server, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut stream = spoken(stream).ok()?;
    stream.write_all(b"version\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line.trim().trim_start_matches("OK ").to_owned())
}

/// Jobs of some functions that a job server has, and how many of them workers hold, by the administrators' `status`. `None` if it
/// does not answer.
pub(crate) fn queued(server: SocketAddr, functions: &[Box<[u8]>]) -> Option<(u64, u64)> {
    let stream = TcpStream::connect_timeout(&server, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut stream = spoken(stream).ok()?;
    stream.write_all(b"status\n").ok()?;
    let ours: HashSet<&[u8]> = functions.iter().map(|name| &**name).collect();
    let (mut total, mut running) = (0, 0);
    for line in BufReader::new(stream).split(b'\n') {
        let line = line.ok()?;
        if line == b"." {
            return Some((total, running));
        }
        let mut cells = line.split(|byte| *byte == b'\t');
        let known = cells.next().is_some_and(|name| ours.contains(name));
        let mut number = || std::str::from_utf8(cells.next()?).ok()?.trim().parse::<u64>().ok();
        if known {
            total += number()?;
            running += number()?;
        }
    }
    None
}

/// The port of Gearman, for names without one.
const PORT: u16 = 4730;

/// The addresses that a text names: `HOST`, `HOST:PORT`, `1.2.3.4`, `::1` or `[::1]:4730`.
///
/// # Errors
/// A sentence with the text, where it names nothing.
pub(crate) fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    addresses_with(text, PORT)
}

/// The same with another port for names without one.
///
/// # Errors
/// As [`addresses`].
pub(crate) fn addresses_with(text: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let has_port = text.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let found = match bare.parse::<IpAddr>() {
        Ok(address) => return Ok(vec![(address, port).into()]),
        Err(_) if has_port => text.to_socket_addrs(),
        Err(_) => (text, port).to_socket_addrs(),
    };
    let found: Vec<SocketAddr> = found.map_err(|error| format!("{text}: {error}"))?.collect();
    if found.is_empty() { Err(format!("{text}: it has no address")) } else { Ok(found) }
}

/// Finds the first of several addresses of a job server at which one answers.
///
/// # Errors
/// What was wrong with each of them.
pub(crate) fn first_that_answers(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
    let mut wrong = vec![];
    for &address in addresses {
        match greet(address) {
            Ok(()) => return Ok(address),
            Err(error) => wrong.push(format!("{address}: {error}")),
        }
    }
    Err(wrong.join("; "))
}

/// Asks for an echo, which only a job server gives.
fn greet(address: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect_timeout(&address, GREETING).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(GREETING)).map_err(|error| error.to_string())?;
    let mut stream = spoken(stream).map_err(|error| error.to_string())?;
    let mut request = vec![];
    Request::EchoReq { data: b"hello" }.encode(&mut request);
    let mut answer = [0; 4];
    let asked = stream.write_all(&request);
    match asked.and_then(|()| stream.read_exact(&mut answer)) {
        Ok(()) if answer == *b"\0RES" => Ok(()),
        Ok(()) => Err(format!(
            "something answers there, but not as a job server ({:?})",
            answer.escape_ascii().to_string()
        )),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(format!(
            "something listens there, but answers no ECHO_REQ within {} seconds: is it a job server?",
            GREETING.as_secs()
        )),
        Err(error) => Err(format!("something listens there, but is no job server: {error}")),
    }
}

/// The `ringgear` beside this program, or on the search path.
pub(crate) fn ringgear() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("ringgear");
    if beside.is_file() {
        return Some(beside);
    }
    on_path("ringgear", &[])
}

/// A program on the search path, or else in one of these folders.
pub(crate) fn on_path(program: &str, besides: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(besides.iter().map(PathBuf::from));
    places.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// How a job server is started: with what it does by itself, on the loopback interface, and a store if it is to be killed.
pub(crate) fn usual(program: &Path, durable: bool) -> String {
    let store = match (program.file_name().is_some_and(|name| name == "gearmand"), durable) {
        (true, false) => " -l none",
        (true, true) => " -l none -q libsqlite3 --libsqlite3-db {dir}/queue.db",
        (false, false) => "",
        (false, true) => " --data-dir {dir}",
    };
    format!("'{}' --port {{port}} --listen 127.0.0.1{store}", program.display())
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
    fn a_name_without_a_port_means_gearmans() {
        let of = |text: &str| addresses(text).unwrap()[0].to_string();
        assert_eq!(of("127.0.0.1"), "127.0.0.1:4730");
        assert_eq!(of("127.0.0.1:80"), "127.0.0.1:80");
        assert_eq!(of("::1"), "[::1]:4730");
        assert_eq!(of("[::1]"), "[::1]:4730");
        assert_eq!(of("[::1]:80"), "[::1]:80");
        assert!(addresses("localhost").unwrap().iter().all(|address| address.port() == 4730));
        assert!(addresses("localhost:99").unwrap().iter().all(|address| address.port() == 99));
        for wrong in ["", "localhost:", "localhost:99999", "no such host"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }

    /// `localhost` is often ::1 first.
    #[test]
    fn every_address_is_tried_and_what_is_no_job_server_is_called_so() {
        let stand_in = crate::machine::standin::StandIn::start(Default::default()).unwrap();
        let right = stand_in.address();
        let refused: SocketAddr = (Ipv4Addr::LOCALHOST, free_port().unwrap()).into();
        assert_eq!(first_that_answers(&[refused, right]), Ok(right));
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = other.local_addr().unwrap();
        let web = thread::spawn(move || {
            let (mut stream, _) = other.accept().unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            let (silent, _) = other.accept().unwrap();
            thread::sleep(GREETING * 2);
            drop(silent);
        });
        let error = first_that_answers(&[address]).unwrap_err();
        assert!(error.contains("not as a job server") && error.contains("HTTP"), "{error}");
        let error = first_that_answers(&[refused, address]).unwrap_err();
        assert!(error.contains("refused") && error.contains("no ECHO_REQ within 2 seconds"), "{error}");
        web.join().unwrap();
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported() {
        let error = Started::start("false {port}", &[]).unwrap_err();
        assert!(error.to_string().contains("ended at once"), "{error}");
    }
}
