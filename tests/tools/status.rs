//! `ringgear status` and `ringgear top --batch`: what a server's HTTP side tells, and what remains of that with any job server.
use crate::own::{Operated, cells, ended, grab, ringgear, submit};
use crate::support::gearmand;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::{Server, echo, wait_until};
use std::fs::{self, File};
use std::process::Stdio;

const COLUMNS: [&str; 10] =
    ["FUNCTION", "STATE", "WAITING", "OLDEST", "RUNNING", "WORKERS", "IN/s", "DONE/s", "RUN p95", "DEAD"];

/// A server with a function for each state.
fn busy() -> (Operated, [std::net::TcpStream; 2]) {
    let operated = Operated::start(&["--job-retries", "1"]);
    operated.kill_one("doomed", "d");
    let mut worker = operated.worker("mail", "mailer");
    operated.submit("mail", "a");
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
    operated.submit("mail", "b");
    operated.submit("lost", "c");
    let mut idle = operated.worker("idle", "idler");
    echo(&mut idle, b"known");
    (operated, [worker, idle])
}

#[test]
fn a_server_is_asked_how_its_functions_are() {
    let (operated, _workers) = busy();
    for table in [
        ended(&mut operated.tool(&["status"])).well(),
        ended(&mut operated.by_address(&["status"])).well(),
        // Without a word: it is the process that the job server says it is.
        ended(ringgear(&["status"]).env("RINGGEAR_CONTROL", operated.http.to_string())).well(),
    ] {
        let heads: Vec<&str> = table
            .lines()
            .next()
            .unwrap()
            .split("  ")
            .map(str::trim)
            .filter(|head| !head.is_empty())
            .collect();
        assert_eq!(heads, COLUMNS, "{table}");
        let names: Vec<&str> = table.lines().skip(1).map(|row| row.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["lost", "mail", "doomed", "idle"], "{table}");
        let row = |name: &str| cells(&table, name);
        assert_eq!(row("lost")[1..3], ["no worker", "1"], "{table}");
        assert_eq!(
            (&row("mail")[2][..], &row("mail")[4..6]),
            ("1", &["1".to_owned(), "1".to_owned()][..]),
            "{table}"
        );
        assert!(row("mail")[3].ends_with(" ms") || row("mail")[3].ends_with(" s"), "{table}");
        assert_eq!((&row("doomed")[1][..], &row("doomed")[9][..]), ("dead jobs", "1"), "{table}");
        assert_eq!((&row("idle")[1][..], &row("idle")[3][..]), ("idle", "-"), "{table}");
    }
    let only = ended(&mut operated.tool(&["status", "odd", "mail", "mail"])).well();
    assert_eq!(only.lines().count(), 3, "{only}");
    assert_eq!(cells(&only, "odd")[1], "not known");
    let sorted = ended(&mut operated.tool(&["status", "--sort", "name"])).well();
    assert!(sorted.lines().nth(1).unwrap().starts_with("doomed "), "{sorted}");
    // The words are those of the page.
    for word in ["no worker", "dead jobs", "idle"] {
        assert!(page(&operated).contains(word), "{word}");
    }
}

/// What the page Now says.
fn page(operated: &Operated) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(operated.http).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn json_has_ages_and_rates() {
    let (operated, _workers) = busy();
    let document = ended(&mut operated.tool(&["status", "--json", "mail", "odd"])).json().remove(0);
    let mail = &document["functions"][0];
    assert!(mail["oldest_waiting_seconds"].as_f64().is_some_and(|age| age < 60.0), "{mail}");
    assert!(mail["per_second"]["accepted"].as_f64().is_some_and(|rate| rate > 0.0), "{mail}");
    for (name, value) in [("waiting", 1), ("running", 1), ("workers", 1), ("dead", 0), ("scheduled", 0)] {
        assert_eq!(mail[name], value, "{mail}");
    }
    assert!(mail["state"].is_string() && mail["window_seconds"].is_u64(), "{mail}");
    assert_eq!(
        (&document["functions"][1]["known"], document["functions"][1].get("state")),
        (&false.into(), None)
    );
    let found = ended(&mut operated.tool(&["status", "--check"]));
    assert_eq!((found.status, &found.err[..]), (1, ""), "{found:?}");
    assert_eq!(ended(&mut operated.tool(&["status", "--check", "mail"])).status, 0);
}

