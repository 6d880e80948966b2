//! Jobs submitted from a page: by whom, for which functions, and what is shown of what came of them.
use crate::client::{Answered, Looked};
use crate::roles::{bearer, new_token, post, with_tokens};
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use crate::worker::Worker;
use std::thread;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// Sends the form.
#[track_caller]
fn send(looked: &Looked, token: &str, body: &str) -> Answered {
    post(looked, "/submit", &format!("{}{FORM}", bearer(token)), body)
}

/// Whether something is said to be wrong, on a page that is one.
#[track_caller]
fn complains(answered: &Answered, status: u16, said: &str) {
    assert_eq!(answered.status, status, "{answered:?}");
    assert_eq!(answered.header("content-type"), Some("text/html; charset=utf-8"), "{answered:?}");
    assert!(answered.body.contains("role=\"alert\"") && answered.body.contains(said), "{said}: {answered:?}");
}

#[test]
fn a_job_in_the_background_is_told_by_its_handle() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["ops", "--role", "read,submit"]);
    let looked = with_tokens(&folder, &[&line]);
    let page = looked.get_with("/submit", &bearer(&token));
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.contains("<textarea") && page.body.contains("aria-current=\"page\""), "{page:?}");
    let sent = send(
        &looked,
        &token,
        "function=ma%26il&unique=&priority=low&background=true&encoding=hex&workload=00+ff",
    );
    assert_eq!(sent.status, 303, "{sent:?}");
    let place = sent.header("location").unwrap();
    assert!(place.starts_with("/submit?name=ma%26il&told="), "{place}");
    let told = looked.get_with(place, &bearer(&token)).body;
    let handle = told.split("Job ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    assert!(told.contains(&format!("Job {handle} of ma&amp;il was submitted.")), "{told}");
    assert!(told.contains("href=\"/job?handle=") && told.contains("value=\"ma&amp;il\""), "{told}");
    let held = Worker::of(&looked.server, "ma&il").grab();
    assert_eq!((held.handle, held.workload), (handle.into_bytes(), b"\x00\xff".to_vec()));
    // What is known is offered while one types.
    wait_until("it is offered", || {
        looked.get_with("/submit", &bearer(&token)).body.contains("<option value=\"ma&amp;il\"></option>")
    });
}

#[test]
fn a_result_is_shown_as_what_it_is() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["ops", "--role", "submit"]);
    let looked = with_tokens(&folder, &[&line]);
    let results: [(u32, &[u8], &[&str]); 4] = [
        (WORK_COMPLETE, b"<b>\"fine\"", &["is complete.", "&lt;b&gt;&quot;fine&quot;", "9 bytes, as text"]),
        (WORK_COMPLETE, b"\0\xff<", &["00 ff 3c", "3 bytes, as hex"]),
        (WORK_COMPLETE, b"{\"a\":[1]}", &["{\n  &quot;a&quot;: [", "as json"]),
        (WORK_FAIL, b"", &["has failed."]),
    ];
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let mut worker = Worker::of(&looked.server, "f");
            results.map(|(command, data, _)| {
                let held = worker.grab();
                worker.say(command, &held, data);
                held.workload
            })
        });
        for (_, _, shown) in results {
            let body =
                "function=f&unique=&priority=normal&background=false&encoding=text&workload=a%0D%0Ab+%3C";
            let page = send(&looked, &token, body);
            assert_eq!(page.status, 200, "{page:?}");
            for text in shown {
                assert!(page.body.contains(text), "{text}: {}", page.body);
            }
            assert!(!page.body.contains("<b>") && !page.body.contains("role=\"alert\""), "{page:?}");
            // What was typed stands there again.
            assert!(page.body.contains(">\na\r\nb &lt;</textarea>"), "{page:?}");
        }
        for workload in answering.join().unwrap() {
            assert_eq!(workload, b"a\nb <");
        }
    });
}

