//! Certificates: which a server can be started with, what it says of the others, who is let in, what is read again at SIGHUP, versions and
//! ciphers as openssl sees them.
use super::Secured;
use crate::support::authority::*;
use crate::support::server::*;
use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Starts a server that is to refuse these files: what it says.
#[track_caller]
fn refused(options: &[String], status: i32) -> String {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let output = run_to_end(&[], free_address(), &options);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

#[test]
fn files_that_cannot_be_used_stop_the_start() {
    let authority = Authority::new();
    let (server, other) = (authority.server(), authority.client("other"));
    let over = authority.issue("over", &Wanted { good: OVER, ..Wanted::default() });
    let later =
        authority.issue("later", &Wanted { good: ("400101000000Z", "491231235959Z"), ..Wanted::default() });
    for (options, what) in [
        (over.options(), "over.pem: the certificate has expired at 2021-01-01T00:00:00Z"),
        (later.options(), "later.pem: the certificate is good from 2040-01-01T00:00:00Z on only"),
        (
            Identity { certificate: server.certificate.clone(), key: other.key.clone() }.options(),
            "it is not the key of the first certificate in",
        ),
        (
            Identity { certificate: "/nonexistent.pem".into(), key: other.key.clone() }.options(),
            "--ssl-certificate /nonexistent.pem: it cannot be read: No such file or directory",
        ),
        (
            Identity { certificate: server.certificate.clone(), key: server.certificate.clone() }.options(),
            "there is no private key in it",
        ),
        (
            [server.options(), vec!["--ssl-ca-file=/nonexistent.pem".into()]].concat(),
            "--ssl-ca-file /nonexistent.pem: ",
        ),
    ] {
        let said = refused(&options, 78);
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn keys_of_every_kind_and_chains() {
    let authority = Authority::new();
    let ecdsa = authority.server();
    let rsa = authority.issue("rsa", &Wanted { key: RSA, ..Wanted::default() });
    let ed = authority.issue("ed", &Wanted { key: &["-algorithm", "ED25519"], ..Wanted::default() });
    let written = |identity: &Identity, name: &str, how: &[&str]| {
        let path = authority.folder.path(name);
        openssl(&[how, &["-in", identity.key.to_str().unwrap(), "-out", &path]].concat());
        Identity { certificate: identity.certificate.clone(), key: path.into() }
    };
    let pkcs1 = written(&rsa, "pkcs1.key", &["rsa", "-traditional"]);
    let sec1 = written(&ecdsa, "sec1.key", &["ec"]);
    assert!(fs::read_to_string(&pkcs1.key).unwrap().contains("BEGIN RSA PRIVATE KEY"));
    assert!(fs::read_to_string(&sec1.key).unwrap().contains("BEGIN EC PRIVATE KEY"));
    // The CA's own stands behind it, as where there is one in between.
    let chain = authority.folder.path("chain.pem");
    let both = [fs::read(&ecdsa.certificate).unwrap(), fs::read(authority.ca()).unwrap()].concat();
    fs::write(&chain, both).unwrap();
    let chained = Identity { certificate: chain.into(), key: ecdsa.key.clone() };
    let mut authority = authority;
    for identity in [ecdsa, rsa, ed, pkcs1, sec1, chained] {
        let secured = Secured::with(authority, identity, &["-t", "1"]);
        secured.connect();
        let said = s_client(&secured, &[]);
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        authority = secured.authority;
    }
}

/// What `openssl s_client` says of a server, to which it sends a line.
fn s_client(secured: &Secured, options: &[&str]) -> String {
    let Output { stdout, stderr, .. } = s_client_output(secured, options, b"version\n");
    String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
}

fn s_client_output(secured: &Secured, options: &[&str], line: &[u8]) -> Output {
    let (address, ca) = (secured.server.address().to_string(), secured.authority.ca());
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-CAfile", &ca, "-servername", "localhost"])
        .args(["-verify_hostname", "localhost"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may have ended.
    let _ = input.write_all(line);
    // It ends when there is no more input, and may do so before the answer came: the connection says when.
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(input);
    child.wait_with_output().unwrap()
}

#[test]
fn versions_and_ciphers_as_openssl_sees_them() {
    let secured = Secured::start(&["-t", "1"]);
    for (options, works) in [
        (&["-tls1_3"][..], true),
        (&["-tls1_2"], true),
        (&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], false),
        (&["-tls1", "-cipher", "ALL:@SECLEVEL=0"], false),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], true),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], true),
        // No CBC, no exchange without forward secrecy, no NULL, no anonymous one.
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], false),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256"], false),
        (&["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"], false),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], true),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"], false),
        // Curves that others have, too, and no signature by SHA-1.
        (&["-groups", "X25519"], true),
        (&["-groups", "P-256"], true),
        (&["-groups", "P-521"], false),
        (&["-tls1_2", "-cipher", "DEFAULT:@SECLEVEL=0", "-sigalgs", "ECDSA+SHA256"], true),
        (&["-tls1_2", "-cipher", "DEFAULT:@SECLEVEL=0", "-sigalgs", "ECDSA+SHA1"], false),
    ] {
        let said = s_client(&secured, options);
        assert_eq!(
            said.contains("Verify return code: 0 (ok)") && !said.contains("Cipher is (NONE)"),
            works,
            "{options:?}: {said}"
        );
    }
    let said = s_client(&secured, &["-tls1_3"]);
    assert!(said.contains("\nOK 1.1.20"), "{said}");
    secured.await_line("it has no way of TLS in common with this server");
    // Neither renegotiation nor compression, and nothing to take up again.
    let said = s_client(&secured, &["-tls1_2"]);
    assert!(
        said.contains("Compression: NONE") && said.contains("Secure Renegotiation IS supported"),
        "{said}"
    );
    assert!(!said.contains("TLS session ticket:"), "{said}");
    // The word by which openssl begins a handshake anew.
    let Output { stdout, stderr, .. } = s_client_output(&secured, &["-tls1_2"], b"R\n");
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
}

