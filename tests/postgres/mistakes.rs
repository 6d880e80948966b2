//! What an operator must mend is said in one sentence with the remedy, before the port is opened.
use super::*;
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use support::scratch::Scratch;
use support::server::{Server, free_address, run_to_end};

/// What the server says when it does not start with these variables and options.
#[track_caller]
fn said(variables: &[&str], options: &[&str]) -> String {
    let wrapper: Vec<&str> = ["env"].iter().chain(variables).copied().collect();
    let words: Vec<&str> =
        ["-t", "1", "-q", "postgres", "--store-wait", "0"].iter().chain(options).copied().collect();
    let ended = run_to_end(&wrapper, free_address(), &words);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(74), "{said}");
    assert!(!said.contains("listening on"), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part} is not said: {said}");
    }
}

#[test]
fn who_may_not_come_in_is_told_so() {
    let cluster = PostgresCluster::start();
    cluster.database("d");
    cluster.sql("d", "CREATE ROLE u LOGIN PASSWORD 'right'; GRANT ALL ON SCHEMA public TO u");
    let hba = "local all postgres trust\nhost all u 127.0.0.1/32 scram-sha-256\n";
    fs::write(cluster.data().join("pg_hba.conf"), hba).unwrap();
    cluster.sql("d", "SELECT pg_reload_conf()");
    let place = format!("host=127.0.0.1 port={} dbname=d", cluster.port());
    let with = |more: &str| format!("{place} {more}");
    let refused = "does not let this server keep jobs there: ";
    let remedy = "; see to the name, the password and the rights that it has there, or name another place";
    let line = said(&["HOME=/nonexistent"], &["--libpq-conninfo", &with("user=u password=wrong")]);
    let place_said = format!("PostgreSQL at 127.0.0.1:{}, database d", cluster.port());
    assert_says(&line, &[&place_said, refused, "password authentication failed for user \"u\"", remedy]);
    let line = said(&["HOME=/nonexistent"], &["--libpq-conninfo", &with("user=u")]);
    assert_says(&line, &[refused, "password missing", remedy]);
    let line = said(&[], &["--libpq-conninfo", &with("user=nobody")]);
    assert_says(&line, &[refused, "no pg_hba.conf entry for host", remedy]);
    let line = said(&[], &["--libpq-conninfo", &cluster.conninfo("nowhere")]);
    assert_says(&line, &[refused, "database \"nowhere\" does not exist", remedy]);

    // The right one, from each place where it may stand.
    let folder = Scratch::new();
    fs::write(folder.file(".pgpass"), format!("127.0.0.1:*:d:u:{}\n", "right")).unwrap();
    let home = format!("HOME={}", folder.path(""));
    let conninfo = with("user=u");
    let line = said(&[&home], &["--libpq-conninfo", &conninfo]);
    assert_says(&line, &["password missing"]);
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder.file(".pgpass"), fs::Permissions::from_mode(0o600)).unwrap();
    let port = format!("PGPORT={}", cluster.port());
    let uri = format!("postgresql://u:right@127.0.0.1:{}/d", cluster.port());
    for (variables, words) in [
        (&[home.as_str()][..], &["--libpq-conninfo", &conninfo][..]),
        (&["PGHOST=127.0.0.1", &port, "PGUSER=u", "PGPASSWORD=right", "PGDATABASE=d"], &[]),
        (&[], &["--libpq-conninfo", &uri, "--libpq-table", "by_uri"]),
    ] {
        let wrapper: Vec<&str> = ["env"].iter().chain(variables).copied().collect();
        let words: Vec<&str> = ["-t", "1", "-q", "libpq"].iter().chain(words).copied().collect();
        let mut server = Server::start_by(&wrapper, &words);
        support::server::echo(&mut server.connect(), b"it serves");
        server.signal(Signal::TERM);
        assert!(server.wait().success());
    }
    let tables = cluster.sql("d", "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relowner = 'u'::regrole");
    let all = "by_uri by_uri_ringgear by_uri_ringgear_numbers by_uri_ringgear_servers queue queue_ringgear queue_ringgear_numbers \
               queue_ringgear_servers";
    assert_eq!(tables, all);
}

