//! Random bytes and mutated recordings: what the transcripts send, changed here and there. The server must make of each stream
//! just what our front end makes of the same bytes, and nobody else may notice.
use crate::bystander::Bystander;
use crate::script::{Bindings, Script, Step};
use crate::support::server::*;
use crate::*;
use ringgear::engine::{Compat, HandlePrefix};
use ringgear::frontend::{Decoded, Incoming, SharedPort};
use ringgear::protocol::{HANDLE_MAX, Request, UNIQUE_MAX};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Packets and lines that the server must have read.
const ENOUGH: u64 = 1_000_000;

/// Bytes of one stream. It ends earlier where a stream stops making sense.
const STREAM: usize = 24 << 10;

/// Streams at a time.
const SENDERS: usize = 4;

/// What the server may take in all. Each packet may leave a job behind that nobody will ever do: 200 bytes for each, and as
/// much again for answers, which list them.
const MEMORY: u64 = 400 << 20;

/// The longest packet: some say that they are longer.
const PACKET_MAX: u32 = 100_000;

#[test]
fn a_million_mutated_packets() {
    let options = ["--threads", "2", "--verbose", "WARNING", "--job-handle-prefix", "H:x"];
    let packet_max = PACKET_MAX.to_string();
    let server = Server::start(
        &[&options[..], &["--max-packet-size", &packet_max, "--max-functions", "5000"]].concat(),
    );
    let start = Instant::now();
    let bystander = Bystander::start(&server);
    let seeds = seeds(&handles(&server));
    let (read, malformed, too_large) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let streams = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                while read.load(Ordering::Relaxed) < ENOUGH {
                    // The number of a stream is its seed: the same number is the same bytes.
                    let number = streams.fetch_add(1, Ordering::Relaxed);
                    let bytes = stream(&seeds, &mut Random::new(number));
                    let seen = see(&bytes);
                    read.fetch_add(seen.whole, Ordering::Relaxed);
                    malformed.fetch_add(u64::from(seen.end == End::Malformed), Ordering::Relaxed);
                    too_large.fetch_add(u64::from(seen.end == End::TooLarge), Ordering::Relaxed);
                    send(&server, &bytes);
                }
            });
        }
        while read.load(Ordering::Relaxed) < ENOUGH {
            bystander.is_served();
        }
    });
    let served = bystander.finish();
    wait_until("all streams are gone", || server.counter("sessions") == 1);
    let (malformed, too_large) = (malformed.into_inner(), too_large.into_inner());
    let streams = streams.into_inner();
    // The test tests something: streams end in every way, and most are long.
    assert!(
        malformed > streams / 20 && too_large > 10 && malformed + too_large < streams,
        "{malformed} {too_large} {streams}"
    );
    assert_eq!(server.counter("sessions_slow_reader"), 0);
    assert_eq!(server.counter("packets_too_large"), too_large);
    assert_eq!(server.counter("sessions_malformed"), malformed + too_large);
    assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
    assert!(served > 0);
    for text in [
        "Packet is larger",
        "closing connection of",
        "Job given in work result not found",
        "Too many functions",
    ] {
        told(&server, text, start);
    }
}

/// What comes first on a connection is a packet or a line by its first byte; what is neither ends the connection, at most
/// 8 KiB later.
#[test]
fn random_bytes() {
    const STREAMS: u64 = 2000;
    let server = Server::start(&["--threads", "2"]);
    let bystander = Bystander::start(&server);
    let mut malformed = 0;
    for number in 0..STREAMS {
        let mut random = Random::new(number);
        let mut bytes: Vec<u8> = (0..random.below(12_000)).map(|_| random.next() as u8).collect();
        if let Some(first) = bytes.first_mut().filter(|_| number % 2 == 0) {
            *first = 0;
        }
        if number % 4 == 0 && bytes.len() >= 12 {
            bytes[..4].copy_from_slice(b"\0REQ");
            bytes[4..7].fill(0);
            // Lengths that the server could wait for.
            bytes[8..10].fill(0);
        }
        malformed += u64::from(see_with(256 << 20, &bytes).end == End::Malformed);
        send(&server, &bytes);
        if number % 100 == 0 {
            bystander.is_served();
        }
    }
    bystander.finish();
    wait_until("all streams are gone", || server.counter("sessions") == 1);
    assert!(malformed > STREAMS / 2, "{malformed} of {STREAMS}");
    assert_eq!(server.counter("sessions_malformed"), malformed);
    assert!(server.memory_peak() < MEMORY, "{} bytes", server.memory_peak());
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With a whole packet, or in the middle of one.
    Open,
    TooLarge,
    Malformed,
}

/// What our front end makes of a stream.
struct Seen {
    /// Packets and lines that it takes.
    whole: u64,
    end: End,
}

fn see(bytes: &[u8]) -> Seen {
    see_with(PACKET_MAX, bytes)
}

fn see_with(packet_max: u32, bytes: &[u8]) -> Seen {
    let frontend = frontend(packet_max);
    let (mut rest, mut whole) = (bytes, 0);
    loop {
        let end = match frontend.decode(rest) {
            Decoded::One { item, .. } if is_hopeless(&item) => End::Malformed,
            Decoded::One { consumed, .. } => {
                whole += 1;
                rest = &rest[consumed..];
                continue;
            }
            Decoded::Incomplete { .. } => End::Open,
            Decoded::TooLarge => End::TooLarge,
            Decoded::Malformed(_) => End::Malformed,
        };
        return Seen { whole, end };
    }
}

