//! What is in jobs: seen and downloaded by who has the role peek, and by nobody else.
use crate::client::Looked;
use crate::roles::{bearer, new_token, with_tokens};
use crate::support::packets::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use std::io::Write;

/// A background job with this workload.
fn job(looked: &Looked, function: &str, workload: &[u8]) -> String {
    let mut client = looked.server.connect();
    let data = [function.as_bytes(), b"\0\0", workload].concat();
    client.write_all(&request(SUBMIT_JOB_BG, &data)).unwrap();
    let (number, handle) = read_packet(&mut client);
    assert_eq!(number, JOB_CREATED);
    String::from_utf8(handle).unwrap()
}

#[test]
fn a_workload_is_seen_by_who_may() {
    let folder = Scratch::new();
    let (peeker, line) = new_token(&["peeker", "--role", "read,peek"]);
    let looked = with_tokens(&folder, &[&line]);
    let handle = job(&looked, "f", b"{\"to\":\"<b>\",\"n\":[1,2]}");
    let page = |form: &str| {
        let page = looked.get_with(&format!("/job?handle={handle}{form}"), &bearer(&peeker));
        assert_eq!(page.status, 200, "{page:?}");
        page.body
    };
    let shown = page("");
    assert!(
        shown.contains(
            "{\n  &quot;to&quot;: &quot;&lt;b&gt;&quot;,\n  &quot;n&quot;: [\n    1,\n    2\n  ]\n}"
        ),
        "{shown}"
    );
    assert!(shown.contains("22 bytes, as json") && shown.contains("download=\"workload\""), "{shown}");
    assert!(page("&as=text").contains("{&quot;to&quot;:&quot;&lt;b&gt;&quot;,"));
    assert!(page("&as=hex").contains("0000  7b 22 74 6f 22 3a 22 3c  62 3e 22 2c 22 6e 22 3a  "));
    let wrong = looked.get_with(&format!("/job?handle={handle}&as=x"), &bearer(&peeker));
    assert_eq!(wrong.status, 400, "{wrong:?}");
    let answered = looked.get_with(&format!("/api/v1/jobs/{handle}/workload"), &bearer(&peeker));
    assert_eq!((answered.status, &answered.body[..]), (200, "{\"to\":\"<b>\",\"n\":[1,2]}"));
    assert_eq!(answered.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answered.header("content-disposition"), Some("attachment; filename=\"workload\""));
    assert_eq!(
        (answered.header("content-length"), answered.header("x-content-type-options")),
        (Some("22"), Some("nosniff"))
    );
    let empty = job(&looked, "f", b"");
    let answered = looked.get_with(&format!("/api/v1/jobs/{empty}/workload"), &bearer(&peeker));
    assert_eq!((answered.status, &answered.body[..]), (200, ""));
    let part =
        |query: &str| looked.get_with(&format!("/api/v1/jobs/{handle}/workload?{query}"), &bearer(&peeker));
    for (query, body) in [
        ("offset=2", "to\":\"<b>\",\"n\":[1,2]}"),
        ("length=3", "{\"t"),
        ("offset=20&length=9", "]}"),
        ("offset=22", ""),
    ] {
        let answered = part(query);
        assert_eq!((answered.status, &answered.body[..]), (200, body), "{query}");
    }
    for (query, status, said) in [
        ("offset=23", 416, "the workload of this job has 22 bytes: offset is 22 at the most"),
        ("offset=18446744073709551615", 416, "offset is 22 at the most"),
        ("offset=-1", 400, "offset is a number of bytes"),
        ("offset=18446744073709551616", 400, "offset is a number of bytes"),
        ("length=0", 400, "length is a number from 1 to 4294967295"),
        ("from=1", 400, "its words are offset, length"),
    ] {
        let answered = part(query);
        assert!(answered.status == status && answered.sentence().contains(said), "{query}: {answered:?}");
    }
    let gone = looked.get_with("/api/v1/jobs/H:none:1024/workload", &bearer(&peeker));
    assert!(gone.status == 404 && gone.sentence().contains("no such job"), "{gone:?}");
}