/// Whoever names a job server is not told of another one, whose HTTP side is where it usually is or where the environment says.
#[test]
fn another_servers_side_is_not_asked() {
    let (operated, _workers) = busy();
    let other = Server::start(&[]);
    submit(&mut other.connect(), "theirs", "u");
    let port = other.address().port().to_string();
    let mut status = ringgear(&["status", "-H", "127.0.0.1", "-p", &port]);
    let table = ended(status.env("RINGGEAR_CONTROL", operated.http.to_string())).well();
    assert_eq!(
        table,
        "FUNCTION    WAITING    RUNNING    WORKERS\ntheirs            1          0          0  no worker\n"
    );
    // Nor one that was named beside it, as if they were the same.
    let both = ended(&mut operated.tool(&["status", "-p", &port]));
    assert!(both.status == 2 && both.err.contains("may be two servers; say one of them"), "{both:?}");
    // None is asked with none.
    let plain = ended(&mut ringgear(&["status", "-H", "127.0.0.1", "-p", &port, "--control", "none"])).well();
    assert_eq!(plain, table);
    // Who is not let in is told what everybody is told on the job port.
    let folder = Scratch::new();
    fs::write(folder.file("tokens"), "anonymous submit\n").unwrap();
    let closed = Operated::start(&["--control-tokens", &folder.path("tokens")]);
    let refused = ended(&mut closed.by_address(&["status"]));
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(refused.err.starts_with("ringgear status: ") && refused.err.contains("role read"), "{refused:?}");
    let port = closed.server.address().port().to_string();
    let mut fallen = ringgear(&["status"]);
    fallen.env("GEARMAND_PORT", &port).env("RINGGEAR_CONTROL", closed.http.to_string());
    assert_eq!(ended(&mut fallen).well(), "FUNCTION    WAITING    RUNNING    WORKERS\n");
}

#[test]
fn watching_goes_on_until_nobody_reads() {
    let (operated, _workers) = busy();
    let folder = Scratch::new();
    for (words, mark) in [
        (&["status", "--watch=1"][..], "FUNCTION  STATE"),
        (&["status", "--watch=1", "--json"], "{\"functions\":"),
    ] {
        let out = folder.file("out");
        let mut command = operated.tool(words);
        let mut child = command.stdin(Stdio::null()).stdout(File::create(&out).unwrap()).spawn().unwrap();
        wait_until("it has looked twice", || fs::read_to_string(&out).unwrap().matches(mark).count() >= 2);
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!fs::read_to_string(&out).unwrap().contains('\x1b'));
    }
    let mut command = operated.tool(&["status", "--watch=1"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut status = None;
    wait_until("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
}

#[test]
fn batches_are_plain_tables() {
    let (operated, _workers) = busy();
    let printed = ended(&mut operated.tool(&["top", "--batch", "--count", "2", "--interval", "1"])).well();
    let tables: Vec<&str> = printed.matches("FUNCTION  STATE").collect();
    assert_eq!(tables.len(), 2, "{printed}");
    let first = printed.lines().next().unwrap();
    assert!(
        first.starts_with("ringgear ") && first.contains("  serving  up ") && first.contains("shards "),
        "{printed}"
    );
    assert!(printed.contains("\nfunctions 4  waiting 2  running 1  without worker 1  dead 1\n"), "{printed}");
    assert!(!printed.contains('\x1b'), "{printed:?}");
    let filtered =
        ended(&mut operated.tool(&["top", "-b", "-n", "1", "--filter", "MAI", "--sort", "name"])).well();
    assert_eq!((cells(&filtered, "mail").len(), filtered.contains("\nlost")), (10, false), "{filtered}");
    // Without a terminal there is no live table, and it is said what there is.
    let refused = ended(&mut operated.tool(&["top"]));
    assert_eq!(refused.status, 2);
    assert_eq!(
        refused.err,
        "ringgear top: standard input and output are no terminal; say --batch for plain tables\n"
    );
    let nowhere = ended(&mut ringgear(&["top", "-b", "-n", "1", "-H", "unix:/nonexistent/socket"]));
    assert_eq!(nowhere.status, 1);
    assert!(
        nowhere.err.starts_with("ringgear top: /nonexistent/socket: no job server can be reached"),
        "{nowhere:?}"
    );
    assert_eq!(ended(&mut operated.tool(&["top", "--count", "2"])).status, 2);
}

#[test]
fn gearmand_has_the_columns_that_it_tells() {
    let theirs = gearmand::gearmand().unwrap_or_else(|error| panic!("{error}"));
    let mut server = gearmand::Server::start(&theirs, &[]).unwrap();
    submit(&mut server.connect().unwrap(), "mail", "u");
    let port = server.address().port().to_string();
    let printed = ended(&mut ringgear(&["top", "-b", "-n", "1", "-H", "127.0.0.1", "-p", &port])).well();
    let wanted = format!(
        "job server at 127.0.0.1 port {port}\nfunctions 1  waiting 1  running 0  without worker 1\n\n\
         FUNCTION  STATE      WAITING  RUNNING  WORKERS\nmail      no worker        1        0        0\n\n"
    );
    assert_eq!(printed, wanted);
    let json = ended(&mut ringgear(&["status", "--json", "-H", "127.0.0.1", "-p", &port])).json();
    assert_eq!(
        (&json[0]["functions"][0]["waiting"], json[0]["functions"][0].get("state")),
        (&1.into(), None)
    );
}
