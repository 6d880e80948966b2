//! A server that can be looked at, and requests to it: as bytes, so that what leaves is what stands here.
use crate::support::scratch::Scratch;
use crate::support::server::{PATIENCE, Server, wait_until};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// A server with its HTTP side.
pub(crate) struct Looked {
    pub(crate) server: Server,
    pub(crate) http: SocketAddr,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Looked {
    /// Starts a server with these options, and an HTTP side on a free port.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Looked {
        let server = Server::start(&[&["--control", "127.0.0.1:0", "--verbose", "NOTICE"], options].concat());
        let mut http = None;
        wait_until("the HTTP side says where it is", || {
            let log = server.log();
            http = log.split("to be looked at on http://").nth(1).and_then(|rest| {
                let address = rest.split('/').next()?;
                address.parse().ok()
            });
            http.is_some()
        });
        Looked { server, http: http.unwrap() }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks for a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answered {
        self.get_with(path, "")
    }

    /// The same, with more lines in the head, each with its line end.
    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, lines: &str) -> Answered {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n"))
    }

    /// Sends this, and reads to the end.
    #[track_caller]
    pub(crate) fn send(&self, request: &str) -> Answered {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        answered(&mut stream)
    }

    /// Asks for a path that is there, for JSON.
    #[track_caller]
    pub(crate) fn json(&self, path: &str) -> Value {
        let answered = self.get(path);
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        assert_eq!(answered.header("content-type"), Some("application/json"), "{path}");
        serde_json::from_str(&answered.body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Every item of a list, in parts of this length.
    #[track_caller]
    pub(crate) fn list(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let part = self.json(&format!("{path}{mark}limit={limit}{after}"));
            let some = part["items"].as_array().unwrap();
            assert!(some.len() <= limit);
            items.extend(some.iter().cloned());
            let Some(next) = part["next"].as_str() else { return items };
            after = format!("&after={next}");
        }
    }

    /// Numbers for Prometheus that are no older than this call.
    #[track_caller]
    pub(crate) fn metrics(&self) -> String {
        // What was found is good for a second.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let answered = self.get("/metrics");
        assert_eq!(answered.status, 200);
        answered.body
    }
}

/// A unix socket of a server, over which orders are taken.
pub(crate) struct Orders {
    path: PathBuf,
}

impl Orders {
    /// A place for a socket in this folder, and the option that has the server listen there besides.
    pub(crate) fn new(folder: &Scratch) -> (Orders, String) {
        let path = folder.file("control.sock");
        let option = format!("unix:{}", path.display());
        (Orders { path }, option)
    }

    /// Asks for a path.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answered {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        answered(&mut stream)
    }

    /// Orders something, with more lines in the head.
    #[track_caller]
    pub(crate) fn post_with(&self, path: &str, lines: &str, body: &str) -> Answered {
        self.announce(path, lines, body.len(), body)
    }

    /// The same, with a body that is said to have so many bytes, of which these come.
    #[track_caller]
    pub(crate) fn announce(&self, path: &str, lines: &str, length: usize, body: &str) -> Answered {
        let mut stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        answered(&mut stream)
    }

    /// Orders something, which is done.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let answered = self.post_with(path, JSON, &body.to_string());
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        serde_json::from_str(&answered.body).unwrap()
    }

    /// Orders something, which is refused.
    #[track_caller]
    pub(crate) fn refused(&self, path: &str, body: &Value) -> (u16, String) {
        let answered = self.post_with(path, JSON, &body.to_string());
        assert_ne!(answered.status, 200, "{path}: {answered:?}");
        (answered.status, answered.sentence())
    }
}

/// What an order says of its body.
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| &value[..])
    }

    /// What is wrong, if it is said as errors are.
    #[track_caller]
    pub(crate) fn sentence(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status, "{self:?}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Reads an answer up to the end of the connection.
#[track_caller]
pub(crate) fn answered(stream: &mut impl Read) -> Answered {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Answered { status, headers: lines.map(header).collect(), body: body.to_owned() }
}
