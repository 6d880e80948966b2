//! Where a job server is and the way to it, for subcommands that speak to one: the words that say so, the connection, one question
//! with one answer. What is asked, and longer talks, are the subcommands' own; see `talk.rs`.
use crate::config::usual_port;
use crate::tls::TlsDialer;
use rustix::net::sockopt::set_socket_keepalive;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The words that say where a job server is.
#[derive(Debug, clap::Args)]
pub(super) struct ServerWords {
    /// Where the job server is: an address or a host name, or `unix:PATH`, a unix socket [default: localhost]
    #[arg(short = 'H', long, value_name = "HOST")]
    host: Option<String>,

    /// Its port, a number or the name of a service [default: what GEARMAND_PORT says, or 4730]
    #[arg(short, long, value_name = "PORT")]
    port: Option<String>,
}

impl ServerWords {
    /// Whether they name a job server; otherwise it is the usual one.
    pub(super) fn are_said(&self) -> bool {
        self.host.is_some() || self.port.is_some()
    }

    /// What they mean; an error is one sentence about the port.
    pub(super) fn job_server(self) -> Result<JobServer, String> {
        let host = self.host.unwrap_or_else(|| "localhost".to_owned());
        let port = match usual_port(self.port.as_deref()) {
            Ok(port) => port,
            // Nobody asks for it.
            Err(_) if host.starts_with("unix:") => 0,
            Err(mistake) => return Err(mistake),
        };
        Ok(JobServer { host, port })
    }
}

/// Where a job server is.
#[derive(Clone, Debug)]
pub(super) struct JobServer {
    /// As in the words: `unix:` and a path, or a host.
    pub(super) host: String,
    /// Of a host.
    pub(super) port: u16,
}

impl fmt::Display for JobServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.strip_prefix("unix:") {
            Some(path) => f.write_str(path),
            None => write!(f, "{} port {}", self.host, self.port),
        }
    }
}

impl JobServer {
    /// Whether it is on this machine, as far as its name says.
    pub(super) fn is_here(&self) -> bool {
        let address = self.host.parse::<IpAddr>().ok();
        self.host.starts_with("unix:")
            || self.host == "localhost"
            || address.is_some_and(|address| address.to_canonical().is_loopback())
    }

    /// Connects, before `end`: to the path, or the first address of the host where somebody listens.
    pub(super) fn connect(&self, end: Instant) -> Result<ServerStream, NoAnswer> {
        let connected = match self.host.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).map(ServerStream::Unix),
            None => self.connect_tcp(end).map(ServerStream::Tcp),
        };
        connected.map_err(NoAnswer::Unreachable)
    }

    fn connect_tcp(&self, end: Instant) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(end)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    // Whoever waits for hours is to learn that the other machine has gone.
                    set_socket_keepalive(&stream, true)?;
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects, sends this, and gives what comes to `read` until that has an answer; all before `end`.
    pub(super) fn ask<T>(
        &self,
        request: &[u8],
        end: Instant,
        read: impl FnMut(&[u8]) -> Result<Option<T>, NoAnswer>,
    ) -> Result<T, NoAnswer> {
        self.ask_by(None, request, end, read)
    }

    /// The same by TLS, with which the server is first made sure of.
    pub(super) fn ask_by<T>(
        &self,
        tls: Option<&TlsDialer>,
        request: &[u8],
        end: Instant,
        read: impl FnMut(&[u8]) -> Result<Option<T>, NoAnswer>,
    ) -> Result<T, NoAnswer> {
        let stream = TimelyStream { stream: self.connect(end)?, end };
        match tls {
            None => exchange(stream, request, read),
            Some(tls) => {
                let secured = tls.over(&self.host, stream);
                exchange(secured.map_err(|why| NoAnswer::Untrusted(why.to_string()))?, request, read)
            }
        }
    }
}

/// Sends this, and gives what comes to `read` until that has an answer.
fn exchange<T>(
    mut stream: impl Read + Write,
    request: &[u8],
    mut read: impl FnMut(&[u8]) -> Result<Option<T>, NoAnswer>,
) -> Result<T, NoAnswer> {
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => NoAnswer::Silent,
        _ => NoAnswer::Closed(Some(error)),
    };
    stream.write_all(request).and_then(|()| stream.flush()).map_err(broken)?;
    let mut bytes = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return Err(NoAnswer::Closed(None)),
            Ok(length) => {
                if let Some(answer) = read(&bytes[..length])? {
                    return Ok(answer);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
}

/// A connection that is over at a time, however often it is read or written until then.
struct TimelyStream {
    stream: ServerStream,
    end: Instant,
}

impl TimelyStream {
    fn in_time(&self) -> io::Result<Duration> {
        if Instant::now() >= self.end { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left(self.end)) }
    }
}

impl Read for TimelyStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.in_time()?)?;
        (&self.stream).read(bytes)
    }
}

impl Write for TimelyStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.in_time()?)?;
        (&self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left of the time; never nothing, which system calls would take for no limit.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nobody could be reached there.
    Unreachable(io::Error),
    /// Nothing came in time.
    Silent,
    /// The connection was closed, or broke.
    Closed(Option<io::Error>),
    /// By TLS it is not who it should be, or there is none: a sentence.
    Untrusted(String),
    /// Something else than a job server.
    Otherwise,
    /// More than so many bytes.
    Endless(usize),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Unreachable(error) => write!(f, "no job server can be reached: {error}"),
            NoAnswer::Silent => {
                f.write_str("connected, but there is no answer: it is busy, hangs, or is no job server")
            }
            NoAnswer::Closed(None) => f.write_str(
                "the connection was closed without an answer: too many connections, or no job server",
            ),
            NoAnswer::Closed(Some(error)) => write!(f, "the connection broke before an answer: {error}"),
            NoAnswer::Untrusted(why) => f.write_str(why),
            NoAnswer::Otherwise => f.write_str("what answers is no job server"),
            NoAnswer::Endless(limit) => write!(f, "the answer is longer than {limit} bytes"),
        }
    }
}

/// A connection to a job server. Can be read and written at once, hence by reference.
#[derive(Debug)]
pub(super) enum ServerStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl ServerStream {
    /// How long a read may wait for the peer to say something.
    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            ServerStream::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            ServerStream::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }

    /// How long a write may wait for the peer to read.
    pub(super) fn set_write_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            ServerStream::Tcp(stream) => stream.set_write_timeout(Some(timeout)),
            ServerStream::Unix(stream) => stream.set_write_timeout(Some(timeout)),
        }
    }

    /// Ends both directions, for those too who wait in a read or write.
    pub(super) fn close(&self) {
        // It may be closed already.
        let _ = match self {
            ServerStream::Tcp(stream) => stream.shutdown(Shutdown::Both),
            ServerStream::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for &ServerStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            ServerStream::Tcp(stream) => (&mut &*stream).read(bytes),
            ServerStream::Unix(stream) => (&mut &*stream).read(bytes),
        }
    }
}

impl Write for &ServerStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            ServerStream::Tcp(stream) => (&mut &*stream).write(bytes),
            ServerStream::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
