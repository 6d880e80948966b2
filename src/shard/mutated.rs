//! Packets and TLS records that were changed here and there, in pieces, through covers, reader and engine: a million of them, or as
//! many as RINGGEAR_MUTATED says, made of RINGGEAR_SEED. Nothing may panic or keep more than it may, and whoever comes after is served.
use super::connection::Phase;
use super::cover::Cover;
use super::migrate::MigrationPolicy;
use super::pump::Pump;
use super::sockets::Token;
use super::table::ConnectionTable;
use crate::access::{AccessBook, AccessOptions};
use crate::engine::{Board, Engine, HandlePrefix, Input, Peer, Policy, ShardId, Topology};
use crate::frontend::SharedPort;
use crate::mesh::clock;
use crate::mesh::shared::Shared;
use crate::tls::testing::{Opposite, certificates};
use crate::tls::{Certificates, ClientCertificates, Greeting};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Numbers that look random, the same for each seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Changes some of these bytes.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => bytes[at] = self.next().to_le_bytes()[0],
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.next().to_le_bytes()[0]),
                _ => {
                    let from = self.below(bytes.len());
                    let again = bytes[from..bytes.len().min(from + 1 + self.below(20))].to_vec();
                    bytes.splice(at..at, again);
                }
            }
        }
    }
}

/// What was done, and what came of it.
#[derive(Debug, Default)]
struct Mutations {
    greetings: usize,
    greetings_refused: usize,
    handshakes: usize,
    records: usize,
    packets: usize,
    /// Connections of which the server would hear no more.
    ended: usize,
    answers: usize,
}

impl Mutations {
    fn all(&self) -> usize {
        self.greetings + self.records + self.packets
    }
}

/// A shard's reader and engine, and connections without peers.
struct Bench {
    pump: Pump,
    table: ConnectionTable,
    certificates: Certificates,
    chance: Chance,
    sums: Mutations,
}

impl Bench {
    fn new(seed: u64) -> Bench {
        let topology = Topology::new(1);
        let mut policy = Policy::new(HandlePrefix::new(b"H:host").unwrap());
        policy.queued_bytes = 1 << 20;
        policy.functions = 1000;
        let shared = Arc::new(Shared::new(topology, 1).unwrap());
        let pump = Pump {
            engine: Engine::new(ShardId(0), Board::new(topology), Arc::new(policy)),
            frontend: SharedPort::for_tests(),
            now: clock::now(),
            handle_prefix: HandlePrefix::new(b"H:host").unwrap(),
            unread_max: 1 << 20,
            commit: None,
            restoring: false,
            store_away: false,
            lease: None,
            forgets: None,
            hands_over: false,
            asked_for_numbers: false,
            fed: 0,
            fed_max: u32::MAX,
            access: AccessBook::open(AccessOptions::default()).unwrap().into(),
            rights_wanted: false,
            scratch: Vec::new(),
            shared: shared.clone(),
            id: ShardId(0),
            migration_policy: MigrationPolicy::new(ShardId(0), topology, shared, 0),
        };
        let (table, certificates) =
            (ConnectionTable::new(ShardId(0)), certificates(ClientCertificates::Optional));
        Bench { pump, table, certificates, chance: Chance(seed), sums: Mutations::default() }
    }

    /// Somebody connects, with TLS or without.
    fn connect(&mut self, tls: bool) -> Token {
        let socket = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let peer = Peer { descriptor: 7, address: Ipv4Addr::LOCALHOST.into(), port: 0 };
        let connection = self.table.insert(socket, peer).unwrap();
        let (token, session) = (connection.token, connection.session);
        if tls {
            connection.phase = Phase::Greeting;
            connection.cover = Some(Box::new(Cover::new(self.certificates.stream().unwrap())));
        } else {
            self.pump.feed(&mut self.table, Input::Opened(session, peer));
        }
        token
    }