#[test]
fn a_client_knows_whom_it_speaks_to() {
    let secured = Secured::start(&["-t", "1"]);
    let said = s_client(&secured, &["-verify_hostname", "other.example", "-verify_return_error"]);
    assert!(said.contains("hostname mismatch"), "{said}");
    let stranger = Authority::new();
    let mut client = stranger.speak(secured.server.connect(), None);
    assert!(client.write_all(b"version\n").is_err());
    secured.await_line("it does not take the certificate of this server (UnknownCA)");
}

#[test]
fn who_may_come_in() {
    let stranger = Authority::new();
    for how in ["optional", "required", "none"] {
        let secured = Secured::asking(&["-t", "1", "--ssl-client", how]);
        let good = secured.authority.client("worker.example");
        let foreign = stranger.client("foreign.example");
        let over = Wanted {
            subject: "/CN=over",
            names: "DNS:over",
            usage: "clientAuth",
            good: OVER,
            ..Wanted::default()
        };
        let over = secured.authority.issue("over", &over);
        let for_servers = secured.authority.issue("s", &Wanted::default());
        let (own, of_ca) = (secured.authority.self_signed("own"), stranger.itself());
        assert!(secured.connect_as(Some(&good)).is_ok(), "{how}");
        assert_eq!(secured.connect_as(None).is_ok(), how != "required", "{how}");
        for (bad, why) in [
            (&foreign, "not signed by a CA in the file of --ssl-ca-file"),
            (&own, "not signed by a CA in the file of --ssl-ca-file"),
            (&of_ca, "its certificate cannot be used"),
            (&over, "its certificate has expired"),
            (&for_servers, "its certificate is not for clients"),
        ] {
            assert_eq!(secured.connect_as(Some(bad)).is_ok(), how == "none", "{how}: {why}");
            if how != "none" {
                secured.await_line(why);
            }
        }
        if how == "required" {
            secured.await_line("it has shown no certificate, and --ssl-client required wants one");
        }
        // Who is inside stays there.
        secured.connect_as(Some(&good)).unwrap();
    }
}

#[test]
fn new_certificates_are_taken_while_it_serves() {
    let secured = Secured::start(&["-t", "2", "--verbose", "NOTICE"]);
    let mut before = secured.connect();
    let renewed = secured.authority.issue("renewed", &Wanted { subject: "/CN=renewed", ..Wanted::default() });
    let serial = |secured: &Secured| {
        let mut client = secured.connect();
        echo(&mut client, b"x");
        client.conn.peer_certificates().unwrap()[0].to_vec()
    };
    let first = serial(&secured);
    // Half of it: it goes on with what it had.
    fs::copy(&renewed.certificate, &secured.identity.certificate).unwrap();
    secured.server.signal(Signal::HUP);
    secured.await_line("certificates stay as they were: --ssl-key");
    assert_eq!(serial(&secured), first);
    fs::copy(&renewed.key, &secured.identity.key).unwrap();
    secured.server.signal(Signal::HUP);
    secured.await_line("certificates were read again");
    assert_ne!(serial(&secured), first);
    echo(&mut before, b"still there");
}

#[test]
fn a_certificate_that_was_revoked_is_refused_after_the_list_is_read() {
    let authority = Authority::new();
    let identity = authority.server();
    let list = authority.folder.file("with-list.pem");
    fs::copy(authority.ca(), &list).unwrap();
    let ca = format!("--ssl-ca-file={}", list.display());
    let secured =
        Secured::with(authority, identity, &["-t", "1", "--verbose=NOTICE", &ca, "--ssl-client=required"]);
    let (good, bad) = (secured.authority.client("good"), secured.authority.client("bad"));
    let mut inside = secured.connect_as(Some(&bad)).unwrap();
    secured.authority.revoke(&bad, &list);
    assert!(secured.connect_as(Some(&bad)).is_ok(), "not before it is read");
    secured.server.signal(Signal::HUP);
    secured.await_line("certificates were read again");
    assert!(secured.connect_as(Some(&bad)).is_err());
    secured.await_line("its certificate is on the list of revoked ones");
    secured.connect_as(Some(&good)).unwrap();
    echo(&mut inside, b"connections stay");
}

#[test]
fn it_is_told_ahead_that_a_certificate_expires() {
    let authority = Authority::new();
    let days = |days: u64| {
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
            + days * 86_400
            + 3600;
        let output = Command::new("date")
            .args(["-u", "-d", &format!("@{seconds}"), "+%y%m%d%H%M%SZ"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (soon, late) = (days(7), days(40));
    let soon = authority.issue("soon", &Wanted { good: ("200101000000Z", &soon), ..Wanted::default() });
    let late = authority.issue("late", &Wanted { good: ("200101000000Z", &late), ..Wanted::default() });
    let secured = Secured::with(authority, soon, &["-t", "1", "--verbose=WARNING"]);
    secured.await_line("soon.pem: the certificate expires at ");
    secured.await_line(", in 7 days; renew it and send SIGHUP");
    let secured = Secured::with(secured.authority, late, &["-t", "1", "--verbose=NOTICE"]);
    secured.await_line("listening on ");
    secured.connect();
    assert!(!secured.server.log().contains("expires"), "{}", secured.server.log());
}
