//! Lines to syslog, as the C library writes them: a datagram to `/dev/log` for each, with the facility `user`, the name of
//! the program and the process. A page of our own, because the C library's call blocks without end and is not safe to call.
use super::level::Level;
use jiff::Zoned;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::process;
use std::time::Duration;

/// Where syslog listens.
pub(super) const SOCKET: &str = "/dev/log";
/// How long syslog may take for a line that is lost otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The facility `user`, where the severity has its place.
const USER: u8 = 1 << 3;

/// The way to syslog, which may come and go.
#[derive(Debug)]
pub(super) struct Syslog {
    name: String,
    socket: Option<UnixDatagram>,
}

impl Syslog {
    /// Lines will carry this name.
    pub(super) fn new(name: &str) -> Syslog {
        Syslog { name: name.to_owned(), socket: None }
    }

    /// Hands over a line. Connects again where syslog was started again since; a line that it does not take is lost.
    pub(super) fn write(&mut self, level: Level, line: &str) {
        let text = datagram(&self.name, process::id(), level, &Zoned::now(), line);
        for _ in 0..2 {
            if self.send(text.as_bytes()).is_ok() {
                return;
            }
        }
    }

    /// Connects, if it is not connected.
    pub(super) fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            socket.connect(SOCKET)?;
            socket.set_write_timeout(Some(TIMEOUT))?;
            self.socket = Some(socket);
        }
        Ok(())
    }

    fn send(&mut self, text: &[u8]) -> io::Result<()> {
        self.connect()?;
        let Some(socket) = self.socket.take() else { return Ok(()) };
        socket.send(text)?;
        self.socket = Some(socket);
        Ok(())
    }
}

/// The form of RFC 3164 for local sockets. Our levels have the numbers of syslog's severities.
fn datagram(name: &str, process: u32, level: Level, time: &Zoned, line: &str) -> String {
    let priority = USER | level as u8;
    let time = time.strftime("%b %e %H:%M:%S");
    format!("<{priority}>{time} {name}[{process}]: {}", line.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_look_like_those_of_the_c_library() {
        let time: Zoned = "2026-08-02T07:08:09.012345678+02:00[+02:00]".parse().unwrap();
        let text = datagram("gearmand", 7, Level::Error, &time, "  ERROR x -> y:1\n");
        assert_eq!(text, "<11>Aug  2 07:08:09 gearmand[7]:   ERROR x -> y:1");
        assert!(datagram("n", 7, Level::Debug, &time, "").starts_with("<15>"));
        assert!(datagram("n", 7, Level::Fatal, &time, "").starts_with("<8>"));
    }
}
