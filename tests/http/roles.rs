//! Who may do what: by a unix socket, by a token, by nothing; and how a browser logs in.
use crate::client::{Answered, Looked, answered};
use crate::support::scratch::Scratch;
use crate::support::server::*;
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::process::Command;

/// What `ringgear token new` prints: a token, and its line.
pub(crate) fn new_token(words: &[&str]) -> (String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ringgear")).args(["token", "new"]).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (token, line) = text.trim_end().split_once('\n').unwrap();
    (token.to_owned(), line.to_owned())
}

/// A server with these lines of tokens.
pub(crate) fn with_tokens(folder: &Scratch, lines: &[&str]) -> Looked {
    fs::write(folder.file("tokens"), lines.join("\n")).unwrap();
    Looked::start(&["--control-tokens", &folder.path("tokens")])
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(crate) fn post(looked: &Looked, path: &str, lines: &str, body: &str) -> Answered {
    looked.send(&format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    ))
}

#[test]
fn a_token_has_its_roles_and_no_more() {
    let folder = Scratch::new();
    let (reader, read_line) = new_token(&["eyes", "--role", "read"]);
    let (mailer, mail_line) = new_token(&["mailer", "--role", "submit", "--functions", "mail-*"]);
    let (far, far_line) = new_token(&["far", "--role", "read", "--from", "192.0.2.0/24"]);
    let looked = with_tokens(&folder, &["# tokens", &read_line, &mail_line, &far_line]);
    // Nobody who brings nothing is told anything but whether it lives.
    for path in ["/", "/metrics", "/api/v1/functions", "/api/v1/audit", "/api/v1/openapi.json"] {
        let refused = looked.get(path);
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, Some("Bearer realm=\"ringgear\""))
        );
        assert!(refused.sentence().contains("takes the role read"), "{refused:?}");
    }
    for path in ["/livez", "/readyz", "/login", "/style.css"] {
        assert_eq!(looked.get(path).status, 200, "{path}");
    }
    assert_eq!(looked.get_with("/metrics", &bearer(&reader)).status, 200);
    assert_eq!(looked.get_with("/metrics", &bearer(&mailer)).status, 403);
    assert_eq!(looked.get_with("/metrics", &bearer(&far)).status, 401);
    let submit = |token: &str, function: &str| {
        post(&looked, &format!("/api/v1/jobs?function={function}&background"), &bearer(token), "x")
    };
    assert_eq!(submit(&reader, "mail-a").status, 403);
    assert_eq!(submit(&mailer, "mail-a").status, 201);
    let refused = submit(&mailer, "other");
    assert_eq!(refused.status, 403);
    assert!(refused.sentence().contains("some functions only"), "{refused:?}");
    assert!(!looked.server.log().contains(&mailer));
}

#[test]
fn tokens_are_read_again_at_sighup() {
    let folder = Scratch::new();
    let (one, one_line) = new_token(&["one", "--role", "r"]);
    let (two, two_line) = new_token(&["two", "--role", "r"]);
    let looked = with_tokens(&folder, &[&one_line, "anonymous read from=192.0.2.1"]);
    let status = |token: &str| looked.get_with("/api/v1/server", &bearer(token)).status;
    assert_eq!((status(&one), status(&two), looked.get("/api/v1/server").status), (200, 401, 401));
    fs::write(folder.file("tokens"), format!("{two_line}\nanonymous read\n")).unwrap();
    looked.server.signal(Signal::HUP);
    wait_until("anybody may read", || looked.get("/api/v1/server").status == 200);
    assert_eq!((status(&one), status(&two)), (401, 200));
    // What cannot be read changes nothing, and is told.
    fs::write(folder.file("tokens"), "nonsense\n").unwrap();
    looked.server.signal(Signal::HUP);
    wait_until("it says so", || looked.server.log().contains("tokens, line 1: a line is NAME ROLES"));
    assert_eq!(status(&two), 200);
}

#[test]
fn a_file_that_is_none_is_a_reason_not_to_start() {
    let folder = Scratch::new();
    fs::write(folder.file("tokens"), "\nops all sha256:12\n").unwrap();
    for (path, said) in [("tokens", "line 2: 'all' is no role"), ("missing", "cannot read the tokens in")] {
        let options = ["--control", "127.0.0.1:0", "--control-tokens", &folder.path(path)];
        let (status, printed) = Server::try_start(&[], &options).unwrap_err();
        assert_eq!(status.code(), Some(64), "{printed}");
        assert!(printed.contains("--control-tokens: ") && printed.contains(said), "{printed}");
    }
    let (status, printed) = Server::try_start(&[], &["--control", "0.0.0.0:0"]).unwrap_err();
    assert!(!status.success() && printed.contains("with --control-tokens FILE"), "{printed}");
}

