//! The pages: what stands on them, that they say it whoever chose the names, that nothing is asked of elsewhere, that they stay small, and
//! that whoever may only look finds nothing to order, and is refused. What a browser makes of them is tested in `tests/browser/`.
use crate::client::{Answered, Looked, Orders};
use crate::submit;
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Every page that needs no name.
const PAGES: [&str; 6] = ["/", "/function", "/job", "/dead", "/connections", "/server"];

/// What browsers are given may weigh so much, compressed: a page over a slow line is there in a second.
const ASSETS_BYTES: usize = 80 << 10;

#[track_caller]
fn page(looked: &Looked, path: &str) -> String {
    let answered = looked.get(path);
    assert_eq!(answered.status, 200, "{path}: {answered:?}");
    is_page(path, &answered);
    answered.body
}

/// What every page is.
#[track_caller]
fn is_page(path: &str, answered: &Answered) {
    assert_eq!(answered.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    let policy = answered.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(answered.header("cache-control"), Some("no-store"));
    let body = &answered.body;
    for word in [" style=", "<style", " onclick", "javascript:", "http://", "https://"] {
        assert!(!body.contains(word), "{path} has {word}: {body}");
    }
    // Scripts stand in files.
    assert_eq!(body.matches("<script").count(), body.matches("<script src=\"/assets/").count(), "{path}");
    assert_eq!(body.matches("<h1").count(), 1, "{path}");
    assert!(body.starts_with("<!DOCTYPE html><html lang=\"en\">") && body.ends_with("</html>"), "{path}");
}

/// A registered worker.
fn worker(looked: &Looked, function: &[u8], id: &[u8]) -> TcpStream {
    let mut worker = looked.server.connect();
    worker.write_all(&request(SET_CLIENT_ID, id)).unwrap();
    worker.write_all(&request(CAN_DO, function)).unwrap();
    echo(&mut worker, b"x");
    worker
}

/// The same, which has got a job and goes with it.
fn lose_one(looked: &Looked, function: &[u8], id: &[u8]) {
    let mut worker = worker(looked, function, id);
    worker.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
}

#[test]
fn an_empty_server_is_well() {
    let looked = Looked::start(&[]);
    for path in PAGES {
        let body = page(&looked, path);
        assert!(body.contains("<strong>read-only</strong>"), "{path}");
        for key in 1..7 {
            assert!(body.contains(&format!("aria-keyshortcuts=\"{key}\"")), "{path}");
        }
    }
    assert!(page(&looked, "/").contains("<strong>All well. </strong>"));
    assert!(page(&looked, "/function?name=none").contains("There is no function of this name"));
    assert!(page(&looked, "/job?find=none").contains("None of the jobs that wait or run has it"));
    for (path, status) in [
        ("/?sort=up", 400),
        ("/?x=1", 400),
        ("/dead?reason=x", 400),
        ("/connections?role=x", 400),
        ("/function?name=f&tab=x", 400),
        ("/function?name=f&after=x", 400),
        ("/submit", 403),
        ("/order/drain", 403),
    ] {
        let answered = looked.get(path);
        assert_eq!(answered.status, status, "{path}: {answered:?}");
        is_page(path, &answered);
        assert!(answered.body.contains("role=\"alert\""), "{path}: {answered:?}");
    }
}

#[test]
fn what_is_wrong_comes_first() {
    let looked = Looked::start(&["--job-retries", "1"]);
    let mut client = looked.server.connect();
    let handle = submit(&mut client, b"unattended", "u");
    submit(&mut client, b"attended", "v");
    let _held = {
        let mut worker = worker(&looked, b"attended", b"the worker");
        worker.write_all(&request(GRAB_JOB, b"")).unwrap();
        assert_eq!(read_packet(&mut worker).0, JOB_ASSIGN);
        worker
    };
    submit(&mut client, b"lost", "w");
    lose_one(&looked, b"lost", b"loser");
    wait_until("a job is dead", || looked.json("/api/v1/dead")["items"].as_array().unwrap().len() == 1);
    let mut body = String::new();
    wait_until("the page knows", || {
        body = page(&looked, "/");
        body.contains("1 job is dead.")
    });
    let place = |text: &str| body.find(text).unwrap_or_else(|| panic!("{text}: {body}"));
    assert!(place("no worker has ever registered this name") < place("1 job is dead."), "{body}");
    assert!(place("<h2>Functions</h2>") < place("href=\"/function?name=attended\""), "{body}");
    assert!(body.contains("<span class=\"state bad\">no worker</span>"), "{body}");

    let body = page(&looked, "/function?name=attended");
    assert!(body.contains("the worker") && body.contains("<span class=\"state ok\">busy</span>"), "{body}");
    let body = page(&looked, "/function?name=unattended&tab=jobs");
    assert!(body.contains(&handle) && body.contains("No worker has ever registered this name"), "{body}");
    for path in [format!("/job?handle={handle}"), format!("/job?find={handle}")] {
        let body = page(&looked, &path);
        assert!(body.contains("11 bytes") && body.contains("waits in its queue"), "{body}");
    }
    assert!(page(&looked, "/job?find=u").contains(&handle));
    let body = page(&looked, "/dead?function=lost&reason=left&worker=loser");
    assert!(body.contains("its worker left") && body.contains("loser"), "{body}");
    assert!(page(&looked, "/dead?function=other").contains("None here."));
    let body = page(&looked, "/connections?role=worker");
    assert!(body.contains("the worker") && !body.contains("state ok\">client"), "{body}");
}

#[test]
fn lists_are_sorted_filtered_and_turned() {
    let looked = Looked::start(&["-t", "2"]);
    let mut worker = looked.server.connect();
    let names: Vec<String> = (0..250).map(|at| format!("number-{at:03}")).collect();
    let packets: Vec<u8> = names.iter().flat_map(|name| request(CAN_DO, name.as_bytes())).collect();
    worker.write_all(&packets).unwrap();
    echo(&mut worker, b"x");
    submit(&mut looked.server.connect(), b"number-200", "u");
    let shown = |path: &str| -> Vec<String> {
        let body = page(&looked, path);
        let rows = body.split("<tbody>").nth(1).unwrap_or("").split("</tbody>").next().unwrap_or("");
        let row = |row: &str| {
            row.split("href=\"/function?name=").nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        rows.split("<tr").skip(1).map(row).collect()
    };
    let mut all = Vec::new();
    for part in 1..=3 {
        let some = shown(&format!("/?sort=name&part={part}"));
        assert!(some.len() <= 100);
        all.extend(some);
    }
    assert_eq!(all, names);
    assert_eq!(shown("/?sort=waiting")[0], "number-200");
    assert_eq!(shown("/?filter=NUMBER-20&sort=name").len(), 10);
    assert_eq!(shown("/?state=waiting"), ["number-200"]);
    assert!(shown("/?filter=nothing").is_empty());
}

#[test]
fn names_of_peers_are_text() {
    let looked = Looked::start(&["--job-retries", "1"]);
    let name = b"<script>alert(1)</script>\"'&\x01\xff";
    let mut client = looked.server.connect();
    let handle = submit(&mut client, name, "<img src=x onerror=y>");
    let mut held = worker(&looked, name, b"\"><b>worker");
    held.write_all(&request(GRAB_JOB, b"")).unwrap();
    assert_eq!(read_packet(&mut held).0, JOB_ASSIGN);
    let long = vec![b'x'; 8000];
    let mut other = looked.server.connect();
    other.write_all(&request(CAN_DO, &long)).unwrap();
    echo(&mut other, b"x");
    let path = "/function?name=%3Cscript%3Ealert(1)%3C/script%3E%22'%26%01%FF";
    let check = |body: &str, path: &str| {
        assert!(
            !body.contains("<script>") && !body.contains("<img") && !body.contains("<b>"),
            "{path}: {body}"
        );
        assert!(!body.contains('\u{1}') && !body.contains('\u{fffd}'), "{path}: {body}");
        assert!(!body.contains(&"x".repeat(300)) || body.contains("href="), "{path}");
    };
    for path in ["/", path, &format!("{path}&tab=jobs"), &format!("/job?handle={handle}"), "/connections"] {
        let body = page(&looked, path);
        check(&body, path);
        assert!(
            body.contains("&lt;script&gt;alert(1)&lt;/script&gt;\"'&amp;\\x01\\xff")
                || body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&amp;\\x01\\xff")
                || body.contains("&quot;&gt;&lt;b&gt;worker"),
            "{path}: {body}"
        );
    }
    // A long name is cut where it is read, and whole where it is followed.
    let body = page(&looked, &format!("/function?name={}", String::from_utf8(long).unwrap()));
    assert!(body.contains(&("x".repeat(128) + "…")), "{body}");
    drop(held);
    wait_until("it is dead", || page(&looked, "/dead").contains("its worker left"));
    check(&page(&looked, "/dead"), "/dead");
}

#[test]
fn who_may_not_order_finds_nothing_to_order_and_is_refused() {
    let folder = Scratch::new();
    let (orders, option) = Orders::new(&folder);
    let looked = Looked::start(&["--control", &option, "--job-retries", "1"]);
    let mut client = looked.server.connect();
    let handle = submit(&mut client, b"f", "u");
    let paths = [format!("/job?handle={handle}"), "/function?name=f".to_owned(), "/server".to_owned()];
    for path in &paths {
        let theirs = page(&looked, path);
        assert!(!theirs.contains("/order/"), "{path}: {theirs}");
        let ours = orders.get(path);
        is_page(path, &ours);
        assert!(ours.body.contains("/order/") && !ours.body.contains("read-only"), "{path}: {ours:?}");
    }
    for path in ["/order/pause?name=f", "/order/drain", "/order/chosen", "/order/nothing"] {
        let form = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let refused = looked.send(&form);
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
    }
    let refused = orders.post_with(
        "/order/pause?name=f",
        "Origin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n",
        "",
    );
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(orders.post_with("/order/pause?name=f", "Content-Type: text/plain\r\n", "").status, 415);
    // Nothing of that was done.
    assert!(looked.json("/api/v1/functions/f")["paused"].is_null());
}

/// What a form says of its body.
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[test]
fn orders_ask_first_and_say_what_was_done() {
    let folder = Scratch::new();
    let (orders, option) = Orders::new(&folder);
    let looked = Looked::start(&["--control", &option, "--job-retries", "1"]);
    let mut client = looked.server.connect();
    for at in 0..3 {
        submit(&mut client, b"f", &format!("u{at}"));
    }
    // Sends the form, and tells the page that follows.
    let send = |path: &str, body: &str| {
        let done = orders.post_with(path, FORM, body);
        assert_eq!(done.status, 303, "{path}: {done:?}");
        orders.get(done.header("location").unwrap()).body
    };
    let asked = orders.get("/order/pause?name=f").body;
    assert!(asked.contains("Pause f?") && asked.contains("autofocus>Cancel</a>"), "{asked}");
    assert!(looked.json("/api/v1/functions/f")["paused"].is_null());
    let body = send("/order/pause?name=f", "reason=the+disk+is+full&minutes=30");
    assert!(
        body.contains("f is paused") && body.contains("the disk is full") && body.contains("Resume…"),
        "{body}"
    );
    assert!(!looked.json("/api/v1/functions/f")["paused"].is_null());
    assert!(send("/order/resume?name=f", "").contains("f goes on."));
    assert!(send("/order/limits?name=f", "normal=7").contains("The limits of f are set."));
    assert_eq!(looked.json("/api/v1/functions/f")["limits"]["normal"], 7);

    lose_one(&looked, b"f", b"w");
    wait_until("a job is dead", || looked.json("/api/v1/functions/f")["dead"] == 1);
    let asked = orders.get("/order/retry-dead?name=f").body;
    assert!(
        asked.contains("Retry 1 dead job of f?") && asked.contains("name=\"at_most\" value=\"1\""),
        "{asked}"
    );
    assert!(send("/order/retry-dead?name=f", "at_most=1").contains("1 job of f put back."));

    let asked = orders.get("/order/purge?name=f").body;
    assert!(asked.contains("Purge 3 waiting jobs of f?") && asked.contains("name=\"typed\""), "{asked}");
    let refused = orders.post_with("/order/purge?name=f", FORM, "at_most=3&state=queued&typed=g");
    assert!(refused.status == 400 && refused.body.contains("Nothing was done"), "{refused:?}");
    assert_eq!(looked.json("/api/v1/functions/f")["queued"]["normal"], 3);
    assert!(send("/order/purge?name=f", "at_most=3&state=queued&typed=f").contains("3 jobs of f purged."));

    let handle = submit(&mut client, b"f", "v");
    let asked = orders.get(&format!("/order/cancel?handle={handle}")).body;
    assert!(asked.contains("Cancel 1 job, "), "{asked}");
    assert!(send(&format!("/order/cancel?handle={handle}"), "").contains("was cancelled."));
    let again = orders.post_with(&format!("/order/cancel?handle={handle}"), FORM, "");
    assert!(again.status == 404 && again.body.contains("there is no such job"), "{again:?}");
    assert!(orders.get("/server").body.contains("pause f"));

    let chosen = submit(&mut client, b"f", "chosen");
    let asked = orders.post_with("/order/chosen", FORM, &format!("what=cancel&job={chosen}"));
    assert!(asked.status == 200 && asked.body.contains("Cancel 1 chosen job?"), "{asked:?}");
    assert!(
        send("/order/chosen", &format!("what=cancel&sure=yes&job={chosen}&job=H%3Anone%3A1"))
            .contains("1 job cancelled. 1 was not")
    );
}

#[test]
fn assets_are_small_known_and_kept() {
    let looked = Looked::start(&[]);
    let body = page(&looked, "/function?name=f");
    let mut bytes = 0;
    submit(&mut looked.server.connect(), b"f", "u");
    let body = body + &page(&looked, "/function?name=f");
    let mut names: Vec<&str> = body.split('"').filter(|piece| piece.starts_with("/assets/")).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 5, "{names:?}");
    for name in names {
        let answered = looked.get(name);
        assert_eq!(answered.status, 200, "{name}");
        assert_eq!(answered.header("cache-control"), Some("public, max-age=31536000, immutable"), "{name}");
        bytes += compressed(answered.body.as_bytes());
    }
    assert!(bytes <= ASSETS_BYTES, "{bytes}");
    assert_eq!(looked.get("/assets/ringgear.js").status, 404);

    // What others have made is what the list says, byte for byte.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/pages/assets");
    let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for name in ["htmx.min.js", "uPlot.iife.min.js", "uPlot.min.css"] {
        let output = Command::new("sha256sum").arg(folder.join(name)).output().unwrap();
        let sum = String::from_utf8(output.stdout).unwrap();
        assert!(list.contains(&format!("`{}`", sum.split(' ').next().unwrap())), "{name}: {sum}");
    }
    assert!(folder.join("LICENSE-htmx").exists() && folder.join("LICENSE-uPlot").exists());
}

/// Bytes as `gzip -9` leaves them.
fn compressed(bytes: &[u8]) -> usize {
    let mut gzip =
        Command::new("gzip").arg("-9c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let length = gzip.wait_with_output().unwrap().stdout.len();
    writer.join().unwrap();
    length
}

/// However many functions and jobs there are, a page has so many rows, and those who have jobs do not wait for it.
#[test]
fn pages_stay_small_whatever_there_is() {
    let looked = Looked::start(&["-t", "2"]);
    let mut client = looked.server.connect();
    let packets: Vec<u8> =
        (0..20_000).flat_map(|at| request(SUBMIT_JOB_BG, format!("many-{at:05}\0u\0w").as_bytes())).collect();
    let mut reader = client.try_clone().unwrap();
    let writer = std::thread::spawn(move || client.write_all(&packets).unwrap());
    for _ in 0..20_000 {
        assert_eq!(read_packet(&mut reader).0, JOB_CREATED);
    }
    writer.join().unwrap();
    for path in [
        "/",
        "/?sort=name&part=50",
        "/?filter=many-1",
        "/dead",
        "/connections",
        "/function?name=many-00000&tab=jobs",
        "/job?find=none",
    ] {
        let body = page(&looked, path);
        assert!(body.matches("data-row").count() <= 100, "{path}");
        assert!(body.len() < 150 << 10, "{path}: {}", body.len());
    }
    let body = page(&looked, "/?sort=name&filter=many-1");
    assert!(body.contains("1 to 100 of 10,000"), "{body}");
}
