//! What our tools ask a server: `why`, `jobs`, `job`, `dead`, `workers`, `connections`, `check`, `doctor`, `limit`, `trace`; how they print it, as JSON as
//! well, and with which statuses they end.
use crate::own::{Operated, cells, ended, grab, ringgear};
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::{echo, read_packet, request, wait_until};
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;

/// A server with some of everything. The connections must stay.
struct Busy {
    operated: Operated,
    _worker: TcpStream,
    client: TcpStream,
    running: String,
    queued: String,
    dead: String,
}

fn busy() -> Busy {
    let operated = Operated::start(&["--job-retries", "1"]);
    let dead = operated.kill_one("doomed", "d");
    let mut worker = operated.worker("mail", "mailer <1>");
    let running = operated.submit("mail", "r");
    assert_eq!(grab(&mut worker), JOB_ASSIGN);
    let queued = operated.submit("mail", "q");
    operated.submit("lost", "l\x1b[2J");
    let mut client = operated.server.connect();
    client.write_all(&request(SUBMIT_JOB, b"mail\0w\0x")).unwrap();
    assert_eq!(read_packet(&mut client).0, JOB_CREATED);
    Busy { operated, _worker: worker, client, running, queued, dead }
}

#[test]
fn why_has_a_sentence_for_each() {
    let busy = busy();
    let why = |what: &[&str]| ended(&mut busy.operated.tool(&[&["why"], what].concat()));
    let lost = why(&["lost"]);
    assert_eq!(lost.status, 1, "{lost:?}");
    assert!(lost.out.starts_with("lost: 1 job waits, ") && lost.out.contains("\n  Try: "), "{lost:?}");
    // A handle, and a unique.
    let (queued, unique) = (why(&[&busy.queued]), why(&["q"]));
    assert!(queued.out.starts_with(&format!("{} (mail): ", busy.queued)), "{queued:?}");
    assert_eq!(unique.out.split(':').nth(1), queued.out.split(':').nth(1), "{unique:?}");
    let running = why(&[&busy.running]);
    assert_eq!(running.status, 0, "{running:?}");
    let unknown = why(&["nothing-like-it"]);
    assert!(unknown.status == 1 && unknown.out.starts_with("nothing-like-it: "), "{unknown:?}");
    let dead = why(&[&busy.dead]);
    assert!(dead.status == 1 && dead.out.contains("ringgear retry"), "{dead:?}");
    let all = why(&["--all", "mail"]).out;
    assert!(all.lines().count() >= why(&["mail"]).out.lines().count(), "{all}");
    let json: Value = serde_json::from_str(&why(&["--json", "lost"]).out).unwrap();
    assert_eq!(json["verdict"]["level"], "bad", "{json}");
}

