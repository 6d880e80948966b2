//! `ringgear store import` and `export` between a MySQL table and other stores.
use super::*;
use std::process::Command;
use support::scratch::Scratch;

/// Runs `ringgear store`: what it says, or what is wrong.
fn store(words: &[&str]) -> Result<String, String> {
    let done = Command::new(env!("CARGO_BIN_EXE_ringgear"))
        .env("HOME", "/nonexistent")
        .arg("store")
        .args(words)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
}

#[test]
fn jobs_go_out_of_a_table_and_into_another() {
    let server = database();
    let folder = Scratch::new();
    let jobs = [
        job(7, b"u", b"w \0 \xff"),
        StoredJob { attempts: 1, reducer: Some(b"sum"), ..job(8, b"", b"odd") },
        StoredJob { epoch: Some(Epoch(2_000_000_000_001)), ..job(9, b"later", b"l") },
        dead(10, b"d", b"dead"),
    ];
    let mut from = open(&server);
    replayed(&mut *from);
    put(&mut *from, &jobs);
    from.close().unwrap();
    let uri = format!("mysql://root@{}/d", server.socket().replace('/', "%2F"));
    let (log, socket) = (folder.path("log"), server.socket());
    let said = store(&["export", &uri, "--data-dir", &log]).unwrap();
    assert_eq!(said, "4 jobs exported, 1 of them dead\n0 got another handle\n");
    store(&["import", "--data-dir", &log, &uri, "--table", "of_log"]).unwrap();
    let options = ["--mysql-db", "d", "--mysql-host", &socket, "--mysql-user", "root", "--mysql-table"];
    let said = store(&[&["export", &log], &options[..], &["exported"]].concat()).unwrap();
    assert!(said.starts_with("3 jobs exported; 1 dead ones stand where gearmand does not look\n"), "{said}");
    store(&[&["import"], &options[..], &["exported", &uri, "--table", "of_table"]].concat()).unwrap();
    for name in ["gearman_queue", "of_log", "exported", "of_table"] {
        assert_eq!(replayed(&mut *open_table(&server, name)), expected(&jobs), "{name}");
    }
    let refused = store(&[&["export", &log], &options[..], &["gearman_queue"]].concat()).unwrap_err();
    assert_eq!(
        refused,
        "ringgear store: table gearman_queue has 4 jobs already; name another table or database\n"
    );
    let refused = store(&[&["import"], &options[..], &["nowhere", &log]].concat()).unwrap_err();
    assert!(refused.contains("there is no table d.nowhere"), "{refused}");
    let refused = store(&[&["import"], &options[..], &["gearman_queue", &uri]].concat()).unwrap_err();
    assert_eq!(refused, "ringgear store: table gearman_queue is to be copied to itself; name two stores\n");
}

/// Drizzle's tables, which stand in many a MySQL, are those of another name and a wider time.
#[test]
fn drizzles_table_is_read() {
    let server = database();
    server.sql(
        "d",
        "CREATE TABLE queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INT, data LONGBLOB, when_to_run BIGINT, \
         UNIQUE KEY (unique_key, function_name)); INSERT INTO queue VALUES ('u', 'f', 0, 'w', 5000000000)",
    );
    let folder = Scratch::new();
    let (log, socket) = (folder.path("log"), server.socket());
    let words = [
        "import",
        "--mysql-db",
        "d",
        "--mysql-host",
        &socket,
        "--mysql-user",
        "root",
        "--mysql-table",
        "queue",
        &log,
    ];
    assert!(store(&words).unwrap().starts_with("1 jobs imported, 0 of them dead\n"));
    let dumped = store(&["dump", &log]).unwrap();
    assert!(dumped.contains("5000000000"), "{dumped}");
}