/// Requests that are packets, but whose arguments are so long that gearmand closes the connection: the engine's to find.
fn is_hopeless(item: &Incoming<'_>) -> bool {
    let overflows = |number: &[u8]| {
        let number = number.trim_ascii_start();
        let number = number.strip_prefix(b"-").or(number.strip_prefix(b"+")).unwrap_or(number);
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit());
        let digits: String = digits.map(|&byte| char::from(byte)).collect();
        !digits.is_empty() && digits.parse::<i64>().is_err()
    };
    match item {
        Incoming::Request(Request::GetStatus { handle }) => handle.len() > HANDLE_MAX,
        Incoming::Request(Request::GetStatusUnique { unique }) => unique.len() > UNIQUE_MAX,
        Incoming::Request(Request::CanDoTimeout { timeout, .. }) => timeout.len() > 20 || overflows(timeout),
        // A unique that is too long is found first, and answered.
        Incoming::Request(Request::Submit(submit)) => {
            submit.unique.len() <= UNIQUE_MAX && submit.epoch.is_some_and(overflows)
        }
        _ => false,
    }
}

fn frontend(packet_max: u32) -> SharedPort {
    SharedPort {
        packet_max,
        version: "",
        verbosity: "",
        pid: 0,
        handle_prefix: HandlePrefix::new(b"H:x").unwrap(),
        compat: Compat::V1_1,
    }
}

/// Sends a stream on a connection of its own, reads whatever comes, and returns when the server has closed.
fn send(server: &Server, bytes: &[u8]) {
    let mut peer = server.connect();
    // The server may have closed it before all is written.
    let _ = peer.write_all(bytes).and_then(|()| peer.shutdown(std::net::Shutdown::Write));
    read_to_end(&mut peer);
}

/// Handles of jobs that are there, to put into the scripts.
fn handles(server: &Server) -> Bindings {
    let mut client = server.connect();
    let mut bindings = Bindings::default();
    for number in 1..10 {
        client.write_all(&request(SUBMIT_JOB_BG, b"f\0\0x")).unwrap();
        let (packet, handle) = read_packet(&mut client);
        assert_eq!(packet, JOB_CREATED);
        bindings.variables.insert(number.to_string(), handle);
    }
    bindings
}

/// Everything that the scripts send, piece by piece, but what is as long as the longest packets.
fn seeds(bindings: &Bindings) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for folder in ["tests/transcripts", "tests/replays"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "txt") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let script = Script::parse("seed", &path, &text).unwrap();
            for line in &script.lines {
                if let Step::Send { template, .. } = &line.step {
                    seeds.push(
                        template
                            .fill(bindings, 0)
                            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
                    );
                }
            }
        }
    }
    seeds.retain(|seed| seed.len() < 1000);
    assert!(seeds.len() > 500, "{} seeds", seeds.len());
    seeds.sort();
    seeds
}

/// A stream of seeds. Most are as they were or changed so that they are still packets; now and then one is not, and then the
/// stream may end there.
fn stream(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < STREAM {
        let seed = &seeds[random.below(seeds.len())];
        let mut piece = seed.clone();
        match random.below(1000) {
            0..5 => break_anywhere(&mut piece, random),
            5..10 => piece.truncate(random.below(piece.len() + 1)),
            10..20 => announce_much(&mut piece, random),
            20..700 => change_inside(&mut piece, random),
            _ => {}
        }
        let is_packet = piece.first() == Some(&0);
        let is_whole = matches!(frontend(PACKET_MAX).decode(&piece), Decoded::One { consumed, .. } if consumed == piece.len());
        // Lines that list everything cost more than they test.
        if random.below(if !is_whole {
            100
        } else if is_packet {
            1
        } else {
            20
        }) == 0
        {
            bytes.extend(piece);
        }
    }
    bytes
}

/// Any byte, header and all.
fn break_anywhere(piece: &mut [u8], random: &mut Random) {
    if !piece.is_empty() {
        piece[random.below(piece.len())] = random.next() as u8;
    }
}

/// A length beyond the longest packet.
fn announce_much(piece: &mut [u8], random: &mut Random) {
    if piece.len() >= 12 && piece[0] == 0 {
        piece[8] = random.next() as u8;
        piece[9] = 2 + random.below(250) as u8;
    }
}

/// Another command or other data, in a packet that stays one; nothing in a line, for lines can cancel others' jobs.
fn change_inside(piece: &mut Vec<u8>, random: &mut Random) {
    const HEADER: usize = 12;
    if piece.len() < HEADER || piece[0] != 0 {
        return;
    }
    match random.below(5) {
        0 => piece[7] = 1 + random.below(42) as u8,
        1 => piece[3] = if random.below(2) == 0 { b'Q' } else { b'S' },
        2 if piece.len() > HEADER => {
            let at = HEADER + random.below(piece.len() - HEADER);
            piece[at] ^= 1 << random.below(8);
        }
        3 => {
            piece.extend((0..random.below(40)).map(|_| random.next() as u8));
            let length = (piece.len() - HEADER) as u32;
            piece[8..HEADER].copy_from_slice(&length.to_be_bytes());
        }
        _ => {}
    }
}

/// xorshift64*: the same seed, the same numbers.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
