//! `ringgear ping`: whether a job server answers, for health checks and scripts. Any job server does: it is asked to send back
//! what it was sent (ECHO_REQ).
use super::words;
use crate::config::usual_port;
use crate::protocol::{Decoder, Request, Response};
use clap::{Command, CommandFactory, Parser};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Asks a job server whether it answers: status 0 if it does
#[derive(Debug, Parser)]
#[command(name = "ringgear ping", disable_version_flag = true, max_term_width = 100)]
struct PingLine {
    /// Where the job server is: an address or a host name, or `unix:PATH`, a unix socket
    #[arg(short = 'H', long, value_name = "HOST", default_value = "localhost")]
    host: String,

    /// Its port, a number or the name of a service [default: what GEARMAND_PORT says, or 4730]
    #[arg(short, long, value_name = "PORT")]
    port: Option<String>,

    /// Seconds to wait for its answer
    #[arg(short, long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

/// The words of `ringgear ping`, as completions and manual pages tell of them.
pub(super) fn command() -> Command {
    PingLine::command().name("ping")
}

/// `ringgear ping`: the status is 0 if a job server answers, 1 if none does, 2 for a wrong line.
pub(super) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line: PingLine = match words::read("ringgear ping", words, words::USAGE) {
        Ok(line) => line,
        Err(status) => return status,
    };
    let port = match usual_port(line.port.as_deref()) {
        Ok(port) => port,
        // Nobody asks for it.
        Err(_) if line.host.starts_with("unix:") => 0,
        Err(mistake) => {
            let _ = writeln!(io::stderr(), "ringgear ping: {mistake}");
            return ExitCode::from(words::USAGE);
        }
    };
    match ask(&line.host, port, Duration::from_secs(line.timeout)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = match line.host.strip_prefix("unix:") {
                Some(path) => writeln!(io::stderr(), "ringgear ping: {path}: {failure}"),
                None => writeln!(io::stderr(), "ringgear ping: {} port {port}: {failure}", line.host),
            };
            ExitCode::FAILURE
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum NoAnswer {
    /// Nobody could be reached there.
    Unreachable(io::Error),
    /// Nothing came in time.
    Silent,
    /// The connection was closed, or broke.
    Closed(Option<io::Error>),
    /// Something else than a job server.
    Otherwise,
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
            NoAnswer::Otherwise => f.write_str("what answers is no job server"),
        }
    }
}

/// Connects and asks, within this time.
fn ask(host: &str, port: u16, patience: Duration) -> Result<(), NoAnswer> {
    let end = Instant::now() + patience;
    if let Some(path) = host.strip_prefix("unix:") {
        let stream = UnixStream::connect(path).map_err(NoAnswer::Unreachable)?;
        return echo(&stream, end, |left| {
            stream.set_write_timeout(Some(left))?;
            stream.set_read_timeout(Some(left))
        });
    }
    let stream = connect(host, port, end).map_err(NoAnswer::Unreachable)?;
    echo(&stream, end, |left| {
        stream.set_write_timeout(Some(left))?;
        stream.set_read_timeout(Some(left))
    })
}

/// The first address of the host where somebody listens.
fn connect(host: &str, port: u16, end: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(end)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is left of the time; never nothing, which system calls would take for no limit.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn echo<S: Read + Write>(
    mut stream: S,
    end: Instant,
    limit: impl Fn(Duration) -> io::Result<()>,
) -> Result<(), NoAnswer> {
    const WORD: &[u8] = b"ringgear ping";
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => NoAnswer::Silent,
        _ => NoAnswer::Closed(Some(error)),
    };
    let mut request = Vec::new();
    Request::EchoReq { data: WORD }.encode(&mut request);
    limit(left(end)).map_err(broken)?;
    stream.write_all(&request).map_err(broken)?;
    // What answers more than this is none.
    let mut answer = Decoder::new(1024);
    let mut bytes = [0; 256];
    loop {
        match answer.next() {
            Ok(None) => {}
            Ok(Some((header, data))) => {
                let right =
                    matches!(Response::decode(&header, data), Ok(Response::EchoRes { data }) if data == WORD);
                return if right { Ok(()) } else { Err(NoAnswer::Otherwise) };
            }
            Err(_) => return Err(NoAnswer::Otherwise),
        }
        if Instant::now() >= end {
            return Err(NoAnswer::Silent);
        }
        limit(left(end)).map_err(broken)?;
        match stream.read(&mut bytes) {
            Ok(0) => return Err(NoAnswer::Closed(None)),
            Ok(length) => answer.push(&bytes[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Asks somebody who answers so, or not at all.
    fn asked(answer: Option<&'static [u8]>) -> Result<(), NoAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            match answer {
                Some(answer) => {
                    let _ = stream.read(&mut [0; 25]);
                    let _ = stream.write_all(answer);
                }
                None => drop(stream.read_to_end(&mut Vec::new())),
            }
        });
        let found = ask("127.0.0.1", port, Duration::from_secs(1));
        server.join().unwrap();
        found
    }

    #[test]
    fn only_an_echo_is_an_answer() {
        let echo = b"\0RES\0\0\0\x11\0\0\0\x0dringgear ping";
        assert!(matches!(asked(Some(echo)), Ok(())));
        assert!(matches!(asked(Some(b"\0RES\0\0\0\x11\0\0\0\x01x")), Err(NoAnswer::Otherwise)));
        assert!(matches!(asked(Some(b"HTTP/1.1 400 Bad Request\r\n")), Err(NoAnswer::Otherwise)));
        assert!(matches!(asked(Some(&echo[..20])), Err(NoAnswer::Closed(_))));
        assert!(matches!(asked(None), Err(NoAnswer::Silent)));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(matches!(ask("127.0.0.1", nobody, Duration::from_secs(1)), Err(NoAnswer::Unreachable(_))));
        assert!(matches!(ask("unix:/nonexistent", 0, Duration::from_secs(1)), Err(NoAnswer::Unreachable(_))));
    }
}
