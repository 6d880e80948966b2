//! An input is a short program: who connects, says what, reads, leaves, and how time goes on between. It is played on engines in
//! pretend time; what must hold is asserted there (`Engine::check` after every act, bounds on what a call does) and here: what
//! comes back is whole packets and lines.
use crate::player::{Arrival, Stage};
use crate::pretend::{Pretend, Room};
use ringgear::protocol::{Frame, Magic, Response, frame};
use std::collections::BTreeMap;
use std::time::Duration;

/// Options that transcripts use, a bit for each. Of those that exclude each other the last counts.
const OPTIONS: [&[&str]; 16] = [
    &["-R"],
    &["-j", "0"],
    &["-j", "1"],
    &["-j", "2"],
    &["-j", "3"],
    &["-w", "0"],
    &["-w", "1"],
    &["-w", "2"],
    &["--compat", "1.1"],
    &["--compat", "2.0"],
    &["--compat", "2.1"],
    &["--compat", "2.2"],
    &["--exceptions"],
    &["--timeout-unit", "s"],
    &["-j", "4"],
    &["-w", "3"],
];

/// Connections of a program: 0 and more, below this.
const PEERS: u8 = 42;
/// Connections that a program may make, one after the other.
const CONNECTIONS: usize = 500;

/// What the acts happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct World {
    /// 1 to 4.
    pub(crate) shards: u8,
    /// Channels and sessions have room for one thing at a time.
    pub(crate) scarce: bool,
    /// Which of [`OPTIONS`].
    pub(crate) options: u16,
}

/// Something that a peer does, or that happens to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A peer sends bytes. It connects if it is not connected.
    Write(u8, Vec<u8>),
    /// A peer looks for something to read for so many milliseconds at most.
    Read(u8, u16),
    /// A peer closes its connection.
    Close(u8),
    /// A peer sends FIN and reads on.
    Finish(u8),
    /// So many milliseconds go by.
    Wait(u16),
}

impl World {
    /// The world with these words of a command line; `None` if they are not among [`OPTIONS`].
    pub(crate) fn with_words(words: &[String]) -> Option<World> {
        let mut world = World { shards: 1, scarce: false, options: 0 };
        let mut rest = words;
        while !rest.is_empty() {
            let starts = |option: &&[&str]| {
                rest.len() >= option.len() && rest.iter().zip(*option).all(|(a, b)| a == b)
            };
            let at = OPTIONS.iter().position(starts)?;
            world.options |= 1 << at;
            rest = &rest[OPTIONS[at].len()..];
        }
        Some(world)
    }

    fn words(self) -> Vec<String> {
        let chosen = OPTIONS.iter().enumerate().filter(|(at, _)| (self.options >> at) & 1 == 1);
        chosen.flat_map(|(_, words)| words.iter().map(|word| (*word).to_owned())).collect()
    }
}

/// The program as bytes: three of the world, then of each act one that says what and who, and what belongs to it.
pub(crate) fn written(world: World, acts: &[Act]) -> Vec<u8> {
    let mut bytes = vec![(world.shards - 1) | (u8::from(world.scarce) << 2)];
    bytes.extend(world.options.to_le_bytes());
    for act in acts {
        match act {
            Act::Write(who, data) => {
                for piece in data.chunks(u16::MAX.into()) {
                    bytes.push(who * 6);
                    bytes.extend((piece.len() as u16).to_le_bytes());
                    bytes.extend(piece);
                }
            }
            Act::Read(who, millis) => {
                bytes.push(who * 6 + 1);
                bytes.extend(millis.to_le_bytes());
            }
            Act::Close(who) => bytes.push(who * 6 + 2),
            Act::Finish(who) => bytes.push(who * 6 + 3),
            Act::Wait(millis) => {
                bytes.push(4);
                bytes.extend(millis.to_le_bytes());
            }
        }
    }
    bytes
}

