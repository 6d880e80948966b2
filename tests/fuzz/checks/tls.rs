//! What must hold of TLS, whatever a peer sends and in whatever pieces it arrives: what was sealed is opened in order and to the last
//! whole record, nothing that was changed is, and what is kept of it has a bound. The other end is the library's own client.
use ringgear::tls::fuzz::{FuzzedCertificates, FuzzedEnd};
use ringgear::tls::{ClientCertificates, TlsOptions};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, version};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

/// The longest first message that is not whole: as much may be kept of one.
const GREETING_MAX: usize = 8 << 10;
/// What one end may take in memory.
const HELD_MAX: usize = 64 << 10;
/// Plain bytes of one program: more would only take longer.
const PLAIN_MAX: usize = 100_000;
/// New keys of one program: the library takes 32 in a row.
const RENEWALS_MAX: usize = 30;

static ENDS: LazyLock<FuzzedCertificates> = LazyLock::new(|| {
    let options = TlsOptions {
        certificate: file("server.pem"),
        key: file("server.key"),
        ca: None,
        client: ClientCertificates::NotAsked,
    };
    FuzzedCertificates::load(options).expect("certificates that the repository has")
});

/// Clients of TLS 1.2 and 1.3, made once.
static CLIENTS: LazyLock<[Arc<ClientConfig>; 2]> = LazyLock::new(|| {
    [&version::TLS12, &version::TLS13].map(|version| {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_file(file("ca.pem")).expect("a CA that the repository has");
        roots.add(ca).expect("it is one");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_protocol_versions(&[version]).expect("both are there");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    })
});

/// Certificates of the sources' own tests.
fn file(name: &str) -> PathBuf {
    // This file is compiled by two crates, one of which is in a folder of the other.
    let mut folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    while !folder.join("src/tls/testing").exists() {
        assert!(folder.pop(), "the sources are there");
    }
    folder.join("src/tls/testing").join(name)
}

/// What a client says first, in two ways.
#[allow(dead_code, reason = "the fuzzer is given it as a file")]
pub(crate) fn hellos() -> [Vec<u8>; 2] {
    [0, 1].map(|version| {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(CLIENTS[version].clone(), name).expect("a new client");
        let mut said = Vec::new();
        client.write_tls(&mut said).expect("a vector takes everything");
        said
    })
}

pub(crate) fn run(bytes: &[u8]) {
    let [choice, pieces, rest @ ..] = bytes else { return };
    let piece = usize::from(*pieces) + 1;
    if choice & 2 == 0 {
        greeting(rest, piece);
    } else {
        records(usize::from(choice & 1), rest, piece);
    }
}

/// What comes of bytes as the first that a peer sends.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Awaited,
    Refused,
}

/// Bytes that are no whole handshake, for who sends them has no keys: in pieces they come to what they come to at once.
fn greeting(bytes: &[u8], piece: usize) {
    let bytes = &bytes[..bytes.len().min(GREETING_MAX)];
    let came = |piece| {
        let mut end = ENDS.end().expect("a new end");
        let mut opened = Vec::new();
        let mut pieces = bytes.chunks(piece);
        let refused = pieces.any(|piece| {
            let refused = end.give(piece, &mut opened).is_err();
            assert!(end.held() < HELD_MAX, "{} bytes", end.held());
            refused
        });
        assert!(opened.is_empty() && !end.is_greeted(), "a handshake without keys");
        if refused { Came::Refused } else { Came::Awaited }
    };
    assert_eq!(came(bytes.len().max(1)), came(piece), "in pieces of {piece}");
}

