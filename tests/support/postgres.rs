//! A PostgreSQL server of a test's own: Debian's, in a scratch folder, on a unix socket and a port of loopback. It ends with its
//! handle. It never runs as root, which it refuses.
use super::scratch::Scratch;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to come and to go.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user that Debian's package makes.
const USER: &str = "postgres";

/// A database cluster, running or not.
#[derive(Debug)]
pub(crate) struct PostgresCluster {
    child: Option<Child>,
    folder: Scratch,
    port: u16,
    options: Vec<String>,
    /// Bytes of a file system in memory that only this server sees, in the folder `small`.
    small: Option<u64>,
}

/// Where the newest PostgreSQL of this machine has its programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| Path::new(&format!("/usr/lib/postgresql/{version}/bin/postgres")).exists())
        .max();
    let version = newest.expect("PostgreSQL is there: apt-get install postgresql");
    PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"))
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr()).unwrap().port()
}

/// A command that does not run as root, as database servers will not.
pub(crate) fn command(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(program);
    command
}

impl PostgresCluster {
    /// A new one that runs. It does not sync: no test has a power failure.
    pub(crate) fn start() -> PostgresCluster {
        PostgresCluster::start_with(&["fsync=off", "full_page_writes=off"])
    }

    /// The same with these settings.
    pub(crate) fn start_with(settings: &[&str]) -> PostgresCluster {
        PostgresCluster::make(settings, None)
    }

    /// One that has a tablespace called `small`, of so many bytes. `None` if nobody may mount anything here: that is said, and
    /// fails where NEED_LOOP_MOUNTS says that one can.
    pub(crate) fn start_small(bytes: u64) -> Option<PostgresCluster> {
        let may = Command::new("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])
            .output()
            .unwrap();
        if !may.status.success() {
            let why = String::from_utf8_lossy(&may.stderr).trim().to_owned();
            assert!(std::env::var_os("NEED_LOOP_MOUNTS").is_none(), "{why}");
            println!("NOT RUN: what is done on a full disk, for want of a mount: {why}");
            return None;
        }
        let cluster = PostgresCluster::make(&["fsync=off", "full_page_writes=off"], Some(bytes));
        cluster
            .sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", cluster.folder.path("small")));
        Some(cluster)
    }

    fn make(settings: &[&str], small: Option<u64>) -> PostgresCluster {
        let folder = Scratch::new();
        fs::set_permissions(folder.file(""), fs::Permissions::from_mode(0o777)).unwrap();
        let made = command(&programs().join("initdb"))
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER, "-D"])
            .arg(folder.file("data"))
            .current_dir(folder.file(""))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let options = settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]).collect();
        let mut cluster = PostgresCluster { child: None, folder, port, options, small };
        cluster.launch();
        cluster
    }

    /// One that follows this one and has what it has, but a little later (`pg_basebackup -R`).
    pub(crate) fn copy(&self) -> PostgresCluster {
        let folder = Scratch::new();
        fs::set_permissions(folder.file(""), fs::Permissions::from_mode(0o777)).unwrap();
        let made = command(&programs().join("pg_basebackup"))
            .args(["-R", "--no-sync", "--checkpoint=fast", "-U", USER, "-h", &self.socket_folder()])
            .args(["-p", &self.port.to_string(), "-D"])
            .arg(folder.file("data"))
            .current_dir(folder.file(""))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let options = self.options.clone();
        let mut copy = PostgresCluster { child: None, folder, port: free_port(), options, small: None };
        copy.launch();
        copy
    }

    /// It follows nobody any more, and can be written to when this returns.
    #[track_caller]
    pub(crate) fn promote(&self) {
        assert_eq!(self.sql("postgres", "SELECT pg_promote()"), "t");
    }

    /// Starts it, and returns when it answers.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(self.folder.file("log")).unwrap();
        let mut started = self.command();
        let child = started
            .arg("-D")
            .arg(self.folder.file("data"))
            .arg("-k")
            .arg(self.folder.file(""))
            .args([
                "-p",
                &self.port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "shared_buffers=16MB",
            ])
            .args(&self.options)
            .current_dir(self.folder.file(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv is there: apt-get install util-linux");
        self.child = Some(child);
        let begin = Instant::now();
        while !self.psql("postgres", "SELECT 1").status.success() {
            let ended = self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            assert!(!ended && begin.elapsed() < PATIENCE, "PostgreSQL does not start: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What becomes the server.
    fn command(&self) -> Command {
        let postgres = programs().join("postgres");
        let Some(bytes) = self.small else { return command(&postgres) };
        let script = "mkdir -p small && mount -t tmpfs -o size=$0,mode=0700,uid=$(id -u postgres) none small && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, &bytes.to_string()]);
        command.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"]).arg(postgres);
        command
    }

    /// Stops it with this signal: INT ends sessions and writes everything, QUIT ends as after a crash.
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

    /// Where it is, as a connection string for this database and this role.
    pub(crate) fn conninfo_of(&self, database: &str, role: &str) -> String {
        format!("host={} port={} dbname={database} user={role}", self.folder.path(""), self.port)
    }

    /// The same of its administrator.
    pub(crate) fn conninfo(&self, database: &str) -> String {
        self.conninfo_of(database, USER)
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its unix socket.
    pub(crate) fn socket_folder(&self) -> String {
        self.folder.path("")
    }

    /// The folder of its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.file("data")
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        Command::new("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.conninfo(database), "-c", sql])
            .stdin(Stdio::null())
            .output()
            .expect("psql is there: apt-get install postgresql")
    }

    /// Runs SQL in a database, and returns what it prints: columns with | in between.
    #[track_caller]
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let done = self.psql(database, sql);
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// A new database.
    #[track_caller]
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.conninfo(name)
    }

    /// Ends all sessions in a database but our own: how many. They are gone when this returns.
    pub(crate) fn end_sessions(&self, database: &str) -> usize {
        let sql = "SELECT string_agg(pid::text, ',') FROM (SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()) AS ended";
        let ended = self.sql(database, sql);
        if ended.is_empty() {
            return 0;
        }
        let left = format!("SELECT count(*) FROM pg_stat_activity WHERE pid IN ({ended})");
        let begin = Instant::now();
        while self.sql(database, &left) != "0" {
            assert!(begin.elapsed() < PATIENCE, "sessions do not end");
        }
        ended.split(',').count()
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        self.stop(rustix::process::Signal::QUIT);
    }
}
