//! The HTTP side by TLS (`--control-tls`, `--http-tls`): the job port's certificate and who must show one, its renewal, peers that speak
//! plainly or say nothing, and the subcommands that ask there, which make sure of whom they ask.
use super::Secured;
use crate::support::authority::*;
use crate::support::scratch::Scratch;
use crate::support::server::*;
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

impl Secured {
    /// Where the HTTP side is, of which the log says so in these words.
    #[track_caller]
    pub(crate) fn http(&self, told: &str) -> SocketAddr {
        self.http_at(told, [127, 0, 0, 1].into())
    }

    #[track_caller]
    fn http_at(&self, told: &str, ip: IpAddr) -> SocketAddr {
        let mut found = None;
        wait_until(told, || {
            let log = self.server.log();
            found = log.split(told).skip(1).find_map(|rest| {
                let address = rest.split(['/', '\n', ',']).next()?.parse::<SocketAddr>().ok();
                address.filter(|address| address.ip() == ip)
            });
            found.is_some()
        });
        found.unwrap()
    }

    /// What is answered to a request by TLS.
    pub(crate) fn ask_http(
        &self,
        address: SocketAddr,
        shows: Option<&Identity>,
        request: &[u8],
    ) -> Result<String, std::io::Error> {
        let mut client = self.authority.speak(super::plain(address), shows);
        client.write_all(request)?;
        let mut text = String::new();
        client.read_to_string(&mut text).map(|_| text)
    }
}

/// Runs a subcommand that asks the HTTP side: its status, and what it says.
fn tool(words: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    for variable in ["RINGGEAR_CONTROL", "RINGGEAR_CA", "RINGGEAR_CERT", "RINGGEAR_KEY"] {
        command.env_remove(variable);
    }
    let output = command.args(words).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

const CONTROL: &str = "to be looked at on https://";

#[test]
fn the_http_side_has_the_certificate_of_the_job_port_and_its_renewal() {
    let folder = Scratch::new();
    let control = format!("127.0.0.1:0,unix:{}", folder.path("control"));
    let secured = Secured::start(&["-t", "1", "--control-tls", "--control", &control]);
    let address = secured.http(CONTROL);
    let said = secured.ask_http(address, None, REQUEST).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("ok\n"), "{said}");
    // A unix socket stays plain.
    let mut local = UnixStream::connect(folder.file("control")).unwrap();
    local.write_all(REQUEST).unwrap();
    assert!(read_to_end(&mut local).starts_with(b"HTTP/1.1 200 OK"));
    // Who is connected goes on, who comes sees the new one.
    let shown = |client: &TlsClient| client.conn.peer_certificates().unwrap()[0].to_vec();
    let mut before = secured.authority.speak(super::plain(address), None);
    before.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    before.read_exact(&mut [0; 12]).unwrap();
    let renewed = secured.authority.issue("renewed", &Wanted { subject: "/CN=renewed", ..Wanted::default() });
    fs::copy(&renewed.certificate, &secured.identity.certificate).unwrap();
    fs::copy(&renewed.key, &secured.identity.key).unwrap();
    secured.server.signal(Signal::HUP);
    secured.await_line("certificates were read again");
    let mut after = secured.authority.speak(super::plain(address), None);
    after.write_all(REQUEST).unwrap();
    after.read_exact(&mut [0; 12]).unwrap();
    assert_ne!(shown(&before), shown(&after));
    before.write_all(REQUEST).unwrap();
    assert!(read_to_end(&mut before).ends_with(b"ok\n"));
    // Without TLS on the job port, too.
    let options = secured.identity.options();
    let server =
        Server::start(&["--control-tls", "--control", "127.0.0.1:0", "-t1", &options[1], &options[2]]);
    echo(&mut server.connect(), b"plain");
}

#[test]
fn who_speaks_plainly_there_is_closed_at_once_and_named() {
    let secured = Secured::start(&["-t", "1", "--control-tls", "--control", "127.0.0.1:0"]);
    let address = secured.http(CONTROL);
    let mut plain = super::plain(address);
    plain.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let peer = plain.local_addr().unwrap();
    let begun = Instant::now();
    assert_eq!(read_to_end(&mut plain), b"");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let line = format!("closing HTTP connection of {peer}: it does not speak TLS, which this port wants");
    secured.await_line(&line);
    let (status, said) = tool(&["doctor", "--control", &address.to_string()]);
    assert!(status == 3 && said.contains(&format!("say https://{address} and --ca FILE")), "{said}");
}