/// Something that a peer does whose handshake is over.
enum Act<'a> {
    /// It seals bytes, so many times over.
    Seals(&'a [u8], usize),
    /// It seals bytes, and one bit of the record is another one on its way.
    Changed(&'a [u8], usize),
    /// It sends bytes as they are.
    Sends(&'a [u8]),
    /// It renews its keys, as 1.3 can.
    Renews,
    /// It says that it sends no more.
    Ends,
}

/// Bytes as a program: any bytes are one.
fn acts(mut rest: &[u8]) -> Vec<Act<'_>> {
    let mut acts = Vec::new();
    while let [what, length, behind @ ..] = rest {
        let (data, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = behind;
        let number = usize::from(what >> 3);
        acts.push(match what & 7 {
            0..=3 => Act::Seals(data, 1 + number * 16),
            4 => Act::Changed(data, number * 7 + usize::from(*length)),
            5 => Act::Sends(data),
            6 => Act::Renews,
            _ => Act::Ends,
        });
    }
    acts
}

/// A peer, and what the server has opened of it.
struct Peer {
    client: ClientConnection,
    server: FuzzedEnd,
    piece: usize,
    opened: Vec<u8>,
    /// Whether the server has refused something.
    refused: bool,
}

impl Peer {
    /// What the client has to send.
    fn talk(&mut self) -> Vec<u8> {
        let mut sealed = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut sealed).expect("a vector takes everything");
        }
        sealed
    }

    /// Seals bytes, of which the client takes so much at once.
    fn seal(&mut self, mut left: &[u8]) {
        while !left.is_empty() {
            let length = self.client.writer().write(left).expect("it is open");
            left = &left[length..];
            let said = self.talk();
            self.give(&said);
        }
    }

    fn give(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            if self.refused {
                return;
            }
            self.refused = self.server.give(piece, &mut self.opened).is_err();
            assert!(self.server.held() < HELD_MAX, "{} bytes", self.server.held());
        }
    }

    /// Gives the client what the server has to say: the plain bytes in it.
    fn hear(&mut self, plain: &[u8]) -> Vec<u8> {
        let said = self.server.says(plain).expect("it can be sealed");
        let (mut left, mut heard) = (&said[..], Vec::new());
        while !left.is_empty() {
            self.client.read_tls(&mut left).expect("a slice can be read");
            let state = self.client.process_new_packets().expect("what the server says is right");
            let at = heard.len();
            heard.resize(at + state.plaintext_bytes_to_read(), 0);
            self.client.reader().read_exact(&mut heard[at..]).expect("so much is there");
        }
        heard
    }
}

fn records(version: usize, program: &[u8], piece: usize) {
    let name = ServerName::try_from("localhost").expect("a name");
    let client = ClientConnection::new(CLIENTS[version].clone(), name).expect("a new client");
    let server = ENDS.end().expect("a new end");
    let mut peer = Peer { client, server, piece, opened: Vec::new(), refused: false };
    while !peer.server.is_greeted() || peer.client.is_handshaking() {
        let said = peer.talk();
        peer.give(&said);
        assert!(!peer.refused, "the library's own client");
        assert_eq!(peer.hear(b""), b"");
    }
    play(&mut peer, acts(program), version == 1);
}

/// Plays a program, and looks after each act at what is opened.
fn play(peer: &mut Peer, acts: Vec<Act<'_>>, can_renew: bool) {
    let (mut sealed, mut room, mut renewals) = (Vec::new(), PLAIN_MAX, RENEWALS_MAX);
    // Whether everything that was sent was as it should be, and whether the end was said.
    let (mut sound, mut over) = (true, false);
    for act in acts {
        match act {
            Act::Seals(data, times) if !over => {
                let mut data = data.repeat(times);
                data.truncate(room);
                room -= data.len();
                peer.seal(&data);
                if sound {
                    sealed.extend_from_slice(&data);
                }
            }
            Act::Changed(data, at) if !over && !data.is_empty() => {
                peer.client.writer().write_all(data).expect("it is short");
                let mut said = peer.talk();
                let at = at % (said.len() * 8);
                said[at / 8] ^= 1 << (at % 8);
                peer.give(&said);
                sound = false;
            }
            Act::Sends(data) if !data.is_empty() => {
                peer.give(data);
                sound &= over;
            }
            Act::Renews if !over && can_renew && renewals > 0 => {
                renewals -= 1;
                peer.client.refresh_traffic_keys().expect("1.3 can");
                let said = peer.talk();
                peer.give(&said);
            }
            Act::Ends if !over => {
                peer.client.send_close_notify();
                let said = peer.talk();
                peer.give(&said);
                over = true;
            }
            _ => {}
        }
        assert!(peer.opened == sealed, "{} bytes of {} are opened", peer.opened.len(), sealed.len());
        assert!(!sound || !peer.refused, "nothing was wrong with it");
    }
    if sound {
        assert_eq!(peer.server.has_ended(), over);
        assert_eq!(peer.hear(b"an answer"), b"an answer");
    }
}
