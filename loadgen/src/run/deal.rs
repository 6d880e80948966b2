//! Who makes which connection: those of a phase, dealt in turn to machines and threads.
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::plan::cast::Cast;
use crate::plan::terms::Phase;
use crate::run::orders::Part;

/// Connections from one source address to one server; a few more than 28,000 would be possible.
const PER_SOURCE: usize = 8000;

/// Source addresses of clients that make a connection for each job: each port is in use for a minute after it.
const SPREAD: usize = 200;

/// A connection, and the address that it comes from if that matters.
pub(crate) type Dealt = (Part, Option<Ipv4Addr>);

/// What is dealt from.
pub(crate) struct Deal<'a> {
    /// Who plays.
    pub(crate) cast: &'a Cast,
    /// The phase, and its number.
    pub(crate) phase: &'a Phase,
    /// See `phase`.
    pub(crate) index: usize,
    /// The job server.
    pub(crate) server: SocketAddr,
    /// The run's number.
    pub(crate) run: u32,
}

impl Deal<'_> {
    /// All connections, dealt to so many in turn.
    pub(crate) fn among(&self, slots: usize) -> Vec<Vec<Dealt>> {
        let cast = self.cast;
        let mut parts: Vec<Part> = vec![];
        for (crew, _) in cast.crews.iter().enumerate().filter(|(_, crew)| crew.phase == self.index) {
            parts.extend((0..cast.crews[crew].plan.count).map(|index| Part::Worker(crew, index)));
        }
        for group in cast.groups.iter().filter(|group| group.phase == self.index) {
            parts.extend((0..group.plan.count).map(|at| Part::Client(group.first_client + at)));
        }
        parts.extend((0..self.phase.idle).map(|_| Part::Idle));
        let many = parts.len() > PER_SOURCE;
        let mut dealt = vec![vec![]; slots];
        for (at, part) in parts.into_iter().enumerate() {
            let each = matches!(part, Part::Client(conn) if self.connects_each(conn));
            let source = match (each, many) {
                (true, _) => self.source(at % SPREAD),
                (false, true) => self.source(at / PER_SOURCE),
                (false, false) => None,
            };
            dealt[at % slots].push((part, source));
        }
        dealt
    }

    fn connects_each(&self, conn: u32) -> bool {
        let group = self.cast.clients[conn as usize].group;
        self.cast.groups[group as usize].plan.connect_each
    }

    /// Ports that were closed are not free again for a minute: with thousands of connections each run takes
    /// other addresses of the loopback network.
    fn source(&self, number: usize) -> Option<Ipv4Addr> {
        match self.server.ip() {
            IpAddr::V4(server) if server.is_loopback() => {
                let run = (self.run % 250) as u8;
                Some(Ipv4Addr::new(127, 1 + self.index as u8 % 100, run, 1 + number as u8))
            }
            _ => None,
        }
    }
}

/// What one of several machines got, dealt to its threads.
pub(crate) fn again(share: Vec<Dealt>, threads: usize) -> Vec<Vec<Dealt>> {
    let mut dealt = vec![vec![]; threads];
    for (at, part) in share.into_iter().enumerate() {
        dealt[at % threads].push(part);
    }
    dealt
}
