//! Passwords, tokens and keys are told nobody: not in the log at its most talkative, not over HTTP, not in what a start or a subcommand
//! says of what is wrong, and not in the list of processes beyond what somebody wrote there himself.
use super::Secured;
use crate::support::authority::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

/// What is to be seen nowhere.
const SECRET: &str = "hunter2-Geheimnis";

/// What a server answers at every place of its HTTP side that tells of the server itself, over its unix socket, to root.
fn everything_told(socket: &Path) -> String {
    let mut told = String::new();
    for path in [
        "/",
        "/server",
        "/connections",
        "/metrics",
        "/api/v1/server",
        "/api/v1/counters",
        "/api/v1/functions",
        "/api/v1/connections",
        "/api/v1/audit",
    ] {
        let mut stream = Server::connect_by(socket);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let answer = String::from_utf8_lossy(&read_to_end(&mut stream)).into_owned();
        // Where stored jobs are not read yet, some pages say so.
        let told_of = ["HTTP/1.1 200", "HTTP/1.1 503"].iter().any(|status| answer.starts_with(status));
        assert!(told_of, "{path}: {answer}");
        told += &answer;
    }
    told
}

/// Runs `ringgear` with these words, which it cannot do: what it says.
fn said_by(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ringgear")).args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn passwords_of_databases_are_told_nobody() {
    // Somebody is there who is no database, and hangs up.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || nobody.incoming().for_each(drop));
    let words = format!("host=127.0.0.1 port={port} user=u dbname=d password={SECRET}");
    let uri = format!("postgresql://u:{SECRET}@127.0.0.1:{port}/d");
    let mysql =
        ["-q", "mysql", "--mysql-host=127.0.0.1", "--mysql-port", &port, "--mysql-user=u", "--mysql-db=d"];
    let redis = ["-q", "redis", "--redis-server=127.0.0.1", "--redis-port", &port];
    let (mysql_password, redis_password) =
        (format!("--mysql-password={SECRET}"), format!("--redis-password={SECRET}"));
    for options in [
        vec!["-q", "postgres", "--libpq-conninfo", &words],
        vec!["-q", "postgres", "--libpq-conninfo", &uri],
        [&mysql[..], &[&mysql_password]].concat(),
        [&redis[..], &[&redis_password]].concat(),
    ] {
        let folder = Scratch::new();
        let control = format!("unix:{}", folder.path("control"));
        let always = ["-t", "1", "--verbose=DEBUG", "--store-wait=1", "--control", &control];
        let said = match Server::try_start(&[], &[&always[..], &options].concat()) {
            Ok(mut server) => {
                let told = everything_told(&folder.file("control"));
                server.signal(Signal::TERM);
                server.wait();
                told + &server.log()
            }
            Err((_, said)) => said,
        };
        assert!(said.contains("127.0.0.1") && !said.contains(SECRET), "{options:?}: {said}");
    }
}

#[test]
fn mistakes_beside_passwords_do_not_repeat_them() {
    let unfinished = format!("host=h password='{SECRET}");
    let unknown = format!("host=h passwort={SECRET}");
    let uri = format!("postgresql://u:{SECRET}@h:port/d");
    let (mysql, redis) = (format!("--mysql-password={SECRET}"), format!("--redis-password={SECRET}"));
    let mysql_uri = format!("mysql://u:{SECRET}@127.0.0.1:1/d");
    let redis_uri = format!("redis://:{SECRET}@127.0.0.1:1/p");
    let folder = Scratch::new();
    for words in [
        vec!["-q", "postgres", "--libpq-conninfo", &unfinished],
        vec!["-q", "postgres", "--libpq-conninfo", &unknown],
        vec!["-q", "postgres", "--libpq-conninfo", &uri],
        vec!["-q", "sqlite", &mysql],
        vec!["-q", "no-such-store", &redis],
        vec!["check-migration", "--", "-q", "mysql", &mysql, "-d"],
        vec!["export", "--data-dir", &folder.path("none"), "--to", &mysql_uri],
        vec!["import", "--from", &redis_uri, "--data-dir", &folder.path("none")],
    ] {
        let said = said_by(&words);
        assert!(!said.is_empty() && !said.contains(SECRET), "{words:?}: {said}");
    }
}

