//! A job server as a process of its own: Debian's gearmand, or ours. Listens on loopback, and ends with its handle.
use super::scratch::Scratch;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A free port may be taken by somebody else before the server has it.
const ATTEMPTS: usize = 5;

/// Where Debian puts gearmand. Another one can be named by the variable GEARMAND.
const GEARMAND: &str = "/usr/sbin/gearmand";

/// A running job server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// Where it runs, with its log and error output; removed at the end.
    folder: Scratch,
    /// The connection that found out that the server listens: the first that is asked for.
    first: Option<TcpStream>,
}

/// The gearmand to compare with.
pub(crate) fn gearmand() -> Result<PathBuf, String> {
    let path = std::env::var_os("GEARMAND").map_or_else(|| PathBuf::from(GEARMAND), PathBuf::from);
    if path.exists() {
        return Ok(path);
    }
    Err(format!(
        "{} is missing: install it with `apt-get install gearman-job-server`, or set GEARMAND to another one",
        path.display()
    ))
}

impl Server {
    /// Starts a server in an empty folder of its own, and returns when it listens.
    pub(crate) fn start(program: &Path, options: &[String]) -> Result<Server, String> {
        let mut error = String::new();
        for _ in 0..ATTEMPTS {
            let address = free_address().map_err(|error| format!("no free port: {error}"))?;
            match Server::start_at(program, address, options) {
                Ok(server) => return Ok(server),
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// Starts it at this address on loopback.
    pub(crate) fn start_at(
        program: &Path,
        address: SocketAddr,
        options: &[String],
    ) -> Result<Server, String> {
        let folder = Scratch::new();
        let stderr = File::create(folder.file("stderr")).map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .args(["--listen", &address.ip().to_string(), "--port", &address.port().to_string()])
            .args(["--verbose", "INFO", "--log-file", "log"])
            .args(options)
            .current_dir(folder.file(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let mut server = Server { child, address, folder, first: None };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// Connects until a server answers that is this one.
    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut why = "it does not listen".to_owned();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                let said = fs::read_to_string(self.folder.file("stderr")).unwrap_or_default();
                return Err(format!("the server ended at once: {status}\n{said}"));
            }
            if let Ok(mut stream) = TcpStream::connect(self.address) {
                match ask_pid(&mut stream) {
                    Ok(pid) if pid == self.pid().to_string() => {
                        self.first = Some(stream);
                        return Ok(());
                    }
                    Ok(_) => return Err(format!("another server listens on {}", self.address)),
                    // gearmand listens before it reads its queue, and may end over that.
                    Err(error) => why = format!("it does not answer: {error}"),
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        Err(format!("after {PATIENCE:?} the server is not there: {why}"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection.
    pub(crate) fn connect(&mut self) -> io::Result<TcpStream> {
        let stream = self.first.take().map_or_else(|| TcpStream::connect(self.address), Ok)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connections that the server has and nobody has asked for: 0 or 1.
    pub(crate) fn spare_connections(&self) -> usize {
        usize::from(self.first.is_some())
    }

    /// Sends a signal, such as `SIGTERM`.
    pub(crate) fn signal(&self, signal: &str) -> Result<(), String> {
        let name = signal.strip_prefix("SIG").unwrap_or(signal);
        let pid = self.pid().to_string();
        let status = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid]).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("{signal} was not sent: {other:?}")),
        }
    }

    /// Waits for the server to end by itself; `None` if it does not.
    pub(crate) fn wait(&mut self) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The last lines of what it wrote to its log and its error output.
    pub(crate) fn last_words(&self) -> String {
        let files = ["stderr", "log"].map(|file| fs::read(self.folder.file(file)).unwrap_or_default());
        let text = files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has now.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn ask_pid(stream: &mut TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"getpid\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") {
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend(&bytes[..count]);
    }
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.trim().strip_prefix("OK ").unwrap_or(&answer).to_owned())
}
