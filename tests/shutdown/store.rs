//! The end while a store is opened or read. What is kept in it stays there.
use super::*;
use crate::support::scratch::Scratch;
use rusqlite::Connection;

const JOBS: u32 = 300_000;

fn rows(file: &str) -> u32 {
    let count = "SELECT count(*) FROM gearman_queue";
    Connection::open(file).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
}

/// gearmand's table with many jobs.
fn fill(file: &str) {
    let table = "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB, \
                 when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))";
    let rows = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS}) \
         INSERT INTO gearman_queue SELECT 'u' || i, 'f' || (i % 100), 1, CAST('data' AS BLOB), 0 FROM n"
    );
    let connection = Connection::open(file).unwrap();
    connection.execute_batch(&format!("{table}; BEGIN; {rows}; COMMIT")).unwrap();
}

/// A server that has this database, and whose start is over; jobs may not all be read.
fn start(file: &str) -> Server {
    let server =
        Server::start(&["-t", "2", "-q", "libsqlite3", "--libsqlite3-db", file, "--verbose", "NOTICE"]);
    wait_until("the start is over", || server.log().contains("listening on"));
    server
}

#[test]
fn a_server_ends_while_it_reads_stored_jobs() {
    /// It may have read all of them before the signal comes.
    const ATTEMPTS: usize = 10;
    let folder = Scratch::new();
    let file = folder.path("queue.db");
    fill(&file);
    for signal in [Signal::TERM, Signal::INT] {
        let caught = (0..ATTEMPTS).any(|_| {
            let mut server = start(&file);
            // Its request waits until all jobs are read.
            let mut client = server.connect();
            client.write_all(&request(SUBMIT_JOB, b"f\0\0payload")).unwrap();
            server.signal(signal);
            assert!(server.wait().success());
            read_to_end(&mut client);
            assert_eq!(rows(&file), JOBS);
            wait_until("the log tells of the end", || server.log().contains("] stopped"));
            server.log().contains("not all stored jobs were read: ")
        });
        assert!(caught);
    }
}

/// Jobs that are not read yet are left, too.
#[test]
fn a_draining_server_knows_the_jobs_that_it_has_not_read_yet() {
    let folder = Scratch::new();
    let file = folder.path("queue.db");
    fill(&file);
    let mut server = start(&file);
    let mut client = server.connect();
    echo(&mut client, b"let in");
    server.signal(Signal::USR1);
    wait_until("nobody is let in any more", || TcpStream::connect(server.address()).is_err());
    let status = ask(&mut client, "status\n");
    let jobs: u32 = status.lines().filter_map(|line| line.split('\t').nth(1)?.parse::<u32>().ok()).sum();
    assert_eq!(jobs, JOBS);
    assert!(server.ended().is_none());
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    assert_eq!(rows(&file), JOBS);
}

/// A database that somebody else has locked is waited for; the operator need not wait.
#[test]
fn a_server_ends_while_it_opens_its_store() {
    let folder = Scratch::new();
    let file = folder.path("queue.db");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("CREATE TABLE other (x); BEGIN EXCLUSIVE").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ringgear"));
    command.args(["-L", "127.0.0.1", "-p", "0", "-t", "1", "-q", "libsqlite3", "--libsqlite3-db", &file]);
    let mut child = command.spawn().unwrap();
    wait_until("the database is open", || {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", child.id())) else { return false };
        let mut links = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        links.any(|link| link.as_os_str() == file.as_str())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}
