//! A MariaDB server of a test's own: Debian's, in a scratch folder, on a unix socket and a port of loopback. It ends with its handle.
use super::scratch::Scratch;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to come and to go.
const PATIENCE: Duration = Duration::from_secs(60);
const SERVER: &str = "/usr/sbin/mariadbd";

/// A database server, running or not.
#[derive(Debug)]
pub(crate) struct MariaServer {
    child: Option<Child>,
    folder: Scratch,
    port: u16,
    options: Vec<String>,
}

/// A folder of data that is copied for each server: making one takes seconds.
fn template() -> &'static Scratch {
    static TEMPLATE: OnceLock<Scratch> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = Scratch::new();
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .args(["--innodb-log-file-size=4M", "--user=root"])
            .arg(format!("--datadir={}", folder.path("data")))
            .stdin(Stdio::null())
            .output()
            .expect("MariaDB is there: apt-get install mariadb-server");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        folder
    })
}

impl MariaServer {
    /// A new one that runs. It does not sync: no test has a power failure.
    pub(crate) fn start() -> MariaServer {
        MariaServer::start_with(&[])
    }

    /// The same with these settings more.
    pub(crate) fn start_with(settings: &[&str]) -> MariaServer {
        let folder = Scratch::new();
        let copied = Command::new("cp")
            .arg("-r")
            .arg(template().file("data"))
            .arg(folder.file("data"))
            .status()
            .unwrap();
        assert!(copied.success());
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let options = settings.iter().map(|setting| format!("--{setting}")).collect();
        let mut server = MariaServer { child: None, folder, port, options };
        server.launch();
        server
    }

    /// Starts it, and returns when it answers.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(self.folder.file("log")).unwrap();
        let child = Command::new(SERVER)
            .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M", "--innodb-fast-shutdown=1"])
            .arg(format!("--datadir={}", self.folder.path("data")))
            .arg(format!("--socket={}", self.socket()))
            .arg(format!("--pid-file={}", self.folder.path("pid")))
            .arg(format!("--tmpdir={}", self.folder.path("")))
            .arg(format!("--port={}", self.port))
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("MariaDB is there: apt-get install mariadb-server");
        self.child = Some(child);
        let begin = Instant::now();
        while !self.client("", "SELECT 1").status.success() {
            let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            assert!(!ended && begin.elapsed() < PATIENCE, "MariaDB does not start: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it with this signal: TERM writes everything, KILL ends as after a crash.
    pub(crate) fn stop(&mut self, signal: rustix::process::Signal) {
        let Some(mut child) = self.child.take() else { return };
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal);
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begin.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.file("log")).unwrap_or_default()
    }

    /// Its unix socket.
    pub(crate) fn socket(&self) -> String {
        self.folder.path("socket")
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A file beside its data.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.file(name)
    }

    fn client(&self, database: &str, sql: &str) -> Output {
        Command::new("mariadb")
            .args(["--no-defaults", "-NB", "--default-character-set=utf8mb4", "-uroot", "-S", &self.socket()])
            .args(["-e", sql])
            .args((!database.is_empty()).then_some(database))
            .stdin(Stdio::null())
            .output()
            .expect("mariadb is there: apt-get install mariadb-client")
    }

    /// Runs SQL in a database, and returns what it prints: columns with tabs in between.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let done = self.client(database, sql);
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// Ends all sessions in a database but our own.
    pub(crate) fn end_sessions(&self, database: &str) {
        let list = format!("SELECT id FROM information_schema.processlist WHERE db = '{database}'");
        let ids: Vec<String> = self.sql("", &list).lines().map(str::to_owned).collect();
        for id in &ids {
            // One may have ended meanwhile.
            let _ = self.client("", &format!("KILL {id}"));
        }
        let begin = Instant::now();
        while self.sql("", &list).lines().any(|id| ids.iter().any(|killed| killed == id)) {
            assert!(begin.elapsed() < PATIENCE, "sessions do not end");
        }
    }
}

impl Drop for MariaServer {
    fn drop(&mut self) {
        self.stop(rustix::process::Signal::KILL);
    }
}