#[test]
fn the_form_is_for_who_may_submit() {
    let folder = Scratch::new();
    let (reader, read_line) = new_token(&["eyes", "--role", "read,operate"]);
    let (mailer, mail_line) = new_token(&["mailer", "--role", "submit", "--functions", "mail-*"]);
    let (both, both_line) = new_token(&["both", "--role", "read,submit", "--functions", "mail-*"]);
    let looked = with_tokens(&folder, &[&read_line, &mail_line, &both_line]);
    let job = |function: &str| format!("function={function}&workload=x");
    // Who may not finds no way there, and is refused.
    let now = looked.get_with("/", &bearer(&reader));
    assert!(now.status == 200 && !now.body.contains("\"/submit\""), "{now:?}");
    complains(&looked.get_with("/submit", &bearer(&reader)), 403, "needs the role submit");
    assert_eq!(send(&looked, &reader, &job("mail-a")).status, 403);
    assert_eq!(looked.get("/submit").status, 401);
    assert_eq!(post(&looked, "/submit", FORM, &job("mail-a")).status, 401);
    // Who may do nothing else has this page alone.
    let alone = looked.get_with("/submit", &bearer(&mailer));
    assert!(alone.status == 200 && !alone.body.contains("href=\"/dead\""), "{alone:?}");
    // No link leads to a refusal.
    assert!(!alone.body.contains("href=\"/\"") && !alone.body.contains("href=\"/metrics\""), "{alone:?}");
    let fault = looked.get_with("/submit?x=1", &bearer(&mailer));
    assert!(
        fault.status == 400 && !fault.body.contains("href=\"/\"") && fault.body.contains("href=\"/submit\""),
        "{fault:?}"
    );
    let sent_to = looked.get_with("/", &format!("{}Accept: text/html\r\n", bearer(&mailer)));
    assert_eq!((sent_to.status, sent_to.header("location")), (303, Some("/submit")));
    assert_eq!(looked.get_with("/dead", &bearer(&mailer)).status, 403);
    let told = send(&looked, &mailer, &job("mail-a"));
    let told = looked.get_with(told.header("location").unwrap(), &bearer(&mailer)).body;
    assert!(told.contains("was submitted.") && !told.contains("href=\"/job"), "{told}");
    // For some functions only.
    complains(&send(&looked, &mailer, &job("other")), 403, "some functions only");
    let mut client = looked.server.connect();
    crate::submit(&mut client, b"other", "u");
    wait_until("functions are offered", || {
        looked.get_with("/submit", &bearer(&both)).body.contains("<option value=\"mail-a\">")
    });
    assert!(!looked.get_with("/submit", &bearer(&both)).body.contains("<option value=\"other\">"));
    // A page of somebody else changes nothing.
    let entered =
        post(&looked, "/login", &format!("{FORM}Sec-Fetch-Site: none\r\n"), &format!("token={both}"));
    let cookie = entered.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let by_cookie = |lines: &str| {
        post(&looked, "/submit", &format!("Cookie: {cookie}\r\n{FORM}{lines}"), &job("mail-a")).status
    };
    assert_eq!((by_cookie(""), by_cookie("Origin: http://evil.example\r\n")), (403, 403));
    assert_eq!(by_cookie("Sec-Fetch-Site: same-origin\r\n"), 303);
}

/// A form with parts, as browsers send it: fields, and a file where one was chosen.
#[track_caller]
fn send_parts(looked: &Looked, token: &str, fields: &[(&str, &str)], file: Option<&str>) -> Answered {
    let mut body = String::new();
    for (name, value) in fields {
        body += &format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    let (called, bytes) = file.map_or(("", ""), |bytes| ("work.bin", bytes));
    body += &format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{called}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{bytes}\r\n--XX--\r\n"
    );
    let head = format!("{}Content-Type: multipart/form-data; boundary=XX\r\n", bearer(token));
    post(looked, "/submit", &head, &body)
}

