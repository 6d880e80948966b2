//! Orders by our tools: `pause`, `resume`, `retry`, `cancel`, `purge`, `close`, `drain`, `log-level`; what comes of them, and that whoever may not
//! give them is told so.
use crate::own::{Operated, ended, grab, ringgear};
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::{read_packet, read_to_end, request, wait_until};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_function_is_paused_and_goes_on() {
    let operated = Operated::start(&[]);
    operated.submit("mail", "a");
    let mut worker = operated.worker("mail", "w");
    let paused =
        ended(&mut operated.tool(&["pause", "mail", "--for", "30m", "--reason", "the relay is down"])).well();
    assert!(paused.starts_with("mail is paused for 1800 s (") && paused.contains("--data-dir"), "{paused}");
    assert_eq!(grab(&mut worker), NO_JOB);
    let why = ended(&mut operated.tool(&["why", "mail"]));
    assert!(
        why.out.contains("the relay is down") && why.out.contains("Try: ringgear resume mail"),
        "{why:?}"
    );
    let status = ended(&mut operated.tool(&["status", "mail"])).well();
    assert!(status.contains("paused"), "{status}");
    assert_eq!(ended(&mut operated.tool(&["resume", "mail"])).well(), "mail goes on\n");
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
    let again = ended(&mut operated.tool(&["resume", "mail"]));
    assert!(again.status == 4 && again.err.starts_with("ringgear resume: "), "{again:?}");
    let json = ended(&mut operated.tool(&["pause", "--json", "mail"])).json();
    assert!(json[0]["paused"].is_object(), "{json:?}");
    assert_eq!(ended(&mut operated.tool(&["pause", "mail", "--for", "soon"])).status, 2);
}

#[test]
fn the_dead_come_back() {
    let operated = Operated::start(&["--job-retries", "1"]);
    let first = operated.kill_one("mail", "0");
    for unique in ["1", "2", "3"] {
        operated.kill_one("mail", unique);
    }
    let tool = |words: &[&str]| ended(&mut operated.tool(words));
    assert_eq!(tool(&["retry", &first]).well(), format!("{first} is back in its queue\n"));
    let again = tool(&["retry", &first]);
    assert!(again.status == 4 && again.err.contains("this job is not dead"), "{again:?}");
    assert_eq!(tool(&["retry", "mail", "--dry-run"]).well(), "mail: 3 dead jobs\n");
    assert_eq!(tool(&["retry", "mail", "--unique", "2", "--dry-run", "--json"]).json()[0]["matches"], 1);
    assert_eq!(tool(&["retry", "mail", "--older", "1h", "--dry-run"]).status, 1);
    // Nobody is there to ask, so that nothing is done.
    let unasked = tool(&["retry", "mail"]);
    assert_eq!((unasked.status, &unasked.out[..]), (1, ""), "{unasked:?}");
    assert!(
        unasked.err.ends_with("nothing was done; --yes with --at-most N does it without asking\n"),
        "{unasked:?}"
    );
    assert_eq!(operated.server.counter("dead_jobs"), 3);
    assert_eq!(tool(&["retry", "mail", "--yes"]).status, 2);
    assert_eq!(tool(&["retry", "mail", "--yes", "--at-most", "2"]).well(), "mail: 2 of 3 jobs, 1 are left\n");
    assert_eq!(operated.server.counter("dead_jobs"), 1);
    assert_eq!(tool(&["retry", "mail", "--yes", "--at-most", "9"]).well(), "mail: 1 of 1 jobs\n");
    let none = tool(&["retry", "mail", "--yes", "--at-most", "9"]);
    assert_eq!((none.status, &none.out[..]), (1, "mail: 0 dead jobs\n"));
}