#[test]
fn what_a_file_says_is_not_in_the_list_of_processes() {
    let folder = Scratch::new();
    let nobody = free_address();
    let lines = format!(
        "--queue-type=redis\n--redis-server=127.0.0.1\n--redis-port={}\n--redis-password={SECRET}\n",
        nobody.port()
    );
    fs::write(folder.file("gearmand.conf"), lines).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringgear"))
        .args(["-t", "1", "-L", "127.0.0.1", "--control", "none", "--store-wait=30", "--log-file=stderr"])
        .args(["--port", &free_address().port().to_string(), "--verbose=DEBUG"])
        .args(["--config-file", &folder.path("gearmand.conf")])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // When it says something, it has read the file.
    let mut first = [0; 1];
    child.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
    let shown = fs::read(format!("/proc/{}/cmdline", child.id())).unwrap();
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let names: String =
        threads.filter_map(|thread| fs::read_to_string(thread.unwrap().path().join("comm")).ok()).collect();
    child.kill().unwrap();
    let said = child.wait_with_output().unwrap().stderr;
    let all = [&shown[..], names.as_bytes(), &said].map(String::from_utf8_lossy).concat();
    assert!(all.contains("gearmand.conf") && !all.contains(SECRET), "{all}");
}

#[test]
fn tokens_cookies_and_keys_are_told_nobody() {
    let folder = Scratch::new();
    let made = said_by(&["token", "new", "eyes", "--role", "read,operate"]);
    let (token, line) = (made.lines().next().unwrap(), made.lines().nth(1).unwrap());
    fs::write(folder.file("tokens"), line).unwrap();
    let control = format!("127.0.0.1:0,unix:{}", folder.path("control"));
    let secured = Secured::start(&[
        "-t",
        "1",
        "--verbose=DEBUG",
        "--control-tls",
        "--control-tokens",
        &folder.path("tokens"),
        "--control",
        &control,
    ]);
    let address = secured.http("to be looked at on https://");
    let ask = |request: String| secured.ask_http(address, None, request.as_bytes()).unwrap();
    let end = "Host: localhost\r\nConnection: close\r\n";
    let wrong = format!("rg_{SECRET}");
    assert!(ask(format!("GET / HTTP/1.1\r\n{end}Authorization: Bearer {wrong}\r\n\r\n")).contains(" 401 "));
    let right = ask(format!("GET /api/v1/audit HTTP/1.1\r\n{end}Authorization: Bearer {token}\r\n\r\n"));
    assert!(right.contains(" 200 "), "{right}");
    let form = format!("token={token}");
    let entered = ask(format!(
        "POST /login HTTP/1.1\r\n{end}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    let cookie = entered.split("set-cookie: __Host-ringgear=").nth(1).unwrap_or_else(|| panic!("{entered}"));
    assert!(cookie.split("\r\n").next().unwrap().contains("; Secure"), "{entered}");
    let cookie = cookie.split(';').next().unwrap();
    // A key that is named as a certificate, and a file that is no PEM.
    let bad = secured.authority.folder.file("bad.key");
    let key = fs::read_to_string(&secured.identity.key).unwrap();
    fs::write(&bad, key.replace("-----END", "----END")).unwrap();
    let mistaken = Identity { certificate: secured.identity.key.clone(), key: bad };
    let options = mistaken.options();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let refused = run_to_end(&[], free_address(), &options);
    let told = everything_told(&folder.file("control"))
        + &secured.server.log()
        + &String::from_utf8_lossy(&refused.stderr)
        + &fs::read_to_string(format!("/proc/{}/cmdline", secured.server.pid())).unwrap();
    for secret in [token, &wrong, cookie, key.lines().nth(1).unwrap()] {
        assert!(secret.len() >= 20 && !told.contains(secret), "{secret}: {told}");
    }
}