#[test]
fn lists_are_tables_or_json() {
    let busy = busy();
    let tool = |words: &[&str]| ended(&mut busy.operated.tool(words));
    let jobs = tool(&["jobs"]).well();
    assert_eq!(
        jobs.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["HANDLE", "FUNCTION", "UNIQUE", "WORKER", "CLIENTS"]
    );
    assert_eq!(jobs.lines().count(), 5, "{jobs}");
    assert!(cells(&jobs, &busy.running)[3].starts_with("127.0.0.1"), "{jobs}");
    assert!(jobs.contains("l\\x1b[2J") && !jobs.contains('\x1b'), "{jobs:?}");
    let count = |words: &[&str]| tool(&[&["jobs", "--json"], words].concat()).json().len();
    assert_eq!(
        (
            count(&[]),
            count(&["--function", "mail"]),
            count(&["--state", "running"]),
            count(&["--state", "waiting"]),
            count(&["--unique", "q"])
        ),
        (4, 3, 1, 3, 1)
    );
    let some = tool(&["jobs", "--limit", "2"]);
    assert_eq!((some.status, some.out.lines().count()), (0, 3));
    assert_eq!(some.err, "ringgear jobs: there are more than 2: say --limit N\n");
    let dead = tool(&["dead"]).well();
    assert_eq!(cells(&dead, &busy.dead)[1..4], ["doomed", "d", "1"], "{dead}");
    assert!(dead.contains("doomed\n"), "its last worker: {dead}");
    assert_eq!(
        (tool(&["dead", "doomed", "--json"]).json().len(), tool(&["dead", "mail", "--json"]).json().len()),
        (1, 0)
    );
    let workers = tool(&["workers", "mail"]).well();
    let row = workers.lines().nth(1).unwrap();
    assert!(row.contains("mailer <1>") && row.contains("busy") && row.contains(&busy.running), "{workers}");
    assert_eq!(tool(&["workers", "mail", "--json"]).json()[0]["holds"], 1);
    assert_eq!(tool(&["workers", "--json"]).json().len(), 1);
    let connections = tool(&["connections"]).well();
    assert!(
        connections.starts_with("CONNECTION  ADDRESS") && connections.contains("mailer <1>"),
        "{connections}"
    );
    let clients = tool(&["connections", "--role", "client", "--json"]).json();
    assert!(clients.iter().any(|client| client["waits_for"] == 1), "{clients:?}");
    assert_eq!(tool(&["connections", "--role", "worker", "--json"]).json().len(), 1);
    // A name is as `close` takes it, which `workers` and `connections` print alike.
    let session = tool(&["workers", "mail", "--json"]).json()[0]["session"].clone();
    assert!(connections.contains(session.as_str().unwrap()), "{connections}");
    drop(busy.client);
}

#[test]
fn one_job_is_told_of() {
    let busy = busy();
    let tool = |words: &[&str]| ended(&mut busy.operated.tool(words));
    let job = tool(&["job", &busy.queued]).well();
    for (name, value) in [
        ("handle", &busy.queued[..]),
        ("function", "mail"),
        ("unique", "q"),
        ("state", "queued"),
        ("priority", "normal"),
    ] {
        assert!(
            job.lines().any(|line| line.split_whitespace().collect::<Vec<_>>() == [name, value]),
            "{name}: {job}"
        );
    }
    assert!(!job.contains("the payload"), "{job}");
    assert_eq!(tool(&["job", "--json", &busy.dead]).json()[0]["dead"], true);
    let unknown = tool(&["job", "H:elsewhere:1"]);
    assert_eq!((unknown.status, unknown.out.len()), (1, 0), "{unknown:?}");
    assert!(unknown.err.starts_with("ringgear job: this is no handle that this server gives"), "{unknown:?}");
}

#[test]
fn limits_are_looked_at_and_set() {
    let busy = busy();
    let tool = |words: &[&str]| ended(&mut busy.operated.tool(words));
    assert_eq!(tool(&["limit", "mail"]).well(), "mail: high no limit, normal no limit, low no limit\n");
    assert_eq!(tool(&["limit", "mail", "0", "2", "7"]).well(), "mail: high no limit, normal 2, low 7\n");
    let mut client = busy.operated.server.connect();
    client.write_all(&request(SUBMIT_JOB_BG, b"mail\0v\0x")).unwrap();
    assert_eq!(read_packet(&mut client).0, ERROR);
    assert_eq!(tool(&["limit", "mail", "--json", "9"]).json()[0]["limits"]["low"], 9);
    assert_eq!(tool(&["limit", "mail"]).well(), "mail: high 9, normal 9, low 9\n");
    let wrong = tool(&["limit", "mail", "1", "2"]);
    assert!(wrong.status == 2 && wrong.err.contains("say one for all priorities, or three"), "{wrong:?}");
    let unknown = tool(&["limit", "nobody"]);
    assert!(unknown.status == 1 && unknown.err.contains("there is no function of this name"), "{unknown:?}");
    let refused = ended(&mut busy.operated.by_address(&["limit", "mail", "1"]));
    assert_eq!(refused.status, 4, "{refused:?}");
}

