//! By certificate: the common name as with `geard`, and the DNS names beside it.
use super::support::authority::{Authority, Identity};
use super::*;
use std::process::{Command, Stdio};

const LIST: &str = "[my_client]\ninvoke=mail\n\n[san:my_worker]\nregister=.*\nread=True\n";

struct Certified {
    authority: Authority,
    guarded: Guarded,
}

impl Certified {
    fn start(options: &[&str]) -> Certified {
        let authority = Authority::new();
        let identity = authority.server().options();
        let ca = format!("--ssl-ca-file={}", authority.ca());
        let mut all: Vec<&str> = identity.iter().map(String::as_str).collect();
        all.push(&ca);
        all.extend(options);
        let guarded = Guarded::start(LIST, &all);
        Certified { authority, guarded }
    }

    fn speak(&self, shows: Option<&Identity>) -> super::support::authority::TlsClient {
        self.authority.speak(self.guarded.server.connect(), shows)
    }
}

#[test]
fn names_in_a_certificate_are_granted_what_the_list_says() {
    let certified = Certified::start(&["--threads=2"]);
    let identity = |name| certified.authority.client(name);
    let (client, worker, other) = (identity("my_client"), identity("my_worker"), identity("other"));
    let mut client = certified.speak(Some(&client));
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"mail\0\0x").0, JOB_CREATED);
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"other\0\0x"), denied());
    let mut worker = certified.speak(Some(&worker));
    assert_eq!(asks(&mut worker, SUBMIT_JOB_BG, b"mail\0\0x"), denied());
    says(&mut worker, CAN_DO, b"mail");
    assert_eq!(line(&mut worker, "status"), "mail\t1\t0\t1\n.\n");
    assert_eq!(asks(&mut worker, GRAB_JOB, b"").0, JOB_ASSIGN);
    for shows in [Some(&other), None] {
        let mut stranger = certified.speak(shows);
        assert_eq!(asks(&mut stranger, SUBMIT_JOB_BG, b"mail\0\0x"), denied());
        assert_eq!(line(&mut stranger, "status"), LINE_DENIED);
    }
    certified
        .guarded
        .await_line("as certificate \"my_client\", san \"my_client\" may not submit jobs of other");
    // The same for those who are there.
    certified.guarded.renew("[my_client]\ninvoke=other\n");
    wait_until("the new list counts", || asks(&mut client, SUBMIT_JOB_BG, b"other\0\0x").0 == JOB_CREATED);
    assert_eq!(asks(&mut client, SUBMIT_JOB_BG, b"mail\0\0x"), denied());
}

/// A client that we have not written.
#[test]
fn openssl_is_granted_what_its_certificate_is() {
    let certified = Certified::start(&[]);
    let worker = certified.authority.client("my_worker");
    let address = certified.guarded.server.address().to_string();
    let says = |shows: Option<&Identity>| {
        let mut command = Command::new("timeout");
        let ca = certified.authority.ca();
        command.args(["20", "openssl", "s_client", "-quiet", "-connect", &address, "-CAfile", &ca]);
        if let Some(Identity { certificate, key }) = shows {
            command.arg("-cert").arg(certificate).arg("-key").arg(key);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"status\nversion\n").unwrap();
        let mut answer = String::new();
        let mut stdout = child.stdout.take().unwrap();
        let mut byte = [0; 1];
        while !answer.contains("OK ") || !answer.ends_with('\n') {
            stdout.read_exact(&mut byte).unwrap();
            answer.push(byte[0].into());
        }
        drop(child.stdin.take());
        let _ = child.wait();
        answer
    };
    assert!(says(Some(&worker)).starts_with(".\nOK "));
    assert!(says(None).starts_with(LINE_DENIED));
}
