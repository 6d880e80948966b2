//! Servers that keep things in memory: Debian's Redis and memcached, on ports of loopback of a test's own. Each ends with its handle.
use super::scratch::Scratch;
use super::server::free_address;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to come and to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server, running or not.
#[derive(Debug)]
pub(crate) struct CacheServer {
    child: Option<Child>,
    folder: Scratch,
    port: u16,
    program: &'static str,
    options: Vec<String>,
}

impl CacheServer {
    /// A Redis with these settings.
    pub(crate) fn redis(settings: &[&str]) -> CacheServer {
        CacheServer::start("redis-server", settings)
    }

    /// A memcached with these options.
    pub(crate) fn memcached(options: &[&str]) -> CacheServer {
        CacheServer::start("memcached", options)
    }

    fn start(program: &'static str, options: &[&str]) -> CacheServer {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let port = free_address().port();
        let mut server = CacheServer { child: None, folder: Scratch::new(), port, program, options };
        server.launch();
        server
    }

    /// Starts it, and returns when it listens.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let port = self.port.to_string();
        let mut command = Command::new(self.program);
        match self.program {
            "memcached" => command.args(["-u", "root", "-l", "127.0.0.1", "-p", &port]),
            _ => command.args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
                &self.folder.path(""),
                "--port",
                &port,
            ]),
        };
        let child = command
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is there: apt-get install redis-server memcached");
        self.child = Some(child);
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "{} does not start", self.program);
            thread::sleep(Duration::from_millis(5));
        }
        if self.program == "redis-server" {
            while self.cli(&["PING"]) != "PONG" && !self.cli(&["PING"]).contains("NOAUTH") {
                assert!(begin.elapsed() < PATIENCE, "Redis does not answer");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// Kills it, as in a crash.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    /// What a Redis answers.
    #[track_caller]
    pub(crate) fn cli(&self, words: &[&str]) -> String {
        let done = Command::new("redis-cli")
            .args(["-p", &self.port()])
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is there: apt-get install redis-tools");
        let text = [done.stdout, done.stderr].concat();
        String::from_utf8_lossy(&text).trim_end().to_owned()
    }

    /// What a memcached answers, up to this.
    #[track_caller]
    pub(crate) fn ask(&self, request: &[u8], end: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..length]);
        }
        answer
    }

    /// How many items a memcached has.
    #[track_caller]
    pub(crate) fn items(&self) -> String {
        let stats = String::from_utf8(self.ask(b"stats\r\n", "END\r\n")).unwrap();
        stats.lines().find_map(|line| line.strip_prefix("STAT curr_items ")).unwrap().to_owned()
    }
}

impl Drop for CacheServer {
    fn drop(&mut self) {
        self.stop();
    }
}