#[test]
fn who_lacks_rights_is_told_the_statements() {
    let cluster = PostgresCluster::start();
    cluster.database("d");
    cluster.sql("d", "CREATE ROLE u LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let conninfo = cluster.conninfo_of("d", "u");
    let line = said(&[], &["--libpq-conninfo", &conninfo]);
    assert_says(&line, &["permission denied for schema public", "have somebody who may run: CREATE TABLE"]);
    // gearmand's table of somebody else: what is said to be run is what helps.
    cluster.sql(
        "d",
        "CREATE TABLE queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INTEGER, data BYTEA, when_to_run INTEGER, \
         UNIQUE (unique_key, function_name)); GRANT SELECT, INSERT, UPDATE, DELETE ON queue TO u",
    );
    let line = said(&[], &["--libpq-conninfo", &conninfo]);
    assert_says(&line, &["must be owner of table queue", "have the owner of public.queue run: ALTER TABLE"]);
    let (_, statements) = line.split_once(" run: ").unwrap();
    let (statements, _) = statements.split_once("; see to the name").unwrap();
    assert_says(
        statements,
        &["ADD COLUMN ringgear_number bigint", "CREATE UNIQUE INDEX", "CREATE TABLE", "GRANT"],
    );
    cluster.sql("d", statements);
    cluster.sql("d", "REVOKE DELETE ON queue FROM u");
    let line = said(&[], &["--libpq-conninfo", &conninfo]);
    assert_says(&line, &["role \"u\" lacks DELETE on \"public\".\"queue\"; have the owner run: GRANT "]);
    cluster.sql("d", "GRANT DELETE ON queue TO u");
    let mut store = open(&conninfo);
    replayed(&mut store);
    put(&mut store, &[job(1, b"u", b"w"), dead(2, b"u", b"w")]);
    store.close().unwrap();
    assert_eq!(replayed(&mut open(&conninfo)), expected(&[job(1, b"u", b"w"), dead(2, b"u", b"w")]));
}

#[test]
fn a_table_of_another_shape_is_left_alone() {
    let cluster = PostgresCluster::start();
    let conninfo = cluster.database("d");
    cluster.sql(
        "d",
        "CREATE TABLE narrow (unique_key text, function_name text); \
         CREATE TABLE texts (unique_key text, function_name text, priority integer, data text, when_to_run integer); \
         CREATE TABLE strict (unique_key text, function_name text, priority integer, data bytea, when_to_run integer, tenant integer NOT NULL); \
         CREATE VIEW seen AS SELECT * FROM texts; \
         CREATE TABLE taken (unique_key text, function_name text, priority integer, data bytea, when_to_run integer); \
         CREATE TABLE taken_ringgear (a integer)",
    );
    let remedy = "; name another table with --libpq-table, which is made if it is not there";
    for (table, what) in [
        ("narrow", &["table public.narrow is none of gearmand's: it has no column priority", remedy][..]),
        ("texts", &["column data is text, and bytea is wanted", remedy]),
        ("strict", &["column tenant must have a value, and jobs have none for it", remedy]),
        ("seen", &["public.seen is no plain table, and jobs cannot be kept in it"]),
        ("taken", &["table \"public\".\"taken_ringgear\" is not ours: ", "drop it if nothing needs it"]),
        ("nowhere.queue", &["there is no schema nowhere; make it, or name another with --libpq-table"]),
    ] {
        assert_says(&said(&[], &["--libpq-conninfo", &conninfo, "--libpq-table", table]), what);
    }
    let columns = "SELECT count(*) FROM pg_attribute WHERE attname LIKE 'ringgear%' AND attrelid IN ('narrow'::regclass, 'texts'::regclass)";
    assert_eq!(cluster.sql("d", columns), "0");
}

#[test]
fn a_replica_is_passed_over_and_a_promoted_one_is_taken() {
    let mut primary = PostgresCluster::start();
    primary.database("d");
    let mut standby = PostgresCluster::start();
    standby.database("d");
    standby.stop(Signal::INT);
    fs::write(standby.data().join("standby.signal"), "").unwrap();
    standby.launch();
    let line = said(&[], &["--libpq-conninfo", &standby.conninfo("d")]);
    assert_says(
        &line,
        &[
            "it is a replica, where nothing can be written; name the primary, or all hosts with commas in between",
        ],
    );
    primary.sql("postgres", "ALTER DATABASE d SET default_transaction_read_only = on");
    let line = said(&[], &["--libpq-conninfo", &primary.conninfo("d")]);
    assert_says(&line, &["nothing can be written there: default_transaction_read_only is on"]);
    primary.sql("postgres", "ALTER DATABASE d RESET default_transaction_read_only");

    let several = format!(
        "host={},{} port={},{} user=postgres dbname=d target_session_attrs=read-write",
        standby.socket_folder(),
        primary.socket_folder(),
        standby.port(),
        primary.port()
    );
    let mut store = open(&several);
    replayed(&mut store);
    put(&mut store, &[job(1, b"a", b"1")]);
    assert_eq!(primary.sql("d", "SELECT count(*) FROM queue"), "1");
    // The primary dies, and the other one takes over: without the last commits, which come from memory.
    primary.stop(Signal::QUIT);
    standby.sql("d", "SELECT pg_promote()");
    support::server::wait_until("the other one has it", || {
        store.maintain().unwrap();
        let wanted = store.wanted();
        if wanted.is_empty() {
            return !store.owes();
        }
        put(&mut store, &[job(1, b"a", b"1")]);
        false
    });
    put(&mut store, &[job(2, b"b", b"2")]);
    store.close().unwrap();
    assert_eq!(standby.sql("d", "SELECT string_agg(unique_key, ' ' ORDER BY unique_key) FROM queue"), "a b");
}

#[test]
fn what_weakens_the_promise_is_said_or_refused() {
    let weak = PostgresCluster::start();
    let conninfo = weak.database("d");
    let line = said(&[], &["--libpq-conninfo", &conninfo, "--durability", "synced"]);
    assert_says(
        &line,
        &[
            "--durability synced cannot be kept: fsync is off there",
            "leave --durability out to go on with a warning",
        ],
    );
    let start = |conninfo: &str, more: &[&str]| {
        let words: Vec<&str> =
            ["-t", "1", "--verbose", "NOTICE", "-q", "postgres", "--libpq-conninfo", conninfo]
                .iter()
                .chain(more)
                .copied()
                .collect();
        let mut server = Server::start(&words);
        support::server::echo(&mut server.connect(), b"it serves");
        let log = server.log();
        server.signal(Signal::TERM);
        assert!(server.wait().success());
        log
    };
    assert_says(&start(&conninfo, &[]), &["the store: fsync is off there"]);

    let sound = PostgresCluster::start_with(&[]);
    let conninfo = sound.database("d");
    let log = start(&conninfo, &["--durability", "synced"]);
    assert!(!log.contains(" is off "), "{log}");
    let off = format!("{conninfo} options='-c synchronous_commit=off'");
    let line = said(&[], &["--libpq-conninfo", &off, "--durability", "synced"]);
    assert_says(&line, &["--durability synced cannot be kept: synchronous_commit is off there"]);
    assert_says(&start(&off, &[]), &["the store: synchronous_commit is off there"]);
    let log = start(&conninfo, &["--durability", "written"]);
    assert!(!log.contains(" is off "), "{log}");
    sound.sql(
        "d",
        "DROP TABLE queue; DROP TABLE queue_ringgear; CREATE UNLOGGED TABLE queue \
         (unique_key text, function_name text, priority integer, data bytea, when_to_run integer)",
    );
    let line = said(&[], &["--libpq-conninfo", &conninfo, "--durability", "synced"]);
    assert_says(&line, &["table public.queue is unlogged, so a crash of the database empties it"]);
}

#[test]
fn words_that_cannot_be_used_are_named() {
    for (variables, conninfo, what) in [
        (&["PGSSLMODE=verify-all"][..], "", &["PGSSLMODE in the environment: "][..]),
        (
            &[],
            "requirepeer=x",
            &["--libpq-conninfo, requirepeer: requirepeer is nothing that this server can do; leave it out"],
        ),
        (
            &["PGSERVICE=none", "HOME=/nonexistent"],
            "",
            &["PGSERVICE in the environment: there is no service none in any service file"],
        ),
        (&["PGPORT=x"], "host=h", &["PGPORT in the environment: x is no port"]),
        (
            &[],
            "host=nobody.invalid connect_timeout=1",
            &["PostgreSQL at nobody.invalid:5432, database ", " cannot be reached: "],
        ),
    ] {
        assert_says(&said(variables, &["--libpq-conninfo", conninfo]), what);
    }
    // Nobody is there.
    let nobody: SocketAddr = free_address();
    let conninfo = format!("host=127.0.0.1 port={} dbname=d user=u", nobody.port());
    assert_says(&said(&[], &["--libpq-conninfo", &conninfo]), &["cannot be reached: ", "Connection refused"]);
}

/// A message of a server.
fn message(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[kind][..], &(data.len() as u32 + 4).to_be_bytes(), data].concat()
}

