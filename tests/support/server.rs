//! This server as a process of its own, on loopback, and raw connections to it. It ends with its handle.
#![allow(clippy::unwrap_used)] // helpers of tests

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A free port may be taken by somebody else before the server has it.
const ATTEMPTS: usize = 5;

/// The variable of the environment that says how servers under test serve their sockets: a value of `--sockets`.
pub(crate) const SOCKETS: &str = "RINGGEAR_TEST_SOCKETS";

/// The status of a server that found its port taken.
pub(crate) const PORT_TAKEN: i32 = 69;

/// Waits until something is so, and fails the test if it never is.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// Where the process itself listens: elsewhere, if a tunnel leads there.
    listening: SocketAddr,
    /// What it wrote to standard error so far, its log among it.
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts the server that was built with the tests, with these options, and returns when it listens.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Server {
        Server::start_by(&[], options)
    }

    /// The same, started by another program, as in `prlimit --nofile=64 ringgear`; it must become the server.
    #[track_caller]
    pub(crate) fn start_by(wrapper: &[&str], options: &[&str]) -> Server {
        for _ in 0..ATTEMPTS {
            match Server::launch(wrapper, free_address(), options) {
                Ok(server) => return server,
                Err((status, _)) if status.code() == Some(PORT_TAKEN) => {}
                Err((status, printed)) => panic!("{status}: {printed}"),
            }
        }
        panic!("all free ports are taken by somebody else at once");
    }

    /// Starts it at this address, or says how it ended.
    #[track_caller]
    pub(crate) fn start_at(address: SocketAddr, options: &[&str]) -> Result<Server, ExitStatus> {
        Server::launch(&[], address, options).map_err(|(status, printed)| {
            eprintln!("{printed}");
            status
        })
    }

    /// Starts it, or says how it ended, and with which words.
    #[track_caller]
    pub(crate) fn try_start(wrapper: &[&str], options: &[&str]) -> Result<Server, (ExitStatus, String)> {
        Server::launch(wrapper, free_address(), options)
    }

    #[track_caller]
    fn launch(
        wrapper: &[&str],
        address: SocketAddr,
        options: &[&str],
    ) -> Result<Server, (ExitStatus, String)> {
        // With TLS it listens elsewhere, and a tunnel leads there.
        let listening = if is_tunneled(options) { free_address() } else { address };
        let mut command = command(wrapper, listening, options);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the server was built");
        let log = Arc::new(Mutex::new(String::new()));
        let collector = child.stderr.take().map(|stderr| collect(stderr, log.clone()));
        let mut server = Server { child, address, listening, log };
        let mut ended = None;
        wait_until("the server listens", || {
            ended = server.ended();
            ended.is_some() || listens(server.pid(), listening)
        });
        #[cfg(feature = "tls")]
        if listening != address && ended.is_none() && super::tunnel::lead(address, listening).is_err() {
            panic!("the port of a tunnel is taken by somebody else");
        }
        match ended {
            None => Ok(server),
            Some(status) => {
                // It reads to the end, which is there.
                let _ = collector.map(thread::JoinHandle::join);
                Err((status, server.log()))
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the process listens: there, unless a tunnel stands before it.
    pub(crate) fn listening(&self) -> SocketAddr {
        self.listening
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection by a unix socket.
    pub(crate) fn connect_by(path: &Path) -> UnixStream {
        // A server that takes over a path may serve its other addresses a moment earlier.
        let begin = std::time::Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Err(_) if begin.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
                connected => break connected.unwrap(),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it has ended, and how.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.ended();
            status.is_some()
        });
        status.unwrap()
    }

    /// One of the numbers that `show counters` prints.
    #[track_caller]
    pub(crate) fn counter(&self, name: &str) -> u64 {
        counter(&mut self.connect(), name)
    }

    /// The processor time that it used so far.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // After the name in parentheses; utime and stime are fields 14 and 15, in ticks of 10 ms.
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(10 * ticks)
    }

    /// How often its threads have gone to sleep so far.
    pub(crate) fn sleeps(&self) -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        threads
            .map(|thread| status_field(&thread.unwrap().path().join("status"), "voluntary_ctxt_switches"))
            .sum()
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn memory_peak(&self) -> u64 {
        status_field(format!("/proc/{}/status", self.pid()).as_ref(), "VmHWM") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// Runs a server that is to end by itself at once.
#[track_caller]
pub(crate) fn run_to_end(wrapper: &[&str], address: SocketAddr, options: &[&str]) -> Output {
    let mut child =
        command(wrapper, address, options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the server serves");
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// An address on loopback that nobody has now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap()
}

/// Reads to the end of a connection, which the server is to close or reset.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {} bytes", bytes.len()),
    }
    bytes
}

/// Sends a line and reads its answer up to the line with a single dot.
#[track_caller]
pub(crate) fn ask(stream: &mut (impl Read + Write), line: &str) -> String {
    stream.write_all(line.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !(answer == b".\n" || answer.ends_with(b"\n.\n")) {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the server closed the connection after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(answer).unwrap()
}

/// One of the numbers that `show counters` prints.
#[track_caller]
pub(crate) fn counter(stream: &mut (impl Read + Write), name: &str) -> u64 {
    let answer = ask(stream, "show counters\n");
    let number = answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no counter {name} in {answer}"))
}

/// A request packet.
pub(crate) fn request(number: u32, data: &[u8]) -> Vec<u8> {
    packet(b"\0REQ", number, data)
}

/// A response packet.
pub(crate) fn response(number: u32, data: &[u8]) -> Vec<u8> {
    packet(b"\0RES", number, data)
}

fn packet(magic: &[u8; 4], number: u32, data: &[u8]) -> Vec<u8> {
    [magic, &number.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), data].concat()
}

/// Reads one packet: its number and its data.
#[track_caller]
pub(crate) fn read_packet(stream: &mut impl Read) -> (u32, Vec<u8>) {
    let mut header = [0; 12];
    stream.read_exact(&mut header).unwrap();
    assert_eq!(&header[..4], b"\0RES");
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let mut data = vec![0; number(8) as usize];
    stream.read_exact(&mut data).unwrap();
    (number(4), data)
}

/// Sends ECHO_REQ and reads the answer: what was sent before is done then.
#[track_caller]
pub(crate) fn echo(stream: &mut (impl Read + Write), data: &[u8]) {
    stream.write_all(&request(16, data)).unwrap();
    assert_eq!(read_packet(stream), (17, data.to_vec()));
}

/// Whether a server with these options is reached by a tunnel that speaks TLS.
#[cfg(feature = "tls")]
fn is_tunneled(options: &[&str]) -> bool {
    super::tunnel::is_wanted() && !options.iter().any(|option| option.starts_with("--ssl"))
}

#[cfg(not(feature = "tls"))]
fn is_tunneled(_: &[&str]) -> bool {
    false
}

fn command(wrapper: &[&str], address: SocketAddr, options: &[&str]) -> Command {
    let words = [wrapper, &[env!("CARGO_BIN_EXE_ringgear")]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command.args(["--listen", &address.ip().to_string(), "--port", &address.port().to_string()]);
    if !options.contains(&"--log-file") {
        command.args(["--log-file", "stderr"]);
    }
    if let Ok(how) = std::env::var(SOCKETS)
        && !options.contains(&"--sockets")
    {
        command.args(["--sockets", &how]);
    }
    // Many servers run at a time, and the usual address is one.
    if !options.contains(&"--control") {
        command.args(["--control", "none"]);
    }
    #[cfg(feature = "tls")]
    if is_tunneled(options) {
        command.args(super::tunnel::options());
    }
    command.args(options);
    command
}

fn collect(mut stderr: ChildStderr, log: Arc<Mutex<String>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut buffer) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    })
}

/// Whether a process listens there. Asked of the system, so that the server sees no connection; and of the process,
/// because the sockets of one that was killed stay for a moment.
fn listens(pid: u32, address: SocketAddr) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{:04X}", address.port());
    // Of its own network, which may be another than the test's.
    let Ok(table) = fs::read_to_string(format!("/proc/{pid}/net/tcp")) else { return false };
    let sockets: Vec<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&port) && fields[3] == LISTEN)
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.ok()?.path()).ok())
        .any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
}

fn status_field(path: &Path, name: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap_or_default();
    let field = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    field.and_then(|field| field.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
