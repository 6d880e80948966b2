//! Debian's pgbouncer before a cluster of a test, in transaction mode: a session of the database is anybody's between two
//! transactions. It ends with its handle.
use super::support::postgres::{PostgresCluster, command};
use super::support::scratch::Scratch;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = "/usr/sbin/pgbouncer";
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Pooler {
    child: Child,
    folder: Scratch,
    port: u16,
    database: String,
}

impl Pooler {
    pub(crate) fn before(cluster: &PostgresCluster, database: &str) -> Pooler {
        assert!(Path::new(PROGRAM).exists(), "pgbouncer is there: apt-get install pgbouncer");
        let folder = Scratch::new();
        fs::set_permissions(folder.file(""), fs::Permissions::from_mode(0o777)).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n{database} = host={} port={} dbname={database}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 4\nserver_round_robin = 1\nlogfile = {}\npidfile = {}\n",
            cluster.socket_folder(),
            cluster.port(),
            folder.path("log"),
            folder.path("pid")
        )
        .replace(&format!("dbname={database}\n"), &format!("dbname={database} user=postgres\n"));
        fs::write(folder.file("settings"), settings).unwrap();
        let child = launch(&folder);
        let pooler = Pooler { child, folder, port, database: database.to_owned() };
        pooler.await_it();
        pooler
    }

    /// Where it is.
    pub(crate) fn conninfo(&self) -> String {
        format!("host=127.0.0.1 port={} dbname={} user=postgres", self.port, self.database)
    }

    /// All sessions through it end, and it is there again.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.child = launch(&self.folder);
        self.await_it();
    }

    fn await_it(&self) {
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = fs::read_to_string(self.folder.file("log")).unwrap_or_default();
            assert!(begin.elapsed() < PATIENCE, "pgbouncer does not start: {log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Scratch) -> Child {
    command(Path::new(PROGRAM))
        .arg("-q")
        .arg(folder.file("settings"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.end();
    }
}