/// Answers one client as a server of this version does that lets everybody in, as far as its first question.
fn pretend(listener: &TcpListener, number: i32, version: &str) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut rest).unwrap();
    stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', b"I")].concat()).unwrap();
    // Up to the end of the first question.
    let mut kind = [0; 1];
    while kind != *b"S" {
        stream.read_exact(&mut kind).unwrap();
        stream.read_exact(&mut length).unwrap();
        rest.resize(u32::from_be_bytes(length) as usize - 4, 0);
        stream.read_exact(&mut rest).unwrap();
    }
    let columns: [(i32, &[u8]); 6] = [
        (23, &number.to_be_bytes()),
        (25, version.as_bytes()),
        (16, &[0]),
        (16, &[0]),
        (23, &[0; 4]),
        (25, b"u"),
    ];
    let (mut described, mut row) = (6_u16.to_be_bytes().to_vec(), 6_u16.to_be_bytes().to_vec());
    for (kind, value) in columns {
        described.extend_from_slice(b"c\0\0\0\0\0\0\0");
        described.extend(kind.to_be_bytes());
        described.extend_from_slice(&[0, 4, 0xff, 0xff, 0xff, 0xff, 0, 1]);
        row.extend((value.len() as u32).to_be_bytes());
        row.extend_from_slice(value);
    }
    let answer = [
        message(b'1', b""),
        message(b'2', b""),
        message(b't', &[0, 0]),
        message(b'T', &described),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ];
    stream.write_all(&answer.concat()).unwrap();
    let _ = stream.read_to_end(&mut rest);
}

#[test]
fn a_server_that_is_too_old_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let old = thread::spawn(move || pretend(&listener, 110_022, "11.22"));
    let conninfo = format!("host=127.0.0.1 port={port} dbname=d user=u sslmode=disable");
    let line = said(&[], &["--libpq-conninfo", &conninfo]);
    assert_says(&line, &["it is PostgreSQL 11.22, and 12 or later is needed: upgrade it"]);
    old.join().unwrap();
}