#[test]
fn jobs_are_cancelled_one_by_one_and_by_many() {
    let operated = Operated::start(&["--job-retries", "1"]);
    let tool = |words: &[&str]| ended(&mut operated.tool(words));
    operated.kill_one("mail", "dead");
    let mut client = operated.server.connect();
    client.write_all(&request(SUBMIT_JOB, b"mail\0waited\0x")).unwrap();
    let (number, handle) = read_packet(&mut client);
    assert_eq!(number, JOB_CREATED);
    let handle = String::from_utf8(handle).unwrap();
    assert_eq!(tool(&["cancel", &handle]).well(), format!("{handle} is cancelled\n"));
    assert_eq!(read_packet(&mut client), (WORK_FAIL, handle.clone().into_bytes()));
    let gone = tool(&["cancel", &handle]);
    assert!(gone.status == 1 && gone.err.contains("there is no such job"), "{gone:?}");
    for unique in ["a", "b", "c", "d"] {
        operated.submit("mail", unique);
    }
    assert_eq!(
        tool(&["purge", "mail", "--unique", "a", "--yes", "--at-most", "5"]).well(),
        "mail: 1 of 1 jobs\n"
    );
    assert_eq!(tool(&["purge", "mail", "--older", "1h", "--yes", "--at-most", "5"]).status, 1);
    assert_eq!(tool(&["purge", "mail", "--json", "--yes", "--at-most", "2"]).json()[0]["left"], 1);
    assert_eq!(tool(&["purge", "mail", "--dry-run"]).well(), "mail: 1 queued jobs\n");
    assert_eq!(
        tool(&["purge", "mail", "--state", "dead", "--yes", "--at-most", "5"]).well(),
        "mail: 1 of 1 jobs\n"
    );
    assert_eq!(operated.server.counter("dead_jobs"), 0);
    assert_eq!(tool(&["purge", "mail", "--state", "nonsense"]).status, 2);
}

#[test]
fn connections_are_closed_by_their_names() {
    let operated = Operated::start(&[]);
    operated.submit("mail", "a");
    let mut hung = operated.worker("mail", "hung");
    assert_eq!(grab(&mut hung), JOB_ASSIGN);
    let workers = ended(&mut operated.tool(&["workers", "mail", "--json"])).json();
    let session = workers[0]["session"].as_str().unwrap().to_owned();
    // Those that are gone are told of, and the others are closed all the same.
    let closed = ended(&mut operated.tool(&["close", "99-99-99", &session]));
    assert_eq!((closed.status, &closed.out[..]), (1, &format!("{session} is closed\n")[..]), "{closed:?}");
    assert!(closed.err.starts_with("ringgear close: "), "{closed:?}");
    assert_eq!(read_to_end(&mut hung), b"");
    wait_until("the job is queued again", || {
        ended(&mut operated.tool(&["status", "--json", "mail"])).json()[0]["functions"][0]["waiting"] == 1
    });
}

#[test]
fn the_log_tells_more_for_a_while() {
    let operated = Operated::start(&[]);
    let told = ended(&mut operated.tool(&["log-level", "debug", "--for", "1m"])).well();
    assert_eq!(told, "the log tells DEBUG for 60 s\n");
    wait_until("the log says so", || operated.server.log().contains("log level"));
    let wrong = ended(&mut operated.tool(&["log-level", "loud"]));
    assert!(wrong.status == 4 && !wrong.err.is_empty(), "{wrong:?}");
}

#[test]
fn a_drain_ends_the_server() {
    let mut operated = Operated::start(&[]);
    let told = ended(&mut operated.tool(&["drain"])).well();
    assert_eq!(told, "the server accepts nobody any more, and ends when no jobs are left\n");
    assert!(operated.server.wait().success());
}

/// What `ringgear token new` prints: a token, and its line.
fn new_token(words: &[&str]) -> (String, String) {
    let text = ended(&mut ringgear(&[&["token", "new"], words].concat())).well();
    let (token, line) = text.trim_end().split_once('\n').unwrap();
    (token.to_owned(), line.to_owned())
}