/// Lines come as something changes, which only has to be seen; so it is begun before.
#[test]
fn changes_are_told_as_they_come() {
    let operated = Operated::start(&[]);
    let folder = Scratch::new();
    let begin = |words: &[&str], name: &str| {
        let mut command = operated.tool(&[&["trace"], words].concat());
        command.stdin(Stdio::null()).stdout(File::create(folder.file(name)).unwrap()).spawn().unwrap()
    };
    let said = |name: &str| fs::read_to_string(folder.file(name)).unwrap();
    let mut all = begin(&["--count", "2"], "all");
    let mut one = begin(&["--function", "mail", "--count", "2"], "one");
    let mut json = begin(&["--json", "--function", "mail", "--function", "x", "--count", "3"], "json");
    // One that is not there is told of at once: from then on they listen.
    wait_until("it is told of", || {
        said("one").contains("Z  mail  is not there\n") && said("json").lines().count() == 2
    });
    operated.submit("mail", "a");
    wait_until("it is told of", || {
        said("all").contains("Z  mail  waiting 1  running 0  workers 0  dead 0\n")
    });
    operated.submit("mail", "b");
    for (child, name) in [(&mut all, "all"), (&mut one, "one"), (&mut json, "json")] {
        let mut status = None;
        wait_until(&format!("{name} has seen all"), || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert_eq!(status.unwrap().code(), Some(0), "{name}");
    }
    assert!(
        said("all").lines().last().unwrap().contains("  mail  waiting 2 (+1)  running 0"),
        "{}",
        said("all")
    );
    let last: Value = serde_json::from_str(said("json").lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["told"]["function"]), (&"function".into(), &"mail".into()), "{last}");
    // Whoever may not look is told so, and who listens when the server ends.
    let nowhere = ended(&mut ringgear(&["trace", "--control", "unix:/nonexistent"]));
    assert!(
        nowhere.status == 3 && nowhere.err.starts_with("ringgear trace: unix:/nonexistent: no HTTP side"),
        "{nowhere:?}"
    );
    // A job is followed to its end, and so is the trace.
    let handle = operated.submit("short", "s");
    let mut job = begin(&["--job", &handle], "job");
    wait_until("it is told of", || said("job").contains(&format!("{handle}  short  queued  0 before it\n")));
    assert_eq!(ended(&mut operated.tool(&["cancel", &handle])).status, 0);
    assert_eq!(job.wait().unwrap().code(), Some(0));
    assert!(said("job").ends_with(&format!("{handle}  has ended, or never was\n")), "{}", said("job"));
    let nobody = ended(&mut operated.tool(&["trace", "--client", "localhost"]));
    assert!(nobody.status == 4 && nobody.err.contains("an address as numbers"), "{nobody:?}");
    let comma = ended(&mut operated.tool(&["trace", "-f", "a,b"]));
    assert!(comma.status == 2 && comma.err.contains("leave --function out"), "{comma:?}");
    let mut last = begin(&[], "last");
    wait_until("it listens", || said("last").contains("mail"));
    operated.server.signal(Signal::TERM);
    let mut status = None;
    wait_until("it ends", || {
        status = last.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(3));
}

#[test]
fn check_speaks_to_nagios() {
    let busy = busy();
    let check = |words: &[&str]| {
        let checked = ended(&mut busy.operated.tool(&[&["check"], words].concat()));
        assert_eq!(checked.out.lines().count(), 1, "{checked:?}");
        (checked.status, checked.out)
    };
    let (status, line) = check(&["mail"]);
    assert_eq!(status, 0, "{line}");
    assert!(
        line.starts_with("OK - mail|waiting=2;;;0 running=1;;;0 oldest=")
            && line.contains(" workers=1;;;0 dead=0;;;0"),
        "{line}"
    );
    let (status, line) = check(&[]);
    assert!(
        status == 2 && line.starts_with("CRITICAL - lost: 1 jobs wait and no worker|waiting=3"),
        "{line}"
    );
    for (words, status) in [
        (&["mail", "--waiting", "1:9"][..], 1),
        (&["mail", "--waiting", "1:2"], 2),
        (&["mail", "--workers", "2:1"], 1),
        (&["mail", "--workers", "9:2"], 2),
        (&["doomed", "--dead", "1:5"], 1),
        (&["doomed", "--dead", "0:1"], 2),
        (&["mail", "--oldest", "0:3600"], 1),
        (&["mail", "--oldest", "3600:7200"], 0),
        (&["nobody"], 3),
    ] {
        let (found, line) = check(words);
        assert_eq!(found, status, "{words:?}: {line}");
    }
    assert_eq!(ended(&mut busy.operated.tool(&["check", "--waiting", "1"])).status, 3);
    let nowhere = ended(&mut ringgear(&["check", "--control", "unix:/nonexistent"]));
    assert!(
        nowhere.status == 2 && nowhere.out.starts_with("CRITICAL - unix:/nonexistent: no HTTP side"),
        "{nowhere:?}"
    );
    assert_eq!(ended(&mut busy.operated.tool(&["pause", "mail"])).status, 0);
    let (status, line) = check(&["mail"]);
    assert!(status == 1 && line.starts_with("WARNING - mail: it is paused"), "{line}");
}

#[test]
fn doctor_says_what_is_wrong() {
    let well = Operated::start(&[]);
    let fine = ended(&mut well.tool(&["doctor"]));
    assert_eq!(fine.status, 0, "{fine:?}");
    for line in [
        "answers: in ",
        "phase: serving",
        "workers: every function with jobs has workers",
        "pauses: no function is paused",
    ] {
        assert!(
            fine.out.lines().any(|found| found.starts_with(&format!("ok    {line}"))),
            "{line}: {fine:?}"
        );
    }
    let busy = busy();
    ended(&mut busy.operated.tool(&["pause", "doomed"])).well();
    let ill = ended(&mut busy.operated.tool(&["doctor"]));
    assert_eq!(ill.status, 1, "{ill:?}");
    assert!(
        ill.out.contains("BAD   workers: jobs and no worker: lost\n      ringgear why FUNCTION"),
        "{ill:?}"
    );
    assert!(
        ill.out.contains("WARN  dead jobs: 1\n") && ill.out.contains("WARN  pauses: paused: doomed\n"),
        "{ill:?}"
    );
    let json = ended(&mut busy.operated.tool(&["doctor", "--json"]));
    let found: Vec<Value> = json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(json.status == 1 && found.iter().any(|finding| finding["health"] == "BAD"), "{json:?}");
    // One that drains is soon no more.
    let mut holding = well.server.connect();
    echo(&mut holding, b"x");
    well.submit("mail", "a");
    ended(&mut well.tool(&["drain"])).well();
    wait_until("it drains", || ended(&mut well.tool(&["doctor"])).out.contains("BAD   phase: draining"));
}

#[test]
fn who_cannot_be_reached_or_read_is_told_of() {
    for tool in ["jobs", "dead", "workers", "connections", "doctor", "drain"] {
        let nowhere = ended(&mut ringgear(&[tool, "--control", "unix:/nonexistent"]));
        assert_eq!((nowhere.status, nowhere.out.len()), (3, 0), "{tool}: {nowhere:?}");
        let said = format!("ringgear {tool}: unix:/nonexistent: no HTTP side of a server can be reached: ");
        assert!(
            nowhere.err.starts_with(&said) && nowhere.err.ends_with("say where it is with --control\n"),
            "{nowhere:?}"
        );
        let wrong = ended(&mut ringgear(&[tool, "--control", "nonsense"]));
        assert_eq!(wrong.status, 2, "{wrong:?}");
        assert!(
            wrong.err.contains("say an address with a port like 127.0.0.1:4780, or unix:PATH"),
            "{wrong:?}"
        );
        // What the environment says counts as well, and less.
        let mut named = ringgear(&[tool]);
        assert!(
            ended(named.env("RINGGEAR_CONTROL", "unix:/nonexistent/too")).err.contains("/nonexistent/too")
        );
    }
    // A job server has no HTTP side on its port.
    let operated = Operated::start(&[]);
    let other =
        ended(&mut ringgear(&["jobs", "--control", &operated.server.address().to_string(), "-t", "3"]));
    assert_eq!(other.status, 3, "{other:?}");
}