#[test]
fn handshakes_there_are_bounded_in_number_and_time() {
    let secured = Secured::start(&["-t", "1", "--control-tls", "--control", "127.0.0.1:0"]);
    let address = secured.http(CONTROL);
    let mut hello = Vec::new();
    secured.authority.speak(super::plain(address), None).conn.write_tls(&mut hello).unwrap();
    let begun = Instant::now();
    let mut strangers: Vec<TcpStream> = Vec::new();
    for number in 0..32 {
        let mut stranger = super::plain(address);
        // Half of them say something.
        stranger.write_all(&hello[..hello.len() / 2 * (number % 2)]).unwrap();
        strangers.push(stranger);
    }
    // One more has no place.
    assert_eq!(read_to_end(&mut super::plain(address)), b"");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(strangers.iter_mut().all(|stranger| read_to_end(stranger).is_empty()));
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    secured.await_line("its TLS handshake was not over after 5 s");
    assert!(secured.ask_http(address, None, REQUEST).unwrap().ends_with("ok\n"));
}

#[test]
fn subcommands_make_sure_of_whom_they_ask() {
    let secured = Secured::start(&["-t", "1", "--control-tls", "--control", "127.0.0.1:0,127.0.0.2:0"]);
    let (port, ca) = (secured.http(CONTROL).port(), secured.authority.ca());
    let other = secured.http_at(CONTROL, [127, 0, 0, 2].into());
    let mut worker = secured.connect();
    worker.write_all(&request(1, b"turn")).unwrap();
    echo(&mut worker, b"known");
    let why = |address: &str, ca: &[&str]| tool(&[&["why", "turn", "--control", address], ca].concat());
    let stranger = Authority::new();
    for (address, ca, expected, what) in [
        (format!("https://localhost:{port}"), &["--ca", &ca][..], 0, "turn"),
        (format!("https://127.0.0.1:{port}/"), &["--ca", &ca], 0, "turn"),
        (format!("https://{other}"), &["--ca", &ca], 3, "its certificate is not for 127.0.0.2; say a name"),
        (
            format!("https://localhost:{port}"),
            &["--ca", &stranger.ca()],
            3,
            "not signed by a CA in the file of --ca",
        ),
        (format!("https://localhost:{port}"), &[], 2, "say with --ca FILE, or RINGGEAR_CA"),
        (
            format!("https://localhost:{port}"),
            &["--ca", "/nonexistent"],
            2,
            "--ca /nonexistent: it cannot be read",
        ),
    ] {
        let (status, said) = why(&address, ca);
        assert!(status == expected && said.contains(what), "{address} {ca:?}: {status} {said}");
    }
    // By the environment.
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringgear"));
    command.env("RINGGEAR_CONTROL", format!("https://localhost:{port}")).env("RINGGEAR_CA", &ca);
    let output = command.args(["why", "turn"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // A server without TLS, asked by it.
    let plain = Server::start(&["-t", "1", "--control", "127.0.0.1:0", "--verbose=NOTICE"]);
    let told = "to be looked at on http://";
    wait_until(told, || plain.log().contains(told));
    let log = plain.log();
    let address = log.split(told).nth(1).unwrap().split('/').next().unwrap();
    let (status, said) = why(&format!("https://{address}"), &["--ca", &ca]);
    assert!(status == 3 && said.contains("it does not speak TLS there; say http://"), "{said}");
}

#[test]
fn who_must_show_a_certificate_shows_it_there() {
    let secured =
        Secured::asking(&["-t", "1", "--control-tls", "--control", "127.0.0.1:0", "--ssl-client=required"]);
    let address = secured.http(CONTROL);
    let shows = secured.authority.client("operator.example");
    assert!(secured.ask_http(address, Some(&shows), REQUEST).unwrap().ends_with("ok\n"));
    assert!(secured.ask_http(address, None, REQUEST).is_err());
    secured.await_line("it has shown no certificate, and --ssl-client required wants one");
    let (port, ca) = (address.port(), secured.authority.ca());
    let control = format!("https://localhost:{port}");
    let (status, said) = tool(&["jobs", "--control", &control, "--ca", &ca]);
    assert!(status == 3 && said.contains("CertificateRequired"), "{said}");
    let (certificate, key) = (shows.certificate.to_str().unwrap(), shows.key.to_str().unwrap());
    let words = ["jobs", "--control", &control, "--ca", &ca, "--cert", certificate];
    assert_eq!(tool(&[&words[..], &["--key", key]].concat()).0, 0);
    let (status, said) = tool(&words);
    assert!(status == 2 && said.contains("say both --cert and --key"), "{said}");
}

#[test]
fn gearmands_http_has_it_if_it_is_asked_for() {
    let secured = Secured::start(&["-t", "1", "-r", "http", "--http-port", "0", "--http-tls"]);
    let address = secured.http("jobs are taken over HTTP on ");
    let request = "POST /turn HTTP/1.1\r\nHost: localhost\r\nX-Gearman-Background: true\r\nContent-Length: 1\r\n\
                   Connection: close\r\n\r\nx";
    let said = secured.ask_http(address, None, request.as_bytes()).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("X-Gearman-Command: JOB_CREATED"), "{said}");
    secured.await_line("jobs are taken over HTTP on 127.0.0.1:");
    let mut client = secured.connect();
    assert!(ask(&mut client, "status\n").contains("turn\t1\t0\t0"));
}