#[test]
fn tokens_are_what_somebody_may() {
    let folder = Scratch::new();
    let (chief, chief_line) = new_token(&["chief", "--role", "read,operate"]);
    let (reader, reader_line) = new_token(&["reader", "--role", "read"]);
    let (mailer, mailer_line) = new_token(&["mailer", "--role", "read,operate", "--functions", "mail*"]);
    fs::write(folder.file("tokens"), [chief_line, reader_line, mailer_line].join("\n")).unwrap();
    let operated = Operated::start(&["--control-tokens", &folder.path("tokens"), "--job-retries", "1"]);
    operated.kill_one("mail", "d");
    let with = |token: &str, words: &[&str]| ended(operated.by_address(words).env("RINGGEAR_TOKEN", token));
    // Without one nothing is told, and nothing done; it is said which role is missing.
    for words in
        [&["jobs"][..], &["why", "mail"], &["doctor"], &["pause", "mail"], &["drain"], &["retry", "mail"]]
    {
        let refused = ended(&mut operated.by_address(words));
        assert_eq!((refused.status, &refused.out[..]), (4, ""), "{words:?}: {refused:?}");
        assert!(
            refused.err.starts_with(&format!("ringgear {}: ", words[0])) && refused.err.contains("role"),
            "{refused:?}"
        );
    }
    with(&reader, &["jobs"]).well();
    for words in [
        &["pause", "mail"][..],
        &["resume", "mail"],
        &["limit", "mail", "5"],
        &["cancel", "H:x:1"],
        &["purge", "mail", "--dry-run"],
        &["close", "1-1-1"],
        &["drain"],
        &["log-level", "debug"],
    ] {
        let refused = with(&reader, words);
        assert_eq!(refused.status, 4, "{words:?}: {refused:?}");
        assert!(refused.err.contains("role operate"), "{words:?}: {refused:?}");
    }
    // Of some functions only.
    assert_eq!(with(&mailer, &["pause", "mail"]).status, 0);
    assert_eq!(with(&mailer, &["pause", "other"]).status, 4);
    assert_eq!(with(&mailer, &["drain"]).status, 4);
    with(&chief, &["resume", "mail"]).well();
    assert_eq!(with(&chief, &["retry", "mail", "--yes", "--at-most", "1"]).well(), "mail: 1 of 1 jobs\n");
    with(&chief, &["top", "--batch", "--count", "1"]).well();
    let wrong = with("rg_guess", &["jobs"]);
    assert_eq!(wrong.status, 4, "{wrong:?}");
    // From a file, where the variable itself is not there.
    fs::write(folder.file("token"), format!("{chief}\n")).unwrap();
    let from_file =
        |name: &str| ended(operated.by_address(&["jobs"]).env("RINGGEAR_TOKEN_FILE", folder.path(name)));
    from_file("token").well();
    let missing = from_file("missing");
    assert_eq!(missing.status, 2);
    assert!(
        missing.err.starts_with("ringgear jobs: RINGGEAR_TOKEN_FILE: ") && missing.err.contains("missing"),
        "{missing:?}"
    );
    let nonsense = with("two words", &["jobs"]);
    assert_eq!(nonsense.status, 2);
    assert!(
        nonsense.err.starts_with("ringgear jobs: RINGGEAR_TOKEN: ") && !nonsense.err.contains("two words"),
        "{nonsense:?}"
    );
    // Nobody's token is in the log, nor on a command line.
    let log = operated.server.log();
    assert!(log.contains("chief from 127.0.0.1:") && !log.contains(&chief), "{log}");
}

#[test]
fn without_tokens_an_address_takes_no_orders() {
    let operated = Operated::start(&[]);
    operated.submit("mail", "a");
    ended(&mut operated.by_address(&["jobs"])).well();
    let refused = ended(&mut operated.by_address(&["pause", "mail"]));
    assert_eq!(refused.status, 4, "{refused:?}");
    assert!(refused.err.contains("unix socket"), "{refused:?}");
    let mode = fs::metadata(operated.folder.file("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