    /// Gives it bytes in pieces, as a shard does. Whether no handshake was refused.
    fn give(&mut self, token: Token, bytes: &[u8]) -> bool {
        let mut left = bytes;
        while !left.is_empty() {
            let (piece, rest) = left.split_at(1 + self.chance.below(left.len().min(8192)));
            left = rest;
            self.pump.fed = 0;
            self.pump.read(&mut self.table, token, piece);
            let Some(connection) = self.table.get(token) else { return true };
            if connection.phase != Phase::Greeting {
                continue;
            }
            let (session, peer) = (connection.session, connection.peer);
            let cover = connection.cover.as_mut().unwrap();
            let arrived = std::mem::take(&mut cover.arrived);
            match cover.stream.greet(&arrived) {
                Ok(Greeting::Awaited) => assert!(cover.held() < 64 << 10, "{}", cover.held()),
                Ok(Greeting::Over(plain)) => {
                    connection.phase = Phase::Open;
                    self.pump.feed(&mut self.table, Input::Opened(session, peer));
                    self.pump.read_opened(&mut self.table, token, &plain);
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// What it has to say to it: sealed where that is so.
    fn says(&mut self, token: Token) -> Vec<u8> {
        let Some(connection) = self.table.get(token) else { return Vec::new() };
        let session = connection.session;
        let Some((connection, pool)) = self.table.of(session) else { return Vec::new() };
        let parcel = match &mut connection.cover {
            Some(cover) => cover.begin(&mut connection.outbound, pool, false).ok().flatten(),
            None => connection.outbound.begin(),
        };
        connection.outbound.end();
        parcel.map(|parcel| parcel.into_buffer()).unwrap_or_default()
    }

    fn close(&mut self, token: Token) {
        self.table.charge(token);
        let connection = self.table.remove(token).unwrap();
        self.sums.ended += usize::from(connection.phase > Phase::Open);
        if connection.phase > Phase::Greeting {
            let reason = crate::engine::CloseReason::Peer;
            self.pump.feed(&mut self.table, Input::Closed(connection.session, reason));
        }
        self.table.listed.clear();
        self.table.resumed.clear();
        self.table.unarmed.clear();
        self.table.broken.clear();
        self.table.roomy.clear();
        self.table.greetings.turns.clear();
    }

    /// Ends a handshake with a peer that does everything right.
    fn greet(&mut self, token: Token, peer: &mut Opposite) {
        for _ in 0..4 {
            let said = peer.says();
            self.give(token, &said);
            let answer = self.says(token);
            peer.hears(&answer);
        }
    }
}

const ECHO: &[u8] = b"\0REQ\0\0\0\x10\0\0\0\x05hello";
const PACKETS: &[&[u8]] = &[
    ECHO,
    b"\0REQ\0\0\0\x01\0\0\0\x03rev",
    b"\0REQ\0\0\0\x07\0\0\0\x09rev\0u\0abc",
    b"\0REQ\0\0\0\x12\0\0\0\x09rev\0u\0abc",
    b"\0REQ\0\0\0\x1e\0\0\0\0",
    b"\0REQ\0\0\0\x04\0\0\0\0",
    b"\0REQ\0\0\0\x0d\0\0\0\x0bH:host:1\0ok",
    b"status\nworkers\nshow counters\n",
    b"maxqueue rev 5\nversion\n",
];

#[test]
fn a_million_mutated_records_and_packets() {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (wanted, seed) = (number("RINGGEAR_MUTATED", 1_000_000), number("RINGGEAR_SEED", 7));
    let mut bench = Bench::new(seed);
    let hellos: Vec<Vec<u8>> = [false, true].map(|new| Opposite::new(new).says()).to_vec();
    while (bench.sums.all() as u64) < wanted {
        match bench.chance.below(100) {
            0 => records(&mut bench),
            1..40 => greeting(&mut bench, &hellos),
            _ => packets(&mut bench),
        }
    }
    println!("seed {seed}: {:?}", bench.sums);
    // It tests something: everything has its share, most greetings are refused, and most of what is none is answered.
    let Mutations { greetings, greetings_refused, handshakes, records, packets, ended, answers } = bench.sums;
    let all = greetings + records + packets;
    assert!(greetings > all / 30 && greetings_refused > greetings / 2, "{greetings_refused} of {greetings}");
    assert!(handshakes > all / 2000 && records > all / 100, "{records} records, {handshakes} handshakes");
    assert!(packets > all / 2 && answers > all / 20 && ended > 0, "{answers} answers, {ended} ended");
    // It serves.
    let (token, mut peer) = (bench.connect(true), Opposite::new(true));
    bench.greet(token, &mut peer);
    peer.sends(ECHO);
    let said = peer.says();
    bench.give(token, &said);
    let answer = bench.says(token);
    assert_eq!(peer.hears(&answer), [b"\0RES\0\0\0\x11", &ECHO[8..]].concat());
}

/// A greeting that is changed: one record.
fn greeting(bench: &mut Bench, hellos: &[Vec<u8>]) {
    let mut hello = hellos[bench.chance.below(hellos.len())].clone();
    bench.chance.change(&mut hello);
    let token = bench.connect(true);
    bench.sums.greetings_refused += usize::from(!bench.give(token, &hello));
    bench.says(token);
    bench.close(token);
    bench.sums.greetings += 1;
}

/// Packets that are changed, plainly.
fn packets(bench: &mut Bench) {
    let token = bench.connect(false);
    let count = 1 + bench.chance.below(20);
    for _ in 0..count {
        let mut packet = PACKETS[bench.chance.below(PACKETS.len())].to_vec();
        if bench.chance.below(2) == 0 {
            bench.chance.change(&mut packet);
        }
        bench.give(token, &packet);
        let answer = bench.says(token);
        bench.sums.answers += usize::from(!answer.is_empty());
    }
    bench.close(token);
    bench.sums.packets += count;
}

/// Behind a handshake: changed packets in whole records, and in the end records that are changed.
fn records(bench: &mut Bench) {
    let new = bench.chance.below(2) == 0;
    let (token, mut peer) = (bench.connect(true), Opposite::new(new));
    bench.greet(token, &mut peer);
    assert!(bench.table.get(token).is_some_and(|connection| connection.phase == Phase::Open));
    let count = 1 + bench.chance.below(40);
    for _ in 0..count {
        let mut packet = PACKETS[bench.chance.below(PACKETS.len())].to_vec();
        bench.chance.change(&mut packet);
        peer.sends(&packet);
        let said = peer.says();
        bench.give(token, &said);
        let answer = bench.says(token);
        bench.sums.answers += usize::from(!peer.hears(&answer).is_empty());
    }
    peer.sends(ECHO);
    let mut said = peer.says();
    bench.chance.change(&mut said);
    bench.give(token, &said);
    bench.says(token);
    bench.close(token);
    bench.sums.handshakes += 1;
    bench.sums.records += count + 1;
}
