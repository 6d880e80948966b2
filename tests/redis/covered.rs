//! A Redis that is reached by TLS: whom we trust, and what is said of one that we do not.
use super::*;
use support::authority::{Authority, Identity, Wanted};
use support::server::Server;

/// A Redis that speaks TLS on a port of its own with this identity, and that port.
fn covered(identity: &Identity) -> (CacheServer, String) {
    let port = free_address().port().to_string();
    let (certificate, key) = (identity.certificate.to_str().unwrap(), identity.key.to_str().unwrap());
    let settings = [
        "--tls-port",
        &port,
        "--tls-cert-file",
        certificate,
        "--tls-key-file",
        key,
        "--tls-auth-clients",
        "no",
    ];
    (CacheServer::redis(&[DURABLE, &settings].concat()), port)
}

#[test]
fn a_redis_behind_tls_is_verified() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (server, port) = covered(&authority.server());
    let options = ["-q", "redis", "--redis-server", "rediss://localhost", "--redis-port", &port];
    let trusting = format!("SSL_CERT_FILE={}", authority.ca());
    let mut ours = Server::start_by(&["env", &trusting], &options);
    assert_eq!(submit(&mut ours.connect(), SUBMIT_JOB_BG, &[b"f", b"u", b"w"]).0, JOB_CREATED);
    assert_eq!(left(&server), "3", "a key of gearmand's, and what we know of it");
    assert_eq!(work_off(&ours, b"f"), [b"w"]);
    ours.signal(Signal::TERM);
    assert!(ours.wait().success());
    // Another authority, and a server of another name.
    let elsewhere = authority.issue("elsewhere", &Wanted { names: "DNS:elsewhere", ..Wanted::default() });
    let (_wrong, port) = covered(&elsewhere);
    let misnamed = ["-q", "redis", "--redis-server", "rediss://localhost", "--redis-port", &port];
    for (trusted, options) in
        [(format!("SSL_CERT_FILE={}", other.ca()), &options), (trusting.clone(), &misnamed)]
    {
        let ended =
            run_to_end(&["env", &trusted], free_address(), &[&options[..], &["--store-wait", "0"]].concat());
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(74), "{said}");
        assert!(said.contains("certificate"), "{said}");
    }
}