#[test]
fn whoever_guesses_has_to_wait_and_nobody_else() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["one", "--role", "read"]);
    let looked = with_tokens(&folder, &[&line]);
    for _ in 0..5 {
        assert_eq!(looked.get_with("/api/v1/server", &bearer("rg_guess")).status, 401);
    }
    let refused = looked.get_with("/api/v1/server", &bearer("rg_guess"));
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(looked.get("/livez").status, 200);
    // Somebody behind the same address who has a token, and whoever logs in with it.
    assert_eq!(looked.get_with("/api/v1/server", &bearer(&token)).status, 200);
    let form = "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n";
    let entered = post(&looked, "/login", form, &format!("token={token}"));
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    assert_eq!(post(&looked, "/login", form, "token=rg_guess").status, 429);
    // Five lines, however often somebody guesses.
    let lines = looked.server.log().matches("brings a token for HTTP that is none").count();
    assert_eq!(lines, 5);
}

#[test]
fn a_browser_logs_in_and_out() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["ops", "--role", "read,submit,operate"]);
    let looked = with_tokens(&folder, &[&line]);
    let sent_to = looked.get_with("/", "Accept: text/html,*/*\r\n");
    assert_eq!((sent_to.status, sent_to.header("location")), (303, Some("/login")));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let own = "Sec-Fetch-Site: same-origin\r\n";
    let wrong = post(&looked, "/login", &format!("{form}{own}"), "token=rg_x");
    assert!(wrong.status == 401 && wrong.body.contains("no token of this server"), "{wrong:?}");
    assert_eq!(
        post(&looked, "/login", &format!("{form}Sec-Fetch-Site: cross-site\r\n"), &format!("token={token}"))
            .status,
        403
    );
    let entered = post(&looked, "/login", &format!("{form}{own}"), &format!("token={token}"));
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    let cookie = entered.header("set-cookie").unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains(&token),
        "{cookie}"
    );
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(looked.get_with("/", &cookie).status, 200);
    // What was done is known, and by whom.
    let audit = looked.get_with("/api/v1/audit", &cookie);
    let audit: serde_json::Value = serde_json::from_str(&audit.body).unwrap();
    let entry = &audit["items"][0];
    assert_eq!((&entry["who"], &entry["what"]), (&"ops".into(), &"log in".into()));
    assert!(entry["from"].as_str().unwrap().starts_with("127.0.0.1:"), "{entry}");
    let log = looked.server.log();
    assert!(log.contains("ops from 127.0.0.1:") && log.contains("over HTTP: log in"), "{log}");
    assert!(log.contains("brings a token for HTTP that is none"), "{log}");
    // A cookie alone changes nothing: any page can have the browser send it.
    let submit = |lines: &str| {
        post(&looked, "/api/v1/jobs?function=f&background", &format!("{cookie}{lines}"), "x").status
    };
    assert_eq!(
        (submit(""), submit("Origin: http://evil.example\r\n"), submit("Sec-Fetch-Site: same-site\r\n")),
        (403, 403, 403)
    );
    assert_eq!((submit(own), submit("Origin: http://localhost\r\n")), (201, 201));
    assert_eq!(post(&looked, "/logout", &format!("{cookie}{own}"), "").status, 303);
    assert_eq!(looked.get_with("/api/v1/server", &cookie).status, 401);
}

#[test]
fn the_user_of_the_server_may_do_all_by_its_socket() {
    let folder = Scratch::new();
    let option = format!("unix:{}", folder.path("control"));
    let _server = Server::start(&["--control", &option]);
    let mut stream = Server::connect_by(&folder.file("control"));
    let request = "POST /api/v1/jobs?function=f&background HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx";
    stream.write_all(request.as_bytes()).unwrap();
    let answer = answered(&mut stream);
    assert_eq!(answer.status, 201, "{answer:?}");
    // Its file is closed to others (`a_unix_socket_is_for_the_user_of_the_server`); whom its mode lets in may look.
}

#[test]
fn without_tokens_an_address_is_for_looking() {
    let looked = Looked::start(&[]);
    let refused = post(&looked, "/api/v1/jobs?function=f&background", "", "x");
    assert_eq!(refused.status, 401);
    assert!(refused.sentence().contains("--control-tokens"), "{refused:?}");
    // A head that is for a proxy in front, or for a server with tokens.
    for lines in ["Authorization: Basic eDp5\r\n", "Authorization: Bearer x\r\n", "Cookie: ringgear=x\r\n"] {
        assert_eq!(looked.get_with("/api/v1/server", lines).status, 200, "{lines}");
    }
    let mut client = looked.server.connect();
    echo(&mut client, b"x");
    assert!(looked.get("/login").body.contains("has no tokens"));
}

#[test]
fn a_server_has_the_names_that_it_is_given() {
    let looked = Looked::start(&["--control-name", "jobs.example,other.example"]);
    let status = |host: &str| {
        looked.send(&format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status
    };
    assert_eq!((status("jobs.example:443"), status("OTHER.example"), status("x.example")), (200, 200, 421));
}
