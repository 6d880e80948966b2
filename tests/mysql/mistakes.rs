//! What an operator must mend is said in one sentence with the remedy, before the port is opened.
use super::*;
use std::fs;
use std::process::Command;
use support::scratch::Scratch;
use support::server::{free_address, run_to_end};

/// What the server says when it does not start with these variables and options.
#[track_caller]
fn said(variables: &[&str], options: &[&str]) -> String {
    let wrapper: Vec<&str> = ["env", "HOME=/nonexistent"].iter().chain(variables).copied().collect();
    let words: Vec<&str> =
        ["-t", "1", "-q", "mysql", "--store-wait", "0"].iter().chain(options).copied().collect();
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
    let server = database();
    server
        .sql("", "CREATE USER 'u'@'127.0.0.1' IDENTIFIED BY 'right'; GRANT SELECT ON d.* TO 'u'@'127.0.0.1'");
    let port = server.port().to_string();
    let place = ["--mysql-host", "127.0.0.1", "--mysql-port", &port];
    let with = |more: &[&'static str]| [&place[..], more].concat();
    let refused = "does not let this server keep jobs there: ";
    let remedy = "; see to the name, the password and the rights that it has there, or name another place";
    let line = said(&[], &with(&["--mysql-user", "u", "--mysql-password", "wrong", "--mysql-db", "d"]));
    let at = format!("MySQL at 127.0.0.1:{port}, database d");
    assert_says(
        &line,
        &[&at, refused, "Access denied for user 'u'@'127.0.0.1' (using password: YES)", remedy],
    );
    let line = said(&[], &with(&["--mysql-user", "root", "--mysql-db", "nowhere"]));
    assert_says(&line, &[refused, "Unknown database 'nowhere'", remedy]);
    let line = said(&[], &with(&["--mysql-user", "root"]));
    assert_says(&line, &["no database was named: name it with --mysql-db"]);
    // Rights, and the statements that give them, which help when they are run.
    let u = with(&["--mysql-user", "u", "--mysql-password", "right", "--mysql-db", "d"]);
    let line = said(&[], &u);
    assert_says(
        &line,
        &[
            "command denied to user 'u'@'127.0.0.1'",
            "have somebody who may run: CREATE TABLE",
            "GRANT SELECT",
        ],
    );
    let (_, statements) = line.split_once(" run: ").unwrap();
    let (statements, _) = statements.split_once("; see to the name").unwrap();
    server.sql("d", statements);
    let words = [&["-t", "1", "-q", "MariaDB"][..], &u].concat();
    let mut ours = support::server::Server::start(&words);
    support::server::echo(&mut ours.connect(), b"it serves");
    ours.signal(rustix::process::Signal::TERM);
    assert!(ours.wait().success());
    server.sql("", "REVOKE DELETE ON d.gearman_queue FROM 'u'@'127.0.0.1'");
    assert_says(&said(&[], &u), &["DELETE command denied", "have somebody who may run: "]);
}

#[test]
fn option_files_say_what_options_leave_open() {
    let server = database();
    server.sql("", "CREATE USER 'u'@'localhost' IDENTIFIED BY 'it''s'; GRANT ALL ON d.* TO 'u'@'localhost'");
    let folder = Scratch::new();
    let file = format!(
        "[client]\nuser=x\nsocket={}\n[gearmand]\nuser = u\npassword = \"it's\"\ndatabase=d\n",
        server.socket()
    );
    fs::write(folder.file(".my.cnf"), file).unwrap();
    let home = format!("HOME={}", folder.path(""));
    let mut ours = support::server::Server::start_by(
        &["env", &home],
        &["-t", "1", "-q", "MySQL", "--verbose", "NOTICE"],
    );
    support::server::echo(&mut ours.connect(), b"it serves");
    assert_eq!(left(&server, "gearman_queue"), "0");
    ours.signal(rustix::process::Signal::TERM);
    assert!(ours.wait().success());
}

#[test]
fn a_table_of_another_shape_is_left_alone() {
    let server = database();
    server.sql(
        "d",
        "CREATE TABLE narrow (unique_key VARCHAR(64), function_name VARCHAR(64)); \
         CREATE TABLE texts (unique_key VARCHAR(64), function_name VARCHAR(64), priority INT, data LONGTEXT, when_to_run INT); \
         CREATE TABLE strict_ (unique_key VARCHAR(64), function_name VARCHAR(64), priority INT, data LONGBLOB, when_to_run INT, \
         tenant INT NOT NULL); CREATE VIEW seen AS SELECT * FROM texts; CREATE TABLE taken_ringgear (a INT)",
    );
    gearmands_table(&server, "taken", "");
    let remedy = "; name another table with --mysql-table, which is made if it is not there";
    let socket = server.socket();
    for (table, what) in [
        ("narrow", &["table d.narrow is none of gearmand's: it has no column priority", remedy][..]),
        ("texts", &["column data is longtext, and longblob is wanted", remedy]),
        ("strict_", &["column tenant must have a value, and jobs have none for it", remedy]),
        ("seen", &["d.seen is no plain table, and jobs cannot be kept in it"]),
        ("taken", &["table `d`.`taken_ringgear` is not ours: ", "drop it if nothing needs it"]),
        ("nowhere.queue", &["Unknown database 'nowhere'"]),
    ] {
        let words =
            ["--mysql-host", &socket, "--mysql-user", "root", "--mysql-db", "d", "--mysql-table", table];
        assert_says(&said(&[], &words), what);
    }
    assert_eq!(server.sql("d", "SELECT COUNT(*) FROM information_schema.columns WHERE table_name IN ('narrow', 'texts') AND column_name LIKE 'ringgear%'"), "0");
}

#[test]
fn settings_that_weaken_the_promise_are_said_or_refused() {
    let server = database_with(&[
        "innodb-flush-log-at-trx-commit=2",
        "log-bin=b",
        "server-id=1",
        "sync-binlog=0",
        "binlog-format=STATEMENT",
    ]);
    let socket = server.socket();
    let words = ["--mysql-host", &socket, "--mysql-user", "root", "--mysql-db", "d"];
    let line = said(&[], &[&words[..], &["--durability", "synced"]].concat());
    assert_says(
        &line,
        &[
            "--durability synced cannot be kept: innodb_flush_log_at_trx_commit is 2 there",
            "leave --durability out to go on with a warning",
        ],
    );
    let log = |more: &[&str]| {
        let mut ours = serve(&[&["-q", "mysql"], &words[..], more].concat());
        support::server::echo(&mut ours.connect(), b"it serves");
        ours.signal(rustix::process::Signal::TERM);
        assert!(ours.wait().success());
        ours.log()
    };
    assert_says(
        &log(&[]),
        &["the store: innodb_flush_log_at_trx_commit is 2 there", "the store: sync_binlog is 0 there"],
    );
    let logged = log(&["--durability", "written"]);
    assert!(!logged.contains("the store: "), "{logged}");
    server.sql("", "SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL sync_binlog = 1");
    server.sql("d", "ALTER TABLE gearman_queue ENGINE=MyISAM");
    let line = said(&[], &[&words[..], &["--durability", "synced"]].concat());
    assert_says(
        &line,
        &["table d.gearman_queue is of the engine MyISAM", "ALTER TABLE `d`.`gearman_queue` ENGINE=InnoDB"],
    );
    server.sql("d", "ALTER TABLE gearman_queue ENGINE=InnoDB");
    assert!(!log(&["--durability", "synced"]).contains("the store: "));
    // A server that writes statements into its log takes jobs, too.
    outlive(&[&["-q", "mysql"], &words[..]].concat(), rustix::process::Signal::TERM);
    server.sql("", "SET GLOBAL read_only = 1");
    assert_says(&said(&[], &words), &["nothing can be written there, for read_only is on: it is a replica"]);
}

#[test]
fn what_is_said_is_secret_where_option_files_ask_for_it() {
    let folder = Scratch::new();
    let made = Command::new("sh")
        .args(["-ec", "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=ca \
               -addext basicConstraints=critical,CA:TRUE
               openssl req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=localhost
               printf 'subjectAltName=DNS:other.example\\n' > ext
               openssl x509 -req -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out s.crt
               openssl req -x509 -newkey rsa:2048 -nodes -keyout wrong.key -out wrong.crt -days 2 -subj /CN=wrong"])
        .current_dir(folder.file(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = database_with(&[
        &format!("ssl-ca={}", folder.path("ca.crt")),
        &format!("ssl-cert={}", folder.path("s.crt")),
        &format!("ssl-key={}", folder.path("s.key")),
    ]);
    server.sql("", "CREATE USER 'u'@'127.0.0.1' REQUIRE SSL; GRANT ALL ON d.* TO 'u'@'127.0.0.1'");
    let port = server.port().to_string();
    let words = ["--mysql-host", "127.0.0.1", "--mysql-port", &port, "--mysql-user", "u", "--mysql-db", "d"];
    let home = format!("HOME={}", folder.path(""));
    let ask = |text: String| fs::write(folder.file(".my.cnf"), format!("[gearmand]\n{text}\n")).unwrap();
    assert_says(&said(&[], &words), &["Access denied for user 'u'@'127.0.0.1'"]);
    ask(format!("ssl-ca={}", folder.path("wrong.crt")));
    assert_says(&said(&[&home], &words), &["UnknownIssuer"]);
    ask(format!("ssl-ca={}\nssl-verify-server-cert", folder.path("ca.crt")));
    assert_says(&said(&[&home], &words), &["not valid for name"]);
    for text in [format!("ssl-ca={}", folder.path("ca.crt")), "ssl-mode=REQUIRED".to_owned()] {
        ask(text);
        let words = [&["-t", "1", "-q", "mysql"], &words[..]].concat();
        let mut ours = support::server::Server::start_by(&["env", &home], &words);
        support::server::echo(&mut ours.connect(), b"it serves");
        ours.signal(rustix::process::Signal::TERM);
        assert!(ours.wait().success());
    }
}
