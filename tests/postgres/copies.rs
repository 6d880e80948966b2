//! `ringgear store import` and `export` between all kinds of stores and a PostgreSQL table.
use super::*;
use std::process::Command;
use support::scratch::Scratch;

/// Runs `ringgear store`: what it says, or what is wrong.
fn store(words: &[&str]) -> Result<String, String> {
    let done = Command::new(env!("CARGO_BIN_EXE_ringgear")).arg("store").args(words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
}

fn table(conninfo: &str, table: &str) -> PostgresOptions {
    PostgresOptions { table: table.to_owned(), ..PostgresOptions::of(conninfo) }
}

#[test]
fn jobs_go_from_any_store_to_any_other() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    let folder = Scratch::new();
    let jobs = [
        job(7, b"u", b"w \0 \xff"),
        StoredJob { attempts: 1, reducer: Some(b"sum"), ..job(8, b"", b"odd") },
        StoredJob { epoch: Some(Epoch(2_000_000_000_001)), ..job(9, b"later", b"l") },
        dead(10, b"d", b"dead"),
    ];
    let mut from = open(&conninfo);
    replayed(&mut from);
    put(&mut from, &jobs);
    from.close().unwrap();
    let word = format!("postgres:{conninfo}");
    let uri = format!(
        "postgresql:///d?host={}&port={}&user=postgres",
        cluster.socket_folder().replace('/', "%2F"),
        cluster.port()
    );
    let (log, file) = (folder.path("log"), folder.path("queue.db"));
    // Out of it, and back into other tables of it.
    let said = store(&["export", &word, "--data-dir", &log]).unwrap();
    assert_eq!(said, "4 jobs exported, 1 of them dead\n0 got another handle\n");
    let said = store(&["export", &uri, "--libsqlite3-db", &file]).unwrap();
    assert!(said.starts_with("3 jobs exported; 1 dead ones stand where gearmand does not look\n"), "{said}");
    store(&["import", "--data-dir", &log, &word, "--table", "of_log"]).unwrap();
    store(&["import", "--libsqlite3-db", &file, &uri, "--table", "of_sqlite"]).unwrap();
    store(&["export", &log, "--libpq-conninfo", &conninfo, "--libpq-table", "exported"]).unwrap();
    store(&[
        "import",
        "--libpq-conninfo",
        &conninfo,
        "--libpq-table",
        "exported",
        &word,
        "--table",
        "of_table",
    ])
    .unwrap();
    for name in ["queue", "of_log", "of_sqlite", "exported", "of_table"] {
        let mut there = PostgresStore::open(table(&conninfo, name)).unwrap();
        assert_eq!(replayed(&mut there), expected(&jobs), "{name}");
    }
    // A second time only what nothing can tell from others comes again.
    let said = store(&["import", "--data-dir", &log, &word, "--table", "of_log"]).unwrap();
    assert!(said.ends_with("2 would have joined a job that is there\n"), "{said}");
    let refused = store(&["export", &log, "--libpq-conninfo", &conninfo]).unwrap_err();
    assert_eq!(refused, "ringgear store: table queue has 4 jobs already; name another table or database\n");
    let refused =
        store(&["import", "--libpq-conninfo", &conninfo, "--libpq-table", "nowhere", &log]).unwrap_err();
    assert!(refused.contains("there is no table \"nowhere\""), "{refused}");
    assert_eq!(cluster.sql("d", "SELECT to_regclass('nowhere') IS NULL"), "t");
    let refused = store(&["import", "--libpq-conninfo", &conninfo, &word]).unwrap_err();
    assert_eq!(refused, "ringgear store: table queue is to be copied to itself; name two stores\n");
    let refused = store(&["import", "--libpq-table", "t", &log]).unwrap_err();
    assert!(refused.contains("required"), "{refused}");
    let refused = store(&["export", &log, "--table", "t", "--data-dir", "x"]).unwrap_err();
    assert!(
        refused.contains("--table: ") && refused.contains(" is a directory, which has no tables"),
        "{refused}"
    );
}
