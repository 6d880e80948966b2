//! The transform against the library's own client, without a socket: records in pieces of any size, both versions, what is refused, what
//! files may hold.
use super::testing::{certificates, options, peer};
use super::*;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, SupportedProtocolVersion};
use std::io::{Read, Write};
use std::path::PathBuf;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Two ends, and what the server has opened.
struct Pair {
    client: ClientConnection,
    server: TlsStream,
    opened: Vec<u8>,
    /// What the client was told and nobody has looked at.
    came: Vec<u8>,
    greeted: bool,
    scratch: Vec<u8>,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion, client: ClientCertificates, shows: bool) -> Pair {
        let server = certificates(client).stream().unwrap();
        let (opened, scratch) = (Vec::new(), Vec::new());
        Pair { client: peer(version, shows), server, opened, came: Vec::new(), greeted: false, scratch }
    }

    /// Gives the server these bytes.
    fn give(&mut self, bytes: &[u8]) -> Result<(), TlsTrouble> {
        if self.greeted {
            let opened = &mut self.opened;
            return self.server.open(bytes, &mut self.scratch, &mut |plain| opened.extend_from_slice(plain));
        }
        if let Greeting::Over(plain) = self.server.greet(bytes)? {
            self.greeted = true;
            self.opened.extend_from_slice(&plain);
        }
        Ok(())
    }

    /// Gives the client what the server has to say, and more.
    fn answer(&mut self, more: &[u8]) -> Result<(), rustls::Error> {
        let mut bytes = std::mem::take(self.server.outgoing());
        bytes.extend_from_slice(more);
        let mut left = &bytes[..];
        while !left.is_empty() {
            self.client.read_tls(&mut left).unwrap();
            self.client.process_new_packets()?;
            // The library keeps only so much that nobody has read.
            self.take_what_came();
        }
        Ok(())
    }

    fn said(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Lets both talk until neither has more to say, in pieces of so many bytes.
    fn talk(&mut self, piece: usize) -> Result<(), TlsTrouble> {
        loop {
            let said = self.said();
            for piece in said.chunks(piece) {
                self.give(piece)?;
            }
            if said.is_empty() && self.server.outgoing().is_empty() {
                return Ok(());
            }
            self.answer(b"").map_err(TlsTrouble::Library)?;
        }
    }

    fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        self.server.seal(plain, &mut sealed).unwrap();
        sealed
    }

    fn take_what_came(&mut self) {
        match self.client.reader().read_to_end(&mut self.came) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }

    fn client_reads(&mut self) -> Vec<u8> {
        self.take_what_came();
        std::mem::take(&mut self.came)
    }
}

#[test]
fn records_arrive_in_pieces_of_any_size() {
    for version in VERSIONS {
        for piece in [1, 2, 3, 5, 7, 100, 1000, 8192, usize::MAX] {
            let mut pair = Pair::new(version, ClientCertificates::Optional, true);
            pair.talk(piece).unwrap();
            assert!(pair.greeted);
            let sent: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            pair.client.writer().write_all(&sent).unwrap();
            pair.talk(piece).unwrap();
            assert!(pair.opened == sent, "{version:?} {piece}");
            let sealed = pair.seal(&sent);
            pair.answer(&sealed).unwrap();
            assert!(pair.client_reads() == sent);
            // Nothing is kept of what is done.
            assert!(pair.server.held() < 8 << 10, "{}", pair.server.held());
        }
    }
}

#[test]
fn replies_of_a_round_are_one_record() {
    for version in VERSIONS {
        let mut pair = Pair::new(version, ClientCertificates::NotAsked, false);
        pair.talk(usize::MAX).unwrap();
        for (length, records) in [(1, 1), (16 << 10, 1), ((16 << 10) + 1, 2), (100_000, 7)] {
            let sealed = pair.seal(&vec![7; length]);
            let mut at = 0;
            let mut found = 0;
            while at < sealed.len() {
                assert_eq!(sealed[at], 23, "application data");
                at += 5 + usize::from(u16::from_be_bytes([sealed[at + 3], sealed[at + 4]]));
                found += 1;
            }
            assert_eq!((found, at), (records, sealed.len()), "{length}");
            pair.answer(&sealed).unwrap();
            assert_eq!(pair.client_reads().len(), length);
        }
    }
}

