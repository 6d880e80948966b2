//! The stage on which a server runs as a process and is spoken to over TCP. Knows no difference between servers.
use crate::player::{Arrival, Stage};
use crate::script::Audience;
use crate::support::gearmand::Server;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a server may take to notice that a connection was closed.
const NOTICE_PATIENCE: Duration = Duration::from_secs(5);

/// After a server has noticed: for what one shard says to another, which no question can wait for.
const NOTICE_MARGIN: Duration = Duration::from_millis(20);

pub(crate) struct Sockets {
    audience: Audience,
    server: Server,
    streams: BTreeMap<String, TcpStream>,
    /// Asks `workers` to see whether a closed connection is gone. Opened when first needed, because
    /// `workers` shows it, too.
    watcher: Option<TcpStream>,
}

impl Sockets {
    pub(crate) fn start(audience: Audience, program: &Path, options: &[String]) -> Result<Sockets, String> {
        let server = Server::start(program, options)?;
        Ok(Sockets { audience, server, streams: BTreeMap::new(), watcher: None })
    }

    pub(crate) fn last_words(&self) -> String {
        self.server.last_words()
    }

    fn stream(&mut self, name: &str) -> Result<&mut TcpStream, String> {
        self.streams.get_mut(name).ok_or_else(|| format!("{name} is not connected"))
    }

    /// The server has closed the connection; it is no longer among those that the server has.
    fn ended(&mut self, name: &str) -> Arrival {
        self.streams.remove(name);
        Arrival::End
    }

    /// Waits until the server has as many connections as we know of.
    fn wait_for_notice(&mut self) -> Result<(), String> {
        if self.watcher.is_none() {
            // A server that is draining takes no connections; then there is only the margin.
            let Ok(stream) = self.server.connect() else { return Ok(()) };
            stream.set_read_timeout(Some(NOTICE_PATIENCE)).map_err(|error| error.to_string())?;
            self.watcher = Some(stream);
        }
        let watcher = self.watcher.as_mut().expect("just set");
        let expected = self.streams.len() + self.server.spare_connections() + 1;
        let start = Instant::now();
        while start.elapsed() < NOTICE_PATIENCE {
            let count = count_connections(watcher).map_err(|error| format!("`workers`: {error}"))?;
            if count <= expected {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Err(format!("the server still has a closed connection after {NOTICE_PATIENCE:?}"))
    }
}

/// Lines of `workers` but the last.
fn count_connections(stream: &mut TcpStream) -> std::io::Result<usize> {
    stream.write_all(b"workers\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n.\n") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        answer.extend(&bytes[..count]);
    }
    Ok(answer.iter().filter(|&&byte| byte == b'\n').count() - 1)
}

impl Stage for Sockets {
    fn audience(&self) -> Audience {
        self.audience
    }

    fn is_prompt(&self) -> bool {
        false
    }

    fn pid(&self) -> u32 {
        self.server.pid()
    }

    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    fn connect(&mut self, name: &str) -> Result<(), String> {
        let stream = self.server.connect().map_err(|error| format!("{name} cannot connect: {error}"))?;
        self.streams.insert(name.to_owned(), stream);
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        // That the server has closed is found out by reading, if the script cares.
        match self.stream(name)?.write_all(bytes) {
            Err(error) if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Err(format!("{name} cannot write: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self, name: &str, patience: Duration, inbox: &mut Vec<u8>) -> Result<Arrival, String> {
        let stream = self.stream(name)?;
        let mut bytes = [0; 16 * 1024];
        // No time-out at all is spelled 0, so the shortest is a little more.
        let patience = patience.max(Duration::from_micros(1));
        stream.set_read_timeout(Some(patience)).map_err(|error| error.to_string())?;
        loop {
            return match stream.read(&mut bytes) {
                Ok(0) => Ok(self.ended(name)),
                Ok(count) => {
                    inbox.extend(&bytes[..count]);
                    Ok(Arrival::Something)
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(Arrival::Nothing),
                    ErrorKind::ConnectionReset => Ok(self.ended(name)),
                    ErrorKind::Interrupted => continue,
                    _ => Err(format!("{name} cannot read: {error}")),
                },
            };
        }
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        self.streams.remove(name);
        self.wait_for_notice()?;
        thread::sleep(NOTICE_MARGIN);
        Ok(())
    }

    fn finish(&mut self, name: &str) -> Result<(), String> {
        self.stream(name)?.shutdown(Shutdown::Write).map_err(|error| error.to_string())
    }

    fn wait(&mut self, duration: Duration) {
        thread::sleep(duration);
    }

    fn signal(&mut self, signal: &str) -> Result<(), String> {
        self.server.signal(signal)
    }

    fn wait_for_exit(&mut self) -> Result<(), String> {
        match self.server.wait() {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("the server ended with {status}")),
            None => Err("the server runs on".to_owned()),
        }
    }
}