#[test]
fn a_large_workload_is_shown_in_part_and_sent_whole() {
    let folder = Scratch::new();
    let (peeker, line) = new_token(&["peeker", "--role", "read,peek"]);
    fn text(count: usize) -> String {
        (0..count).map(|at| format!("line {at:>10}\n")).collect()
    }
    let looked = with_tokens(&folder, &[&line]);
    // Small ones are copied, large ones shared.
    for count in [1_000, 500_000] {
        let text = text(count);
        let handle = job(&looked, "f", text.as_bytes());
        let page = looked.get_with(&format!("/job?handle={handle}"), &bearer(&peeker)).body;
        assert!(
            page.contains("line          0\nline          1\n") && !page.contains("line        300\n"),
            "{count}"
        );
        assert!(page.contains("more are not shown") && page.len() < 32_000, "{}", page.len());
        let answered = looked.get_with(&format!("/api/v1/jobs/{handle}/workload"), &bearer(&peeker));
        assert!(answered.status == 200 && answered.body == text, "{count}: {}", answered.body.len());
    }
}

/// Who has seen what of which job stands in the audit list and in the log; what is refused was not seen.
#[test]
fn who_has_seen_a_workload_is_told() {
    let folder = Scratch::new();
    let (peeker, line) = new_token(&["peeker", "--role", "read,peek"]);
    let (reader, read_line) = new_token(&["eyes", "--role", "read"]);
    let looked = with_tokens(&folder, &[&line, &read_line]);
    let handle = job(&looked, "mail", b"0123456789");
    let path = format!("/api/v1/jobs/{handle}/workload");
    assert_eq!(looked.get_with(&path, &bearer(&reader)).status, 403);
    // A page that looks again and again has been looked at once.
    for _ in 0..3 {
        assert_eq!(looked.get_with(&format!("/job?handle={handle}"), &bearer(&peeker)).status, 200);
        assert_eq!(looked.get_with(&format!("/job?handle={handle}"), &bearer(&reader)).status, 200);
    }
    assert_eq!(looked.get_with(&format!("{path}?offset=4&length=2"), &bearer(&peeker)).status, 200);
    let told: serde_json::Value =
        serde_json::from_str(&looked.get_with("/api/v1/audit", &bearer(&reader)).body).unwrap();
    let items: Vec<_> = told["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            assert_eq!(
                (&item["who"], &item["what"]),
                (&"peeker".into(), &format!("see the workload of {handle} of mail").into())
            );
            item["outcome"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(items, ["2 of 10 bytes, from 4 on", "all of 10 bytes"]);
    let page = looked.get_with("/server", &bearer(&reader)).body;
    assert!(page.contains(&format!("see the workload of {handle} of mail")), "{page}");
}

#[test]
fn a_workload_is_not_there_for_others() {
    let folder = Scratch::new();
    let (reader, read_line) = new_token(&["eyes", "--role", "read,submit,operate"]);
    let (some, some_line) = new_token(&["some", "--role", "read,peek", "--functions", "mail-*"]);
    let (blind, blind_line) = new_token(&["blind", "--role", "peek"]);
    let looked = with_tokens(&folder, &[&read_line, &some_line, &blind_line]);
    let (mail, other) = (job(&looked, "mail-a", b"the mail"), job(&looked, "other", b"the secret"));
    let page =
        |token: &str, handle: &str| looked.get_with(&format!("/job?handle={handle}"), &bearer(token)).body;
    let bytes = |token: &str, handle: &str| {
        looked.get_with(&format!("/api/v1/jobs/{handle}/workload"), &bearer(token))
    };
    assert!(!page(&reader, &mail).contains("the mail") && !page(&reader, &mail).contains("id=\"workload\""));
    let refused = bytes(&reader, &mail);
    assert!(refused.status == 403 && refused.sentence().contains("takes the role peek"), "{refused:?}");
    assert!(page(&some, &mail).contains("the mail") && bytes(&some, &mail).body == "the mail");
    assert!(!page(&some, &other).contains("the secret"));
    let refused = bytes(&some, &other);
    assert!(refused.status == 403 && refused.sentence().contains("some functions only"), "{refused:?}");
    // Looking at anything takes the role read.
    assert_eq!(bytes(&blind, &mail).status, 403);
    assert_eq!(looked.get(&format!("/api/v1/jobs/{mail}/workload")).status, 401);
}