#[test]
fn a_file_is_a_workload() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["ops", "--role", "submit"]);
    let looked = with_tokens(&folder, &[&line]);
    let page = looked.get_with("/submit", &bearer(&token)).body;
    assert!(page.contains("enctype=\"multipart/form-data\"") && page.contains("type=\"file\""), "{page}");
    // Larger than what can be typed, and with all that might be taken for something else.
    let file = "a\r\nb\r\n--X\r\n--\0".repeat(200_000);
    let fields =
        |typed| [("function", "files"), ("priority", "low"), ("encoding", "text"), ("workload", typed)];
    assert_eq!(send_parts(&looked, &token, &fields(""), Some(&file)).status, 303);
    assert_eq!(send_parts(&looked, &token, &fields("typed\r\nhere"), None).status, 303);
    assert_eq!(send_parts(&looked, &token, &fields(""), Some("")).status, 303);
    let mut worker = Worker::of(&looked.server, "files");
    assert!(worker.grab().workload == file.as_bytes());
    assert_eq!(worker.grab().workload, b"typed\nhere");
    assert_eq!(worker.grab().workload, b"");
    let both = send_parts(&looked, &token, &fields("kept"), Some("x"));
    complains(&both, 400, "a workload is typed and a file is chosen: leave one of them out");
    assert!(both.body.contains("\nkept</textarea>"), "{both:?}");
    let head = |kind: &str| format!("{}Content-Type: multipart/form-data{kind}\r\n", bearer(&token));
    let nameless = post(&looked, "/submit", &head(""), "x");
    assert!(nameless.status == 400 && nameless.sentence().contains("names its boundary"), "{nameless:?}");
    complains(&post(&looked, "/submit", &head("; boundary=B"), "x"), 400, "begin with its boundary");
    let cut = "--B\r\nContent-Disposition: form-data; name=\"function\"\r\n\r\nf";
    complains(&post(&looked, "/submit", &head("; boundary=B"), cut), 400, "ends before its end");
}

#[test]
fn a_file_is_no_larger_than_a_packet() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["ops", "--role", "submit"]);
    let file = folder.file("tokens");
    std::fs::write(&file, &line).unwrap();
    let looked = Looked::start(&["--control-tokens", file.to_str().unwrap(), "--max-packet-size", "1048576"]);
    let fields = [("function", "f")];
    assert_eq!(send_parts(&looked, &token, &fields, Some(&"x".repeat(1_000_000))).status, 303);
    let larger = send_parts(&looked, &token, &fields, Some(&"x".repeat(1_100_000)));
    complains(&larger, 413, "a job may have 1048576 bytes");
    assert_eq!(send_parts(&looked, &token, &fields, Some(&"x".repeat(3 << 20))).status, 413);
}

#[test]
fn what_is_wrong_with_a_form_is_said_on_it() {
    let folder = Scratch::new();
    let (token, line) = new_token(&["ops", "--role", "submit"]);
    let looked = with_tokens(&folder, &[&line]);
    for (body, said) in [
        ("function=&workload=kept", "Nothing was submitted: function is a name of 1 to 8191 bytes"),
        ("function=f&encoding=hex&workload=kept", "two hexadecimal digits for each byte"),
        ("function=f&priority=urgent&workload=kept", "priority is high, normal or low"),
        ("function=f&background=maybe&workload=kept", "background is true or false"),
        (&format!("function=f&unique={}&workload=kept", "u".repeat(65)), "unique has 64 bytes at the most"),
    ] {
        let page = send(&looked, &token, body);
        complains(&page, 400, said);
        assert!(page.body.contains("\nkept</textarea>"), "{page:?}");
    }
    complains(&send(&looked, &token, "function=%f"), 400, "two hexadecimal digits");
    let text = post(&looked, "/submit", &format!("{}Content-Type: text/plain\r\n", bearer(&token)), "x");
    assert_eq!(text.status, 415, "{text:?}");
    let large = format!("function=f&workload={}", "x".repeat(2 << 20));
    assert_eq!(send(&looked, &token, &large).status, 413);
    assert_eq!(send(&looked, &token, "function=f&workload=x").status, 303);
}