#[test]
fn bytes_right_behind_the_handshake_are_not_lost() {
    let mut pair = Pair::new(&TLS13, ClientCertificates::NotAsked, false);
    let hello = pair.said();
    pair.give(&hello).unwrap();
    pair.answer(b"").unwrap();
    pair.client.writer().write_all(&[5; 50_000]).unwrap();
    pair.client.send_close_notify();
    let rest = pair.said();
    pair.give(&rest).unwrap();
    assert!(pair.greeted && pair.server.has_ended());
    assert_eq!(pair.opened, vec![5; 50_000]);
}

#[test]
fn each_end_says_that_it_ends() {
    for version in VERSIONS {
        let mut pair = Pair::new(version, ClientCertificates::NotAsked, false);
        pair.talk(usize::MAX).unwrap();
        pair.client.writer().write_all(b"last").unwrap();
        pair.client.send_close_notify();
        let said = pair.said();
        pair.give(&said).unwrap();
        assert_eq!((pair.opened.as_slice(), pair.server.has_ended()), (&b"last"[..], true));
        // What is behind it is dropped, whatever it is.
        pair.give(b"anything").unwrap();
        // It still hears, in both versions.
        let mut sealed = pair.seal(b"reply");
        pair.server.farewell(&mut sealed);
        pair.answer(&sealed).unwrap();
        assert_eq!(pair.client_reads(), b"reply");
        assert_eq!(pair.client.reader().read(&mut [0]).unwrap(), 0, "no end without close_notify");
    }
}

#[test]
fn names_are_those_of_the_verified_certificate() {
    for version in VERSIONS {
        let mut pair = Pair::new(version, ClientCertificates::Optional, true);
        assert!(pair.server.names().is_none());
        pair.talk(usize::MAX).unwrap();
        let names = pair.server.names().unwrap();
        assert_eq!(names.common_name.as_deref(), Some("worker.example"));
        for client in [ClientCertificates::Optional, ClientCertificates::NotAsked] {
            let mut pair = Pair::new(version, client, client == ClientCertificates::NotAsked);
            pair.talk(usize::MAX).unwrap();
            assert!(pair.greeted && pair.server.names().is_none());
        }
    }
}

#[test]
fn who_must_show_a_certificate_and_has_none_is_told_so() {
    for version in VERSIONS {
        let mut pair = Pair::new(version, ClientCertificates::Required, false);
        let trouble = pair.talk(usize::MAX).unwrap_err();
        assert_eq!(trouble.to_string(), "it has shown no certificate, and --ssl-client required wants one");
        let error = pair.answer(b"").unwrap_err();
        assert!(matches!(error, rustls::Error::AlertReceived(_)), "{error:?}");
        assert!(pair.server.seal(b"x", &mut Vec::new()).is_err());
        let mut pair = Pair::new(version, ClientCertificates::Required, true);
        pair.talk(usize::MAX).unwrap();
        assert!(pair.greeted);
    }
}

#[test]
fn what_is_not_tls_is_seen_at_its_first_byte() {
    for bytes in [&b"\0REQ\0\0\0\x04\0\0\0\0"[..], b"status\n", b"GET / HTTP/1.1\r\n", b"\x80"] {
        let mut pair = Pair::new(&TLS13, ClientCertificates::NotAsked, false);
        assert!(matches!(pair.give(bytes), Err(TlsTrouble::Plain)));
        assert!(pair.server.outgoing().is_empty());
    }
}

#[test]
fn a_handshake_that_never_ends_is_bounded() {
    let mut pair = Pair::new(&TLS13, ClientCertificates::NotAsked, false);
    let header = [0x16, 3, 1, 0x40, 0];
    let mut result = pair.give(&header);
    let mut most = 0;
    for _ in 0..100 {
        if result.is_err() {
            break;
        }
        most = most.max(pair.server.held());
        result = pair.give(&[1; 100]);
    }
    assert!(matches!(result, Err(TlsTrouble::TooLong)), "{result:?}");
    assert!(most < 20 << 10, "{most}");
}