/// Bytes as a program: any bytes are one.
pub(crate) fn read(bytes: &[u8]) -> (World, Vec<Act>) {
    let head = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let options = u16::from_le_bytes([head(1), head(2)]);
    let world = World { shards: 1 + head(0) % 4, scarce: head(0) & 4 > 0, options };
    let mut rest = bytes.get(3..).unwrap_or_default();
    let mut acts = Vec::new();
    while let Some((&what, behind)) = rest.split_first() {
        let who = what / 6 % PEERS;
        rest = behind;
        let mut number = || {
            let (low, high) = rest.split_at(rest.len().min(2));
            rest = high;
            u16::from_le_bytes([low.first().copied().unwrap_or(0), low.get(1).copied().unwrap_or(0)])
        };
        acts.push(match what % 6 {
            0 | 5 => {
                let length = number();
                let (data, behind) = rest.split_at(rest.len().min(length.into()));
                rest = behind;
                Act::Write(who, data.to_vec())
            }
            1 => Act::Read(who, number()),
            2 => Act::Close(who),
            3 => Act::Finish(who),
            _ => Act::Wait(number()),
        });
    }
    (world, acts)
}

pub(crate) fn run(bytes: &[u8]) {
    play(bytes);
}

/// Plays a program. Returns how many packets and lines peers have read, by name: proof of how far it went.
pub(crate) fn play(bytes: &[u8]) -> BTreeMap<&'static str, usize> {
    let (world, acts) = read(bytes);
    let room = if world.scarce { Room::Scarce } else { Room::Plenty };
    let mut stage =
        Pretend::start(world.shards.into(), room, &world.words()).expect("these are options that it knows");
    // Of each peer whether it still sends.
    let mut peers: BTreeMap<u8, bool> = BTreeMap::new();
    let (mut seen, mut connected) = (BTreeMap::new(), 0);
    for act in acts {
        match act {
            Act::Write(who, data) => {
                if !peers.contains_key(&who) && connected < CONNECTIONS {
                    connected += 1;
                    stage.connect(&name(who)).expect("there is room");
                    peers.insert(who, true);
                }
                if peers.get(&who) == Some(&true) {
                    stage.write(&name(who), &data).expect("it is connected");
                }
            }
            Act::Read(who, millis) if peers.contains_key(&who) => {
                let mut inbox = Vec::new();
                let patience = Duration::from_millis(millis.into());
                let arrived = stage.read(&name(who), patience, &mut inbox).expect("it is connected");
                assert!(arrived == Arrival::Something || inbox.is_empty());
                look(&inbox, &mut seen);
            }
            Act::Close(who) if peers.remove(&who).is_some() => {
                stage.close(&name(who)).expect("it was connected")
            }
            Act::Finish(who) if peers.get(&who) == Some(&true) => {
                peers.insert(who, false);
                stage.finish(&name(who)).expect("it is connected");
            }
            Act::Wait(millis) => stage.wait(Duration::from_millis(millis.into())),
            Act::Read(..) | Act::Close(_) | Act::Finish(_) => {}
        }
    }
    seen
}

fn name(who: u8) -> String {
    who.to_string()
}

/// Everything that is told is whole: packets that a client can read, or lines.
fn look(mut rest: &[u8], seen: &mut BTreeMap<&'static str, usize>) {
    while let Some(&first) = rest.first() {
        let (told, length) = if first == 0 {
            let Ok(Frame::Packet { header, data, consumed }) = frame(rest, u32::MAX) else {
                panic!("half a packet: {}", rest.escape_ascii());
            };
            assert_eq!(header.magic, Magic::Response);
            let response = Response::decode(&header, data).expect("a client can read it");
            (response.packet_type().name(), consumed)
        } else {
            let end = rest.iter().position(|&byte| byte == b'\n');
            ("a line", 1 + end.unwrap_or_else(|| panic!("half a line: {}", rest.escape_ascii())))
        };
        *seen.entry(told).or_default() += 1;
        rest = &rest[length..];
    }
}