#[test]
fn changed_records_are_refused_and_those_before_them_opened() {
    for version in VERSIONS {
        let mut pair = Pair::new(version, ClientCertificates::NotAsked, false);
        pair.talk(usize::MAX).unwrap();
        pair.client.writer().write_all(b"good").unwrap();
        let mut said = pair.said();
        pair.client.writer().write_all(b"bad").unwrap();
        let bad = pair.said();
        said.extend_from_slice(&bad);
        *said.last_mut().unwrap() ^= 1;
        assert!(pair.give(&said).is_err());
        assert_eq!(pair.opened, b"good");
        // Nothing more is opened.
        pair.give(&bad).unwrap();
        assert_eq!(pair.opened, b"good");
    }
}

#[test]
fn keys_are_renewed() {
    let mut pair = Pair::new(&TLS13, ClientCertificates::NotAsked, false);
    pair.talk(usize::MAX).unwrap();
    for _ in 0..20 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(b"x").unwrap();
        pair.talk(usize::MAX).unwrap();
        let sealed = pair.seal(b"y");
        pair.answer(&sealed).unwrap();
    }
    assert_eq!((pair.opened.len(), pair.client_reads().len()), (20, 20));
}

/// The files of a test, in a folder that goes with it.
struct Files(crate::store::scratch::Scratch);

impl Files {
    fn new() -> Files {
        Files(crate::store::scratch::Scratch::new())
    }

    fn put(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.file(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

#[track_caller]
fn refused(options: TlsOptions, option: &str, what: &str) {
    let error = Certificates::load(options).unwrap_err();
    assert_eq!(error.option, option, "{error}");
    assert!(error.to_string().contains(what), "{error}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let files = Files::new();
    let good = options(ClientCertificates::Optional);
    let with = |change: &dyn Fn(&mut TlsOptions)| {
        let mut options = good.clone();
        change(&mut options);
        options
    };
    let missing = PathBuf::from("/nonexistent/file.pem");
    refused(with(&|options| options.certificate = missing.clone()), "ssl-certificate", "cannot be read");
    refused(with(&|options| options.key = missing.clone()), "ssl-key", "/nonexistent/file.pem");
    refused(with(&|options| options.ca = Some(missing.clone())), "ssl-ca-file", "cannot be read");
    let empty = files.put("empty", b"");
    refused(with(&|options| options.certificate = empty.clone()), "ssl-certificate", "no certificate in it");
    refused(with(&|options| options.key = empty.clone()), "ssl-key", "no private key in it");
    refused(with(&|options| options.ca = Some(empty.clone())), "ssl-ca-file", "no certificate in it");
    let folder = std::env::temp_dir();
    refused(with(&|options| options.key = folder.clone()), "ssl-key", "cannot be read");
    let other = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tls/testing/client.key");
    refused(with(&|options| options.key = other.clone()), "ssl-key", "not the key of the first certificate");
    let locked = files
        .put("locked", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    refused(with(&|options| options.key = locked.clone()), "ssl-key", "is encrypted");
    let broken = files.put("broken", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    refused(
        with(&|options| options.certificate = broken.clone()),
        "ssl-certificate",
        "certificate 1 in it cannot be read",
    );
    let torn = files.put("torn", b"-----BEGIN CERTIFICATE-----\n!!!!\n");
    refused(with(&|options| options.certificate = torn.clone()), "ssl-certificate", "not PEM");
}

#[test]
fn a_bad_file_changes_nothing_when_it_is_read_again() {
    let files = Files::new();
    let read =
        |name: &str| std::fs::read(options(ClientCertificates::NotAsked).key.with_file_name(name)).unwrap();
    let certificate = files.put("server.pem", &read("server.pem"));
    let key = files.put("server.key", &read("server.key"));
    let options = TlsOptions { certificate, key, ca: None, client: ClientCertificates::NotAsked };
    let certificates = Certificates::load(options).unwrap();
    let expires = certificates.expires();
    certificates.reload().unwrap();
    files.put("server.pem", b"half");
    assert!(certificates.reload().is_err());
    assert_eq!(certificates.expires(), expires);
    assert!(certificates.stream().is_ok());
}
